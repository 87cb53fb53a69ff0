#include "serve/services/external_scaler.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/trigger/trigger_answers.h"
#include "serve/services/reply.h"
#include "serve/services/scaler_call.h"
#include "serve/services/scaler_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    PAUSE_MS = 10 * 1000,        /* a turn that is so late comes after a pause */
    LONGEST_WAIT_MS = 60 * 1000, /* between two turns, so that a pause is noticed */
};

struct external_scaler {
    struct scaler_calls calls; /* the service's context */
    struct rpc_service service;
    struct loop_calls *loop_calls;
    int64_t expire_at_ms;
    int64_t turn_due_ms; /* when the next turn is due at the latest; 0: there was none */
};

/* ---- IsActive and GetMetrics ---- */

/* Whatever it waits for is measured once for all who do, and even if they leave. */
static void wait_for_reading(struct scaler_call *call, const struct answer *answer)
{
    struct scaler_calls *calls = scaler_call_shared(call);
    scaler_call_watch(call);
    if (call->trigger->bound.query != NULL)
        query_demand(call->trigger->bound.query, answer->needed_from_ms);
    if (call->list != NULL)
        return;
    int64_t patience_ms = MIN(ANSWER_PATIENCE_MS, calls->call_timeout_ms);
    call->due_ms = call->arrived_ms + patience_ms;
    scaler_call_put_on(call, &calls->waiting);
}

/* Answers a call, or has it wait for the next measurement. True: it was answered. A reading may
 * come between the decision to wait and the watch: none would notify of it, so it decides again. */
static bool answer_or_wait(struct scaler_call *call, int64_t now_ms, bool out_of_time,
                           struct answer *ret_answer)
{
    scaler_call_decide(call, now_ms, out_of_time, ret_answer);
    if (ret_answer->kind == ANSWER_WAIT) {
        wait_for_reading(call, ret_answer);
        answer_done(ret_answer);
        scaler_call_decide(call, now_ms, out_of_time, ret_answer);
    }
    if (ret_answer->kind == ANSWER_WAIT)
        return false;
    if (ret_answer->is_unanswered) /* it may not have waited: the source is stuck */
        query_demand(call->trigger->bound.query, ret_answer->needed_from_ms);
    answer_stats_add(&scaler_call_shared(call)->stats, ret_answer);
    scaler_call_record_answer(call, ret_answer, now_ms);
    return true;
}

static void update_is_active(struct scaler_call *call, int64_t now_ms, bool out_of_time)
{
    _cleanup_(answer_done) struct answer answer = {0};
    if (!answer_or_wait(call, now_ms, out_of_time, &answer))
        return;
    if (answer.kind == ANSWER_VALUE)
        reply_active(call->rpc.call, answer.active);
    rpc_finish_with(&call->rpc, &answer.error);
}

/* The second call of a round repeats what the first one was answered. */
static void handle_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct scaler_call *call = (struct scaler_call *)rpc;
    call->update = update_is_active;
    call->arrived_ms = now_ms;
    if (!scaler_call_prepare(call, (const Externalscaler__ScaledObjectRef *)request, now_ms))
        return;
    const struct answer *round = trigger_answers_round(call->trigger, now_ms);
    if (round == NULL) {
        update_is_active(call, now_ms, false);
        return;
    }
    struct answer again = *round;
    again.age_ms += now_ms - call->trigger->answers.round.at_ms;
    answer_stats_add(&scaler_call_shared(call)->stats, &again);
    scaler_call_record_answer(call, &again, now_ms);
    if (again.kind == ANSWER_VALUE)
        reply_active(call->rpc.call, again.active);
    rpc_finish_with(&call->rpc, &again.error);
}

static void update_get_metrics(struct scaler_call *call, int64_t now_ms, bool out_of_time)
{
    _cleanup_(answer_done) struct answer answer = {0};
    if (!answer_or_wait(call, now_ms, out_of_time, &answer))
        return;
    trigger_answers_begin_round(call->trigger, &answer, now_ms);
    if (answer.kind == ANSWER_VALUE)
        reply_metrics(call->rpc.call, call->trigger->parsed.metric_name, answer.value);
    rpc_finish_with(&call->rpc, &answer.error);
}

static void handle_get_metrics(struct rpc *rpc, const ProtobufCMessage *message, int64_t now_ms)
{
    struct scaler_call *call = (struct scaler_call *)rpc;
    call->update = update_get_metrics;
    call->arrived_ms = now_ms;
    const Externalscaler__GetMetricsRequest *request =
        (const Externalscaler__GetMetricsRequest *)message;
    if (!scaler_call_prepare(call, request->scaledobjectref, now_ms))
        return;
    if (request->metricname[0] == '\0' || trigger_has_metric(call->trigger, request->metricname)) {
        update_get_metrics(call, now_ms, false);
        return;
    }
    _cleanup_(error_done) struct error error = {0};
    error_invalid(&error, "metricName \"%.*s\" is not this trigger's: its metric is \"%s\"",
                  (int)text_cut(request->metricname, 64), request->metricname,
                  call->trigger->parsed.metric_name);
    scaler_call_refuse(call, &error, now_ms);
}

/* ---- GetMetricSpec ---- */

/* Wrong metadata is answered too: KEDA shows nobody the error of this call, and one that fails
 * takes the object's other triggers with it (#8056, #5914). GetMetrics reports the mistakes. */
static void handle_get_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct scaler_call *call = (struct scaler_call *)rpc;
    _cleanup_(error_done) struct error error = {0};
    if (scaler_call_find_trigger(call, (const Externalscaler__ScaledObjectRef *)request, now_ms,
                                 &error))
        scaler_call_reply_spec(call);
    else if (error.code == ERROR_LIMIT) {
        reply_specs(rpc->call, TRIGGER_INVALID_METRIC, 1);
        error_done(&error);
    }
    rpc_finish_with(&call->rpc, &error);
}

/* ---- the hooks ---- */

static void end_scaler_call(struct rpc *rpc)
{
    struct scaler_call *call = (struct scaler_call *)rpc;
    scaler_call_put_on(call, NULL);
    if (call->is_watching)
        trigger_unwatch(call->trigger, &call->watcher);
    if (call->is_stream)
        (*call->counted_in)--;
    if (call->trigger != NULL)
        triggers_unpin(scaler_call_shared(call)->triggers, call->trigger, clock_now_ms());
}

/* Other calls wait meanwhile, so a turn has a bounded number, and ends after so long. */
enum { RENEWED_PER_TURN = 500, UPDATED_PER_TURN = 1000, UPDATED_BETWEEN_LOOKS = 16, TURN_MS = 3 };

/* Whether one more may be updated in a turn that began then. */
static bool goes_on(int updated, int64_t began_ms)
{
    return updated < UPDATED_PER_TURN &&
           (updated % UPDATED_BETWEEN_LOOKS != UPDATED_BETWEEN_LOOKS - 1 ||
            clock_now_ms() < began_ms + TURN_MS);
}

/* Has those at the front of a list whose time has come act; returns when the next one's comes. */
static int64_t handle_due(struct scaler_call **list, int64_t now_ms)
{
    for (int i = 0; goes_on(i, now_ms) && *list != NULL && (*list)->due_ms <= now_ms; i++)
        (*list)->update(*list, now_ms, true);
    return *list == NULL ? CLOCK_NEVER : (*list)->due_ms;
}

/* Those that have been patient: an older reading may do now, or they wait on. */
static int64_t handle_patient(struct scaler_calls *calls, int64_t now_ms)
{
    struct scaler_call *call;
    for (int i = 0; goes_on(i, now_ms); i++) {
        call = calls->waiting;
        if (call == NULL || call->due_ms > now_ms)
            break;
        call->due_ms = call->arrived_ms + calls->call_timeout_ms;
        scaler_call_put_on(call, &calls->late);
        call->update(call, now_ms, false);
    }
    return calls->waiting == NULL ? CLOCK_NEVER : calls->waiting->due_ms;
}

/* Those that a measurement has news for; returns when to go on. */
static int64_t handle_ready(const struct scaler_calls *calls, int64_t now_ms)
{
    for (int i = 0; goes_on(i, now_ms); i++) {
        struct watcher *watcher = engine_next_ready(calls->engine);
        if (watcher == NULL)
            return CLOCK_NEVER;
        struct scaler_call *call = watcher->caller;
        if (!call->rpc.finished)
            call->update(call, now_ms, false);
    }
    return now_ms;
}

/* The host slept, or the process was stopped: nobody could call meanwhile. */
static bool has_paused(const struct external_scaler *scaler, int64_t now_ms)
{
    return scaler->turn_due_ms != 0 && now_ms > scaler->turn_due_ms + PAUSE_MS;
}

static int64_t scaler_turn(void *context, int64_t now_ms)
{
    struct external_scaler *scaler = context;
    _Static_assert(offsetof(struct external_scaler, calls) == 0, "the context is its calls");
    struct scaler_calls *calls = &scaler->calls;
    if (scaler->loop_calls != NULL)
        loop_calls_turn(scaler->loop_calls);
    bool is_renewing = triggers_renew(calls->triggers, RENEWED_PER_TURN);
    int64_t due_ms = handle_ready(calls, now_ms);
    due_ms = clock_earlier(due_ms, handle_patient(calls, now_ms));
    due_ms = clock_earlier(due_ms, handle_due(&calls->heartbeats, now_ms));
    due_ms = clock_earlier(due_ms, handle_due(&calls->late, now_ms));
    if (has_paused(scaler, now_ms)) {
        triggers_resume(calls->triggers, now_ms);
        scaler->expire_at_ms = 0;
    }
    if (scaler->expire_at_ms <= now_ms)
        scaler->expire_at_ms = triggers_expire(calls->triggers, now_ms);
    due_ms = is_renewing ? now_ms : clock_earlier(due_ms, scaler->expire_at_ms);
    scaler->turn_due_ms = clock_earlier(due_ms, now_ms + LONGEST_WAIT_MS);
    return scaler->turn_due_ms;
}

#define SERVICE "externalscaler.ExternalScaler"
#define PATH(name) "/" SERVICE "/" name

static const struct method methods[] = {
    {PATH("GetMetrics"), &externalscaler__get_metrics_request__descriptor, handle_get_metrics},
    {PATH("IsActive"), &externalscaler__scaled_object_ref__descriptor, handle_is_active},
    {PATH("GetMetricSpec"), &externalscaler__scaled_object_ref__descriptor, handle_get_metric_spec},
    {PATH("StreamIsActive"), &externalscaler__scaled_object_ref__descriptor,
     scaler_stream_is_active, METHOD_STREAM},
    {PATH("StreamMetricSpec"), &externalscaler__scaled_object_ref__descriptor,
     scaler_stream_metric_spec, METHOD_STREAM},
};

struct external_scaler *external_scaler_new(const struct external_scaler_settings *settings)
{
    struct external_scaler *scaler = memory_new(sizeof(*scaler));
    scaler->loop_calls = settings->loop_calls;
    scaler->calls = (struct scaler_calls){
        .triggers = settings->triggers,
        .engine = settings->engine,
        .call_timeout_ms = settings->call_timeout_ms,
        .heartbeat_ms = settings->heartbeat_ms,
        .max_streams = settings->max_streams,
    };
    scaler->service = (struct rpc_service){
        .name = SERVICE,
        .methods = methods,
        .method_count = ARRAY_LENGTH(methods),
        .rpc_bytes = sizeof(struct scaler_call),
        .context = &scaler->calls,
        .end = end_scaler_call,
        .writable = scaler_stream_writable,
        .turn = scaler_turn,
    };
    return scaler;
}

void external_scaler_write_metrics(const struct external_scaler *scaler, struct text *page)
{
    answer_stats_write(&scaler->calls.stats, page);
}

void external_scaler_free(struct external_scaler *scaler)
{
    free(scaler);
}

const struct rpc_service *external_scaler_service(const struct external_scaler *scaler)
{
    return &scaler->service;
}
