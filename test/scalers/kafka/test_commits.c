/* Groups whose coordinator hangs, moves or is not found, and what comes when their tasks
 * have ended. */
#include "kafka/requests/commits.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/param.h>
#include <unistd.h>
#include <cmocka.h>

/* Without a time-out of its own, the library goes on waiting for the old coordinator. */
static void a_group_whose_coordinator_moved_is_answered_on_another_handle(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 3));
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    session->renewal_at_ms = CLOCK_NEVER; /* there is none here, however long it takes */
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_hang(fixture, 3, true);
    kafka_mock_set_coordinator(fixture, "moved", 2);
    int64_t began_ms = clock_now_ms();
    test_feed_set_timeout(fixture->feed, 5000);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_true(clock_now_ms() - began_ms >= 1000); /* the main handle had its chance */
    assert_true(kafka_commits_needs_renewal(session->commits, clock_now_ms()));
    /* From now on at once. */
    began_ms = clock_now_ms();
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_true(clock_now_ms() - began_ms < 1000);
    /* Once it is idle the other handle ends. */
    enum { IDLE_MS = 61 * 1000 };
    size_t endings = kafka_handles_stuck(&session->client.handles, CLOCK_NEVER); /* all there are */
    kafka_commits_maintain(session->commits, clock_now_ms() + IDLE_MS);
    assert_int_equal(kafka_handles_stuck(&session->client.handles, CLOCK_NEVER), endings + 1);
}

/* By the main handle and the second one, for the one that takes its place; then by the second one
 * at once. */
static void a_group_whose_coordinator_is_elsewhere_is_sent_again_in_its_time(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 3));
    kafka_mock_connect(fixture);
    for (size_t stale = 2; stale > 0; stale--) {
        kafka_mock_make_stale(fixture, stale);
        kafka_mock_run_again(fixture);
        kafka_mock_assert_answered(fixture, 0);
    }
}

static void a_group_that_no_broker_coordinates_fails(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 3));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    for (int i = 0; i < 2; i++) { /* by the same handles, too */
        test_feed_task(fixture->feed, 1)->task.isolate = i == 1;
        kafka_mock_make_stale(fixture, 6);
        kafka_mock_run_again(fixture);
        for (size_t task = 0; task < 2; task++)
            kafka_mock_assert_failed(fixture, task, "oordinator");
    }
    test_feed_again(fixture->feed);
    rd_kafka_mock_clear_request_errors(fixture->cluster, 9);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    kafka_mock_assert_answered(fixture, 1);
}

static void a_group_that_timed_out_is_right_once_it_has_a_coordinator(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "silent", "jobs", 3));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group silent");
    }
    kafka_mock_set_coordinator(fixture, "silent", 2);
    test_feed_set_timeout(fixture->feed, 5000);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

static void assert_next_answer(struct kafka_commits *commits,
                               const struct kafka_commits_request *expected, int64_t now_ms)
{
    rd_kafka_event_t *event = NULL;
    const struct kafka_commits_request *answered = NULL;
    for (int64_t began_ms = clock_now_ms();
         answered == NULL && clock_now_ms() < began_ms + KAFKA_MOCK_WITHIN_MS;)
        answered = kafka_commits_receive(commits, &event, now_ms);
    assert_ptr_equal(answered, expected);
    assert_int_equal(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
}

/* Brokers close connections whose login has expired, proxies those that are idle or old. */
static void a_connection_that_is_closed_fails_no_group(void **state)
{
    struct kafka_mock *fixture = *state;
    enum { OFFSET_FETCH = 9 };
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    for (int i = 0; i < 2; i++) { /* on the second handle, too */
        test_feed_task(fixture->feed, 0)->task.isolate = i == 1;
        rd_kafka_mock_push_request_errors(fixture->cluster, OFFSET_FETCH, 1,
                                          RD_KAFKA_RESP_ERR__TRANSPORT);
        kafka_mock_run_again(fixture);
        kafka_mock_assert_answered(fixture, 0);
    }
}

/* The connection of one of the handles is closed twice, as by a proxy: the other call goes on. */
static void a_request_on_both_handles_is_answered_though_one_fails(void **state)
{
    enum { OFFSET_FETCH = 9, SILENT_MS = 1000 };
    static const int32_t main_broker = 2, second_broker = 3;
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", main_broker));
    kafka_mock_connect(fixture);
    struct kafka_commits *commits = ((struct kafka_session *)fixture->client)->commits;
    for (int i = 0; i < 2; i++) {
        const bool second_fails = i == 1;
        const int32_t failing = second_fails ? second_broker : main_broker;
        const int32_t silent = second_fails ? main_broker : second_broker;
        _cleanup_(error_done) struct error error = {0};
        rd_kafka_event_t *event = NULL;
        struct kafka_commits_request request = {.group = "workers"};
        kafka_mock_run_again(fixture); /* the main handle knows the coordinator */
        kafka_mock_hang(fixture, silent, true);
        rd_kafka_mock_broker_push_request_error_rtts(fixture->cluster, failing, OFFSET_FETCH, 2,
                                                     RD_KAFKA_RESP_ERR__TRANSPORT, 0,
                                                     RD_KAFKA_RESP_ERR__TRANSPORT, 0);
        int64_t now_ms = clock_now_ms();
        assert_true(kafka_commits_send(commits, &request, NULL, now_ms, &error));
        kafka_mock_set_coordinator(fixture, "workers", second_broker);
        now_ms += SILENT_MS;
        kafka_commits_maintain(commits, now_ms);
        assert_false(kafka_commits_is_free(commits, "workers", second_fails, now_ms));
        for (int64_t began_ms = clock_now_ms();
             !kafka_commits_is_free(commits, "workers", second_fails, now_ms);) {
            assert_true(clock_now_ms() < began_ms + KAFKA_MOCK_WITHIN_MS);
            assert_null(kafka_commits_receive(commits, &event, now_ms));
        }
        kafka_commits_maintain(commits, now_ms); /* it is not sent there again */
        assert_true(kafka_commits_is_free(commits, "workers", second_fails, now_ms));
        if (second_fails)
            kafka_mock_set_coordinator(fixture, "workers", main_broker);
        kafka_mock_hang(fixture, silent, false);
        assert_next_answer(commits, &request, now_ms);
        kafka_mock_set_coordinator(fixture, "workers", main_broker);
    }
}

/* Its answer on the second handle says nothing of the main one, whose call is merely slower. */
static void a_group_that_is_not_silent_needs_no_renewal(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request slow = {.group = "workers"};
    struct kafka_commits_request isolated = {.group = "workers", .isolate = true};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    const struct kafka_session *session = fixture->client;
    struct kafka_commits *commits = session->commits;
    kafka_mock_hang(fixture, 2, true);
    int64_t sent_ms = clock_now_ms();
    assert_true(kafka_commits_send(commits, &slow, NULL, sent_ms, &error));
    kafka_mock_set_coordinator(fixture, "workers", 1);
    assert_true(kafka_commits_send(commits, &isolated, NULL, sent_ms, &error));
    assert_next_answer(commits, &isolated, sent_ms + 999);
    assert_false(kafka_commits_needs_renewal(commits, sent_ms + 999));
    /* The loop wakes for another second handle only where that is of use to a call. */
    const int64_t now_ms = sent_ms + 1000;
    assert_int_equal(kafka_commits_next_ms(commits, now_ms), CLOCK_NEVER);
    kafka_mock_hang(fixture, 1, true);
    assert_true(kafka_commits_send(commits, &isolated, NULL, now_ms, &error));
    assert_int_equal(kafka_commits_next_ms(commits, now_ms), CLOCK_NEVER);
    kafka_commits_cancel(commits, &isolated);
    assert_in_range(kafka_commits_next_ms(commits, now_ms), now_ms + 1, now_ms + 2000);
    kafka_commits_cancel(commits, &slow);
}

static void a_group_that_answers_again_needs_no_renewal(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request hanging = {.group = "workers"};
    struct kafka_commits_request isolated = {.group = "workers", .isolate = true};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_commits *commits = ((struct kafka_session *)fixture->client)->commits;
    kafka_mock_hang(fixture, 2, true);
    int64_t now_ms = clock_now_ms();
    assert_true(kafka_commits_send(commits, &hanging, NULL, now_ms, &error));
    now_ms += 1000;
    kafka_mock_set_coordinator(fixture, "workers", 1);
    assert_true(kafka_commits_send(commits, &isolated, NULL, now_ms, &error));
    assert_next_answer(commits, &isolated, now_ms);
    assert_true(kafka_commits_needs_renewal(commits, now_ms));
    kafka_mock_set_coordinator(fixture, "workers", 2);
    kafka_mock_hang(fixture, 2, false);
    assert_next_answer(commits, &hanging, now_ms);
    kafka_mock_hang(fixture, 2, true);
    assert_true(kafka_commits_send(commits, &hanging, NULL, now_ms, &error));
    assert_false(kafka_commits_needs_renewal(commits, now_ms));
    kafka_commits_cancel(commits, &hanging);
}

/* If its coordinator hangs, the group's other tasks do not wait for it. */
static void an_isolated_request_leaves_the_main_handle_free(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request isolated = {.group = "workers", .isolate = true};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_commits *commits = ((struct kafka_session *)fixture->client)->commits;
    int64_t now_ms = clock_now_ms();
    assert_true(kafka_commits_send(commits, &isolated, NULL, now_ms, &error));
    assert_true(kafka_commits_is_free(commits, "workers", false, now_ms));
    kafka_commits_cancel(commits, &isolated);
}

static void an_isolated_task_is_answered_like_any_other(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    test_feed_task(fixture->feed, 0)->task.isolate = true;
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    test_feed_task(fixture->feed, 0)->task.isolate = false;
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

static void a_group_has_one_call_at_a_time(void **state)
{
    struct kafka_mock *fixture = *state;
    const int rtt_ms = 300;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "more", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "quick", "jobs", 1));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "more", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_set_rtt(fixture, 2, rtt_ms);
    test_feed_set_timeout(fixture->feed, 5000);
    /* The third comes when the second ends, while the first one's call is under way: it waits its
     * turn. */
    feed_set_max_tasks(test_feed_task(fixture->feed, 0)->task.feed, 2, 2);
    int64_t began_ms = clock_now_ms();
    kafka_mock_run_again(fixture);
    for (size_t i = 0; i < 3; i++)
        kafka_mock_assert_answered(fixture, i);
    assert_int_equal(test_feed_task(fixture->feed, 1)->order, 1);
    assert_true(clock_now_ms() - began_ms >= 2 * (int64_t)rtt_ms);
    /* Only what waited begins again: its reading is of then. */
    assert_int_equal(test_feed_task(fixture->feed, 0)->started, 0);
    assert_int_equal(test_feed_task(fixture->feed, 2)->started, 1);
}

static void a_group_that_hangs_again_delays_no_other_group(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "silent", "jobs", 3));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group silent");
        assert_true(test_feed_task(fixture->feed, 0)->task.isolate);
        kafka_mock_assert_answered(fixture, 1);
        assert_int_equal(test_feed_task(fixture->feed, 1)->order, 1);
    }
}

static void a_late_answer_is_nobodys(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "slow", "jobs", 3));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_set_rtt(fixture, 3, KAFKA_MOCK_TIMEOUT_MS * 3 / 2);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group slow");
    }
    kafka_mock_set_rtt(fixture, 3, 0);
    test_feed_set_timeout(fixture->feed, 5000);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

/* Those of both groups, "workers" and "silent". */
static const struct kafka_session *connect_to_hanging_coordinators(struct kafka_mock *fixture)
{
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_query(fixture, "silent", "jobs", 3);
    kafka_mock_connect(fixture);
    for (int32_t broker = 2; broker <= 3; broker++)
        kafka_mock_hang(fixture, broker, true);
    return fixture->client;
}

/* There may be no memory to renew it: then other groups go on all the same. */
static void a_main_handle_with_too_much_that_nobody_waits_for_takes_no_request(void **state)
{
    enum { WHOLE = KAFKA_COMMITS_MAX_ABANDONED + KAFKA_MEMORY_REQUEST };
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request silent = {.group = "silent"};
    struct kafka_commits_request young = {.group = "young"};
    struct kafka_commits_request workers = {.group = "workers"};
    const struct kafka_session *session = connect_to_hanging_coordinators(fixture);
    const struct kafka_memory *memory = &session->client.memory;
    struct kafka_commits *commits = session->commits;
    const int64_t now_ms = clock_now_ms();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    for (int32_t i = 0; i < KAFKA_COMMITS_MAX_ABANDONED; i++)
        rd_kafka_topic_partition_list_add(list, "jobs", i);
    assert_true(kafka_commits_send(commits, &young, NULL, now_ms, &error));
    assert_true(kafka_commits_send(commits, &silent, list, now_ms, &error));
    assert_false(kafka_commits_has_second_handle(commits));
    kafka_commits_cancel(commits, &silent);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_ABANDONED], WHOLE * KAFKA_MEMORY_PER_ABANDONED,
                       0);
    assert_false(kafka_commits_is_free(commits, "young", false, now_ms)); /* it has its call */
    list->cnt = 1; /* the rest is freed below */
    assert_true(kafka_commits_send(commits, &workers, list, now_ms, &error));
    list->cnt = KAFKA_COMMITS_MAX_ABANDONED;
    rd_kafka_topic_partition_list_destroy(list);
    assert_true(kafka_commits_has_second_handle(commits));
    kafka_mock_hang(fixture, 2, false);
    assert_next_answer(commits, &workers, now_ms);
    /* What it has is the former handle's once it is renewed. */
    const double others_bytes = memory->bytes[KAFKA_ACCOUNT_HANDLES];
    kafka_commits_close_handle(commits);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_ABANDONED], 0, 0);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_HANDLES] - others_bytes,
                       (WHOLE + KAFKA_MEMORY_REQUEST) * KAFKA_MEMORY_PER_ABANDONED, 0);
    kafka_commits_open_handle(commits);
    kafka_commits_cancel(commits, &young);
}

/* The library would have them until the handle ends. */
static void the_second_handle_has_not_too_much_that_nobody_waits_for(void **state)
{
    enum { RENEW_MS = 2000 };
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request silent = {.group = "silent", .isolate = true};
    struct kafka_commits_request workers = {.group = "workers", .isolate = true};
    const struct kafka_session *session = connect_to_hanging_coordinators(fixture);
    struct kafka_commits *commits = session->commits;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    for (int32_t i = 0; i < KAFKA_COMMITS_MAX_ABANDONED; i++)
        rd_kafka_topic_partition_list_add(list, "jobs", i);
    int64_t now_ms = clock_now_ms();
    assert_true(kafka_commits_send(commits, &silent, list, now_ms, &error));
    kafka_commits_cancel(commits, &silent);
    list->cnt = 1; /* the rest is freed below */
    assert_true(kafka_commits_send(commits, &workers, list, now_ms, &error));
    list->cnt = KAFKA_COMMITS_MAX_ABANDONED;
    rd_kafka_topic_partition_list_destroy(list);
    kafka_commits_maintain(commits, now_ms + RENEW_MS - 1);
    assert_null(session->client.handles.endings);
    assert_int_equal(kafka_commits_next_ms(commits, now_ms), now_ms + RENEW_MS);
    /* What somebody waits for is sent again. */
    kafka_mock_hang(fixture, 2, false);
    kafka_commits_maintain(commits, now_ms + RENEW_MS);
    assert_non_null(session->client.handles.endings);
    assert_true(kafka_commits_is_free(commits, "silent", true, now_ms + RENEW_MS));
    assert_next_answer(commits, &workers, now_ms + RENEW_MS);
}

/* Counts the attempts to make a handle, each of which has a copy of the settings. */
static rd_kafka_resp_err_t count_copy(rd_kafka_conf_t *copy, const rd_kafka_conf_t *settings,
                                      size_t filter_count, const char **filter, void *opaque)
{
    (void)copy;
    (void)settings;
    (void)filter_count;
    (void)filter;
    ++*(size_t *)opaque;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Each attempt takes time, and none soon after it is more successful. */
static void the_second_handle_is_not_tried_again_soon(void **state)
{
    enum { SILENT_MS = 1000, RETRY_MS = 500 };
    struct kafka_mock *fixture = *state;
    char reason[256];
    size_t attempts = 0;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request silent = {.group = "silent"};
    struct kafka_commits_request workers = {.group = "workers"};
    const struct kafka_session *session = connect_to_hanging_coordinators(fixture);
    struct kafka_commits *commits = session->commits;
    rd_kafka_conf_t *settings = session->client.settings;
    rd_kafka_conf_set(settings, "security.protocol", "ssl", reason, sizeof(reason));
    rd_kafka_conf_set(settings, "ssl.ca.location", "/missing", reason, sizeof(reason));
    rd_kafka_conf_interceptor_add_on_conf_dup(settings, "test", count_copy, &attempts);
    const int64_t now_ms = clock_now_ms();
    assert_true(kafka_commits_send(commits, &silent, NULL, now_ms, &error));
    assert_true(kafka_commits_send(commits, &workers, NULL, now_ms, &error));
    for (size_t attempt = 1; attempt <= 2; attempt++) {
        const int64_t attempt_ms = now_ms + SILENT_MS + (int64_t)(attempt - 1) * RETRY_MS;
        for (int turn = 0; turn < 3; turn++) {
            kafka_commits_maintain(commits, attempt_ms);
            kafka_commits_maintain(commits, attempt_ms + RETRY_MS - 1);
            assert_int_equal(attempts, attempt);
        }
        assert_int_equal(kafka_client_side_retry_ms(&session->client, attempt_ms),
                         attempt_ms + RETRY_MS);
        assert_int_equal(kafka_client_side_retry_ms(&session->client, attempt_ms + RETRY_MS),
                         CLOCK_NEVER);
    }
    kafka_commits_cancel(commits, &silent);
    kafka_commits_cancel(commits, &workers);
}

/* Though nothing else is wrong with it: a call that times out may end the process. */
static void the_main_handle_is_renewed_before_a_call_is_an_hour_old(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request silent = {.group = "silent"};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "silent", "jobs", 3);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    kafka_mock_hang(fixture, 3, true);
    const int64_t now_ms = clock_now_ms();
    const int64_t old_ms = now_ms + KAFKA_MAX_CALL_MS;
    assert_true(kafka_commits_send(session->commits, &silent, NULL, now_ms, &error));
    kafka_commits_cancel(session->commits, &silent);
    assert_false(kafka_commits_needs_renewal(session->commits, old_ms - 1));
    assert_true(kafka_commits_needs_renewal(session->commits, old_ms));
    assert_true(kafka_session_maintain(session, old_ms));
    assert_false(kafka_commits_needs_renewal(session->commits, old_ms + KAFKA_MAX_CALL_MS));
    assert_true(kafka_commits_is_free(session->commits, "silent", false, old_ms));
}

/* What others still wait for there is sent again. */
static void the_second_handle_is_renewed_before_a_call_is_an_hour_old(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request silent = {.group = "silent", .isolate = true};
    struct kafka_commits_request workers = {.group = "workers", .isolate = true};
    const struct kafka_session *session = connect_to_hanging_coordinators(fixture);
    struct kafka_commits *commits = session->commits;
    const int64_t now_ms = clock_now_ms();
    const int64_t old_ms = now_ms + KAFKA_MAX_CALL_MS;
    assert_true(kafka_commits_send(commits, &silent, NULL, now_ms, &error));
    assert_true(kafka_commits_send(commits, &workers, NULL, now_ms, &error));
    kafka_commits_maintain(commits, old_ms); /* somebody waits for each of them */
    assert_null(session->client.handles.endings);
    kafka_commits_cancel(commits, &silent);
    kafka_commits_maintain(commits, old_ms - 1);
    assert_null(session->client.handles.endings);
    kafka_mock_hang(fixture, 2, false);
    kafka_commits_maintain(commits, old_ms);
    assert_non_null(session->client.handles.endings);
    assert_next_answer(commits, &workers, old_ms);
}

/* ---- replies that are too long ---- */

static const struct kafka_commits_request *receive(struct kafka_commits *commits, int64_t now_ms,
                                                   const char **ret_reason)
{
    rd_kafka_resp_err_t code;
    rd_kafka_event_t *event = NULL;
    const struct kafka_commits_request *request = NULL;
    for (int i = 0; request == NULL && i < KAFKA_MOCK_WITHIN_MS; i++) {
        kafka_commits_maintain(commits, now_ms);
        usleep(1000);
        request = kafka_commits_receive(commits, &event, now_ms);
    }
    assert_non_null(request);
    *ret_reason = NULL;
    kafka_commits_result(commits, request->group, event, ret_reason, &code);
    rd_kafka_event_destroy(event);
    return request;
}

static rd_kafka_topic_partition_list_t *partition(void)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "a", 0);
    return list;
}

static void commits_that_are_too_long_are_requested_again_after_minutes(void **state)
{
    (void)state;
    enum { SUSPENDED_MS = 5 * 60 * 1000 };
    _cleanup_(error_done) struct error error = {0};
    const char *reason;
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_peer peer = {.too_long_commits = "workers"};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_commits *commits = session->commits;
    rd_kafka_topic_partition_list_t *list = partition();
    int64_t now_ms = clock_now_ms();
    assert_true(kafka_commits_send(commits, &request, list, now_ms, &error));
    assert_ptr_equal(receive(commits, now_ms, &reason), &request);
    assert_string_equal(reason, "they are longer than 4 MiB, or malformed: its consumers must "
                                "commit less metadata with their offsets; retrying every 5 "
                                "minutes");
    assert_int_equal(peer.too_long_count, 2); /* on either handle */
    assert_true(kafka_commits_is_free(commits, "workers", false, now_ms));
    assert_string_equal(
        kafka_commits_reason_suspended(commits, "workers", now_ms + SUSPENDED_MS - 1), reason);
    peer.too_long_commits = NULL;
    now_ms += SUSPENDED_MS;
    assert_null(kafka_commits_reason_suspended(commits, "workers", now_ms));
    assert_true(kafka_commits_send(commits, &request, list, now_ms, &error));
    assert_false(kafka_commits_is_free(commits, "workers", false, now_ms));
    assert_false(kafka_commits_is_free(commits, "workers", true, now_ms));
    assert_ptr_equal(receive(commits, now_ms, &reason), &request);
    assert_null(reason);
    /* On the main handle from now on. */
    peer.too_long_commits = "workers";
    assert_true(kafka_commits_send(commits, &request, list, now_ms, &error));
    assert_ptr_equal(receive(commits, now_ms, &reason), &request);
    assert_non_null(reason);
    assert_int_equal(peer.too_long_count, 4);
    rd_kafka_topic_partition_list_destroy(list);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* Those that find no room on the serial handle are sent again on theirs. */
static void one_of_many_groups_fails_alone(void **state)
{
    (void)state;
    enum { MANY = 40 };
    _cleanup_(error_done) struct error error = {0};
    const char *reason;
    char names[MANY][16];
    struct kafka_commits_request requests[MANY];
    struct kafka_peer peer = {.too_long_commits = "g20"};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_commits *commits = session->commits;
    rd_kafka_topic_partition_list_t *list = partition();
    const int64_t now_ms = clock_now_ms();
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "g%d", i);
        requests[i] = (struct kafka_commits_request){.group = names[i]};
        assert_true(kafka_commits_send(commits, &requests[i], list, now_ms, &error));
    }
    for (int i = 0; i < MANY; i++) {
        const struct kafka_commits_request *request = receive(commits, now_ms, &reason);
        assert_int_equal(reason != NULL, request == &requests[20]);
    }
    rd_kafka_topic_partition_list_destroy(list);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

enum { MANY = 100 };

/* Sends all, and takes their answers. Those of the two groups (-1: none) are errors. Returns how
 * many have waited together for the serial handle. */
static int measure_many(struct kafka_commits *commits, struct kafka_commits_request *requests,
                        int first, int second)
{
    int max_waiting = 0;
    _cleanup_(error_done) struct error error = {0};
    const char *reason;
    const int64_t now_ms = clock_now_ms();
    rd_kafka_topic_partition_list_t *list = partition();
    for (int i = 0; i < MANY; i++)
        assert_true(kafka_commits_send(commits, &requests[i], list, now_ms, &error));
    for (int i = 0; i < MANY; i++) {
        long index = receive(commits, now_ms, &reason) - requests;
        assert_int_equal(reason != NULL, index == first || index == second);
        int waiting = 0;
        for (int group = 0; group < MANY; group++)
            waiting += kafka_commits_is_waiting(commits, requests[group].group);
        max_waiting = MAX(max_waiting, waiting);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return max_waiting;
}

/* Both are found among the others, few of which wait for the serial handle meanwhile. */
static void two_of_many_groups_fail_alone(void **state)
{
    (void)state;
    enum { SERIAL = 16 + 1 };
    char names[MANY][16];
    struct kafka_commits_request requests[MANY];
    struct kafka_peer peer = {.delay_ms = 1};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "g%d", i);
        requests[i] = (struct kafka_commits_request){.group = names[i]};
    }
    measure_many(session->commits, requests, -1, -1); /* all coordinators are known */
    peer.too_long_commits = "g0,g50";
    assert_in_range(measure_many(session->commits, requests, 0, 50), 1, SERIAL);
    assert_int_equal(peer.too_long_count, 4); /* of each on either handle */
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* Its reply on the serial handle comes when nobody waits for it any more. */
static void a_group_whose_task_has_ended_is_found_to_be_too_long(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_peer peer = {.too_long_commits = "workers", .delay_ms = 20};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_commits *commits = session->commits;
    rd_kafka_topic_partition_list_t *list = partition();
    const int64_t now_ms = clock_now_ms();
    rd_kafka_event_t *event;
    assert_true(kafka_commits_send(commits, &request, list, now_ms, &error));
    while (!kafka_commits_is_waiting(commits, "workers")) {
        usleep(1000);
        assert_null(kafka_commits_receive(commits, &event, now_ms));
    }
    kafka_commits_maintain(commits, now_ms); /* it is sent */
    kafka_commits_cancel(commits, &request);
    while (kafka_commits_reason_suspended(commits, "workers", now_ms) == NULL) {
        usleep(1000);
        assert_null(kafka_commits_receive(commits, &event, now_ms));
    }
    assert_int_equal(peer.too_long_count, 2);
    rd_kafka_topic_partition_list_destroy(list);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

/* The library has its copy of them until the answer comes, or the handle is gone. */
static void partitions_count_that_nobody_waits_for_on_the_serial_handle(void **state)
{
    (void)state;
    enum { HANGS_MS = 2000, COPY_BYTES = (1 + KAFKA_MEMORY_REQUEST) * KAFKA_MEMORY_PER_ABANDONED };
    _cleanup_(error_done) struct error error = {0};
    const char *reason;
    rd_kafka_event_t *event;
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_peer peer = {.too_long_commits = "workers"};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    const struct kafka_client *client = &session->client;
    struct kafka_commits *commits = session->commits;
    rd_kafka_topic_partition_list_t *list = partition();
    int64_t now_ms = clock_now_ms();
    assert_true(kafka_commits_send(commits, &request, list, now_ms, &error));
    assert_ptr_equal(receive(commits, now_ms, &reason), &request);
    assert_true(kafka_commits_send(commits, &request, list, now_ms, &error)); /* remembered */
    kafka_commits_maintain(commits, now_ms);
    double bytes = kafka_mock_taken(client);
    kafka_commits_cancel(commits, &request);
    assert_float_equal(kafka_mock_taken(client), bytes + COPY_BYTES, 0);
    for (int i = 0; kafka_mock_taken(client) > bytes && i < KAFKA_MOCK_WITHIN_MS; i++) {
        usleep(1000);
        assert_null(kafka_commits_receive(commits, &event, now_ms));
    }
    assert_float_equal(kafka_mock_taken(client), bytes, 0);
    /* Two handles end without an answer: somebody waits for that of the first one. */
    assert_true(kafka_commits_send(commits, &request, list, now_ms, &error));
    kafka_commits_maintain(commits, now_ms);
    kafka_commits_maintain(commits, now_ms += HANGS_MS);
    bytes += COPY_BYTES + kafka_memory_of_handle(&client->memory);
    assert_float_equal(kafka_mock_taken(client), bytes, 0);
    kafka_commits_cancel(commits, &request);
    kafka_commits_maintain(commits, now_ms + HANGS_MS);
    assert_float_equal(kafka_mock_taken(client), bytes + COPY_BYTES, 0);
    rd_kafka_topic_partition_list_destroy(list);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

static void a_request_on_the_serial_handle_can_be_cancelled(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    const char *reason;
    struct kafka_commits_request requests[] = {{.group = "0"}, {.group = "1"}, {.group = "2"}};
    struct kafka_peer peer = {.too_long_left = {[KAFKA_PEER_OFFSET_FETCH] = 1}, .delay_ms = 20};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_commits *commits = session->commits;
    rd_kafka_topic_partition_list_t *list = partition();
    const int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        assert_true(kafka_commits_send(commits, &requests[i], list, now_ms, &error));
    /* Until all are there, or have been answered. */
    rd_kafka_event_t *event;
    while (peer.too_long_count == 0)
        usleep(1000);
    usleep(100 * 1000);
    assert_null(kafka_commits_receive(commits, &event, now_ms));
    kafka_commits_maintain(commits, now_ms); /* the first is sent */
    kafka_commits_cancel(commits, &requests[0]);
    kafka_commits_cancel(commits, &requests[1]);
    assert_ptr_equal(receive(commits, now_ms, &reason), &requests[2]);
    assert_null(reason);
    assert_true(kafka_commits_is_free(commits, "0", false, now_ms));
    rd_kafka_topic_partition_list_destroy(list);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_group_whose_coordinator_moved_is_answered_on_another_handle),
        TEST(a_group_whose_coordinator_is_elsewhere_is_sent_again_in_its_time),
        TEST(a_group_that_no_broker_coordinates_fails),
        TEST(a_group_that_timed_out_is_right_once_it_has_a_coordinator),
        TEST(a_connection_that_is_closed_fails_no_group),
        TEST(a_request_on_both_handles_is_answered_though_one_fails),
        TEST(a_group_that_is_not_silent_needs_no_renewal),
        TEST(a_group_that_answers_again_needs_no_renewal),
        TEST(an_isolated_request_leaves_the_main_handle_free),
        TEST(an_isolated_task_is_answered_like_any_other),
        TEST(a_group_has_one_call_at_a_time),
        TEST(a_group_that_hangs_again_delays_no_other_group),
        TEST(a_late_answer_is_nobodys),
        TEST(a_main_handle_with_too_much_that_nobody_waits_for_takes_no_request),
        TEST(the_second_handle_has_not_too_much_that_nobody_waits_for),
        TEST(the_second_handle_is_not_tried_again_soon),
        TEST(the_main_handle_is_renewed_before_a_call_is_an_hour_old),
        TEST(the_second_handle_is_renewed_before_a_call_is_an_hour_old),
        cmocka_unit_test(commits_that_are_too_long_are_requested_again_after_minutes),
        cmocka_unit_test(one_of_many_groups_fails_alone),
        cmocka_unit_test(two_of_many_groups_fail_alone),
        cmocka_unit_test(a_group_whose_task_has_ended_is_found_to_be_too_long),
        cmocka_unit_test(partitions_count_that_nobody_waits_for_on_the_serial_handle),
        cmocka_unit_test(a_request_on_the_serial_handle_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
