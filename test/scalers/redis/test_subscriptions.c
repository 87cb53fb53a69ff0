/* Whom a change of a key, or a time, notifies. */
#include "base/clock.h"
#include "base/memory.h"
#include "redis/link/link.h"
#include "redis/subscriptions.h"
#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void count_notifications(void *context, uint64_t id)
{
    uint64_t *notified = context;
    notified[id]++;
}

static void a_change_notifies_each_subscriber_of_its_key_once(void **state)
{
    (void)state;
    uint64_t notified[5] = {0};
    struct redis_subscriptions subscriptions = {0};
    struct redis_link link = {0};
    static const char *const keys[] = {"a", "b", "a", "c", "c"};
    for (uint64_t id = 1; id < 5; id++) {
        const struct notifier notifier = {count_notifications, notified, id};
        redis_subscriptions_add(&subscriptions, PAIRS(keys[id]), &notifier, &link);
        redis_subscriptions_add(&subscriptions, PAIRS("another"), &notifier, &link);
    }
    redis_subscriptions_remove(&subscriptions, 3);
    redis_subscriptions_remove(&subscriptions, 3);
    redis_subscriptions_notify(&subscriptions, "nobody's", 8);
    redis_subscriptions_notify(&subscriptions, "another", 7);
    assert_int_equal(notified[1] + notified[2] + notified[3] + notified[4], 0);
    redis_subscriptions_notify(&subscriptions, "b", 1);
    redis_subscriptions_notify(&subscriptions, "b", 1);
    assert_int_equal(notified[1], 1);
    redis_subscriptions_notify_all(&subscriptions);
    const uint64_t expected[] = {0, 1, 1, 0, 1};
    assert_memory_equal(notified, expected, sizeof(expected));
    redis_subscriptions_done(&subscriptions);
    assert_int_equal(link.subscriptions, 0);
}

static void each_key_of_a_subscriber_and_its_time_notify_it_once(void **state)
{
    (void)state;
    uint64_t notified[5] = {0};
    struct redis_subscriptions subscriptions = {0};
    struct redis_link link = {0};
    for (uint64_t id = 1; id < 5; id++) {
        const struct notifier notifier = {count_notifications, notified, id};
        redis_subscriptions_add(&subscriptions, PAIRS("a", id == 4 ? "d" : "b", "c"), &notifier,
                                &link);
    }
    assert_true(redis_subscriptions_notify_due(&subscriptions, 1000) == CLOCK_NEVER);
    redis_subscriptions_set_time(&subscriptions, 9, 5);
    redis_subscriptions_set_time(&subscriptions, 1, 2000);
    redis_subscriptions_set_time(&subscriptions, 2, 1500);
    redis_subscriptions_set_time(&subscriptions, 4, 3000);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 1499) == 1500);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 1500) == 2000);
    assert_int_equal(notified[2], 1);
    redis_subscriptions_notify(&subscriptions, "b", 1);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 2500) == 3000);
    redis_subscriptions_set_time(&subscriptions, 4, 4000);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 3500) == 4000);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 4000) == CLOCK_NEVER);
    redis_subscriptions_notify(&subscriptions, "c", 1);
    const uint64_t expected[] = {0, 1, 1, 1, 1};
    assert_memory_equal(notified, expected, sizeof(expected));
    assert_null(subscriptions.keys);
    redis_subscriptions_done(&subscriptions);
    assert_int_equal(link.subscriptions, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_notifies_each_subscriber_of_its_key_once),
        cmocka_unit_test(each_key_of_a_subscriber_and_its_time_notify_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
