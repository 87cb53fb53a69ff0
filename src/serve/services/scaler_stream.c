#include "serve/services/scaler_stream.h"

#include "base/clock.h"
#include "base/memory.h"
#include "serve/services/reply.h"
#include "serve/services/scaler_call.h"

#include <sys/param.h>
#include <utlist.h>

/* `count` is of its kind. A trigger has one of each from KEDA 2.21 on: counted together, some would
 * have two places and others none. */
static bool open_stream(struct scaler_call *call, size_t *count)
{
    const struct scaler_calls *calls = scaler_call_shared(call);
    bool all_are_open = *count >= calls->max_streams;
    if (all_are_open || !call_exclude_from_limit(call->rpc.call)) {
        _cleanup_(error_done) struct error error = {0};
        error_set(&error, ERROR_LIMIT,
                  all_are_open ? "all %zu streams are in use (--max-streams)"
                               : "no stream is free (--max-streams: %zu): many have ended, and "
                                 "their clients do not read that",
                  calls->max_streams);
        rpc_finish_with(&call->rpc, &error);
        return false;
    }
    call->is_stream = true;
    call->counted_in = count;
    (*count)++;
    return true;
}

/* How long it took is only known of what was idle before, while this stream watched. */
static void count_push(const struct scaler_call *call, const struct answer *answer)
{
    struct answer_stats *stats = &scaler_call_shared(call)->stats;
    if (call->stream != STREAM_INACTIVE) {
        stats->heartbeats++;
        return;
    }
    stats->pushes++;
    if (call->was_idle)
        histogram_add(&stats->activations, (double)(clock_now_us() - answer->began_at_us) / 1e6);
}

/* Whether one is due is looked at so often in the time of a heartbeat. */
enum { LOOKS_PER_HEARTBEAT = 4 };

static void plan_heartbeat(struct scaler_call *call, int64_t now_ms)
{
    int64_t heartbeat_ms = scaler_call_shared(call)->heartbeat_ms;
    call->due_ms = now_ms + MAX(heartbeat_ms / LOOKS_PER_HEARTBEAT, 1);
    scaler_call_put_on(call, &scaler_call_shared(call)->heartbeats);
}

/* KEDA writes to the Kubernetes API at each `true`, as at each poll of an active trigger. So while
 * polls are answered that it is active, no heartbeat is needed. */
static bool is_heartbeat_due(const struct scaler_call *call, int64_t now_ms)
{
    const struct trigger_last_answer *polled = &call->trigger->answers.round;
    int64_t told_ms = call->told_ms;
    if (polled->call != NULL && polled->answer.kind == ANSWER_VALUE && polled->answer.active)
        told_ms = MAX(told_ms, polled->at_ms);
    return now_ms - told_ms >= scaler_call_shared(call)->heartbeat_ms;
}

/* State, not events: what could not be sent is sent as soon as the stream takes it. */
static void send_active(struct scaler_call *call, const struct answer *answer, int64_t now_ms)
{
    count_push(call, answer);
    scaler_call_record_answer(call, answer, now_ms);
    call->was_idle = false;
    call->told_ms = now_ms;
    call->stream = reply_active(call->rpc.call, true) ? STREAM_ACTIVE : STREAM_ACTIVE_UNSENT;
    plan_heartbeat(call, now_ms);
}

static void record_inactive(struct scaler_call *call)
{
    call->stream = STREAM_INACTIVE;
    scaler_call_put_on(call, NULL);
}

/* `true` on each change to active, never `false`: before KEDA 2.18 it could deactivate an object
 * whose other triggers were active. What becomes unknown stays as it was sent until the heartbeat
 * finds it so. */
static void update_stream(struct scaler_call *call, int64_t now_ms, bool out_of_time)
{
    _cleanup_(answer_done) struct answer now = {0};
    if (out_of_time && !is_heartbeat_due(call, now_ms)) {
        plan_heartbeat(call, now_ms);
        return;
    }
    if (call->trigger->bound.query == NULL && !scaler_call_find_query(call, now_ms)) {
        if (!call->rpc.finished) /* the connections file may have its connection again */
            record_inactive(call);
        return;
    }
    scaler_call_decide(call, now_ms, false, &now);
    bool active = now.kind == ANSWER_VALUE && now.active;
    bool idle = now.kind == ANSWER_VALUE && !now.active;
    bool heartbeat = out_of_time || call->stream == STREAM_ACTIVE_DUE;

    if (active && (call->stream == STREAM_INACTIVE || heartbeat))
        send_active(call, &now, now_ms);
    else if (now.kind == ANSWER_WAIT && heartbeat) {
        /* The reading that is awaited decides it. Where none comes, as the connection has failed,
         * the next look finds it so. */
        call->stream = STREAM_ACTIVE_DUE;
        plan_heartbeat(call, now_ms);
    } else if (idle || heartbeat)
        record_inactive(call);
    if (now.kind == ANSWER_WAIT && call->trigger->bound.query != NULL)
        query_demand(call->trigger->bound.query, now.needed_from_ms);
    call->was_idle = call->was_idle || idle;
    watcher_set_idle_interval(&call->watcher, idle ? call->trigger->parsed.idle_interval_ms : 0);
}

void scaler_stream_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct scaler_call *call = (struct scaler_call *)rpc;
    _cleanup_(error_done) struct error error = {0};
    call->update = update_stream;
    if (!open_stream(call, &scaler_call_shared(call)->push_streams))
        return;
    if (!scaler_call_find_trigger(call, (const Externalscaler__ScaledObjectRef *)request, now_ms,
                                  &error)) {
        rpc_finish_with(&call->rpc, &error);
        return;
    }
    bool has_query = scaler_call_find_query(call, now_ms);
    if (call->rpc.finished)
        return;
    scaler_call_watch(call);
    if (has_query)
        update_stream(call, now_ms, false);
}

/* A trigger's specs follow from its metadata, and new metadata comes on a new stream. A limit ends
 * the stream, which KEDA opens again within a minute, and until then its HPA keeps what it has:
 * specs of an invalid trigger would replace them for as long as the stream is open. */
void scaler_stream_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct scaler_call *call = (struct scaler_call *)rpc;
    _cleanup_(error_done) struct error error = {0};
    if (!open_stream(call, &scaler_call_shared(call)->spec_streams))
        return;
    if (scaler_call_find_trigger(call, (const Externalscaler__ScaledObjectRef *)request, now_ms,
                                 &error))
        scaler_call_reply_spec(call);
    else
        rpc_finish_with(&call->rpc, &error);
}

void scaler_stream_writable(struct rpc *rpc)
{
    struct scaler_call *call = (struct scaler_call *)rpc;
    if (call->stream == STREAM_ACTIVE_UNSENT && reply_active(rpc->call, true))
        call->stream = STREAM_ACTIVE;
}
