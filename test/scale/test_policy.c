/* Policies: what they promise, from samples that are written down. */
#include "base/memory.h"
#include "scale/policy/policy_words.h"
#include "scale/policy_fixture.h"
#include "support/policy_settings.h"

#include <math.h>
#include <string.h>

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

/* The rate of a replica is known, and nothing of what arrives. */
static void after_a_restart_an_idle_source_needs_no_replica(void **state)
{
    (void)state;
    give_objective(10);
    for (int i = 0; i < 24; i++) { /* from the fourth on it is known that nothing arrives */
        assert_int_equal(measure(0, 0), 0);
        assert_false(world.result.active);
    }
    measure_for(1, 1, 1);
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

static void the_last_replica_stays_until_it_was_idle_for_so_long(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(5);
    assert_int_equal(measure(0, 0), 1);
    waiting(0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(measure(0, 0), 1); /* idle for 0 to 25 s */
        assert_true(world.result.active);
    }
    assert_int_equal(measure(0, 0), 0);
    assert_false(world.result.active);
}

/* Whatever was needed until then. */
static void all_go_then_where_the_objective_would_keep_them(void **state)
{
    (void)state;
    give_objective(10);
    world.settings.idle_ms = 30000;
    world.threshold = 1000; /* it decides while nothing is known of arrivals */
    waiting(1620);
    assert_int_equal(measure_for(30, 81, 81), 9);
    waiting(0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(measure(0, 0), 9); /* idle for 0 to 25 s */
    assert_non_null(strstr(world.words.bytes, "; idle for 25 of 30 s"));
    assert_int_equal(measure(0, 0), 0);
    assert_false(world.result.active);
    assert_true(world.result.value == 0);
    assert_non_null(strstr(world.words.bytes, "0 replicas: "));
    assert_non_null(strstr(world.words.bytes, "; nothing waiting or in flight for 30 s"));
}

/* Consumers, to know what one of them does, only where that is not set. */
static void a_policy_needs_what_its_settings_count(void **state)
{
    (void)state;
    struct policy_settings settings = policy_no_settings();
    assert_int_equal(policy_needs(&settings), 0);
    settings.idle_ms = 1000;
    assert_int_equal(policy_needs(&settings), READING_WANT_IN_FLIGHT);
    settings.idle_ms = 0;
    settings.max_wait_ms = 60000;
    settings.rate = 0.5;
    assert_int_equal(policy_needs(&settings), READING_WANT_RATES);
    settings.rate = 0;
    assert_int_equal(policy_needs(&settings), READING_WANT_RATES | READING_WANT_CONSUMERS);
    settings.max_wait_ms = 0;
    assert_int_equal(policy_needs(&settings), 0);
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
    history_add_gap(world.history);
    for (int i = 0; i < 6; i++)
        assert_int_equal(measure(0, 0), 10);
    assert_int_equal(measure(0, 0), 0);
}

/* As of a source that cannot keep up: each measurement waits so long for its turn. */
static int64_t measure_late(int64_t waited_ms, double arriving, double consuming)
{
    world.history->waited_ms = waited_ms;
    world.now_ms += waited_ms;
    world.reading.arrived += arriving * (double)waited_ms / 1000;
    world.reading.consumed += consuming * (double)waited_ms / 1000;
    return measure(arriving, consuming);
}

/* Between two samples 100 s apart there may have been work: it takes as many idle samples as where
 * they are as far apart as they may be, four intervals. */
static void what_is_measured_late_is_idle_after_as_many_samples(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(95);
    assert_int_equal(measure_late(95000, 0, 0), 10);
    waiting(0);
    assert_int_equal(measure_late(95000, 0, 0), 10);
    assert_int_equal(measure_late(95000, 0, 0), 10);
    assert_int_equal(world.result.idle_for_ms, 20000);
    waiting(1);
    measure_late(95000, 0, 0);
    waiting(0);
    assert_int_equal(measure_late(95000, 0, 0), 10);
    assert_int_equal(measure_late(95000, 0, 0), 10);
    assert_int_equal(measure_late(95000, 0, 0), 0);
    assert_false(world.result.active);
}

static void what_is_measured_late_has_rates(void **state)
{
    (void)state;
    give_objective(10);
    world.threshold = 1;
    waiting(0);
    measure_late(25000, 81, 81);
    assert_int_equal(measure_late(25000, 81, 81), 7);
    assert_int_equal(world.result.term, POLICY_BY_ARRIVALS);
}

static void what_is_measured_late_was_lower_after_as_many_samples(void **state)
{
    (void)state;
    give_objective(10);
    int64_t before = measure_for(30, 81, 81);
    for (int i = 0; i < 3; i++)
        assert_int_equal(measure_late(65000, 20, 20), before);
    assert_true(measure_late(65000, 20, 20) < before);
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
    history_add(world.history, world.now_ms + 100, &world.reading);
    world.reading.in_flight = 0;
    history_add(world.history, world.now_ms + 200, &world.reading);
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

/* The HPA's calls come to all replicas of the server in turn, and some have seen none wait. */
static void who_saw_no_message_wait_removes_no_worker(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(0);
    assert_int_equal(measure(0, 0), 0);
    world.reading.in_flight = 40;
    world.reading.consumers = 10;
    assert_int_equal(measure(0, 0), 10);
    world.reading.consumers = 30; /* new ones beside those that end */
    assert_int_equal(measure(0, 0), 10);
    world.reading.consumers = 2;
    assert_int_equal(measure(0, 0), 10);
}

/* One worker may have taken them all. */
static void messages_in_flight_alone_are_no_number_of_workers(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    waiting(0);
    assert_int_equal(measure(0, 0), 0);
    world.reading.in_flight = 100;
    assert_int_equal(measure(0, 0), 1);
}

static void messages_in_flight_are_of_so_many_workers_as_the_user_says(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    world.settings.in_flight_per_replica = 10;
    waiting(0);
    assert_int_equal(measure(0, 0), 0);
    world.reading.in_flight = 100;
    assert_int_equal(measure(0, 0), 10);
}

/* trigger_policy_forget() leaves the peak of the former source alone. */
static void a_former_source_may_still_be_worked_for(void **state)
{
    (void)state;
    world.settings.idle_ms = 10000;
    world.state.peak.own = 9;
    world.reading.in_flight = 3;
    world.reading.consumers = 7;
    waiting(1);
    assert_int_equal(measure(0, 0), 9);
    world.reading.in_flight = 0;
    waiting(0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(measure(0, 0), 9);
    assert_int_equal(measure(0, 0), 0);
}

/* Others may have measured the new one before. */
static void what_is_idle_is_so_no_longer_than_the_former_source_was_followed(void **state)
{
    (void)state;
    world.settings.idle_ms = 10000;
    world.state.peak.own = 9;
    world.state.idle.folded_until_ms = world.now_ms + 12000;
    waiting(0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(measure(0, 0), 9);
    assert_int_equal(measure(0, 0), 0);
}

/* A forged or mistaken one must not keep them until the source is idle. */
static void what_other_replicas_asked_for_counts_for_a_while(void **state)
{
    (void)state;
    world.settings.idle_ms = 30000;
    world.settings.max_replicas = 500;
    world.hold_ms = 20000;
    world.state.peak.of_peers =
        (struct policy_peaks){2, {{1000, world.now_ms - 8000}, {8, world.now_ms - 3000}}};
    world.reading.in_flight = 3;
    world.reading.consumers = 7;
    waiting(1);
    assert_int_equal(measure(0, 0), 500);
    assert_int_equal(measure(0, 0), 500);
    assert_int_equal(world.state.peak.own, 7);
    assert_int_equal(measure(0, 0), 8);
    assert_int_equal(measure(0, 0), 7);
    waiting(95);
    assert_int_equal(measure(0, 0), 10);
}

/* So many were asked for by other replicas of the server. */
static void assert_peers_count_until_idle(int replicas)
{
    world.settings.idle_ms = 10000;
    world.hold_ms = INT64_C(3600) * 1000;
    world.state.peak.of_peers = (struct policy_peaks){1, {{replicas, world.now_ms}}};
    waiting(0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(measure(0, 0), replicas);
    assert_int_equal(measure(0, 0), 0);
    assert_false(world.result.active);
}

static void what_other_replicas_asked_for_ends_when_all_is_idle(void **state)
{
    (void)state;
    assert_peers_count_until_idle(9);
    waiting(5);
    assert_int_equal(measure(0, 0), 1);
}

static void a_single_replica_that_others_asked_for_stays_until_all_is_idle(void **state)
{
    (void)state;
    assert_peers_count_until_idle(1);
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

static void beside_a_threshold_a_level_is_a_floor(void **state)
{
    (void)state;
    world.threshold = 100;
    world.settings.levels[0] = (struct policy_level){41, 5};
    world.settings.level_count = 1;
    waiting(40);
    assert_int_equal(measure(0, 0), 1);
    assert_int_equal(world.result.term, POLICY_BY_THRESHOLD);
    waiting(41);
    assert_int_equal(measure(0, 0), 5);
    assert_int_equal(world.result.term, POLICY_BY_LEVEL);
    assert_string_equal(world.words.bytes,
                        "5 replicas: 41 at a threshold of 100; level 1 of 1 (41=5) has at least 5");
    waiting(1); /* the first level is left when nothing waits */
    assert_int_equal(measure(0, 0), 5);
    assert_string_equal(world.words.bytes, "5 replicas: 1 at a threshold of 100; level 1 of 1 "
                                           "(41=5) has at least 5, until none wait");
    waiting(0);
    assert_int_equal(measure(0, 0), 0);
    waiting(1);
    assert_int_equal(measure(0, 0), 1);
    waiting(2000);
    assert_int_equal(measure(0, 0), 20);
    assert_int_equal(world.result.term, POLICY_BY_THRESHOLD);
}

static void levels_are_left_downwards_one_late(void **state)
{
    (void)state;
    world.has_default_threshold = true;
    world.settings.levels[0] = (struct policy_level){1, 1};
    world.settings.levels[1] = (struct policy_level){10, 2};
    world.settings.levels[2] = (struct policy_level){100, 5};
    world.settings.level_count = 3;
    static const struct {
        double waiting;
        int64_t replicas;
        const char *words;
    } table[] = {{0, 0, "0 waiting, below level 1 of 3 (1=1)"},
                 {1, 1, "1 waiting, level 1 of 3 (1=1)"},
                 {9, 1, "9 waiting, level 1 of 3 (1=1)"},
                 {10, 2, "10 waiting, level 2 of 3 (10=2)"},
                 {9, 2, "9 waiting, level 2 of 3 (10=2), until fewer than 1 wait"},
                 {1, 2, "1 waiting, level 2 of 3 (10=2), until fewer than 1 wait"},
                 {0, 0, "0 waiting, below level 1 of 3 (1=1)"},
                 {99, 2, "99 waiting, level 2 of 3 (10=2)"},
                 {100, 5, "100 waiting, level 3 of 3 (100=5)"},
                 {99, 5, "99 waiting, level 3 of 3 (100=5), until fewer than 10 wait"},
                 {10, 5, "10 waiting, level 3 of 3 (100=5), until fewer than 10 wait"},
                 {9, 1, "9 waiting, level 1 of 3 (1=1)"},
                 {2000, 5, "2,000 waiting, level 3 of 3 (100=5)"},
                 {0, 0, "0 waiting, below level 1 of 3 (1=1)"}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        waiting(table[i].waiting);
        assert_int_equal(measure(0, 0), table[i].replicas);
        assert_string_equal(strchr(world.words.bytes, ':') + 2, table[i].words);
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
    assert_non_null(strstr(world.words.bytes, "; maxReplicaCount is 64"));
    waiting(625);
    assert_int_equal(measure(0, 0), 63);
    assert_true(world.result.value == 63);
}

static void at_a_maximum_of_one_too(void **state)
{
    (void)state;
    world.settings.max_replicas = 1;
    waiting(635);
    assert_int_equal(measure(0, 0), 1);
    assert_true(world.result.value > 1.1);
    assert_int_equal(world.result.term, POLICY_BY_MAX);
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

static void a_quarter_of_the_time_is_left_whatever_a_start_takes(void **state)
{
    (void)state;
    give_objective(10);
    world.settings.start_ms = 55000;
    measure_for(20, 0, 0);
    waiting(6000);
    assert_int_equal(measure(0, 0), 40); /* in 15 s */
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

/* Nobody knows yet how many arrive: a threshold is wrong by a factor, and a guess may be by more.
 */
static void after_a_restart_the_threshold_decides(void **state)
{
    (void)state;
    give_objective(10);
    waiting(95);
    assert_int_equal(measure(0, 0), 10);
    assert_int_equal(world.result.term, POLICY_BY_THRESHOLD);
    assert_string_equal(world.words.bytes,
                        "10 replicas: 95 at a threshold of 10: the rate of arrivals is not known "
                        "yet");
}

static void after_an_outage_the_known_rates_remain(void **state)
{
    (void)state;
    give_objective(10);
    int64_t known = measure_for(30, 81, 81);
    history_add_gap(world.history);
    waiting(20);
    world.threshold = 1;
    assert_int_equal(measure(81, 81), known);
    assert_non_null(
        strstr(world.words.bytes, "/s each; as before the outage: the rate of arrivals"));
}

static void what_waits_after_an_outage_needs_no_rate_of_arrivals(void **state)
{
    (void)state;
    give_objective(10);
    int64_t known = measure_for(30, 81, 81);
    history_add_gap(world.history);
    waiting(1e5);
    assert_true(measure(81, 81) > 5 * known);
    assert_int_equal(world.result.term, POLICY_BY_WAITING);
    assert_non_null(strstr(world.words.bytes, "/s each; the rate of arrivals is not known yet"));
}

/* Nobody saw what was needed meanwhile. */
static void an_outage_is_no_time_in_which_less_was_needed(void **state)
{
    (void)state;
    give_objective(10);
    int64_t before = measure_for(30, 81, 81);
    measure_for(2, 20, 20);
    world.now_ms += 180000;
    history_add_gap(world.history);
    assert_int_equal(measure_for(8, 20, 20), before);
    assert_true(measure_for(20, 20, 20) < before);
}

static void replicas_of_before_a_long_outage_do_not_come_back(void **state)
{
    (void)state;
    give_objective(10);
    assert_in_range(measure_for(30, 81, 81), 5, 20);
    world.now_ms += INT64_C(3) * 3600 * 1000;
    history_add_gap(world.history);
    waiting(0);
    for (int i = 0; i < 20; i++)
        assert_in_range(measure_for(1, 0.2, 0.2), 0, 1);
}

static void an_outage_is_long_whatever_the_interval(void **state)
{
    (void)state;
    world.history->interval_ms = INT64_C(600) * 1000;
    give_objective(10);
    assert_in_range(measure_for(5, 81, 81), 5, 20);
    world.now_ms += INT64_C(1500) * 1000;
    history_add_gap(world.history);
    waiting(0);
    assert_int_equal(measure(0, 0), 0);
}

static void failures_now_and_then_do_not_keep_replicas(void **state)
{
    (void)state;
    give_objective(10);
    int64_t before = measure_for(30, 81, 81);
    int64_t replicas = before;
    for (int i = 0; i < 8; i++) {
        history_add_gap(world.history);
        replicas = measure_for(9, 20, 20);
    }
    assert_true(replicas < before);
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

static void where_no_consumers_are_reported_the_reason_says_so(void **state)
{
    (void)state;
    give_objective(0);
    world.reading.consumers = NAN;
    waiting(100);
    assert_int_equal(measure_for(4, 40, 40), 10);
    assert_non_null(strstr(world.words.bytes, "the source reports no consumers"));
    assert_non_null(strstr(world.words.bytes, "set ratePerReplica to a number"));
}

/* A sum of several sources, or of a query of the user, may be anything. */
static void numbers_are_short_and_grouped(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *words;
    } cases[] = {
        {0.354, "1 replica: 0.35 at"},
        {9.96, "1 replica: 10 at"},
        {12.5, "2 replicas: 12.5 at"},
        {99.6, "10 replicas: 99.6 at"},
        {99.96, "10 replicas: 100 at"},
        {6900, "690 replicas: 6,900 at"},
        {1234567, "123457 replicas: 1,234,567 at"},
        {-0.35, "0 replicas: -0.35 at"},
        {-12.5, "0 replicas: -12.5 at"},
        {-500, "0 replicas: -500 at"},
        {-6900, "0 replicas: -6,900 at"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        waiting(cases[i].number);
        measure(0, 0);
        if (!text_starts_with(world.words.bytes, cases[i].words))
            fail_msg("%s instead of %s", world.words.bytes, cases[i].words);
    }
}

static void each_term_has_its_text(void **state)
{
    (void)state;
    for (int term = 0; term < POLICY_TERMS; term++)
        assert_non_null(policy_term_text((enum policy_term)term));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_term_has_its_text),
        TEST(no_replica_goes_while_there_is_work),
        TEST(after_a_restart_an_idle_source_needs_no_replica),
        TEST(all_go_when_it_was_idle_for_so_long),
        TEST(the_last_replica_stays_until_it_was_idle_for_so_long),
        TEST(all_go_then_where_the_objective_would_keep_them),
        TEST(a_policy_needs_what_its_settings_count),
        TEST(no_number_is_idle_where_the_scaler_takes_it_for_0),
        TEST(an_outage_restarts_the_idle_time),
        TEST(what_is_measured_late_is_idle_after_as_many_samples),
        TEST(what_is_measured_late_has_rates),
        TEST(what_is_measured_late_was_lower_after_as_many_samples),
        TEST(work_between_two_samples_is_no_idle_time),
        TEST(after_a_restart_there_are_as_many_as_consumers),
        TEST(who_saw_no_message_wait_removes_no_worker),
        TEST(messages_in_flight_alone_are_no_number_of_workers),
        TEST(messages_in_flight_are_of_so_many_workers_as_the_user_says),
        TEST(a_former_source_may_still_be_worked_for),
        TEST(what_is_idle_is_so_no_longer_than_the_former_source_was_followed),
        TEST(what_other_replicas_asked_for_counts_for_a_while),
        TEST(what_other_replicas_asked_for_ends_when_all_is_idle),
        TEST(a_single_replica_that_others_asked_for_stays_until_all_is_idle),
        TEST(unknown_messages_in_flight_are_an_error),
        TEST(never_fewer_than_are_in_flight),
        TEST(beside_a_threshold_a_level_is_a_floor),
        TEST(levels_are_left_downwards_one_late),
        TEST(at_the_maximum_more_is_published_than_the_tolerance),
        TEST(at_a_maximum_of_one_too),
        TEST(replicas_without_a_partition_are_not_started),
        TEST(waiting_work_starts_in_time),
        TEST(a_quarter_of_the_time_is_left_whatever_a_start_takes),
        TEST(replicas_keep_up_with_arrivals),
        TEST(fewer_replicas_are_enough_while_little_waits),
        TEST(more_replicas_shorten_what_waits),
        TEST(headroom_leaves_less_waiting),
        TEST(both_terms_are_in_the_sentence),
        TEST(after_a_restart_the_threshold_decides),
        TEST(after_an_outage_the_known_rates_remain),
        TEST(what_waits_after_an_outage_needs_no_rate_of_arrivals),
        TEST(an_outage_is_no_time_in_which_less_was_needed),
        TEST(replicas_of_before_a_long_outage_do_not_come_back),
        TEST(an_outage_is_long_whatever_the_interval),
        TEST(failures_now_and_then_do_not_keep_replicas),
        TEST(a_short_dip_stops_no_replica),
        TEST(where_no_consumers_are_reported_the_reason_says_so),
        TEST(numbers_are_short_and_grouped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
