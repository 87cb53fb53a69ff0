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
    policy->plan.settings.in_flight_per_replica = 1;
    policy->plan.basis.threshold = 5;
    return policy;
}

enum { INTERVAL_MS = 5000 };

static struct history *new_history(void)
{
    struct history *history = history_new();
    history->interval_ms = INTERVAL_MS;
    return history;
}

static void decide_at(struct trigger_policy *policy, struct history *history, int interval,
                      double in_flight)
{
    const struct trigger_policy_owner owner = {"shop", "worker"};
    struct evaluation_result evaluated = {.is_good = true,
                                          .evaluation = {.value = 20, .active = true}};
    struct reading reading = READING_UNKNOWN;
    struct recent_samples recent;
    reading.waiting = 20;
    reading.in_flight = in_flight;
    history_add(history, interval * (int64_t)INTERVAL_MS, &reading);
    history_recent(history, &recent);
    trigger_policy_decide(policy, &owner, &recent, &evaluated);
}

/* The next reading lacks what the settings need: the decision before says nothing about it. */
static void a_policy_that_cannot_decide_gives_no_value(void **state)
{
    (void)state;
    struct trigger_policy *policy = policy_of_in_flight();
    struct history *history = new_history();
    for (int i = 1; i <= 2; i++) {
        _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy copy = {0};
        bool is_known = i == 1;
        decide_at(policy, history, i, is_known ? 30 : NAN);
        trigger_policy_copy(policy, false, &copy);
        assert_int_equal(copy.evaluated.is_good, is_known);
        assert_int_equal(copy.has_decided, is_known);
        assert_true(!is_known || copy.evaluated.evaluation.value == 30);
    }
    trigger_policy_forget(policy); /* with the error, and the former source's past */
    assert_false(error_is_set(&policy->evaluated.error));
    history_free(history);
    trigger_policy_free(policy);
}

static void a_policy_is_logged_when_it_changes_and_at_most_once_a_minute(void **state)
{
    (void)state;
    static const struct {
        int interval, in_flight, logged_interval;
    } decisions[] = {{1, 30, 1}, {2, 31, 1}, {12, 32, 1}, {13, 32, 13}, {26, 32, 13}, {27, 33, 27}};
    struct trigger_policy *policy = policy_of_in_flight();
    struct history *history = new_history();
    for (size_t i = 0; i < ARRAY_LENGTH(decisions); i++) {
        decide_at(policy, history, decisions[i].interval, decisions[i].in_flight);
        assert_int_equal(policy->logged_at_ms, decisions[i].logged_interval * INTERVAL_MS);
    }
    assert_int_equal(policy->logged_replicas, 33);
    history_free(history);
    trigger_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_policy_decides_at_each_reading_whoever_reads_it),
        TEST(at_the_maximum_replicas_are_what_the_policy_wants),
        TEST(a_threshold_that_is_set_counts_beside_levels),
        TEST(a_policy_begins_with_the_reading_that_is_known),
        TEST(a_policy_that_cannot_decide_gives_no_value),
        TEST(a_policy_is_logged_when_it_changes_and_at_most_once_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
