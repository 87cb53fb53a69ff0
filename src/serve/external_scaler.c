#include "serve/external_scaler.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/ask.h"
#include "serve/reply.h"

#include <stdlib.h>
#include <utlist.h>

/* ---- IsActive and GetMetrics ---- */

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Whatever it waits for is measured once for all who do, and even if they leave. */
static void wait_for_news(struct ask *ask, const struct answer *answer)
{
    struct external_scaler *scaler = ask_scaler(ask);
    ask_watch(ask);
    query_demand(ask->trigger->query, answer->needed_from_ms);
    if (ask->list != NULL)
        return;
    int64_t patience_ms = earliest(ANSWER_PATIENCE_MS, scaler->settings.call_deadline_ms);
    ask->due_ms = ask->arrived_ms + patience_ms;
    ask_put_on(ask, &scaler->waiting);
}

/* Answers a call, or has it wait for the next measurement. True: it was answered. */
static bool settle(struct ask *ask, int64_t now_ms, bool out_of_time, struct answer *ret_answer)
{
    ask_decide(ask, now_ms, out_of_time, ret_answer);
    if (ret_answer->kind == ANSWER_WAIT) {
        wait_for_news(ask, ret_answer);
        answer_done(ret_answer);
        ask_decide(ask, now_ms, out_of_time, ret_answer); /* with what came before it watched */
    }
    if (ret_answer->kind == ANSWER_WAIT)
        return false;
    if (ret_answer->is_unanswered) /* it may not have waited: the source is stuck */
        query_demand(ask->trigger->query, ret_answer->needed_from_ms);
    answer_stats_add(&ask_scaler(ask)->stats, ret_answer);
    ask_tell(ask, ret_answer, now_ms);
    return true;
}

static void is_active_news(struct ask *ask, int64_t now_ms, bool out_of_time)
{
    _cleanup_(answer_done) struct answer answer = {0};
    if (!settle(ask, now_ms, out_of_time, &answer))
        return;
    if (answer.kind == ANSWER_VALUE)
        reply_active(ask->rpc.call, answer.active);
    rpc_finish_with(&ask->rpc, &answer.error);
}

/* The second call of a round repeats what the first one was answered. */
static void ask_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    ask->news = is_active_news;
    ask->arrived_ms = now_ms;
    if (!ask_understand(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms))
        return;
    const struct answer *round = trigger_round(ask->trigger, now_ms);
    if (round == NULL) {
        is_active_news(ask, now_ms, false);
        return;
    }
    answer_stats_add(&ask_scaler(ask)->stats, round);
    ask_tell(ask, round, now_ms);
    if (round->kind == ANSWER_VALUE)
        reply_active(ask->rpc.call, round->active);
    rpc_finish_with(&ask->rpc, &round->error);
}

static void get_metrics_news(struct ask *ask, int64_t now_ms, bool out_of_time)
{
    _cleanup_(answer_done) struct answer answer = {0};
    if (!settle(ask, now_ms, out_of_time, &answer))
        return;
    trigger_begin_round(ask->trigger, &answer, now_ms);
    if (answer.kind == ANSWER_VALUE)
        reply_metrics(ask->rpc.call, ask->trigger->metric_name, answer.value);
    rpc_finish_with(&ask->rpc, &answer.error);
}

static void ask_get_metrics(struct rpc *rpc, const ProtobufCMessage *message, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    ask->news = get_metrics_news;
    ask->arrived_ms = now_ms;
    const Externalscaler__GetMetricsRequest *request =
        (const Externalscaler__GetMetricsRequest *)message;
    if (!ask_understand(ask, request->scaledobjectref, now_ms))
        return;
    if (request->metricname[0] == '\0' || trigger_has_metric(ask->trigger, request->metricname)) {
        get_metrics_news(ask, now_ms, false);
        return;
    }
    _cleanup_(error_done) struct error error = {0};
    error_invalid(&error, "metricName \"%.*s\" is not this trigger's: its metric is \"%s\"",
                  (int)text_cut(request->metricname, 64), request->metricname,
                  ask->trigger->metric_name);
    ask_refuse(ask, &error, now_ms);
}

/* ---- GetMetricSpec ---- */

/* Wrong metadata is answered too: KEDA shows nobody the error of this call, and one that fails takes
 * the object's other triggers with it (#8056, #5914). GetMetrics tells the mistakes. */
static void ask_get_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    _cleanup_(error_done) struct error error = {0};
    if (ask_find_trigger(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms, &error))
        reply_specs(ask->rpc.call, ask->trigger->metric_name, ask->trigger->target);
    rpc_finish_with(&ask->rpc, &error);
}

/* ---- the hooks ---- */

static void left(struct rpc *rpc)
{
    struct ask *ask = (struct ask *)rpc;
    ask_put_on(ask, NULL);
    if (ask->is_watching)
        trigger_unwatch(ask->trigger, &ask->watcher);
    if (ask->is_stream)
        ask_scaler(ask)->streams_count--;
    if (ask->trigger != NULL)
        trigger_unpin(ask->trigger);
}

/* Has those at the front of a list whose time has come act; returns when the next one's comes. */
static int64_t handle_due(struct ask **list, int64_t now_ms)
{
    while (*list != NULL && (*list)->due_ms <= now_ms)
        (*list)->news(*list, now_ms, true);
    return *list == NULL ? CLOCK_NEVER : (*list)->due_ms;
}

/* Those that have been patient: an older reading may do now, or they wait on. */
static int64_t handle_patient(struct external_scaler *scaler, int64_t now_ms)
{
    struct ask *ask;
    while ((ask = scaler->waiting) != NULL && ask->due_ms <= now_ms) {
        ask->due_ms = ask->arrived_ms + scaler->settings.call_deadline_ms;
        ask_put_on(ask, &scaler->late);
        ask->news(ask, now_ms, false);
    }
    return scaler->waiting == NULL ? CLOCK_NEVER : scaler->waiting->due_ms;
}

/* A bounded number of triggers in each turn: calls wait meanwhile. */
enum { RENEWED_PER_TURN = 500 };

static int64_t turn(void *context, int64_t now_ms)
{
    struct external_scaler *scaler = context;
    struct triggers *triggers = scaler->settings.triggers;
    struct watcher *watcher;
    if (scaler->settings.errands != NULL)
        errands_turn(scaler->settings.errands);
    bool is_renewing = triggers_renew(triggers, RENEWED_PER_TURN);
    while ((watcher = engine_next_ready(scaler->settings.engine)) != NULL) {
        struct ask *ask = watcher->asker;
        if (!ask->rpc.finished)
            ask->news(ask, now_ms, false);
    }
    int64_t due_ms = earliest(handle_patient(scaler, now_ms), handle_due(&scaler->beating, now_ms));
    due_ms = earliest(due_ms, handle_due(&scaler->late, now_ms));
    if (scaler->forget_at_ms <= now_ms)
        scaler->forget_at_ms = triggers_forget(triggers, now_ms);
    return is_renewing ? now_ms : earliest(due_ms, scaler->forget_at_ms);
}

#define SERVICE "externalscaler.ExternalScaler"
#define PATH(name) "/" SERVICE "/" name

static const struct method methods[] = {
    {PATH("GetMetrics"), &externalscaler__get_metrics_request__descriptor, ask_get_metrics},
    {PATH("IsActive"), &externalscaler__scaled_object_ref__descriptor, ask_is_active},
    {PATH("GetMetricSpec"), &externalscaler__scaled_object_ref__descriptor, ask_get_metric_spec},
    {PATH("StreamIsActive"), &externalscaler__scaled_object_ref__descriptor, stream_is_active,
     METHOD_STREAM},
    {PATH("StreamMetricSpec"), &externalscaler__scaled_object_ref__descriptor, stream_metric_spec,
     METHOD_STREAM},
};

struct external_scaler *external_scaler_new(const struct external_scaler_settings *settings)
{
    struct external_scaler *scaler = memory_new(sizeof(*scaler));
    scaler->settings = *settings;
    scaler->service = (struct rpc_service){
        .name = SERVICE,
        .methods = methods,
        .method_count = ARRAY_LENGTH(methods),
        .rpc_bytes = sizeof(struct ask),
        .context = scaler,
        .left = left,
        .writable = stream_writable,
        .turn = turn,
    };
    return scaler;
}

void external_scaler_set_connections(struct external_scaler *scaler,
                                     struct connections *connections)
{
    triggers_set_connections(scaler->settings.triggers, connections);
}

void external_scaler_write_metrics(const struct external_scaler *scaler, struct text *page)
{
    answer_stats_write(&scaler->stats, page);
}

void external_scaler_free(struct external_scaler *scaler)
{
    free(scaler);
}

const struct rpc_service *external_scaler_service(const struct external_scaler *scaler)
{
    return &scaler->service;
}
