/* The history of a query, and who follows it. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/connection/query_internal.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct steps {
    struct follower follower; /* first */
    int count;
    double last;
};

static void count_step(struct follower *follower, const struct recent_samples *recent)
{
    struct steps *steps = (struct steps *)follower;
    steps->count++;
    steps->last = recent->samples[recent->count - 1].reading.value;
}

/* Those that come close upon one another become one sample, and are followed all the same. */
static void a_follower_gets_each_reading_once(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct steps late = steps;
    struct query *query = hold_each("a", 5000);
    query_keep_history(query, 5000);
    follower_start(query, &steps.follower);
    assert_int_equal(steps.count, 0);
    connect_now();
    for (int i = 1; i <= 4; i++) {
        now_ms += 100;
        demand(query);
        answer(take(), i);
        assert_int_equal(steps.count, i);
        assert_true(steps.last == i);
    }
    follower_start(query, &late.follower);
    assert_true(late.count == 1 && late.last == 4);
    follower_stop(&steps.follower);
    follower_start(query, &steps.follower);
    assert_int_equal(steps.count, 4); /* it had that one */
    demand(query);
    end_with(take(), TASK_FAILED, "no");
    assert_int_equal(steps.count, 4);
    follower_stop(&steps.follower);
    follower_stop(&late.follower);
}

/* As pushes may come from a source that answers within microseconds. */
static void readings_of_one_millisecond_are_followed_each(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = hold_each("a", 5000);
    query_keep_history(query, 5000);
    follower_start(query, &steps.follower);
    connect_now();
    for (int i = 1; i <= 4; i++) {
        measure(query, i);
        assert_true(steps.count == i && steps.last == i);
    }
    follower_stop(&steps.follower);
}

/* The second one of a millisecond is a sample of the next millisecond. The trigger leaves, and
 * comes back after a reading of that one. */
static void a_newer_reading_is_followed_after_samples_were_begun_again(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = hold_each("a", 5000);
    query_keep_history(query, 5000);
    follower_start(query, &steps.follower);
    connect_now();
    measure(query, 1);
    measure(query, 2);
    assert_int_equal(steps.count, 2);
    follower_stop(&steps.follower);
    query_end_history(query, 5000);
    now_ms++;
    measure(query, 3);
    query_keep_history(query, 5000);
    follower_start(query, &steps.follower);
    assert_true(steps.count == 3 && steps.last == 3);
    follower_stop(&steps.follower);
    follower_start(query, &steps.follower);
    assert_int_equal(steps.count, 3); /* it had that one */
    follower_stop(&steps.follower);
}

static bool is_last_after_gap(const struct query *query)
{
    struct recent_samples recent;
    history_recent(query->history, &recent);
    return recent.samples[recent.count - 1].is_after_gap;
}

/* The shortest interval goes with its trigger: what is measured less often then misses nothing. */
/* The last sample of the former query was put off by a millisecond, as two had come in one. */
static void a_reading_of_the_millisecond_after_two_in_one_is_followed_at_its_heir(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = hold_each("a", 5000);
    struct query *heir = acquire("b");
    query_keep_history(query, 5000);
    measure(query, 1);
    measure(query, 2);
    now_ms++;
    measure(heir, 3);
    _cleanup_(former_query_done) struct former_query former = {0};
    query_remember(query, &former);
    query_keep_history(heir, 5000);
    query_take(heir, &former);
    follower_start(heir, &steps.follower);
    assert_true(steps.count == 1 && steps.last == 3);
    follower_stop(&steps.follower);
}

static void samples_are_no_gaps_after_the_shortest_interval_has_gone(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = hold_each("a", 30000);
    query_begin_use(query, 5000, now_ms);
    query_keep_history(query, 30000);
    query_keep_history(query, 5000);
    follower_start(query, &steps.follower);
    connect_now();
    measure(query, 1);
    query_end_history(query, 5000);
    query_end_use(query, 5000, now_ms);
    now_ms += 30000;
    measure(query, 2);
    assert_int_equal(query->history->interval_ms, 30000);
    assert_false(is_last_after_gap(query));
    follower_stop(&steps.follower);
}

/* The policy of a source that cannot keep up would begin again at each reading. */
static void a_wait_for_other_queries_is_no_gap_and_one_for_a_client_is(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = hold_each("a", 2000);
    struct query *other = acquire("b");
    schedule_set_max_tasks(&connection.schedule, 1, 1, now_ms);
    query_keep_history(query, 2000);
    follower_start(query, &steps.follower);
    measure(query, 1);
    for (int late = 0; late < 2; late++) {
        demand(other);
        assert_ptr_equal(take(), other);
        now_ms += 13000;
        assert_null(take());
        answer(other, 0);
        assert_ptr_equal(take(), query);
        if (late == 1) { /* it begins after others of an agent */
            now_ms += 9000;
            connection_query_started(query, now_ms * 1000);
        }
        answer(query, 2);
        assert_false(is_last_after_gap(query));
    }
    query_end_use(other, 0, now_ms);
    connection_lost(&connection, NULL, now_ms);
    now_ms += 13000;
    connect_now();
    assert_ptr_equal(take(), query);
    answer(query, 3);
    assert_int_equal(steps.count, 4);
    assert_true(is_last_after_gap(query));
    follower_stop(&steps.follower);
}

/* Its readings would look like those of a source that has stalled. */
static void a_use_without_samples_does_not_bring_them_closer_together(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 60000);
    query_keep_history(query, 60000);
    query_begin_use(query, 5000, now_ms);
    query_begin_use(query, 5000, now_ms);
    query_end_use(query, 5000, now_ms);
    assert_int_equal(query_interval_ms(query), 5000);
    assert_int_equal(query->history->interval_ms, 60000);
}

static void samples_and_what_is_wanted_end_with_their_uses(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    query_keep_history(query, 5000);
    query_keep_history(query, 5000);
    query_want(query, READING_WANT_RATES | READING_WANT_CONSUMERS);
    query_want(query, READING_WANT_RATES);
    query_end_history(query, 5000);
    query_end_want(query, READING_WANT_RATES | READING_WANT_CONSUMERS);
    assert_non_null(query->history);
    assert_int_equal(query->wants, READING_WANT_RATES);
    query_end_history(query, 5000);
    query_end_want(query, READING_WANT_RATES);
    assert_null(query->history);
    assert_int_equal(query->wants, 0);
}

static void copy_nothing(const struct follower *follower, void *copy)
{
    (void)follower;
    (void)copy;
}

/* A query that was measured without this want, and a follower that needs it. */
static struct query *measured_without_a_want(void)
{
    struct query *query = hold_each("a", 30000);
    measure(query, 1);
    now_ms += 5000;
    return query;
}

static void begin_to_want(struct query *query, struct follower *follower)
{
    follower->wants = READING_WANT_CONSUMERS;
    query_want(query, follower->wants);
    query_keep_history(query, 30000);
    query_begin_use(query, 30000, now_ms);
    follower_start(query, follower);
}

static struct query_known known_to(const struct follower *follower)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot_with(follower->query, follower, &snapshot, NULL);
    return snapshot.known;
}

/* As when the user adds a policy to a trigger: its first decision may be kept for hours. */
static void a_reading_without_what_a_follower_wants_is_none_for_it(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step, .copy = copy_nothing}};
    struct query *query = measured_without_a_want();
    begin_to_want(query, &steps.follower);
    assert_int_equal(steps.count, 0);
    assert_false(known_to(&steps.follower).is_measured);
    assert_true(value_of(query) == 1); /* others have it */
    assert_ptr_equal(take(), query);   /* before the interval is over */
    answer(query, 2);                  /* the source has no such count */
    assert_true(steps.count == 1 && steps.last == 2);
    assert_true(known_to(&steps.follower).is_measured);
    assert_false(known_to(&steps.follower).is_outdated);
    assert_null(take());
    follower_stop(&steps.follower);
}

static void what_is_in_flight_without_it_is_none_either(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step, .copy = copy_nothing}};
    struct query *query = measured_without_a_want();
    demand(query);
    assert_ptr_equal(take(), query);
    begin_to_want(query, &steps.follower);
    answer(query, 2);
    assert_int_equal(steps.count, 0);
    assert_false(known_to(&steps.follower).is_measured);
    assert_ptr_equal(take(), query);
    answer(query, 3);
    assert_true(steps.count == 1 && steps.last == 3);
    follower_stop(&steps.follower);
}

/* As after a rotation, where a trigger without a policy has had the new connection's query. What it
 * was answered before is held if that fails now. */
static void a_follower_that_had_a_reading_awaits_one_with_all_it_wants(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step, .copy = copy_nothing}};
    struct query *query = measured_without_a_want();
    steps.follower.last_reading_ms = now_ms - 10000;
    begin_to_want(query, &steps.follower);
    assert_int_equal(steps.count, 0);
    assert_true(known_to(&steps.follower).is_measured);
    assert_true(known_to(&steps.follower).is_outdated);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "no");
    assert_int_equal(steps.count, 0);
    assert_true(known_to(&steps.follower).is_outdated);
    measure(query, 2);
    assert_int_equal(steps.count, 1);
    assert_false(known_to(&steps.follower).is_outdated);
    follower_stop(&steps.follower);
}

static void a_reading_of_before_the_samples_is_followed(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    answer(take(), 7);
    query_keep_history(query, 5000);
    follower_start(query, &steps.follower);
    assert_true(steps.count == 1 && steps.last == 7);
    follower_stop(&steps.follower);
}

/* A server's loop waits for the lock otherwise: thousands of policies are tens of milliseconds of
 * work. */
enum { MANY_FOLLOWERS = 500, AT_MOST_AT_A_TIME = 50 };

static struct steps many[MANY_FOLLOWERS];
static struct query *followed;

static void unfollow_the_next(void)
{
    assert_false(value_of(followed) == 2); /* it is known when all have decided */
    if (followed->next_followed != NULL)
        follower_stop(followed->next_followed);
}

static void many_followers_do_not_keep_the_lock(void **state)
{
    (void)state;
    followed = hold_each("a", 5000);
    query_keep_history(followed, 5000);
    measure(followed, 1);
    for (int i = 0; i < MANY_FOLLOWERS; i++) {
        many[i] = (struct steps){.follower = {.on_reading = count_step}};
        follower_start(followed, &many[i].follower);
    }
    now_ms += 5000;
    assert_ptr_equal(take(), followed);
    on_pause = unfollow_the_next;
    answer(followed, 2);
    assert_true(value_of(followed) == 2);
    assert_true(pauses >= MANY_FOLLOWERS / AT_MOST_AT_A_TIME - 1);
    for (int i = 0; i < MANY_FOLLOWERS; i++) {
        assert_int_equal(many[i].count, many[i].follower.query == NULL ? 1 : 2);
        follower_stop(&many[i].follower);
    }
}

static struct steps late;

static void another_follows_instead(void)
{
    follower_stop(&many[0].follower);
    query_end_history(followed, 5000);
    query_keep_history(followed, 5000);
    follower_start(followed, &late.follower);
    on_pause = NULL;
}

/* The samples of before are gone with the last use that kept some. */
static void who_follows_while_a_reading_is_handed_out_has_it_too(void **state)
{
    (void)state;
    pause_after_each();
    followed = hold_each("a", 5000);
    query_keep_history(followed, 5000);
    measure(followed, 1);
    many[0] = late = (struct steps){.follower = {.on_reading = count_step}};
    follower_start(followed, &many[0].follower);
    now_ms += 5000;
    assert_ptr_equal(take(), followed);
    on_pause = another_follows_instead;
    answer(followed, 2);
    assert_true(value_of(followed) == 2);
    assert_true(late.count == 2 && late.last == 2);
    follower_stop(&late.follower);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_follower_gets_each_reading_once),
        TEST(readings_of_one_millisecond_are_followed_each),
        TEST(a_newer_reading_is_followed_after_samples_were_begun_again),
        TEST(a_reading_of_the_millisecond_after_two_in_one_is_followed_at_its_heir),
        TEST(samples_are_no_gaps_after_the_shortest_interval_has_gone),
        TEST(a_wait_for_other_queries_is_no_gap_and_one_for_a_client_is),
        TEST(a_use_without_samples_does_not_bring_them_closer_together),
        TEST(samples_and_what_is_wanted_end_with_their_uses),
        TEST(a_reading_without_what_a_follower_wants_is_none_for_it),
        TEST(what_is_in_flight_without_it_is_none_either),
        TEST(a_follower_that_had_a_reading_awaits_one_with_all_it_wants),
        TEST(a_reading_of_before_the_samples_is_followed),
        TEST(many_followers_do_not_keep_the_lock),
        TEST(who_follows_while_a_reading_is_handed_out_has_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
