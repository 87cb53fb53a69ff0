#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/management_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

enum { MAX_QUEUES = 64, WITHIN_MS = 20000 };

/* Queues of a peer, and the client that measures them. */
struct fixture {
    struct management_peer peer;
    const char *timeout;
    struct trigger triggers[MAX_QUEUES];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
};

static void start(struct fixture *fixture, const char *timeout,
                  const struct management_script *script)
{
    *fixture = (struct fixture){.timeout = timeout, .feed = test_feed_new(&scaler_rabbitmq)};
    management_peer_start(&fixture->peer, script);
}

/* A queue of this mode: those with rates are not in the totals. */
static void add_queue(struct fixture *fixture, const char *name, const char *mode)
{
    assert_true(fixture->count < MAX_QUEUES);
    struct trigger *trigger = &fixture->triggers[fixture->count++];
    *trigger =
        trigger_of(&scaler_rabbitmq, PAIRS("host", fixture->peer.host, "queueName", name, "mode",
                                           mode, "value", "5", "timeout", fixture->timeout));
    if (!trigger->good)
        fail_msg("%s", error_text(&trigger->error));
    test_feed_add(fixture->feed, trigger->options.query, (struct notifier){0});
}

static void add_queues(struct fixture *fixture, const char *prefix, size_t count, const char *mode)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *name = text_format("%s%zu", prefix, i);
        add_queue(fixture, name, mode);
    }
}

static void measure_all(struct fixture *fixture)
{
    bool usable =
        fixture->client != NULL ||
        scaler_rabbitmq.connect(fixture->triggers[0].options.connection, clock_now_ms() + WITHIN_MS,
                                &fixture->client, &fixture->error);
    usable = usable && test_feed_run(fixture->feed, fixture->client, WITHIN_MS, &fixture->error);
    if (!usable)
        fail_msg("%s", error_text(&fixture->error));
}

static void stop(struct fixture *fixture)
{
    if (fixture->client != NULL)
        scaler_rabbitmq.disconnect(fixture->client);
    management_peer_stop(&fixture->peer);
    for (size_t i = 0; i < fixture->count; i++)
        trigger_done(&fixture->triggers[i]);
    test_feed_free(fixture->feed);
    error_done(&fixture->error);
}

static const struct test_task *task(const struct fixture *fixture, size_t index)
{
    return test_feed_task(fixture->feed, index);
}

/* So many from this one on: queues by their numbers. */
static void assert_answered(const struct fixture *fixture, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(task(fixture, from + i)->ended);
        if (task(fixture, from + i)->outcome != TASK_ANSWERED)
            fail_msg("%zu: %s", from + i, error_text(&task(fixture, from + i)->error));
        assert_true(task(fixture, from + i)->reading.waiting == (double)i);
    }
}

static void one_listing_answers_all(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "5s", &(struct management_script){.queues = 40});
    add_queues(&fixture, "q", 40, "QueueLength");
    add_queue(&fixture, "missing", "QueueLength");
    measure_all(&fixture);
    assert_answered(&fixture, 0, 40);
    assert_int_equal(task(&fixture, 40)->outcome, TASK_FAILED);
    assert_non_null(strstr(error_text(&task(&fixture, 40)->error), "NOT_FOUND"));
    assert_int_equal(fixture.peer.totals, 1);
    assert_int_equal(fixture.peer.statistics + fixture.peer.singles, 0);
    stop(&fixture);
}

/* In another order than the queues are listed, a queue's lookup is looked for among those that have
 * ended. */
static void a_listing_may_have_any_order(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "5s", &(struct management_script){.queues = 40});
    for (size_t round = 0; round < 2; round++)
        add_queues(&fixture, "q", 30, "QueueLength");
    measure_all(&fixture);
    for (size_t round = 0; round < 2; round++)
        assert_answered(&fixture, round * 30, 30);
    assert_int_equal(fixture.peer.totals, 1);
    stop(&fixture);
}

static void where_totals_hang_statistics_answer(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "1s", &(struct management_script){.queues = 40, .totals_hang = true});
    add_queues(&fixture, "q", 40, "QueueLength");
    for (int round = 0; round < 3; round++) {
        measure_all(&fixture);
        assert_answered(&fixture, 0, 40);
        test_feed_again(fixture.feed);
    }
    assert_int_equal(fixture.peer.totals, 1); /* and not again for a minute */
    assert_int_equal(fixture.peer.statistics, 3);
    assert_in_range(fixture.peer.singles, 3, 3 * 20);
    assert_in_range(fixture.peer.max_in_flight, 1, 8);
    stop(&fixture);
}

static void a_listing_of_many_queues_has_more_time(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "15s",
          &(struct management_script){.queues = 40, .queues_of_broker = 30000, .totals_ms = 1300});
    add_queues(&fixture, "q", 40, "QueueLength");
    measure_all(&fixture);
    assert_answered(&fixture, 0, 40);
    assert_int_equal(fixture.peer.totals, 1);
    assert_int_equal(fixture.peer.statistics + fixture.peer.singles, 0);
    stop(&fixture);
}

static void a_listing_that_hangs_delays_no_other_queue(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "5s", &(struct management_script){.queues = 40, .totals_hang = true});
    add_queues(&fixture, "q", 1, "QueueLength");
    add_queues(&fixture, "q", 5, "MessageRate");
    measure_all(&fixture);
    assert_answered(&fixture, 0, 1);
    assert_answered(&fixture, 1, 5);
    assert_int_equal(task(&fixture, 0)->order, 6);
    stop(&fixture);
}

static void requests_that_hang_make_room_for_others(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "3s", &(struct management_script){.queues = 40});
    add_queues(&fixture, "hanging", 10, "MessageRate");
    add_queues(&fixture, "q", 5, "MessageRate");
    measure_all(&fixture);
    assert_answered(&fixture, 10, 5);
    for (size_t i = 10; i < 15; i++)
        assert_int_equal(task(&fixture, i)->started, 1);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(task(&fixture, i)->outcome, TASK_TIMED_OUT);
        assert_non_null(strstr(error_text(&task(&fixture, i)->error), "within 3000 ms"));
        assert_true(task(&fixture, i)->order > 5);
    }
    assert_int_equal(fixture.peer.max_in_flight, 8);
    stop(&fixture);
}

static void a_listing_of_statistics_has_the_whole_time(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct management_script slow = {.queues = 40, .totals_hang = true, .statistics_ms = 700};
    start(&fixture, "1s", &slow);
    add_queues(&fixture, "q", 40, "QueueLength");
    measure_all(&fixture);
    assert_answered(&fixture, 0, 10); /* one by one, beside the listing */
    assert_int_equal(task(&fixture, 39)->outcome, TASK_TIMED_OUT); /* totals took 600 ms of it */
    test_feed_again(fixture.feed);
    measure_all(&fixture);
    assert_answered(&fixture, 0, 40);
    stop(&fixture);
}

/* ---- cancelled ---- */

static struct fixture *current;
static struct feed_hooks hooks;

static struct task *cancel_first(struct feed *feed)
{
    (void)feed;
    struct test_task *first = test_feed_task(current->feed, 0);
    bool is_sent = current->peer.singles > 0;
    return first->in_flight && is_sent && first->returned == 0 ? &first->task : NULL;
}

static void a_cancelled_request_is_returned(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "1s", &(struct management_script){.queues = 40});
    add_queues(&fixture, "hanging", 1, "MessageRate");
    add_queues(&fixture, "q", 5, "MessageRate");
    current = &fixture;
    struct feed *feed = test_feed_task(fixture.feed, 0)->task.feed;
    hooks = *feed->hooks;
    hooks.next_cancelled = cancel_first;
    feed->hooks = &hooks;
    measure_all(&fixture);
    assert_int_equal(task(&fixture, 0)->returned, 1);
    assert_int_equal(task(&fixture, 0)->given, 2);
    assert_int_equal(task(&fixture, 0)->outcome, TASK_TIMED_OUT);
    assert_answered(&fixture, 1, 5);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_listing_answers_all),
        cmocka_unit_test(a_listing_may_have_any_order),
        cmocka_unit_test(where_totals_hang_statistics_answer),
        cmocka_unit_test(a_listing_of_many_queues_has_more_time),
        cmocka_unit_test(a_listing_that_hangs_delays_no_other_queue),
        cmocka_unit_test(requests_that_hang_make_room_for_others),
        cmocka_unit_test(a_listing_of_statistics_has_the_whole_time),
        cmocka_unit_test(a_cancelled_request_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
