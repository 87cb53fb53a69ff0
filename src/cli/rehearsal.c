#include "cli/rehearsal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/rehearsal_output.h"

#include <stdlib.h>

enum {
    LINE_MS = 1000,
    MAX_WAIT_MS = 1000,
    FIRST_STREAM_RETRY_MS = 2000, /* as KEDA, in the model's time */
    LONGEST_STREAM_RETRY_MS = 60 * 1000,
};

double rehearsal_time_s(const struct rehearsal *rehearsal, int64_t now_ms)
{
    return (double)(now_ms - rehearsal->began_ms) * rehearsal->settings->speed / 1000;
}

static int64_t model_ms(const struct rehearsal *rehearsal, int64_t now_ms)
{
    return (int64_t)((double)(now_ms - rehearsal->began_ms) * rehearsal->settings->speed);
}

/* When it is so late in the model. */
static int64_t real_ms(const struct rehearsal *rehearsal, int64_t at_model_ms)
{
    return rehearsal->began_ms +
           (int64_t)((double)at_model_ms / rehearsal->settings->speed + 0.999);
}

int64_t rehearsal_ready(const struct rehearsal_object *one, int64_t now_ms)
{
    return one->replicas == NULL ? one->model.replicas : replicas_ready(one->replicas, now_ms);
}

/* ---- preparing ---- */

/* A trigger of KEDA's own type is asked of the server under that name: how it would be after a migration. */
static void make_ref(struct rehearsal_trigger *trigger, const struct scaled_object *object)
{
    const struct scaled_object_trigger *source = trigger->trigger;
    bool is_external =
        text_equal(source->type, "external") || text_equal(source->type, "external-push");
    size_t count = source->entry_count;
    trigger->is_push = !text_equal(source->type, "external");
    trigger->entries = memory_array(count + 1, sizeof(*trigger->entries));
    for (size_t i = 0; i < count; i++)
        trigger->entries[i] = source->entries[i];
    if (!is_external)
        trigger->entries[count++] = (struct option_entry){"scaler", source->type};
    trigger->ref =
        (struct scaler_client_ref){object->name, object->namespace, trigger->entries, count};
    trigger->stream_backoff_ms = FIRST_STREAM_RETRY_MS;
}

static bool find_endpoint(struct rehearsal *rehearsal, struct rehearsal_trigger *trigger,
                          const char *label, struct error *error)
{
    const char *address = rehearsal->settings->server;
    if (address == NULL)
        address = scaled_object_metadata(trigger->trigger, "scalerAddress");
    if (address == NULL)
        return error_invalid(error, "%s: a trigger of type %s has no scalerAddress: give --server",
                             label, trigger->trigger->type);
    trigger->endpoint = endpoints_find(&rehearsal->endpoints, address);
    return trigger->endpoint != NULL ||
           error_invalid(error, "more than %d different scalerAddress: give --server",
                         ENDPOINTS_MAX);
}

static bool prepare(struct rehearsal *rehearsal, struct rehearsal_object *one,
                    const struct scaled_object *object, struct error *error)
{
    struct model_settings settings = object->settings;
    settings.sync_ms = rehearsal->settings->sync_ms;
    one->object = object;
    one->label = text_format("%s/%s", object->namespace, object->name);
    one->keda_text = text_copy("");
    one->hpa_text = text_copy("");
    one->triggers = memory_array(object->trigger_count, sizeof(*one->triggers));
    int64_t replicas = rehearsal->settings->initial_replicas;
    model_init(&one->model, &settings, replicas < 0 ? settings.min_replicas : replicas, 0);
    one->summary.min_replicas = one->summary.max_replicas = one->model.replicas;
    if (rehearsal->settings->worker != NULL) {
        struct replicas_settings processes = rehearsal->settings->replicas;
        processes.object = one->label;
        one->replicas = replicas_new(&processes);
    }
    for (size_t i = 0; i < object->trigger_count; i++) {
        one->triggers[i].trigger = &object->triggers[i];
        make_ref(&one->triggers[i], object);
        if (!find_endpoint(rehearsal, &one->triggers[i], one->label, error))
            return false;
    }
    return true;
}

bool rehearsal_init(struct rehearsal *rehearsal, const struct rehearsal_settings *settings,
                    struct error *error)
{
    *rehearsal = (struct rehearsal){.settings = settings, .count = settings->objects->count};
    rehearsal->endpoints.tls = settings->tls;
    rehearsal->items = memory_array(rehearsal->count, sizeof(*rehearsal->items));
    for (size_t i = 0; i < rehearsal->count; i++)
        if (!prepare(rehearsal, &rehearsal->items[i], &settings->objects->items[i], error))
            return false;
    return true;
}

static void rehearsed_done(struct rehearsal_object *one)
{
    replicas_free(one->replicas);
    for (size_t i = 0; one->object != NULL && i < one->object->trigger_count; i++) {
        grpc_client_call_free(one->triggers[i].stream);
        scaler_client_reading_done(&one->triggers[i].reading);
        free(one->triggers[i].entries);
    }
    model_done(&one->model);
    free(one->triggers);
    free(one->values);
    free(one->replica_counts);
    free(one->keda_text);
    free(one->hpa_text);
    free(one->label);
}

void rehearsal_done(struct rehearsal *rehearsal)
{
    for (size_t i = 0; i < rehearsal->count; i++)
        rehearsed_done(&rehearsal->items[i]);
    endpoints_done(&rehearsal->endpoints);
    free(rehearsal->items);
    *rehearsal = (struct rehearsal){0};
}

/* ---- decisions ---- */

/* Takes the text. An HPA that rests has nothing to say beside KEDA. */
static void note_why(struct rehearsal_object *one, const struct model_decision *decision, char *why)
{
    bool is_hpa = decision->reason == MODEL_HPA;
    char **text = is_hpa ? &one->hpa_text : &one->keda_text;
    if (is_hpa && decision->hpa.reason == HPA_DISABLED)
        why[0] = '\0';
    if (!is_hpa)
        one->keda_reason = decision->reason;
    free(*text);
    *text = why;
}

static void carry_out(struct rehearsal *rehearsal, struct rehearsal_object *one,
                      const struct model_decision *decision, int64_t now_ms)
{
    char *why = model_decision_text(decision, one->readings);
    struct rehearsal_summary *summary = &one->summary;
    if (decision->replicas != decision->before) {
        summary->changes++;
        rehearsal_print_change(rehearsal, one, decision, why, now_ms);
    }
    if (decision->replicas > summary->max_replicas)
        summary->max_replicas = decision->replicas;
    if (decision->replicas < summary->min_replicas)
        summary->min_replicas = decision->replicas;
    if (one->replicas != NULL)
        replicas_scale(one->replicas, decision->replicas, now_ms);

    note_why(one, decision, why);
}

static void decide(struct rehearsal *rehearsal, struct rehearsal_object *one, int64_t now_ms)
{
    int64_t at_ms = model_ms(rehearsal, now_ms);
    one->model.ready_pods = rehearsal_ready(one, now_ms);
    if (one->model.next_poll_ms <= at_ms) {
        struct model_decision decision = model_poll(&one->model, one->readings, at_ms);
        carry_out(rehearsal, one, &decision, now_ms);
    }
    if (one->model.next_sync_ms <= at_ms) {
        struct model_decision decision = model_sync(&one->model, one->readings, at_ms);
        carry_out(rehearsal, one, &decision, now_ms);
    }
}

/* ---- reading ---- */

static void take_reading(struct rehearsal_object *one, size_t index,
                         const struct scaler_client_reading *reading)
{
    struct rehearsal_trigger *trigger = &one->triggers[index];
    scaler_client_reading_done(&trigger->reading);
    trigger->reading = *reading;
    one->summary.readings++;
    one->summary.failed_readings += reading->is_failed;
    one->readings[index] = (struct model_reading){
        .has_target = reading->has_target,
        .target = reading->target,
        .is_failed = reading->is_failed,
        .value = reading->value,
        .is_active = reading->is_active,
    };
}

static void drop_streams(struct rehearsal *rehearsal, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++) {
            struct rehearsal_trigger *trigger = &rehearsal->items[i].triggers[t];
            if (trigger->endpoint == endpoint) {
                grpc_client_call_free(trigger->stream);
                trigger->stream = NULL;
            }
        }
}

static void fail_readings(const struct endpoint *endpoint, struct scaler_client_reading *readings,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        readings[i] = (struct scaler_client_reading){.is_failed = true};
        error_copy(&readings[i].error, &endpoint->error);
    }
}

/* Everything that is due of one server, side by side on its connection. */
static void read_endpoint(struct rehearsal *rehearsal, struct endpoint *endpoint)
{
    size_t room = rehearsal->count * MODEL_MAX_TRIGGERS, count = 0;
    _cleanup_(memory_free) struct scaler_client_ref *refs = memory_array(room, sizeof(*refs));
    _cleanup_(memory_free) struct scaler_client_reading *readings =
        memory_array(room, sizeof(*readings));
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++)
            if (rehearsal->items[i].is_due && rehearsal->items[i].triggers[t].endpoint == endpoint)
                refs[count++] = rehearsal->items[i].triggers[t].ref;
    if (count == 0)
        return;
    int64_t deadline_ms = clock_now_ms() + rehearsal->settings->deadline_ms;
    if (endpoints_connect(&rehearsal->endpoints, endpoint, deadline_ms))
        scaler_client_read(endpoint->client, refs, count, deadline_ms, readings);
    else
        fail_readings(endpoint, readings, count);

    count = 0;
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++)
            if (rehearsal->items[i].is_due && rehearsal->items[i].triggers[t].endpoint == endpoint)
                take_reading(&rehearsal->items[i], t, &readings[count++]);
}

static void read_due(struct rehearsal *rehearsal)
{
    for (size_t i = 0; i < rehearsal->endpoints.count; i++)
        read_endpoint(rehearsal, &rehearsal->endpoints.items[i]);
}

/* ---- streams ---- */

/* KEDA waits 2, 4, ... 60 s, and 2 s again after a clean end. */
static void end_stream(const struct rehearsal *rehearsal, struct rehearsal_trigger *trigger,
                       int64_t now_ms)
{
    bool is_clean = grpc_client_call_status(trigger->stream) == GRPC_CLIENT_OK;
    if (is_clean)
        trigger->stream_backoff_ms = FIRST_STREAM_RETRY_MS;
    trigger->stream_retry_at_ms =
        now_ms + (int64_t)((double)trigger->stream_backoff_ms / rehearsal->settings->speed);
    if (!is_clean && trigger->stream_backoff_ms < LONGEST_STREAM_RETRY_MS)
        trigger->stream_backoff_ms *= 2;
    grpc_client_call_free(trigger->stream);
    trigger->stream = NULL;
}

static void serve_stream(struct rehearsal *rehearsal, struct rehearsal_object *one,
                         struct rehearsal_trigger *trigger, int64_t now_ms)
{
    bool is_active = false;
    while (scaler_client_take(trigger->stream, &is_active)) {
        if (!is_active)
            continue; /* KEDA passes a false over */
        one->summary.pushes++;
        rehearsal_print_push(rehearsal, one, now_ms);
        struct model_decision decision = model_push(&one->model, model_ms(rehearsal, now_ms));
        carry_out(rehearsal, one, &decision, now_ms);
    }
    if (grpc_client_call_is_done(trigger->stream))
        end_stream(rehearsal, trigger, now_ms);
}

static void serve_streams(struct rehearsal *rehearsal, int64_t now_ms)
{
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++) {
            struct rehearsal_trigger *trigger = &rehearsal->items[i].triggers[t];
            if (!trigger->is_push)
                continue;
            if (trigger->stream == NULL && trigger->endpoint->client != NULL &&
                trigger->stream_retry_at_ms <= now_ms)
                trigger->stream = scaler_client_stream(trigger->endpoint->client, &trigger->ref);
            if (trigger->stream != NULL)
                serve_stream(rehearsal, &rehearsal->items[i], trigger, now_ms);
        }
}

static void process_endpoints(struct rehearsal *rehearsal)
{
    for (size_t i = 0; i < rehearsal->endpoints.count; i++) {
        struct endpoint *endpoint = &rehearsal->endpoints.items[i];
        if (endpoint->client == NULL || grpc_client_process(endpoint->client))
            continue;
        drop_streams(rehearsal, endpoint);
        endpoints_drop(endpoint, "the connection was closed");
    }
}

/* ---- lines ---- */

static bool is_active(const struct rehearsal_object *one)
{
    for (size_t i = 0; i < one->object->trigger_count; i++)
        if (!one->readings[i].is_failed && one->readings[i].is_active)
            return true;
    return false;
}

/* Of several triggers the sum: each counts its own. */
static double value_of(const struct rehearsal_object *one)
{
    double value = 0;
    for (size_t i = 0; i < one->object->trigger_count; i++)
        value += one->readings[i].value;
    return value;
}

static void note_line(const struct rehearsal *rehearsal, struct rehearsal_object *one,
                      int64_t now_ms)
{
    double seconds = LINE_MS / 1000.0 * rehearsal->settings->speed;
    one->summary.replica_seconds += seconds * (double)one->model.replicas;
    if (is_active(one) && rehearsal_ready(one, now_ms) == 0)
        one->summary.without_replica_s += seconds;
    one->values =
        memory_grow(one->values, &one->values_capacity, one->lines + 1, sizeof(*one->values));
    one->replica_counts = memory_grow(one->replica_counts, &one->counts_capacity, one->lines + 1,
                                      sizeof(*one->replica_counts));
    one->values[one->lines] = value_of(one);
    one->replica_counts[one->lines++] = (double)one->model.replicas;
}

static void print_lines(struct rehearsal *rehearsal, int64_t now_ms)
{
    for (size_t i = 0; i < rehearsal->count; i++) {
        rehearsal_print_line(rehearsal, &rehearsal->items[i], now_ms);
        note_line(rehearsal, &rehearsal->items[i], now_ms);
    }
    rehearsal->next_line_ms += LINE_MS;
    if (rehearsal->next_line_ms <= now_ms) /* a reading took long: nothing is caught up */
        rehearsal->next_line_ms = now_ms + LINE_MS;
}

/* ---- the loop ---- */

/* One turn. Returns when the next is due. */
static int64_t turn(struct rehearsal *rehearsal, int64_t now_ms)
{
    bool has_line = rehearsal->next_line_ms <= now_ms;
    int64_t at_ms = model_ms(rehearsal, now_ms);
    process_endpoints(rehearsal);
    serve_streams(rehearsal, now_ms);
    for (size_t i = 0; i < rehearsal->count; i++) {
        const struct model *model = &rehearsal->items[i].model;
        rehearsal->items[i].is_due =
            has_line || model->next_poll_ms <= at_ms || model->next_sync_ms <= at_ms;
    }
    read_due(rehearsal);

    int64_t due_ms = rehearsal->next_line_ms;
    now_ms = clock_now_ms();
    for (size_t i = 0; i < rehearsal->count; i++) {
        struct rehearsal_object *one = &rehearsal->items[i];
        if (one->is_due)
            decide(rehearsal, one, now_ms);
        int64_t next_ms = one->replicas == NULL ? due_ms : replicas_tick(one->replicas, now_ms);
        int64_t model_due_ms = one->model.next_poll_ms < one->model.next_sync_ms
                                   ? one->model.next_poll_ms
                                   : one->model.next_sync_ms;
        if (real_ms(rehearsal, model_due_ms) < next_ms)
            next_ms = real_ms(rehearsal, model_due_ms);
        due_ms = next_ms < due_ms ? next_ms : due_ms;
    }
    if (has_line)
        print_lines(rehearsal, now_ms);
    return due_ms;
}

/* Until a server sends something, or the next turn is due; a signal ends it. */
static void wait_until(const struct rehearsal *rehearsal, int64_t due_ms)
{
    struct pollfd fds[ENDPOINTS_MAX];
    nfds_t count = 0;
    for (size_t i = 0; i < rehearsal->endpoints.count; i++) {
        const struct grpc_client *client = rehearsal->endpoints.items[i].client;
        if (client != NULL)
            fds[count++] =
                (struct pollfd){.fd = grpc_client_fd(client), .events = grpc_client_events(client)};
    }
    poll(fds, count, clock_left_ms(due_ms, MAX_WAIT_MS));
}

void rehearsal_run(struct rehearsal *rehearsal, const volatile sig_atomic_t *stop)
{
    int64_t duration_ms = rehearsal->settings->duration_ms;
    rehearsal->began_ms = clock_now_ms();
    rehearsal->next_line_ms = rehearsal->began_ms;
    for (size_t i = 0; i < rehearsal->count; i++)
        if (rehearsal->items[i].replicas != NULL)
            replicas_scale(rehearsal->items[i].replicas, rehearsal->items[i].model.replicas,
                           rehearsal->began_ms);
    rehearsal_print_head(rehearsal);
    while (!*stop) {
        int64_t now_ms = clock_now_ms();
        if (duration_ms > 0 && now_ms - rehearsal->began_ms >= duration_ms)
            break;
        wait_until(rehearsal, turn(rehearsal, now_ms));
    }
    rehearsal_print_summary(rehearsal, clock_now_ms());
}
