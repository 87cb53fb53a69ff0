#include "measure/connection/watcher.h"

#include "base/memory.h"
#include "measure/connection/connection_state.h"
#include "measure/connection/query_plan.h"
#include "measure/connection/subscription.h"

#include <utlist.h>

void watcher_start(struct watcher *watcher, struct query *query, bool is_stream)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    watcher->settings = connection->settings;
    watcher->query = query;
    watcher->is_stream = is_stream;
    DL_APPEND(query->watchers, watcher);
    query->streams += is_stream;
    if (!is_stream)
        return;
    query_plan(query, connection_now_ms(connection));
    connection->settings->hooks.wake_poller(connection);
}

void watcher_set_idle_interval(struct watcher *watcher, int64_t interval_ms)
{
    struct query *query = watcher->query;
    if (query == NULL || watcher->idle_interval_ms == interval_ms)
        return;
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    int64_t now_ms = connection_now_ms(connection);
    bool is_other = subscription_set_idle(query, watcher->idle_interval_ms, interval_ms, now_ms);
    watcher->idle_interval_ms = interval_ms;
    if (!is_other)
        return;
    query_plan(query, now_ms);
    connection->settings->hooks.wake_poller(connection);
}

static void unwatch(struct watcher *watcher)
{
    struct query *query = watcher->query;
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    DL_DELETE(query->watchers, watcher);
    query->streams -= watcher->is_stream;
    watcher->query = NULL;
    query_plan(query, connection_now_ms(connection));
}

void watcher_stop(struct watcher *watcher)
{
    watcher_set_idle_interval(watcher, 0);
    if (watcher->query != NULL)
        unwatch(watcher);
    if (watcher->settings != NULL)
        watcher->settings->hooks.watcher_not_ready(watcher->settings->hooks.context, watcher);
}
