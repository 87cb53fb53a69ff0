#include "serve/external_scaler.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "externalscaler.pb-c.h"
#include "serve/call_stats.h"
#include "serve/reply.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* More keys than any scaler has; a limit on what one request makes us compare. */
enum { MOST_METADATA_KEYS = 256 };

/* How long one turn renews triggers: calls wait meanwhile. */
enum { RENEW_MS = 5 };

/* One call in progress. It is on `waiting` while it waits for a measurement, on `beating` while it is a
 * stream that told `true` last; both lists are in the order of due_ms. */
struct ask {
    struct rpc rpc;
    struct trigger *trigger; /* kept */
    /* The answer to a call that had to wait, or news of a stream; NULL where it asks for no value. */
    void (*news)(struct ask *ask, int64_t now_ms, bool out_of_time);
    struct watcher watcher;
    int64_t due_ms;
    bool is_stream; /* counted as one */
    bool told;      /* a stream: `true` was told last */
    bool must_tell; /* a stream: the next free moment tells `true` */
    struct ask **list;
    struct ask *next, *prev;           /* in *list */
    struct ask *next_open, *prev_open; /* in scaler->streams */
};

struct external_scaler {
    struct external_scaler_settings settings;
    struct rpc_service service;
    struct ask *waiting;
    struct ask *beating;
    struct ask *streams;
    size_t streams_count;
    struct ask *next_renewed; /* of the streams, while is_renewing */
    bool is_renewing;         /* the connections file has changed */
    struct call_stats stats;
    int64_t forget_at_ms;
};

static struct external_scaler *scaler_of(const struct ask *ask)
{
    return ask->rpc.service->context;
}

static size_t method_number(const struct ask *ask)
{
    return (size_t)(ask->rpc.method - ask->rpc.service->methods);
}

static const char *method_name(const struct ask *ask)
{
    return scaler_of(ask)->stats.methods[method_number(ask)];
}

static void put_on(struct ask *ask, struct ask **list)
{
    if (ask->list != NULL)
        DL_DELETE(*ask->list, ask);
    ask->list = list;
    if (list != NULL)
        DL_APPEND(*list, ask);
}

/* ---- understanding the request ---- */

static bool find_trigger(struct ask *ask, const Externalscaler__ScaledObjectRef *message,
                         int64_t now_ms, struct error *error)
{
    struct option_entry entries[MOST_METADATA_KEYS];
    if (message == NULL)
        return error_invalid(error, "the request has no scaledObjectRef");
    if (message->n_scalermetadata > MOST_METADATA_KEYS)
        return error_invalid(error, "scalerMetadata has %zu keys: at most %d are allowed",
                             message->n_scalermetadata, MOST_METADATA_KEYS);

    for (size_t i = 0; i < message->n_scalermetadata; i++)
        entries[i] = (struct option_entry){message->scalermetadata[i]->key,
                                           message->scalermetadata[i]->value};
    struct trigger_ref ref = {message->name, message->namespace_, entries,
                              message->n_scalermetadata};
    if (!triggers_find(scaler_of(ask)->settings.triggers, &ref, now_ms, &ask->trigger, error))
        return false;
    trigger_keep(ask->trigger);
    return true;
}

/* The trigger's query. Where there is none the call is finished; but a stream whose connection is not to be
 * had stays open, as the next connections file may bring it. */
static bool find_query(struct ask *ask)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query;
    if (trigger_query(scaler_of(ask)->settings.triggers, ask->trigger, &query, &error))
        return true;
    if (!ask->is_stream || !ask->trigger->lacks_connection)
        rpc_finish_with(&ask->rpc, &error);
    return false;
}

/* Finds the trigger and its query; finishes the call where that fails. */
static bool understand(struct ask *ask, const Externalscaler__ScaledObjectRef *message,
                       int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    if (find_trigger(ask, message, now_ms, &error))
        return find_query(ask);
    rpc_finish_with(&ask->rpc, &error);
    return false;
}

static void watch(struct ask *ask)
{
    ask->watcher.asker = ask;
    watcher_start(&ask->watcher, ask->trigger->query);
}

static void decide(const struct ask *ask, int64_t now_ms, bool out_of_time,
                   struct answer *ret_answer)
{
    trigger_answer(ask->trigger, now_ms, out_of_time, ret_answer);
}

/* ---- IsActive and GetMetrics ---- */

static void wait_for_news(struct ask *ask, int64_t now_ms)
{
    ask->due_ms = now_ms + scaler_of(ask)->settings.call_deadline_ms;
    put_on(ask, &scaler_of(ask)->waiting);
    watch(ask);
}

/* For whoever asks why. */
static void tell(struct ask *ask, const struct answer *answer, int64_t now_ms)
{
    call_stats_answer(&scaler_of(ask)->stats, answer);
    trigger_tell(ask->trigger, method_name(ask), answer, now_ms);
}

/* Answers a call, or has it wait for the next measurement. */
static void settle(struct ask *ask, int64_t now_ms, bool out_of_time,
                   void (*send)(struct ask *ask, const struct answer *answer))
{
    _cleanup_(answer_done) struct answer now = {0};
    decide(ask, now_ms, out_of_time, &now);
    if (now.kind == ANSWER_WAIT && ask->list == NULL) {
        wait_for_news(ask, now_ms);
        decide(ask, now_ms, out_of_time, &now); /* with what came before anybody watched */
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
    if (understand(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms))
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
    if (!understand(ask, request->scaledobjectref, now_ms))
        return;
    if (request->metricname[0] == '\0' || trigger_has_metric(ask->trigger, request->metricname)) {
        get_metrics_news(ask, now_ms, false);
        return;
    }
    _cleanup_(error_done) struct error error = {0};
    error_invalid(&error, "metricName \"%.*s\" is not this trigger's: its metric is \"%s\"",
                  (int)text_cut(request->metricname, 64), request->metricname,
                  ask->trigger->metric_name);
    rpc_finish_with(&ask->rpc, &error);
}

/* ---- GetMetricSpec ---- */

/* Wrong metadata is answered too: KEDA shows nobody the error of this call, and one that fails takes
 * the object's other triggers with it (#8056, #5914). GetMetrics tells the mistakes. */
static void ask_get_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    _cleanup_(error_done) struct error error = {0};
    if (find_trigger(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms, &error))
        reply_specs(ask->rpc.call, ask->trigger->metric_name, ask->trigger->target);
    rpc_finish_with(&ask->rpc, &error);
}

/* ---- streams ---- */

static bool open_stream(struct ask *ask)
{
    struct external_scaler *scaler = scaler_of(ask);
    if (scaler->streams_count >= scaler->settings.most_streams) {
        _cleanup_(error_done) struct error error = {0};
        error_set(&error, ERROR_LIMIT, "all %zu streams are in use (--max-streams)",
                  scaler->settings.most_streams);
        rpc_finish_with(&ask->rpc, &error);
        return false;
    }
    ask->is_stream = true;
    scaler->streams_count++;
    scaler->stats.streams[method_number(ask)]++;
    DL_APPEND2(scaler->streams, ask, prev_open, next_open);
    return true;
}

/* State, not events: what could not be sent is sent as soon as the stream has room. */
static void tell_active(struct ask *ask, const struct answer *answer, int64_t now_ms)
{
    call_stats_push(&scaler_of(ask)->stats, answer, ask->told);
    trigger_tell(ask->trigger, method_name(ask), answer, now_ms);
    ask->told = true;
    ask->must_tell = !reply_active(ask->rpc.call, true);
    ask->due_ms = now_ms + scaler_of(ask)->settings.heartbeat_ms;
    put_on(ask, &scaler_of(ask)->beating);
}

static void tell_nothing(struct ask *ask)
{
    ask->told = false;
    ask->must_tell = false;
    put_on(ask, NULL);
}

/* `true` on each change to active, never `false`: before KEDA 2.18 it could deactivate an object whose
 * other triggers were active. What becomes unknown stays as told until the heartbeat finds it so. */
static void stream_is_active_news(struct ask *ask, int64_t now_ms, bool heartbeat)
{
    _cleanup_(answer_done) struct answer now = {0};
    decide(ask, now_ms, false, &now);
    bool active = now.kind == ANSWER_VALUE && now.active;
    bool idle = now.kind == ANSWER_VALUE && !now.active;

    if (active && (!ask->told || heartbeat))
        tell_active(ask, &now, now_ms);
    else if (idle || heartbeat)
        tell_nothing(ask);
    watcher_set_idle_interval(&ask->watcher, idle ? ask->trigger->idle_interval_ms : 0);
}

static void ask_stream_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    ask->news = stream_is_active_news;
    if (!open_stream(ask) ||
        !understand(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms))
        return;
    watch(ask);
    stream_is_active_news(ask, now_ms, false);
}

/* A trigger's specs follow from its metadata, and new metadata comes on a new stream. */
static void ask_stream_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    struct ask *ask = (struct ask *)rpc;
    _cleanup_(error_done) struct error error = {0};
    if (!open_stream(ask))
        return;
    if (find_trigger(ask, (const Externalscaler__ScaledObjectRef *)request, now_ms, &error))
        reply_specs(ask->rpc.call, ask->trigger->metric_name, ask->trigger->target);
    else
        rpc_finish_with(&ask->rpc, &error);
}

/* ---- other connections ---- */

static bool watches_former(const struct ask *ask)
{
    const struct trigger *trigger = ask->trigger;
    return ask->watcher.query != NULL && trigger != NULL &&
           ask->watcher.query == trigger->former_query;
}

/* Whose trigger asks the same as before is left alone, and so is a stream of specs. */
static void follow_trigger(struct ask *ask, int64_t now_ms)
{
    bool waited_for_connection = ask->watcher.query == NULL;
    if (ask->rpc.finished || ask->news == NULL || (!waited_for_connection && !watches_former(ask)))
        return;
    watcher_stop(&ask->watcher);
    if (find_query(ask)) {
        watch(ask);
        ask->news(ask, now_ms, false);
    } else if (!ask->rpc.finished)
        tell_nothing(ask);
}

static void end_renewal(struct external_scaler *scaler, int64_t now_ms)
{
    struct ask *ask;
    struct ask *next;
    DL_FOREACH_SAFE(scaler->waiting, ask, next)
    follow_trigger(ask, now_ms);
    triggers_forget_former(scaler->settings.triggers);
    scaler->is_renewing = false;
}

/* As much as may be done at a time: first for the streams, then for triggers that nobody is asking about. */
static void renew_some(struct external_scaler *scaler, int64_t now_ms)
{
    int64_t until_ms = now_ms + RENEW_MS;
    while (scaler->next_renewed != NULL) {
        struct ask *ask = scaler->next_renewed;
        scaler->next_renewed = ask->next_open;
        if (ask->trigger != NULL)
            trigger_renew(scaler->settings.triggers, ask->trigger);
        follow_trigger(ask, now_ms);
        if (clock_now_ms() >= until_ms)
            return;
    }
    while (triggers_renew(scaler->settings.triggers))
        if (clock_now_ms() >= until_ms)
            return;
    end_renewal(scaler, now_ms);
}

void external_scaler_set_connections(struct external_scaler *scaler,
                                     struct connections *connections)
{
    while (scaler->is_renewing) /* the file was changed twice within a moment */
        renew_some(scaler, clock_now_ms());
    triggers_set_connections(scaler->settings.triggers, connections);
    scaler->next_renewed = scaler->streams;
    scaler->is_renewing = true;
}

/* ---- the hooks ---- */

static void writable(struct rpc *rpc)
{
    struct ask *ask = (struct ask *)rpc;
    if (ask->must_tell)
        ask->must_tell = !reply_active(rpc->call, true);
}

/* A call that waited for no measurement has no due time. */
static void count_end(struct ask *ask, enum status status)
{
    struct external_scaler *scaler = scaler_of(ask);
    int64_t wait_ms = 0;
    if (!ask->is_stream && ask->due_ms > 0)
        wait_ms = clock_now_ms() - (ask->due_ms - scaler->settings.call_deadline_ms);
    call_stats_end(&scaler->stats, method_number(ask), status, wait_ms);
}

static void close_stream(struct ask *ask)
{
    struct external_scaler *scaler = scaler_of(ask);
    scaler->streams_count--;
    scaler->stats.streams[method_number(ask)]--;
    if (scaler->next_renewed == ask)
        scaler->next_renewed = ask->next_open;
    DL_DELETE2(scaler->streams, ask, prev_open, next_open);
}

static void left(struct rpc *rpc, enum status status)
{
    struct ask *ask = (struct ask *)rpc;
    count_end(ask, status);
    put_on(ask, NULL);
    watcher_stop(&ask->watcher);
    if (ask->is_stream)
        close_stream(ask);
    if (ask->trigger != NULL)
        trigger_let_go(ask->trigger);
}

static void unknown(void *context)
{
    struct external_scaler *scaler = context;
    scaler->stats.calls[CALL_STATS_METHODS][STATUS_UNIMPLEMENTED]++;
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
        renew_some(scaler, now_ms);
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

static const struct method methods[CALL_STATS_METHODS] = {
    {PATH("GetMetrics"), &externalscaler__get_metrics_request__descriptor, ask_get_metrics},
    {PATH("IsActive"), &externalscaler__scaled_object_ref__descriptor, ask_is_active},
    {PATH("GetMetricSpec"), &externalscaler__scaled_object_ref__descriptor, ask_get_metric_spec},
    {PATH("StreamIsActive"), &externalscaler__scaled_object_ref__descriptor, ask_stream_is_active,
     METHOD_STREAM},
    {PATH("StreamMetricSpec"), &externalscaler__scaled_object_ref__descriptor,
     ask_stream_metric_spec, METHOD_STREAM},
};

struct external_scaler *external_scaler_new(const struct external_scaler_settings *settings)
{
    struct external_scaler *scaler = memory_new(sizeof(*scaler));
    scaler->settings = *settings;
    for (size_t i = 0; i < CALL_STATS_METHODS; i++)
        scaler->stats.methods[i] = methods[i].path + strlen(PATH(""));
    scaler->service = (struct rpc_service){
        .name = SERVICE,
        .methods = methods,
        .method_count = ARRAY_LENGTH(methods),
        .rpc_bytes = sizeof(struct ask),
        .context = scaler,
        .left = left,
        .unknown = unknown,
        .writable = writable,
        .turn = turn,
    };
    return scaler;
}

void external_scaler_write_metrics(const struct external_scaler *scaler, struct text *page)
{
    call_stats_write(&scaler->stats, page);
}

void external_scaler_free(struct external_scaler *scaler)
{
    free(scaler);
}

const struct rpc_service *external_scaler_service(const struct external_scaler *scaler)
{
    return &scaler->service;
}
