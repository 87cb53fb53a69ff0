#include "base/memory.h"
#include "base/text.h"
#include "model/simulation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>
#include <cmocka.h>

/* The step that an independent implementation ran, too. */
static const char step[] = "time,arrivals\n0,2\n600,100\n3000,2\n7200,2\n";

static struct trace *parsed(const char *text)
{
    _cleanup_(error_done) struct error error = {0};
    struct trace *trace = NULL;
    if (!trace_parse(text, "trace.csv", &trace, &error))
        fail_msg("%s", error_text(&error));
    return trace;
}

static struct simulation_settings settings_of(double target)
{
    struct simulation_settings settings = {
        .model = model_default_settings(),
        .target = target,
        .is_push = true,
        .objective_s = 60,
        .sample_s = 1,
        .workers = {.rate = 10, .startup_s = 20},
    };
    settings.model.hpa.has_behavior = true;
    return settings;
}

static struct simulation simulated(const struct simulation_settings *settings, const char *text)
{
    struct trace *trace = parsed(text);
    struct simulation simulation;
    simulation_run(settings, trace, &simulation);
    trace_free(trace);
    return simulation;
}

static void assert_near(double value, double expected, double share)
{
    if (fabs(value - expected) > share * expected)
        fail_msg("%g is not near %g", value, expected);
}

/*
 * 10/s per replica, start-up 20 s, at most 100 replicas. The other implementation has the age at
 * the beginning of a second, ours at its end: a second more. It scales to zero a poll later (the
 * cooldown must be over and not just at its end), so it goes to zero and back a few times less: see
 * poll_cooldown(). The longest wait follows from where the syncs fall behind the polls: here both
 * fall on the same seconds, and with the syncs 5 s later it is 58, 39 and 39 s.
 */
static void the_step_costs_and_waits_as_an_independent_implementation_says(void **state)
{
    (void)state;
    static const struct {
        double target, replica_hours, max_wait_s;
        int64_t changes;
    } table[] = {{600, 8.67, 59, 36}, {100, 25.87, 38, 69}, {10, 50.43, 38, 98}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct simulation_settings settings = settings_of(table[i].target);
        struct simulation one = simulated(&settings, step);
        assert_near(one.replica_hours, table[i].replica_hours, 0.02);
        assert_near(one.max_wait_s, table[i].max_wait_s + 1, 0.06);
        assert_near((double)one.changes, (double)table[i].changes, 0.05);
        simulation_done(&one);
    }
}

static void all_that_arrives_is_done_or_there(void **state)
{
    (void)state;
    struct simulation_settings settings = settings_of(50);
    settings.workers.prefetch = 7;
    settings.workers.noise = 0.3;
    struct simulation one = simulated(&settings, "0,30\n100,0\n200,300\n300,300\n");
    const struct simulation_sample *last = &one.samples[one.sample_count - 1];
    assert_true(fabs(one.arrived - one.done - last->waiting - last->in_flight) < 1e-6);
    assert_true(one.done > 0);
    simulation_done(&one);
}

static void equal_seeds_are_equal_runs(void **state)
{
    (void)state;
    struct simulation_settings settings = settings_of(50);
    settings.workers.noise = 0.3;
    settings.workers.seed = 7;
    struct simulation one = simulated(&settings, step), other = simulated(&settings, step);
    assert_memory_equal(one.samples, other.samples, one.sample_count * sizeof(*one.samples));
    settings.workers.seed = 8;
    struct simulation another = simulated(&settings, step);
    assert_memory_not_equal(one.samples, another.samples, one.sample_count * sizeof(*one.samples));
    simulation_done(&one);
    simulation_done(&other);
    simulation_done(&another);
}

static void assert_same_results(const struct simulation *one, const struct simulation *other)
{
    struct simulation plain = *one, expected = *other;
    plain.samples = expected.samples = NULL;
    plain.sample_count = expected.sample_count = 0;
    assert_memory_equal(&plain, &expected, sizeof(plain));
}

/* 64 settings with a trace of 31 days would have 10 GB of seconds. */
static void a_sample_has_the_largest_of_its_seconds(void **state)
{
    (void)state;
    struct simulation_settings settings = settings_of(100);
    settings.workers.prefetch = 7;
    struct simulation seconds = simulated(&settings, step);
    settings.sample_s = 7;
    struct simulation thinned = simulated(&settings, step);
    settings.sample_s = 0;
    struct simulation none = simulated(&settings, step);
    assert_int_equal(seconds.sample_count, 7200);
    assert_int_equal(thinned.sample_count, 1029);
    assert_int_equal(none.sample_count, 0);
    for (size_t i = 0; i < thinned.sample_count; i++) {
        struct simulation_sample largest = {0};
        for (size_t second = i * 7; second < i * 7 + 7 && second < 7200; second++) {
            const struct simulation_sample *sample = &seconds.samples[second];
            largest.arrivals = fmax(largest.arrivals, sample->arrivals);
            largest.waiting = fmax(largest.waiting, sample->waiting);
            largest.in_flight = fmax(largest.in_flight, sample->in_flight);
            largest.unfinished = fmax(largest.unfinished, sample->waiting + sample->in_flight);
            largest.wait_s = fmax(largest.wait_s, sample->wait_s);
            largest.replicas = MAX(largest.replicas, sample->replicas);
            largest.ready = MAX(largest.ready, sample->ready);
        }
        assert_memory_equal(&thinned.samples[i], &largest, sizeof(largest));
    }
    assert_same_results(&thinned, &seconds);
    assert_same_results(&none, &seconds);
    simulation_done(&seconds);
    simulation_done(&thinned);
    simulation_done(&none);
}

/* Ten arrive at once; a replica that starts 20 s later does them within its first second. */
static void the_wait_is_that_of_the_oldest(void **state)
{
    (void)state;
    const struct simulation_settings settings = settings_of(100);
    struct simulation one = simulated(&settings, "0,10\n1,0\n60,0\n");
    assert_near(one.max_wait_s, 21, 0.001);
    assert_near(one.mean_wait_s, 21, 0.001);
    assert_int_equal(one.samples[20].ready, 0);
    assert_int_equal(one.samples[21].ready, 1);
    simulation_done(&one);
}

/* Where the metric leaves out what is in flight, work in progress looks like none. */
static void work_in_flight_can_be_scaled_away(void **state)
{
    (void)state;
    struct simulation_settings settings = settings_of(10);
    settings.is_push = false;
    settings.workers.rate = 0.01;
    settings.workers.prefetch = 10;
    static const char burst[] = "0,0\n10,5\n11,0\n900,0\n";
    struct simulation one = simulated(&settings, burst);
    assert_int_equal(one.samples[340].replicas, 0);
    assert_true(one.samples[340].waiting > 0);
    simulation_done(&one);

    settings.counts_in_flight = true;
    one = simulated(&settings, burst);
    assert_int_equal(one.samples[340].replicas, 1);
    simulation_done(&one);
}

static void the_youngest_replicas_stop_first(void **state)
{
    (void)state;
    const struct workers_settings settings = {.rate = 1, .startup_s = 10};
    struct workers workers;
    workers_init(&workers, &settings);
    workers_scale(&workers, 2, 0);
    workers_scale(&workers, 5, 10);
    assert_int_equal(workers_ready(&workers, 10), 2);
    workers_scale(&workers, 3, 15);
    assert_int_equal(workers_ready(&workers, 19), 2);
    assert_int_equal(workers_ready(&workers, 20), 3);
    workers_done(&workers);
}

static void the_messages_of_a_stopped_replica_wait_again(void **state)
{
    (void)state;
    const struct workers_settings settings = {.rate = 1, .prefetch = 10};
    struct workers workers;
    workers_init(&workers, &settings);
    workers_scale(&workers, 2, 0);
    workers_run(&workers, 30, 0);
    assert_true(workers_in_flight(&workers) == 20 && workers.waiting == 8);
    workers_scale(&workers, 1, 1);
    assert_true(workers_in_flight(&workers) == 10 && workers.waiting == 18);
    workers_done(&workers);
}

/* What one replica has taken, another cannot do. */
static void a_new_replica_does_not_get_what_is_in_flight(void **state)
{
    (void)state;
    const struct workers_settings settings = {.rate = 1, .prefetch = 100};
    struct workers workers;
    workers_init(&workers, &settings);
    workers_scale(&workers, 1, 0);
    workers_run(&workers, 50, 0);
    workers_scale(&workers, 10, 1);
    workers_run(&workers, 0, 1);
    assert_true(workers.done == 2);
    workers_done(&workers);
}

/* What a server recorded is a trace: further columns, and arrivals that are unknown for a while. */
static void a_recorded_history_is_a_trace(void **state)
{
    (void)state;
    struct trace *trace = parsed("time,arrivals,waiting,in_flight,value,target,active,state\n"
                                 "2026-01-31T12:00:00.000Z,2,5,,5,10,true,ok\n"
                                 "2026-01-31T12:00:05.000Z,,,,5,10,true,held\n"
                                 "2026-01-31T12:00:10.500Z,0.5,20,1,20,10,true,ok\n"
                                 "2026-01-31T12:00:12.000Z,,21,1,21,10,true,ok\n");
    assert_int_equal(trace->seconds, 12);
    assert_true(trace->arrivals[0] == 2 && trace->arrivals[7] == 2);
    assert_true(fabs(trace->arrivals[10] - (2 * 0.5 + 0.5 * 0.5)) < 1e-9);
    assert_true(fabs(trace->arrivals[11] - 0.5) < 1e-9);
    trace_free(trace);

    _cleanup_(error_done) struct error error = {0};
    assert_false(trace_parse("time,arrivals\n0,1,2\n1,1\n", "t.csv", &trace, &error));
    assert_false(trace_parse("time,arrivals\n0,\n1,1\n", "t.csv", &trace, &error));
    _cleanup_(error_done) struct error large = {0};
    assert_false(trace_parse("0,1e9\n1,2e9\n2,0\n", "t.csv", &trace, &large));
    assert_string_equal(error_text(&large),
                        "t.csv:2: 2e+09 arrivals per second: at most 1e+09 are allowed");
}

static void a_trace_is_steps(void **state)
{
    (void)state;
    struct trace *trace = parsed("10,1\n12.5,3\n\n# the end\n15,9\n");
    static const double arrivals[] = {1, 1, 2, 3, 3};
    assert_int_equal(trace->seconds, ARRAY_LENGTH(arrivals));
    for (size_t i = 0; i < trace->seconds; i++)
        assert_true(fabs(trace->arrivals[i] - arrivals[i]) < 1e-9);
    trace_free(trace);

    /* A comment before the header, and the mark with which a spreadsheet begins a file. */
    static const char *const same[] = {"# mine\n\nseconds;rate\n0,4\n2,0\n",
                                       "\xef\xbb\xbftime,arrivals\n0,4\n2,0\n",
                                       "\xef\xbb\xbf"
                                       "0,4\n2,0\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(same); i++) {
        trace = parsed(same[i]);
        assert_int_equal(trace->seconds, 2);
        assert_true(trace->arrivals[0] == 4);
        trace_free(trace);
    }

    trace = parsed("2028-02-29T00:00:00Z,4\n2028-02-29T23:59:60Z,0\n"); /* a leap second */
    assert_int_equal(trace->seconds, 24 * 3600);
    trace_free(trace);

    trace = parsed("time,arrivals\r\n2026-01-31T23:59:58Z,4\r\n2026-02-01T00:00:01Z,0\r\n");
    assert_int_equal(trace->seconds, 3);
    assert_true(trace->arrivals[2] == 4);
    trace_free(trace);
}

static void a_wrong_trace_names_its_line(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"time,arrivals\n0,1\n5;2\n", "trace.csv:3: a line must be TIME,ARRIVALS"},
        {"0;2\n600,100\n900,0\n", "trace.csv:1: a line must be"},
        {"0,-2\n600,100\n900,0\n", "trace.csv:1: a line must be"},
        {"time,arrivals\ntime,arrivals\n0,1\n", "trace.csv:2: a line must be"},
        {"0,1\n5,-2\n", "trace.csv:2: a line must be"},
        {"0,1\n5,nan\n", "trace.csv:2: a line must be"},
        {"5,1\n4,1\n", "trace.csv:2: times must ascend"},
        {"0,1\n1e12,1\n", "trace.csv:2: times must ascend"},
        {"2026-02-28T00:00:00Z,1\n2026-02-30T00:00:00Z,1\n",
         "trace.csv:2: a line must be TIME,ARRIVALS, such as 600,12.5: a time in seconds, or a "
         "date that exists (2026-01-31T12:00:00Z)"},
        {"2026-02-29T00:00:00Z,1\n2026-03-01T00:00:00Z,1\n", "trace.csv:1: a line must be"},
        {"2026-04-30T00:00:00Z,1\n2026-04-31T00:00:00Z,1\n", "trace.csv:2: a line must be"},
        {"time,arrivals\n", "trace.csv: a trace must have at least two lines"},
        {"", "trace.csv: a trace must have at least two lines"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct trace *trace = NULL;
        assert_false(trace_parse(table[i][0], "trace.csv", &trace, &error));
        if (strstr(error_text(&error), table[i][1]) == NULL)
            fail_msg("%s", error_text(&error));
    }
}

/* What stood behind it would be left out. */
static void a_trace_with_a_nul_byte_is_refused(void **state)
{
    (void)state;
    static const char text[] = "time,arrivals\n0,1\n10,1\n\0\n30,1\n";
    char path[] = "/tmp/trace-XXXXXX";
    int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *expected =
        text_format("%s:4: a NUL byte: a trace must be text in UTF-8", path);
    struct trace *trace = NULL;
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
    assert_int_equal(fclose(file), 0);
    bool good = trace_load(path, &trace, &error);
    unlink(path);
    assert_false(good);
    assert_string_equal(error_text(&error), expected);
}

/* ---- an outage ---- */

/* Work comes in waves: there are fewer replicas than shortly before, or more, whenever the outage
 * begins. */
static const char waves[] =
    "time,arrivals\n0,3\n600,3\n700,2.1\n800,1.5\n900,1.1\n1000,0.7\n1100,0.4\n"
    "1200,0.4\n1400,1.8\n1500,0.6\n1600,0.3\n1700,1.2\n1900,0.2\n4000,0.2\n";

enum { OUTAGE_S = 1800 };

struct changes {
    int64_t started, removed;
};

/* In an outage of half an hour, from the HPA's first sync in it on: until then it goes by what was
 * measured. The HPA's policies do not keep it from following a value. */
static struct changes changes_in_outage(int64_t at_s, int64_t window_s, int64_t hold_window_s)
{
    struct simulation_settings settings = settings_of(1);
    settings.workers =
        (struct workers_settings){.rate = 0.05, .prefetch = 1}; /* jobs of 20 s, one at a time */
    settings.model.hpa.up.policy_count = 1;
    settings.model.hpa.up.policies[0] = (struct hpa_policy){HPA_PODS, 10000, 15000};
    settings.model.hpa.down.window_ms = window_s * 1000;
    settings.model.cooldown_ms = (int64_t)3600 * 1000;
    settings.counts_in_flight = true;
    settings.outage_at_ms = at_s * 1000;
    settings.outage_ms = (int64_t)OUTAGE_S * 1000;
    settings.hold_ms = settings.outage_ms;
    settings.hold_window_ms = hold_window_s * 1000;
    struct simulation run = simulated(&settings, waves);
    struct changes changes = {0};
    for (int64_t i = at_s + 1; i < at_s + OUTAGE_S; i++) {
        int64_t change = run.samples[i].replicas - run.samples[i - 1].replicas;
        changes.started += change > 0 ? change : 0;
        changes.removed += change < 0 ? -change : 0;
    }
    simulation_done(&run);
    return changes;
}

/* In outages that begin at any time. */
static struct changes sum_of_changes(int64_t window_s, int64_t hold_window_s)
{
    struct changes sum = {0};
    for (int64_t at_s = 700; at_s < 2100; at_s += 11) {
        const struct changes changes = changes_in_outage(at_s, window_s, hold_window_s);
        sum.started += changes.started;
        sum.removed += changes.removed;
    }
    print_message("window %lld s, held %lld s: %lld started, %lld removed\n", (long long)window_s,
                  (long long)hold_window_s, (long long)sum.started, (long long)sum.removed);
    return sum;
}

static void a_held_value_starts_no_replica_and_removes_none(void **state)
{
    (void)state;
    static const int64_t windows_s[] = {0, 60, 300, 900};
    for (size_t i = 0; i < ARRAY_LENGTH(windows_s); i++) {
        const struct changes changes = sum_of_changes(windows_s[i], windows_s[i]);
        assert_true(changes.started == 0 && changes.removed == 0);
    }
}

/* What the test above would find. */
static void with_another_window_it_does(void **state)
{
    (void)state;
    assert_true(sum_of_changes(0, 300).started > 0);
    assert_true(sum_of_changes(300, 0).removed > 0);
}

/* The largest number of replicas in the time from `from_s` on, up to a second. */
static int64_t most_replicas(const struct simulation *run, int64_t from_s, int64_t until_s)
{
    int64_t most = 0;
    for (int64_t i = from_s; i < until_s; i++)
        most = run->samples[i].replicas > most ? run->samples[i].replicas : most;
    return most;
}

/* Then KEDA's fallback takes over, as with the server. */
static void an_outage_is_held_for_the_time_of_hold(void **state)
{
    (void)state;
    static const int64_t holds_s[] = {0, 300, 1800};
    for (size_t i = 0; i < ARRAY_LENGTH(holds_s); i++) {
        struct simulation_settings settings = settings_of(1);
        settings.workers = (struct workers_settings){.rate = 0.05, .prefetch = 1};
        settings.counts_in_flight = true;
        settings.model.fallback.behavior = MODEL_FALLBACK_STATIC;
        settings.model.fallback.failure_threshold = 3;
        settings.model.fallback.replicas = 90;
        settings.outage_at_ms = (int64_t)2000 * 1000;
        settings.outage_ms = (int64_t)OUTAGE_S * 1000;
        settings.hold_ms = holds_s[i] * 1000;
        struct simulation run = simulated(&settings, "time,arrivals\n0,0.4\n4000,0.4\n");
        int64_t over_s = 2000 + holds_s[i];
        assert_true(most_replicas(&run, 1800, over_s) < 20);
        if (holds_s[i] < OUTAGE_S)
            assert_int_equal(most_replicas(&run, over_s, 2000 + OUTAGE_S), 90);
        simulation_done(&run);
    }
}

/* The server knows the target of a trigger before its first measurement. */
static void a_fallback_needs_no_measurement(void **state)
{
    (void)state;
    for (int has_policy = 0; has_policy < 2; has_policy++) {
        struct simulation_settings settings = settings_of(has_policy ? 0 : 5);
        settings.has_policy = has_policy;
        settings.policy.levels[0] = (struct policy_level){1, 1};
        settings.policy.level_count = 1;
        settings.interval_s = 5;
        settings.model.fallback.behavior = MODEL_FALLBACK_STATIC;
        settings.model.fallback.failure_threshold = 3;
        settings.model.fallback.replicas = 4;
        settings.outage_ms = (int64_t)OUTAGE_S * 1000;
        struct simulation run = simulated(&settings, waves);
        assert_int_equal(most_replicas(&run, 0, OUTAGE_S), 4);
        simulation_done(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_step_costs_and_waits_as_an_independent_implementation_says),
        cmocka_unit_test(all_that_arrives_is_done_or_there),
        cmocka_unit_test(equal_seeds_are_equal_runs),
        cmocka_unit_test(a_sample_has_the_largest_of_its_seconds),
        cmocka_unit_test(the_wait_is_that_of_the_oldest),
        cmocka_unit_test(work_in_flight_can_be_scaled_away),
        cmocka_unit_test(the_youngest_replicas_stop_first),
        cmocka_unit_test(the_messages_of_a_stopped_replica_wait_again),
        cmocka_unit_test(a_new_replica_does_not_get_what_is_in_flight),
        cmocka_unit_test(an_outage_is_held_for_the_time_of_hold),
        cmocka_unit_test(a_fallback_needs_no_measurement),
        cmocka_unit_test(a_trace_is_steps),
        cmocka_unit_test(a_recorded_history_is_a_trace),
        cmocka_unit_test(a_wrong_trace_names_its_line),
        cmocka_unit_test(a_trace_with_a_nul_byte_is_refused),
        cmocka_unit_test(a_held_value_starts_no_replica_and_removes_none),
        cmocka_unit_test(with_another_window_it_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
