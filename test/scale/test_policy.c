/* Policies: what they promise, from windows that are written down. */
#include "base/memory.h"
#include "scale/general.h"
#include "scale/policy.h"
#include "scale/policy_words.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { INTERVAL_MS = 5000 };

/* A source that is measured every five seconds. */
static struct world {
    struct window window;
    struct policy_settings settings;
    struct policy_state state;
    struct policy_result result;
    struct text words;
    struct reading reading;
    double threshold;
    double max_useful;
    int64_t count_interval_ms;
    int64_t now_ms;
    bool fails;
} world;

static int set_up(void **state)
{
    (void)state;
    world = (struct world){.window = {.interval_ms = INTERVAL_MS},
                           .settings = policy_no_settings(),
                           .reading = READING_UNKNOWN,
                           .threshold = 10,
                           .max_useful = INFINITY,
                           .now_ms = 1000000};
    world.reading.waiting = world.reading.in_flight = 0;
    world.reading.arrived = world.reading.consumed = 0;
    world.reading.consumers = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    text_done(&world.words);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int64_t decide(void)
{
    _cleanup_(error_done) struct error error = {0};
    struct policy_decision decision;
    double waiting = window_waiting(&world.reading);
    const struct policy_input input = {
        .window = &world.window,
        .value = isnan(waiting) ? 0 : waiting, /* as Prometheus without a series */
        .active = waiting > 0,
        .threshold = world.threshold,
        .count_interval_ms = world.count_interval_ms,
        .max_useful = world.max_useful,
    };
    text_clear(&world.words);
    world.fails = !policy_decide(&world.settings, &world.state, &input, world.now_ms, &world.result,
                                 &decision, &error);
    if (world.fails)
        return -1;
    policy_words_add(&decision, &world.words);
    return world.result.replicas;
}

/* The next measurement, five seconds later. */
static int64_t measure(double arriving, double consuming)
{
    world.now_ms += world.window.interval_ms;
    world.reading.arrived += arriving * (double)world.window.interval_ms / 1000;
    world.reading.consumed += consuming * (double)world.window.interval_ms / 1000;
    window_add(&world.window, world.now_ms, &world.reading);
    return decide();
}

static int64_t measure_for(int samples, double arriving, double consuming)
{
    int64_t replicas = 0;
    for (int i = 0; i < samples; i++) {
        world.reading.waiting =
            fmax(0, world.reading.waiting +
                        (arriving - consuming) * (double)world.window.interval_ms / 1000);
        replicas = measure(arriving, consuming);
    }
    return replicas;
}

static void waiting(double messages)
{
    world.reading.waiting = messages;
}

/* ---- scaleDownWhenIdle ---- */

static void no_replica_goes_while_there_is_work(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(0);
    assert_int_equal(measure(0, 0), 0);
    waiting(95);
    assert_int_equal(measure(0, 0), 10);
    waiting(1);
    assert_int_equal(measure(0, 0), 10);
    waiting(0);
    world.reading.in_flight = 1;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(measure(0, 0), 10);
    assert_true(world.result.active);
}

static void all_go_when_it_was_idle_for_so_long(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(95);
    measure(0, 0);
    waiting(0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(measure(0, 0), 10); /* idle for 0 to 25 s */
    assert_true(world.result.active);
    assert_int_equal(measure(0, 0), 0);
    assert_false(world.result.active);
    waiting(5);
    assert_int_equal(measure(0, 0), 1); /* and it begins again */
}

static void no_number_is_idle_where_the_scaler_takes_it_for_0(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(95);
    assert_int_equal(measure(0, 0), 10);
    waiting(NAN);
    for (int i = 0; i < 6; i++)
        assert_int_equal(measure(0, 0), 10);
    assert_int_equal(measure(0, 0), 0);
    assert_false(world.result.active);
}

static void an_outage_restarts_the_idle_time(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(95);
    measure(0, 0);
    waiting(0);
    for (int i = 0; i < 5; i++)
        measure(0, 0);
    window_add_gap(&world.window);
    for (int i = 0; i < 6; i++)
        assert_int_equal(measure(0, 0), 10);
    assert_int_equal(measure(0, 0), 0);
}

static void work_between_two_samples_is_no_idle_time(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(95);
    measure(0, 0);
    waiting(0);
    for (int i = 0; i < 4; i++)
        measure(0, 0);
    world.reading.in_flight = 1;
    window_add(&world.window, world.now_ms + 100, &world.reading);
    world.reading.in_flight = 0;
    window_add(&world.window, world.now_ms + 200, &world.reading);
    for (int i = 0; i < 6; i++)
        assert_int_equal(measure(0, 0), 10);
    assert_int_equal(measure(0, 0), 0);
}

static void after_a_restart_there_are_as_many_as_consumers(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    world.reading.in_flight = 3;
    world.reading.consumers = 7;
    waiting(1);
    assert_int_equal(measure(0, 0), 7);
}

static void unknown_messages_in_flight_are_an_error(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    world.reading.in_flight = NAN;
    assert_int_equal(measure(0, 0), -1);
    assert_true(world.fails);
    world.settings = policy_no_settings();
    world.settings.in_flight_per_replica = 1;
    assert_int_equal(measure(0, 0), -1);
}

/* ---- the simpler ones ---- */

static void never_fewer_than_are_in_flight(void **state)
{
    (void)state;
    world.settings.in_flight_per_replica = 2;
    world.reading.in_flight = 7;
    assert_int_equal(measure(0, 0), 4);
    assert_true(world.result.active);
    waiting(95);
    assert_int_equal(measure(0, 0), 10);
    waiting(0);
    world.reading.in_flight = 0;
    assert_int_equal(measure(0, 0), 0);
    assert_false(world.result.active);
}

static void a_burst_starts_replicas_at_once(void **state)
{
    (void)state;
    world.threshold = 100;
    world.settings.burst_threshold = 40;
    world.settings.burst_replicas = 5;
    waiting(40);
    assert_int_equal(measure(0, 0), 1);
    waiting(41);
    assert_int_equal(measure(0, 0), 5);
    waiting(2000);
    assert_int_equal(measure(0, 0), 20);
}

static void steps_are_left_downwards_one_level_late(void **state)
{
    (void)state;
    world.settings.steps[0] = (struct policy_step){1, 1};
    world.settings.steps[1] = (struct policy_step){10, 2};
    world.settings.steps[2] = (struct policy_step){100, 5};
    world.settings.step_count = 3;
    static const struct {
        double waiting;
        int64_t replicas;
    } table[] = {{0, 0},  {1, 1},   {9, 1},  {10, 2}, {9, 2}, {1, 2},    {0, 0},
                 {99, 2}, {100, 5}, {99, 5}, {10, 5}, {9, 1}, {2000, 5}, {0, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        waiting(table[i].waiting);
        assert_int_equal(measure(0, 0), table[i].replicas);
    }
}

/* The HPA does nothing within 10 %: 64 would stick anywhere from 59 on. */
static void at_the_maximum_more_is_published_than_the_tolerance(void **state)
{
    (void)state;
    world.settings.max_replicas = 64;
    waiting(635);
    assert_int_equal(measure(0, 0), 64);
    assert_true(world.result.value > 64 * 1.1);
    waiting(1e9);
    assert_int_equal(measure(0, 0), 64);
    waiting(625);
    assert_int_equal(measure(0, 0), 63);
    assert_true(world.result.value == 63);
}

static void replicas_without_a_partition_are_not_started(void **state)
{
    (void)state;
    world.settings.max_replicas = 64;
    world.max_useful = 6;
    waiting(1000);
    assert_int_equal(measure(0, 0), 6);
    assert_true(world.result.value == 6);
}

/* ---- the objective ---- */

static void give_objective(double rate)
{
    world.settings.max_wait_ms = 60000;
    world.settings.rate = rate;
}

static void waiting_work_starts_in_time(void **state)
{
    (void)state;
    give_objective(10);
    measure_for(20, 0, 0);
    waiting(6000);
    /* 60 s less 20 s of start-up: 40 s for 6,000 at 10/s each. */
    assert_int_equal(measure(0, 0), 15);
    assert_int_equal(world.result.term, POLICY_BY_WAITING);
}

/* 81/s for half of the 40 s that are left: 1,620 may wait. */
static void replicas_keep_up_with_arrivals(void **state)
{
    (void)state;
    give_objective(10);
    waiting(1620);
    assert_int_equal(measure_for(30, 81, 81), 9);
    assert_int_equal(world.result.term, POLICY_BY_ARRIVALS);
    assert_true(world.result.active);
    assert_string_equal(world.words.bytes, "9 replicas: 1,620 waiting need 5 to start within 60 s "
                                           "at 10/s each; 81/s arriving need 9");
}

static void fewer_replicas_are_enough_while_little_waits(void **state)
{
    (void)state;
    give_objective(10);
    assert_int_equal(measure_for(30, 81, 81), 7);
    assert_string_equal(world.words.bytes,
                        "7 replicas: 0 waiting need 0 to start within 60 s at 10/s each; 81/s "
                        "arriving need 9, 7 while fewer than 1,620 wait");
}

static void more_replicas_shorten_what_waits(void **state)
{
    (void)state;
    give_objective(10);
    waiting(3600);
    assert_int_equal(measure_for(30, 81, 81), 11);
    assert_string_equal(world.words.bytes,
                        "11 replicas: 3,600 waiting need 9 to start within 60 s at 10/s each; 81/s "
                        "arriving need 9, 11 while more than 1,620 wait");
}

static void headroom_leaves_less_waiting(void **state)
{
    (void)state;
    give_objective(10);
    world.settings.utilization = 0.5;
    assert_int_equal(measure_for(30, 80, 80), 15);
}

static void both_terms_are_in_the_sentence(void **state)
{
    (void)state;
    give_objective(10);
    waiting(3600);
    measure_for(15, 81, 0);
    world.reading.waiting = 6900;
    measure(81, 0);
    assert_string_equal(world.words.bytes,
                        "24 replicas: 6,900 waiting need 18 to start within 60 s at 10/s each; "
                        "81/s arriving need 9, 14 while more than 1,620 wait; more were needed "
                        "within the last minute");
}

/* Nobody knows yet how many arrive: a threshold is wrong by a factor, and a guess may be by more. */
static void after_a_restart_the_threshold_decides(void **state)
{
    (void)state;
    give_objective(10);
    waiting(95);
    assert_int_equal(measure(0, 0), 10);
    assert_int_equal(world.result.term, POLICY_BY_THRESHOLD);
}

static void after_an_outage_the_known_rates_remain(void **state)
{
    (void)state;
    give_objective(10);
    int64_t known = measure_for(30, 81, 81);
    window_add_gap(&world.window);
    waiting(1e5);
    world.threshold = 1;
    assert_int_equal(measure(81, 81), known);
}

static void a_short_dip_stops_no_replica(void **state)
{
    (void)state;
    give_objective(10);
    waiting(1800);
    int64_t before = measure_for(30, 90, 90);
    waiting(0);
    assert_int_equal(measure_for(11, 0, 0), before);
    assert_true(measure_for(30, 0, 0) == 0);
}

static void a_rate_is_measured_while_messages_wait(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    waiting(10000);
    measure_for(12, 40, 40);
    assert_true(fabs(world.result.rate - 10) < 0.01);
    assert_true(world.result.rate_age_ms >= 0 && world.result.rate_age_ms <= 20000);
    assert_true(world.result.rate_spread < 0.01);
}

static void where_no_consumers_are_reported_the_reason_says_so(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = NAN;
    waiting(100);
    assert_int_equal(measure_for(4, 40, 40), 10);
    assert_non_null(strstr(world.words.bytes, "the source reports no consumers"));
}

/* Redis counts those that were seen lately: whoever has hung for long is not among them, but has its messages. */
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

static void idle_consumers_have_no_rate(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = 4;
    measure_for(12, 4, 4);
    assert_true(isnan(world.result.rate));
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
    assert_true(world.result.rate_age_ms > 2000000);
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

/* Before there are two observations: what is measured now counts where chance cannot be the reason. */
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

/* A Kafka consumer that commits every five seconds, measured each second. */
static void between_two_commits_consumers_are_not_stuck(void **state)
{
    (void)state;
    world.reading.consumers = 1;
    world.window.interval_ms = 1000;
    world.count_interval_ms = 5000;
    waiting(10000);
    for (int i = 0; i < 50; i++) {
        measure_for(1, 1, i % 5 == 0 ? 5 : 0);
        assert_int_not_equal(world.result.status, FLOW_STALL);
    }
    measure_for(10, 1, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
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
    waiting(5);
    measure_for(12, 0, 0);
    assert_int_not_equal(world.result.status, FLOW_STALL);
    measure_for(40, 0, 0);
    assert_int_equal(world.result.status, FLOW_STALL);
}

static void no_connected_consumer_is_a_stop(void **state)
{
    (void)state;
    waiting(5);
    measure_for(6, 1, 0);
    assert_int_equal(world.result.status, FLOW_STOP);
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
}

/* ---- the options ---- */

static struct general_options parsed;

static const char *mistakes_of(const char *key, const char *value, const char *key2,
                               const char *value2)
{
    static char text[512];
    _cleanup_(error_done) struct error mistakes = {0};
    const struct option_entry entries[] = {{"scaler", "x"}, {key, value}, {key2, value2}};
    const struct answer_rules rules = {.interval_ms = 5000};
    struct policy_settings settings, shadow;
    struct option_values *values = general_parse(entries, key2 == NULL ? 2 : 3, &rules, &mistakes);
    parsed = *(const struct general_options *)values->data;
    policy_options_compile(&parsed.policy, &settings, &mistakes);
    if (parsed.policy.shadow != NULL)
        general_parse_shadow(parsed.policy.shadow, &shadow, &mistakes);
    snprintf(text, sizeof(text), "%s", error_text(&mistakes));
    option_values_free(values);
    return text;
}

static void mistakes_name_key_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *key2, *value2, *words;
    } table[] = {
        {"maxWait", "60s", NULL, NULL, "maxWait needs ratePerReplica"},
        {"ratePerReplica", "10", NULL, NULL, "ratePerReplica needs maxWait"},
        {"maxWait", "60s", "ratePerReplica", "fast", "ratePerReplica \"fast\" must be"},
        {"maxWait", "60s", "ratePerReplica", "0", "ratePerReplica \"0\" must be"},
        {"maxWait", "10s", "ratePerReplica", "measured", "startTime (20 s) must be shorter"},
        {"burstThreshold", "40", NULL, NULL, "burstThreshold and burstReplicas need one another"},
        {"burstReplicas", "5", NULL, NULL, "burstThreshold and burstReplicas need one another"},
        {"steps", "1=1,10", NULL, NULL, "steps \"1=1,10\" must be levels of WAITING=REPLICAS"},
        {"steps", "10=2,1=1", NULL, NULL, "ascend"},
        {"onStall", "panic", NULL, NULL, "onStall"},
        {"scaleDownWhenIdle", "soon", NULL, NULL, "scaleDownWhenIdle"},
        {"shadow", "maxWait", NULL, NULL, "shadow: \"maxWait\" must be KEY=VALUE"},
        {"shadow", "lagThreshold=5", NULL, NULL, "shadow: \"lagThreshold\" is no setting"},
        {"shadow", "maxWait=60s", NULL, NULL, "shadow: maxWait needs ratePerReplica"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const char *text =
            mistakes_of(table[i].key, table[i].value, table[i].key2, table[i].value2);
        if (strstr(text, table[i].words) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", table[i].key, table[i].words, text);
    }
    assert_string_equal(mistakes_of("maxWait", "60s", "ratePerReplica", "measured"), "");
    assert_string_equal(mistakes_of("steps", "1=1, 10=2 ,100=5", NULL, NULL), "");
    assert_string_equal(mistakes_of("shadow", "maxWait=60s, ratePerReplica=10", NULL, NULL), "");
    assert_string_equal(mistakes_of("shadow", "steps=1=1,10=2; maxReplicaCount=5", NULL, NULL), "");
}

static void without_options_there_is_no_policy(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error mistakes = {0};
    struct policy_settings settings;
    mistakes_of("interval", "5s", NULL, NULL);
    assert_false(policy_options_compile(&parsed.policy, &settings, &mistakes));
}

static void an_unreadable_option_is_a_policy_too(void **state)
{
    (void)state;
    mistakes_of("maxReplicaCount", "many", NULL, NULL);
    assert_true(parsed.policy.is_set);
    mistakes_of("maxWaitFromEnv", "soon", NULL, NULL);
    assert_true(parsed.policy.is_set);
    mistakes_of("onStall", " scale ", "utilization", "9");
    assert_false(parsed.policy.is_set);
    mistakes_of("steps", " ", NULL, NULL);
    assert_false(parsed.policy.is_set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_replica_goes_while_there_is_work),
        TEST(all_go_when_it_was_idle_for_so_long),
        TEST(no_number_is_idle_where_the_scaler_takes_it_for_0),
        TEST(an_outage_restarts_the_idle_time),
        TEST(work_between_two_samples_is_no_idle_time),
        TEST(after_a_restart_there_are_as_many_as_consumers),
        TEST(unknown_messages_in_flight_are_an_error),
        TEST(never_fewer_than_are_in_flight),
        TEST(a_burst_starts_replicas_at_once),
        TEST(steps_are_left_downwards_one_level_late),
        TEST(at_the_maximum_more_is_published_than_the_tolerance),
        TEST(replicas_without_a_partition_are_not_started),
        TEST(waiting_work_starts_in_time),
        TEST(replicas_keep_up_with_arrivals),
        TEST(fewer_replicas_are_enough_while_little_waits),
        TEST(more_replicas_shorten_what_waits),
        TEST(headroom_leaves_less_waiting),
        TEST(both_terms_are_in_the_sentence),
        TEST(after_a_restart_the_threshold_decides),
        TEST(after_an_outage_the_known_rates_remain),
        TEST(a_short_dip_stops_no_replica),
        TEST(a_rate_is_measured_while_messages_wait),
        TEST(where_no_consumers_are_reported_the_reason_says_so),
        TEST(a_consumer_that_was_not_seen_lately_is_stuck_not_gone),
        TEST(idle_consumers_have_no_rate),
        TEST(a_rate_is_kept_when_idle),
        TEST(workers_that_became_slower_are_noticed_within_a_minute),
        TEST(workers_that_became_much_slower_count_at_once),
        TEST(the_rate_of_long_jobs_is_measured),
        TEST(a_stall_is_no_rate),
        TEST(several_consumers_of_a_replica_add_up),
        TEST(a_stuck_consumer_is_noticed_within_three_intervals),
        TEST(between_two_commits_consumers_are_not_stuck),
        TEST(without_onStall_a_stuck_consumer_is_only_reported),
        TEST(long_jobs_are_not_stuck),
        TEST(no_connected_consumer_is_a_stop),
        TEST(a_growing_queue_is_a_warning),
        TEST(consumed_messages_that_wait_again_are_a_rewind),
        TEST(one_partition_with_all_that_waits_is_not_scaled_for),
        TEST(mistakes_name_key_value_and_what_is_allowed),
        TEST(without_options_there_is_no_policy),
        TEST(an_unreadable_option_is_a_policy_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
