/* What one consumer does per second, and which consumers are stuck; as a policy reports it. */
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
    struct recent_sample *sample = &recent->samples[recent->count++];
    *sample = (struct recent_sample){.at_ms = at_ms, .reading = READING_UNKNOWN};
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
    assert_true(flow.last_consumed == 50);
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

/* ---- stuck consumers ---- */

static void a_stuck_consumer_is_noticed_within_three_intervals(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.reading.consumers = 1;
    waiting(15);
    measure_for(10, 1, 1);
    int64_t before = world.result.replicas;
    assert_int_equal(world.result.status, FLOW_OK);
    measure_for(3, 10, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
    assert_int_equal(measure_for(20, 100, 0), before);
    assert_int_equal(world.result.term, POLICY_BY_STALL);
}

/* After a restart nobody knows what was asked for before. */
static void stuck_consumers_keep_their_replicas_when_the_server_restarts(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.settings.consumers_per_replica = 2;
    world.reading.consumers = 40;
    waiting(500);
    measure_for(20, 1, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
    assert_int_equal(world.result.replicas, 20);
    assert_int_equal(world.result.term, POLICY_BY_STALL);
}

/* One that ends, and is not back yet, takes no other one with it. */
static void fewer_stuck_consumers_do_not_lower_the_replicas(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.reading.consumers = 20;
    waiting(500);
    measure_for(10, 1, 0);
    world.reading.consumers = 3;
    assert_int_equal(measure_for(10, 1, 0), 20);
    world.reading.consumers = 22;
    assert_int_equal(measure_for(10, 1, 0), 22);
}

/* NATS and the queries of PostgreSQL and Prometheus report no consumers, Redis none that has hung
 * for long. */
static void
after_a_restart_messages_in_flight_keep_replicas_where_no_consumer_is_known(void **state)
{
    (void)state;
    static const double unknown[] = {NAN, 0};
    world.settings.on_stall = POLICY_STALL_HOLD;
    for (size_t i = 0; i < 2; i++) {
        world.state = (struct policy_state){0};
        world.recent.count = 0;
        world.reading.consumers = unknown[i];
        world.reading.in_flight = 12;
        waiting(500);
        assert_int_equal(measure_for(10, 1, 0), 12);
        assert_int_equal(world.result.status, FLOW_STALL);
    }
}

/* A push has the first reading sent when the first message arrives. */
static void a_burst_is_more_than_its_first_message(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    measure_for(5, 0, 0);
    int64_t began_ms = world.now_ms;
    waiting(1);
    world.now_ms = began_ms + 20 - world.recent.interval_ms;
    assert_int_equal(measure(0, 0), 1);
    waiting(200);
    world.now_ms = began_ms + 1000 - world.recent.interval_ms;
    assert_int_equal(measure(0, 0), 20);
    world.reading.consumers = 20;
    waiting(300); /* what comes later is no part of it */
    assert_int_equal(measure(0, 0), 30);
    assert_int_equal(measure_for(5, 0, 0), 20);
    assert_int_equal(world.result.status, FLOW_STALL);
}

/* As a query of Prometheus that has no series while nothing is in flight. */
static void a_burst_is_noticed_where_nothing_but_the_messages_is_known_when_idle(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.reading.consumers = world.reading.in_flight = NAN;
    measure_for(5, 0, 0);
    world.reading.in_flight = 1;
    waiting(50);
    assert_int_equal(measure_for(10, 0, 0), 5);
    assert_int_equal(world.result.status, FLOW_STALL);
}

/* Kafka does not report what is in flight: it waits until it is committed. */
static void a_burst_finds_consumers_of_kafka_idle(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.reading.in_flight = NAN;
    world.reading.consumers = 1; /* minReplicaCount */
    measure_for(5, 0, 0);
    waiting(50);
    assert_int_equal(measure_for(10, 0, 0), 5);
    assert_int_equal(world.result.status, FLOW_STALL);
}

/* Jobs of ten minutes, whose rate is not known yet. */
static void a_burst_of_long_jobs_keeps_the_replicas_that_it_started(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.reading.consumers = 0;
    waiting(0);
    measure_for(5, 0, 0);
    waiting(20);
    int64_t first = measure_for(1, 0, 0);
    assert_true(first > 1);
    world.reading.consumers = 1; /* the others are starting */
    measure_for(20, 0, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
    assert_int_equal(world.result.replicas, first);
    waiting(100);
    assert_int_equal(measure_for(5, 0, 0), first);
}

/* Redis counts those that were seen lately: one that has hung for long is not among them, but has
 * its messages. */
static void a_consumer_that_was_not_seen_lately_is_stuck_not_gone(void **state)
{
    (void)state;
    world.reading.consumers = 0;
    world.reading.in_flight = 1;
    waiting(100);
    measure_for(6, 1, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
    world.reading.in_flight = 0;
    measure_for(6, 1, 0);
    assert_int_equal(world.result.status, FLOW_STOP);
}

/* A Kafka consumer that commits every five seconds, measured each second. */
static void between_two_commits_consumers_are_not_stuck(void **state)
{
    (void)state;
    world.reading.consumers = 1;
    world.recent.interval_ms = 1000;
    world.count_interval_ms = 5000;
    waiting(10000);
    for (int i = 0; i < 50; i++) {
        measure_for(1, 1, i % 5 == 0 ? 5 : 0);
        assert_int_not_equal(world.result.status, FLOW_STALL);
    }
    measure_for(10, 1, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
}

/* Another trigger has the query measured each second: three of its intervals may be one message. */
static void a_trigger_takes_nobody_for_stuck_before_three_intervals_of_its_own(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.reading.consumers = 1;
    world.recent.interval_ms = 1000;
    world.own_interval_ms = 5000;
    waiting(50);
    for (int i = 0; i < 60; i++) {
        measure_for(1, 1, i % 12 == 0 ? 1 : 0);
        assert_int_not_equal(world.result.status, FLOW_STALL);
    }
    measure_for(4, 1, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
}

static void with_a_long_interval_consumers_are_stuck_after_all_samples(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.reading.consumers = 1;
    world.recent.interval_ms = 1000;
    world.own_interval_ms = (int64_t)3600 * 1000;
    waiting(50);
    measure_for(2, 1, 1);
    measure_for(RECENT_SAMPLES_MAX - 2, 1, 0);
    assert_int_not_equal(world.result.status, FLOW_STALL);
    measure_for(2, 1, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
}

/* A burst goes on for an interval of the trigger, however often others have the query measured. */
static void a_burst_is_as_long_as_the_triggers_own_interval(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    world.recent.interval_ms = 1000;
    world.own_interval_ms = 5000;
    measure_for(5, 0, 0);
    world.reading.consumers = 1;
    waiting(10);
    measure(0, 0);
    waiting(100);
    for (int i = 0; i < 4; i++)
        measure(0, 0);
    waiting(200); /* what comes later is no part of it */
    measure_for(20, 0, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
    assert_int_equal(world.result.replicas, 10);
}

static void without_onStall_a_stuck_consumer_is_only_reported(void **state)
{
    (void)state;
    world.reading.consumers = 1;
    waiting(15);
    measure_for(10, 1, 1);
    measure_for(3, 10, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
    assert_true(measure_for(20, 100, 0) > 100);
}

static void long_jobs_are_not_stuck(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    give_objective(1.0 / 60);
    world.reading.consumers = 1;
    world.reading.in_flight = 10; /* it fetched them, and works on one */
    waiting(5);
    measure_for(12, 0, 0);
    assert_int_not_equal(world.result.status, FLOW_STALL);
    measure_for(40, 0, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
}

/* What is in flight says how many work where consumers are unknown: ten end a job in a tenth of the
 * time of one. */
static void of_many_long_jobs_one_ends_soon(void **state)
{
    (void)state;
    world.settings.on_stall = POLICY_STALL_HOLD;
    give_objective(1.0 / 60);
    world.reading.consumers = NAN;
    world.reading.in_flight = 10;
    waiting(5);
    measure_for(12, 0, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
}

/* RabbitMQ over AMQP: without rates, a queue that grows may be consumed all the time. */
static void without_rates_the_status_is_unknown(void **state)
{
    (void)state;
    world.reading.consumers = 3;
    world.reading.in_flight = world.reading.arrived = world.reading.consumed = NAN;
    waiting(10);
    measure_for(12, 20, 10);
    assert_int_equal(world.result.status, FLOW_UNKNOWN);
    measure_for(12, 10, 10);
    assert_int_equal(world.result.status, FLOW_UNKNOWN);
}

static void no_connected_consumer_is_a_stop(void **state)
{
    (void)state;
    waiting(5);
    measure_for(6, 1, 0);
    assert_int_equal(world.result.status, FLOW_STOP);
}

/* The last interval counts, and what waits only since then is no stop yet. */
static void a_stop_ends_with_the_first_message_and_begins_after_three_intervals(void **state)
{
    (void)state;
    waiting(5);
    measure_for(6, 1, 0);
    assert_int_equal(world.result.status, FLOW_STOP);
    measure(1, 1);
    assert_int_equal(world.result.status, FLOW_OK);
    waiting(0);
    measure_for(6, 0, 0);
    assert_int_equal(world.result.status, FLOW_OK);
    waiting(5);
    measure_for(3, 0, 0);
    assert_int_equal(world.result.status, FLOW_OK);
    measure(0, 0);
    assert_int_equal(world.result.status, FLOW_STOP);
}

/* As those of Kafka's group.protocol=consumer. */
static void unknown_consumers_that_consume_nothing_are_not_well(void **state)
{
    (void)state;
    world.reading.consumers = NAN;
    waiting(1000);
    measure_for(5, 0, 0);
    assert_int_equal(world.result.status, FLOW_UNKNOWN);
    measure_for(20, 0, 0);
    assert_int_equal(world.result.status, FLOW_UNKNOWN);
    measure_for(4, 0, 5);
    assert_int_equal(world.result.status, FLOW_OK);
    measure_for(20, 5, 0);
    assert_int_equal(world.result.status, FLOW_WARN);
}

static void a_growing_queue_is_a_warning(void **state)
{
    (void)state;
    world.reading.consumers = 2;
    waiting(5);
    measure_for(12, 20, 10);
    assert_int_equal(world.result.status, FLOW_WARN);
}

static void consumed_messages_that_wait_again_are_a_rewind(void **state)
{
    (void)state;
    world.reading.consumers = 2;
    waiting(5);
    measure_for(6, 10, 10);
    world.reading.consumed -= 1000; /* the source counts from 0 again */
    measure(10, 10);
    assert_int_equal(world.result.status, FLOW_OK);
    world.reading.consumed -= 1000;
    waiting(1005);
    measure(10, 10);
    assert_int_equal(world.result.status, FLOW_REWIND);
}

static void one_partition_with_all_that_waits_is_not_scaled_for(void **state)
{
    (void)state;
    give_objective(10);
    world.reading.partitions = 12;
    world.reading.partitions_with_lag = 1;
    waiting(30000);
    measure_for(12, 15, 10);
    assert_int_equal(world.result.status, FLOW_SKEW);
    assert_int_equal(world.result.replicas, 2); /* for what arrives, on all partitions */
    assert_non_null(strstr(world.words.bytes, "; one partition alone has what waits (SKEW)"));
}

static void a_skew_is_one_of_all_of_the_last_readings(void **state)
{
    (void)state;
    give_objective(10);
    world.reading.consumers = 2;
    world.reading.partitions = 12;
    world.reading.partitions_with_lag = 2;
    waiting(30000);
    measure_for(6, 15, 10);
    world.reading.partitions_with_lag = 1;
    measure_for(3, 15, 10);
    assert_int_not_equal(world.result.status, FLOW_SKEW);
    measure(15, 10);
    assert_int_equal(world.result.status, FLOW_SKEW);
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
        TEST(a_stuck_consumer_is_noticed_within_three_intervals),
        TEST(a_consumer_that_was_not_seen_lately_is_stuck_not_gone),
        TEST(between_two_commits_consumers_are_not_stuck),
        TEST(stuck_consumers_keep_their_replicas_when_the_server_restarts),
        TEST(fewer_stuck_consumers_do_not_lower_the_replicas),
        TEST(after_a_restart_messages_in_flight_keep_replicas_where_no_consumer_is_known),
        TEST(a_burst_of_long_jobs_keeps_the_replicas_that_it_started),
        TEST(a_burst_is_more_than_its_first_message),
        TEST(a_burst_finds_consumers_of_kafka_idle),
        TEST(a_burst_is_noticed_where_nothing_but_the_messages_is_known_when_idle),
        TEST(a_trigger_takes_nobody_for_stuck_before_three_intervals_of_its_own),
        TEST(with_a_long_interval_consumers_are_stuck_after_all_samples),
        TEST(a_burst_is_as_long_as_the_triggers_own_interval),
        TEST(without_onStall_a_stuck_consumer_is_only_reported),
        TEST(long_jobs_are_not_stuck),
        TEST(of_many_long_jobs_one_ends_soon),
        TEST(without_rates_the_status_is_unknown),
        TEST(no_connected_consumer_is_a_stop),
        TEST(a_stop_ends_with_the_first_message_and_begins_after_three_intervals),
        TEST(unknown_consumers_that_consume_nothing_are_not_well),
        TEST(a_growing_queue_is_a_warning),
        TEST(consumed_messages_that_wait_again_are_a_rewind),
        TEST(one_partition_with_all_that_waits_is_not_scaled_for),
        TEST(a_skew_is_one_of_all_of_the_last_readings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
