/* One trigger through an outage: what calls are answered meanwhile. The clock stands still until
 * the test moves it: a call that waits is woken, as in the server. */
#include "base/memory.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { HOLD_MS = 60 * 1000, BEGAN_MS = 1000 * 1000 };

static _Atomic int64_t test_now_ms;

static int64_t now_us(void)
{
    return test_now_ms * 1000;
}

/* ---- news of measurements ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static bool is_woken;

static void wake(void *context)
{
    (void)context;
    pthread_mutex_lock(&lock);
    is_woken = true;
    pthread_cond_signal(&woken);
    pthread_mutex_unlock(&lock);
}

static void wait_for_news(void)
{
    while (engine_next_ready(engine) == NULL) {
        pthread_mutex_lock(&lock);
        while (!is_woken)
            pthread_cond_wait(&woken, &lock);
        is_woken = false;
        pthread_mutex_unlock(&lock);
    }
}

/* ---- one trigger ---- */

static struct trigger *trigger;
static struct watcher watcher;
static struct answer given; /* to the last call */

static int begin(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    struct engine_settings settings = engine_of_triggers();
    settings.now_us = now_us;
    settings.wake = wake;
    test_now_ms = BEGAN_MS;
    start_triggers_on(&settings, false);
    trigger = find_in("shop", test_now_ms, (const char *const[]){ORDERS, NULL});
    assert_true(triggers_acquire_query(triggers, trigger, test_now_ms, &query, &error));
    watcher = (struct watcher){0};
    trigger_watch(trigger, &watcher, false);
    return 0;
}

static int end(void **state)
{
    answer_done(&given);
    trigger_unwatch(trigger, &watcher);
    return tear_down(state);
}

/* GetMetrics, as external_scaler.c answers it: what it waits for is measured. */
static const struct answer *call(void)
{
    const struct answer_call call = {.arrived_ms = test_now_ms};
    answer_done(&given);
    for (trigger_decide(trigger, &call, test_now_ms, &given); given.kind == ANSWER_WAIT;
         trigger_decide(trigger, &call, test_now_ms, &given)) {
        query_demand(trigger->bound.query, given.needed_from_ms);
        wait_for_news();
    }
    trigger_answers_record(trigger, "GetMetrics", &given, test_now_ms);
    trigger_answers_begin_round(trigger, &given, test_now_ms);
    return &given;
}

/* The source is up again. An attempt to connect that began before may still fail, and is followed
 * by a longer wait; the connection's thread looks at the clock a little later than the test moves
 * it. */
static const struct answer *call_until_measured(void)
{
    enum { LATER_THAN_NEXT_ATTEMPT_MS = 10 * 1000, MOMENT_US = 20 * 1000 };
    const struct answer *answer = call();
    while (answer->kind != ANSWER_VALUE || answer->held) {
        test_now_ms += LATER_THAN_NEXT_ATTEMPT_MS;
        usleep(MOMENT_US);
        answer = call();
    }
    return answer;
}

static void assert_measured(const struct answer *answer, double value)
{
    assert_int_equal(answer->kind, ANSWER_VALUE);
    assert_false(answer->held);
    assert_true(answer->value == value);
}

static void assert_held(const struct answer *answer, double value, int64_t since_ms)
{
    assert_int_equal(answer->kind, ANSWER_VALUE);
    assert_true(answer->held);
    assert_true(answer->value == value);
    assert_int_equal(answer->held_since_ms, since_ms);
}

static void assert_counts(uint64_t held, uint64_t expired)
{
    struct connection_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.counts[COUNT_HELD_TRIGGERS], held);
    assert_int_equal(stats.counts[COUNT_EXPIRED_TRIGGERS], expired);
}

static void rotate(const char *password)
{
    char yaml[128];
    snprintf(yaml, sizeof(yaml),
             "connections:\n  orders: {scaler: fake, source: \"amqp://orders\", password: %s}\n",
             password);
    set_connections(yaml);
}

/* The hold is counted from the first failure on, whatever connections fail after it. */
static void an_outage_is_held_once_and_ends_with_a_reading(void **state)
{
    (void)state;
    fake_set_queue("7", 7);
    assert_measured(call(), 7);
    assert_counts(0, 0);

    fake_set_up(false);
    test_now_ms += 6000;
    int64_t since_ms = test_now_ms;
    assert_held(call(), 7, since_ms);
    assert_counts(1, 0);

    test_now_ms += HOLD_MS / 2;
    struct query *former = trigger->bound.query;
    rotate("new");
    assert_ptr_not_equal(trigger->bound.query, former);
    assert_counts(1, 0);
    int connects = fake_counts().connects;
    assert_held(call(), 7, since_ms);
    assert_true(fake_counts().connects > connects); /* it waited for the new connection */
    assert_counts(1, 0);

    test_now_ms = since_ms + HOLD_MS;
    assert_held(call(), 7, since_ms);
    test_now_ms++;
    assert_int_equal(call()->kind, ANSWER_REFUSED);
    assert_counts(0, 1);
    rotate("newer");
    assert_int_equal(call()->kind, ANSWER_REFUSED);
    assert_counts(0, 1);

    fake_set_up(true);
    fake_set_queue("7", 3);
    assert_measured(call_until_measured(), 3);
    assert_counts(0, 0);
}

/* A second outage has a hold of its own. */
static void a_reading_between_two_outages_begins_the_hold_anew(void **state)
{
    (void)state;
    fake_set_queue("7", 7);
    assert_measured(call(), 7);
    for (int i = 0; i < 2; i++) {
        fake_set_up(false);
        test_now_ms += 6000;
        int64_t since_ms = test_now_ms;
        assert_held(call(), 7, since_ms);
        test_now_ms += HOLD_MS - 1000;
        assert_held(call(), 7, since_ms);
        fake_set_up(true);
        assert_measured(call_until_measured(), 7);
    }
}

/* The connection is away for a moment: its Secret was created again, or the file was. */
static void a_hold_goes_on_where_the_connection_was_away(void **state)
{
    (void)state;
    fake_set_queue("7", 7);
    assert_measured(call(), 7);
    fake_set_up(false);
    test_now_ms += 6000;
    int64_t since_ms = test_now_ms;
    assert_held(call(), 7, since_ms);

    for (int i = 0; i < 2; i++) { /* the second time the query was never measured */
        set_connections("connections: {}\n");
        assert_null(trigger->bound.query);
        assert_int_equal(call()->kind, ANSWER_REFUSED);
        assert_counts(0, 0);
        test_now_ms += 6000;
        rotate("new");
        assert_non_null(trigger->bound.query);
        assert_held(call(), 7, since_ms);
        assert_counts(1, 0);
    }
    test_now_ms = since_ms + HOLD_MS;
    assert_held(call(), 7, since_ms);
    test_now_ms++;
    assert_int_equal(call()->kind, ANSWER_REFUSED);
    assert_counts(0, 1);
    set_connections("connections: {}\n");
    rotate("newer"); /* it is over */
    assert_int_equal(call()->kind, ANSWER_REFUSED);

    fake_set_up(true);
    fake_set_queue("7", 3);
    assert_measured(call_until_measured(), 3);
    assert_counts(0, 0);
}

/* It was not failing when its connection went: the first answer that is held begins the hold. */
static void an_outage_that_began_while_the_connection_was_away_is_held(void **state)
{
    (void)state;
    fake_set_queue("7", 7);
    assert_measured(call(), 7);
    test_now_ms += 6000;
    set_connections("connections: {}\n");
    fake_set_up(false);
    test_now_ms += 6000;
    rotate("new");
    assert_held(call(), 7, test_now_ms);
    set_connections("connections: {}\n");
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    assert_int_equal(call()->kind, ANSWER_REFUSED); /* it is no value of this one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_outage_is_held_once_and_ends_with_a_reading, begin, end),
        cmocka_unit_test_setup_teardown(a_reading_between_two_outages_begins_the_hold_anew, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_hold_goes_on_where_the_connection_was_away, begin, end),
        cmocka_unit_test_setup_teardown(an_outage_that_began_while_the_connection_was_away_is_held,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
