/* The agent process: its feed gets tasks from the socket, and sends their ends over it. */
#include "measure/agent/agent.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "measure/agent/agent_launch.h"
#include "measure/agent/agent_limits.h"
#include "measure/agent/agent_messages.h"
#include "measure/agent/frame.h"
#include "measure/scaler_internal.h"
#include "measure/task_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

/* A query whose options the server has sent. It is freed once the server has said to forget it, and
 * no task uses it. */
struct received_query {
    uint64_t number;
    struct option_values *values;
    size_t tasks;
    bool is_forgotten;
    UT_hash_handle hh;
};

struct agent_task {
    struct task task; /* first, so that one leads to the other */
    uint64_t number;
    struct received_query *query;
    int64_t received_at_ms;
    struct agent_task *prev_waiting, *next_waiting;
    bool is_taken;
    UT_hash_handle hh;
};

struct agent {
    struct feed feed; /* first */
    const struct scaler *const *scalers;
    const struct scaler *scaler;             /* chosen by Connect */
    struct option_values *connection_values; /* they live as long as the client */
    void *client;
    bool is_over; /* the server has gone */
    struct received_query *queries;
    struct agent_task *tasks;
    struct agent_task *waiting; /* utlist: the scaler has not taken them yet */
    size_t taken;               /* tasks that the scaler has */
    uint64_t *unsubscribes;
    size_t unsubscribes_count;
    size_t unsubscribes_capacity;
    int64_t delay_ms;    /* feed_delay_ms() of the server's feed, as of its last message */
    int64_t delay_at_ms; /* when that message came */
};

static void send_message(const Agent__FromAgent *message)
{
    _cleanup_(error_done) struct error error = {0};
    if (!frame_write(AGENT_SOCKET, &message->base, CLOCK_NEVER, &error))
        _exit(0); /* the server is gone; exit() would free what the client's threads still use */
}

static void send_ready(void)
{
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.ready = true;
    send_message(&message);
}

static void send_lost(struct error *error)
{
    Agent__Error failure;
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.lost = agent_error_write(error, &failure);
    send_message(&message);
}

/* ---- what the server sends ---- */

static void take_connect(struct agent *agent, const Agent__Connect *connect)
{
    _cleanup_(error_done) struct error error = {0};
    log_init((enum log_level)connect->log_level, (enum log_format)connect->log_format);
    const struct scaler *scaler = scaler_find(agent->scalers, connect->scaler);
    if (scaler == NULL || agent->connection_values != NULL) {
        error_set(&error, ERROR_INTERNAL, "no scaler %s, or connected already", connect->scaler);
        send_lost(&error);
        return;
    }
    agent->scaler = scaler;
    agent_limits_memory(connect->max_bytes);
    scaler_set_reconnects(connect->reconnects);
    scaler_set_allows_local(connect->allows_local);
    agent->connection_values =
        agent_values(agent->scaler, OPTION_CONNECTION, connect->options, connect->n_options);
    if (!agent->scaler->connect(agent->connection_values->data, connect->deadline_ms,
                                &agent->client, &error)) {
        send_lost(&error);
        return;
    }
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.connected = true;
    send_message(&message);
}

static struct received_query *find_query(const struct agent *agent, uint64_t number)
{
    struct received_query *query = NULL;
    HASH_FIND(hh, agent->queries, &number, sizeof(number), query);
    return query;
}

static void add_query(struct agent *agent, const Agent__Query *message)
{
    if (find_query(agent, message->query) != NULL)
        return;
    struct received_query *query = memory_new(sizeof(*query));
    query->number = message->query;
    query->values = agent_values(agent->scaler, OPTION_QUERY, message->options, message->n_options);
    HASH_ADD(hh, agent->queries, number, sizeof(query->number), query);
    agent->feed.query_bytes += agent_query_bytes(query->values);
}

static void free_query(struct agent *agent, struct received_query *query)
{
    HASH_DEL(agent->queries, query);
    agent->feed.query_bytes -= agent_query_bytes(query->values);
    option_values_free(query->values);
    free(query);
}

static void free_query_if_unused(struct agent *agent, struct received_query *query)
{
    if (query->tasks == 0 && query->is_forgotten)
        free_query(agent, query);
}

static void agent_notify(void *context, uint64_t id)
{
    (void)context;
    while (write(AGENT_NOTIFICATIONS, &id, sizeof(id)) < 0 && errno == EINTR)
        continue; /* another failure: the server is gone */
}

static void agent_lose(void *context, uint64_t id)
{
    agent_notify(context, id | AGENT_LOST);
}

/* A task without its query is a defect, as the server sends each query before its first task. The
 * task fails at once: otherwise it would be in flight until it times out. */
static void refuse_task(const Agent__Task *task)
{
    _cleanup_(error_done) struct error error = {0};
    Agent__Error failure;
    Agent__FromAgent__Ended ended = AGENT__FROM_AGENT__ENDED__INIT;
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    error_set(&error, ERROR_INTERNAL, "the agent has no query %llu",
              (unsigned long long)task->query);
    ended.task = task->task;
    ended.outcome = TASK_FAILED;
    ended.error = agent_error_write(&error, &failure);
    message.ended = &ended;
    send_message(&message);
}

static void add_task(struct agent *agent, const Agent__Task *message)
{
    struct received_query *query = find_query(agent, message->query);
    if (query == NULL) {
        refuse_task(message);
        return;
    }
    struct agent_task *task = memory_new(sizeof(*task));
    task->number = message->task;
    task->received_at_ms = clock_now_ms();
    task->query = query;
    task->task = (struct task){
        .query = query->values->data,
        .wants = message->wants,
        .notifier = {.notify = agent_notify, .id = message->notifier, .lose = agent_lose},
        .timeout_ms = message->timeout_ms,
        .last_duration_ms = message->last_duration_ms,
        .isolate = message->isolate,
        .feed = &agent->feed,
        .values = query->values,
    };
    query->tasks++;
    HASH_ADD(hh, agent->tasks, number, sizeof(task->number), task);
    DL_APPEND2(agent->waiting, task, prev_waiting, next_waiting);
}

static struct agent *agent_of(const struct feed *feed)
{
    return (struct agent *)feed;
}

static void agent_feed_end(struct task *base, enum task_outcome outcome,
                           const struct reading *reading, const struct error *error)
{
    struct agent_task *task = (struct agent_task *)base;
    struct agent *agent = agent_of(base->feed);
    _cleanup_(error_done) struct error sent = {0};
    Agent__Error failure;
    Agent__Error refusal;
    Agent__Reading found;
    Agent__FromAgent__Ended ended = AGENT__FROM_AGENT__ENDED__INIT;
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.ended = &ended;
    ended.task = task->number;
    ended.outcome = outcome;
    ended.subscribed = base->is_subscribed;
    ended.subscribe_error = agent_error_write(&base->subscribe_error, &refusal);
    if (reading != NULL) {
        agent_reading_write(reading, &found);
        ended.reading = &found;
    }
    if (base->note != NULL)
        ended.note = base->note;
    if (error != NULL)
        error_copy(&sent, error);
    ended.error = agent_error_write(&sent, &failure);
    send_message(&message);

    agent->taken -= task->is_taken;
    HASH_DEL(agent->tasks, task);
    task->query->tasks--;
    free_query_if_unused(agent, task->query);
    error_done(&base->subscribe_error);
    free(base->note);
    free(task);
}

static void take_message(struct agent *agent, const Agent__ToAgent *message)
{
    if (message->connect != NULL)
        take_connect(agent, message->connect);
    if (message->log_level > 0)
        log_set_level((enum log_level)(message->log_level - 1));
    if (agent->client == NULL)
        return;
    for (size_t i = 0; i < message->n_queries; i++)
        add_query(agent, message->queries[i]);
    for (size_t i = 0; i < message->n_tasks; i++)
        add_task(agent, message->tasks[i]);
    for (size_t i = 0; i < message->n_forgotten_queries; i++) {
        struct received_query *query = find_query(agent, message->forgotten_queries[i]);
        if (query == NULL)
            continue;
        query->is_forgotten = true;
        free_query_if_unused(agent, query);
    }
    agent->unsubscribes =
        memory_grow(agent->unsubscribes, &agent->unsubscribes_capacity,
                    agent->unsubscribes_count + message->n_unsubscribed, sizeof(uint64_t));
    for (size_t i = 0; i < message->n_unsubscribed; i++)
        agent->unsubscribes[agent->unsubscribes_count++] = message->unsubscribed[i];
    agent->delay_ms = message->delay_ms;
    agent->delay_at_ms = clock_now_ms();
    if (message->ping) {
        Agent__FromAgent pong = AGENT__FROM_AGENT__INIT;
        pong.pong = true;
        send_message(&pong);
    }
}

static void receive_message(struct agent *agent)
{
    _cleanup_(error_done) struct error error = {0};
    ProtobufCMessage *raw = NULL;
    if (!frame_read(AGENT_SOCKET, &agent__to_agent__descriptor, FRAME_MAX_BYTES, CLOCK_NEVER, &raw,
                    &error)) {
        agent->is_over = true;
        return;
    }
    take_message(agent, (const Agent__ToAgent *)raw);
    protobuf_c_message_free_unpacked(raw, NULL);
}

/* Takes all messages that have arrived. */
static void receive_messages(struct agent *agent)
{
    struct pollfd readable = {.fd = AGENT_SOCKET, .events = POLLIN};
    while (!agent->is_over && poll(&readable, 1, 0) > 0)
        receive_message(agent);
}

/* ---- the feed ---- */

static struct task *agent_feed_take(struct feed *feed)
{
    struct agent *agent = agent_of(feed);
    receive_messages(agent);
    struct agent_task *task = agent->waiting;
    if (task == NULL)
        return NULL;
    DL_DELETE2(agent->waiting, task, prev_waiting, next_waiting);
    task->is_taken = true;
    agent->taken++;
    return &task->task;
}

static bool agent_feed_next_unsubscribe(struct feed *feed, uint64_t *ret_id)
{
    struct agent *agent = agent_of(feed);
    if (agent->unsubscribes_count == 0)
        return false;
    *ret_id = agent->unsubscribes[--agent->unsubscribes_count];
    return true;
}

static bool agent_feed_is_stopping(struct feed *feed)
{
    struct agent *agent = agent_of(feed);
    receive_messages(agent);
    return agent->is_over;
}

static int agent_feed_descriptor(const struct feed *feed)
{
    (void)feed;
    return AGENT_SOCKET;
}

/* Tasks that the server had sent before it knew the limit are there for a scaler that takes them.
 * They wake none that has as many tasks as it wants: it would turn without a pause. */
static bool has_task_within_limit(const struct agent *agent)
{
    const struct feed *feed = &agent->feed;
    return agent->waiting != NULL && (!feed->has_limits || agent->taken < feed->max_tasks);
}

static int64_t agent_feed_next_ms(struct feed *feed)
{
    const struct agent *agent = agent_of(feed);
    bool has_something =
        has_task_within_limit(agent) || agent->unsubscribes_count > 0 || agent->is_over;
    return has_something ? 0 : CLOCK_NEVER;
}

/* The longer delay of the two feeds, the server's and this one. If the limit of tasks is large, no
 * task waits at the server, and all wait here. */
static int64_t agent_feed_delay_ms(struct feed *feed)
{
    enum { TRUE_FOR_MS = 1000 }; /* the server's, after its message */
    const struct agent *agent = agent_of(feed);
    int64_t now_ms = clock_now_ms();
    int64_t there_ms = now_ms - agent->delay_at_ms < TRUE_FOR_MS ? agent->delay_ms : 0;
    int64_t here_ms = agent->waiting == NULL ? 0 : now_ms - agent->waiting->received_at_ms;
    return there_ms > here_ms ? there_ms : here_ms;
}

static void agent_feed_set_max_tasks(struct feed *feed, size_t max_tasks, size_t isolated)
{
    (void)feed;
    Agent__FromAgent__MaxTasks limit = AGENT__FROM_AGENT__MAX_TASKS__INIT;
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    limit.count = max_tasks;
    limit.isolated = isolated;
    message.max_tasks = &limit;
    send_message(&message);
}

static void agent_feed_started(struct task *task)
{
    Agent__FromAgent message = AGENT__FROM_AGENT__INIT;
    message.started = ((const struct agent_task *)task)->number;
    send_message(&message);
}

static const struct feed_hooks hooks = {
    .take = agent_feed_take,
    .next_unsubscribe = agent_feed_next_unsubscribe,
    .is_stopping = agent_feed_is_stopping,
    .descriptor = agent_feed_descriptor,
    .next_ms = agent_feed_next_ms,
    .delay_ms = agent_feed_delay_ms,
    .set_max_tasks = agent_feed_set_max_tasks,
    .started = agent_feed_started,
    .end = agent_feed_end,
};

/* ---- the process ---- */

/* If the client is lost, the server gets the reason, and ends this process. */
static void run_measure(struct agent *agent)
{
    _cleanup_(error_done) struct error error = {0};
    if (agent->scaler->measure(agent->client, &agent->feed, &error))
        return;
    send_lost(&error);
    while (!agent->is_over)
        receive_message(agent);
}

static void free_all(struct agent *agent)
{
    struct agent_task *task;
    struct agent_task *next_task;
    struct received_query *query;
    struct received_query *next_query;
    HASH_ITER(hh, agent->tasks, task, next_task) {
        HASH_DEL(agent->tasks, task);
        error_done(&task->task.subscribe_error);
        free(task->task.note);
        free(task);
    }
    HASH_ITER(hh, agent->queries, query, next_query)
        free_query(agent, query);
    option_values_free(agent->connection_values);
    free(agent->unsubscribes);
}

int agent_run(const struct scaler *const *scalers)
{
    struct agent agent = {.feed = {.hooks = &hooks}, .scalers = scalers};
    struct pollfd readable = {.fd = AGENT_SOCKET, .events = POLLIN};
    agent_limits_prepare();
    send_ready();
    while (!agent.is_over) {
        if (agent_feed_next_ms(&agent.feed) == CLOCK_NEVER)
            poll(&readable, 1, -1);
        receive_messages(&agent);
        if (agent.client != NULL && !agent.is_over &&
            agent_feed_next_ms(&agent.feed) != CLOCK_NEVER)
            run_measure(&agent);
    }
    if (agent.client != NULL)
        agent.scaler->disconnect(agent.client);
    free_all(&agent);
    return 0;
}
