#include "daemon/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/system/file_watch.h"
#include "base/text.h"
#include "config/connections_load.h"
#include "daemon/retry.h"
#include "measure/scaler.h"
#include "scale/connections/named_connections.h"

#include <stdlib.h>

struct reload {
    const char *path;
    bool is_strict;
    struct file_watch *watch;         /* of all files of the last reading */
    const struct connections *in_use; /* the triggers' */
    int64_t
        again_at_ms; /* some are invalid: when to look again though no file changed; 0: none are */
    struct retry retry;
    struct reload_stats stats;
};

static bool load(struct reload *reload, struct connections **ret_connections, struct error *error)
{
    _cleanup_(connections_cleanup) struct connections *connections = NULL;
    file_watch_free(reload->watch);
    reload->watch = file_watch_new();
    bool had_connections = reload->in_use != NULL && reload->in_use->count > 0;
    if (!connections_load(reload->path, had_connections, reload->watch, &connections, error))
        return false;
    named_connections_check(connections, scaler_list);
    if (reload->is_strict && !connections_require_valid(connections, error))
        return error_prefix(error, "%s (--strict-config)", reload->path);
    connections_inherit(connections, reload->in_use);
    *ret_connections = TAKE(connections);
    return true;
}

/* Is it invalid in the same way in these? */
static bool is_known(const struct connections *connections,
                     const struct invalid_connection *invalid)
{
    struct invalid_connection each;
    size_t position = 0;
    while (connections_next_invalid(connections, &position, &each))
        if (text_equal(each.name, invalid->name) && text_equal(each.text, invalid->text))
            return true;
    return false;
}

static void log_invalid(const struct invalid_connection *invalid)
{
    if (invalid->name == NULL)
        log_error("%s", invalid->text);
    else
        log_error("connection \"%s\" is invalid: %s; %s", invalid->name, invalid->text,
                  invalid_connection_state(invalid));
}

/* Only those that `former` did not have. */
static void log_new_invalid(const struct connections *connections, const struct connections *former)
{
    struct invalid_connection invalid;
    size_t position = 0;
    while (connections_next_invalid(connections, &position, &invalid))
        if (!is_known(former, &invalid))
            log_invalid(&invalid);
}

/* They are in use from now on. */
static void note_loaded(struct reload *reload, const struct connections *connections)
{
    reload->again_at_ms =
        connections_count_invalid(connections) == 0 ? 0 : clock_now_ms() + RETRY_MS;
    reload->in_use = connections;
    reload_stats_good(&reload->stats);
}

bool reload_begin(const char *path, bool is_strict, struct reload **ret_reload,
                  struct connections **ret_connections, struct error *error)
{
    struct reload *reload = memory_new(sizeof(*reload));
    reload->path = path;
    reload->is_strict = is_strict;
    if (path != NULL && !load(reload, ret_connections, error)) {
        reload_end(reload);
        return false;
    }
    log_new_invalid(*ret_connections, NULL);
    note_loaded(reload, *ret_connections);
    *ret_reload = reload;
    return true;
}

const struct reload_stats *reload_stats_of(const struct reload *reload)
{
    return reload->path == NULL ? NULL : &reload->stats;
}

void reload_end(struct reload *reload)
{
    if (reload == NULL)
        return;
    file_watch_free(reload->watch);
    retry_done(&reload->retry);
    free(reload);
}

void reload_check(struct reload *reload, bool is_requested, const struct hand_over *to)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(connections_cleanup) struct connections *connections = NULL;
    int64_t now_ms = clock_now_ms();
    if (reload->path == NULL)
        return;
    bool has_changed = file_watch_has_changed(reload->watch) || is_requested;
    bool is_again = reload->again_at_ms != 0 && reload->again_at_ms <= now_ms;
    if (!has_changed && file_watch_is_restless(reload->watch))
        return; /* the end of the change is near, and is read */
    if (!retry_is_due(&reload->retry, has_changed, now_ms) && !is_again)
        return;
    if (is_again)
        reload->again_at_ms = now_ms + RETRY_MS;
    if (!load(reload, &connections, &error)) {
        reload_stats_failed(&reload->stats);
        retry_failed(&reload->retry, &error, "the former connections stay in use",
                     now_ms + RETRY_MS);
        return;
    }
    bool failed_before = reload->retry.failure != NULL;
    if (!has_changed && !failed_before && connections_equal(reload->in_use, connections))
        return;
    log_new_invalid(connections, reload->in_use);
    /* The triggers keep them until the next hand-over, which is made here, too. */
    const struct connections *loaded = connections;
    if (!hand_over_connections(to, TAKE(connections))) {
        error_unavailable(&error, "event loop not responding: cannot load %s", reload->path);
        retry_failed(&reload->retry, &error, "retrying", now_ms);
        return;
    }
    retry_done(&reload->retry);
    note_loaded(reload, loaded);
    log_info("%s reloaded: %zu connections, %zu invalid", reload->path, loaded->count,
             connections_count_invalid(loaded));
}
