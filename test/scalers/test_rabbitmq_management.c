/* Listings and single requests of the management API. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler_internal.h"
#include "measure/task_internal.h"
#include "scalers/ended.h"
#include "scalers/management_fixture.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void one_listing_answers_all(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s", &(struct management_script){.queues = 40});
    management_add_queues(&fixture, "q", 40, "QueueLength");
    management_add_queue(&fixture, "missing", "QueueLength");
    management_measure(&fixture);
    management_assert_answered(&fixture, 0, 40);
    assert_ended_with(fixture.feed, 40, TASK_FAILED, "NOT_FOUND");
    assert_int_equal(fixture.peer.totals, 1);
    assert_int_equal(fixture.peer.statistics + fixture.peer.singles, 0);
    management_stop(&fixture);
}

/* In another order than the queues are listed, a queue's lookup is looked for among those that have
 * ended. */
static void a_listing_may_have_any_order(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s", &(struct management_script){.queues = 40});
    for (size_t round = 0; round < 2; round++)
        management_add_queues(&fixture, "q", 30, "QueueLength");
    management_measure(&fixture);
    for (size_t round = 0; round < 2; round++)
        management_assert_answered(&fixture, round * 30, 30);
    assert_int_equal(fixture.peer.totals, 1);
    management_stop(&fixture);
}

/* RabbitMQ takes such names from any client. */
static void a_name_with_a_nul_disturbs_no_other_queue(void **state)
{
    (void)state;
#define QUEUE(name, messages)                                                                      \
    "{\"name\":\"" name "\",\"messages_ready\":" messages ",\"messages_unacknowledged\":0}"
    static const char queues[] = QUEUE("q3\\u0000b", "7") "," QUEUE("q3", "3") "," QUEUE("", "1");
#undef QUEUE
    struct management_fixture fixture;
    management_start(&fixture, "5s", &(struct management_script){.queues = 0});
    fixture.peer.in_totals = fixture.peer.in_statistics = queues;
    management_add_queues_from(&fixture, "q", 3, 22, "QueueLength");
    management_add_queue(&fixture, "^q", "QueueLength");
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 3);
    assert_ended_with(fixture.feed, 1, TASK_FAILED, "NOT_FOUND");
    assert_waiting(fixture.feed, 22, 10);
    management_stop(&fixture);
}

/* No broker is known to send any. */
static void a_queue_that_cannot_be_read_fails_no_other(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s", &(struct management_script){.queues = 0});
    fixture.peer.in_totals = "{\"name\":\"\xff\"},{\"name\":\"q3\",\"messages_ready\":3,"
                             "\"messages_unacknowledged\":0}";
    fixture.peer.in_statistics =
        "{\"name\":\"q4\",\"messages_ready\":4,\"messages_unacknowledged\":0}";
    management_add_queues_from(&fixture, "q", 3, 2, "QueueLength");
    management_add_queue(&fixture, "^q", "QueueLength");
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 3);
    assert_waiting(fixture.feed, 1, 4); /* it may be the one: it is requested alone */
    assert_waiting(fixture.feed, 2, 4); /* it may match: a page has what does */
    management_stop(&fixture);
}

/* More than 8 MB. */
static void where_a_listing_is_too_large_each_queue_has_a_get(void **state)
{
    (void)state;
    enum { QUEUES = 110 * 1000 };
    struct management_fixture fixture;
    management_start(&fixture, "60s",
                     &(struct management_script){.queues = QUEUES, .queues_of_broker = QUEUES});
    management_add_queues_from(&fixture, "q", 1, 40, "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        management_measure(&fixture);
        management_assert_answered_from(&fixture, 0, 1, 40);
        assert_int_equal(fixture.peer.singles, 40 * round);
        test_feed_again(fixture.feed);
    }
    assert_int_equal(fixture.peer.totals, 1); /* and not again for minutes */
    assert_int_equal(fixture.peer.statistics, 0);
    management_stop(&fixture);
}

/* The plugin or a proxy, as where a list has a queue without a leader. */
static void where_listings_are_refused_each_queue_has_a_get(void **state)
{
    (void)state;
    static const int statuses[] = {500, 502};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        struct management_fixture fixture;
        _cleanup_(memory_free) char *words = text_format("answered %d", statuses[i]);
        management_start(&fixture, "5s",
                         &(struct management_script){.queues = 40, .refuse_lists = statuses[i]});
        management_add_queues_from(&fixture, "q", 1, 40, "QueueLength");
        management_add_queue(&fixture, "^q", "QueueLength");
        for (int round = 1; round <= 3; round++) {
            management_measure(&fixture);
            management_assert_answered_from(&fixture, 0, 1, 40);
            assert_ended_with(fixture.feed, 40, TASK_FAILED, words);
            assert_int_equal(fixture.peer.singles, 40 * round);
            test_feed_again(fixture.feed);
        }
        assert_int_equal(fixture.peer.totals, 1);     /* and not again for a minute */
        assert_int_equal(fixture.peer.statistics, 4); /* one listing, and a page each time */
        management_stop(&fixture);
    }
}

/* As where no list with it is answered, either. */
static void a_queue_whose_get_is_refused_fails_alone(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s", &(struct management_script){.queues = 1, .refuse_lists = 502});
    management_add_queues(&fixture, "broken", 2, "QueueLength");
    management_add_queues_from(&fixture, "q", 1, 20, "QueueLength");
    for (int round = 0; round < 2; round++) {
        management_measure(&fixture);
        for (size_t i = 0; i < 2; i++)
            assert_ended_with(fixture.feed, i, TASK_FAILED, "answered 502");
        management_assert_answered_from(&fixture, 2, 1, 20);
        test_feed_again(fixture.feed);
    }
    management_stop(&fixture);
}

static void a_listing_that_is_forbidden_or_limited_is_no_reason_for_gets(void **state)
{
    (void)state;
    static const int statuses[] = {401, 403, 404, 429};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        struct management_fixture fixture;
        management_start(&fixture, "5s",
                         &(struct management_script){.queues = 40, .refuse_lists = statuses[i]});
        management_add_queues_from(&fixture, "q", 1, 40, "QueueLength");
        assert_true(scaler_rabbitmq.connect(fixture.triggers[0].options.connection, INT64_MAX,
                                            &fixture.client, &fixture.error));
        assert_false(
            test_feed_run(fixture.feed, fixture.client, MANAGEMENT_WITHIN_MS, &fixture.error));
        assert_int_equal(fixture.peer.singles, 0);
        management_stop(&fixture);
    }
}

static void where_totals_hang_statistics_answer(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "1s",
                     &(struct management_script){.queues = 40, .totals_hang = true});
    management_add_queues(&fixture, "q", 40, "QueueLength");
    for (int round = 0; round < 3; round++) {
        management_measure(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED,
                          "queue 'q0': the broker did not list all queues in time");
        management_assert_answered_from(&fixture, 1, 1, 39);
        test_feed_again(fixture.feed);
    }
    assert_int_equal(fixture.peer.totals, 1); /* and not again for a minute */
    assert_int_equal(fixture.peer.statistics, 3);
    assert_in_range(fixture.peer.singles, 3, 3 * 20);
    assert_in_range(fixture.peer.max_in_flight, 1, 8);
    management_stop(&fixture);
}

/* They are disabled, or the queue is new. */
static void totals_that_hung_are_soon_tried_again_where_statistics_lack_counts(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "1s",
                     &(struct management_script){
                         .queues = 2, .totals_hang_until = 1, .without_statistics = true});
    management_add_queue(&fixture, "q1", "QueueLength");
    for (int round = 0; round < 2; round++) {
        management_measure(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED,
                          "the management API does not report its messages_ready");
        test_feed_again(fixture.feed);
    }
    assert_int_equal(fixture.peer.totals, 1);
    fast_time_pass(5000);
    management_measure(&fixture);
    management_assert_answered_from(&fixture, 0, 1, 1);
    assert_int_equal(fixture.peer.totals, 2);
    management_stop(&fixture);
}

static void a_listing_of_many_queues_has_more_time(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(
        &fixture, "15s",
        &(struct management_script){.queues = 40, .queues_of_broker = 30000, .totals_ms = 2300});
    management_add_queues(&fixture, "q", 40, "QueueLength");
    management_measure(&fixture);
    management_assert_answered(&fixture, 0, 40);
    assert_int_equal(fixture.peer.totals, 1);
    assert_int_equal(fixture.peer.statistics + fixture.peer.singles, 0);
    management_stop(&fixture);
}

static void a_listing_that_hangs_delays_no_other_queue(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s",
                     &(struct management_script){.queues = 40, .totals_hang = true});
    management_add_queues_from(&fixture, "q", 7, 1, "QueueLength");
    management_add_queues(&fixture, "q", 5, "MessageRate");
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 7);
    management_assert_answered(&fixture, 1, 5);
    assert_int_equal(management_task(&fixture, 0)->order, 6);
    management_stop(&fixture);
}

static struct management_fixture *current;
static struct feed_hooks hooks;
static const struct feed_hooks *original;

/* The second one comes when the peer has the listing for the first. */
static struct task *take_second_later(struct feed *feed)
{
    bool is_given = management_task(current, 0)->given > 0;
    return is_given && current->peer.totals == 0 ? NULL : original->take(feed);
}

static int64_t next_soon(struct feed *feed)
{
    (void)feed;
    return clock_now_ms() + 10;
}

static void a_task_that_comes_during_a_listing_begins_no_other(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "20s",
                     &(struct management_script){.queues = 40, .totals_hang = true});
    management_add_queues_from(&fixture, "q", 7, 2, "QueueLength");
    struct feed *feed = test_feed_task(fixture.feed, 0)->task.feed;
    current = &fixture;
    original = feed->hooks;
    hooks = *feed->hooks;
    hooks.take = take_second_later;
    hooks.next_ms = next_soon;
    feed->hooks = &hooks;
    management_measure(&fixture);
    management_assert_answered_from(&fixture, 0, 7, 2);
    assert_int_equal(fixture.peer.totals, 1); /* it hangs, which is known of them by then */
    management_stop(&fixture);
}

static void requests_that_hang_give_up_their_places_to_others(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "3s", &(struct management_script){.queues = 40});
    management_add_queues(&fixture, "hanging", 10, "MessageRate");
    management_add_queues(&fixture, "q", 5, "MessageRate");
    management_measure(&fixture);
    management_assert_answered(&fixture, 10, 5);
    for (size_t i = 10; i < 15; i++)
        assert_int_equal(management_task(&fixture, i)->started, 1);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(management_task(&fixture, i)->outcome, TASK_TIMED_OUT);
        assert_non_null(strstr(error_text(&management_task(&fixture, i)->error), "within 3000 ms"));
        assert_true(management_task(&fixture, i)->order > 5);
    }
    assert_int_equal(management_task(&fixture, 0)->returned, 1);
    assert_int_equal(management_task(&fixture, 0)->given, 2);
    assert_int_equal(fixture.peer.max_in_flight, 8);
    management_stop(&fixture);
}

/* They have all places. */
static void requests_that_hang_have_their_whole_time_where_none_waits(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "2s", &(struct management_script){.queues = 40});
    management_add_queues(&fixture, "hanging", 8, "MessageRate");
    management_measure(&fixture);
    for (size_t i = 0; i < 8; i++) {
        assert_ended_with(fixture.feed, i, TASK_TIMED_OUT, "within 2000 ms");
        assert_int_equal(management_task(&fixture, i)->returned, 0);
    }
    assert_int_equal(fixture.peer.max_in_flight, 8);
    management_stop(&fixture);
}

static void a_listing_of_statistics_has_the_whole_time(void **state)
{
    (void)state;
    struct management_fixture fixture;
    const struct management_script slow = {
        .queues = 40, .totals_hang = true, .statistics_ms = 1700};
    management_start(&fixture, "3s", &slow);
    management_add_queues_from(&fixture, "q", 1, 39, "QueueLength");
    management_measure(&fixture);
    management_assert_answered_from(&fixture, 0, 1, 10); /* one by one, beside the listing */
    assert_int_equal(management_task(&fixture, 38)->outcome,
                     TASK_TIMED_OUT); /* totals took most of it */
    test_feed_again(fixture.feed);
    management_measure(&fixture);
    management_assert_answered_from(&fixture, 0, 1, 39);
    management_stop(&fixture);
}

/* A page says how many match. */
static void more_queues_than_a_page_has_need_a_listing(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(
        &fixture, "5s",
        &(struct management_script){.queues = 700, .refuse_lists = 500, .gives_pages = true});
    management_add_queue(&fixture, "^q", "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        management_measure(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED,
                          "queueName matches 700 queues: a page of them has 500, and the list of "
                          "all queues of the virtual host is too large, or refused");
        test_feed_again(fixture.feed);
    }
    assert_int_equal(fixture.peer.totals, 2);     /* a page and a listing */
    assert_int_equal(fixture.peer.statistics, 3); /* a listing, and a page each time */
    management_stop(&fixture);
}

/* Of totals, as long as these do not say that all is empty. */
static void one_listing_answers_all_patterns(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "10s", &(struct management_script){.queues = 1100});
    management_add_queue(&fixture, "^q", "QueueLength");
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 604450);
    assert_int_equal(fixture.peer.totals, 2); /* a page says that there are more */
    management_add_queue(&fixture, "^Q1.$", "QueueLength");
    management_add_queue(&fixture, "^(q|p)[2-4]$", "QueueLength");
    management_measure_again(&fixture);
    assert_waiting(fixture.feed, 0, 604450);
    assert_waiting(fixture.feed, 1, 145);
    assert_waiting(fixture.feed, 2, 9);
    assert_int_equal(fixture.peer.totals, 3);
    assert_int_equal(fixture.peer.statistics, 0);
    management_stop(&fixture);
}

/* One that backtracks for ever, on the longest name. */
static void a_pattern_that_takes_too_long_fails_alone(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "10s", &(struct management_script){.queues = 0});
    fixture.peer.in_totals = "{\"name\":\"q1\",\"messages_ready\":3,\"messages_unacknowledged\":0},"
                             "{\"name\":\"qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq2\","
                             "\"messages_ready\":4,\"messages_unacknowledged\":0}";
    management_add_queue(&fixture, "^(q+)+$", "QueueLength");
    management_add_queue(&fixture, "^q", "QueueLength");
    management_measure(&fixture);
    assert_ended_with(
        fixture.feed, 0, TASK_FAILED,
        "the queues that match '^(q+)+$': queue 'qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
        "qqqqqqq2': matching its name takes too long (PCRE: match limit exceeded)");
    assert_waiting(fixture.feed, 1, 7);
    assert_int_equal(fixture.peer.statistics, 0);
    management_stop(&fixture);
}

/* Each step back costs little, but there are many, and as many patterns as a listing takes. */
static void patterns_that_take_too_long_in_all_fail(void **state)
{
    (void)state;
    enum { PATTERNS = 64, MAX_MS = 10000 };
    struct management_fixture fixture;
    management_start(&fixture, "60s", &(struct management_script){.queues = 9000});
    for (size_t i = 0; i < PATTERNS; i++) {
        _cleanup_(memory_free) char *slow = text_format("^q(?:[0-9]*){10}(?:[!?]|x{%zu})", i + 1);
        management_add_queue(&fixture, slow, "QueueLength");
    }
    int64_t began_ms = fast_time_cpu_ms();
    management_measure(&fixture);
    int64_t took_ms = fast_time_cpu_ms() - began_ms;
    assert_all_ended(fixture.feed, 0, PATTERNS, TASK_FAILED);
    assert_ended_with(fixture.feed, 0, TASK_FAILED,
                      "matching the names of all queues of the virtual host takes too long");
    if (took_ms > MAX_MS)
        fail_msg("it takes %lld ms", (long long)took_ms);
    management_stop(&fixture);
}

/* RabbitMQ has reported such rates for a sample. */
static void a_rate_is_no_more_than_its_counter_grew_by(void **state)
{
    (void)state;
#define QUEUE(publish, rate)                                                                       \
    "{\"name\":\"q1\",\"messages_ready\":5,\"messages_unacknowledged\":0,\"message_stats\":{"      \
    "\"publish\":" publish ",\"publish_details\":{\"rate\":" rate "},\"deliver_get\":" publish     \
    ",\"deliver_get_details\":{\"rate\":" rate "}}}"
    static const struct {
        const char *queue;
        double rate;
    } table[] = {
        {QUEUE("1", "0.2"), 0.2},
        {QUEUE("2", "740"), 1}, /* one more, within a second */
        {QUEUE("3", "0.2"), 0.2},
    };
#undef QUEUE
    for (int is_pattern = 0; is_pattern <= 1; is_pattern++) {
        struct management_fixture fixture;
        management_start(&fixture, "5s", &(struct management_script){.queues = 0});
        management_add_queue(&fixture, is_pattern == 1 ? "^q" : "q1", "MessageRate");
        for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
            fixture.peer.in_totals = fixture.peer.in_statistics = table[i].queue;
            management_measure(&fixture);
            assert_waiting(fixture.feed, 0, 5);
            const struct reading *reading = &management_task(&fixture, 0)->reading;
            assert_true(reading->arrival_rate == table[i].rate);
            assert_true(reading->consumption_rate == table[i].rate);
            test_feed_again(fixture.feed);
        }
        management_stop(&fixture);
    }
}

/* Whichever source answers, and whatever it has. */
static void what_no_task_wants_is_unknown(void **state)
{
    (void)state;
#define QUEUE(name, messages, more)                                                                \
    "{\"name\":\"" name "\",\"messages_ready\":" messages ",\"messages_unacknowledged\":0" more "}"
#define RATES                                                                                      \
    ",\"consumers\":2,\"message_stats\":{\"publish\":9,\"publish_details\":{\"rate\":1}"           \
    ",\"deliver_get\":9,\"deliver_get_details\":{\"rate\":1},\"ack\":9}"
    static const struct {
        const char *in_totals, *in_statistics;
        const char *name;
        size_t tasks; /* more than 20 are listed */
        double messages;
    } table[] = {
        {"", "", "^q", 1, 0},
        {QUEUE("q1", "0", ""), QUEUE("q1", "7", RATES), "^q", 1, 0}, /* as it was 5 s ago */
        {QUEUE("q1", "3", ""), "", "^q", 1, 3},
        {"{\"name\":\"q1\"}", QUEUE("q1", "3", RATES), "^q", 1, 3},
        {QUEUE("q1", "3", ""), "", "q1", 1, 3},
        {"{\"name\":\"q1\"}", QUEUE("q1", "3", RATES), "q1", 1, 3},
        {"{\"name\":\"q1\"}", QUEUE("q1", "3", RATES), "q1", 22, 3},
    };
#undef QUEUE
#undef RATES
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct management_fixture fixture;
        management_start(&fixture, "5s", &(struct management_script){.queues = 0});
        fixture.peer.in_totals = table[i].in_totals;
        fixture.peer.in_statistics = table[i].in_statistics;
        for (size_t task = 0; task < table[i].tasks; task++)
            management_add_queue(&fixture, table[i].name, "QueueLength");
        management_measure(&fixture);
        for (size_t task = 0; task < table[i].tasks; task++)
            management_assert_only_counted(&fixture, task, table[i].messages);
        management_stop(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_listing_answers_all),
        cmocka_unit_test(a_listing_may_have_any_order),
        cmocka_unit_test(a_name_with_a_nul_disturbs_no_other_queue),
        cmocka_unit_test(a_queue_that_cannot_be_read_fails_no_other),
        cmocka_unit_test(where_a_listing_is_too_large_each_queue_has_a_get),
        cmocka_unit_test(where_listings_are_refused_each_queue_has_a_get),
        cmocka_unit_test(a_queue_whose_get_is_refused_fails_alone),
        cmocka_unit_test(a_listing_that_is_forbidden_or_limited_is_no_reason_for_gets),
        cmocka_unit_test(where_totals_hang_statistics_answer),
        cmocka_unit_test(totals_that_hung_are_soon_tried_again_where_statistics_lack_counts),
        cmocka_unit_test(a_listing_of_many_queues_has_more_time),
        cmocka_unit_test(a_listing_that_hangs_delays_no_other_queue),
        cmocka_unit_test(a_task_that_comes_during_a_listing_begins_no_other),
        cmocka_unit_test(requests_that_hang_give_up_their_places_to_others),
        cmocka_unit_test(requests_that_hang_have_their_whole_time_where_none_waits),
        cmocka_unit_test(a_listing_of_statistics_has_the_whole_time),
        cmocka_unit_test(more_queues_than_a_page_has_need_a_listing),
        cmocka_unit_test(one_listing_answers_all_patterns),
        cmocka_unit_test(a_pattern_that_takes_too_long_fails_alone),
        cmocka_unit_test(patterns_that_take_too_long_in_all_fail),
        cmocka_unit_test(a_rate_is_no_more_than_its_counter_grew_by),
        cmocka_unit_test(what_no_task_wants_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
