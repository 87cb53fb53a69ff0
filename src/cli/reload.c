#include "cli/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/watch.h"
#include "cli/retry.h"
#include "measure/scaler.h"
#include "scale/named.h"

#include <stdlib.h>

/* A turn of the server is over in milliseconds. One that has ended takes none. */
enum { HAND_OVER_MS = 10000 };

struct reload {
    const char *path;
    struct watch *watch; /* of all files of the last reading */
    struct retry retry;
    struct reload_stats stats;
};

static void free_connections(struct connections **connections)
{
    connections_free(*connections);
}

static bool load(struct reload *reload, struct connections **ret_connections, struct error *error)
{
    _cleanup_(free_connections) struct connections *connections = NULL;
    watch_free(reload->watch);
    reload->watch = watch_new();
    if (!connections_load(reload->path, reload->watch, &connections, error))
        return false;
    if (!named_check(connections, scaler_list, error))
        return error_prefix(error, "%s", reload->path);
    *ret_connections = TAKE(connections);
    return true;
}

bool reload_begin(const char *path, struct reload **ret_reload,
                  struct connections **ret_connections, struct error *error)
{
    struct reload *reload = memory_new(sizeof(*reload));
    reload->path = path;
    if (path != NULL && !load(reload, ret_connections, error)) {
        reload_end(reload);
        return false;
    }
    reload_stats_good(&reload->stats);
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
    watch_free(reload->watch);
    retry_done(&reload->retry);
    free(reload);
}

struct hand_over {
    struct external_scaler *scaler;
    struct connections *connections;
};

static void hand_over(void *context)
{
    struct hand_over *it = context;
    external_scaler_set_connections(it->scaler, it->connections);
    it->connections = NULL;
}

static bool give(struct reload *reload, struct connections **connections,
                 struct loop_calls *loop_calls, struct external_scaler *scaler, struct error *error)
{
    struct hand_over it = {scaler, *connections};
    loop_calls_run(loop_calls, hand_over, &it, HAND_OVER_MS);
    *connections = it.connections;
    return it.connections == NULL ||
           error_unavailable(error, "event loop not responding: cannot load %s", reload->path);
}

void reload_check(struct reload *reload, bool is_requested, struct loop_calls *loop_calls,
                  struct external_scaler *scaler)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(free_connections) struct connections *connections = NULL;
    int64_t now_ms = clock_now_ms();
    if (reload->path == NULL)
        return;
    bool has_changed = watch_has_changed(reload->watch) || is_requested;
    if (!retry_is_due(&reload->retry, has_changed, now_ms))
        return;
    if (!load(reload, &connections, &error)) {
        reload_stats_failed(&reload->stats);
        retry_failed(&reload->retry, &error, "the former connections stay in use",
                     now_ms + RETRY_MS);
        return;
    }
    size_t count = connections->count;
    if (!give(reload, &connections, loop_calls, scaler, &error)) {
        retry_failed(&reload->retry, &error, "retrying", now_ms);
        return;
    }
    retry_done(&reload->retry);
    reload_stats_good(&reload->stats);
    log_info("%s reloaded: %zu connections", reload->path, count);
}
