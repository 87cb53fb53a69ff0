#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "measure/scaler_internal.h"
#include "measure/task_internal.h"
#include "scalers/ended.h"
#include "scalers/management_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

enum { MAX_QUEUES = 64, WITHIN_MS = 20000 };

/* After that the broker has not just started. */
enum { UP_SECONDS = 7 };

/* Queues of a peer, and the client that measures them. */
struct fixture {
    struct management_peer peer;
    const char *timeout;
    const char *page_size;
    struct trigger triggers[MAX_QUEUES];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
};

static void start(struct fixture *fixture, const char *timeout,
                  const struct management_script *script)
{
    *fixture = (struct fixture){
        .timeout = timeout, .page_size = "100", .feed = test_feed_new(&scaler_rabbitmq)};
    scaler_set_reconnects(false);
    management_peer_start(&fixture->peer, script);
}

/* A queue of this mode (those with rates are not in the totals), or a pattern, which begins with a
 * "^". */
static void add_queue(struct fixture *fixture, const char *name, const char *mode)
{
    assert_true(fixture->count < MAX_QUEUES);
    struct trigger *trigger = &fixture->triggers[fixture->count++];
    const char *use_regex = text_starts_with(name, "^") ? "true" : "false";
    *trigger =
        trigger_of(&scaler_rabbitmq, PAIRS("host", fixture->peer.host, "queueName", name, "mode",
                                           mode, "value", "5", "timeout", fixture->timeout,
                                           "useRegex", use_regex, "pageSize", fixture->page_size));
    if (!trigger->good)
        fail_msg("%s", error_text(&trigger->error));
    test_feed_add(fixture->feed, trigger->options.query, (struct notifier){0});
}

static void add_queues_from(struct fixture *fixture, const char *prefix, size_t first, size_t count,
                            const char *mode)
{
    for (size_t i = first; i < first + count; i++) {
        _cleanup_(memory_free) char *name = text_format("%s%zu", prefix, i);
        add_queue(fixture, name, mode);
    }
}

static void add_queues(struct fixture *fixture, const char *prefix, size_t count, const char *mode)
{
    add_queues_from(fixture, prefix, 0, count, mode);
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
static void assert_answered_from(const struct fixture *fixture, size_t from, size_t first,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_waiting(fixture->feed, from + i, (double)(first + i));
}

static void assert_answered(const struct fixture *fixture, size_t from, size_t count)
{
    assert_answered_from(fixture, from, 0, count);
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
    assert_ended_with(fixture.feed, 40, TASK_FAILED, "NOT_FOUND");
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
        assert_ended_with(fixture.feed, 0, TASK_FAILED,
                          "queue 'q0': the broker did not list all queues in time");
        assert_answered_from(&fixture, 1, 1, 39);
        test_feed_again(fixture.feed);
    }
    assert_int_equal(fixture.peer.totals, 1); /* and not again for a minute */
    assert_int_equal(fixture.peer.statistics, 3);
    assert_in_range(fixture.peer.singles, 3, 3 * 20);
    assert_in_range(fixture.peer.max_in_flight, 1, 8);
    stop(&fixture);
}

/* They are disabled, or the queue is new. */
static void totals_that_hung_are_soon_tried_again_where_statistics_lack_counts(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "1s",
          &(struct management_script){
              .queues = 2, .totals_hang_until = 1, .without_statistics = true});
    add_queue(&fixture, "q1", "QueueLength");
    for (int round = 0; round < 2; round++) {
        measure_all(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED,
                          "the management API does not report its messages_ready");
        test_feed_again(fixture.feed);
    }
    assert_int_equal(fixture.peer.totals, 1);
    sleep(5);
    measure_all(&fixture);
    assert_answered_from(&fixture, 0, 1, 1);
    assert_int_equal(fixture.peer.totals, 2);
    stop(&fixture);
}

static void a_listing_of_many_queues_has_more_time(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "15s",
          &(struct management_script){.queues = 40, .queues_of_broker = 30000, .totals_ms = 2300});
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
    add_queues_from(&fixture, "q", 7, 1, "QueueLength");
    add_queues(&fixture, "q", 5, "MessageRate");
    measure_all(&fixture);
    assert_waiting(fixture.feed, 0, 7);
    assert_answered(&fixture, 1, 5);
    assert_int_equal(task(&fixture, 0)->order, 6);
    stop(&fixture);
}

static void requests_that_hang_give_up_their_places_to_others(void **state)
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
    const struct management_script slow = {
        .queues = 40, .totals_hang = true, .statistics_ms = 1700};
    start(&fixture, "3s", &slow);
    add_queues_from(&fixture, "q", 1, 39, "QueueLength");
    measure_all(&fixture);
    assert_answered_from(&fixture, 0, 1, 10); /* one by one, beside the listing */
    assert_int_equal(task(&fixture, 38)->outcome, TASK_TIMED_OUT); /* totals took most of it */
    test_feed_again(fixture.feed);
    measure_all(&fixture);
    assert_answered_from(&fixture, 0, 1, 39);
    stop(&fixture);
}

/* ---- cut short ---- */

/* RabbitMQ ends a list without the queues that do not come within a second. */
static void start_cut(struct fixture *fixture, size_t cut)
{
    start(fixture, "5s", &(struct management_script){.queues = 40, .totals_ms = 1000, .cut = cut});
}

static void queues_that_were_cut_off_are_not_missing(void **state)
{
    (void)state;
    struct fixture fixture;
    start_cut(&fixture, 30);
    add_queues(&fixture, "q", 40, "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        measure_all(&fixture);
        assert_answered(&fixture, 0, 40);
        assert_int_equal(fixture.peer.totals, round); /* they do not rest */
        test_feed_again(fixture.feed);
    }
    stop(&fixture);
}

static void no_0_of_statistics_is_believed_behind_a_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    start_cut(&fixture, 40);
    add_queues(&fixture, "q", 40, "QueueLength");
    add_queue(&fixture, "q0", "MessageRate");
    measure_all(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED,
                      "queue 'q0': the broker did not list all queues in time");
    assert_answered_from(&fixture, 1, 1, 39);
    assert_waiting(fixture.feed, 40, 0); /* of rates, which only statistics have: before the cut */
    stop(&fixture);
}

static void a_pattern_is_not_the_sum_of_what_was_not_cut_off(void **state)
{
    (void)state;
    struct fixture fixture;
    start_cut(&fixture, 30);
    add_queue(&fixture, "^q", "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        measure_all(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED,
                          "the broker did not list all"); /* q0 has 0 messages */
        assert_int_equal(fixture.peer.totals, round);
        assert_int_equal(fixture.peer.statistics, round);
        test_feed_again(fixture.feed);
    }
    sleep(UP_SECONDS);
    measure_all(&fixture);
    assert_waiting(fixture.feed, 0, 780 /* 0 to 39 */);
    stop(&fixture);
}

/* As a queue that hangs does it, and no broker that has just started. */
static void zeros_are_believed_where_totals_hang_that_came_before(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "1s", &(struct management_script){.queues = 40, .totals_hang_after = 1});
    add_queues(&fixture, "q", 40, "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        measure_all(&fixture);
        assert_answered(&fixture, 0, 40);
        test_feed_again(fixture.feed);
        if (round == 1)
            sleep(UP_SECONDS);
    }
    assert_int_equal(fixture.peer.totals, 2);
    assert_int_equal(fixture.peer.statistics, 1);
    stop(&fixture);
}

/* They have rates, which only statistics have: no listing of totals could tell. */
static void zeros_of_a_broker_that_was_gone_are_doubted_in_all_forms(void **state)
{
    (void)state;
    struct fixture fixture;
    struct trigger gone =
        trigger_of(&scaler_rabbitmq, PAIRS("host", "http://a:b@127.0.0.1:1/", "queueName", "q",
                                           "mode", "QueueLength", "value", "5"));
    start(&fixture, "5s", &(struct management_script){.queues = 5});
    add_queues(&fixture, "q", 5, "MessageRate");
    add_queue(&fixture, "q0", "QueueLength");
    test_feed_task(fixture.feed, 5)->task.wants = READING_RATES; /* as of a policy */
    add_queue(&fixture, "^q", "MessageRate");
    add_queue(&fixture, "q1", "QueueLength");
    test_feed_task(fixture.feed, 7)->task.wants = READING_RATES;
    assert_true(gone.good);
    assert_false(scaler_rabbitmq.connect(gone.options.connection, clock_now_ms() + 1000,
                                         &fixture.client, &fixture.error));
    error_done(&fixture.error);
    fixture.client = NULL;
    scaler_set_reconnects(true); /* as the engine does then */
    measure_all(&fixture);
    for (size_t i = 0; i < 7; i++)
        assert_ended_with(fixture.feed, i, TASK_FAILED, "may have just started");
    assert_waiting(fixture.feed, 7, 1);
    assert_true(isnan(task(&fixture, 7)->reading.arrival_rate));
    assert_true(isnan(task(&fixture, 7)->reading.consumption_rate));
    sleep(UP_SECONDS);
    test_feed_again(fixture.feed);
    measure_all(&fixture);
    assert_answered(&fixture, 0, 5);
    assert_waiting(fixture.feed, 5, 0);
    assert_true(task(&fixture, 7)->reading.arrival_rate == 0);
    trigger_done(&gone);
    stop(&fixture);
}

/* Ends with the client connected that was lost or replaced, and its zeros doubted, then not. */
static void assert_doubted_for_a_while(struct fixture *fixture)
{
    fixture->peer.fate = 0;
    for (int round = 0; round < 2; round++) {
        test_feed_again(fixture->feed);
        measure_all(fixture);
        assert_ended_with(fixture->feed, 0, TASK_FAILED, "may have just started");
    }
    sleep(UP_SECONDS);
    for (int round = 0; round < 2; round++) {
        test_feed_again(fixture->feed);
        measure_all(fixture);
        assert_waiting(fixture->feed, 0, 0);
    }
}

static void start_with_a_zero(struct fixture *fixture)
{
    start(fixture, "1s", &(struct management_script){.queues = 1});
    add_queue(fixture, "q0", "MessageRate");
    measure_all(fixture);
    assert_waiting(fixture->feed, 0, 0);
    test_feed_again(fixture->feed);
}

/* As the engine does where a client is lost, or replaced. */
static void disconnect(struct fixture *fixture)
{
    scaler_set_reconnects(true);
    scaler_rabbitmq.disconnect(TAKE(fixture->client));
}

/* A restart that shows by time-outs only, as where packets are dropped meanwhile. */
static void zeros_after_a_silence_are_doubted(void **state)
{
    (void)state;
    for (int replaced = 0; replaced < 2; replaced++) {
        struct fixture fixture;
        start_with_a_zero(&fixture);
        fixture.peer.fate = 'h';
        measure_all(&fixture);
        assert_int_equal(task(&fixture, 0)->outcome, TASK_TIMED_OUT);
        if (replaced == 1)
            disconnect(&fixture);
        assert_doubted_for_a_while(&fixture);
        stop(&fixture);
    }
}

static void zeros_are_doubted_where_a_client_lost_its_connection(void **state)
{
    (void)state;
    struct fixture fixture;
    start_with_a_zero(&fixture);
    fixture.peer.fate = 'c';
    assert_false(test_feed_run(fixture.feed, fixture.client, WITHIN_MS, &fixture.error));
    error_done(&fixture.error);
    disconnect(&fixture);
    test_feed_free(fixture.feed); /* its task was abandoned */
    fixture.feed = test_feed_new(&scaler_rabbitmq);
    test_feed_add(fixture.feed, fixture.triggers[0].options.query, (struct notifier){0});
    assert_doubted_for_a_while(&fixture);
    stop(&fixture);
}

/* All of more queues than are requested at a time are isolated before one times out. */
static void a_silence_of_many_is_one(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "1500ms", &(struct management_script){.queues = 16});
    add_queues(&fixture, "q", 16, "MessageRate");
    measure_all(&fixture);
    assert_answered(&fixture, 0, 16);
    test_feed_again(fixture.feed);
    fixture.peer.fate = 'h';
    measure_all(&fixture);
    assert_doubted_for_a_while(&fixture);
    stop(&fixture);
}

/* They time out after the others were answered, in each round. */
static void queues_that_hang_are_no_silence_of_the_broker(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "1500ms", &(struct management_script){.queues = 1});
    add_queues(&fixture, "hanging", 8, "MessageRate");
    add_queue(&fixture, "q0", "MessageRate");
    for (int round = 0; round < 2; round++) {
        measure_all(&fixture);
        assert_waiting(fixture.feed, 8, 0);
        assert_int_equal(task(&fixture, 7)->outcome, TASK_TIMED_OUT);
        test_feed_again(fixture.feed);
    }
    stop(&fixture);
}

static void a_pattern_that_was_cut_to_nothing_is_not_0(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "5s", &(struct management_script){.queues = 1, .totals_ms = 1000, .cut = 1});
    add_queue(&fixture, "^q", "QueueLength");
    measure_all(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED,
                      "the queues that match '^q': the broker did not list all");
    stop(&fixture);
}

static void a_pattern_that_matches_nothing_is_0_behind_a_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "5s", &(struct management_script){.totals_ms = 1000});
    add_queue(&fixture, "^q", "QueueLength");
    measure_all(&fixture);
    assert_waiting(fixture.feed, 0, 0);
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

/* Queues go after each of the first pages, and those behind them move up. */
static void pages_that_move_are_read_again(void **state)
{
    (void)state;
    static const struct {
        size_t queues; /* q0 and so on, with as many messages */
        size_t go;
        size_t go_at_once;
        double messages; /* < 0: unknown */
    } table[] = {{7, 0, 0, 21},   {7, 1, 1, 21}, {7, 2, 1, 20}, {7, 3, 1, 18},
                 {20, 20, 1, -1}, {7, 6, 6, 6} /* the second page is not there any more */};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct fixture fixture;
        start(&fixture, "2000",
              &(struct management_script){.queues = table[i].queues,
                                          .queues_of_broker = table[i].queues,
                                          .go = table[i].go,
                                          .go_at_once = table[i].go_at_once});
        fixture.page_size = "2";
        add_queue(&fixture, "^q", "QueueLength");
        measure_all(&fixture);
        if (table[i].messages >= 0)
            assert_waiting(fixture.feed, 0, table[i].messages);
        else
            assert_ended_with(fixture.feed, 0, TASK_FAILED, "changed 4 times");
        stop(&fixture);
    }
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
        cmocka_unit_test(totals_that_hung_are_soon_tried_again_where_statistics_lack_counts),
        cmocka_unit_test(a_listing_of_many_queues_has_more_time),
        cmocka_unit_test(a_listing_that_hangs_delays_no_other_queue),
        cmocka_unit_test(requests_that_hang_give_up_their_places_to_others),
        cmocka_unit_test(a_listing_of_statistics_has_the_whole_time),
        cmocka_unit_test(queues_that_were_cut_off_are_not_missing),
        cmocka_unit_test(no_0_of_statistics_is_believed_behind_a_cut),
        cmocka_unit_test(a_pattern_is_not_the_sum_of_what_was_not_cut_off),
        cmocka_unit_test(zeros_are_believed_where_totals_hang_that_came_before),
        cmocka_unit_test(zeros_of_a_broker_that_was_gone_are_doubted_in_all_forms),
        cmocka_unit_test(zeros_after_a_silence_are_doubted),
        cmocka_unit_test(zeros_are_doubted_where_a_client_lost_its_connection),
        cmocka_unit_test(a_silence_of_many_is_one),
        cmocka_unit_test(queues_that_hang_are_no_silence_of_the_broker),
        cmocka_unit_test(a_pattern_that_was_cut_to_nothing_is_not_0),
        cmocka_unit_test(a_pattern_that_matches_nothing_is_0_behind_a_cut),
        cmocka_unit_test(pages_that_move_are_read_again),
        cmocka_unit_test(a_cancelled_request_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
