/* The server's side of an agent, without an engine. */
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/agent/agent.h"
#include "measure/agent/agent_client_internal.h"
#include "measure/agent/agent_messages.h"
#include "measure/agent/frame.h"
#include "measure/engine_fixture.h"
#include "measure/scaler_internal.h"
#include "support/feed.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool measure_in_agent(void *client, struct feed *feed, struct error *error)
{
    return agent_client_measure(client, feed, error);
}

/* A message that gives up a task or ends a subscription must not say that nothing waits. */
static void an_agent_knows_how_long_tasks_wait_after_any_message(void **state)
{
    (void)state;
    enum { WAIT_MS = 100 };
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values[] = {fake_values("a", "delay"), fake_values("a", "1")};
    struct agent_client *client = NULL;
    scaler.measure = measure_in_agent;
    assert_true(agent_client_open(&fake_agent_scaler, values[0].scopes[OPTION_CONNECTION],
                                  &(struct agent_origin){.program = "/proc/self/exe"}, 10000,
                                  &client, &error));
    struct test_feed *feed = test_feed_new(&scaler);
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        test_feed_add(feed, values[i].scopes[OPTION_QUERY]->data, (struct notifier){0});
        test_feed_task(feed, i)->task.values = values[i].scopes[OPTION_QUERY];
    }
    feed_set_max_tasks(test_feed_task(feed, 0)->task.feed, 1, 1); /* so that the other one waits */
    test_feed_set_timeout(feed, PATIENCE_MS);
    assert_true(test_feed_run(feed, client, PATIENCE_MS, &error));
    assert_int_equal(test_feed_task(feed, 0)->outcome, TASK_ANSWERED);
    assert_true(test_feed_task(feed, 0)->reading.waiting >= WAIT_MS);
    assert_true(test_feed_task(feed, 1)->reading.waiting == 1);
    agent_client_close(client);
    test_feed_free(feed);
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        fake_values_done(&values[i]);
}

/* Those that the server had sent before wait in the agent, and would have it turn without a pause.
 */
static void a_scaler_without_capacity_waits_while_the_agent_has_tasks(void **state)
{
    (void)state;
    enum { WAITING = 3, MAX_TURNS = 10 };
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values full = fake_values("a", "full");
    struct fake_values other = fake_values("a", "7");
    struct agent_client *client = NULL;
    scaler.measure = measure_in_agent;
    assert_true(agent_client_open(&fake_agent_scaler, full.scopes[OPTION_CONNECTION],
                                  &(struct agent_origin){.program = "/proc/self/exe"}, PATIENCE_MS,
                                  &client, &error));
    struct test_feed *feed = test_feed_new(&scaler);
    for (size_t i = 0; i <= WAITING; i++) { /* all of them in one message */
        const struct option_values *values = (i == 0 ? &full : &other)->scopes[OPTION_QUERY];
        test_feed_add(feed, values->data, (struct notifier){0});
        test_feed_task(feed, i)->task.values = values;
    }
    test_feed_set_timeout(feed, PATIENCE_MS);
    assert_true(test_feed_run(feed, client, PATIENCE_MS, &error));
    assert_int_equal(test_feed_task(feed, 0)->outcome, TASK_ANSWERED);
    assert_in_range((size_t)test_feed_task(feed, 0)->reading.waiting, 1, MAX_TURNS);
    for (size_t i = 1; i <= WAITING; i++)
        assert_true(test_feed_task(feed, i)->reading.waiting == 7);
    agent_client_close(client);
    test_feed_free(feed);
    fake_values_done(&full);
    fake_values_done(&other);
}

/* The server takes the query for one that it has sent already. */
static void an_agent_fails_a_task_whose_query_it_lacks(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values = fake_values("a", "1");
    struct agent_client *client = NULL;
    bool is_new = false;
    scaler.measure = measure_in_agent;
    assert_true(agent_client_open(&fake_agent_scaler, values.scopes[OPTION_CONNECTION],
                                  &(struct agent_origin){.program = "/proc/self/exe"}, 10000,
                                  &client, &error));
    agent_queries_begin_task(&client->queries, values.scopes[OPTION_QUERY], &is_new);
    assert_true(is_new);
    struct test_feed *feed = test_feed_new(&scaler);
    test_feed_add(feed, values.scopes[OPTION_QUERY]->data, (struct notifier){0});
    test_feed_task(feed, 0)->task.values = values.scopes[OPTION_QUERY];
    test_feed_set_timeout(feed, 1000);
    assert_true(test_feed_run(feed, client, 1000, &error));
    assert_int_equal(test_feed_task(feed, 0)->outcome, TASK_FAILED);
    agent_client_close(client);
    test_feed_free(feed);
    fake_values_done(&values);
}

/* A leak ends it with a code of the sanitizer's. */
static void an_agent_frees_its_queries(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values[] = {fake_values("a", "1"), fake_values("a", "2")};
    struct agent_client *client = NULL;
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    uint64_t forgotten = 1;
    int status = 0;
    scaler.measure = measure_in_agent;
    assert_true(agent_client_open(&fake_agent_scaler, values[0].scopes[OPTION_CONNECTION],
                                  &(struct agent_origin){.program = "/proc/self/exe"}, PATIENCE_MS,
                                  &client, &error));
    struct test_feed *feed = test_feed_new(&scaler);
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        test_feed_add(feed, values[i].scopes[OPTION_QUERY]->data, (struct notifier){0});
        test_feed_task(feed, i)->task.values = values[i].scopes[OPTION_QUERY];
    }
    test_feed_set_timeout(feed, PATIENCE_MS);
    assert_true(test_feed_run(feed, client, PATIENCE_MS, &error));
    assert_int_equal(client->queries.last, 2);
    message.forgotten_queries = &forgotten; /* the other one is freed in the end */
    message.n_forgotten_queries = 1;
    assert_true(frame_add(&client->outbox, &message.base, &error));
    assert_true(agent_client_flush(client, &error));
    assert_int_equal(client->outbox.length, 0);
    shutdown(client->socket, SHUT_WR);
    WAIT_UNTIL(agent_process_has_ended(&client->process, &status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    agent_client_close(client);
    test_feed_free(feed);
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        fake_values_done(&values[i]);
}

static void ignore(void *context, uint64_t id)
{
    (void)context;
    (void)id;
}

/* A server that is slow to read: the pipe fills up meanwhile. Each is lost once, in order. */
static void count_loss(void *context, uint64_t id)
{
    enum { SLOW_MS = 200 };
    uint64_t *lost = context;
    assert_int_equal(id, *lost + 1);
    if (++*lost == 1)
        usleep(SLOW_MS * 1000);
}

/* As of a Redis with that many subscriptions, where the subscriber's connection is closed. */
static void subscriptions_that_are_lost_with_a_full_pipe_are_reported(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values = fake_values("a", "crowd");
    struct agent_client *client = NULL;
    uint64_t lost = 0;
    scaler.measure = measure_in_agent;
    assert_true(agent_client_open(&fake_agent_scaler, values.scopes[OPTION_CONNECTION],
                                  &(struct agent_origin){.program = "/proc/self/exe"}, 10000,
                                  &client, &error));
    struct test_feed *feed = test_feed_new(&scaler);
    test_feed_add(
        feed, values.scopes[OPTION_QUERY]->data,
        (struct notifier){
            .notify = ignore, .context = &lost, .id = UINT64_MAX >> 1, .lose = count_loss});
    test_feed_task(feed, 0)->task.values = values.scopes[OPTION_QUERY];
    test_feed_set_timeout(feed, PATIENCE_MS);
    test_feed_stay(feed, 1500);
    assert_true(test_feed_run(feed, client, PATIENCE_MS, &error));
    assert_int_equal(test_feed_task(feed, 0)->outcome, TASK_ANSWERED);
    assert_int_equal(lost, FAKE_CROWD);
    agent_client_close(client);
    test_feed_free(feed);
    fake_values_done(&values);
}

/* The client of an agent that the test is; *ret_end is the agent's end of the socket. */
static struct agent_client *client_of_test(int *ret_end)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *ret_end = ends[1];
    return agent_client_new(&fake_agent_scaler, ends[0], -1);
}

/* The next message to the agent; the caller frees it. */
static Agent__ToAgent *read_message(int end)
{
    _cleanup_(error_done) struct error error = {0};
    ProtobufCMessage *raw = NULL;
    if (!frame_read(end, &agent__to_agent__descriptor, FRAME_MAX_BYTES, clock_now_ms() + 1000, &raw,
                    &error))
        fail_msg("no message: %s", error_text(&error));
    return (Agent__ToAgent *)raw;
}

static void an_agent_gets_all_that_a_task_says(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values = fake_values("a", "7");
    int end;
    struct agent_client *client = client_of_test(&end);
    scaler.measure = measure_in_agent;
    struct test_feed *feed = test_feed_new(&scaler);
    test_feed_unsubscribe(feed, 3);
    test_feed_add(feed, values.scopes[OPTION_QUERY]->data,
                  (struct notifier){.notify = ignore, .id = 5});
    struct task *task = &test_feed_task(feed, 0)->task;
    task->values = values.scopes[OPTION_QUERY];
    task->isolate = true;
    task->wants = READING_WANT_RATES;
    task->timeout_ms = 1234;
    task->last_duration_ms = 40;
    assert_true(test_feed_run(feed, client, 50, &error)); /* which nobody answers */

    Agent__ToAgent *message = read_message(end);
    assert_int_equal(message->n_unsubscribed, 1);
    assert_int_equal(message->unsubscribed[0], 3);
    agent__to_agent__free_unpacked(message, NULL);
    message = read_message(end);
    assert_int_equal(message->n_tasks, 1);
    assert_int_equal(message->n_queries, 1);
    assert_int_equal(message->tasks[0]->query, message->queries[0]->query);
    assert_int_equal(message->queries[0]->n_options, 1);
    assert_string_equal(message->queries[0]->options[0]->text, "7");
    assert_int_equal(message->tasks[0]->notifier, 5);
    assert_int_equal(message->tasks[0]->timeout_ms, 1234);
    assert_int_equal(message->tasks[0]->last_duration_ms, 40);
    assert_int_equal(message->tasks[0]->wants, READING_WANT_RATES);
    assert_true(message->tasks[0]->isolate);
    agent__to_agent__free_unpacked(message, NULL);
    agent_client_close(client);
    close(end);
    test_feed_free(feed);
    fake_values_done(&values);
}

/* Otherwise it would be in flight for ever, and its query would never be measured again. */
static void a_task_that_an_agent_returns_is_given_again(void **state)
{
    (void)state;
    static const enum task_outcome outcomes[] = {TASK_ISOLATED, TASK_RETURNED};
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values = fake_values("a", "7");
    int end;
    struct agent_client *client = client_of_test(&end);
    scaler.measure = measure_in_agent;
    struct test_feed *feed = test_feed_new(&scaler);
    for (size_t i = 0; i < ARRAY_LENGTH(outcomes); i++) {
        Agent__FromAgent__Ended ended = AGENT__FROM_AGENT__ENDED__INIT;
        Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
        test_feed_add(feed, values.scopes[OPTION_QUERY]->data, (struct notifier){0});
        test_feed_task(feed, i)->task.values = values.scopes[OPTION_QUERY];
        message.ended = &ended;
        ended.task = i + 1;
        ended.outcome = outcomes[i];
        assert_true(frame_write(end, &message.base, clock_now_ms() + 1000, &error));
    }
    assert_true(test_feed_run(feed, client, 50, &error)); /* the second time nobody answers */
    for (size_t i = 0; i < ARRAY_LENGTH(outcomes); i++) {
        assert_int_equal(test_feed_task(feed, i)->returned, 1);
        assert_int_equal(test_feed_task(feed, i)->task.isolate, outcomes[i] == TASK_ISOLATED);
    }
    agent_client_close(client);
    close(end);
    test_feed_free(feed);
    fake_values_done(&values);
}

static void an_agent_forgets_queries_that_are_used_no_more(void **state)
{
    (void)state;
    enum { COUNT = 300, MAX_NUMBERS = 256, HOUR_MS = 3600 * 1000 };
    _cleanup_(error_done) struct error error = {0};
    int end;
    struct agent_client *client = client_of_test(&end);
    struct test_feed *empty = test_feed_new(&fake_agent_scaler);
    test_feed_add(empty, NULL, (struct notifier){0}); /* not given before it runs */
    struct feed *feed = test_feed_task(empty, 0)->task.feed;
    assert_true(agent_client_send_tasks(client, feed, &error));
    assert_int_equal(client->outbox.length, 0);

    for (int i = 0; i < COUNT; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        struct fake_values values = fake_values("a", queue);
        bool is_new = false;
        struct agent_query *query =
            agent_queries_begin_task(&client->queries, values.scopes[OPTION_QUERY], &is_new);
        agent_queries_end_task(&client->queries, query, clock_now_ms() - HOUR_MS);
        fake_values_done(&values);
    }
    assert_true(agent_client_send_tasks(client, feed, &error));
    assert_true(agent_client_flush(client, &error));
    for (size_t left = COUNT; left > 0;) {
        Agent__ToAgent *message = read_message(end);
        assert_int_equal(message->n_forgotten_queries, left < MAX_NUMBERS ? left : MAX_NUMBERS);
        left -= message->n_forgotten_queries;
        agent__to_agent__free_unpacked(message, NULL);
    }
    agent_client_close(client);
    close(end);
    test_feed_free(empty);
}

/* Answers the tasks from this number on, before the client has sent them. */
static void answer_tasks(int end, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(error_done) struct error error = {0};
        Agent__Reading reading = AGENT__READING__INIT;
        Agent__FromAgent__Ended ended = AGENT__FROM_AGENT__ENDED__INIT;
        Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
        message.ended = &ended;
        ended.task = first + i;
        ended.outcome = TASK_ANSWERED;
        ended.reading = &reading;
        assert_true(frame_write(end, &message.base, clock_now_ms() + 1000, &error));
    }
}

/* Otherwise it would abort without memory, and again as soon as all are sent to the next one. */
static void an_agent_has_the_queries_that_its_memory_has_room_for(void **state)
{
    (void)state;
    enum { COUNT = 40, LENGTH = 1000, MAX_BYTES = 30000, SHARE = 18000, ROUNDS = 2 };
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values[COUNT];
    int end;
    struct agent_client *client = client_of_test(&end);
    struct test_feed *feed = test_feed_new(&scaler);
    scaler.measure = measure_in_agent;
    client->process.max_bytes = MAX_BYTES;
    for (int i = 0; i < COUNT; i++) {
        _cleanup_(memory_free) char *queue = text_format("%0*d", LENGTH, i);
        values[i] = fake_values("a", queue);
        test_feed_add(feed, values[i].scopes[OPTION_QUERY]->data, (struct notifier){0});
        test_feed_task(feed, (size_t)i)->task.values = values[i].scopes[OPTION_QUERY];
    }
    for (int round = 0; round < ROUNDS; round++) {
        answer_tasks(end, 1 + (uint64_t)round * COUNT, COUNT);
        test_feed_again(feed);
        assert_true(test_feed_run(feed, client, PATIENCE_MS, &error));
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(test_feed_task(feed, i)->outcome, TASK_ANSWERED);
    }

    Agent__ToAgent *message = read_message(end);
    assert_int_equal(message->n_tasks, COUNT);
    assert_int_equal(message->n_queries, COUNT);
    agent__to_agent__free_unpacked(message, NULL);
    size_t forgotten = 0;
    while ((message = read_message(end))->n_tasks == 0) { /* some at a time, or a ping */
        for (size_t i = 0; i < message->n_forgotten_queries; i++)
            assert_int_equal(message->forgotten_queries[i], ++forgotten);
        agent__to_agent__free_unpacked(message, NULL);
    }
    assert_in_range((COUNT - forgotten) * LENGTH, SHARE / 2, SHARE);
    assert_int_equal(message->n_tasks, COUNT);
    assert_int_equal(message->n_queries, forgotten); /* sent again */
    agent__to_agent__free_unpacked(message, NULL);
    agent_client_close(client);
    close(end);
    test_feed_free(feed);
    for (int i = 0; i < COUNT; i++)
        fake_values_done(&values[i]);
}

static bool send_alone(void *client, struct feed *feed, struct error *error)
{
    return agent_client_send_tasks(client, feed, error);
}

/* The agent has a message twice while it reads it. */
static void long_queries_come_in_several_messages(void **state)
{
    (void)state;
    enum { COUNT = 10, LENGTH = 100 << 10, PER_MESSAGE = 3 };
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values[COUNT];
    int end;
    struct agent_client *client = client_of_test(&end);
    struct test_feed *feed = test_feed_new(&scaler);
    scaler.measure = send_alone;
    for (int i = 0; i < COUNT; i++) {
        _cleanup_(memory_free) char *queue = text_format("%0*d", LENGTH, i);
        values[i] = fake_values("a", queue);
        test_feed_add(feed, values[i].scopes[OPTION_QUERY]->data, (struct notifier){0});
        test_feed_task(feed, (size_t)i)->task.values = values[i].scopes[OPTION_QUERY];
    }
    assert_true(test_feed_run(feed, client, PATIENCE_MS, &error));
    const char *frame = client->outbox.bytes;
    for (size_t left = COUNT; left > 0;) {
        uint32_t length = 0;
        memcpy(&length, frame, sizeof(length));
        frame += sizeof(length);
        Agent__ToAgent *message = agent__to_agent__unpack(NULL, length, (const uint8_t *)frame);
        frame += length;
        assert_int_equal(message->n_queries, left < PER_MESSAGE ? left : PER_MESSAGE);
        assert_int_equal(message->n_tasks, message->n_queries);
        left -= message->n_tasks;
        agent__to_agent__free_unpacked(message, NULL);
    }
    assert_ptr_equal(frame, client->outbox.bytes + client->outbox.length);
    agent_client_close(client);
    close(end);
    test_feed_free(feed);
    for (int i = 0; i < COUNT; i++)
        fake_values_done(&values[i]);
}

/* As of thousands of tasks at once, for an agent that computes. */
static void what_a_full_socket_does_not_take_is_sent_later(void **state)
{
    (void)state;
    enum { COUNT = 20000, IDS = 10 };
    _cleanup_(error_done) struct error error = {0};
    int end;
    struct agent_client *client = client_of_test(&end);
    uint64_t ids[IDS];
    Agent__ToAgent sent = AGENT__TO_AGENT__INIT;
    memset(ids, 255, sizeof(ids));
    sent.unsubscribed = ids;
    sent.n_unsubscribed = IDS;
    for (uint64_t i = 0; i < COUNT; i++) {
        ids[0] = i;
        assert_true(frame_add(&client->outbox, &sent.base, &error));
    }
    assert_true(agent_client_flush(client, &error));
    assert_true(client->outbox.length > 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_true(agent_client_flush(client, &error));
        Agent__ToAgent *message = read_message(end);
        assert_int_equal(message->n_unsubscribed, IDS);
        assert_int_equal(message->unsubscribed[0], i);
        agent__to_agent__free_unpacked(message, NULL);
    }
    assert_int_equal(client->outbox.length, 0);
    agent_client_close(client);
    close(end);
}

/* As an agent that writes each frame in two pieces: there is always a part of the next one. */
static void *write_slowly(void *argument)
{
    enum { PIECE_MS = 50 };
    const int *socket = argument;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text frames = {0};
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.connected = true;
    assert_true(frame_add(&frames, &message.base, &error));
    const size_t length = frames.length;
    assert_true(frame_add(&frames, &message.base, &error));
    bool is_read = send(*socket, frames.bytes, length + 1, MSG_NOSIGNAL) > 0;
    while (is_read) {
        usleep(PIECE_MS * 1000);
        is_read = send(*socket, frames.bytes + 1, length, MSG_NOSIGNAL) > 0;
    }
    return NULL;
}

static void an_agent_that_writes_slowly_keeps_nobody(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct scaler scaler = fake_agent_scaler;
    struct fake_values values = fake_values("a", "b");
    int ends[2];
    pthread_t writer;
    scaler.measure = measure_in_agent;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct agent_client *client = agent_client_new(&fake_agent_scaler, ends[0], -1);
    assert_int_equal(pthread_create(&writer, NULL, write_slowly, &ends[1]), 0);
    assert_true(agent_client_connect(client, values.scopes[OPTION_CONNECTION],
                                     clock_now_ms() + PATIENCE_MS, &error));
    struct test_feed *feed = test_feed_new(&scaler);
    int64_t began_ms = clock_now_ms();
    test_feed_stay(feed, 100);
    assert_true(test_feed_run(feed, client, PATIENCE_MS, &error));
    assert_true(clock_now_ms() - began_ms < PATIENCE_MS);
    agent_client_close(client);
    pthread_join(writer, NULL);
    close(ends[1]);
    test_feed_free(feed);
    fake_values_done(&values);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "agent") == 0)
        return agent_run(fake_scalers);

    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_knows_how_long_tasks_wait_after_any_message),
        cmocka_unit_test(a_scaler_without_capacity_waits_while_the_agent_has_tasks),
        cmocka_unit_test(an_agent_fails_a_task_whose_query_it_lacks),
        cmocka_unit_test(an_agent_frees_its_queries),
        cmocka_unit_test(subscriptions_that_are_lost_with_a_full_pipe_are_reported),
        cmocka_unit_test(an_agent_gets_all_that_a_task_says),
        cmocka_unit_test(a_task_that_an_agent_returns_is_given_again),
        cmocka_unit_test(an_agent_forgets_queries_that_are_used_no_more),
        cmocka_unit_test(an_agent_has_the_queries_that_its_memory_has_room_for),
        cmocka_unit_test(long_queries_come_in_several_messages),
        cmocka_unit_test(what_a_full_socket_does_not_take_is_sent_later),
        cmocka_unit_test(an_agent_that_writes_slowly_keeps_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
