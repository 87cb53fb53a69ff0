#include "kafka/log_start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NO_COMMIT = -1, NOW_MS = 1000 * 1000 };

static void a_commit_behind_the_end_needs_it_once_and_again_after_a_while(void **state)
{
    (void)state;
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    assert_true(kafka_log_start_is_due(&log_start, 10, 100, NOW_MS));
    kafka_log_start_answer(&log_start, 60, NOW_MS);
    kafka_log_start_note(&log_start, 10, 100, NOW_MS);
    assert_false(kafka_log_start_is_due(&log_start, 10, 100, NOW_MS + KAFKA_LOG_START_MS - 1));
    assert_false(kafka_log_start_is_due(&log_start, 70, 101, NOW_MS + KAFKA_LOG_START_MS - 1));
    assert_true(kafka_log_start_is_due(&log_start, 10, 100, NOW_MS + KAFKA_LOG_START_MS));
}

static void a_commit_at_the_end_never_needs_it(void **state)
{
    (void)state;
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    assert_false(kafka_log_start_is_due(&log_start, 100, 100, NOW_MS));
    kafka_log_start_note(&log_start, 100, 100, NOW_MS);
    assert_false(kafka_log_start_is_due(&log_start, 100, 100, NOW_MS + 10 * KAFKA_LOG_START_MS));
}

/* It was never above a commit at the end: so the first message costs no other request. */
static void a_commit_that_was_at_the_end_needs_it_once_it_is_behind_for_a_while(void **state)
{
    (void)state;
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    kafka_log_start_note(&log_start, 100, 100, NOW_MS);
    int64_t behind_ms = NOW_MS + 60 * 60 * 1000;
    for (int64_t now_ms = behind_ms; now_ms < behind_ms + KAFKA_LOG_START_MS; now_ms += 500) {
        assert_false(kafka_log_start_is_due(&log_start, 100, 110, now_ms));
        kafka_log_start_note(&log_start, 100, 110, now_ms);
    }
    assert_true(kafka_log_start_is_due(&log_start, 100, 110, behind_ms + KAFKA_LOG_START_MS));
    /* another group of the partition */
    assert_true(kafka_log_start_is_due(&log_start, 99, 110, behind_ms));
    kafka_log_start_note(&log_start, 110, 110, behind_ms + KAFKA_LOG_START_MS);
    assert_false(kafka_log_start_is_due(&log_start, 110, 120, behind_ms + KAFKA_LOG_START_MS));
}

static void it_is_asked_for_less_often_the_longer_it_stays(void **state)
{
    (void)state;
    static const int64_t ask_seconds[] = {0, 5, 10, 20, 40, 80, 140, 200};
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    for (size_t i = 0; i < sizeof(ask_seconds) / sizeof(ask_seconds[0]); i++) {
        int64_t ask_ms = NOW_MS + ask_seconds[i] * 1000;
        if (i > 0)
            assert_false(kafka_log_start_is_due(&log_start, 10, 100, ask_ms - 1));
        assert_true(kafka_log_start_is_due(&log_start, 10, 100, ask_ms));
        kafka_log_start_answer(&log_start, 60, ask_ms);
        kafka_log_start_note(&log_start, 10, 100, ask_ms);
    }
}

static void it_is_asked_for_soon_again_once_it_has_moved(void **state)
{
    (void)state;
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    int64_t moved_ms = NOW_MS + KAFKA_LOG_START_MAX_MS;
    kafka_log_start_answer(&log_start, 0, NOW_MS);
    kafka_log_start_answer(&log_start, 60, moved_ms);
    assert_true(kafka_log_start_is_due(&log_start, 10, 100, moved_ms + KAFKA_LOG_START_MS));
}

static void a_stopped_group_needs_it_beside_one_that_keeps_up(void **state)
{
    (void)state;
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    size_t requests = 0;
    for (int64_t i = 0; i < 60; i++) {
        int64_t now_ms = NOW_MS + i * 1000;
        if (kafka_log_start_is_due(&log_start, 10, 100 + i, now_ms)) {
            requests++;
            kafka_log_start_answer(&log_start, 0, now_ms);
        }
        kafka_log_start_note(&log_start, 10, 100 + i, now_ms);
        kafka_log_start_note(&log_start, 100 + i, 100 + i, now_ms);
    }
    assert_int_equal(requests, 5); /* after 0, 5, 10, 20 and 40 s */
}

/* Kafka has no end before a log start: one of them is of a topic that was deleted. */
static void an_end_before_it_needs_it_at_once(void **state)
{
    (void)state;
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    kafka_log_start_answer(&log_start, 1000, NOW_MS);
    kafka_log_start_note(&log_start, 10, 1000, NOW_MS);
    assert_true(kafka_log_start_is_due(&log_start, 2, 5, NOW_MS));
    kafka_log_start_answer(&log_start, 0, NOW_MS);
    assert_int_equal(log_start.removed_until, 0);
    assert_false(kafka_log_start_is_due(&log_start, 2, 5, NOW_MS));
}

static void what_no_group_could_consume_is_removed(void **state)
{
    (void)state;
    struct kafka_log_start log_start = KAFKA_LOG_START_UNKNOWN;
    kafka_log_start_answer(&log_start, 60, NOW_MS);
    kafka_log_start_note(&log_start, 60, 100, NOW_MS);
    assert_int_equal(log_start.removed_until, 0);
    kafka_log_start_note(&log_start, 59, 100, NOW_MS);
    assert_int_equal(log_start.removed_until, 60);
    kafka_log_start_answer(&log_start, 80, NOW_MS);
    kafka_log_start_note(&log_start, 90, 100, NOW_MS);
    assert_int_equal(log_start.removed_until, 60);
    kafka_log_start_note(&log_start, NO_COMMIT, 100, NOW_MS);
    assert_int_equal(log_start.removed_until, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_behind_the_end_needs_it_once_and_again_after_a_while),
        cmocka_unit_test(a_commit_at_the_end_never_needs_it),
        cmocka_unit_test(a_commit_that_was_at_the_end_needs_it_once_it_is_behind_for_a_while),
        cmocka_unit_test(it_is_asked_for_less_often_the_longer_it_stays),
        cmocka_unit_test(it_is_asked_for_soon_again_once_it_has_moved),
        cmocka_unit_test(a_stopped_group_needs_it_beside_one_that_keeps_up),
        cmocka_unit_test(an_end_before_it_needs_it_at_once),
        cmocka_unit_test(what_no_group_could_consume_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
