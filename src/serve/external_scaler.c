#include "serve/external_scaler.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/ask.h"
#include "serve/reply.h"

#include <stdlib.h>

/* ---- IsActive and GetMetrics ---- */

static void wait_for_news(struct ask *ask, int64_t now_ms)
{
    ask->due_ms = now_ms + ask_scaler(ask)->settings.call_deadline_ms;
    ask_put_on(ask, &ask_scaler(ask)->waiting);
    ask_watch(ask);
}

static void tell(struct ask *ask, const struct answer *answer, int64_t now_ms)
{
    answer_stats_add(&ask_scaler(ask)->stats, answer);
    ask_tell(ask, answer, now_ms);
}

/* Answers a call, or has it wait for the next measurement. */
static void settle(struct ask *ask, int64_t now_ms, bool out_of_time,
                   void (*send)(struct ask *ask, const struct answer *answer))
{
    _cleanup_(answer_done) struct answer now = {0};
    ask_decide(ask, now_ms, out_of_time, &now);
    if (now.kind == ANSWER_WAIT && ask->list == NULL) {
        wait_for_news(ask, now_ms);
        ask_decide(ask, now_ms, out_of_time, &now); /* with what came before anybody watched */
    }
    if (now.kind == ANSWER_WAIT)
        return;
    tell(ask, &now, now_ms);
    if (now.kind == ANSWER_VALUE)
        send(ask, &now);
    rpc_finish_with(&ask->rpc, &now.error);
}

static void send_is_active(struct ask *ask, const struct answer *answer)
{
    reply_active(ask->rpc.call, answer->active);
}

static void is_active_news(struct ask *ask, int64_t now_ms, bool out_of_time)
{
    settle(ask, now_ms, out_of_time, send_is_active);
}

static void ask_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    ask->news = is_active_news;
    if (ask_understand(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms))
        is_active_news(ask, now_ms, false);
}

static void send_metrics(struct ask *ask, const struct answer *answer)
{
    reply_metrics(ask->rpc.call, ask->trigger->metric_name, answer->value);
}

static void get_metrics_news(struct ask *ask, int64_t now_ms, bool out_of_time)
{
    settle(ask, now_ms, out_of_time, send_metrics);
}

static void ask_get_metrics(struct rpc *rpc, const ProtobufCMessage *message, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    ask->news = get_metrics_news;
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
    watcher_stop(&ask->watcher);
    if (ask->is_stream)
        stream_close(ask);
    if (ask->trigger != NULL)
        trigger_let_go(ask->trigger);
}

/* Has those at the front of a list whose time has come act; returns when the next one's comes. */
static int64_t handle_due(struct ask **list, int64_t now_ms)
{
    while (*list != NULL && (*list)->due_ms <= now_ms)
        (*list)->news(*list, now_ms, true);
    return *list == NULL ? CLOCK_NEVER : (*list)->due_ms;
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t turn(void *context, int64_t now_ms)
{
    struct external_scaler *scaler = context;
    struct watcher *watcher;
    if (scaler->settings.errands != NULL)
        errands_turn(scaler->settings.errands);
    if (scaler->is_renewing)
        renewal_go_on(scaler, now_ms);
    while ((watcher = engine_next_ready(scaler->settings.engine)) != NULL) {
        struct ask *ask = watcher->asker;
        ask->news(ask, now_ms, false);
    }
    int64_t due_ms =
        earliest(handle_due(&scaler->waiting, now_ms), handle_due(&scaler->beating, now_ms));
    if (scaler->forget_at_ms <= now_ms)
        scaler->forget_at_ms = triggers_forget(scaler->settings.triggers, now_ms);
    return scaler->is_renewing ? now_ms : earliest(due_ms, scaler->forget_at_ms);
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

bool external_scaler_set_connections(struct external_scaler *scaler,
                                     struct connections *connections)
{
    return renewal_begin(scaler, connections);
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
