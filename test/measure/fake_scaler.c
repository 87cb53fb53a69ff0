#include "measure/fake_scaler.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/agent/agent_client.h"
#include "measure/agent/agent_launch.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utlist.h>

struct connection {
    const char *source;
    const char *password;
    const char *url;
};

struct query {
    const char *queue;
};

struct target {
    double length;
};

static const struct option table[] = {
    {"source", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, source),
     .flags = OPTION_REQUIRED | OPTION_PEER, .doc = "the source"},
    {"password", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, password),
     .flags = OPTION_SECRET, .doc = "whatever it is, one is let in"},
    {"url", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, url),
     .flags = OPTION_URL, .doc = "it is not used"},
    {"queueName", NULL, OPTION_QUERY, OPTION_STRING, OPTION_FIELD(struct query, queue),
     .flags = OPTION_REQUIRED, .doc = "the queue"},
    {"queueLength", NULL, OPTION_TARGET, OPTION_FLOAT, OPTION_FIELD(struct target, length),
     .flags = OPTION_THRESHOLD, .default_value = "5", .limits = {1, INFINITY}},
    {0},
};

enum { MAX_QUEUES = 64, MAX_SUBSCRIPTIONS = 512, LATE_MS = 200 };

struct client {
    int timer; /* in an agent: when it notifies; else -1 */
    bool is_late;
    bool reconnects;      /* scaler_reconnects() */
    const char *awaited;  /* the queue that the timer is for */
    struct task *hanging; /* utlist */
    bool is_full;         /* it takes no tasks */
    size_t full_turns;    /* in which it has waited since */
};

struct subscription {
    const struct client *client;
    struct notifier notifier;
    char queue[32];
};

static struct {
    pthread_mutex_t lock;
    struct fake_counts counts;
    bool down;
    bool stuck;
    bool slow;
    int partitions;
    bool racing;
    bool parting;
    bool refuses;
    struct subscription subscriptions[MAX_SUBSCRIPTIONS];
    int subscriptions_count;
    struct {
        char name[32];
        int messages;
    } queues[MAX_QUEUES];
    int queues_count;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fake_reset(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.counts = (struct fake_counts){0};
    fake.queues_count = 0;
    fake.down = false;
    fake.stuck = false;
    fake.slow = false;
    fake.partitions = 0;
    fake.racing = false;
    fake.parting = false;
    fake.refuses = false;
    pthread_mutex_unlock(&fake.lock);
}

void fake_set_queue(const char *name, int messages)
{
    pthread_mutex_lock(&fake.lock);
    int i = 0;
    while (i < fake.queues_count && strcmp(fake.queues[i].name, name) != 0)
        i++;
    if (i == fake.queues_count)
        fake.queues_count++;
    snprintf(fake.queues[i].name, sizeof(fake.queues[i].name), "%s", name);
    fake.queues[i].messages = messages;
    pthread_mutex_unlock(&fake.lock);
}

void fake_set_stuck(bool stuck)
{
    pthread_mutex_lock(&fake.lock);
    fake.stuck = stuck;
    pthread_mutex_unlock(&fake.lock);
}

void fake_set_partitions(int count)
{
    pthread_mutex_lock(&fake.lock);
    fake.partitions = count;
    pthread_mutex_unlock(&fake.lock);
}

void fake_set_slow(bool slow)
{
    pthread_mutex_lock(&fake.lock);
    fake.slow = slow;
    pthread_mutex_unlock(&fake.lock);
}

static struct subscription take_subscription(int i)
{
    struct subscription subscription = fake.subscriptions[i];
    fake.subscriptions[i] = fake.subscriptions[--fake.subscriptions_count];
    return subscription;
}

/* Under the lock, so that no client is disconnected meanwhile. */
static void end_subscriptions(const char *name, void (*end)(const struct notifier *notifier))
{
    pthread_mutex_lock(&fake.lock);
    for (int i = fake.subscriptions_count - 1; i >= 0; i--)
        if (strcmp(fake.subscriptions[i].queue, name) == 0) {
            struct subscription subscription = take_subscription(i);
            end(&subscription.notifier);
        }
    pthread_mutex_unlock(&fake.lock);
}

void fake_notify(const char *name)
{
    end_subscriptions(name, notifier_notify);
}

int fake_subscribed(const char *name)
{
    int subscribed = 0;
    pthread_mutex_lock(&fake.lock);
    for (int i = 0; i < fake.subscriptions_count; i++)
        subscribed += strcmp(fake.subscriptions[i].queue, name) == 0;
    pthread_mutex_unlock(&fake.lock);
    return subscribed;
}

static void set_flag(bool *flag, bool value)
{
    pthread_mutex_lock(&fake.lock);
    *flag = value;
    pthread_mutex_unlock(&fake.lock);
}

void fake_set_racing(bool racing)
{
    set_flag(&fake.racing, racing);
}

void fake_refuse_subscriptions(bool refuse)
{
    set_flag(&fake.refuses, refuse);
}

void fake_set_parting(bool parting)
{
    set_flag(&fake.parting, parting);
}

void fake_set_up(bool up)
{
    set_flag(&fake.down, !up);
}

struct fake_counts fake_counts(void)
{
    pthread_mutex_lock(&fake.lock);
    struct fake_counts counts = fake.counts;
    pthread_mutex_unlock(&fake.lock);
    return counts;
}

/* Under the lock. */
static int messages_of(const char *queue)
{
    for (int i = 0; i < fake.queues_count; i++)
        if (strcmp(fake.queues[i].name, queue) == 0)
            return fake.queues[i].messages;
    if (isdigit((unsigned char)queue[0]))
        return atoi(queue);
    static const char *const empty[] = {"late", "lost", "gossip", "crowd", "again", "twice"};
    for (size_t i = 0; i < ARRAY_LENGTH(empty); i++)
        if (strcmp(queue, empty[i]) == 0)
            return 0;
    if (strcmp(queue, "delay") == 0 || strcmp(queue, "full") == 0)
        return FAKE_HANGS;
    return strncmp(queue, "hang", 4) == 0 ? FAKE_HANGS
           : strcmp(queue, "break") == 0  ? FAKE_BREAKS
                                          : FAKE_MISSING;
}

static void fake_metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct query *query = options->query;
    const struct target *target = options->target;
    pthread_mutex_lock(&fake.lock);
    if (fake.slow)
        usleep(2000);
    pthread_mutex_unlock(&fake.lock);
    ret_spec->metric_name = text_format("fake-%s", query->queue);
    ret_spec->target = target->length;
    ret_spec->idle_interval_ms = 10;
}

static bool fake_evaluate(const struct options *options, const struct reading *reading,
                          struct evaluation *ret_evaluation, struct error *error)
{
    (void)options;
    if (isnan(reading->waiting))
        return error_unavailable(error, "the queue's length is unknown");
    *ret_evaluation = (struct evaluation){reading->waiting, reading->waiting > 0};
    return true;
}

static bool is_stuck(void)
{
    pthread_mutex_lock(&fake.lock);
    bool stuck = fake.stuck;
    pthread_mutex_unlock(&fake.lock);
    return stuck;
}

static bool fake_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                         struct error *error)
{
    const struct connection *connection = connection_options;
    pthread_mutex_lock(&fake.lock);
    bool silent = strcmp(connection->source, "silent") == 0;
    bool up = !fake.down && !silent && strcmp(connection->source, "down") != 0;
    fake.counts.connects++;
    pthread_mutex_unlock(&fake.lock);
    while (is_stuck())
        usleep(1000);
    if (silent)
        usleep((useconds_t)clock_left_ms(deadline_ms, 60000) * 1000);
    if (!up)
        return error_unavailable(error, "the fake source is down");
    struct client *client = memory_new(sizeof(*client));
    client->timer = -1;
    client->reconnects = scaler_reconnects();
    *ret_client = client;
    return true;
}

static bool connect_with_timer(const void *connection_options, int64_t deadline_ms,
                               void **ret_client, struct error *error)
{
    if (!fake_connect(connection_options, deadline_ms, ret_client, error))
        return false;
    ((struct client *)*ret_client)->timer = timerfd_create(CLOCK_MONOTONIC, 0);
    return true;
}

static void set_timer(struct client *client, const char *queue)
{
    client->awaited = strcmp(queue, "late") == 0 ? "late" : "lost";
    struct itimerspec times = {.it_value.tv_nsec = LATE_MS * 1000000L};
    timerfd_settime(client->timer, 0, &times, NULL);
}

static void subscribe(struct client *client, struct task *task, const char *queue)
{
    _cleanup_(error_done) struct error error = {0};
    pthread_mutex_lock(&fake.lock);
    bool refuses = fake.refuses || fake.subscriptions_count == MAX_SUBSCRIPTIONS;
    bool racing = fake.racing;
    if (!refuses) {
        struct subscription *made = &fake.subscriptions[fake.subscriptions_count++];
        *made = (struct subscription){.client = client, .notifier = task->notifier};
        snprintf(made->queue, sizeof(made->queue), "%s", queue);
        fake.counts.subscribes++;
    }
    pthread_mutex_unlock(&fake.lock);

    if (refuses) {
        error_unavailable(&error, "the fake source notifies nobody");
        task_cannot_subscribe(task, &error);
        return;
    }
    task_subscribed(task);
    if (racing)
        fake_notify(queue);
    bool is_timed = strcmp(queue, "late") == 0 || strcmp(queue, "lost") == 0;
    if (client->timer >= 0 && is_timed && !client->is_late)
        set_timer(client, queue);
}

static void unsubscribe(const struct client *client, uint64_t id)
{
    pthread_mutex_lock(&fake.lock);
    for (int i = fake.subscriptions_count - 1; i >= 0; i--)
        if (fake.subscriptions[i].client == client && fake.subscriptions[i].notifier.id == id) {
            take_subscription(i);
            fake.counts.unsubscribes++;
        }
    pthread_mutex_unlock(&fake.lock);
}

static void on_timer(struct client *client)
{
    uint64_t times;
    if (read(client->timer, &times, sizeof(times)) != sizeof(times))
        return;
    client->is_late = true;
    if (strcmp(client->awaited, "lost") == 0) {
        end_subscriptions("lost", notifier_lose);
        return;
    }
    fake_set_queue("late", 1);
    fake_notify("late");
}

/* What only an agent that went wrong does to its server. */
static void gossip(void)
{
    const uint64_t id = 1;
    if (write(AGENT_NOTIFICATIONS, &id, sizeof(id)) != sizeof(id))
        abort();
}

static void lose_crowd(struct notifier notifier)
{
    for (notifier.id = 1; notifier.id <= FAKE_CROWD; notifier.id++)
        notifier_lose(&notifier);
}

static void misbehave(const struct task *task, const char *queue)
{
    if (strcmp(queue, "abort") == 0)
        abort();
    if (strcmp(queue, "log") == 0)
        log_debug("the fake source was asked");
    if (strcmp(queue, "sleep") == 0)
        sleep(3600);
    if (strcmp(queue, "gossip") == 0)
        gossip();
    if (strcmp(queue, "crowd") == 0)
        lose_crowd(task->notifier);
}

/* False: the client is lost. */
static bool answer(struct client *client, struct task *task)
{
    const char *queue = ((const struct query *)task->query)->queue;
    struct reading reading = READING_UNKNOWN;
    misbehave(task, queue);
    pthread_mutex_lock(&fake.lock);
    fake.counts.tasks++;
    fake.counts.wants = task->wants;
    int messages = fake.down ? FAKE_BREAKS : messages_of(queue);
    if (fake.partitions > 0)
        reading.partitions = fake.partitions;
    pthread_mutex_unlock(&fake.lock);
    if (messages == FAKE_BREAKS)
        return false;
    if (strcmp(queue, "again") == 0)
        messages = client->reconnects;
    bool ends_twice = strcmp(queue, "twice") == 0; /* `queue` may end with the task */
    if (task_wants_subscription(task))
        subscribe(client, task, queue);
    reading.waiting = messages;
    if (messages == FAKE_HANGS) {
        bool is_answered = strcmp(queue, "delay") == 0 || strcmp(queue, "full") == 0;
        task->deadline_ms = clock_now_ms() + (is_answered ? FAKE_WAIT_MS : task->timeout_ms);
        DL_APPEND(client->hanging, task);
        client->is_full = strcmp(queue, "full") == 0;
    } else if (messages == FAKE_MISSING)
        task_failf(task, "no such queue: %s", queue);
    else
        task_answer(task, &reading);
    if (ends_twice)
        task_failf(task, "it has ended");
    return true;
}

static bool take_all(struct client *client, struct feed *feed)
{
    int chunk = 0;
    for (struct task *task; !client->is_full && (task = feed_take(feed)) != NULL; chunk++)
        if (!answer(client, task))
            return false;
    if (client->is_full)
        feed_set_max_tasks(feed, 1, 1);
    pthread_mutex_lock(&fake.lock);
    fake.counts.chunks += chunk > 0;
    if (chunk > fake.counts.largest_chunk)
        fake.counts.largest_chunk = chunk;
    bool parts = fake.parting && chunk > 0;
    pthread_mutex_unlock(&fake.lock);
    return !parts;
}

/* That of "delay" is answered by what the feed says of the tasks that wait, that of "full" by how
 * often the scaler has waited. */
static void end_overdue(struct client *client, struct feed *feed)
{
    while (client->hanging != NULL && client->hanging->deadline_ms <= clock_now_ms()) {
        struct task *task = client->hanging;
        const char *queue = ((const struct query *)task->query)->queue;
        struct reading reading = READING_UNKNOWN;
        DL_DELETE(client->hanging, task);
        if (strcmp(queue, "delay") == 0) {
            reading.waiting = (double)feed_delay_ms(feed);
            task_answer(task, &reading);
        } else if (strcmp(queue, "full") == 0) {
            reading.waiting = (double)client->full_turns;
            client->is_full = false;
            feed_set_max_tasks(feed, SIZE_MAX, 1);
            task_answer(task, &reading);
        } else
            task_time_out(task);
    }
}

static bool fake_measure(void *opaque, struct feed *feed, struct error *error)
{
    struct client *client = opaque;
    client->hanging = NULL;
    while (!feed_is_stopping(feed)) {
        uint64_t id;
        while (feed_next_unsubscribe(feed, &id))
            unsubscribe(client, id);
        if (!take_all(client, feed))
            return error_unavailable(error, "the fake connection broke");
        end_overdue(client, feed);
        client->full_turns += client->is_full;
        struct pollfd timer = {.fd = client->timer, .events = POLLIN};
        if (feed_wait(feed, &timer, 1,
                      client->hanging == NULL ? CLOCK_NEVER : client->hanging->deadline_ms))
            on_timer(client);
    }
    return true;
}

static void fake_disconnect(void *opaque)
{
    struct client *client = opaque;
    pthread_mutex_lock(&fake.lock);
    fake.counts.disconnects++;
    for (int i = fake.subscriptions_count - 1; i >= 0; i--)
        if (fake.subscriptions[i].client == client)
            take_subscription(i);
    pthread_mutex_unlock(&fake.lock);
    while (is_stuck())
        usleep(1000);
    if (client->timer >= 0)
        close(client->timer);
    free(client);
}

#define FAKE_HOOKS                                                                                 \
    .options = table,                                                                              \
    .sizes = {sizeof(struct connection), sizeof(struct query), sizeof(struct target)},             \
    .metric_spec = fake_metric_spec, .evaluate = fake_evaluate, .measure = fake_measure,           \
    .disconnect = fake_disconnect

const struct scaler fake_scaler = {.name = "fake", .connect = fake_connect, FAKE_HOOKS};
const struct scaler fake_push_scaler = {
    .name = "push", .connect = fake_connect, .subscribes = true, FAKE_HOOKS};
const struct scaler fake_agent_scaler = {.name = "isolated",
                                         .in_agent = true,
                                         .connect = connect_with_timer,
                                         .subscribes = true,
                                         FAKE_HOOKS};
static const struct scaler fake_absent = {.name = "fake-cluster", .absent = "was left out"};
const struct scaler *const fake_scalers[] = {&fake_scaler, &fake_agent_scaler, &fake_absent, NULL};

struct fake_values fake_values(const char *source, const char *queue)
{
    _cleanup_(error_done) struct error error = {0};
    const struct option_entry entries[] = {{"source", source}, {"queueName", queue}};
    struct fake_values values;
    if (!option_parse(table, fake_scaler.sizes,
                      &(struct option_input){entries, 2, OPTION_FROM_TRIGGER}, values.scopes,
                      &error))
        abort();
    return values;
}

void fake_values_done(struct fake_values *values)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(values->scopes[scope]);
}
