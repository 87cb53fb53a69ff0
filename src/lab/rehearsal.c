#include "lab/rehearsal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/console.h"

#include <math.h>
#include <stdlib.h>

double rehearsal_time_s(const struct rehearsal *rehearsal, int64_t now_ms)
{
    return (double)(now_ms - rehearsal->began_ms) * rehearsal->settings->speed / 1000;
}

int64_t rehearsal_ready(const struct rehearsal_object *one, int64_t now_ms)
{
    return one->workers == NULL ? one->model.replicas : worker_group_ready(one->workers, now_ms);
}

/* ---- preparing ---- */

static void make_ref(struct rehearsal_trigger *trigger, const struct scaled_object *object)
{
    const struct scaled_object_trigger *source = trigger->trigger;
    trigger->is_push = !text_equal(source->type, "external");
    trigger->ref = (struct scaler_client_ref){object->name, object->namespace, source->entries,
                                              source->entry_count};
    trigger->stream_backoff_ms = REHEARSAL_STREAM_RETRY_MS;
    trigger->in_flight = NAN;
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
    console_clean(one->label);
    one->keda_text = text_copy("");
    one->hpa_text = text_copy("");
    one->triggers = &rehearsal->triggers[rehearsal->trigger_count];
    rehearsal->trigger_count += object->trigger_count;
    int64_t replicas = rehearsal->settings->initial_replicas;
    model_init(&one->model, &settings, replicas < 0 ? settings.min_replicas : replicas, 0);
    one->summary.min_replicas = one->summary.max_replicas = one->model.replicas;
    if (rehearsal->settings->worker != NULL) {
        struct worker_group_settings processes = rehearsal->settings->workers;
        processes.object = one->label;
        one->workers = worker_group_new(&processes);
    }
    for (size_t i = 0; i < object->trigger_count; i++) {
        one->triggers[i].of = one;
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
    size_t triggers = 0;
    for (size_t i = 0; i < rehearsal->count; i++)
        triggers += settings->objects->items[i].trigger_count;
    rehearsal->triggers = memory_array(triggers, sizeof(*rehearsal->triggers));
    /* A server that is away is waited for. A file is not. */
    if (!grpc_socket_tls_check(&settings->tls, error))
        return false;
    for (size_t i = 0; i < rehearsal->count; i++)
        if (!prepare(rehearsal, &rehearsal->items[i], &settings->objects->items[i], error))
            return false;
    return true;
}

/* So that all have their grace period at the same time. */
static void stop_workers(struct rehearsal *rehearsal)
{
    int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < rehearsal->count; i++)
        if (rehearsal->items[i].workers != NULL)
            worker_group_scale(rehearsal->items[i].workers, 0, now_ms);
}

static void rehearsed_done(struct rehearsal_object *one)
{
    worker_group_free(one->workers);
    model_done(&one->model);
    free(one->replica_counts);
    free(one->keda_text);
    free(one->hpa_text);
    free(one->label);
}

void rehearsal_done(struct rehearsal *rehearsal)
{
    stop_workers(rehearsal);
    for (size_t i = 0; i < rehearsal->count; i++)
        rehearsed_done(&rehearsal->items[i]);
    for (size_t i = 0; i < rehearsal->trigger_count; i++) {
        grpc_client_call_free(rehearsal->triggers[i].stream);
        scaler_client_answer_done(&rehearsal->triggers[i].answer);
        free(rehearsal->triggers[i].values);
        free(rehearsal->triggers[i].in_flights);
    }
    free(rehearsal->triggers);
    endpoints_done(&rehearsal->endpoints);
    free(rehearsal->items);
    *rehearsal = (struct rehearsal){0};
}
