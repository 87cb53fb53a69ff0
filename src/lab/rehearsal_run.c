#include "lab/rehearsal_run.h"

#include "base/clock.h"
#include "base/memory.h"
#include "lab/rehearsal_output.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LINE_MS = 1000,
    MAX_WAIT_MS = 1000,
    MAX_STREAM_RETRY_MS = 60 * 1000, /* as KEDA, in the model's time */
};

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

/* ---- decisions ---- */

/* Takes the text. An HPA that is disabled adds nothing to KEDA's text. */
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
    char *why = model_decision_text(decision, one->answers);
    struct rehearsal_summary *summary = &one->summary;
    if (decision->replicas != decision->before) {
        summary->changes++;
        rehearsal_print_change(rehearsal, one, decision, why, now_ms);
    }
    if (decision->replicas > summary->max_replicas)
        summary->max_replicas = decision->replicas;
    if (decision->replicas < summary->min_replicas)
        summary->min_replicas = decision->replicas;
    if (one->workers != NULL)
        worker_group_scale(one->workers, decision->replicas, now_ms);

    note_why(one, decision, why);
}

static void decide(struct rehearsal *rehearsal, struct rehearsal_object *one, int64_t now_ms)
{
    int64_t at_ms = model_ms(rehearsal, now_ms);
    one->model.ready_pods = rehearsal_ready(one, now_ms);
    if (one->model.next_poll_ms <= at_ms) {
        struct model_decision decision = model_poll(&one->model, one->answers, at_ms);
        carry_out(rehearsal, one, &decision, now_ms);
    }
    if (one->model.next_sync_ms <= at_ms) {
        struct model_decision decision = model_sync(&one->model, one->answers, at_ms);
        carry_out(rehearsal, one, &decision, now_ms);
    }
}

/* ---- answers ---- */

static void take_answer(struct rehearsal_trigger *trigger,
                        const struct scaler_client_answer *answer)
{
    struct rehearsal_object *one = trigger->of;
    scaler_client_answer_done(&trigger->answer);
    trigger->answer = *answer;
    one->summary.answers++;
    one->summary.failed_answers += answer->is_failed;
    one->answers[trigger - one->triggers] = (struct model_answer){
        .has_target = answer->has_target,
        .target = answer->target,
        .is_failed = answer->is_failed,
        .value = answer->value,
        .is_active = answer->is_active,
    };
}

static void fail_answers(const struct endpoint *endpoint, struct scaler_client_answer *answers,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        answers[i] = (struct scaler_client_answer){.is_failed = true};
        error_copy(&answers[i].error, &endpoint->error);
    }
}

/* Everything that is due of one server, side by side on its connection. */
static void read_endpoint(struct rehearsal *rehearsal, struct endpoint *endpoint)
{
    size_t room = rehearsal->trigger_count, count = 0;
    _cleanup_(memory_free) struct rehearsal_trigger **due = memory_array(room, sizeof(*due));
    _cleanup_(memory_free) struct scaler_client_ref *refs = memory_array(room, sizeof(*refs));
    _cleanup_(memory_free) struct scaler_client_answer *answers =
        memory_array(room, sizeof(*answers));
    for (size_t i = 0; i < rehearsal->trigger_count; i++) {
        struct rehearsal_trigger *trigger = &rehearsal->triggers[i];
        if (!trigger->of->is_due || trigger->endpoint != endpoint)
            continue;
        due[count] = trigger;
        refs[count++] = trigger->ref;
    }
    if (count == 0)
        return;
    int64_t deadline_ms = clock_now_ms() + rehearsal->settings->deadline_ms;
    if (endpoints_connect(&rehearsal->endpoints, endpoint, deadline_ms))
        scaler_client_read(endpoint->client, refs, count, deadline_ms, answers);
    else
        fail_answers(endpoint, answers, count);
    for (size_t i = 0; i < count; i++)
        take_answer(due[i], &answers[i]);
}

/* ---- streams ---- */

/* KEDA waits 2, 4, ... 60 s, and 2 s again after a clean end. */
static void end_stream(const struct rehearsal *rehearsal, struct rehearsal_trigger *trigger,
                       int64_t now_ms)
{
    bool is_clean = grpc_client_call_status(trigger->stream) == GRPC_CLIENT_OK;
    if (is_clean)
        trigger->stream_backoff_ms = REHEARSAL_STREAM_RETRY_MS;
    trigger->stream_retry_at_ms =
        now_ms + (int64_t)((double)trigger->stream_backoff_ms / rehearsal->settings->speed);
    if (!is_clean && trigger->stream_backoff_ms < MAX_STREAM_RETRY_MS)
        trigger->stream_backoff_ms *= 2;
    grpc_client_call_free(trigger->stream);
    trigger->stream = NULL;
}

static void serve_stream(struct rehearsal *rehearsal, struct rehearsal_trigger *trigger,
                         int64_t now_ms)
{
    struct rehearsal_object *one = trigger->of;
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
    for (size_t i = 0; i < rehearsal->trigger_count; i++) {
        struct rehearsal_trigger *trigger = &rehearsal->triggers[i];
        if (!trigger->is_push)
            continue;
        if (trigger->stream == NULL && trigger->endpoint->client != NULL &&
            trigger->stream_retry_at_ms <= now_ms)
            trigger->stream = scaler_client_stream(trigger->endpoint->client, &trigger->ref);
        if (trigger->stream != NULL)
            serve_stream(rehearsal, trigger, now_ms);
    }
}

static void drop_streams(struct rehearsal *rehearsal, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < rehearsal->trigger_count; i++)
        if (rehearsal->triggers[i].endpoint == endpoint) {
            grpc_client_call_free(rehearsal->triggers[i].stream);
            rehearsal->triggers[i].stream = NULL;
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
        if (!one->answers[i].is_failed && one->answers[i].is_active)
            return true;
    return false;
}

/* `is_late`: a line that was not printed in time; what was measured then is unknown. */
static void note_line(const struct rehearsal *rehearsal, struct rehearsal_object *one, bool is_late,
                      int64_t now_ms)
{
    double seconds = LINE_MS / 1000.0 * rehearsal->settings->speed;
    /* NAN where one is unknown. Triggers have different units, so there is no sum. */
    for (size_t i = 0; i < one->object->trigger_count; i++) {
        struct rehearsal_trigger *trigger = &one->triggers[i];
        trigger->values = memory_grow(trigger->values, &trigger->values_capacity, one->lines + 1,
                                      sizeof(*trigger->values));
        trigger->in_flights = memory_grow(trigger->in_flights, &trigger->in_flights_capacity,
                                          one->lines + 1, sizeof(*trigger->in_flights));
        trigger->values[one->lines] =
            is_late || one->answers[i].is_failed ? (double)NAN : one->answers[i].value;
        trigger->in_flights[one->lines] = is_late ? (double)NAN : trigger->in_flight;
    }
    one->summary.replica_seconds += seconds * (double)one->model.replicas;
    if (is_active(one) && rehearsal_ready(one, now_ms) == 0)
        one->summary.without_replica_s += seconds;
    one->replica_counts = memory_grow(one->replica_counts, &one->counts_capacity, one->lines + 1,
                                      sizeof(*one->replica_counts));
    one->replica_counts[one->lines++] = (double)one->model.replicas;
}

/* What was read since the last line; the next is read meanwhile. */
static void take_in_flight(struct rehearsal *rehearsal, int64_t now_ms)
{
    struct server_in_flight *in_flight = rehearsal->settings->in_flight;
    if (in_flight == NULL)
        return;
    for (size_t i = 0; i < rehearsal->trigger_count; i++) {
        struct rehearsal_trigger *trigger = &rehearsal->triggers[i];
        trigger->in_flight =
            server_in_flight_of(in_flight, (size_t)(trigger->of - rehearsal->items),
                                trigger->answer.metric_name, now_ms);
    }
    server_in_flight_read(in_flight);
}

/* Where an answer took long some lines are late: these are noted, and not printed. */
static void print_lines(struct rehearsal *rehearsal, int64_t now_ms)
{
    int64_t late = (now_ms - rehearsal->next_line_ms) / LINE_MS;
    take_in_flight(rehearsal, now_ms);
    for (size_t i = 0; i < rehearsal->count; i++) {
        for (int64_t line = 0; line < late; line++)
            note_line(rehearsal, &rehearsal->items[i], true, now_ms);
        rehearsal_print_line(rehearsal, &rehearsal->items[i], now_ms);
        note_line(rehearsal, &rehearsal->items[i], false, now_ms);
    }
    rehearsal->next_line_ms += (late + 1) * LINE_MS;
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
    for (size_t i = 0; i < rehearsal->endpoints.count; i++)
        read_endpoint(rehearsal, &rehearsal->endpoints.items[i]);

    int64_t due_ms = rehearsal->next_line_ms;
    now_ms = clock_now_ms();
    for (size_t i = 0; i < rehearsal->count; i++) {
        struct rehearsal_object *one = &rehearsal->items[i];
        if (one->is_due)
            decide(rehearsal, one, now_ms);
        int64_t next_ms = one->workers == NULL ? due_ms : worker_group_tick(one->workers, now_ms);
        int64_t model_due_ms = one->model.next_poll_ms < one->model.next_sync_ms
                                   ? one->model.next_poll_ms
                                   : one->model.next_sync_ms;
        if (real_ms(rehearsal, model_due_ms) < next_ms)
            next_ms = real_ms(rehearsal, model_due_ms);
        due_ms = next_ms < due_ms ? next_ms : due_ms;
    }
    if (has_line)
        print_lines(rehearsal, now_ms);
    if (rehearsal->settings->watch != NULL)
        rehearsal->settings->watch(rehearsal->settings->watch_context, rehearsal, now_ms);
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
        if (rehearsal->items[i].workers != NULL)
            worker_group_scale(rehearsal->items[i].workers, rehearsal->items[i].model.replicas,
                               rehearsal->began_ms);
    rehearsal_print_head(rehearsal);
    while (!*stop && !ferror(stdout)) {
        int64_t now_ms = clock_now_ms();
        if (duration_ms > 0 && now_ms - rehearsal->began_ms >= duration_ms)
            break;
        wait_until(rehearsal, turn(rehearsal, now_ms));
    }
    rehearsal_print_summary(rehearsal, clock_now_ms());
}
