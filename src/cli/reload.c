#include "cli/reload.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/watch.h"
#include "measure/scaler.h"
#include "scale/named.h"

#include <stdlib.h>

/* A turn of the server is over in milliseconds. One that has ended takes none. */
enum { HAND_OVER_MS = 10000 };

struct reload {
    const char *path;
    struct watch *watch; /* of all files of the last reading */
    bool is_late;        /* the server did not take what was read */
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
    *ret_reload = reload;
    return true;
}

void reload_end(struct reload *reload)
{
    if (reload == NULL)
        return;
    watch_free(reload->watch);
    free(reload);
}

struct hand_over {
    struct external_scaler *scaler;
    struct connections *connections;
};

static void hand_over(void *context)
{
    struct hand_over *it = context;
    external_scaler_set_connections(it->scaler, TAKE(it->connections));
}

void reload_look(struct reload *reload, bool asked, struct errands *errands,
                 struct external_scaler *scaler)
{
    _cleanup_(error_done) struct error error = {0};
    struct hand_over it = {.scaler = scaler};
    if (reload->path == NULL)
        return;
    if (!watch_has_changed(reload->watch) && !asked && !reload->is_late)
        return;
    reload->is_late = false;
    if (!load(reload, &it.connections, &error)) {
        log_error("%s; what was loaded before stays", error_text(&error));
        return;
    }
    size_t count = it.connections->count;
    reload->is_late = !errands_run(errands, hand_over, &it, HAND_OVER_MS);
    if (reload->is_late)
        log_error("the server is too busy to take %s; it is tried again", reload->path);
    else
        log_info("%s is reloaded: it has %zu connections", reload->path, count);
    connections_free(it.connections);
}
