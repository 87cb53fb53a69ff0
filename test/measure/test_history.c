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

static struct reading waiting(double count)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = count;
    return reading;
}

static void add(struct history *history, struct history_series *series, double count, int64_t at_ms)
{
    const struct reading reading = waiting(count);
    history_add(history, series, &reading, at_ms);
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

static size_t count_from(struct history *history, const struct history_series *series,
                         int64_t from_ms)
{
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    return history_read(history, series, from_ms, &samples);
}

static size_t bytes_of(struct history *history)
{
    struct history_stats stats;
    history_get_stats(history, &stats);
    return stats.bytes;
}

static double consumed(struct history *history, const struct history_series *series)
{
    struct history_throughput throughput;
    history_get_throughput(history, series, &throughput);
    return throughput.consumed;
}

static uint64_t dropped(struct history *history)
{
    struct history_stats stats;
    history_get_stats(history, &stats);
    return stats.dropped;
}

static void a_reading_comes_back_as_it_was_and_what_was_unknown_is_unknown(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    struct reading reading = READING_UNKNOWN;
    reading.waiting = 1234567;
    reading.in_flight = 0.25;
    reading.consumers = 0;
    history_add(history, &series, &reading, START_MS);
    reading.value = -3;
    history_add(history, &series, &reading, START_MS + 5 * SECOND_MS);
    add(history, &series, 7, START_MS + 10 * SECOND_MS);

    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_int_equal(history_read(history, &series, 0, &samples), 3);
    assert_int_equal(samples[0].at_ms, START_MS);
    assert_true(samples[0].reading.waiting == 1234567 && samples[0].reading.in_flight == 0.25);
    assert_true(samples[0].reading.consumers == 0 && isnan(samples[0].reading.value));
    assert_int_equal(samples[1].at_ms, START_MS + 5 * SECOND_MS);
    assert_true(samples[1].reading.value == -3 && samples[1].reading.waiting == 1234567);
    assert_true(samples[2].reading.waiting == 7 && isnan(samples[2].reading.in_flight));
    assert_int_equal(count_from(history, &series, START_MS + 1), 2);
    history_drop(history, &series);
    assert_int_equal(bytes_of(history), 0);
    history_free(history);
}

/* Of a machine that has been up for months: their milliseconds need more than 32 bits. */
static void a_reading_has_its_time_however_late_that_is(void **state)
{
    (void)state;
    enum { DAYS = 200 };
    const int64_t late_ms = (int64_t)DAYS * 24 * 60 * MINUTE_MS;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    add(history, &series, 7, late_ms);
    history_add(history, &series, NULL, late_ms + SECOND_MS);
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_int_equal(history_read(history, &series, 0, &samples), 2);
    assert_int_equal(samples[0].at_ms, late_ms);
    assert_true(!samples[0].is_failed && samples[0].reading.waiting == 7);
    assert_int_equal(samples[1].at_ms, late_ms + SECOND_MS);
    assert_true(samples[1].is_failed);
    history_drop(history, &series);
    history_free(history);
}

/* Two hours, one reading per second: the last ten minutes are complete, and nothing is older than
 * an hour or so. */
static void it_gets_coarser_with_age_and_ends_after_an_hour(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    int64_t now_ms = START_MS;
    for (int second = 0; second < 7200; second++, now_ms += SECOND_MS)
        add(history, &series, second, now_ms);

    _cleanup_(memory_free) struct history_sample *samples = NULL;
    size_t count = history_read(history, &series, now_ms - HISTORY_SPAN_MS, &samples);
    size_t last_minutes = count_from(history, &series, now_ms - (int64_t)10 * MINUTE_MS);
    size_t half_hour = count_from(history, &series, now_ms - (int64_t)30 * MINUTE_MS);
    assert_int_equal(last_minutes, 600);
    assert_in_range(half_hour - last_minutes, 20 * 4 - 4, 20 * 4 + 40);
    assert_in_range(count - half_hour, 25, 55); /* up to a chunk is finer */
    assert_in_range(now_ms - samples[0].at_ms, 58 * MINUTE_MS, 60 * MINUTE_MS);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || samples[i].at_ms > samples[i - 1].at_ms);
        /* It was measured, and is no average. */
        int64_t seconds = (samples[i].at_ms - START_MS) / SECOND_MS;
        assert_true(samples[i].reading.waiting == (double)seconds);
    }
    assert_int_equal(dropped(history), 0); /* it was thinned, and had room */
    assert_in_range(bytes_of(history), 1, 16 << 10);
    history_drop(history, &series);
    history_free(history);
}

static void many_readings_within_a_second_count_as_one(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    for (int i = 0; i < 100; i++)
        add(history, &series, i, START_MS + i * 10);
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_int_equal(history_read(history, &series, 0, &samples), 1);
    assert_true(samples[0].reading.waiting == 99);
    history_drop(history, &series);
    history_free(history);
}

/* An outage of two seconds is still there when everything around it has become coarse. */
static void a_failure_is_kept_at_every_age(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    const int64_t failed_ms = START_MS + 5 * MINUTE_MS;
    for (int64_t now_ms = START_MS; now_ms < START_MS + 50 * MINUTE_MS; now_ms += SECOND_MS)
        if (now_ms == failed_ms || now_ms == failed_ms + SECOND_MS)
            history_add(history, &series, NULL, now_ms);
        else
            add(history, &series, 5, now_ms);

    _cleanup_(memory_free) struct history_sample *samples = NULL;
    size_t count = history_read(history, &series, 0, &samples);
    size_t failed = 0;
    for (size_t i = 0; i < count; i++)
        if (samples[i].is_failed) {
            failed++;
            assert_int_equal(samples[i].at_ms, failed_ms + SECOND_MS);
            assert_true(isnan(samples[i].reading.waiting));
        }
    assert_int_equal(failed, 1);
    history_drop(history, &series);
    history_free(history);
}

/* A failure that was noted late, after newer readings were moved in. */
static void an_older_sample_keeps_its_time(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series from = {0}, to = {0};
    add(history, &from, 5, START_MS + 2 * SECOND_MS);
    history_move(history, &from, &to);
    history_add(history, &to, NULL, START_MS);
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_int_equal(history_read(history, &to, 0, &samples), 2);
    assert_int_equal(samples[0].at_ms, START_MS + 2 * SECOND_MS);
    assert_true(samples[1].at_ms == START_MS && samples[1].is_failed);
    history_drop(history, &to);
    history_free(history);
}

/* Whatever fields it has. */
static void a_sample_in_place_of_the_only_one_takes_its_memory(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    struct reading reading = waiting(5);
    history_add(history, &series, &reading, START_MS + 1);
    reading.in_flight = 2;
    history_add(history, &series, &reading, START_MS + 2);
    assert_int_equal(bytes_of(history), HISTORY_CHUNK_BYTES);
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_int_equal(history_read(history, &series, 0, &samples), 1);
    assert_true(samples[0].reading.waiting == 5 && samples[0].reading.in_flight == 2);
    assert_int_equal(samples[0].at_ms, START_MS + 2);
    history_drop(history, &series);
    history_free(history);
}

/* 500 queries in the room of 100 chunks: never more memory, the latest of each that was measured
 * last is there, and what went is counted. */
static void a_full_pool_drops_the_oldest_and_counts_it(void **state)
{
    enum { SERIES = 50, ROOM = 100 * HISTORY_CHUNK_BYTES };
    (void)state;
    struct history *history = history_new(ROOM);
    struct history_series *all = memory_array(SERIES, sizeof(*all));
    for (int64_t at_ms = START_MS; at_ms < START_MS + 70 * MINUTE_MS;
         at_ms += (int64_t)5 * SECOND_MS)
        for (int i = 0; i < SERIES; i++) {
            add(history, &all[i], i, at_ms);
            assert_in_range(bytes_of(history), 1, ROOM);
        }
    assert_true(dropped(history) > 0);
    int64_t now_ms = START_MS + 70 * MINUTE_MS;
    for (int i = 0; i < SERIES; i++) {
        assert_true(count_from(history, &all[i], now_ms - MINUTE_MS) >= 1);
        history_drop(history, &all[i]);
    }
    assert_int_equal(bytes_of(history), 0);
    free(all);
    history_free(history);
}

/* Of a reading each second, one in fifteen or fewer is left when it is dropped. */
static void a_full_pool_thins_before_it_drops(void **state)
{
    (void)state;
    struct history *history = history_new((size_t)7 * HISTORY_CHUNK_BYTES);
    struct history_series series = {0};
    for (int64_t at_ms = START_MS; at_ms < START_MS + 9 * MINUTE_MS; at_ms += SECOND_MS)
        add(history, &series, 1, at_ms);
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    assert_true(history_read(history, &series, 0, &samples) > 0);
    int64_t gone_s = (samples[0].at_ms - START_MS) / SECOND_MS;
    assert_in_range(dropped(history), 1, gone_s / 15);
    history_drop(history, &series);
    history_free(history);
}

static void more_queries_than_chunks_do_no_harm(void **state)
{
    enum { SERIES = 30 };
    (void)state;
    struct history *history = history_new((size_t)10 * HISTORY_CHUNK_BYTES);
    struct history_series all[SERIES] = {0};
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < SERIES; i++)
            add(history, &all[i], i, START_MS + round * SECOND_MS);
    assert_in_range(bytes_of(history), 1, 10 * HISTORY_CHUNK_BYTES);
    assert_true(count_from(history, &all[SERIES - 1], 0) > 0);
    for (int i = 0; i < SERIES; i++)
        history_drop(history, &all[i]);
    history_free(history);

    struct history *empty = history_new(1); /* less than a chunk: nothing is kept */
    struct history_series series = {0};
    add(empty, &series, 1, START_MS);
    assert_int_equal(count_from(empty, &series, 0), 0);
    history_drop(empty, &series);
    history_free(empty);
}

static void consumption_is_what_waiting_fell_by(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    assert_true(isnan(consumed(history, &series)));
    const double counts[] = {100, 90, 95, 60, 60};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++)
        add(history, &series, counts[i], START_MS + (int64_t)i * 5 * SECOND_MS);
    assert_true(consumed(history, &series) == 45);
    history_drop(history, &series);
    struct history_stats stats;
    history_get_stats(history, &stats);
    assert_true(stats.consumed == 45); /* of those that have ended, too */
    history_free(history);
}

static void a_rate_that_the_source_reports_counts_for_what_was_consumed(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    struct reading reading = waiting(10);
    reading.consumption_rate = 4;
    for (int i = 0; i < 3; i++)
        history_add(history, &series, &reading, START_MS + i * 5 * SECOND_MS);
    assert_true(consumed(history, &series) == 40);
    history_drop(history, &series);
    history_free(history);
}

static void what_the_source_has_counted_wins_over_its_rate(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    /* It restarts and counts from 0 again; then it does not say for once, and the rate counts. */
    const double counts[] = {1000, 1007, 1500, 3, 10, NAN, 20, 25};
    struct reading reading = waiting(10);
    reading.consumption_rate = 4;
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        reading.consumed = counts[i];
        history_add(history, &series, &reading, START_MS + (int64_t)i * 5 * SECOND_MS);
    }
    assert_true(consumed(history, &series) == 7 + 493 + 0 + 7 + 20 + 20 + 5);
    history_drop(history, &series);
    history_free(history);
}

/* Ten per second come for two minutes, then five per second go. */
static void rates_are_those_of_the_last_minute(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    struct history_throughput throughput;
    int64_t now_ms = START_MS;
    double count = 0;
    for (int i = 0; i < 60; i++, now_ms += (int64_t)5 * SECOND_MS, count += 50)
        add(history, &series, count, now_ms);
    history_get_throughput(history, &series, &throughput);
    assert_true(throughput.arrival_rate > 9.5 && throughput.arrival_rate <= 10 &&
                throughput.consumption_rate == 0);
    for (int i = 0; i < 60; i++, now_ms += (int64_t)5 * SECOND_MS, count -= 25)
        add(history, &series, count, now_ms);
    history_get_throughput(history, &series, &throughput);
    assert_true(throughput.arrival_rate < 0.5);
    assert_true(throughput.consumption_rate > 4.5 && throughput.consumption_rate <= 5);
    history_drop(history, &series);
    history_free(history);
}

/* A group commits on a second topic, of which 10,000,000 messages came and 500 wait, and later on
 * the first one only. */
static void what_another_partition_ever_had_was_not_consumed_just_now(void **state)
{
    (void)state;
    static const struct {
        double partitions, consumed, waiting;
    } rows[] = {{0, 0, 0},          {3, 1000, 10},      {3, 1007, 10}, {6, 10001010, 510},
                {6, 10001015, 510}, {6, 10001020, 510}, {3, 1050, 10}, {3, 1051, 10}};
    struct history *history = history_new(1 << 20);
    struct history_series series = {0};
    struct history_throughput throughput;
    struct history_stats stats;
    struct reading reading = READING_UNKNOWN;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        reading.partitions = rows[i].partitions;
        reading.consumed = rows[i].consumed;
        reading.waiting = rows[i].waiting;
        history_add(history, &series, &reading, START_MS + (int64_t)i * 5 * SECOND_MS);
    }
    history_get_throughput(history, &series, &throughput);
    assert_true(throughput.consumed == 7 + 5 + 5 + 1);
    assert_true(throughput.arrival_rate == 0 && throughput.consumption_rate == 0);
    history_get_stats(history, &stats);
    assert_true(stats.consumed == throughput.consumed);
    history_drop(history, &series);
    history_free(history);
}

static void a_series_moves_to_the_query_that_takes_its_place(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series before = {0};
    struct history_series after = {0};
    for (int i = 0; i < 1000; i++)
        add(history, &before, i, START_MS + i * SECOND_MS);
    history_move(history, &before, &after);
    assert_int_equal(count_from(history, &before, 0), 0);
    size_t count = count_from(history, &after, 0);
    assert_true(count > 600);
    history_drop(history, &before);
    add(history, &before, 1, START_MS + 2000 * SECOND_MS);
    history_move(history, &before, &after); /* which has something: they stay as they are */
    assert_int_equal(count_from(history, &after, 0), count);
    assert_int_equal(count_from(history, &before, 0), 1);
    for (int i = 0; i < 5000; i++) /* it ages under its new owner */
        add(history, &after, i, START_MS + (3000 + i) * SECOND_MS);
    history_drop(history, &after);
    history_drop(history, &before);
    assert_int_equal(bytes_of(history), 0);
    history_free(history);
}

/* Others go on with the former query. */
static void a_copied_series_is_there_twice(void **state)
{
    (void)state;
    struct history *history = history_new(1 << 20);
    struct history_series before = {0};
    struct history_series after = {0};
    for (int i = 1000; i > 0; i--)
        add(history, &before, i, START_MS + (1000 - i) * SECOND_MS);
    size_t count = count_from(history, &before, 0);
    size_t bytes = bytes_of(history);
    history_copy(history, &before, &after);
    assert_int_equal(count_from(history, &before, 0), count);
    assert_int_equal(count_from(history, &after, 0), count);
    assert_int_equal(bytes_of(history), 2 * bytes);
    assert_true(consumed(history, &before) == 999 && consumed(history, &after) == 999);
    add(history, &after, 0, START_MS + 1000 * SECOND_MS);
    assert_int_equal(count_from(history, &before, 0), count);
    assert_true(consumed(history, &before) == 999 && consumed(history, &after) == 1000);
    for (int i = 0; i < 5000; i++) /* each ages by itself */
        add(history, i % 2 == 0 ? &before : &after, i, START_MS + (3000 + i) * SECOND_MS);
    history_drop(history, &before);
    assert_true(count_from(history, &after, 0) > 0);
    history_drop(history, &after);
    assert_int_equal(bytes_of(history), 0);
    history_free(history);
}

static void without_room_for_a_copy_a_series_moves(void **state)
{
    (void)state;
    struct history *history = history_new((size_t)3 * HISTORY_CHUNK_BYTES);
    struct history_series before = {0};
    struct history_series after = {0};
    for (int i = 0; i < 100; i++)
        add(history, &before, i, START_MS + i * SECOND_MS);
    assert_true(bytes_of(history) > (size_t)HISTORY_CHUNK_BYTES);
    size_t count = count_from(history, &before, 0);
    uint64_t dropped_before = dropped(history);
    history_copy(history, &before, &after);
    assert_int_equal(count_from(history, &before, 0), 0);
    assert_int_equal(count_from(history, &after, 0), count);
    assert_int_equal(dropped(history), dropped_before);
    history_drop(history, &after);
    history_free(history);
}

static void without_a_history_nothing_is_kept(void **state)
{
    (void)state;
    struct history_series series = {0};
    struct history_sample *samples = NULL;
    add(NULL, &series, 1, START_MS);
    assert_int_equal(history_read(NULL, &series, 0, &samples), 0);
    assert_null(samples);
    history_drop(NULL, &series);
    history_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_reported_is_unknown),
        cmocka_unit_test(a_reading_comes_back_as_it_was_and_what_was_unknown_is_unknown),
        cmocka_unit_test(a_reading_has_its_time_however_late_that_is),
        cmocka_unit_test(it_gets_coarser_with_age_and_ends_after_an_hour),
        cmocka_unit_test(many_readings_within_a_second_count_as_one),
        cmocka_unit_test(a_failure_is_kept_at_every_age),
        cmocka_unit_test(an_older_sample_keeps_its_time),
        cmocka_unit_test(a_sample_in_place_of_the_only_one_takes_its_memory),
        cmocka_unit_test(a_full_pool_drops_the_oldest_and_counts_it),
        cmocka_unit_test(a_full_pool_thins_before_it_drops),
        cmocka_unit_test(more_queries_than_chunks_do_no_harm),
        cmocka_unit_test(consumption_is_what_waiting_fell_by),
        cmocka_unit_test(a_rate_that_the_source_reports_counts_for_what_was_consumed),
        cmocka_unit_test(what_the_source_has_counted_wins_over_its_rate),
        cmocka_unit_test(rates_are_those_of_the_last_minute),
        cmocka_unit_test(what_another_partition_ever_had_was_not_consumed_just_now),
        cmocka_unit_test(a_series_moves_to_the_query_that_takes_its_place),
        cmocka_unit_test(a_copied_series_is_there_twice),
        cmocka_unit_test(without_room_for_a_copy_a_series_moves),
        cmocka_unit_test(without_a_history_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
