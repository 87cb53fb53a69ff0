#include "measure/agent_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/agent_messages.h"
#include "measure/agent_process.h"
#include "measure/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uthash.h>

enum {
    MAX_MESSAGE =
        1 << 20, /* of what an agent sends at a time: the end of one task, with an error's text */
    GRACE_MS = 1000, /* beyond a time-out, before an agent is killed */
    PING_MS = 500,   /* after so long without a word while tasks are in flight */
    TASKS_PER_MESSAGE = 256,
    FORGET_MS = 20 * 60 * 1000, /* queries that were not measured for so long */
    MIN_QUERIES = 1024,         /* before any is forgotten */
};

/* A query whose options the agent has. */
struct known_query {
    char *identity;
    uint64_t number;
    int64_t used_ms;
    UT_hash_handle hh;
};

/* A task that the agent has. */
struct sent_task {
    uint64_t number;
    struct task *task;
    UT_hash_handle hh;
};

struct agent_client {
    const struct scaler *scaler;
    struct agent_process process;
    int socket;
    int notifications;           /* the pipe's end; -1 once the agent has closed the other */
    struct notifier notifier;    /* of the last task that had one: they differ in the id alone */
    struct known_query *queries; /* by identity */
    size_t forget_at;            /* so many queries: those that are no longer used are forgotten */
    uint64_t last_query;
    struct sent_task *tasks; /* by number */
    uint64_t last_task;
    struct text outbox; /* frames that the socket has not taken yet */
    size_t outbox_sent;
    int64_t heard_ms; /* when it said something last, or got a task while it had none */
    int64_t pinged_ms;
};

/* ---- the process ---- */

/* What died by itself tells more by its own end than by our signal, so it has a moment to be seen. */
static bool has_ended(struct agent_process *process, int *ret_status)
{
    enum { MOMENT_MS = 20 };
    for (int i = 0; i < MOMENT_MS; i++) {
        if (agent_process_has_ended(process, ret_status))
            return true;
        usleep(1000);
    }
    return false;
}

/* Makes sure that the agent is gone, and says how it went. */
static bool end_agent(struct agent_client *client, struct error *error)
{
    int status = 0;
    const char *name = client->scaler->name;
    _cleanup_(memory_free) char *why = text_copy(error_text(error));
    if (client->process.pid == 0)
        return error_unavailable(error, "the %s agent failed: %s", name, why);
    if (!has_ended(&client->process, &status)) {
        agent_process_kill(&client->process);
        return error_unavailable(error, "the %s agent process was killed: %s", name, why);
    }
    if (WIFSIGNALED(status))
        return error_unavailable(error, "the %s agent process died: %s", name,
                                 strsignal(WTERMSIG(status)));
    return error_unavailable(error, "the %s agent process exited with status %d", name,
                             WEXITSTATUS(status));
}

static bool cannot_start(const struct agent_client *client, int failure, struct error *error)
{
    return error_unavailable(error, "cannot start the %s agent process: %s", client->scaler->name,
                             strerror(failure));
}

/* Moves a descriptor that the agent gets out of the way of the numbers that it gets there. */
static int above_those_of_agent(int descriptor)
{
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, AGENT_NOTIFICATIONS + 1);
    close(descriptor);
    return moved;
}

/* The agent's ends are the second ones. */
static bool make_channels(struct agent_client *client, int *ret_socket, int *ret_notifications,
                          struct error *error)
{
    int sockets[2];
    int pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return cannot_start(client, errno, error);
    client->socket = sockets[0];
    *ret_socket = above_those_of_agent(sockets[1]);
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0)
        return cannot_start(client, errno, error);
    client->notifications = pipes[0];
    *ret_notifications = above_those_of_agent(pipes[1]);
    return (*ret_socket >= 0 && *ret_notifications >= 0) || cannot_start(client, EMFILE, error);
}

static void close_end(const int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
}

static bool spawn_agent(struct agent_client *client, const char *program, struct error *error)
{
    extern char **environ;
    _cleanup_(close_end) int socket = -1;
    _cleanup_(close_end) int notifications = -1;
    char name[] = "backlog";
    char subcommand[] = "agent";
    char *arguments[] = {name, subcommand, NULL};
    if (!make_channels(client, &socket, &notifications, error))
        return false;

    /* Client libraries leave descriptors open to children; a broker would wait for their end. */
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, socket, AGENT_SOCKET);
    posix_spawn_file_actions_adddup2(&actions, notifications, AGENT_NOTIFICATIONS);
    posix_spawn_file_actions_addclosefrom_np(&actions, AGENT_NOTIFICATIONS + 1);
    pid_t pid;
    int failure = posix_spawn(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0)
        return cannot_start(client, failure, error);
    agent_process_began(&client->process, pid);
    return true;
}

/* ---- what it is sent ---- */

/* Nothing waits for the agent to read: while it sends, it may not. */
static bool flush(struct agent_client *client, struct error *error)
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
    if (outbox->length > 0)
        explicit_bzero(outbox->bytes, outbox->length); /* options may be secrets */
    text_clear(outbox);
    client->outbox_sent = 0;
    return true;
}

static bool send_connect(struct agent_client *client, const struct option_values *values,
                         int64_t deadline_ms, struct error *error)
{
    Agent__Connect connect = AGENT__CONNECT__INIT;
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    message.connect = &connect;
    connect.scaler = (char *)client->scaler->name;
    connect.deadline_ms = deadline_ms;
    connect.log_level = log_level_now();
    connect.log_format = log_format_now();
    connect.options = agent_options(values, &connect.n_options);
    bool good = frame_write(client->socket, &message.base, deadline_ms, error);
    free(connect.options);
    return good;
}

/* What an agent is to be told with the next message. */
struct letter {
    Agent__ToAgent message;
    Agent__Query queries[TASKS_PER_MESSAGE];
    Agent__Query *query_pointers[TASKS_PER_MESSAGE];
    Agent__Task tasks[TASKS_PER_MESSAGE];
    Agent__Task *task_pointers[TASKS_PER_MESSAGE];
    uint64_t ids[TASKS_PER_MESSAGE];
};

static struct letter *letter_new(void)
{
    struct letter *letter = memory_new(sizeof(*letter));
    agent__to_agent__init(&letter->message);
    letter->message.queries = letter->query_pointers;
    letter->message.tasks = letter->task_pointers;
    return letter;
}

static void letter_free(struct letter **letter)
{
    for (size_t i = 0; i < (*letter)->message.n_queries; i++)
        free((*letter)->queries[i].options);
    free(*letter);
}

/* Queries that nobody measures any more must not pile up. */
static bool forget_queries(struct agent_client *client, int64_t now_ms, struct error *error)
{
    if (HASH_COUNT(client->queries) < client->forget_at)
        return true;
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    _cleanup_(memory_free) uint64_t *numbers =
        memory_array(HASH_COUNT(client->queries), sizeof(*numbers));
    struct known_query *query;
    struct known_query *next;
    HASH_ITER(hh, client->queries, query, next)
    {
        if (now_ms - query->used_ms < FORGET_MS)
            continue;
        numbers[message.n_forgotten_queries++] = query->number;
        HASH_DEL(client->queries, query);
        free(query->identity);
        free(query);
    }
    client->forget_at = 2 * (size_t)HASH_COUNT(client->queries);
    if (client->forget_at < MIN_QUERIES)
        client->forget_at = MIN_QUERIES;
    message.forgotten_queries = numbers;
    return frame_add(&client->outbox, &message.base, error);
}

/* The query's number; its options go along where the agent does not have them. */
static uint64_t name_query(struct agent_client *client, const struct task *task,
                           struct letter *letter, int64_t now_ms)
{
    struct known_query *query = NULL;
    HASH_FIND_STR(client->queries, task->values->identity, query);
    if (query == NULL) {
        query = memory_new(sizeof(*query));
        query->identity = text_copy(task->values->identity);
        query->number = ++client->last_query;
        HASH_ADD_KEYPTR(hh, client->queries, query->identity, strlen(query->identity), query);
        Agent__Query *message = &letter->queries[letter->message.n_queries];
        agent__query__init(message);
        message->query = query->number;
        message->options = agent_options(task->values, &message->n_options);
        letter->query_pointers[letter->message.n_queries++] = message;
    }
    query->used_ms = now_ms;
    return query->number;
}

static void add_task(struct agent_client *client, struct task *task, struct letter *letter,
                     int64_t now_ms)
{
    struct sent_task *sent = memory_new(sizeof(*sent));
    sent->number = ++client->last_task;
    sent->task = task;
    task->data = sent;
    if (client->tasks == NULL) {
        client->heard_ms = now_ms;
        client->pinged_ms = now_ms;
    }
    HASH_ADD(hh, client->tasks, number, sizeof(sent->number), sent);
    if (task_wants_subscription(task))
        client->notifier = task->notifier;

    Agent__Task *message = &letter->tasks[letter->message.n_tasks];
    agent__task__init(message);
    message->task = sent->number;
    message->query = name_query(client, task, letter, now_ms);
    message->notifier = task->notifier.id;
    message->timeout_ms = task->timeout_ms;
    message->last_ms = task->last_ms;
    message->isolate = task->isolate;
    letter->task_pointers[letter->message.n_tasks++] = message;
}

static bool send_tasks(struct agent_client *client, struct feed *feed, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    if (!forget_queries(client, now_ms, error))
        return false;
    for (bool more = true; more;) {
        _cleanup_(letter_free) struct letter *letter = letter_new();
        struct task *task = NULL;
        while (letter->message.n_tasks < TASKS_PER_MESSAGE && (task = feed_take(feed)) != NULL)
            add_task(client, task, letter, now_ms);
        more = task != NULL;
        letter->message.delay_ms = feed_delay_ms(feed);
        if (letter->message.n_tasks > 0 &&
            !frame_add(&client->outbox, &letter->message.base, error))
            return false;
    }
    return true;
}

static bool send_ids(struct agent_client *client, struct feed *feed, struct error *error)
{
    for (bool more = true; more;) {
        _cleanup_(letter_free) struct letter *letter = letter_new();
        size_t count = 0;
        while (count < TASKS_PER_MESSAGE && feed_next_unsubscribe(feed, &letter->ids[count]))
            count++;
        more = count == TASKS_PER_MESSAGE;
        letter->message.unsubscribed = letter->ids;
        letter->message.n_unsubscribed = count;
        if (count > 0 && !frame_add(&client->outbox, &letter->message.base, error))
            return false;
    }
    for (struct task *task; (task = feed_next_cancelled(feed)) != NULL;) {
        Agent__ToAgent message = AGENT__TO_AGENT__INIT;
        uint64_t number = ((const struct sent_task *)task->data)->number;
        message.cancelled_tasks = &number;
        message.n_cancelled_tasks = 1;
        if (!frame_add(&client->outbox, &message.base, error))
            return false;
    }
    return true;
}

static bool ping(struct agent_client *client, struct feed *feed, struct error *error)
{
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    int64_t now_ms = clock_now_ms();
    int64_t since_ms = client->heard_ms > client->pinged_ms ? client->heard_ms : client->pinged_ms;
    if (client->tasks == NULL || now_ms - since_ms < PING_MS)
        return true;
    client->pinged_ms = now_ms;
    message.ping = true;
    message.delay_ms = feed_delay_ms(feed);
    return frame_add(&client->outbox, &message.base, error);
}

/* ---- what it sends ---- */

static struct task *take_sent(struct agent_client *client, uint64_t number, bool keep)
{
    struct sent_task *sent = NULL;
    HASH_FIND(hh, client->tasks, &number, sizeof(number), sent);
    if (sent == NULL)
        return NULL;
    struct task *task = sent->task;
    if (!keep) {
        HASH_DEL(client->tasks, sent);
        free(sent);
    }
    return task;
}

static void end_task(struct task *task, const Agent__FromAgent__Ended *ended)
{
    _cleanup_(error_done) struct error error = {0};
    if (ended->subscribed)
        task_subscribed(task);
    if (ended->subscribe_error != NULL) {
        agent_error_read(ended->subscribe_error, &error);
        task_cannot_subscribe(task, &error);
    }
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

static void take_message(struct agent_client *client, struct feed *feed,
                         const Agent__FromAgent *message)
{
    if (message->ended != NULL) {
        struct task *task = take_sent(client, message->ended->task, false);
        if (task != NULL)
            end_task(task, message->ended);
    }
    if (message->started != 0) {
        struct task *task = take_sent(client, message->started, true);
        if (task != NULL)
            task_started(task);
    }
    if (message->window != NULL)
        feed_set_window(feed, message->window->window, message->window->isolated);
}

/* False: the agent is gone, or has lost its client. */
static bool receive(struct agent_client *client, struct feed *feed, struct error *error)
{
    for (;;) {
        struct pollfd readable = {.fd = client->socket, .events = POLLIN};
        if (poll(&readable, 1, 0) <= 0)
            return true;
        ProtobufCMessage *raw = NULL;
        if (!frame_read(client->socket, &agent__from_agent__descriptor, MAX_MESSAGE,
                        clock_now_ms() + GRACE_MS, &raw, error))
            return end_agent(client, error);
        const Agent__FromAgent *message = (const Agent__FromAgent *)raw;
        client->heard_ms = clock_now_ms();
        take_message(client, feed, message);
        bool is_lost = message->lost != NULL;
        if (is_lost)
            agent_error_read(message->lost, error);
        protobuf_c_message_free_unpacked(raw, NULL);
        if (is_lost)
            return false;
    }
}

static bool receive_notifications(struct agent_client *client, struct error *error)
{
    uint64_t ids[512]; /* a write of 8 bytes is never cut in a pipe */
    ssize_t got = read(client->notifications, ids, sizeof(ids));
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        error_unavailable(error, "it closed its notifications");
        return end_agent(client, error);
    }
    struct notifier notifier = client->notifier;
    bool has_subscribed = notifier.notify != NULL; /* or the agent makes them up */
    for (ssize_t i = 0; has_subscribed && i < got / (ssize_t)sizeof(ids[0]); i++) {
        notifier.id = ids[i];
        notifier_notify(&notifier);
    }
    return true;
}

/* ---- as a scaler ---- */

static int64_t patience_ms(const struct agent_client *client)
{
    return (client->tasks == NULL ? 0 : client->tasks->task->timeout_ms) + GRACE_MS;
}

static int64_t look_again_ms(const struct agent_client *client)
{
    if (client->tasks == NULL)
        return CLOCK_NEVER;
    int64_t since_ms = client->heard_ms > client->pinged_ms ? client->heard_ms : client->pinged_ms;
    return since_ms + PING_MS;
}

static bool is_alive(struct agent_client *client, struct error *error)
{
    int64_t silent_ms = clock_now_ms() - client->heard_ms;
    if (client->tasks == NULL || silent_ms < patience_ms(client))
        return true;
    error_unavailable(error, "it did not respond for %lld ms", (long long)silent_ms);
    return end_agent(client, error);
}

/* The tasks are the feed's again, which knows that they have not ended. */
static void forget_tasks(struct agent_client *client)
{
    struct sent_task *sent;
    struct sent_task *next;
    HASH_ITER(hh, client->tasks, sent, next)
    {
        HASH_DEL(client->tasks, sent);
        free(sent);
    }
}

static bool exchange(struct agent_client *client, struct feed *feed, struct error *error)
{
    enum { SOCKET, PIPE };
    if (!send_ids(client, feed, error) || !send_tasks(client, feed, error) ||
        !ping(client, feed, error))
        return false;
    if (!flush(client, error))
        return end_agent(client, error);
    bool unsent = client->outbox.length > 0;
    struct pollfd waits[] = {
        [SOCKET] = {.fd = client->socket, .events = (short)(unsent ? POLLIN | POLLOUT : POLLIN)},
        [PIPE] = {.fd = client->notifications, .events = POLLIN},
    };
    feed_wait(feed, waits, ARRAY_LENGTH(waits), look_again_ms(client));
    return receive(client, feed, error) &&
           (waits[PIPE].revents == 0 || receive_notifications(client, error)) &&
           is_alive(client, error);
}

bool agent_client_measure(struct agent_client *client, struct feed *feed, struct error *error)
{
    bool usable = true;
    while (usable && !feed_is_stopping(feed))
        usable = exchange(client, feed, error);
    forget_tasks(client);
    return usable;
}

/* Until it is connected; false where it cannot be, or is gone. */
static bool wait_for_connection(struct agent_client *client, int64_t deadline_ms,
                                struct error *error)
{
    for (;;) {
        ProtobufCMessage *raw = NULL;
        if (!frame_read(client->socket, &agent__from_agent__descriptor, MAX_MESSAGE,
                        deadline_ms + GRACE_MS, &raw, error))
            return end_agent(client, error);
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

static struct agent_client *client_new(const struct scaler *scaler, int socket, int notifications)
{
    struct agent_client *client = memory_new(sizeof(*client));
    client->scaler = scaler;
    client->socket = socket;
    client->notifications = notifications;
    client->forget_at = MIN_QUERIES;
    return client;
}

static bool connect_agent(struct agent_client *client,
                          const struct option_values *connection_values, int64_t deadline_ms,
                          struct error *error)
{
    if (!send_connect(client, connection_values, deadline_ms, error))
        return end_agent(client, error);
    return wait_for_connection(client, deadline_ms, error);
}

bool agent_client_open(const struct scaler *scaler, const struct option_values *connection_values,
                       const char *program, int64_t deadline_ms, struct agent_client **ret_client,
                       struct error *error)
{
    struct agent_client *client = client_new(scaler, -1, -1);
    if (spawn_agent(client, program, error) &&
        connect_agent(client, connection_values, deadline_ms, error)) {
        *ret_client = client;
        return true;
    }
    agent_client_close(client);
    return false;
}

bool agent_client_attach(const struct scaler *scaler, const struct option_values *connection_values,
                         int socket, int notifications, int64_t deadline_ms,
                         struct agent_client **ret_client, struct error *error)
{
    struct agent_client *client = client_new(scaler, socket, notifications);
    if (connect_agent(client, connection_values, deadline_ms, error)) {
        *ret_client = client;
        return true;
    }
    agent_client_close(client);
    return false;
}

void agent_client_close(struct agent_client *client)
{
    struct known_query *query;
    struct known_query *next;
    HASH_ITER(hh, client->queries, query, next)
    {
        HASH_DEL(client->queries, query);
        free(query->identity);
        free(query);
    }
    forget_tasks(client);
    close_end(&client->socket);
    close_end(&client->notifications);
    if (client->process.pid > 0)
        agent_process_kill(&client->process);
    if (client->outbox.length > 0)
        explicit_bzero(client->outbox.bytes, client->outbox.length);
    text_done(&client->outbox);
    free(client);
}
