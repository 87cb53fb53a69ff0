#include "serve/scaler_fixture.h"

#include "base/memory.h"
#include "base/text.h"
#include "externalscaler.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *connection_name;
const char *metric_name;
struct engine *engine;
const struct call_handler *service;
struct triggers *triggers;
static struct external_scaler *scaler;
static struct services *services;

static void note_read(struct call *call)
{
    (void)call;
}

static bool note_send(struct call *base, struct bytes message)
{
    struct noted_call *call = (struct noted_call *)base;
    if (call->full)
        return false;
    if (text_ends_with(base->path, "GetMetrics")) {
        Externalscaler__GetMetricsResponse *answer =
            externalscaler__get_metrics_response__unpack(NULL, message.length, message.data);
        call->value = answer->metricvalues[0]->metricvaluefloat;
        externalscaler__get_metrics_response__free_unpacked(answer, NULL);
        return true;
    }
    if (text_ends_with(base->path, "MetricSpec")) {
        Externalscaler__GetMetricSpecResponse *specs =
            externalscaler__get_metric_spec_response__unpack(NULL, message.length, message.data);
        snprintf(call->spec, sizeof(call->spec), "%s", specs->metricspecs[0]->metricname);
        externalscaler__get_metric_spec_response__free_unpacked(specs, NULL);
        return true;
    }
    Externalscaler__IsActiveResponse *answer =
        externalscaler__is_active_response__unpack(NULL, message.length, message.data);
    call->trues += answer->result;
    call->falses += !answer->result;
    externalscaler__is_active_response__free_unpacked(answer, NULL);
    return true;
}

static void note_finish(struct call *base, enum status status, const char *text)
{
    struct noted_call *call = (struct noted_call *)base;
    assert_false(call->finished);
    call->finished = true;
    call->status = status;
    call->text = text_copy(text == NULL ? "" : text);
}

static bool note_exclude(struct call *base)
{
    return !((struct noted_call *)base)->has_no_place;
}

static const struct transport noting = {.read = note_read,
                                        .send = note_send,
                                        .exclude_from_limit = note_exclude,
                                        .finish = note_finish};

int set_up(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = interval_ms;
    settings.timeout_ms = 300;
    settings.backoff_min_ms = 20;
    settings.backoff_max_ms = 50;
    fake_reset();
    connection_name = NULL;
    engine = engine_new(&settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = fake_scalers,
        .engine = engine,
        .rules = {.interval_ms = interval_ms, .interval_is_set = true, .hold_ms = hold_ms},
        .forget_ms = 60000,
        .max = MAX_TRIGGERS,
    });
    scaler = external_scaler_new(&(struct external_scaler_settings){
        .triggers = triggers,
        .engine = engine,
        .call_timeout_ms = 5000,
        .heartbeat_ms = heartbeat_ms,
        .max_streams = 2,
    });
    services = services_new();
    services_add(services, external_scaler_service(scaler));
    service = services_handler(services);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    triggers_free(triggers);
    engine_free(engine);
    external_scaler_free(scaler);
    services_free(services);
    return 0;
}

static struct bytes reference_to(const char *queue, uint8_t *buffer)
{
    const char *const pairs[][2] = {
        {"scaler", "fake"},
        {connection_name == NULL ? "source" : "connectionName",
         connection_name == NULL ? "a" : connection_name},
        {"queueName", queue},
    };
    Externalscaler__ScaledObjectRef__ScalerMetadataEntry entries[3];
    Externalscaler__ScaledObjectRef__ScalerMetadataEntry *pointers[3];
    Externalscaler__ScaledObjectRef reference = EXTERNALSCALER__SCALED_OBJECT_REF__INIT;
    for (size_t i = 0; i < ARRAY_LENGTH(entries); i++) {
        externalscaler__scaled_object_ref__scaler_metadata_entry__init(&entries[i]);
        entries[i].key = (char *)pairs[i][0];
        entries[i].value = (char *)pairs[i][1];
        pointers[i] = &entries[i];
    }
    reference.scalermetadata = pointers;
    reference.n_scalermetadata = ARRAY_LENGTH(entries);
    return (struct bytes){buffer, externalscaler__scaled_object_ref__pack(&reference, buffer)};
}

void begin_call(struct noted_call *call, const char *path, const char *queue)
{
    uint8_t buffer[256];
    uint8_t outer[256];
    struct bytes message = reference_to(queue, buffer);
    call->call = (struct call){.transport = &noting, .path = path, .deadline_ms = CLOCK_NEVER};
    if (text_ends_with(path, "GetMetrics")) { /* field 1, shorter than 128 bytes */
        outer[0] = 0x0a;
        outer[1] = (uint8_t)message.length;
        memcpy(outer + 2, message.data, message.length);
        message = (struct bytes){outer, message.length + 2};
        if (metric_name != NULL) {
            size_t length = strlen(metric_name);
            outer[message.length++] = 0x12;
            outer[message.length++] = (uint8_t)length;
            for (size_t i = 0; i < length; i++)
                outer[message.length++] = (uint8_t)metric_name[i];
        }
    }
    service->begin(service->context, &call->call);
    service->message(service->context, &call->call, message);
}

void end_call(struct noted_call *call)
{
    service->ended(service->context, &call->call, call->finished ? call->status : STATUS_CANCELLED);
    free(call->text);
}

double metric(const char *sample)
{
    _cleanup_(text_done) struct text page = {0};
    services_write_metrics(services, &page);
    external_scaler_write_metrics(scaler, &page);
    _cleanup_(memory_free) char *start = text_format("\n%s ", sample);
    const char *found = strstr(page.bytes, start);
    return found == NULL ? -1 : strtod(found + strlen(start), NULL);
}

bool turn(void)
{
    service->turn(service->context, clock_now_ms());
    usleep(1000);
    return true;
}

void take_turns_for(int64_t duration_ms)
{
    int64_t until_ms = clock_now_ms() + duration_ms;
    TURN_UNTIL(clock_now_ms() >= until_ms);
}

void take_turns_for_a_measurement(void)
{
    int tasks = fake_counts().tasks;
    TURN_UNTIL(fake_counts().tasks >= tasks + 3);
    turn();
}
