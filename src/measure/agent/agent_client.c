#include "measure/agent/agent_client_internal.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/system/process.h"
#include "base/text.h"
#include "measure/agent/agent_launch.h"
#include "measure/agent/agent_messages.h"
#include "measure/agent/agent_queries.h"
#include "measure/agent/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_MESSAGE = 1 << 20, /* of an agent: the end of one task, with the texts of its errors */
    GRACE_MS = 1000,       /* after a time-out, before an agent is killed */
};

/* Makes sure that the agent is gone. The error also says how it ended. Returns false. */
static bool end_agent(struct agent_client *client, struct error *error)
{
    return agent_launch_end(&client->process, client->scaler->name, error);
}

/* ---- the agent's messages ---- */

static struct sent_task *find_sent(const struct agent_client *client, uint64_t number)
{
    struct sent_task *sent = NULL;
    HASH_FIND(hh, client->tasks, &number, sizeof(number), sent);
    return sent;
}

static void end_sent(struct task *task, const Agent__FromAgent__Ended *ended)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(error_done) struct error refusal = {0};
    if (ended->subscribed)
        task_subscribed(task);
    if (ended->subscribe_error != NULL) {
        agent_error_read(ended->subscribe_error, &refusal);
        task_cannot_subscribe(task, &refusal);
    }
    if (ended->note[0] != '\0')
        task_note(task, ended->note);
    if (ended->error != NULL)
        agent_error_read(ended->error, &error);
    if (ended->outcome == TASK_ANSWERED && ended->reading != NULL) {
        struct reading reading = agent_reading_read(ended->reading);
        task_answer(task, &reading);
    } else if (ended->outcome == TASK_TIMED_OUT && ended->error != NULL)
        task_time_out_with(task, &error);
    else if (ended->outcome == TASK_RETURNED || ended->outcome == TASK_ISOLATED)
        task_return(task, ended->outcome == TASK_ISOLATED);
    else if (error_is_set(&error))
        task_fail(task, &error);
    else
        task_failf(task, "unexpected message of the agent process");
}

static void remove_sent(struct agent_client *client, struct sent_task *sent)
{
    HASH_DEL(client->tasks, sent);
    agent_queries_end_task(&client->queries, sent->query, clock_now_ms());
    free(sent);
}

static void take_message(struct agent_client *client, struct feed *feed,
                         const Agent__FromAgent *message)
{
    if (message->ended != NULL) {
        struct sent_task *sent = find_sent(client, message->ended->task);
        if (sent != NULL) {
            struct task *task = sent->task;
            remove_sent(client, sent);
            end_sent(task, message->ended);
        }
    }
    if (message->started != 0) {
        const struct sent_task *sent = find_sent(client, message->started);
        if (sent != NULL)
            task_started(sent->task);
    }
    if (message->max_tasks != NULL)
        feed_set_max_tasks(feed, message->max_tasks->count, message->max_tasks->isolated);
}

/* Takes messages that have arrived, for a limited time: an agent that sends without end, or that
 * writes its messages slowly, must not keep the thread. False: the agent is gone, or has lost its
 * client. */
static bool receive_messages(struct agent_client *client, struct feed *feed, struct error *error)
{
    enum { MAX_AT_ONCE = 1000, LONG_MS = 100 };
    int64_t began_ms = clock_now_ms();
    for (int i = 0; i < MAX_AT_ONCE && clock_now_ms() - began_ms < LONG_MS; i++) {
        struct pollfd readable = {.fd = client->socket, .events = POLLIN};
        if (poll(&readable, 1, 0) <= 0)
            return true;
        ProtobufCMessage *raw = NULL;
        if (!frame_read(client->socket, &agent__from_agent__descriptor, MAX_MESSAGE,
                        clock_now_ms() + GRACE_MS, &raw, error))
            return end_agent(client, error);
        const Agent__FromAgent *message = (const Agent__FromAgent *)raw;
        client->received_at_ms = clock_now_ms();
        client->awaited_from_ms = 0;
        take_message(client, feed, message);
        bool is_lost = message->lost != NULL;
        if (is_lost)
            agent_error_read(message->lost, error);
        protobuf_c_message_free_unpacked(raw, NULL);
        if (is_lost)
            return false;
    }
    return true;
}

static bool receive_notifications(struct agent_client *client, struct error *error)
{
    uint64_t ids[512]; /* a pipe never cuts a write of 8 bytes */
    ssize_t got = read(client->notifications, ids, sizeof(ids));
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        error_unavailable(error, "it closed its notifications");
        return end_agent(client, error);
    }
    struct notifier notifier = client->notifier;
    bool has_subscribed = notifier.notify != NULL; /* otherwise the agent has made the ids up */
    for (ssize_t i = 0; has_subscribed && i < got / (ssize_t)sizeof(ids[0]); i++) {
        notifier.id = ids[i] & ~AGENT_LOST;
        if (ids[i] & AGENT_LOST)
            notifier_lose(&notifier);
        else
            notifier_notify(&notifier);
    }
    return true;
}

/* ---- as a scaler ---- */

/* Whether the agent answers in time. The time counts from a ping that was sent: after the machine
 * has slept, the agent gets a ping and time to answer it. */
static bool is_agent_alive(struct agent_client *client, struct error *error)
{
    int64_t silent_ms = clock_now_ms() - client->awaited_from_ms;
    if (client->tasks == NULL || client->awaited_from_ms == 0 ||
        silent_ms < client->tasks->task->timeout_ms + GRACE_MS)
        return true;
    error_unavailable(error, "it did not respond for %lld ms", (long long)silent_ms);
    return end_agent(client, error);
}

/* Forgets the tasks in flight. The feed knows that they have not ended. */
static void drop_tasks(struct agent_client *client)
{
    struct sent_task *sent;
    struct sent_task *next;
    HASH_ITER(hh, client->tasks, sent, next)
        remove_sent(client, sent);
}

static bool exchange_messages(struct agent_client *client, struct feed *feed, struct error *error)
{
    enum { SOCKET, PIPE };
    if (!agent_client_send_ids(client, feed, error) ||
        !agent_client_send_tasks(client, feed, error) || !agent_client_ping(client, feed, error))
        return false;
    if (!agent_client_flush(client, error))
        return end_agent(client, error);
    bool unsent = client->outbox.length > 0;
    struct pollfd waits[] = {
        [SOCKET] = {.fd = client->socket, .events = (short)(unsent ? POLLIN | POLLOUT : POLLIN)},
        [PIPE] = {.fd = client->notifications, .events = POLLIN},
    };
    feed_wait(feed, waits, ARRAY_LENGTH(waits), agent_client_next_ping_ms(client));
    return receive_messages(client, feed, error) &&
           (waits[PIPE].revents == 0 || receive_notifications(client, error)) &&
           is_agent_alive(client, error);
}

bool agent_client_measure(struct agent_client *client, struct feed *feed, struct error *error)
{
    bool usable = true;
    while (usable && !feed_is_stopping(feed))
        usable = exchange_messages(client, feed, error);
    drop_tasks(client);
    return usable;
}

/* Ends the agent after it failed to connect. If it has computed until its time-out, the next
 * attempt would do so, too: an ERROR_COSTLY is retried only after minutes. */
static bool end_connecting(struct agent_client *client, int64_t deadline_ms, struct error *error)
{
    static const double costly_s = 0.5;
    struct process_stat stat;
    bool is_costly = clock_now_ms() >= deadline_ms && client->process.pid > 0 &&
                     process_stat(client->process.pid, &stat) && stat.cpu_seconds >= costly_s;
    end_agent(client, error);
    if (is_costly)
        error_set(error, ERROR_COSTLY,
                  "connecting took the %s agent too much CPU time (such as a key of "
                  "very many iterations); retrying in some minutes",
                  client->scaler->name);
    return false;
}

/* Reads the first message, which says that the process runs. The time-out for connecting begins
 * after it. A process that waits for a CPU has 30 s: if it were killed earlier, it would only be
 * started again, and need more CPU time. */
static bool read_first_message(struct agent_client *client, struct feed *feed, struct error *error)
{
    enum { START_MS = 30000, CHECK_MS = 100 };
    struct pollfd readable = {.fd = client->socket, .events = POLLIN};
    int64_t deadline_ms = clock_now_ms() + START_MS;
    for (int got; (got = poll(&readable, 1, CHECK_MS)) == 0 || (got < 0 && errno == EINTR);) {
        if (feed != NULL && feed_is_stopping(feed))
            return error_set(error, ERROR_CANCELLED, "nobody needs it any more");
        if (clock_now_ms() >= deadline_ms)
            return error_unavailable(error, "it did not start within %d s", START_MS / 1000);
    }
    ProtobufCMessage *raw = NULL;
    if (!frame_read(client->socket, &agent__from_agent__descriptor, MAX_MESSAGE,
                    clock_now_ms() + GRACE_MS, &raw, error))
        return false;
    bool is_ready = ((const Agent__FromAgent *)raw)->ready;
    protobuf_c_message_free_unpacked(raw, NULL);
    return is_ready || error_unavailable(error, "it began with another message");
}

static bool wait_until_started(struct agent_client *client, struct feed *feed, struct error *error)
{
    if (read_first_message(client, feed, error))
        return true;
    bool is_cancelled = error->code == ERROR_CANCELLED;
    end_agent(client, error);
    error->code = is_cancelled ? ERROR_CANCELLED : ERROR_NOT_STARTED;
    return false;
}

/* Waits until the agent is connected to the source. False: it cannot connect, or is gone. */
static bool wait_for_connection(struct agent_client *client, int64_t deadline_ms,
                                struct error *error)
{
    for (;;) {
        ProtobufCMessage *raw = NULL;
        if (!frame_read(client->socket, &agent__from_agent__descriptor, MAX_MESSAGE,
                        deadline_ms + GRACE_MS, &raw, error))
            return end_connecting(client, deadline_ms, error);
        const Agent__FromAgent *message = (const Agent__FromAgent *)raw;
        bool is_connected = message->connected;
        bool is_lost = message->lost != NULL;
        if (is_lost)
            agent_error_read(message->lost, error);
        protobuf_c_message_free_unpacked(raw, NULL);
        if (is_connected || is_lost)
            return is_connected && !is_lost;
    }
}

struct agent_client *agent_client_new(const struct scaler *scaler, int socket, int notifications)
{
    struct agent_client *client = memory_new(sizeof(*client));
    client->scaler = scaler;
    client->socket = socket;
    client->notifications = notifications;
    return client;
}

bool agent_client_connect(struct agent_client *client,
                          const struct option_values *connection_values, int64_t deadline_ms,
                          struct error *error)
{
    if (!agent_client_send_connect(client, connection_values, deadline_ms, error))
        return end_agent(client, error);
    return wait_for_connection(client, deadline_ms, error);
}

bool agent_client_open(const struct scaler *scaler, const struct option_values *connection_values,
                       const struct agent_origin *origin, int64_t timeout_ms,
                       struct agent_client **ret_client, struct error *error)
{
    struct agent_client *client = agent_client_new(scaler, -1, -1);
    client->process.max_bytes_named =
        scaler->agent_bytes_named > 0 ? scaler->agent_bytes_named : scaler->agent_bytes;
    client->process.max_bytes =
        origin->is_named ? client->process.max_bytes_named : scaler->agent_bytes;
    if (agent_launch(&client->process, origin->program, scaler->name, &client->socket,
                     &client->notifications, error) &&
        wait_until_started(client, origin->feed, error) &&
        agent_client_connect(client, connection_values, clock_now_ms() + timeout_ms, error)) {
        *ret_client = client;
        return true;
    }
    agent_client_close(client);
    return false;
}

void agent_client_close(struct agent_client *client)
{
    drop_tasks(client);
    agent_queries_done(&client->queries);
    if (client->socket >= 0)
        close(client->socket);
    if (client->notifications >= 0)
        close(client->notifications);
    if (client->process.pid > 0)
        agent_process_kill(&client->process);
    text_done(&client->outbox);
    free(client);
}
