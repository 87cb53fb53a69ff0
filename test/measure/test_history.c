/* What is kept of a query's readings, and what is not. Time is a number that the test moves. */
#include "base/memory.h"
#include "measure/history.h"

#include <math.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, START_MS = 1000 * MINUTE_MS };

static struct history *history;
static struct recent_samples recent; /* of the history, after add() */

static int set_up(void **state)
{
    (void)state;
    history = history_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    history_free(history);
    return 0;
}

static struct reading reading_of(double waiting, double in_flight)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = waiting;
    reading.in_flight = in_flight;
    return reading;
}

static void add_reading(int64_t at_ms, struct reading reading)
{
    history_add(history, at_ms, &reading);
    history_recent(history, &recent);
}

static void add(int64_t at_ms, double waiting)
{
    add_reading(at_ms, reading_of(waiting, 0));
}

static size_t count_from(const struct history *of, int64_t from_ms)
{
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    return history_read(of, from_ms, &samples);
}

/* A new field that READING_UNKNOWN lacks would be 0: nobody waits. */
static void what_was_not_reported_is_unknown(void **state)
{
    (void)state;
    const struct reading reading = READING_UNKNOWN;
    const double *fields = (const double *)&reading;
    for (size_t i = 0; i < sizeof(reading) / sizeof(*fields); i++)
        assert_true(isnan(fields[i]));
}

/* Also of a machine that has been up for months: their milliseconds need more than 32 bits. Totals
 * need all digits, as policies take their differences. */
static void a_reading_comes_back_as_it_was_and_what_was_unknown_is_unknown(void **state)
{
    (void)state;
    enum { DAYS = 200 };
    const int64_t late_ms = (int64_t)DAYS * 24 * 60 * MINUTE_MS;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = 1234567;
    history_add(history, late_ms, &reading);
    reading.in_flight = 0.25;
    reading.consumed = 12345678901;
    history_add(history, late_ms + (int64_t)5 * SECOND_MS, &reading);
    reading.value = -3;
    reading.in_flight = NAN;
    history_add(history, late_ms + (int64_t)10 * SECOND_MS, &reading);
    history_add_failure(history, late_ms + (int64_t)15 * SECOND_MS);

    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_int_equal(history_read(history, 0, &samples), 4);
    assert_int_equal(samples[0].at_ms, late_ms);
    assert_true(samples[0].reading.waiting == 1234567 && isnan(samples[0].reading.in_flight));
    assert_true(samples[1].reading.in_flight == 0.25 && samples[1].max_in_flight == 0.25);
    assert_true(samples[1].reading.consumed == 12345678901 && isnan(samples[1].reading.value));
    assert_true(samples[2].reading.value == -3 && isnan(samples[2].reading.in_flight));
    assert_true(samples[2].max_waiting == 1234567);
    assert_int_equal(samples[3].at_ms, late_ms + (int64_t)15 * SECOND_MS);
    assert_true(samples[3].is_failed && isnan(samples[3].reading.waiting));
    assert_false(samples[0].is_failed || samples[1].is_failed || samples[2].is_failed);
    assert_int_equal(count_from(history, late_ms + 1), 3);
}

/* Two hours, one reading per second: what policies need is complete, what is older is never further
 * apart than a share of its age, and nothing is older than an hour or so. */
static void it_gets_coarser_with_age_and_ends_after_an_hour(void **state)
{
    (void)state;
    int64_t now_ms = START_MS;
    for (int second = 0; second < 7200; second++, now_ms += SECOND_MS) {
        add(now_ms, second);
        assert_true(count_from(history, 0) <= HISTORY_MAX_SAMPLES);
    }

    _cleanup_(memory_free) struct history_sample *samples = NULL;
    size_t count = history_read(history, now_ms - HISTORY_SPAN_MS, &samples);
    assert_in_range(count, HISTORY_MAX_SAMPLES / 2, HISTORY_MAX_SAMPLES);
    assert_int_equal(count_from(history, now_ms - (int64_t)RECENT_SAMPLES_MAX * SECOND_MS),
                     RECENT_SAMPLES_MAX);
    assert_in_range(now_ms - samples[0].at_ms, 58 * MINUTE_MS, 60 * MINUTE_MS);
    for (size_t i = 1; i < count; i++) {
        int64_t distance_ms = samples[i].at_ms - samples[i - 1].at_ms;
        assert_in_range(distance_ms, 1, SECOND_MS + (now_ms - samples[i - 1].at_ms) / 40);
        /* It was measured, and is no average. */
        int64_t seconds = (samples[i].at_ms - START_MS) / SECOND_MS;
        assert_true(samples[i].reading.waiting == (double)seconds);
    }
}

/* What is measured seldom takes little, and is kept for an hour. */
static void what_is_measured_once_a_minute_is_all_there(void **state)
{
    (void)state;
    for (int minute = 0; minute < 300; minute++)
        add(START_MS + minute * (int64_t)MINUTE_MS, minute);
    assert_in_range(count_from(history, START_MS + (int64_t)240 * MINUTE_MS), 60, 60);
    assert_in_range(history->capacity, 60, 120);
}

/* An outage of two seconds is still there when everything around it has become coarse. */
static void a_failure_is_kept_at_every_age(void **state)
{
    (void)state;
    const int64_t failed_ms = START_MS + (int64_t)5 * MINUTE_MS;
    for (int64_t now_ms = START_MS; now_ms < START_MS + (int64_t)50 * MINUTE_MS;
         now_ms += SECOND_MS)
        if (now_ms == failed_ms || now_ms == failed_ms + SECOND_MS)
            history_add_failure(history, now_ms);
        else
            add(now_ms, 5);

    _cleanup_(memory_free) struct history_sample *samples = NULL;
    size_t count = history_read(history, 0, &samples);
    size_t failed = 0;
    for (size_t i = 1; i + 1 < count; i++)
        if (samples[i].is_failed) {
            failed++;
            assert_true(isnan(samples[i].reading.waiting));
            assert_int_equal(samples[i].at_ms - samples[i - 1].at_ms, SECOND_MS);
            assert_int_equal(samples[i + 1].at_ms - samples[i].at_ms, SECOND_MS);
        }
    assert_int_equal(failed, 2);
}

/* Each sample is next to one of the other kind: none can be left out. */
static void of_a_source_that_flaps_the_newest_are_kept(void **state)
{
    (void)state;
    int64_t now_ms = START_MS;
    for (int i = 0; i < 10000; i++, now_ms += 100) {
        add(now_ms, i);
        history_add_failure(history, now_ms + 50);
        assert_true(history->count <= HISTORY_MAX_SAMPLES);
    }
    assert_true(count_from(history, now_ms - (int64_t)10 * SECOND_MS) >= 100);
}

/* A failure that a walk noted late, after newer readings were inherited. */
static void times_never_go_back(void **state)
{
    (void)state;
    add(START_MS + 2 * SECOND_MS, 5);
    history_add_failure(history, START_MS);
    add(START_MS + SECOND_MS, 6); /* it was sent before the last reading: it is none */
    add(START_MS + 2 * SECOND_MS, 7);
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_int_equal(history_read(history, 0, &samples), 3);
    assert_true(samples[1].is_failed && samples[1].at_ms == START_MS + 2 * SECOND_MS);
    assert_true(samples[2].reading.waiting == 7 && samples[2].at_ms == samples[1].at_ms + 1);
}

/* The more queries there are, the fewer samples each one may have; but policies have theirs. */
static void many_queries_share_the_memory(void **state)
{
    enum { QUERIES = 10000, WORD_BYTES = 8 };
    (void)state;
    struct history **all = memory_array(QUERIES, sizeof(struct history *));
    size_t words = 0;
    for (int second = 0; second < 1000; second++)
        add(START_MS + second * (int64_t)SECOND_MS, second);
    assert_true(history->count > HISTORY_MAX_SAMPLES / 2);
    for (int i = 0; i < QUERIES; i++) {
        all[i] = history_new();
        all[i]->interval_ms = i % 100 == 0 ? SECOND_MS : 0; /* few have a policy */
    }
    struct reading reading = READING_UNKNOWN;
    for (int second = 1000; second < 1150; second++)
        for (int i = 0; i < QUERIES; i++) {
            reading.waiting = second;
            history_add(all[i], START_MS + second * (int64_t)SECOND_MS, &reading);
        }
    for (int i = 0; i < QUERIES; i++) {
        words += all[i]->capacity * 2; /* its time, and one field */
        if (all[i]->interval_ms > 0) {
            history_recent(all[i], &recent);
            assert_int_equal(recent.count, RECENT_SAMPLES_MAX);
            assert_int_equal(recent.samples[0].at_ms,
                             START_MS + (int64_t)(1150 - RECENT_SAMPLES_MAX) * SECOND_MS);
        }
    }
    assert_true(words * WORD_BYTES <= HISTORY_BYTES);
    add(START_MS + (int64_t)1150 * SECOND_MS, 1); /* the first one gives up what it had */
    assert_true(history->capacity <= HISTORY_BYTES / WORD_BYTES / 2 / QUERIES);
    for (int i = 0; i < QUERIES; i++)
        history_free(all[i]);
    free(all);
}

static void a_copy_goes_on_by_itself(void **state)
{
    (void)state;
    assert_null(history_copy(NULL));
    for (int i = 0; i < 1000; i++)
        add(START_MS + i * (int64_t)SECOND_MS, i);
    size_t count = count_from(history, 0);
    struct history *copy = history_copy(history);
    assert_int_equal(count_from(copy, 0), count);
    for (int i = 1000; i < 5000; i++)
        add(START_MS + i * (int64_t)SECOND_MS, i);
    assert_int_equal(count_from(copy, 0), count);
    history_add_failure(copy, START_MS + 1000 * SECOND_MS);
    assert_int_equal(count_from(copy, START_MS + 1000 * SECOND_MS), 1);
    history_free(copy);
    history_free(NULL);
}

static void without_a_history_nothing_is_kept(void **state)
{
    (void)state;
    struct history_sample *samples = NULL;
    history_add_failure(NULL, START_MS);
    history_add_gap(NULL);
    assert_int_equal(history_read(NULL, 0, &samples), 0);
    assert_null(samples);
    assert_true(isnan(history_rates(NULL).arrivals));
}

/* ---- rates ---- */

static void rates_are_those_of_the_last_minute(void **state)
{
    (void)state;
    int second = 0;
    for (; second < 300; second += 5)
        add(START_MS + second * (int64_t)SECOND_MS, second * 10);
    assert_true(history_rates(history).arrivals == 10);
    assert_true(history_rates(history).consumption == 0);
    for (int i = 1; i <= 60; i++, second += 5)
        add(START_MS + second * (int64_t)SECOND_MS, 3000 - i * 25);
    assert_true(history_rates(history).arrivals == 0);
    assert_true(history_rates(history).consumption == 5);
}

/* What a failed attempt did not see was the same before and after it, for all that is known. */
static void a_rate_needs_two_readings_of_the_same_partitions(void **state)
{
    (void)state;
    struct reading reading = reading_of(10, NAN);
    reading.partitions = 3;
    history_add(history, START_MS, &reading);
    assert_true(isnan(history_rates(history).arrivals));
    history_add_failure(history, START_MS + 5 * SECOND_MS);
    assert_true(isnan(history_rates(history).arrivals));
    reading.waiting = 1000;
    reading.partitions = 4;
    history_add(history, START_MS + 10 * SECOND_MS, &reading);
    assert_true(isnan(history_rates(history).consumption));
    reading.waiting = 1020;
    history_add(history, START_MS + 20 * SECOND_MS, &reading);
    assert_true(history_rates(history).arrivals == 2 && history_rates(history).consumption == 0);
}

/* ---- the recent samples ---- */

static void the_recent_ones_are_bounded_and_the_newest(void **state)
{
    (void)state;
    history->interval_ms = 5000;
    for (int i = 1; i <= 1000; i++)
        add((int64_t)i * 5000, i);
    assert_int_equal(recent.count, RECENT_SAMPLES_MAX);
    assert_int_equal(recent.samples[RECENT_SAMPLES_MAX - 1].at_ms, 1000 * 5000);
    assert_int_equal(recent.samples[0].at_ms, (1000 - RECENT_SAMPLES_MAX + 1) * 5000);
}

/* A policy that begins in an outage begins with the last reading, however long that was ago. */
static void the_last_one_stays_however_long_measuring_fails(void **state)
{
    (void)state;
    history->interval_ms = 5000;
    add(START_MS, 1);
    add(START_MS + 5 * SECOND_MS, 7);
    for (int second = 10; second < 7200; second++)
        history_add_failure(history, START_MS + second * (int64_t)SECOND_MS);
    history_recent(history, &recent);
    assert_int_equal(recent.count, 1);
    assert_true(recent.samples[0].reading.waiting == 7);
    add(START_MS + (int64_t)7200 * SECOND_MS, 8);
    assert_true(recent.count == 1 && recent.samples[0].is_after_gap);
}

/* In between may be what nobody knows any more. */
static void what_was_thinned_is_a_gap(void **state)
{
    (void)state;
    history->duration_ms = SECOND_MS;
    for (int second = 0; second < 3600; second++)
        add(START_MS + second * (int64_t)SECOND_MS, 0);
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    size_t count = history_read(history, 0, &samples);
    for (size_t i = 1; i < count; i++)
        assert_true(samples[i].is_after_gap ==
                    (samples[i].at_ms - samples[i - 1].at_ms > SECOND_MS));
}

/* A push measures after 5, 10, 20 ms: that must not drive out the last five minutes. */
static void many_in_one_interval_are_one_sample_that_has_their_maximum(void **state)
{
    (void)state;
    history->interval_ms = 5000;
    add(5000, 0);
    add(10000, 0);
    for (int i = 0; i < 500; i++)
        add(10001 + i, i == 250 ? 7 : 0);
    assert_int_equal(recent.count, 3);
    assert_true(recent.samples[2].reading.waiting == 0);
    assert_true(recent.samples[2].max_waiting == 7);
}

static void a_failure_and_a_long_silence_are_gaps(void **state)
{
    (void)state;
    history->interval_ms = 5000;
    add(5000, 1);
    assert_true(recent.samples[0].is_after_gap);
    add(10000, 1);
    assert_false(recent.samples[1].is_after_gap);
    history_add_gap(history);
    add(15000, 1);
    assert_true(recent.samples[2].is_after_gap);
    add(60000, 1);
    assert_true(recent.samples[3].is_after_gap);
}

/* One whose queries take 25 s is not asked more often. */
static void what_a_slow_source_takes_is_no_gap(void **state)
{
    (void)state;
    history->interval_ms = 5000;
    add(5000, 1);
    history->duration_ms = 25000;
    add(31000, 1);
    assert_false(recent.samples[1].is_after_gap);
    add(132000, 1);
    assert_true(recent.samples[2].is_after_gap);
}

/* One that cannot keep up measures each query late, and evenly. */
static void a_wait_for_a_turn_is_no_gap(void **state)
{
    (void)state;
    history->interval_ms = 2000;
    add(2000, 1);
    history->waited_ms = 11000;
    add(15000, 1);
    assert_false(recent.samples[1].is_after_gap);
    assert_int_equal(recent_samples_unseen_ms(&recent, 13000), 5000);
    assert_int_equal(recent_samples_unseen_ms(&recent, 8000), 0);
    history->waited_ms = 4000; /* what the rest was is not known */
    add(28000, 1);
    assert_true(recent.samples[2].is_after_gap);
}

static void a_gap_is_not_lost_where_samples_become_one(void **state)
{
    (void)state;
    history->interval_ms = 5000;
    add(5000, 1);
    add(10000, 1);
    history_add_gap(history);
    add(10500, 1);
    add(11000, 1);
    assert_true(recent.samples[2].is_after_gap);
}

static void a_source_with_one_number_waits_by_it(void **state)
{
    (void)state;
    struct reading reading = READING_UNKNOWN;
    assert_true(isnan(recent_samples_waiting(&reading)));
    reading.value = 12;
    assert_true(recent_samples_waiting(&reading) == 12);
}

/* Nothing that was unknown for a moment was idle all the time. */
static void unknown_is_not_idle_where_samples_become_one(void **state)
{
    (void)state;
    for (int unknown = 0; unknown < 2; unknown++) {
        const struct history_sample *last = &recent.samples[2];
        tear_down(state);
        set_up(state);
        history->interval_ms = 5000;
        add(5000, 0);
        add(10000, 0);
        for (int i = 1; i <= 2; i++)
            add_reading(10000 + i, reading_of(0, i == unknown + 1 ? NAN : 0));
        assert_int_equal(recent.count, 3);
        assert_true(isnan(last->max_in_flight));
        assert_true(last->max_waiting == 0);
        add_reading(10003, reading_of(NAN, 3));
        assert_int_equal(recent.count, 3);
        assert_true(last->max_in_flight == 3);
        assert_true(isnan(last->max_waiting));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_not_reported_is_unknown),
        TEST(a_reading_comes_back_as_it_was_and_what_was_unknown_is_unknown),
        TEST(it_gets_coarser_with_age_and_ends_after_an_hour),
        TEST(what_is_measured_once_a_minute_is_all_there),
        TEST(a_failure_is_kept_at_every_age),
        TEST(of_a_source_that_flaps_the_newest_are_kept),
        TEST(times_never_go_back),
        TEST(many_queries_share_the_memory),
        TEST(a_copy_goes_on_by_itself),
        TEST(without_a_history_nothing_is_kept),
        TEST(rates_are_those_of_the_last_minute),
        TEST(a_rate_needs_two_readings_of_the_same_partitions),
        TEST(the_recent_ones_are_bounded_and_the_newest),
        TEST(the_last_one_stays_however_long_measuring_fails),
        TEST(what_was_thinned_is_a_gap),
        TEST(many_in_one_interval_are_one_sample_that_has_their_maximum),
        TEST(a_failure_and_a_long_silence_are_gaps),
        TEST(what_a_slow_source_takes_is_no_gap),
        TEST(a_wait_for_a_turn_is_no_gap),
        TEST(a_gap_is_not_lost_where_samples_become_one),
        TEST(a_source_with_one_number_waits_by_it),
        TEST(unknown_is_not_idle_where_samples_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
