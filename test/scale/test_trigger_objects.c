/* The triggers of one ScaledObject: which of them its metadata no longer has. */
#include "base/memory.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_objects.h"

#define FIND_AT(now_ms, ...) find_in("shop", now_ms, (const char *const[]){__VA_ARGS__, NULL})

/* At the last call for one of its object. */
static bool is_superseded(const struct trigger *trigger)
{
    return trigger_objects_superseded(trigger, trigger->object->called_at_ms);
}

static void a_trigger_that_is_no_longer_called_is_superseded_by_a_later_one(void **state)
{
    (void)state;
    /* The loop's clock may not have moved between the first calls of two triggers. */
    for (int64_t later_ms = 1000; later_ms <= 1001; later_ms++) {
        const char *const *former_pairs = (const char *const[]){GOOD, NULL};
        const char *const *newest_pairs = (const char *const[]){GOOD, "queueLength", "9", NULL};
        const char *namespace = later_ms == 1000 ? "shop" : "sales";
        struct trigger *former = find_in(namespace, 1000, former_pairs);
        struct trigger *newest = find_in(namespace, later_ms, newest_pairs);
        find_in(namespace, 20000, newest_pairs);
        assert_true(is_superseded(former));
        assert_false(is_superseded(newest));
        triggers_pin(triggers, former); /* a stream is a call all the time */
        assert_false(is_superseded(former));
        triggers_unpin(triggers, former, 20000);
        triggers_expire(triggers, INT64_MAX / 2);
    }
}

static void triggers_of_one_object_that_are_called_in_turn_supersede_none(void **state)
{
    (void)state;
    struct trigger *one = FIND_AT(1000, GOOD);
    struct trigger *other = FIND_AT(1000, GOOD, "queueLength", "9");
    FIND_AT(12000, GOOD, "queueLength", "9");
    FIND_AT(20000, GOOD);
    assert_false(is_superseded(one));
    assert_false(is_superseded(other));
    /* A stream is a call all the time. */
    triggers_pin(triggers, one);
    FIND_AT(80000, GOOD, "queueLength", "9");
    assert_false(is_superseded(one));
    triggers_unpin(triggers, one, 80000);
}

/* It waits for its measurement, and is pinned, when the other's call has ended. */
static void a_call_that_begins_in_the_same_poll_supersedes_none_while_it_waits(void **state)
{
    (void)state;
    enum { POLL_MS = 10000 };
    struct trigger *one = FIND_AT(900, GOOD);
    struct trigger *other = FIND_AT(901, GOOD, "queueLength", "9");
    triggers_pin(triggers, other);
    assert_false(trigger_objects_superseded(one, 901));
    assert_false(trigger_objects_superseded(one, 900 + POLL_MS));
    assert_true(trigger_objects_superseded(one, 901 + POLL_MS));
    triggers_unpin(triggers, other, 901 + POLL_MS);
}

static void a_trigger_whose_edit_is_reverted_is_superseded_by_the_former_one(void **state)
{
    (void)state;
    struct trigger *former = FIND_AT(0, GOOD);
    FIND_AT(30000, GOOD);
    struct trigger *edited = FIND_AT(60000, GOOD, "queueLength", "9");
    FIND_AT(90000, GOOD, "queueLength", "9");
    assert_true(is_superseded(former));
    for (int64_t at_ms = 120000; at_ms <= 180000; at_ms += 30000)
        FIND_AT(at_ms, GOOD);
    assert_true(is_superseded(edited));
    assert_false(is_superseded(former));
    /* And edited again. */
    FIND_AT(210000, GOOD, "queueLength", "9");
    assert_false(is_superseded(edited));
}

static void a_trigger_that_is_removed_is_superseded_by_the_others(void **state)
{
    (void)state;
    struct trigger *one = FIND_AT(0, GOOD);
    struct trigger *removed = FIND_AT(0, GOOD, "queueLength", "9");
    FIND_AT(30000, GOOD);
    FIND_AT(30000, GOOD, "queueLength", "9");
    /* It may miss two of its pauses, and the time in which a poll calls for all. */
    static const int64_t calls_ms[] = {60000, 90000, 100000};
    for (size_t i = 0; i < ARRAY_LENGTH(calls_ms); i++) {
        FIND_AT(calls_ms[i], GOOD);
        assert_false(is_superseded(removed));
    }
    FIND_AT(100001, GOOD);
    assert_true(is_superseded(removed));
    assert_false(is_superseded(one));
}

/* Nobody could call then: it is no pause between two calls. */
static void one_that_is_removed_after_the_host_slept_is_superseded_as_soon(void **state)
{
    (void)state;
    enum { RESUMED_MS = 8 * 3600 * 1000 };
    static const int64_t calls_ms[] = {0, 30000, RESUMED_MS, RESUMED_MS + 30000};
    struct trigger *removed = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(calls_ms); i++) {
        if (calls_ms[i] == RESUMED_MS)
            triggers_resume(triggers, RESUMED_MS);
        FIND_AT(calls_ms[i], GOOD);
        removed = FIND_AT(calls_ms[i], GOOD, "queueLength", "9");
    }
    FIND_AT(RESUMED_MS + 60000, GOOD);
    FIND_AT(RESUMED_MS + 90000, GOOD);
    assert_false(is_superseded(removed));
    FIND_AT(RESUMED_MS + 120000, GOOD);
    assert_true(is_superseded(removed));
}

/* With `useCachedMetrics` KEDA answers the HPA itself for one trigger, and calls for the other. */
static void a_trigger_that_only_polls_call_for_is_not_superseded_between_them(void **state)
{
    (void)state;
    struct trigger *polled = FIND_AT(0, GOOD);
    for (int64_t at_ms = 0; at_ms <= 900000; at_ms += 15000) {
        struct trigger *other = FIND_AT(at_ms, GOOD, "queueLength", "9");
        assert_false(is_superseded(polled));
        assert_false(is_superseded(other));
        if (at_ms % 300000 == 0)
            FIND_AT(at_ms + 500, GOOD);
    }
}

/* At 0 replicas the HPA calls for none of them. */
static void triggers_that_only_polls_call_for_from_now_on_are_not_superseded(void **state)
{
    (void)state;
    struct trigger *first = FIND_AT(0, GOOD);
    struct trigger *second = FIND_AT(500, GOOD, "queueLength", "9");
    for (int64_t at_ms = 15000; at_ms <= 60000; at_ms += 15000) {
        FIND_AT(at_ms, GOOD);
        FIND_AT(at_ms + 500, GOOD, "queueLength", "9");
    }
    FIND_AT(360000, GOOD);
    assert_false(is_superseded(second));
    FIND_AT(360500, GOOD, "queueLength", "9");
    assert_false(is_superseded(first));
    assert_false(is_superseded(second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trigger_that_is_no_longer_called_is_superseded_by_a_later_one),
        TEST(triggers_of_one_object_that_are_called_in_turn_supersede_none),
        TEST(a_call_that_begins_in_the_same_poll_supersedes_none_while_it_waits),
        TEST(a_trigger_whose_edit_is_reverted_is_superseded_by_the_former_one),
        TEST(a_trigger_that_is_removed_is_superseded_by_the_others),
        TEST(one_that_is_removed_after_the_host_slept_is_superseded_as_soon),
        TEST(a_trigger_that_only_polls_call_for_is_not_superseded_between_them),
        TEST(triggers_that_only_polls_call_for_from_now_on_are_not_superseded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
