/* The streams: StreamIsActive, and StreamMetricSpec. */
#include "serve/ask.h"

#include "base/clock.h"
#include "base/memory.h"
#include "serve/reply.h"

#include <utlist.h>

static bool open_stream(struct ask *ask)
{
    struct external_scaler *scaler = ask_scaler(ask);
    if (scaler->streams_count >= scaler->settings.most_streams) {
        _cleanup_(error_done) struct error error = {0};
        error_set(&error, ERROR_LIMIT, "all %zu streams are in use (--max-streams)",
                  scaler->settings.most_streams);
        rpc_finish_with(&ask->rpc, &error);
        return false;
    }
    ask->is_stream = true;
    scaler->streams_count++;
    call_stays(ask->rpc.call);
    return true;
}

/* How long it took is only known of what was idle before, while this stream watched. */
static void count_push(const struct ask *ask, const struct answer *answer)
{
    struct answer_stats *stats = &ask_scaler(ask)->stats;
    if (ask->told) {
        stats->heartbeats++;
        return;
    }
    stats->pushes++;
    if (ask->was_idle)
        histogram_add(&stats->activations, (double)(clock_now_us() - answer->began_at_us) / 1e6);
}

/* State, not events: what could not be sent is sent as soon as the stream has room. */
static void tell_active(struct ask *ask, const struct answer *answer, int64_t now_ms)
{
    count_push(ask, answer);
    ask_tell(ask, answer, now_ms);
    ask->told = true;
    ask->owes_beat = false;
    ask->was_idle = false;
    ask->must_tell = !reply_active(ask->rpc.call, true);
    ask->due_ms = now_ms + ask_scaler(ask)->settings.heartbeat_ms;
    ask_put_on(ask, &ask_scaler(ask)->beating);
}

void stream_tell_nothing(struct ask *ask)
{
    ask->told = false;
    ask->owes_beat = false;
    ask->must_tell = false;
    ask_put_on(ask, NULL);
}

/* The reading that is awaited decides it: heartbeats fall due when measurements do. */
static void postpone_beat(struct ask *ask)
{
    ask->owes_beat = true;
    ask_put_on(ask, NULL);
}

/* `true` on each change to active, never `false`: before KEDA 2.18 it could deactivate an object whose
 * other triggers were active. What becomes unknown stays as told until the heartbeat finds it so. */
static void news(struct ask *ask, int64_t now_ms, bool is_due)
{
    _cleanup_(answer_done) struct answer now = {0};
    if (ask->trigger->query == NULL && !ask_find_query(ask, now_ms)) {
        if (!ask->rpc.finished) /* the connections file may have its connection again */
            stream_tell_nothing(ask);
        return;
    }
    ask_decide(ask, now_ms, false, &now);
    bool active = now.kind == ANSWER_VALUE && now.active;
    bool idle = now.kind == ANSWER_VALUE && !now.active;
    bool heartbeat = is_due || ask->owes_beat;

    if (active && (!ask->told || heartbeat))
        tell_active(ask, &now, now_ms);
    else if (now.kind == ANSWER_WAIT && heartbeat)
        postpone_beat(ask);
    else if (idle || heartbeat)
        stream_tell_nothing(ask);
    ask->was_idle = ask->was_idle || idle;
    watcher_set_idle_interval(&ask->watcher, idle ? ask->trigger->idle_interval_ms : 0);
}

void stream_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    _cleanup_(error_done) struct error error = {0};
    ask->news = news;
    if (!open_stream(ask))
        return;
    if (!ask_find_trigger(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms, &error)) {
        rpc_finish_with(&ask->rpc, &error);
        return;
    }
    bool has_query = ask_find_query(ask, now_ms);
    if (ask->rpc.finished)
        return;
    ask_watch(ask);
    if (has_query)
        news(ask, now_ms, false);
}

/* A trigger's specs follow from its metadata, and new metadata comes on a new stream. */
void stream_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    _cleanup_(error_done) struct error error = {0};
    if (!open_stream(ask))
        return;
    if (ask_find_trigger(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms, &error))
        reply_specs(ask->rpc.call, ask->trigger->metric_name, ask->trigger->target);
    else
        rpc_finish_with(&ask->rpc, &error);
}

void stream_writable(struct rpc *rpc)
{
    struct ask *ask = (struct ask *)rpc;
    if (ask->must_tell)
        ask->must_tell = !reply_active(rpc->call, true);
}
