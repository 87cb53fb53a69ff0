#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "measure/task_internal.h"
#include "rabbitmq/amqp/connection.h"
#include "scalers/amqp_peer.h"
#include "scalers/ended.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

enum { MAX_QUEUES = 100, WITHIN_MS = 10000, TIMEOUT_MS = 800 };
enum { MAX_CHANNELS = 128 }; /* of a connection, even where the broker allows more */

/* Queues of a peer, and the client that measures them. */
struct fixture {
    struct amqp_peer peer;
    struct trigger triggers[MAX_QUEUES];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
};

static void add_queue(struct fixture *fixture, const char *name)
{
    assert_true(fixture->count < MAX_QUEUES);
    struct trigger *trigger = &fixture->triggers[fixture->count++];
    *trigger = trigger_of(&scaler_rabbitmq, PAIRS("host", fixture->peer.host, "queueName", name));
    assert_true(trigger->good);
    test_feed_add(fixture->feed, trigger->options.query, (struct notifier){0});
}

static void add_queues(struct fixture *fixture, size_t from, size_t to)
{
    for (size_t i = from; i <= to; i++) {
        _cleanup_(memory_free) char *name = text_format("q%zu", i);
        add_queue(fixture, name);
    }
}

static void start(struct fixture *fixture, const struct amqp_script *script)
{
    *fixture = (struct fixture){.feed = test_feed_new(&scaler_rabbitmq)};
    amqp_peer_start(&fixture->peer, script);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
}

static bool measure_all(struct fixture *fixture)
{
    if (fixture->client == NULL)
        assert_true(scaler_rabbitmq.connect(fixture->triggers[0].options.connection,
                                            clock_now_ms() + WITHIN_MS, &fixture->client,
                                            &fixture->error));
    return test_feed_run(fixture->feed, fixture->client, WITHIN_MS, &fixture->error);
}

static void run_well(struct fixture *fixture)
{
    if (!measure_all(fixture))
        fail_msg("%s", error_text(&fixture->error));
}

static void stop(struct fixture *fixture)
{
    if (fixture->client != NULL)
        scaler_rabbitmq.disconnect(fixture->client);
    amqp_peer_stop(&fixture->peer);
    for (size_t i = 0; i < fixture->count; i++)
        trigger_done(&fixture->triggers[i]);
    test_feed_free(fixture->feed);
    error_done(&fixture->error);
}

static const struct test_task *task(const struct fixture *fixture, size_t index)
{
    return test_feed_task(fixture->feed, index);
}

static void assert_failed(const struct fixture *fixture, size_t index, const char *words)
{
    assert_ended_with(fixture->feed, index, TASK_FAILED, words);
    assert_int_equal(task(fixture, index)->error.code, ERROR_UNAVAILABLE);
}

/* ---- answers of 0 that may be none ---- */

static void behind_another_request_there_is_no_round_trip_to_subtract(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.link_ms = 100, .declares_ms = {0, 300, 300, 300, 300}});
    test_feed_set_timeout(fixture.feed, 4000);
    add_queue(&fixture, "orders");
    add_queue(&fixture, "returns");
    run_well(&fixture);
    assert_waiting(fixture.feed, 0, 0);
    assert_failed(&fixture, 1, "too busy");
    stop(&fixture);
}

static void a_slow_opening_does_not_make_a_late_0_a_quick_one(void **state)
{
    (void)state;
    static const struct amqp_script scripts[] = {
        {.openings_ms = {150, 0}, .declares_ms = {300, 300, 300, 300}},
        {.openings_ms = {40, 40},
         .declares_ms = {250, 250, 250, 250}}, /* no quicker one is known */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
        struct fixture fixture;
        start(&fixture, &scripts[i]);
        test_feed_set_timeout(fixture.feed, 4000);
        add_queue(&fixture, "orders");
        run_well(&fixture);
        assert_failed(&fixture, 0, "too busy");
        stop(&fixture);
    }
}

static void a_0_that_is_late_on_a_busy_machine_is_requested_again(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.declares_ms = {300, 0}});
    test_feed_set_timeout(fixture.feed, 4000);
    add_queue(&fixture, "orders");
    run_well(&fixture);
    assert_waiting(fixture.feed, 0, 0);
    assert_int_equal(amqp_peer_declares(&fixture.peer, "orders"), 2);
    stop(&fixture);
}

/* As the kernel knows the link of the script: not that behind a proxy. */
static int64_t kernels_round_trip_ms;

int64_t
__wrap_rabbitmq_amqp_connection_round_trip_ms(const struct rabbitmq_amqp_connection *connection);
int64_t
__wrap_rabbitmq_amqp_connection_round_trip_ms(const struct rabbitmq_amqp_connection *connection)
{
    (void)connection;
    return kernels_round_trip_ms;
}

static void empty_queues_that_are_far_away_are_0(void **state)
{
    (void)state;
    static const struct {
        int link_ms;
        bool is_known;
        size_t declares; /* of the first queue, once its channel is open; else 1 */
    } table[] = {{60, false, 1}, {60, true, 1}, {250, true, 1}, {300, false, 2}};
    enum { QUEUES = 26, ROUNDS = 3 };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct fixture fixture;
        start(&fixture, &(struct amqp_script){.link_ms = table[i].link_ms});
        kernels_round_trip_ms = table[i].is_known ? table[i].link_ms : 0;
        test_feed_set_timeout(fixture.feed, 4000);
        for (char name[] = "a"; name[0] <= 'z'; name[0]++)
            add_queue(&fixture, name);
        for (size_t round = 1; round <= ROUNDS; round++) {
            run_well(&fixture);
            for (size_t queue = 0; queue < QUEUES; queue++)
                assert_waiting(fixture.feed, queue, 0);
            assert_int_equal(amqp_peer_declares(&fixture.peer, "a"),
                             1 + (round - 1) * table[i].declares);
            assert_int_equal(amqp_peer_declares(&fixture.peer, "z"), round);
            test_feed_again(fixture.feed); /* now the channel is open */
        }
        kernels_round_trip_ms = 0;
        stop(&fixture);
    }
}

/* ---- queues that must not disturb each other ---- */

static void requests_are_sent_along_with_the_opening_of_their_channel(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.link_ms = 150});
    add_queues(&fixture, 1, 9);
    test_feed_set_timeout(fixture.feed, 4000);
    add_queue(&fixture, "orders");
    run_well(&fixture);
    for (size_t i = 0; i < 9; i++)
        assert_waiting(fixture.feed, i, (double)i + 1);
    assert_int_equal(fixture.peer.openings, 1);
    stop(&fixture);
}

static void a_missing_queue_fails_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){0});
    add_queues(&fixture, 1, 4);
    add_queue(&fixture, "missing");
    add_queues(&fixture, 5, 9);
    add_queue(&fixture, "missing2");
    for (int round = 0; round < 3; round++) {
        run_well(&fixture);
        assert_failed(&fixture, 4, "queue 'missing': NOT_FOUND - no queue 'missing'");
        assert_failed(&fixture, 10, "queue 'missing2': NOT_FOUND - no queue 'missing2'");
        for (size_t i = 0; i < 4; i++)
            assert_waiting(fixture.feed, i, (double)i + 1);
        for (size_t i = 5; i < 10; i++)
            assert_waiting(fixture.feed, i, (double)i);
        test_feed_again(fixture.feed);
    }
    /* Behind it once; then each of the missing ones was quarantined, alone on its channel. */
    assert_int_equal(amqp_peer_declares(&fixture.peer, "missing"), 3);
    assert_int_equal(amqp_peer_declares(&fixture.peer, "q9"), 4);
    assert_int_equal(amqp_peer_declares(&fixture.peer, "missing2"), 4);
    stop(&fixture);
}

/* RabbitMQ 4.2.6 and later; before, a passive declare needed no right. */
static void a_queue_that_may_not_be_declared_names_the_right(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){0});
    add_queue(&fixture, "forbidden");
    add_queue(&fixture, "q1");
    run_well(&fixture);
    assert_failed(&fixture, 0, "queue 'forbidden': ACCESS_REFUSED - access to queue 'forbidden'");
    assert_failed(&fixture, 0, "grant the user the right configure to the queue");
    assert_waiting(fixture.feed, 1, 1);
    stop(&fixture);
}

static void a_hanging_queue_delays_no_other(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){0});
    add_queue(&fixture, "hanging");
    add_queues(&fixture, 1, 30);
    run_well(&fixture);
    assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
    assert_int_equal(task(&fixture, 0)->order, 31); /* all others had ended */
    for (size_t i = 1; i <= 30; i++)
        assert_waiting(fixture.feed, i, (double)i);

    /* It has `isolate` now: nothing is sent behind it any more. */
    test_feed_again(fixture.feed);
    run_well(&fixture);
    assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
    for (size_t i = 1; i <= 30; i++)
        assert_waiting(fixture.feed, i, (double)i);
    assert_int_equal(amqp_peer_declares(&fixture.peer, "hanging"), 2);
    assert_int_equal(amqp_peer_declares(&fixture.peer, "q30"), 3);
    stop(&fixture);
}

/* One that is measured alone waits for its channel. */
static void the_time_of_a_queue_begins_when_it_is_sent(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.openings_ms = {0, 100, 100, 100, 100, 100}});
    add_queue(&fixture, "hanging");
    add_queue(&fixture, "q1");
    run_well(&fixture);
    assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
    size_t started = task(&fixture, 0)->started; /* 1 if the first waited for a millisecond */
    test_feed_again(fixture.feed);
    run_well(&fixture);
    assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
    assert_int_equal(task(&fixture, 0)->started, started + 1);
    stop(&fixture);
}

static void many_hanging_queues_delay_no_other(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){0});
    for (size_t i = 1; i <= 6; i++) {
        _cleanup_(memory_free) char *name = text_format("hanging%zu", i);
        add_queue(&fixture, name);
        add_queues(&fixture, 2 * i, 2 * i + 1);
    }
    test_feed_set_timeout(fixture.feed, 2500);
    run_well(&fixture);
    for (size_t i = 0; i < 18; i += 3) {
        size_t third = i / 3;
        assert_ended(fixture.feed, i, TASK_TIMED_OUT);
        assert_waiting(fixture.feed, i + 1, (double)(2 * third + 2));
        assert_waiting(fixture.feed, i + 2, (double)(2 * third + 3));
        for (size_t j = 0; j < 18; j += 3) /* whatever hangs ends after whatever does not */
            assert_true(task(&fixture, i)->order > task(&fixture, j + 1)->order);
    }
    stop(&fixture);
}

static void a_late_answer_is_never_taken_for_another(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.hanging_ms = 2 * TIMEOUT_MS});
    add_queue(&fixture, "hanging70");
    add_queues(&fixture, 1, 5);
    int64_t late_ms = clock_now_ms() + 2 * (int64_t)TIMEOUT_MS;
    do {
        test_feed_again(fixture.feed);
        run_well(&fixture);
        assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
        for (size_t i = 1; i <= 5; i++)
            assert_waiting(fixture.feed, i, (double)i);
    } while (clock_now_ms() < late_ms);
    stop(&fixture);
}

static void a_queue_that_recovers_is_right_again(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.hanging_ms = TIMEOUT_MS / 2});
    add_queue(&fixture, "hanging7");
    add_queues(&fixture, 1, 5);
    run_well(&fixture);
    assert_waiting(fixture.feed, 0, 7); /* late, and still in time */
    for (size_t i = 1; i <= 5; i++)
        assert_waiting(fixture.feed, i, (double)i);
    stop(&fixture);
}

static void channels_are_used_again(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.hanging_ms = 300, .channel_max = 8});
    test_feed_set_timeout(fixture.feed, 200);
    add_queue(&fixture, "hanging7");
    add_queue(&fixture, "missing");
    add_queue(&fixture, "q3");
    for (int round = 0; round < 12; round++) {
        run_well(&fixture);
        assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
        assert_failed(&fixture, 1, "NOT_FOUND");
        assert_waiting(fixture.feed, 2, 3);
        test_feed_again(fixture.feed);
    }
    stop(&fixture);
}

static void without_channels_the_connection_is_given_up(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.channel_max = 4});
    test_feed_set_timeout(fixture.feed, 200);
    add_queue(&fixture, "hanging");
    int rounds = 0;
    while (measure_all(&fixture) && rounds++ < 10)
        test_feed_again(fixture.feed);
    assert_in_range(rounds, 2, 4);
    assert_non_null(strstr(error_text(&fixture.error), "no channels were left"));
    stop(&fixture);
}

/* Each of the three takes the first slot's channel with it; the second one answers. */
static void a_slot_without_a_channel_keeps_nothing_from_those_that_have_one(void **state)
{
    (void)state;
    enum { HANGING = 3, OTHERS = 70 };
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.channel_max = 4});
    test_feed_set_timeout(fixture.feed, 2500);
    for (size_t i = 1; i <= HANGING; i++) {
        _cleanup_(memory_free) char *name = text_format("hanging%zu", i);
        add_queue(&fixture, name);
    }
    add_queues(&fixture, 1, OTHERS);
    run_well(&fixture);
    for (size_t i = 0; i < HANGING; i++)
        assert_ended(fixture.feed, i, TASK_TIMED_OUT);
    for (size_t i = 1; i <= OTHERS; i++)
        assert_waiting(fixture.feed, HANGING + i - 1, (double)i);
    stop(&fixture);
}

/* As after the first queues of a connection that has others later. */
static void add_another_feed(struct fixture *fixture)
{
    test_feed_free(fixture->feed);
    fixture->feed = test_feed_new(&scaler_rabbitmq);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
}

/* The first one's hang for ever. */
static void a_group_has_channels_while_one_of_its_slots_does(void **state)
{
    (void)state;
    enum { HANGING = 3, FIRST = 27, OTHERS = 70 };
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.channel_max = 4});
    for (size_t i = 1; i <= HANGING; i++) {
        _cleanup_(memory_free) char *name = text_format("hanging%zu", i);
        add_queue(&fixture, name);
    }
    add_queues(&fixture, 1, FIRST);
    run_well(&fixture);
    for (size_t i = 0; i < HANGING; i++)
        assert_ended(fixture.feed, i, TASK_TIMED_OUT);

    add_another_feed(&fixture);
    add_queues(&fixture, 1, OTHERS);
    run_well(&fixture);
    for (size_t i = 1; i <= OTHERS; i++)
        assert_waiting(fixture.feed, i - 1, (double)i);
    stop(&fixture);
}

static void few_channels_are_used_by_all_groups(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels++) {
        struct fixture fixture;
        start(&fixture, &(struct amqp_script){.channel_max = channels});
        add_queue(&fixture, "missing");
        add_queues(&fixture, 1, 5);
        for (int round = 0; round < 3; round++) {
            run_well(&fixture);
            assert_failed(&fixture, 0, "NOT_FOUND");
            for (size_t i = 1; i <= 5; i++)
                assert_waiting(fixture.feed, i, (double)i);
            test_feed_again(fixture.feed);
            test_feed_task(fixture.feed, 5)->task.isolate = true;
        }
        stop(&fixture);
    }
}

static void a_broker_without_limits_has_ours(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.has_no_limits = true});
    add_queues(&fixture, 1, 3);
    run_well(&fixture);
    for (size_t i = 0; i < 3; i++)
        assert_waiting(fixture.feed, i, (double)i + 1);
    assert_int_equal(fixture.peer.channel_max, MAX_CHANNELS);
    stop(&fixture);
}

/* Each takes memory. */
static void queues_that_hang_take_no_more_channels_than_ours(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.has_no_limits = true});
    test_feed_set_timeout(fixture.feed, 200);
    add_queue(&fixture, "hanging");
    add_queue(&fixture, "q1");
    for (size_t rounds = 0; rounds <= MAX_CHANNELS && measure_all(&fixture); rounds++)
        test_feed_again(fixture.feed);
    assert_non_null(strstr(error_text(&fixture.error), "no channels were left"));
    assert_int_equal(fixture.peer.openings, MAX_CHANNELS);
    stop(&fixture);
}

static void a_broker_that_answers_nothing_is_lost(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.freeze_after = 3});
    add_queues(&fixture, 1, 5);
    assert_false(measure_all(&fixture));
    assert_non_null(strstr(error_text(&fixture.error), "no answer to anything within 800 ms"));
    assert_non_null(strstr(error_text(&fixture.error), "127.0.0.1:"));
    assert_waiting(fixture.feed, 0, 1);
    assert_false(task(&fixture, 4)->ended);
    stop(&fixture);
}

/* The second measurement opens a channel, as a missing queue has closed the one of the first, and
 * an isolated queue has none yet; the queue waits for that, and is not sent before. */
static void a_broker_that_answers_no_opening_is_lost(void **state)
{
    (void)state;
    static const struct {
        const char *queue;
        bool isolates;
    } table[] = {{"missing", false}, {"q1", true}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct fixture fixture;
        start(&fixture, &(struct amqp_script){.freeze_after = 1});
        add_queue(&fixture, table[i].queue);
        run_well(&fixture);
        test_feed_again(fixture.feed);
        test_feed_task(fixture.feed, 0)->task.isolate = table[i].isolates;
        int64_t since_ms = clock_now_ms();
        assert_false(measure_all(&fixture));
        assert_non_null(strstr(error_text(&fixture.error), "no answer to anything within 800 ms"));
        assert_in_range(clock_now_ms() - since_ms, TIMEOUT_MS, 2 * TIMEOUT_MS);
        assert_int_equal(amqp_peer_declares(&fixture.peer, table[i].queue), 1);
        stop(&fixture);
    }
}

/* A broker that answers others is not lost, and does not keep the queue waiting. */
static void a_queue_whose_channel_is_not_opened_times_out(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.lost_opening = 2});
    add_queue(&fixture, "q1");
    add_queue(&fixture, "q2");
    run_well(&fixture);
    for (int round = 0; round < 2; round++) {
        test_feed_again(fixture.feed);
        test_feed_task(fixture.feed, 0)->task.isolate = true;
        run_well(&fixture);
        if (round == 0)
            assert_ended_with(fixture.feed, 0, TASK_TIMED_OUT, "no answer within 800 ms");
        else
            assert_waiting(fixture.feed, 0, 1);
        assert_waiting(fixture.feed, 1, 2);
    }
    stop(&fixture);
}

/* Its queue went to the channel of the other one, once that was answered. */
static void a_channel_that_is_not_opened_keeps_no_queue_from_another(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.lost_opening = 2});
    add_queues(&fixture, 1, 2);
    for (size_t i = 0; i < 2; i++)
        test_feed_task(fixture.feed, i)->task.isolate = true;
    run_well(&fixture);
    assert_waiting(fixture.feed, 0, 1);
    assert_waiting(fixture.feed, 1, 2);
    assert_int_equal(fixture.peer.openings, 2);
    stop(&fixture);
}

static void an_answer_on_a_channel_that_was_never_opened_loses_the_connection(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){.answers_on = 9});
    add_queue(&fixture, "q1");
    assert_false(measure_all(&fixture));
    assert_non_null(strstr(error_text(&fixture.error), "unexpected frame"));
    assert_false(task(&fixture, 0)->ended);
    stop(&fixture);
}

static void a_single_queue_that_hangs_is_no_lost_connection(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){0});
    add_queue(&fixture, "hanging");
    run_well(&fixture);
    assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
    stop(&fixture);
}

/* ---- what the feed does meanwhile ---- */

static struct fixture *current;
static struct feed_hooks hooks;
static const struct feed_hooks *original;

static void replace_hooks(struct fixture *fixture)
{
    struct feed *feed = test_feed_task(fixture->feed, 0)->task.feed;
    current = fixture;
    original = feed->hooks;
    hooks = *feed->hooks;
    feed->hooks = &hooks;
}

/* The others come when the peer has the request of the first. */
static struct task *take_others_later(struct feed *feed)
{
    bool is_sent = amqp_peer_declares(&current->peer, "hanging") > 0;
    bool is_given = test_feed_task(current->feed, 0)->given > 0;
    return is_given && !is_sent ? NULL : original->take(feed);
}

static int64_t next_soon(struct feed *feed)
{
    (void)feed;
    return clock_now_ms() + 10;
}

static void a_new_task_does_not_wait_for_a_hanging_one(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){0});
    add_queue(&fixture, "hanging");
    add_queue(&fixture, "q5");
    replace_hooks(&fixture);
    hooks.take = take_others_later;
    hooks.next_ms = next_soon;
    run_well(&fixture);
    assert_waiting(fixture.feed, 1, 5);
    assert_ended(fixture.feed, 0, TASK_TIMED_OUT);
    assert_int_equal(task(&fixture, 1)->order, 1);
    stop(&fixture);
}

/* ---- pauses of this process ---- */

enum { LONG_NAME_BYTES = 250, LONG_NAMES = 100 }; /* with them the answers have 26 KB */

/* As many digits as the name is long. */
static void long_name(size_t number, char ret_name[static LONG_NAME_BYTES + 1])
{
    snprintf(ret_name, LONG_NAME_BYTES + 1, "q%0*zu", LONG_NAME_BYTES - 1, number);
}

static bool has_paused;

/* Once the peer has all requests: it answers during the pause, in which they all time out. */
static bool pause_once(struct feed *feed)
{
    char last[LONG_NAME_BYTES + 1];
    long_name(LONG_NAMES, last);
    if (has_paused || !test_feed_task(current->feed, LONG_NAMES - 1)->in_flight)
        return original->is_stopping(feed);
    while (amqp_peer_declares(&current->peer, last) == 0)
        fast_time_pass(0); /* they are on their way */
    fast_time_pass(TIMEOUT_MS + 200);
    has_paused = true;
    return original->is_stopping(feed);
}

static void answers_that_came_during_a_pause_are_in_time(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, &(struct amqp_script){0});
    for (size_t i = 1; i <= LONG_NAMES; i++) {
        char name[LONG_NAME_BYTES + 1];
        long_name(i, name);
        add_queue(&fixture, name);
    }
    replace_hooks(&fixture);
    hooks.is_stopping = pause_once;
    has_paused = false;
    run_well(&fixture);
    assert_true(has_paused);
    for (size_t i = 0; i < LONG_NAMES; i++)
        assert_waiting(fixture.feed, i, (double)i + 1);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_another_request_there_is_no_round_trip_to_subtract),
        cmocka_unit_test(a_slow_opening_does_not_make_a_late_0_a_quick_one),
        cmocka_unit_test(a_0_that_is_late_on_a_busy_machine_is_requested_again),
        cmocka_unit_test(empty_queues_that_are_far_away_are_0),
        cmocka_unit_test(requests_are_sent_along_with_the_opening_of_their_channel),
        cmocka_unit_test(a_missing_queue_fails_alone),
        cmocka_unit_test(a_queue_that_may_not_be_declared_names_the_right),
        cmocka_unit_test(a_hanging_queue_delays_no_other),
        cmocka_unit_test(the_time_of_a_queue_begins_when_it_is_sent),
        cmocka_unit_test(many_hanging_queues_delay_no_other),
        cmocka_unit_test(a_late_answer_is_never_taken_for_another),
        cmocka_unit_test(a_queue_that_recovers_is_right_again),
        cmocka_unit_test(channels_are_used_again),
        cmocka_unit_test(without_channels_the_connection_is_given_up),
        cmocka_unit_test(a_slot_without_a_channel_keeps_nothing_from_those_that_have_one),
        cmocka_unit_test(a_group_has_channels_while_one_of_its_slots_does),
        cmocka_unit_test(few_channels_are_used_by_all_groups),
        cmocka_unit_test(a_broker_without_limits_has_ours),
        cmocka_unit_test(queues_that_hang_take_no_more_channels_than_ours),
        cmocka_unit_test(a_broker_that_answers_nothing_is_lost),
        cmocka_unit_test(a_broker_that_answers_no_opening_is_lost),
        cmocka_unit_test(a_queue_whose_channel_is_not_opened_times_out),
        cmocka_unit_test(a_channel_that_is_not_opened_keeps_no_queue_from_another),
        cmocka_unit_test(an_answer_on_a_channel_that_was_never_opened_loses_the_connection),
        cmocka_unit_test(a_single_queue_that_hangs_is_no_lost_connection),
        cmocka_unit_test(a_new_task_does_not_wait_for_a_hanging_one),
        cmocka_unit_test(answers_that_came_during_a_pause_are_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
