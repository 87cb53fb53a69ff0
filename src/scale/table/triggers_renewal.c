/* What triggers were parsed with has changed: which of them are parsed again, and when. */
#include "scale/table/triggers_internal.h"

#include "base/clock.h"
#include "base/memory.h"

/* A connection that is not there may not have been there before either: that counts, too. No
 * connection concerns a trigger of an unknown scaler, which has no values of one. */
static bool is_stale(const struct triggers *triggers, const struct trigger *trigger)
{
    if (trigger->parsed.connection_name == NULL || trigger->parsed.scaler == NULL)
        return false;
    const struct named_connection *connection =
        connections_find(triggers->lifecycle.parse.connections, trigger->parsed.connection_name);
    return connection == NULL || connection->revision > trigger->revision;
}

void triggers_renew_one(struct triggers *triggers, struct trigger *trigger)
{
    if (trigger->revision == triggers->lifecycle.revision)
        return;
    bool was_stale = is_stale(triggers, trigger);
    trigger->revision = triggers->lifecycle.revision;
    if (was_stale)
        lifecycle_renew(&triggers->lifecycle, trigger);
}

bool triggers_renew(struct triggers *triggers, size_t max)
{
    enum { LONG_US = 1000 };
    int64_t began_us = clock_now_us();
    for (size_t i = 0; i < max && (i == 0 || clock_now_us() - began_us < LONG_US); i++) {
        struct trigger *trigger = triggers->next_renewed;
        if (trigger == NULL)
            return false;
        triggers->next_renewed = trigger->hh.next;
        triggers_renew_one(triggers, trigger);
    }
    return triggers->next_renewed != NULL;
}

void triggers_set_connections(struct triggers *triggers, struct connections *connections)
{
    struct connections *before = triggers->lifecycle.parse.connections;
    connections_number(connections, before, ++triggers->lifecycle.revision);
    triggers->lifecycle.parse.connections = connections;
    connections_free(before);
    triggers_reserve_for_file(triggers);
    triggers->next_renewed = triggers->by_identity;
}

const struct connections *triggers_connections(const struct triggers *triggers)
{
    return triggers->lifecycle.parse.connections;
}
