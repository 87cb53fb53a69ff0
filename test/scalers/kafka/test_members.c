/* Which answer about a group's members a task waits for, and what it has. The mock cluster knows no
 * members, and librdkafka aborts once it has found it a coordinator (workaround 1 of client.h): so
 * what comes of it is an error, or nothing. An answer counts as under way until it is received. */
#include "kafka/requests/members.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/peer.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#define GROUP "workers"

static struct kafka_members *connect_members(struct kafka_mock *fixture)
{
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, GROUP, "jobs", 2);
    kafka_mock_connect(fixture);
    return ((struct kafka_session *)fixture->client)->members;
}

/* The next requests for coordinators, of which the library sends some of its own, are refused. */
static void refuse_coordinators(struct kafka_mock *fixture)
{
    enum { FIND_COORDINATOR = 10, COUNT = 8 };
    rd_kafka_resp_err_t errors[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        errors[i] = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    rd_kafka_mock_push_request_errors_array(fixture->cluster, FIND_COORDINATOR, COUNT, errors);
}

static void receive(struct kafka_members *members)
{
    bool has_come = false;
    for (int i = 0; !has_come && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        has_come = kafka_members_receive(members, clock_now_ms());
    }
    assert_true(has_come);
}

static void a_request_is_waited_for_a_second(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_members *members = connect_members(fixture);
    refuse_coordinators(fixture);
    const int64_t now_ms = clock_now_ms();
    assert_false(kafka_members_is_pending(members, GROUP, now_ms));
    kafka_members_request(members, GROUP, now_ms);
    assert_true(kafka_members_is_pending(members, GROUP, now_ms + 999));
    assert_false(kafka_members_is_pending(members, GROUP, now_ms + 1000));
    assert_false(kafka_members_is_pending(members, "others", now_ms));
    /* It is still under way: nobody waits longer because somebody else came. */
    kafka_members_request(members, GROUP, now_ms + 900);
    assert_false(kafka_members_is_pending(members, GROUP, now_ms + 1000));
    kafka_members_forget_old(members, now_ms + 900 + KAFKA_FORGET_MS); /* its answer may come */
    assert_true(kafka_members_is_pending(members, GROUP, now_ms + 999));
    receive(members);
}

/* Somebody still wants them after a minute, so the commits are answered. */
static void a_request_that_hangs_alone_needs_another_handle(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_members *members = connect_members(fixture);
    const int64_t now_ms = clock_now_ms();
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, true);
    kafka_members_request(members, GROUP, now_ms);
    kafka_members_request(members, GROUP, now_ms + 59999);
    assert_false(kafka_members_needs_renewal(members, now_ms + 59999));
    kafka_members_request(members, GROUP, now_ms + 60000);
    assert_true(kafka_members_needs_renewal(members, now_ms + 60000));
    assert_true(kafka_session_maintain(fixture->client, now_ms + 60000));
    assert_false(kafka_members_needs_renewal(members, now_ms + 60000));
    assert_false(kafka_members_is_pending(members, GROUP, now_ms));
    /* The next one is lost with its handle, too. */
    kafka_members_request(members, GROUP, now_ms + 60000);
    scaler_kafka.disconnect(TAKE(fixture->client));
}

/* Nobody wants it any more, but a call that times out may end the process. */
static void a_request_does_not_get_an_hour_old(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_members *members = connect_members(fixture);
    const int64_t now_ms = clock_now_ms();
    const int64_t old_ms = now_ms + KAFKA_MAX_CALL_MS;
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, true);
    kafka_members_request(members, GROUP, now_ms);
    assert_false(kafka_members_needs_renewal(members, old_ms - 1));
    assert_true(kafka_members_needs_renewal(members, old_ms));
    assert_true(kafka_session_maintain(fixture->client, old_ms));
    assert_false(kafka_members_needs_renewal(members, old_ms));
    scaler_kafka.disconnect(TAKE(fixture->client)); /* before the brokers answer again */
}

static void nobody_waits_who_has_an_answer(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_members *members = connect_members(fixture);
    refuse_coordinators(fixture);
    const int64_t began_ms = clock_now_ms();
    kafka_members_request(members, GROUP, began_ms);
    receive(members);
    assert_false(kafka_members_is_pending(members, GROUP, began_ms));
    assert_null(kafka_members_assigned(members, GROUP, began_ms)); /* they are not known */
    /* It is not forgotten yet. The next request is of another batch, which began later. */
    kafka_members_forget_old(members, began_ms + KAFKA_FORGET_MS - 1);
    refuse_coordinators(fixture);
    const int64_t later_ms = clock_now_ms() + 1;
    kafka_members_request(members, GROUP, later_ms);
    assert_false(kafka_members_is_pending(members, GROUP, began_ms));
    assert_true(kafka_members_is_pending(members, GROUP, later_ms));
    assert_false(kafka_members_is_pending(members, GROUP, later_ms + 1000));
    receive(members);
    assert_false(kafka_members_is_pending(members, GROUP, later_ms));
}

/* While a group rebalances its consumers are not known, which is not the same as none. */
static void members_are_known_of_a_group_that_is_stable_or_empty(void **state)
{
    (void)state;
    static const struct {
        rd_kafka_consumer_group_state_t state;
        bool is_known;
    } rows[] = {
        {RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN, false},
        {RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE, false},
        {RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE, false},
        {RD_KAFKA_CONSUMER_GROUP_STATE_STABLE, true},
        {RD_KAFKA_CONSUMER_GROUP_STATE_DEAD, false},
        {RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (kafka_members_are_assigned(rows[i].state, false) != rows[i].is_known)
            fail_msg("%s", rd_kafka_consumer_group_state_name(rows[i].state));
        assert_false(kafka_members_are_assigned(rows[i].state, true));
    }
}

/* ---- answers of a broker ---- */

static void receive_all(struct kafka_members *members, int64_t now_ms)
{
    kafka_members_maintain(members, now_ms);
    while (kafka_members_is_pending(members, GROUP, now_ms)) {
        usleep(1000);
        kafka_members_receive(members, now_ms);
        kafka_members_maintain(members, now_ms);
    }
}

static const rd_kafka_topic_partition_list_t *request(struct kafka_members *members, int64_t now_ms)
{
    kafka_members_request(members, GROUP, now_ms);
    receive_all(members, now_ms);
    return kafka_members_assigned(members, GROUP, now_ms);
}

static void partitions_are_those_of_members_that_have_some(void **state)
{
    (void)state;
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    const rd_kafka_topic_partition_list_t *list = request(session->members, clock_now_ms());
    assert_non_null(list);
    assert_int_equal(list->cnt, 2);
    for (int i = 0; i < list->cnt; i++) {
        assert_string_equal(list->elems[i].topic, i == 0 ? "a" : "b");
        assert_int_equal(list->elems[i].partition, 0);
        assert_non_null(list->elems[i].opaque);
    }
    assert_ptr_not_equal(list->elems[0].opaque, list->elems[1].opaque);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* The library would double the list, and take more than is counted. */
static void partitions_take_no_more_than_is_counted(void **state)
{
    enum { MORE = 135 };
    (void)state;
    struct kafka_peer peer = {.more_members = MORE};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    const rd_kafka_topic_partition_list_t *list = request(session->members, clock_now_ms());
    assert_non_null(list);
    assert_int_equal(list->cnt, 2 + MORE);
    assert_int_equal(list->size, list->cnt);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* Those of a thousand groups would take the memory of a process. */
static void members_are_kept_until_nobody_uses_them(void **state)
{
    (void)state;
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_members *members = session->members;
    const int64_t now_ms = clock_now_ms();
    assert_non_null(request(members, now_ms));
    assert_non_null(request(members, now_ms + 1)); /* of another batch */
    kafka_members_forget_old(members, now_ms + 1 + KAFKA_FORGET_MS);
    kafka_members_release(members, GROUP);
    assert_non_null(kafka_members_assigned(members, GROUP, now_ms));
    kafka_members_release(members, GROUP);
    assert_null(kafka_members_assigned(members, GROUP, now_ms));
    /* Nor are those of an answer that comes later. */
    kafka_members_request(members, GROUP, now_ms + 2);
    kafka_members_release(members, GROUP);
    receive_all(members, now_ms + 2);
    assert_null(kafka_members_assigned(members, GROUP, now_ms + 2));
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* Or they would end the process. */
static void members_are_unknown_where_there_is_no_memory_for_them(void **state)
{
    (void)state;
    enum { BYTES = KAFKA_MEMORY_MEMBERS + 2 * (KAFKA_MEMORY_PER_ASSIGNED + 1) }; /* a and b */
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_members *members = session->members;
    struct kafka_memory *memory = &session->client.memory;
    const int64_t now_ms = clock_now_ms();
    assert_non_null(request(members, now_ms));
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_MEMBERS], BYTES, 0);
    assert_non_null(request(members, now_ms + 1)); /* in place of the former ones */
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_MEMBERS], BYTES, 0);
    kafka_members_release(members, GROUP);
    kafka_members_release(members, GROUP);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_MEMBERS], 0, 0);
    memory->mappable_bytes = BYTES + KAFKA_MEMORY_FREE + KAFKA_MEMORY_MORE_TOPICS - 1;
    assert_null(request(members, now_ms + 2));
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_MEMBERS], 0, 0);
    memory->mappable_bytes++;
    assert_non_null(request(members, now_ms + 3));
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* The task that they were requested for may still wait for something else. */
static void members_that_have_come_outlive_their_handle(void **state)
{
    (void)state;
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_members *members = session->members;
    const int64_t now_ms = clock_now_ms();
    assert_non_null(request(members, now_ms));
    kafka_members_request(members, "others", now_ms);
    assert_true(kafka_session_maintain(session, now_ms + KAFKA_MAX_CALL_MS));
    assert_false(kafka_members_is_pending(members, "others", now_ms));
    const rd_kafka_topic_partition_list_t *list = kafka_members_assigned(members, GROUP, now_ms);
    assert_non_null(list);
    assert_string_equal(list->elems[0].topic, "a");
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* ---- members that are too long ---- */

static void members_that_are_too_long_are_requested_again_after_minutes(void **state)
{
    (void)state;
    enum { SUSPENDED_MS = 5 * 60 * 1000 };
    struct kafka_peer peer = {.too_long_members = GROUP};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_members *members = session->members;
    int64_t now_ms = clock_now_ms();
    assert_null(request(members, now_ms));
    assert_int_equal(peer.too_long_count, 2); /* on either handle */
    assert_null(request(members, now_ms + SUSPENDED_MS - 1));
    assert_int_equal(peer.too_long_count, 2);
    assert_null(request(members, now_ms += SUSPENDED_MS)); /* on a handle of its own */
    assert_int_equal(peer.too_long_count, 3);
    peer.too_long_members = NULL;
    assert_non_null(request(members, now_ms += SUSPENDED_MS));
    /* On the main handle from now on. */
    peer.too_long_members = GROUP;
    assert_null(request(members, now_ms + 1));
    assert_int_equal(peer.too_long_count, 5);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* By another's reply, or by the broker. */
static void members_are_known_though_their_connection_was_closed(void **state)
{
    (void)state;
    struct kafka_peer peers[] = {{.too_long_left = {[KAFKA_PEER_DESCRIBE_GROUPS] = 1}},
                                 {.closed_left = {[KAFKA_PEER_DESCRIBE_GROUPS] = 1}}};
    for (size_t i = 0; i < ARRAY_LENGTH(peers); i++) {
        kafka_peer_start(&peers[i]);
        struct kafka_session *session = kafka_peer_connect(&peers[i]);
        assert_non_null(request(session->members, clock_now_ms()));
        kafka_session_disconnect(session);
        kafka_peer_stop(&peers[i]);
    }
}

static void a_request_on_the_serial_handle_ends_after_three_seconds(void **state)
{
    (void)state;
    struct kafka_peer peer = {.too_long_members = GROUP};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_members *members = session->members;
    const int64_t now_ms = clock_now_ms();
    kafka_members_request(members, GROUP, now_ms);
    receive(members); /* what waits for the serial handle now */
    assert_true(kafka_members_is_pending(members, GROUP, now_ms + 2999));
    const int64_t given_up_ms = kafka_members_next_ms(members);
    assert_in_range(given_up_ms, now_ms + 3000, clock_now_ms() + 3000);
    assert_false(kafka_members_maintain(members, now_ms)); /* it is sent */
    assert_int_equal(kafka_members_next_ms(members), now_ms + 2000);
    assert_true(kafka_members_maintain(members, given_up_ms));
    assert_false(kafka_members_is_pending(members, GROUP, now_ms));
    assert_int_equal(kafka_members_next_ms(members), CLOCK_NEVER); /* it is not sent again */
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* It has all else. */
static void a_task_does_not_wait_for_a_request_that_was_given_up(void **state)
{
    enum { TIMEOUT_MS = 12000 };
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {.too_long_left = {[KAFKA_PEER_DESCRIBE_GROUPS] = 1},
                              .silent_left = {[KAFKA_PEER_DESCRIBE_GROUPS] = INT_MAX}};
    kafka_peer_start(&peer);
    struct trigger trigger =
        trigger_of(&scaler_kafka, PAIRS("bootstrapServers", peer.brokers, "consumerGroup", GROUP,
                                        "topic", "a", "offsetResetPolicy", "earliest"));
    struct test_feed *feed = test_feed_new(&scaler_kafka);
    test_feed_set_timeout(feed, TIMEOUT_MS);
    test_feed_add(feed, trigger.options.query, (struct notifier){0});
    test_feed_task(feed, 0)->task.wants = READING_WANT_CONSUMERS;
    struct kafka_session *session = kafka_peer_connect(&peer);
    const int64_t began_ms = clock_now_ms();
    if (!test_feed_run(feed, session, KAFKA_MOCK_WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
    assert_in_range(clock_now_ms() - began_ms, 0, TIMEOUT_MS - 1);
    assert_waiting(feed, 0, KAFKA_PEER_MESSAGES);
    assert_true(isnan(test_feed_task(feed, 0)->reading.consumers));
    kafka_session_disconnect(session);
    test_feed_free(feed);
    trigger_done(&trigger);
    kafka_peer_stop(&peer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_waited_for_a_second),
        TEST(a_request_that_hangs_alone_needs_another_handle),
        TEST(a_request_does_not_get_an_hour_old),
        TEST(nobody_waits_who_has_an_answer),
        cmocka_unit_test(members_are_known_of_a_group_that_is_stable_or_empty),
        cmocka_unit_test(partitions_are_those_of_members_that_have_some),
        cmocka_unit_test(members_are_kept_until_nobody_uses_them),
        cmocka_unit_test(partitions_take_no_more_than_is_counted),
        cmocka_unit_test(members_are_unknown_where_there_is_no_memory_for_them),
        cmocka_unit_test(members_that_have_come_outlive_their_handle),
        cmocka_unit_test(members_that_are_too_long_are_requested_again_after_minutes),
        cmocka_unit_test(members_are_known_though_their_connection_was_closed),
        cmocka_unit_test(a_request_on_the_serial_handle_ends_after_three_seconds),
        cmocka_unit_test(a_task_does_not_wait_for_a_request_that_was_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
