/* Groups whose coordinator hangs, moves or is not found, and what comes when their tasks have
 * ended. */
#include "base/clock.h"
#include "base/memory.h"
#include "kafka/options.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
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
    assert_true(kafka_commits_needs_renewal(session->commits));
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

/* So many brokers in a row say that they are not the coordinator of the next groups' commits. */
static void make_stale(struct kafka_mock *fixture, size_t count)
{
    enum { OFFSET_FETCH = 9, MAX = 8 };
    rd_kafka_resp_err_t errors[MAX];
    assert_true(count <= MAX);
    for (size_t i = 0; i < count; i++)
        errors[i] = RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    rd_kafka_mock_push_request_errors_array(fixture->cluster, OFFSET_FETCH, count, errors);
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
        make_stale(fixture, stale);
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
        make_stale(fixture, 6);
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
    make_stale(fixture, 1);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "oordinator");
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_add(fixture, silent);
    assert_true(kafka_mock_measure(fixture));
    assert_ended_with(fixture->feed, 1, TASK_TIMED_OUT, "Kafka group silent");

    assert_true(kafka_commits_needs_renewal(session->commits));
    kafka_session_maintain(session, clock_now_ms() + LATER_MS);
    assert_ptr_equal(session->client.rk, handle);
    assert_false(kafka_commits_is_free(session->commits, "silent", false, 0)); /* on that handle */
    assert_true(kafka_commits_needs_renewal(session->commits));

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

/* The group's call is under way from before, and so the task is never sent. Nobody could commit
 * meanwhile, either; of a topic that the task was not for nothing is said. */
static void lag_is_not_persistent_after_a_wait_for_a_coordinator(void **state)
{
    enum { TRIES = 6, STUCK_MS = 60000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *options = kafka_mock_query(fixture, "silent", "jobs", 3);
    struct kafka_query *query = (struct kafka_query *)options;
    query->exclude_persistent_lag = true;
    kafka_mock_add(fixture, query);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    bool has_waited = false;
    for (int i = 0; i < TRIES && !has_waited; i++) {
        int64_t began_ms = clock_now_ms();
        struct kafka_persistence *persistence =
            kafka_persistence_for(&session->persistence, "silent", "jobs", 1, began_ms);
        kafka_persistence_update(persistence, 0, 1, KAFKA_MOCK_MESSAGES, began_ms - STUCK_MS);
        struct kafka_persistence *others =
            kafka_persistence_for(&session->persistence, "silent", "mails", 1, began_ms);
        kafka_persistence_update(others, 0, 1, KAFKA_MOCK_MESSAGES, began_ms - STUCK_MS);
        const struct test_task *task = test_feed_task(fixture->feed, 0);
        size_t started = task->started;
        bool must_wait =
            !kafka_commits_is_free(session->commits, "silent", task->task.isolate, began_ms);
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                          "Kafka group silent: its coordinator did not answer within 600 ms");
        persistence =
            kafka_persistence_for(&session->persistence, "silent", "jobs", 1, clock_now_ms());
        assert_int_equal(kafka_persistence_ms(persistence, 0, clock_now_ms()), 0);
        others = kafka_persistence_for(&session->persistence, "silent", "mails", 1, clock_now_ms());
        assert_true(kafka_persistence_ms(others, 0, clock_now_ms()) >= STUCK_MS);
        has_waited = must_wait && task->started == started;
    }
    assert_true(has_waited);
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
    rd_kafka_event_destroy(event);
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
    assert_false(kafka_commits_needs_renewal(commits));
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
    assert_true(kafka_commits_send(commits, &hanging, NULL, clock_now_ms(), &error));
    usleep(1100 * 1000);
    kafka_mock_set_coordinator(fixture, "workers", 1);
    assert_true(kafka_commits_send(commits, &isolated, NULL, clock_now_ms(), &error));
    assert_next_answer(commits, &isolated, clock_now_ms());
    assert_true(kafka_commits_needs_renewal(commits));
    kafka_mock_set_coordinator(fixture, "workers", 2);
    kafka_mock_hang(fixture, 2, false);
    assert_next_answer(commits, &hanging, clock_now_ms());
    kafka_mock_hang(fixture, 2, true);
    assert_true(kafka_commits_send(commits, &hanging, NULL, clock_now_ms(), &error));
    assert_false(kafka_commits_needs_renewal(commits));
    kafka_commits_cancel(commits, &hanging);
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

/* A place is all that the others need: what hangs never has all places. */
static void new_tasks_are_taken_while_a_group_hangs(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "silent", "jobs", 3));
    const void *workers = kafka_mock_query(fixture, "workers", "jobs", 2);
    for (int i = 0; i < 3; i++)
        kafka_mock_add(fixture, workers);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_hang(fixture, 3, true);
    feed_set_max_tasks(test_feed_task(fixture->feed, 0)->task.feed, 2, 2);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group silent");
    assert_int_equal(test_feed_task(fixture->feed, 0)->order, 4);
    for (size_t i = 1; i < 4; i++)
        kafka_mock_assert_answered(fixture, i);
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

/* Its call for offsets goes on when its batch is gone. */
static void a_task_that_fails_leaves_its_offsets(void **state)
{
    enum { OFFSET_FETCH = 9 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "slow", 3);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "slow", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_set_rtt(fixture, 3, KAFKA_MOCK_TIMEOUT_MS / 2);
    rd_kafka_mock_push_request_errors(fixture->cluster, OFFSET_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "uthorization");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_group_whose_coordinator_moved_is_answered_on_another_handle),
        TEST(a_group_whose_coordinator_is_elsewhere_is_sent_again_in_its_time),
        TEST(a_group_that_no_broker_coordinates_fails),
        TEST(calls_go_on_where_no_new_handle_can_be_had),
        TEST(a_group_that_timed_out_is_right_once_it_has_a_coordinator),
        TEST(lag_is_not_persistent_after_a_wait_for_a_coordinator),
        TEST(a_group_that_is_not_silent_needs_no_renewal),
        TEST(a_group_that_answers_again_needs_no_renewal),
        TEST(an_isolated_task_is_answered_like_any_other),
        TEST(new_tasks_are_taken_while_a_group_hangs),
        TEST(a_group_has_one_call_at_a_time),
        TEST(a_group_that_hangs_again_delays_no_other_group),
        TEST(a_task_that_fails_leaves_its_offsets),
        TEST(a_late_answer_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
