/* A policy over readings of Kafka: the limit that the scaler evaluates is the one that the policy
 * keeps. */
#include "base/memory.h"
#include "scale/trigger/trigger_policy.h"
#include "scalers/trigger.h"
#include "support/policy_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_kafka;

enum { INTERVAL_MS = 5000, PARTITIONS = 3, SAMPLES = 6 };

/* A trigger with this key set; 10 messages per second a replica, and a maxWait of a minute. */
struct fixture {
    struct trigger trigger;
    struct trigger_policy *policy;
    struct history *history;
    struct reading reading;
    int64_t now_ms;
};

static struct fixture fixture_of(const char *const *pairs)
{
    struct fixture fixture = {
        .trigger = trigger_of(&scaler_kafka, pairs),
        .history = history_new(),
        .reading = READING_UNKNOWN,
        .now_ms = 1000000,
    };
    struct trigger_policy *policy = memory_new(sizeof(*policy));
    policy->plan.settings = policy_no_settings();
    policy->plan.settings.max_wait_ms = 60000;
    policy->plan.settings.rate = 10;
    policy->plan.basis.threshold = 10;
    assert_true(fixture.trigger.good);
    fixture.policy = policy;
    fixture.history->interval_ms = INTERVAL_MS;
    fixture.reading.arrived = fixture.reading.consumed = 0;
    fixture.reading.partitions = PARTITIONS;
    return fixture;
}

static void fixture_done(struct fixture *fixture)
{
    trigger_policy_free(fixture->policy);
    history_free(fixture->history);
    trigger_done(&fixture->trigger);
}

#define FIXTURE(name, ...)                                                                         \
    _cleanup_(fixture_done) struct fixture name =                                                  \
        fixture_of(PAIRS("bootstrapServers", "kafka:9092", "consumerGroup", "workers", "topic",    \
                         "videoJob", __VA_ARGS__))

/* The replicas after a reading with this lag, of which so much is persistent and so many partitions
 * have the rest; 1,000 messages per second arrive and are consumed. */
static int64_t measure(struct fixture *fixture, double lag, double persistent, double with_lag)
{
    const struct trigger_policy_owner owner = {"team", "workers"};
    struct options *options = &fixture->trigger.options;
    struct evaluation_result evaluated = {0};
    struct recent_samples recent;
    fixture->now_ms += INTERVAL_MS;
    fixture->reading.arrived += 1000 * INTERVAL_MS / 1000.0;
    fixture->reading.consumed += 1000 * INTERVAL_MS / 1000.0;
    fixture->reading.waiting = lag;
    fixture->reading.waiting_for_activation = lag + persistent;
    fixture->reading.partitions_with_lag = with_lag;
    history_add(fixture->history, fixture->now_ms, &fixture->reading);
    history_recent(fixture->history, &recent);
    evaluated.is_good =
        scaler_kafka.evaluate(options, &fixture->reading, &evaluated.evaluation, &evaluated.error);
    assert_true(evaluated.is_good);
    trigger_policy_decide(fixture->policy, &owner, &recent, &evaluated);
    assert_true(fixture->policy->evaluated.is_good);
    return fixture->policy->result.replicas;
}

static void no_partition_with_lag_is_not_without_a_limit(void **state)
{
    (void)state;
    FIXTURE(fixture, "limitToPartitionsWithLag", "true");
    for (int i = 0; i < SAMPLES; i++)
        assert_true(measure(&fixture, 1000, 0, PARTITIONS) <= PARTITIONS);
    assert_int_equal(measure(&fixture, 0, 0, 0), 1);
    const char *words = fixture.policy->words.bytes;
    assert_non_null(strstr(words, "; only 1 replica can have a partition"));
    assert_int_equal(measure(&fixture, 1000, 0, 2), 2);
}

static void persistent_lag_alone_is_not_without_a_limit(void **state)
{
    (void)state;
    FIXTURE(fixture, "limitToPartitionsWithLag", "true", "excludePersistentLag", "true");
    for (int i = 0; i < SAMPLES; i++)
        measure(&fixture, 1000, 0, PARTITIONS);
    assert_int_equal(measure(&fixture, 0, 1000, 0), 1);
}

static void the_partitions_are_the_limit(void **state)
{
    (void)state;
    FIXTURE(fixture, "lagThreshold", "5");
    for (int i = 0; i < SAMPLES; i++)
        measure(&fixture, 1000, 0, 1);
    assert_int_equal(measure(&fixture, 1000, 0, 1), PARTITIONS);
    assert_int_equal(measure(&fixture, 0, 0, 0), PARTITIONS);
}

static void idle_consumers_are_without_a_limit(void **state)
{
    (void)state;
    FIXTURE(fixture, "allowIdleConsumers", "true");
    for (int i = 0; i < SAMPLES; i++)
        measure(&fixture, 1000, 0, PARTITIONS);
    assert_true(measure(&fixture, 1000, 0, PARTITIONS) > INT64_C(10) * PARTITIONS);
    assert_true(measure(&fixture, 0, 0, 0) > INT64_C(10) * PARTITIONS);
}

static void an_even_distribution_has_the_partitions_as_its_limit(void **state)
{
    (void)state;
    FIXTURE(fixture, "allowIdleConsumers", "true", "ensureEvenDistributionOfPartitions", "true");
    for (int i = 0; i < SAMPLES; i++)
        measure(&fixture, 1000, 0, PARTITIONS);
    assert_int_equal(measure(&fixture, 1000, 0, PARTITIONS), PARTITIONS);
    assert_int_equal(measure(&fixture, 0, 0, 0), PARTITIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_partition_with_lag_is_not_without_a_limit),
        cmocka_unit_test(persistent_lag_alone_is_not_without_a_limit),
        cmocka_unit_test(the_partitions_are_the_limit),
        cmocka_unit_test(idle_consumers_are_without_a_limit),
        cmocka_unit_test(an_even_distribution_has_the_partitions_as_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
