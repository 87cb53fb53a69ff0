#include "measure/agent/agent_client_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "measure/agent/agent_messages.h"
#include "measure/agent/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>

enum {
    TASKS_PER_MESSAGE = 256,
    /* Of new queries. While the agent reads a message it has it twice, beside the queries. */
    QUERY_BYTES_PER_MESSAGE = 256 << 10,
};

bool agent_client_flush(struct agent_client *client, struct error *error)
{
    struct text *outbox = &client->outbox;
    while (client->outbox_sent < outbox->length) {
        ssize_t sent = send(client->socket, outbox->bytes + client->outbox_sent,
                            outbox->length - client->outbox_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            client->outbox_sent += (size_t)sent;
        else if (sent < 0 && errno == EAGAIN)
            return true;
        else if (sent == 0 || errno != EINTR)
            return error_unavailable(error, "%s", sent == 0 ? "nothing was sent" : strerror(errno));
    }
    text_clear(outbox);
    client->outbox_sent = 0;
    return true;
}

bool agent_client_send_connect(struct agent_client *client, const struct option_values *values,
                               int64_t deadline_ms, struct error *error)
{
    Agent__Connect connect = AGENT__CONNECT__INIT;
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    message.connect = &connect;
    connect.scaler = (char *)client->scaler->name;
    connect.deadline_ms = deadline_ms;
    connect.log_level = log_level_now();
    connect.log_format = log_format_now();
    connect.max_bytes = client->process.max_bytes;
    connect.reconnects = scaler_reconnects();
    connect.allows_local = scaler_allows_local();
    connect.options = agent_options(values, &connect.n_options);
    bool good = frame_write(client->socket, &message.base, deadline_ms, error);
    free(connect.options);
    return good;
}

/* A message to the agent, with the arrays that it points to. */
struct outgoing {
    Agent__ToAgent message;
    Agent__Query queries[TASKS_PER_MESSAGE];
    Agent__Query *query_pointers[TASKS_PER_MESSAGE];
    size_t query_bytes;
    Agent__Task tasks[TASKS_PER_MESSAGE];
    Agent__Task *task_pointers[TASKS_PER_MESSAGE];
};

static struct outgoing *outgoing_new(void)
{
    struct outgoing *outgoing = memory_new(sizeof(*outgoing));
    agent__to_agent__init(&outgoing->message);
    outgoing->message.queries = outgoing->query_pointers;
    outgoing->message.tasks = outgoing->task_pointers;
    return outgoing;
}

static void outgoing_free(struct outgoing **outgoing)
{
    for (size_t i = 0; i < (*outgoing)->message.n_queries; i++)
        free((*outgoing)->queries[i].options);
    free(*outgoing);
}

/* Adds the message to the outbox. Each message also has the delay and the level of the log: the
 * agent uses those of the last message. */
static bool add_message(struct agent_client *client, struct feed *feed, Agent__ToAgent *message,
                        struct error *error)
{
    message->delay_ms = feed_delay_ms(feed);
    message->log_level = 1 + log_level_now();
    return frame_add(&client->outbox, &message->base, error);
}

/* What queries may take of the memory that the agent may map: the client library needs the rest. If
 * triggers have more queries, as those of several namespaces that share a connection, the agent has
 * some of them at a time, and gets others again for each measurement. None is forgotten that has a
 * task. */
static size_t max_query_bytes(const struct agent_client *client)
{
    enum { PERCENT = 60 };
    size_t max_bytes = client->process.max_bytes;
    return max_bytes == 0 ? SIZE_MAX : max_bytes / 100 * PERCENT;
}

/* Has the agent forget queries for which it has no memory, or that are no longer measured. */
static bool forget_queries(struct agent_client *client, struct feed *feed, int64_t now_ms,
                           struct error *error)
{
    enum { NUMBERS_PER_MESSAGE = 256 };
    uint64_t numbers[NUMBERS_PER_MESSAGE];
    size_t max_bytes = max_query_bytes(client);
    size_t count;
    do {
        Agent__ToAgent message = AGENT__TO_AGENT__INIT;
        count = 0;
        while (count < NUMBERS_PER_MESSAGE &&
               agent_queries_next_forgotten(&client->queries, max_bytes, now_ms, &numbers[count]))
            count++;
        message.forgotten_queries = numbers;
        message.n_forgotten_queries = count;
        if (count > 0 && !add_message(client, feed, &message, error))
            return false;
    } while (count == NUMBERS_PER_MESSAGE);
    return true;
}

/* The query's options go along if the agent does not have them. */
static struct agent_query *add_query(struct agent_client *client, const struct task *task,
                                     struct outgoing *outgoing)
{
    bool is_new = false;
    struct agent_query *query = agent_queries_begin_task(&client->queries, task->values, &is_new);
    if (is_new) {
        Agent__Query *message = &outgoing->queries[outgoing->message.n_queries];
        agent__query__init(message);
        message->query = agent_query_number(query);
        message->options = agent_options(task->values, &message->n_options);
        outgoing->query_pointers[outgoing->message.n_queries++] = message;
        outgoing->query_bytes += agent_query_bytes(task->values);
    }
    return query;
}

static void add_task(struct agent_client *client, struct task *task, struct outgoing *outgoing,
                     int64_t now_ms)
{
    struct sent_task *sent = memory_new(sizeof(*sent));
    sent->number = ++client->last_task;
    sent->task = task;
    sent->query = add_query(client, task, outgoing);
    task->data = sent;
    if (client->tasks == NULL) {
        client->pinged_at_ms = now_ms;
        client->awaited_from_ms = 0;
    }
    HASH_ADD(hh, client->tasks, number, sizeof(sent->number), sent);
    if (task_wants_subscription(task))
        client->notifier = task->notifier;

    Agent__Task *message = &outgoing->tasks[outgoing->message.n_tasks];
    agent__task__init(message);
    message->task = sent->number;
    message->query = agent_query_number(sent->query);
    message->notifier = task->notifier.id;
    message->timeout_ms = task->timeout_ms;
    message->last_duration_ms = task->last_duration_ms;
    message->isolate = task->isolate;
    message->wants = task->wants;
    outgoing->task_pointers[outgoing->message.n_tasks++] = message;
}

/* In most turns there is no task: then no message is allocated. */
bool agent_client_send_tasks(struct agent_client *client, struct feed *feed, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    bool good = forget_queries(client, feed, now_ms, error);
    struct task *task = good ? feed_take(feed) : NULL;
    while (good && task != NULL) {
        _cleanup_(outgoing_free) struct outgoing *outgoing = outgoing_new();
        do {
            add_task(client, task, outgoing, now_ms);
            task = feed_take(feed);
        } while (task != NULL && outgoing->message.n_tasks < TASKS_PER_MESSAGE &&
                 outgoing->query_bytes < QUERY_BYTES_PER_MESSAGE);
        good = add_message(client, feed, &outgoing->message, error) &&
               forget_queries(client, feed, now_ms, error);
    }
    return good;
}

bool agent_client_send_ids(struct agent_client *client, struct feed *feed, struct error *error)
{
    enum { IDS_PER_MESSAGE = 256 };
    uint64_t ids[IDS_PER_MESSAGE];
    size_t count;
    do {
        Agent__ToAgent message = AGENT__TO_AGENT__INIT;
        count = 0;
        while (count < IDS_PER_MESSAGE && feed_next_unsubscribe(feed, &ids[count]))
            count++;
        message.unsubscribed = ids;
        message.n_unsubscribed = count;
        if (count > 0 && !add_message(client, feed, &message, error))
            return false;
    } while (count == IDS_PER_MESSAGE);
    return true;
}

int64_t agent_client_next_ping_ms(const struct agent_client *client)
{
    enum { PING_MS = 500 }; /* after the agent's last message, or the last ping */
    if (client->tasks == NULL)
        return CLOCK_NEVER;
    return MAX(client->received_at_ms, client->pinged_at_ms) + PING_MS;
}

bool agent_client_ping(struct agent_client *client, struct feed *feed, struct error *error)
{
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    int64_t now_ms = clock_now_ms();
    if (now_ms < agent_client_next_ping_ms(client))
        return true;
    client->pinged_at_ms = now_ms;
    if (client->awaited_from_ms == 0)
        client->awaited_from_ms = now_ms;
    message.ping = true;
    return add_message(client, feed, &message, error);
}
