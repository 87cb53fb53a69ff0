#include "scale/trigger/object_refresh.h"

#include <sys/param.h>

enum { MIN_INTERVAL_MS = 1000, MAX_INTERVAL_MS = 60 * 1000 };

static bool is_failing(const struct object_refresh_facts *facts)
{
    return facts->has_mistakes || facts->is_refused || facts->is_held;
}

/* In the order of the header's table. */
static bool may_help(const struct object_refresh_facts *facts)
{
    if (facts->is_pending)
        return false;
    bool lacks_replicas = facts->has_replicas && facts->replicas_at_ms < facts->failing_since_ms;
    if (facts->is_held && lacks_replicas)
        return true;
    return is_failing(facts) && facts->has_own_credentials;
}

bool object_refresh_is_due(struct object_refresh *refresh, const struct object_refresh_facts *facts,
                           int64_t now_ms)
{
    if (!is_failing(facts) || facts->failing_since_ms > refresh->at_ms)
        refresh->interval_ms = 0;
    int64_t interval_ms = MAX(refresh->interval_ms, MIN_INTERVAL_MS);
    bool is_too_soon = refresh->at_ms > 0 && now_ms - refresh->at_ms < interval_ms;
    if (!may_help(facts) || is_too_soon)
        return false;
    refresh->interval_ms =
        refresh->interval_ms == 0 ? MIN_INTERVAL_MS : MIN(2 * interval_ms, MAX_INTERVAL_MS);
    refresh->at_ms = now_ms;
    return true;
}
