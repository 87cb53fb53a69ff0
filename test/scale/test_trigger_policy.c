/* The policy of a trigger: when it decides, what it keeps and says of it. */
#include "base/clock.h"
#include "base/memory.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"

#include <math.h>

/* The level of 20 is left below 1 alone. */
static void a_policy_decides_at_each_reading_whoever_reads_it(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(STEPS);
    query_of(trigger);
    measure_again(trigger);
    fake_set_queue("jobs", 5);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 5);
    fake_set_queue("jobs", 0);
    measure_again(trigger);
    fake_set_queue("jobs", 5);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 1);
}

/* Where the HPA is to see that it is at its maximum, the value is of more. */
static void at_the_maximum_replicas_are_what_the_policy_wants(void **state)
{
    (void)state;
    _cleanup_(answer_done) struct answer answer = {0};
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(STEPS, "maxReplicaCount", "3");
    struct answer_call call = {.arrived_ms = clock_now_ms()};
    query_of(trigger);
    measure_again(trigger);
    trigger_decide(trigger, &call, clock_now_ms(), &answer);
    assert_int_equal(answer.kind, ANSWER_VALUE);
    assert_true(answer.value > 3 * trigger->parsed.target);
    assert_true(answer.replicas == 3);
}

/* A shadow changes no answer. */
static void with_a_shadow_alone_the_threshold_says_how_many_replicas(void **state)
{
    (void)state;
    fake_set_queue("jobs", 21);
    struct trigger *trigger =
        FIND("scaler", "fake", "source", "a", "queueName", "jobs", "shadow", "steps=1=2");
    query_of(trigger);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 5);
}

/* The default threshold alone makes no replica beside levels. */
static void a_threshold_that_is_set_counts_beside_levels(void **state)
{
    (void)state;
    fake_set_queue("jobs", 9);
    struct trigger *levels =
        FIND("scaler", "fake", "source", "a", "queueName", "jobs", "steps", "41=5");
    struct trigger *both = FIND("scaler", "fake", "source", "a", "queueName", "jobs", "steps",
                                "41=5", "queueLength", "3");
    query_of(levels);
    query_of(both);
    measure_again(levels);
    measure_again(both);
    assert_true(replicas_now(levels) == 0);
    assert_true(replicas_now(both) == 3);
}

/* The other trigger had no use for samples, and its reading is known. */
static void a_policy_begins_with_the_reading_that_is_known(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *other = FIND("scaler", "fake", "source", "a", "queueName", "jobs");
    query_of(other);
    wait_until_measured(other);
    fake_set_queue("jobs", FAKE_HANGS);
    struct trigger *trigger = FIND(STEPS);
    assert_ptr_equal(query_of(trigger), query_of(other));
    assert_true(replicas_now(trigger) == 5);
}

/* One replica for each message in flight. */
static struct trigger_policy *policy_of_in_flight(void)
{
    struct trigger_policy *policy = memory_new(sizeof(*policy));
    policy->plan.effective.is_on = true;
    policy->plan.effective.settings.in_flight_per_replica = 1;
    policy->plan.basis.threshold = 5;
    return policy;
}

enum { INTERVAL_MS = 5000 };

static void decide_at(struct trigger_policy *policy, struct recent_samples *recent, int interval,
                      double in_flight)
{
    const struct trigger_policy_owner owner = {"shop", "worker"};
    struct evaluation_result evaluated = {.is_good = true,
                                          .evaluation = {.value = 20, .active = true}};
    struct reading reading = READING_UNKNOWN;
    reading.waiting = 20;
    reading.in_flight = in_flight;
    recent_samples_add(recent, interval * (int64_t)INTERVAL_MS, &reading);
    trigger_policy_decide(policy, &owner, recent, &evaluated);
}

/* The next reading lacks what the settings need: the decision before says nothing about it. */
static void a_policy_that_cannot_decide_gives_no_value(void **state)
{
    (void)state;
    struct trigger_policy *policy = policy_of_in_flight();
    struct recent_samples recent = {.interval_ms = INTERVAL_MS};
    for (int i = 1; i <= 2; i++) {
        _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy copy = {0};
        bool is_known = i == 1;
        decide_at(policy, &recent, i, is_known ? 30 : NAN);
        trigger_policy_copy(policy, 0, &copy);
        assert_int_equal(copy.evaluated.is_good, is_known);
        assert_int_equal(copy.effective.has_decided, is_known);
        assert_true(!is_known || copy.evaluated.evaluation.value == 30);
        assert_int_equal(policy->change_count, i);
        assert_int_equal(policy->changes[i - 1].has_decided, is_known);
    }
    trigger_policy_forget(policy); /* with the error, and the former source's past */
    assert_false(error_is_set(&policy->evaluated.error));
    assert_int_equal(policy->change_count, 0);
    trigger_policy_free(policy);
}

static void a_policy_is_logged_when_it_changes_and_at_most_once_a_minute(void **state)
{
    (void)state;
    static const struct {
        int interval, in_flight, logged_interval;
    } decisions[] = {{1, 30, 1}, {2, 31, 1}, {12, 32, 1}, {13, 32, 13}, {26, 32, 13}, {27, 33, 27}};
    struct trigger_policy *policy = policy_of_in_flight();
    struct recent_samples recent = {.interval_ms = INTERVAL_MS};
    for (size_t i = 0; i < ARRAY_LENGTH(decisions); i++) {
        decide_at(policy, &recent, decisions[i].interval, decisions[i].in_flight);
        assert_int_equal(policy->logged_at_ms, decisions[i].logged_interval * INTERVAL_MS);
    }
    assert_int_equal(policy->logged_replicas, 33);
    trigger_policy_free(policy);
}

static void the_last_changes_of_a_policy_are_kept(void **state)
{
    (void)state;
    enum { SAME = 3, INTERVALS = SAME + TRIGGER_POLICY_CHANGES + 2 };
    struct trigger_policy *policy = policy_of_in_flight();
    struct recent_samples recent = {.interval_ms = INTERVAL_MS};
    for (int i = 1; i <= SAME; i++)
        decide_at(policy, &recent, i, 30);
    assert_int_equal(policy->change_count, 1);
    for (int i = SAME + 1; i <= INTERVALS; i++)
        decide_at(policy, &recent, i, 30 + i);

    _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy copy = {0};
    trigger_policy_copy(policy, TRIGGER_COPY_CHANGES, &copy);
    assert_int_equal(copy.change_count, TRIGGER_POLICY_CHANGES);
    const int first = INTERVALS + 1 - TRIGGER_POLICY_CHANGES;
    for (int i = first; i <= INTERVALS; i++) {
        const struct trigger_policy_change *change = &copy.changes[i - first];
        assert_int_equal(change->at_ms, i * INTERVAL_MS);
        assert_int_equal(change->replicas, 30 + i);
        assert_true(change->value == 30 + i);
        assert_true(change->active);
        assert_int_equal(change->term, POLICY_BY_IN_FLIGHT);
        assert_ptr_equal(trigger_policy_at(&copy, (i + 1) * INTERVAL_MS - 1), change);
    }
    assert_null(trigger_policy_at(&copy, first * INTERVAL_MS - 1));
    trigger_policy_free(policy);
}

/* There are up to 120, for each of the dashboard's rows, once a second. */
static void the_changes_of_a_policy_are_copied_for_the_past_alone(void **state)
{
    (void)state;
    struct trigger_report report;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(STEPS);
    query_of(trigger);
    measure_again(trigger);
    assert_true(trigger->policy->change_count > 0);
    trigger_report(trigger, clock_now_ms(), &report);
    assert_null(report.policy.changes);
    assert_true(report.policy.effective.words.length > 0);
    trigger_report_done(&report);
    trigger_report_with_changes(trigger, clock_now_ms(), &report);
    assert_true(report.policy.change_count > 0);
    assert_true(report.policy.effective.words.length > 0);
    trigger_report_done(&report);
}

/* Answers with what its policy has found. */
static void record(struct trigger *trigger, const char *call, struct answer answer, int64_t now_ms)
{
    answer.policy = trigger_policy_found(trigger->policy);
    trigger_answers_record(trigger, call, &answer, now_ms);
}

static void in_an_outage_the_status_of_consumers_is_unknown(void **state)
{
    (void)state;
    const struct trigger_policy_stats *stats = triggers_policy_stats(triggers);
    struct trigger *trigger = FIND(GOOD, "maxReplicaCount", "5");
    struct answer answer = {.kind = ANSWER_VALUE, .value = 3, .active = true};
    trigger->policy->effective.result.status = FLOW_STALL;
    assert_int_equal(stats->statuses[FLOW_UNKNOWN], 1); /* no answer yet */
    record(trigger, "GetMetrics", answer, 1000);
    assert_int_equal(stats->statuses[FLOW_STALL], 1);
    answer.held = true;
    record(trigger, "GetMetrics", answer, 2000);
    assert_int_equal(stats->statuses[FLOW_STALL], 0);
    assert_int_equal(stats->statuses[FLOW_UNKNOWN], 1);
    answer = (struct answer){.kind = ANSWER_REFUSED};
    record(trigger, "GetMetrics", answer, 3000);
    assert_int_equal(stats->statuses[FLOW_UNKNOWN], 1);
}

static void the_sums_of_policies_follow_answers_and_drops(void **state)
{
    (void)state;
    const struct trigger_policy_stats *stats = triggers_policy_stats(triggers);
    const struct answer answer = {.kind = ANSWER_VALUE, .value = 3, .active = true};
    struct trigger *five = FIND(GOOD, "maxReplicaCount", "5");
    struct trigger *nine = FIND(GOOD, "maxReplicaCount", "9");
    FIND(GOOD); /* none of a policy */
    five->policy->effective.result.replicas = 5;
    nine->policy->effective.result.replicas = 9;
    nine->policy->shadow.result.replicas = 7;
    nine->policy->effective.result.status = FLOW_OK;
    assert_int_equal(stats->replicas, 0); /* they have answered nothing yet */
    record(five, "GetMetrics", answer, 1000);
    record(nine, "GetMetrics", answer, 1000);
    record(nine, "IsActive", answer, 1000);
    assert_int_equal(stats->replicas, 14);
    assert_int_equal(stats->shadow_replicas, 7);
    assert_int_equal(stats->statuses[FLOW_OK], 1);
    five->policy->effective.result.replicas = 2;
    record(five, "GetMetrics", answer, 2000);
    assert_int_equal(stats->replicas, 11);
    triggers_expire(triggers, 5000);
    assert_int_equal(triggers_count(triggers), 0);
    assert_memory_equal(stats, &(struct trigger_policy_stats){0}, sizeof(*stats));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_policy_decides_at_each_reading_whoever_reads_it),
        TEST(at_the_maximum_replicas_are_what_the_policy_wants),
        TEST(with_a_shadow_alone_the_threshold_says_how_many_replicas),
        TEST(a_threshold_that_is_set_counts_beside_levels),
        TEST(a_policy_begins_with_the_reading_that_is_known),
        TEST(a_policy_that_cannot_decide_gives_no_value),
        TEST(a_policy_is_logged_when_it_changes_and_at_most_once_a_minute),
        TEST(the_last_changes_of_a_policy_are_kept),
        TEST(the_changes_of_a_policy_are_copied_for_the_past_alone),
        TEST(in_an_outage_the_status_of_consumers_is_unknown),
        TEST(the_sums_of_policies_follow_answers_and_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
