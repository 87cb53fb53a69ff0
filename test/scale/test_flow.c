/* How fast messages arrive and are consumed, and what one consumer does per second. */
#include "base/memory.h"
#include "scale/policy_fixture.h"

#include <math.h>
#include <string.h>

/* ---- rates ---- */

static void a_rate_is_measured_while_messages_wait(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    waiting(10000);
    measure_for(12, 40, 40);
    assert_true(fabs(world.result.rate - 10) < 0.01);
    assert_true(world.result.rate_at_ms >= world.now_ms - 20000 &&
                world.result.rate_at_ms <= world.now_ms);
    assert_true(world.result.rate_spread < 0.01);
}

static void idle_consumers_have_no_rate(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    measure_for(12, 4, 4);
    assert_true(isnan(world.result.rate));
}

/* A second of work. */
static void consumers_are_busy_where_they_have_enough_for_a_second(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    waiting(39);
    measure_for(12, 40, 40);
    assert_true(isnan(world.result.rate));
    waiting(40);
    measure_for(12, 40, 40);
    assert_true(fabs(world.result.rate - 10) < 0.01);
}

/* Five seconds after the last one. The totals are of the messages per second, NAN: unknown. */
static void add_sample(struct recent_samples *recent, double waiting, double in_flight,
                       double arriving, double consuming)
{
    int64_t at_ms = (int64_t)recent->count * 5000;
    struct history_sample *sample = &recent->samples[recent->count++];
    *sample = (struct history_sample){.at_ms = at_ms, .reading = READING_UNKNOWN};
    sample->reading.waiting = waiting;
    sample->reading.in_flight = in_flight;
    sample->reading.consumers = 1;
    sample->reading.arrived = arriving * (double)at_ms / 1000;
    sample->reading.consumed = consuming * (double)at_ms / 1000;
}

static void one_rate_follows_from_the_other_and_from_what_is_there(void **state)
{
    (void)state;
    static const struct {
        double waiting, in_flight, arriving, consuming; /* more per second */
        struct flow flow;
    } rows[] = {
        {5, 1, NAN, 10, {16, 10}}, {5, 1, 10, NAN, {10, 4}},
        {-5, 0, NAN, 10, {5, 10}}, {-5, NAN, 10, NAN, {10, 15}},
        {5, 1, 20, 30, {20, 30}},  {-20, 0, NAN, 10, {0, 10}}, /* some were deleted */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct recent_samples recent = {.interval_ms = 5000};
        for (int j = 0; j < 5; j++)
            add_sample(&recent, 1000 + rows[i].waiting * 5 * j, 10 + rows[i].in_flight * 5 * j,
                       rows[i].arriving, rows[i].consuming);
        struct flow flow = flow_of(&recent);
        assert_float_equal(flow.arrival_rate, rows[i].flow.arrival_rate, 1e-9);
        assert_float_equal(flow.consumption_rate, rows[i].flow.consumption_rate, 1e-9);
        assert_int_equal(flow.span_ms, 20000);
    }
}

/* The first is soon there; of the later ones each is of twenty seconds, and of five messages. The
 * newest sample is in none. */
static void observations_are_of_some_time_and_of_some_messages(void **state)
{
    (void)state;
    static const struct {
        double consuming;
        size_t first, second; /* there are with so many samples */
    } rows[] = {{10, 4, 8}, {0.2, 4, 9}, {0.1, 6, 16}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct flow_rate rate = {0};
        struct recent_samples recent = {.interval_ms = 5000};
        while (recent.count < rows[i].second) {
            size_t count = recent.count + 1 < rows[i].first ? 0 : 1;
            add_sample(&recent, 100, 0, NAN, rows[i].consuming);
            flow_rate_update(&rate, &recent);
            assert_int_equal(rate.count, recent.count == rows[i].second ? 2 : count);
        }
        assert_float_equal(rate.observations[0], rows[i].consuming, 1e-9);
        assert_float_equal(rate.observations[1], rows[i].consuming, 1e-9);
    }
}

/* The first is of ten seconds, and begins after the gap. */
static void an_observation_is_of_no_time_before_a_gap(void **state)
{
    (void)state;
    struct flow_rate rate = {0};
    struct recent_samples recent = {.interval_ms = 5000};
    while (recent.count < 6) {
        add_sample(&recent, 100, 0, NAN, 10);
        recent.samples[recent.count - 1].is_after_gap = recent.count == 3;
        flow_rate_update(&rate, &recent);
        assert_int_equal(rate.count, recent.count == 6);
    }
}

/* Not one that lacks its counterpart: messages that nobody saw arrive are consumed. */
static void where_one_rate_cannot_be_known_there_is_none(void **state)
{
    (void)state;
    world.reading.waiting = world.reading.in_flight = world.reading.arrived = NAN;
    for (int i = 0; i < 12; i++)
        measure(0, 10);
    struct flow flow = flow_of(&world.recent);
    assert_true(isnan(flow.arrival_rate) && isnan(flow.consumption_rate));
    assert_int_equal(flow.span_ms, 0);
}

static void a_spread_is_of_all_observations(void **state)
{
    (void)state;
    static const struct flow_rate rates[] = {
        {{1, 2, 4}, 3}, {{4, 2, 1}, 3}, {{2, 4, 1}, 3}, {{0.125, 0.25, 0.5}, 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(rates); i++)
        assert_true(flow_rate_spread(&rates[i]) == 1.5);
    assert_true(isnan(flow_rate_spread(&(struct flow_rate){0})));
}

static void a_rate_is_kept_when_idle(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    waiting(10000);
    measure_for(12, 40, 40);
    waiting(0);
    world.reading.consumers = 0;
    measure_for(500, 0, 0);
    assert_true(fabs(world.result.rate - 10) < 0.01);
    assert_true(world.result.rate_at_ms >= 0 && world.now_ms - world.result.rate_at_ms > 2000000);
}

static void workers_that_became_slower_are_noticed_within_a_minute(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    waiting(100000);
    measure_for(60, 40, 40);
    measure_for(12, 40, 20);
    assert_true(fabs(world.result.rate - 5) < 0.01);
}

/* Before there are two observations: what is measured now counts where chance cannot be the reason.
 */
static void workers_that_became_much_slower_count_at_once(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    waiting(100000);
    measure_for(60, 40, 40);
    measure_for(6, 40, 20);
    assert_true(fabs(world.result.rate - 5) < 0.01);
}

/* One message in 20 s: most intervals see none consumed, and that counts when one is. */
static void the_rate_of_long_jobs_is_measured(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 2;
    waiting(1000);
    for (int i = 0; i < 30; i++) {
        measure_for(3, 0.05, 0);
        measure_for(1, 0.05, 0.2);
    }
    assert_true(fabs(world.result.rate - 0.025) < 0.001);
}

static void a_stall_is_no_rate(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    waiting(10000);
    measure_for(12, 40, 40);
    measure_for(60, 40, 0);
    assert_true(fabs(world.result.rate - 10) < 0.01);
}

/* Its totals are of all that it ever had, wherever the group has its first commit. */
static void a_topic_that_joins_has_not_just_arrived(void **state)
{
    (void)state;
    give_objective(10);
    world.reading.partitions = 10;
    int64_t before = measure_for(24, 20, 20);
    world.reading.partitions += 3;
    world.reading.arrived += 100000;
    world.reading.consumed += 100000;
    for (int i = 0; i < 24; i++)
        assert_int_equal(measure_for(1, 20, 20), before);
    world.reading.partitions -= 3;
    world.reading.arrived -= 100000;
    world.reading.consumed -= 100000;
    for (int i = 0; i < 24; i++)
        assert_int_equal(measure_for(1, 20, 20), before);
}

static void the_messages_of_a_topic_that_joins_count_at_once(void **state)
{
    (void)state;
    give_objective(10);
    world.reading.partitions = 10;
    measure_for(24, 20, 20);
    world.reading.partitions += 3;
    world.reading.arrived += 100000;
    world.reading.consumed += 100000 - 30000;
    waiting(30000);
    assert_int_equal(measure_for(1, 20, 20), 75); /* within the 40 s that are left */
    assert_int_equal(world.result.term, POLICY_BY_WAITING);
}

static void several_consumers_of_a_replica_add_up(void **state)
{
    (void)state;
    give_objective(0);
    world.settings.consumers_per_replica = 2;
    world.reading.consumers = 4;
    waiting(10000);
    measure_for(12, 40, 40);
    assert_true(fabs(world.result.rate - 20) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rate_is_measured_while_messages_wait),
        TEST(idle_consumers_have_no_rate),
        TEST(consumers_are_busy_where_they_have_enough_for_a_second),
        TEST(one_rate_follows_from_the_other_and_from_what_is_there),
        TEST(observations_are_of_some_time_and_of_some_messages),
        TEST(an_observation_is_of_no_time_before_a_gap),
        TEST(where_one_rate_cannot_be_known_there_is_none),
        TEST(a_spread_is_of_all_observations),
        TEST(a_rate_is_kept_when_idle),
        TEST(workers_that_became_slower_are_noticed_within_a_minute),
        TEST(workers_that_became_much_slower_count_at_once),
        TEST(the_rate_of_long_jobs_is_measured),
        TEST(a_stall_is_no_rate),
        TEST(a_topic_that_joins_has_not_just_arrived),
        TEST(the_messages_of_a_topic_that_joins_count_at_once),
        TEST(several_consumers_of_a_replica_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
