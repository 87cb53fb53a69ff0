/* The table: who is found, walked over, dropped, and never measured. */
#include "base/clock.h"
#include "base/memory.h"
#include "scale/fixture.h"

#include <string.h>
#include <unistd.h>

static void the_order_of_the_metadata_does_not_matter(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    assert_ptr_equal(trigger, FIND("queueName", "7", "scaler", "fake", "source", "a"));
    assert_ptr_not_equal(trigger, FIND("queueName", "8", "scaler", "fake", "source", "a"));
    assert_int_equal(triggers_count(triggers), 2);
}

static void a_key_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct option_entry entries[] = {{"scaler", "fake"}, {"queueName", "1"}, {"scaler", "fake"}};
    struct trigger_ref ref = {"worker", "shop", entries, 3};
    struct trigger *trigger = NULL;
    assert_false(triggers_find(triggers, &ref, 0, &trigger, &error));
    assert_int_equal(error.code, ERROR_INVALID);
    assert_string_equal(error_text(&error), "scalerMetadata has the key \"scaler\" twice");
}

static void a_trigger_with_mistakes_is_never_measured(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    assert_false(triggers_acquire_query(triggers, FIND("scaler", "fake"), 0, &query, &error));
    assert_int_equal(error.code, ERROR_INVALID);
    struct connection_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.counts[COUNT_CONNECTIONS], 0);
}

static void a_limit_on_inline_connections_is_an_error_and_an_expired_trigger_frees_one(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    query_of(FIND(GOOD));
    query_of(FIND(ORDERS));
    struct trigger *other = FIND("scaler", "fake", "source", "b", "queueName", "7");
    assert_false(triggers_acquire_query(triggers, other, clock_now_ms(), &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    triggers_expire(triggers, 1000);
    other = FIND("scaler", "fake", "source", "b", "queueName", "7");
    while (!triggers_acquire_query(triggers, other, clock_now_ms(), &query,
                                   &error)) { /* its thread is to end */
        assert_int_equal(error.code, ERROR_LIMIT);
        usleep(1000);
    }
}

static void nobody_could_call_in_a_pause(void **state)
{
    (void)state;
    const char *const first[] = {GOOD, NULL};
    find_in("shop", 0, first);
    triggers_resume(triggers, 600000);
    int64_t next_ms = triggers_expire(triggers, 600000);
    assert_int_equal(triggers_count(triggers), 1);
    assert_true(next_ms > 600000);
    triggers_expire(triggers, next_ms);
    assert_int_equal(triggers_count(triggers), 0);
}

/* What was dropped or came in between harms no walk. */
static void a_walk_sees_each_trigger_that_stays_once(void **state)
{
    (void)state;
    const char *const first[] = {GOOD, NULL};
    const char *const second[] = {GOOD, "queueLength", "1", NULL};
    const char *const third[] = {GOOD, "queueLength", "2", NULL};
    find_in("shop", 0, first);
    find_in("shop", 0, second);
    struct trigger *three = find_in("shop", 2000, third);
    struct trigger *one = find_in("shop", 2000, first);
    assert_ptr_equal(triggers_first(triggers), one);
    triggers_expire(triggers, 1500); /* the second, which is next */
    assert_ptr_equal(triggers_next(triggers), three);
    assert_null(triggers_next(triggers));
}

/* Who walks may give up anywhere, and says nothing. */
static void a_walk_begins_anew_wherever_the_last_one_was(void **state)
{
    (void)state;
    struct trigger *one = FIND(GOOD);
    struct trigger *other = FIND(GOOD, "queueLength", "1");
    assert_ptr_equal(triggers_first(triggers), one);
    assert_ptr_equal(triggers_next(triggers), other);
    assert_ptr_equal(triggers_first(triggers), one);
    assert_ptr_equal(triggers_next(triggers), other);
    assert_null(triggers_next(triggers));
    assert_null(triggers_next(triggers));
}

/* One is found, too, where calls came since its id was read. */
static void the_triggers_of_an_object_are_in_the_order_of_their_last_calls(void **state)
{
    (void)state;
    const struct trigger *first = FIND(GOOD);
    const struct trigger *second = FIND(GOOD, "queueLength", "9");
    uint64_t ids[3] = {0};
    find_in("shop2", 0, (const char *const[]){GOOD, NULL});
    assert_int_equal(triggers_of_object(triggers, "shop", "other", ids, 3), 0);
    assert_null(triggers_of_object_find(triggers, "shop", "other", first->id));

    assert_int_equal(triggers_of_object(triggers, "shop", "worker", ids, 3), 2);
    assert_int_equal(ids[0], second->id);
    assert_int_equal(ids[1], first->id);
    assert_int_equal(triggers_of_object(triggers, "shop", "worker", ids, 1), 1);
    assert_int_equal(ids[0], second->id);

    assert_ptr_equal(FIND(GOOD), first);
    for (size_t i = 0; i < 2; i++)
        assert_ptr_equal(
            triggers_of_object_find(triggers, "shop", "worker", i == 0 ? second->id : first->id),
            i == 0 ? second : first);
    assert_int_equal(triggers_of_object(triggers, "shop", "worker", ids, 3), 2);
    assert_int_equal(ids[0], first->id);
    assert_int_equal(ids[1], second->id);

    triggers_expire(triggers, 1000000);
    assert_null(triggers_of_object_find(triggers, "shop", "worker", ids[0]));
}

static void buckets_have_each_trigger_once(void **state)
{
    (void)state;
    static const char *const lengths[] = {"1", "2", "3"};
    size_t count = 0;
    assert_true(triggers_buckets(triggers) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
        FIND(GOOD, "queueLength", lengths[i]);
    for (uint64_t bucket = 0; bucket < triggers_buckets(triggers); bucket++)
        for (const struct trigger *each = NULL;
             (each = triggers_at(triggers, bucket, each)) != NULL;)
            count++;
    assert_int_equal(count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_order_of_the_metadata_does_not_matter),
        TEST(a_key_that_is_there_twice_is_refused),
        TEST(a_trigger_with_mistakes_is_never_measured),
        TEST(a_limit_on_inline_connections_is_an_error_and_an_expired_trigger_frees_one),
        TEST(nobody_could_call_in_a_pause),
        TEST(a_walk_sees_each_trigger_that_stays_once),
        TEST(a_walk_begins_anew_wherever_the_last_one_was),
        TEST(the_triggers_of_an_object_are_in_the_order_of_their_last_calls),
        TEST(buckets_have_each_trigger_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
