#include "kafka/session.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/memory.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* For each handle that is made from now on. Returns the settings that work. */
static rd_kafka_conf_t *break_settings(struct kafka_session *session)
{
    char reason[256];
    rd_kafka_conf_t *good = session->client.settings;
    session->client.settings = rd_kafka_conf_dup(good);
    rd_kafka_conf_set(session->client.settings, "security.protocol", "ssl", reason, sizeof(reason));
    rd_kafka_conf_set(session->client.settings, "ssl.ca.location", "/missing", reason,
                      sizeof(reason));
    return good;
}

static void calls_go_on_where_no_new_handle_can_be_had(void **state)
{
    enum { LATER_MS = 10000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 2));
    const void *silent = kafka_mock_query(fixture, "silent", "jobs", 3);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    const rd_kafka_t *handle = session->client.rk;
    rd_kafka_conf_t *good = break_settings(session);
    kafka_mock_make_stale(fixture, 1);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "oordinator");
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_add(fixture, silent);
    assert_true(kafka_mock_measure(fixture));
    assert_ended_with(fixture->feed, 1, TASK_TIMED_OUT, "Kafka group silent");

    assert_true(kafka_commits_needs_renewal(session->commits, clock_now_ms()));
    kafka_session_maintain(session, clock_now_ms() + LATER_MS);
    assert_ptr_equal(session->client.rk, handle);
    assert_false(kafka_commits_is_free(session->commits, "silent", false, 0)); /* on that handle */
    assert_true(kafka_commits_needs_renewal(session->commits, clock_now_ms()));

    rd_kafka_conf_destroy(session->client.settings);
    session->client.settings = good;
    kafka_session_maintain(session, clock_now_ms() + LATER_MS); /* too soon */
    assert_ptr_equal(session->client.rk, handle);
    assert_null(session->client.handles.endings);
    kafka_session_maintain(session, clock_now_ms() + INT64_C(2) * LATER_MS);
    assert_ptr_not_equal(session->client.rk, handle);
    assert_non_null(session->client.handles.endings); /* the former one ends */
    assert_true(kafka_commits_is_free(session->commits, "silent", false, 0));
}

static rd_kafka_topic_partition_list_t *partitions_new(size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, "jobs", (int32_t)i);
    return list;
}

/* The library would have them for an hour. Other brokers hang, too, so that there is no moment in
 * which nobody uses the handle. */
static void a_handle_with_too_much_that_nobody_waits_for_is_renewed(void **state)
{
    enum { EARLIER_MS = 10000 };
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    rd_kafka_event_t *event = NULL;
    struct kafka_offset_answer answer;
    struct kafka_commits_request silent = {.group = "silent"};
    struct kafka_commits_request workers = {.group = "workers"};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_query(fixture, "silent", "jobs", 3);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    struct kafka_handles *handles = &session->client.handles;
    const rd_kafka_t *handle = session->client.rk;
    session->client.opened_ms -= EARLIER_MS;
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, true);
    const int64_t now_ms = clock_now_ms();
    const struct kafka_offset_request offset = {.topic = "jobs",
                                                .leader = 1,
                                                .deadline_ms = now_ms + KAFKA_MOCK_TIMEOUT_MS,
                                                .owner = fixture};
    kafka_offsets_add(session->offsets, &offset);
    kafka_offsets_send(session->offsets);
    assert_true(kafka_handles_is_held(handles, handle));
    rd_kafka_topic_partition_list_t *many = partitions_new(KAFKA_COMMITS_MAX_ABANDONED);
    rd_kafka_topic_partition_list_t *one = partitions_new(1);
    assert_true(kafka_commits_send(session->commits, &workers, one, now_ms, &error));
    assert_true(kafka_commits_send(session->commits, &silent, many, now_ms, &error));
    assert_false(kafka_commits_needs_renewal(session->commits, now_ms));
    kafka_commits_cancel(session->commits, &silent);
    assert_true(kafka_commits_needs_renewal(session->commits, now_ms));

    kafka_mock_hang(fixture, 2, false);
    assert_true(kafka_session_maintain(session, now_ms));
    assert_ptr_not_equal(session->client.rk, handle);
    assert_false(kafka_commits_needs_renewal(session->commits, now_ms));
    assert_true(kafka_commits_is_free(session->commits, "silent", false, now_ms));
    /* What somebody waits for is sent again. */
    assert_false(kafka_commits_is_free(session->commits, "workers", false, now_ms));
    while (kafka_commits_receive(session->commits, &event, now_ms) == NULL)
        assert_true(clock_now_ms() < now_ms + KAFKA_MOCK_WITHIN_MS);
    rd_kafka_event_destroy(event);
    /* The former handle ends with the call that has it. */
    while (!kafka_offsets_receive(session->offsets, &answer, now_ms)) {
        assert_non_null(handles->endings);
        assert_true(clock_now_ms() < now_ms + KAFKA_MOCK_WITHIN_MS);
    }
    assert_ptr_equal(answer.owner, fixture);
    assert_int_equal(answer.error, RD_KAFKA_RESP_ERR__TIMED_OUT);
    assert_false(kafka_offsets_receive(session->offsets, &answer, now_ms));
    while (handles->endings != NULL) {
        assert_true(clock_now_ms() < now_ms + KAFKA_MOCK_WITHIN_MS);
        kafka_handles_poll(handles);
    }
    rd_kafka_topic_partition_list_destroy(many);
    rd_kafka_topic_partition_list_destroy(one);
}

/* Gives the main handle topics that nobody uses any more. */
static void give_former_topics(const struct kafka_session *session, size_t count)
{
    struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *name = text_format("former-%zu", i);
        kafka_topics_for(topics, name, 1);
    }
    kafka_topics_forget_old(topics, KAFKA_FORGET_MS + 2);
}

/* Topics come and go all day, and there is no request for those in use, which would show them. (The
 * mock cluster makes the former ones, so that the pattern must not match them.) */
static void a_handle_with_many_former_topics_of_a_pattern_is_renewed(void **state)
{
    enum { FORMER = 150, EARLIER_MS = 10000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs-1", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs-", 2));
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    const rd_kafka_t *handle = session->client.rk;
    give_former_topics(session, FORMER);
    session->client.opened_ms -= EARLIER_MS;
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_ptr_not_equal(session->client.rk, handle);
    assert_false(kafka_metadata_needs_renewal(session->metadata));
}

/* By the same figures as all else. The former handle still has its memory after a renewal. */
static void a_handle_is_renewed_where_there_is_memory_for_another(void **state)
{
    enum { TOO_MANY = 1000, LATER_MS = 10000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    struct kafka_client *client = &session->client;
    give_former_topics(session, TOO_MANY);
    const double next_bytes = (1 + KAFKA_MEMORY_TOPIC) * KAFKA_MEMORY_PER_PARTITION +
                              kafka_memory_of_handle(&client->memory) + KAFKA_MEMORY_FREE;
    int64_t now_ms = clock_now_ms();
    assert_int_equal(client->memory.partitions, 1 + (TOO_MANY + 1) * KAFKA_MEMORY_TOPIC);
    client->memory.mappable_bytes = kafka_mock_taken(client) + next_bytes - 1;
    assert_false(kafka_session_maintain(session, now_ms += LATER_MS));
    client->memory.mappable_bytes++;
    assert_true(kafka_session_maintain(session, now_ms += LATER_MS));

    client->memory.mappable_bytes = INFINITY;
    give_former_topics(session, TOO_MANY);
    client->memory.mappable_bytes =
        kafka_mock_taken(client) - client->memory.bytes[KAFKA_ACCOUNT_HANDLES] + next_bytes;
    assert_true(kafka_handles_are_ending(&client->handles));
    assert_false(kafka_session_maintain(session, now_ms += LATER_MS));
    while (kafka_handles_are_ending(&client->handles)) {
        assert_true(clock_now_ms() < now_ms);
        kafka_handles_poll(&client->handles);
    }
    assert_true(kafka_session_maintain(session, now_ms + LATER_MS));
}

static void clocks_of_groups_that_are_not_measured_any_more_are_forgotten(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_memory *memory = &session->client.memory;
    const int64_t now_ms = clock_now_ms();
    assert_non_null(
        kafka_persistence_for(&session->persistence, memory, "workers", "jobs", 1, now_ms));
    kafka_session_forget_old(session, now_ms + KAFKA_FORGET_MS);
    assert_non_null(session->persistence);
    kafka_session_forget_old(session, now_ms + INT64_C(2) * KAFKA_FORGET_MS);
    assert_null(session->persistence);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(calls_go_on_where_no_new_handle_can_be_had),
        TEST(a_handle_with_too_much_that_nobody_waits_for_is_renewed),
        TEST(a_handle_with_many_former_topics_of_a_pattern_is_renewed),
        TEST(a_handle_is_renewed_where_there_is_memory_for_another),
        TEST(clocks_of_groups_that_are_not_measured_any_more_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
