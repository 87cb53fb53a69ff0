/* Calls for offsets, against librdkafka's mock cluster: what shares one, what is sent again, and
 * what is cancelled. */
#include "kafka/requests/offsets.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/session.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { LIST_OFFSETS = 2, LEADER = 1 };

static char first_owner, second_owner;

static struct kafka_client *client; /* of the offsets */

/* Partitions of "jobs", all of one leader. Returns what the client requests offsets with. */
static struct kafka_offsets *offsets_of(struct kafka_mock *fixture, int partitions)
{
    rd_kafka_mock_cluster_destroy(fixture->cluster);
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->rk, LEADER);
    kafka_mock_create_topic(fixture, "jobs", partitions, 1);
    kafka_mock_produce(fixture, "jobs", KAFKA_MOCK_MESSAGES); /* to partition 0 */
    kafka_mock_query(fixture, "workers", "jobs", LEADER);
    kafka_mock_connect(fixture);
    client = &((struct kafka_session *)fixture->client)->client;
    return ((const struct kafka_session *)fixture->client)->offsets;
}

static void add_of(struct kafka_offsets *offsets, int32_t leader, int32_t partition,
                   int64_t within_ms, void *owner, void *context)
{
    const struct kafka_offset_request request = {.topic = "jobs",
                                                 .partition = partition,
                                                 .leader = leader,
                                                 .deadline_ms = clock_now_ms() + within_ms,
                                                 .owner = owner,
                                                 .context = context};
    kafka_offsets_add(offsets, &request);
}

static void add(struct kafka_offsets *offsets, int32_t partition, int64_t within_ms, void *owner,
                void *context)
{
    add_of(offsets, LEADER, partition, within_ms, owner, context);
}

/* The first offset instead of the last one. */
static void add_earliest(struct kafka_offsets *offsets, int32_t leader, int32_t partition,
                         void *owner)
{
    kafka_offsets_add(offsets, &(struct kafka_offset_request){
                                   .topic = "jobs",
                                   .partition = partition,
                                   .leader = leader,
                                   .is_earliest = true,
                                   .deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS,
                                   .owner = owner,
                               });
}

/* As measure.c does. False: nothing is running any more. */
static bool receive(struct kafka_offsets *offsets, struct kafka_offset_answer *ret_answer)
{
    for (int64_t deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS;
         clock_now_ms() < deadline_ms;) {
        if (kafka_offsets_receive(offsets, ret_answer, clock_now_ms()))
            return true;
        kafka_offsets_send(offsets);
        if (!kafka_handles_is_held(&client->handles, client->rk))
            return false;
        usleep(1000);
    }
    fail_msg("a call has no answer");
    return false;
}

static void assert_answered(const struct kafka_offset_answer *answer, int32_t first, int count)
{
    assert_int_equal(answer->error, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(answer->list->cnt, count);
    for (int i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *partition = &answer->list->elems[i];
        assert_int_equal(partition->partition, first + i);
        assert_int_equal(partition->err, RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_int_equal(partition->offset, first + i == 0 ? KAFKA_MOCK_MESSAGES : 0);
    }
}

/* Workaround 9: more than a thousand in one call are refused, or take long. */
static void a_call_has_at_most_a_thousand_partitions(void **state)
{
    enum { PARTITIONS = 1001 };
    struct kafka_offsets *offsets = offsets_of(*state, PARTITIONS);
    struct kafka_offset_answer answer;
    for (int32_t i = 0; i < PARTITIONS; i++)
        add(offsets, i, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    assert_true(receive(offsets, &answer));
    assert_answered(&answer, 0, PARTITIONS - 1);
    assert_true(receive(offsets, &answer));
    assert_answered(&answer, PARTITIONS - 1, 1);
    assert_false(receive(offsets, &answer));
}

#if RD_KAFKA_VERSION < 0x020300ff

/* As requested with `contexts`, of which each partition has one. */
static void assert_answered_with(const struct kafka_offset_answer *answer, int32_t first, int count,
                                 const char *contexts)
{
    assert_ptr_equal(answer->owner, &first_owner);
    assert_false(answer->is_earliest);
    assert_answered(answer, first, count);
    for (int i = 0; i < count; i++)
        assert_ptr_equal(answer->list->elems[i].opaque, &contexts[first + i]);
}

/* Workaround 10. The broker refuses all of the first call, of its first half, and of the first
 * partition. */
static void an_error_of_a_call_is_that_of_the_partition_that_stands_alone(void **state)
{
    enum { PARTITIONS = 4 };
    const rd_kafka_resp_err_t denied = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    struct kafka_mock *fixture = *state;
    struct kafka_offsets *offsets = offsets_of(fixture, PARTITIONS);
    struct kafka_offset_answer answer;
    char contexts[PARTITIONS];
    rd_kafka_mock_push_request_errors(fixture->cluster, LIST_OFFSETS, 3, denied, denied, denied);
    for (int32_t i = 0; i < PARTITIONS; i++)
        add(offsets, i, KAFKA_MOCK_WITHIN_MS, &first_owner, &contexts[i]);
    assert_true(receive(offsets, &answer));
    assert_int_equal(answer.error, denied);
    assert_int_equal(answer.list->cnt, 1);
    assert_ptr_equal(answer.list->elems[0].opaque, &contexts[0]);
    /* The larger half does not wait for the rest of the first one. */
    assert_true(receive(offsets, &answer));
    assert_answered_with(&answer, 2, 2, contexts);
    assert_true(receive(offsets, &answer));
    assert_answered_with(&answer, 1, 1, contexts);
    assert_false(receive(offsets, &answer));
}

/* All partitions of a topic that was deleted have it. Their task fails with the first one, and
 * others wait for few calls. */
static void a_partition_with_an_error_is_found_after_few_calls(void **state)
{
    enum { PARTITIONS = 64, CALLS = 7 }; /* with 64, 32, 16, 8, 4, 2, and 1 */
    const rd_kafka_resp_err_t denied = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    struct kafka_mock *fixture = *state;
    struct kafka_offsets *offsets = offsets_of(fixture, PARTITIONS + 1);
    struct kafka_offset_answer answer;
    rd_kafka_mock_push_request_errors(fixture->cluster, LIST_OFFSETS, CALLS, denied, denied, denied,
                                      denied, denied, denied, denied);
    for (int32_t i = 0; i < PARTITIONS; i++)
        add(offsets, i, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    kafka_offsets_send(offsets); /* it runs */
    add(offsets, PARTITIONS, KAFKA_MOCK_WITHIN_MS, &second_owner, NULL);
    assert_true(receive(offsets, &answer));
    assert_ptr_equal(answer.owner, &first_owner);
    assert_int_equal(answer.error, denied);
    assert_int_equal(answer.list->cnt, 1);
    assert_true(receive(offsets, &answer));
    assert_ptr_equal(answer.owner, &second_owner);
    assert_answered(&answer, PARTITIONS, 1);
    kafka_offsets_cancel(offsets, &first_owner);
    assert_false(receive(offsets, &answer));
}

/* What a broker can answer shares calls as before. */
static void an_error_of_a_call_splits_it_in_halves(void **state)
{
    enum { PARTITIONS = 4 };
    struct kafka_mock *fixture = *state;
    struct kafka_offsets *offsets = offsets_of(fixture, PARTITIONS);
    struct kafka_offset_answer answer;
    rd_kafka_mock_push_request_errors(fixture->cluster, LIST_OFFSETS, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    for (int32_t i = 0; i < PARTITIONS; i++)
        add(offsets, i, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    for (int32_t first = 0; first < PARTITIONS; first += 2) {
        assert_true(receive(offsets, &answer));
        assert_answered(&answer, first, 2);
    }
    assert_false(receive(offsets, &answer));
}

#endif

/* Halves of its partitions would not fare better. */
static void a_call_that_times_out_is_not_split(void **state)
{
    enum { SHORT_MS = 300 };
    struct kafka_mock *fixture = *state;
    struct kafka_offsets *offsets = offsets_of(fixture, 2);
    struct kafka_offset_answer answer;
    kafka_mock_hang(fixture, LEADER, true);
    for (int32_t i = 0; i < 2; i++)
        add(offsets, i, SHORT_MS, &first_owner, NULL);
    assert_true(receive(offsets, &answer));
    assert_true(answer.error < RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(answer.list->cnt, 2);
    assert_false(receive(offsets, &answer));
}

static void a_waiting_call_that_is_cancelled_is_not_sent(void **state)
{
    struct kafka_offsets *offsets = offsets_of(*state, 4);
    struct kafka_offset_answer answer;
    add(offsets, 0, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    add(offsets, 1, KAFKA_MOCK_WITHIN_MS, &second_owner, NULL);
    kafka_offsets_send(offsets); /* the first one runs */
    add(offsets, 2, KAFKA_MOCK_WITHIN_MS, &second_owner, NULL);
    add_earliest(offsets, LEADER, 2, &second_owner);
    add(offsets, 3, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    kafka_offsets_cancel(offsets, &second_owner);
    assert_true(receive(offsets, &answer));
    assert_ptr_equal(answer.owner, &first_owner);
    assert_answered(&answer, 0, 1);
    assert_true(receive(offsets, &answer));
    assert_ptr_equal(answer.owner, &first_owner);
    assert_answered(&answer, 3, 1);
    assert_false(receive(offsets, &answer));
}

/* Nobody can stop it; those behind it wait for its end. */
static void the_answer_of_a_running_call_that_is_cancelled_is_dropped(void **state)
{
    struct kafka_offsets *offsets = offsets_of(*state, 2);
    struct kafka_offset_answer answer;
    add(offsets, 0, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    add(offsets, 1, KAFKA_MOCK_WITHIN_MS, &second_owner, NULL);
    kafka_offsets_send(offsets);
    kafka_offsets_cancel(offsets, &first_owner);
    assert_true(kafka_handles_is_held(&client->handles, client->rk));
    assert_true(receive(offsets, &answer));
    assert_ptr_equal(answer.owner, &second_owner);
    assert_answered(&answer, 1, 1);
    assert_false(receive(offsets, &answer));
}

/* Each partition of two owners: one after the other, those behind a slow broker would time out. */
static void what_waits_for_a_leader_shares_a_call(void **state)
{
    enum { OWNERS = 5, SHARED = 1, PARTITIONS = OWNERS + 1 };
    struct kafka_mock *fixture = *state;
    struct kafka_offsets *offsets = offsets_of(fixture, PARTITIONS);
    struct kafka_offset_answer answer;
    char owners[OWNERS];
    char contexts[2];
    add(offsets, 0, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    kafka_offsets_send(offsets); /* it runs */
    for (int32_t i = 0; i < OWNERS; i++) {
        add(offsets, SHARED, KAFKA_MOCK_WITHIN_MS, &owners[i], &contexts[0]);
        add(offsets, (i + 2) % PARTITIONS, KAFKA_MOCK_WITHIN_MS, &owners[i], &contexts[1]);
        kafka_offsets_send(offsets);
    }
    assert_true(receive(offsets, &answer));
    kafka_offsets_send(offsets);
    for (int32_t i = 0; i < OWNERS; i++) {
        /* Nothing else is sent meanwhile: there was one call for all. */
        int64_t deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS;
        while (!kafka_offsets_receive(offsets, &answer, clock_now_ms()))
            assert_true(clock_now_ms() < deadline_ms);
        assert_ptr_equal(answer.owner, &owners[i]);
        assert_int_equal(answer.error, RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_int_equal(answer.list->cnt, 2);
        assert_int_equal(answer.list->elems[0].partition, SHARED);
        assert_int_equal(answer.list->elems[1].partition, (i + 2) % PARTITIONS);
        for (int number = 0; number < 2; number++) {
            const rd_kafka_topic_partition_t *partition = &answer.list->elems[number];
            assert_ptr_equal(partition->opaque, &contexts[number]);
            assert_int_equal(partition->offset,
                             partition->partition == 0 ? KAFKA_MOCK_MESSAGES : 0);
        }
    }
    assert_false(receive(offsets, &answer));
}

static void first_and_last_offsets_share_no_call(void **state)
{
    struct kafka_offsets *offsets = offsets_of(*state, 1);
    struct kafka_offset_answer answer;
    add(offsets, 0, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    add_earliest(offsets, LEADER, 0, &second_owner);
    assert_true(receive(offsets, &answer));
    assert_int_equal(answer.list->elems[0].offset, KAFKA_MOCK_MESSAGES);
    assert_true(receive(offsets, &answer));
    assert_true(answer.is_earliest);
    assert_int_equal(answer.list->elems[0].offset, 0);
    assert_false(receive(offsets, &answer));
}

#if RD_KAFKA_VERSION < 0x020300ff

/* Workaround 10: it is not known whose error that of a call is. */
static void an_error_of_a_shared_call_fails_only_its_own_request(void **state)
{
    const rd_kafka_resp_err_t denied = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    struct kafka_mock *fixture = *state;
    struct kafka_offsets *offsets = offsets_of(fixture, 2);
    struct kafka_offset_answer answer;
    rd_kafka_mock_push_request_errors(fixture->cluster, LIST_OFFSETS, 2, denied, denied);
    add(offsets, 0, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    add(offsets, 1, KAFKA_MOCK_WITHIN_MS, &second_owner, NULL);
    size_t failed = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(receive(offsets, &answer));
        failed += answer.error == denied;
        if (answer.error != denied)
            assert_answered(&answer, answer.owner == &first_owner ? 0 : 1, 1);
    }
    assert_int_equal(failed, 1);
    assert_false(receive(offsets, &answer));
}

#endif

/* Or those that are first would have the threads for as long as they have more. */
static void a_leader_that_has_more_waits_behind_the_others(void **state)
{
    enum { THREADS = 32, LAST = THREADS + 1 };
    struct kafka_offsets *offsets = offsets_of(*state, LAST);
    struct kafka_offset_answer answer;
    for (int32_t leader = 1; leader <= LAST; leader++) {
        add_of(offsets, leader, leader - 1, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
        add_earliest(offsets, leader, leader - 1, &first_owner); /* in another call */
    }
    kafka_offsets_send(offsets);
    assert_string_equal(kafka_offsets_reason_unsent(offsets, LAST),
                        "too many other brokers do not answer");
    const int64_t deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS;
    while (!kafka_offsets_receive(offsets, &answer, clock_now_ms())) {
        assert_true(clock_now_ms() < deadline_ms);
        usleep(1000);
    }
    kafka_offsets_send(offsets);
    assert_null(kafka_offsets_reason_unsent(offsets, LAST));
    for (int i = 1; i < 2 * LAST; i++)
        assert_true(receive(offsets, &answer));
    assert_false(receive(offsets, &answer));
}

static void a_cancelled_call_that_fails_is_not_sent_again(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_offsets *offsets = offsets_of(fixture, 2);
    struct kafka_offset_answer answer;
    rd_kafka_mock_push_request_errors(fixture->cluster, LIST_OFFSETS, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    for (int32_t i = 0; i < 2; i++)
        add(offsets, i, KAFKA_MOCK_WITHIN_MS, &first_owner, NULL);
    kafka_offsets_send(offsets);
    kafka_offsets_cancel(offsets, &first_owner);
    assert_false(receive(offsets, &answer));
}

/* Another's reply on their connection was too long. At the fifth time the reason is another one. */
static void a_call_whose_connection_was_closed_is_sent_again(void **state)
{
    (void)state;
    for (int closed = 4; closed <= 5; closed++) {
        struct kafka_peer peer = {.too_long_left = {[KAFKA_PEER_LIST_OFFSETS] = closed}};
        kafka_peer_start(&peer);
        struct kafka_session *session = kafka_peer_connect(&peer);
        struct kafka_offset_answer answer;
        client = &session->client;
        kafka_offsets_add(session->offsets,
                          &(struct kafka_offset_request){
                              .topic = "a",
                              .leader = LEADER,
                              .deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS,
                              .owner = &first_owner,
                          });
        assert_true(receive(session->offsets, &answer));
        bool is_answered = answer.error == RD_KAFKA_RESP_ERR_NO_ERROR &&
                           answer.list->elems[0].offset == KAFKA_PEER_MESSAGES;
        assert_int_equal(is_answered, closed < 5);
        /* Nothing else was requested: a connection that is closed is no answer. */
        assert_int_equal(client->answered_ms != 0, is_answered);
        assert_false(receive(session->offsets, &answer));
        kafka_session_disconnect(session);
        kafka_peer_stop(&peer);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_call_has_at_most_a_thousand_partitions),
#if RD_KAFKA_VERSION < 0x020300ff
        TEST(an_error_of_a_call_is_that_of_the_partition_that_stands_alone),
        TEST(a_partition_with_an_error_is_found_after_few_calls),
        TEST(an_error_of_a_call_splits_it_in_halves),
#endif
        TEST(a_call_that_times_out_is_not_split),
        TEST(a_waiting_call_that_is_cancelled_is_not_sent),
        TEST(the_answer_of_a_running_call_that_is_cancelled_is_dropped),
        TEST(what_waits_for_a_leader_shares_a_call),
        TEST(first_and_last_offsets_share_no_call),
#if RD_KAFKA_VERSION < 0x020300ff
        TEST(an_error_of_a_shared_call_fails_only_its_own_request),
#endif
        TEST(a_leader_that_has_more_waits_behind_the_others),
        TEST(a_cancelled_call_that_fails_is_not_sent_again),
        cmocka_unit_test(a_call_whose_connection_was_closed_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
