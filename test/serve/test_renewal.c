/* A changed connections file: what waiting calls and open streams are sent then. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/scaler_fixture.h"
#include "support/connections_text.h"

#include <string.h>
#include <unistd.h>

static void set_connections(const char *yaml)
{
    _cleanup_(error_done) struct error error = {0};
    struct connections *connections = NULL;
    assert_true(connections_from_text(yaml, strlen(yaml), "test", ".", &connections, &error));
    triggers_set_connections(triggers, connections);
}

static void a_stream_lives_through_every_change_of_its_connection(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    connection_name = "late";
    begin_call(&stream, PATH("StreamIsActive"), "3");
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
    end_call(&stream);
}

static void a_stream_with_other_mistakes_ends_with_them(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    connection_name = "late";
    begin_call(&stream, PATH("StreamIsActive"), "");
    assert_true(stream.finished);
    assert_int_equal(stream.status, STATUS_INVALID_ARGUMENT);
    end_call(&stream);
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
    begin_call(&waiting, PATH("IsActive"), "jobs");
    take_turns_for(interval_ms);
    assert_false(waiting.finished);
    fake_set_queue("jobs", 3);
    set_connections("connections:\n  late: {scaler: fake, source: b}\n");
    TURN_UNTIL(waiting.finished);
    assert_int_equal(waiting.status, STATUS_OK);
    assert_int_equal(waiting.trues, 1);

    begin_call(&lost, PATH("IsActive"), "other");
    set_connections("connections: {}\n");
    TURN_UNTIL(lost.finished);
    assert_int_equal(lost.status, STATUS_INVALID_ARGUMENT);
    end_call(&waiting);
    end_call(&lost);
}

static void the_last_of_several_changes_counts(void **state)
{
    (void)state;
    struct noted_call waiting = {0};
    connection_name = "late";
    fake_set_queue("jobs", FAKE_HANGS);
    set_connections("connections:\n  late: {scaler: fake, source: a}\n");
    begin_call(&waiting, PATH("IsActive"), "jobs");
    set_connections("connections:\n  late: {scaler: fake, source: b}\n");
    set_connections("connections: {}\n");
    TURN_UNTIL(waiting.finished);
    assert_int_equal(waiting.status, STATUS_INVALID_ARGUMENT);
    end_call(&waiting);
}

/* The memory that is left behind is for the address sanitizer to find; a connection is a thread. */
static void a_thousand_reloads_leave_nothing_behind(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct connection_stats stats;
    connection_name = "late";
    set_connections("connections:\n  late: {scaler: fake, source: a}\n");
    begin_call(&stream, PATH("StreamIsActive"), "3");
    for (int i = 0; i < 1000; i++) {
        _cleanup_(memory_free) char *yaml =
            text_format("connections:\n  late: {scaler: fake, source: a, password: \"%d\"}\n", i);
        set_connections(yaml);
        service->turn(service->context, clock_now_ms());
    }
    do {
        usleep(1000);
        engine_stats(engine, &stats);
    } while (stats.counts[COUNT_CONNECTIONS] > 1);
    assert_int_equal(stats.counts[COUNT_QUERIES], 1);
    TURN_UNTIL(stream.trues > 0);
    end_call(&stream);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_stream_lives_through_every_change_of_its_connection),
        TEST(a_stream_with_other_mistakes_ends_with_them),
        TEST(a_call_that_waits_is_answered_by_the_new_connection),
        TEST(the_last_of_several_changes_counts),
        TEST(a_thousand_reloads_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
