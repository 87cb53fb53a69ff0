/* The service over a transport that only notes what it is told; the source is scripted. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "externalscaler.pb-c.h"
#include "measure/fake.h"
#include "serve/external_scaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATIENCE_MS = 20000 };
static const int64_t interval_ms = 20;
static const int64_t hold_ms = 600;
static const int64_t heartbeat_ms = 200;

struct noted_call {
    struct call call;
    bool full; /* has no room for a message */
    bool finished;
    enum status status;
    char *text;
    int trues;
    int falses;
    double value;
};

static const char *connection_name;
static struct engine *engine;
static struct triggers *triggers;
static struct external_scaler *scaler;
static struct services *services;
static const struct service *service;

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

static const struct transport noting = {
    .read = note_read, .send = note_send, .finish = note_finish};

static int set_up(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = interval_ms;
    settings.deadline_ms = 300;
    settings.backoff_first_ms = 20;
    settings.backoff_most_ms = 50;
    fake_reset();
    connection_name = NULL;
    engine = engine_new(&settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = fake_scalers,
        .engine = engine,
        .rules = {.interval_ms = interval_ms, .hold_ms = hold_ms},
        .forget_ms = 60000,
        .most_inline = 64,
        .most = 100,
        .most_bytes = 100000,
    });
    scaler = external_scaler_new(&(struct external_scaler_settings){
        .triggers = triggers,
        .engine = engine,
        .call_deadline_ms = 5000,
        .heartbeat_ms = heartbeat_ms,
        .most_streams = 2,
    });
    services = services_new();
    services_add(services, external_scaler_service(scaler));
    service = services_hooks(services);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    triggers_free(triggers);
    engine_free(engine);
    external_scaler_free(scaler);
    services_free(services);
    return 0;
}

/* Of the connection that the test names, or of one of its own. */
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

static void ask(struct noted_call *call, const char *path, const char *queue)
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
    }
    service->begin(service->context, &call->call);
    service->message(service->context, &call->call, message);
}

static void end(struct noted_call *call)
{
    service->ended(service->context, &call->call);
    free(call->text);
}

#define PATH(name) "/externalscaler.ExternalScaler/" name

static bool turn(void)
{
    service->turn(service->context, clock_now_ms());
    usleep(1000);
    return true;
}

/* Takes turns until the condition holds. */
#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t deadline_ = clock_now_ms() + PATIENCE_MS;                                          \
        while (turn() && !(condition))                                                             \
            if (clock_now_ms() > deadline_)                                                        \
                fail_msg("never came true: %s", #condition);                                       \
    } while (0)

static void take_turns_for(int64_t duration_ms)
{
    int64_t until_ms = clock_now_ms() + duration_ms;
    TURN_UNTIL(clock_now_ms() >= until_ms);
}

/* Until what the source says now is known. */
static void take_turns_for_a_measurement(void)
{
    int batches = fake_counts().batches;
    TURN_UNTIL(fake_counts().batches >= batches + 3);
    turn();
}

static void both_calls_wait_for_the_first_measurement_and_are_answered_from_it(void **state)
{
    (void)state;
    struct noted_call metrics = {0};
    struct noted_call active = {0};
    ask(&metrics, PATH("GetMetrics"), "7");
    ask(&active, PATH("IsActive"), "7");
    TURN_UNTIL(metrics.finished && active.finished);
    assert_int_equal(metrics.status, STATUS_OK);
    assert_true(metrics.value == 7);
    assert_int_equal(active.status, STATUS_OK);
    assert_int_equal(active.trues, 1);
    assert_int_equal(fake_counts().largest_batch, 1);
    end(&metrics);
    end(&active);
}

static void a_call_that_has_waited_long_enough_is_refused(void **state)
{
    (void)state;
    struct noted_call call = {0};
    int64_t now_ms = clock_now_ms();
    ask(&call, PATH("GetMetrics"), "hang");
    int64_t due_ms = service->turn(service->context, now_ms);
    assert_false(call.finished);
    assert_in_range(due_ms, now_ms + 4000, now_ms + 5100);
    service->turn(service->context, due_ms);
    assert_true(call.finished);
    assert_int_equal(call.status, STATUS_UNAVAILABLE);
    end(&call);
}

static void a_stream_tells_true_once_and_then_at_each_heartbeat(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    ask(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    int64_t start_ms = clock_now_ms();
    TURN_UNTIL(stream.trues == 2);
    assert_true(clock_now_ms() - start_ms >= heartbeat_ms - 20);
    TURN_UNTIL(stream.trues == 4);
    assert_true(clock_now_ms() - start_ms >= 3 * heartbeat_ms - 20);
    assert_int_equal(stream.falses, 0);
    end(&stream);
}

static void a_stream_tells_each_change_to_active_and_never_false(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    fake_set_queue("jobs", 0);
    ask(&stream, PATH("StreamIsActive"), "jobs");
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, 0);
    for (int i = 1; i <= 5; i++) {
        fake_set_queue("jobs", i);
        TURN_UNTIL(stream.trues == i);
        fake_set_queue("jobs", 0);
        take_turns_for_a_measurement();
        assert_int_equal(stream.trues, i);
    }
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, 5);
    assert_int_equal(stream.falses, 0);
    end(&stream);
}

static void a_push_that_found_no_room_is_told_once_there_is_some(void **state)
{
    (void)state;
    struct noted_call stream = {.full = true};
    fake_set_queue("jobs", 2);
    ask(&stream, PATH("StreamIsActive"), "jobs");
    take_turns_for_a_measurement();
    stream.full = false;
    service->writable(service->context, &stream.call);
    assert_int_equal(stream.trues, 1);
    service->writable(service->context, &stream.call);
    assert_int_equal(stream.trues, 1);

    fake_set_queue("jobs", 0);
    take_turns_for_a_measurement();
    stream.full = true;
    fake_set_queue("jobs", 2);
    take_turns_for_a_measurement();
    fake_set_queue("jobs", 0);
    take_turns_for_a_measurement();
    stream.full = false;
    service->writable(service->context, &stream.call);
    assert_int_equal(stream.trues, 1); /* it is not true any more */
    end(&stream);
}

static void an_outage_is_told_true_while_it_is_held_and_its_end_is_told_at_once(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct noted_call call = {0};
    ask(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    fake_set_up(false);
    TURN_UNTIL(stream.trues == 3);
    take_turns_for(hold_ms + heartbeat_ms);
    int trues = stream.trues;
    ask(&call, PATH("IsActive"), "3");
    assert_true(call.finished);
    assert_int_equal(call.status, STATUS_UNAVAILABLE);
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, trues);
    fake_set_up(true);
    TURN_UNTIL(stream.trues == trues + 1);
    assert_false(stream.finished);
    assert_int_equal(stream.falses, 0);
    end(&call);
    end(&stream);
}

static void set_connections(const char *yaml)
{
    _cleanup_(error_done) struct error error = {0};
    struct connections *connections = NULL;
    assert_true(connections_parse(yaml, strlen(yaml), "test", ".", NULL, &connections, &error));
    external_scaler_set_connections(scaler, connections);
}

static void a_stream_lives_through_every_change_of_its_connection(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    connection_name = "late";
    ask(&stream, PATH("StreamIsActive"), "3");
    take_turns_for(heartbeat_ms);
    assert_false(stream.finished);
    assert_int_equal(stream.trues, 0);

    set_connections("connections:\n  late: {scaler: fake, source: a}\n");
    TURN_UNTIL(stream.trues == 1);
    set_connections("connections:\n  late: {scaler: fake, source: a, password: new}\n");
    TURN_UNTIL(stream.trues == 2);
    set_connections("connections: {}\n");
    int trues = stream.trues;
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, trues);
    set_connections("connections:\n  late: {scaler: fake, source: a, namespaces: [other]}\n");
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, trues);
    set_connections("connections:\n  late: {scaler: fake, source: b}\n");
    TURN_UNTIL(stream.trues == trues + 1);
    assert_false(stream.finished);
    assert_int_equal(stream.falses, 0);
    end(&stream);
}

static void a_stream_with_other_mistakes_is_told_them(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    connection_name = "late";
    ask(&stream, PATH("StreamIsActive"), "");
    assert_true(stream.finished);
    assert_int_equal(stream.status, STATUS_INVALID_ARGUMENT);
    end(&stream);
}

static void a_call_that_waits_is_answered_by_the_new_connection(void **state)
{
    (void)state;
    struct noted_call waiting = {0};
    struct noted_call lost = {0};
    connection_name = "late";
    fake_set_queue("jobs", FAKE_HANGS);
    fake_set_queue("other", FAKE_HANGS);
    set_connections("connections:\n  late: {scaler: fake, source: a}\n");
    ask(&waiting, PATH("IsActive"), "jobs");
    take_turns_for(interval_ms);
    assert_false(waiting.finished);
    fake_set_queue("jobs", 3);
    set_connections("connections:\n  late: {scaler: fake, source: b}\n");
    TURN_UNTIL(waiting.finished);
    assert_int_equal(waiting.status, STATUS_OK);
    assert_int_equal(waiting.trues, 1);

    ask(&lost, PATH("IsActive"), "other");
    set_connections("connections: {}\n");
    TURN_UNTIL(lost.finished);
    assert_int_equal(lost.status, STATUS_INVALID_ARGUMENT);
    end(&waiting);
    end(&lost);
}

/* The memory that is left behind is for the address sanitizer to find; a connection is a thread. */
static void a_thousand_reloads_leave_nothing_behind(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct engine_stats stats;
    connection_name = "late";
    set_connections("connections:\n  late: {scaler: fake, source: a}\n");
    ask(&stream, PATH("StreamIsActive"), "3");
    for (int i = 0; i < 1000; i++) {
        _cleanup_(memory_free) char *yaml =
            text_format("connections:\n  late: {scaler: fake, source: a, password: \"%d\"}\n", i);
        set_connections(yaml);
        service->turn(service->context, clock_now_ms());
    }
    do {
        usleep(1000);
        engine_stats(engine, &stats);
    } while (stats.connections > 1);
    assert_int_equal(stats.queries, 1);
    TURN_UNTIL(stream.trues > 0);
    end(&stream);
}

static void a_drain_ends_streams_and_lets_calls_wait(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct noted_call late = {0};
    struct noted_call call = {0};
    fake_set_queue("jobs", FAKE_HANGS);
    ask(&stream, PATH("StreamIsActive"), "jobs");
    ask(&call, PATH("IsActive"), "jobs");
    service->drain(service->context);
    ask(&late, PATH("StreamMetricSpec"), "jobs");
    assert_true(stream.finished && late.finished && !call.finished);
    assert_int_equal(stream.status, STATUS_OK);
    assert_int_equal(late.status, STATUS_OK);
    TURN_UNTIL(call.finished);
    end(&stream);
    end(&late);
    end(&call);
}

static void a_limit_on_streams_is_told_and_one_that_ends_makes_room(void **state)
{
    (void)state;
    struct noted_call streams[4] = {0};
    for (int i = 0; i < 3; i++)
        ask(&streams[i], PATH("StreamIsActive"), "0");
    assert_true(streams[2].finished);
    assert_int_equal(streams[2].status, STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal(streams[2].text, "all 2 streams are in use (--max-streams)");
    end(&streams[2]);
    end(&streams[0]);
    ask(&streams[3], PATH("StreamIsActive"), "0");
    assert_false(streams[3].finished);
    end(&streams[1]);
    end(&streams[3]);
}

static void a_call_that_is_cancelled_while_it_waits_is_told_nothing(void **state)
{
    (void)state;
    struct noted_call call = {0};
    struct noted_call stream = {0};
    fake_set_queue("jobs", FAKE_HANGS);
    ask(&call, PATH("GetMetrics"), "jobs");
    ask(&stream, PATH("StreamIsActive"), "jobs");
    end(&call);
    end(&stream);
    fake_set_queue("jobs", 7);
    take_turns_for_a_measurement();
    assert_false(call.finished);
    assert_int_equal(stream.trues, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_init(LOG_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(both_calls_wait_for_the_first_measurement_and_are_answered_from_it),
        TEST(a_call_that_has_waited_long_enough_is_refused),
        TEST(a_stream_tells_true_once_and_then_at_each_heartbeat),
        TEST(a_stream_tells_each_change_to_active_and_never_false),
        TEST(a_push_that_found_no_room_is_told_once_there_is_some),
        TEST(an_outage_is_told_true_while_it_is_held_and_its_end_is_told_at_once),
        TEST(a_stream_lives_through_every_change_of_its_connection),
        TEST(a_stream_with_other_mistakes_is_told_them),
        TEST(a_call_that_waits_is_answered_by_the_new_connection),
        TEST(a_thousand_reloads_leave_nothing_behind),
        TEST(a_drain_ends_streams_and_lets_calls_wait),
        TEST(a_limit_on_streams_is_told_and_one_that_ends_makes_room),
        TEST(a_call_that_is_cancelled_while_it_waits_is_told_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
