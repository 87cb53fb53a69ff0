#include "measure/fake.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/remote.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct connection {
    const char *source;
    const char *password;
};

struct query {
    const char *queue;
};

struct target {
    double length;
};

static const struct option table[] = {
    {"source", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, source),
     .flags = OPTION_REQUIRED, .doc = "the source"},
    {"password", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, password),
     .flags = OPTION_SECRET, .doc = "whatever it is, one is let in"},
    {"queueName", NULL, OPTION_QUERY, OPTION_STRING, OPTION_FIELD(struct query, queue),
     .flags = OPTION_REQUIRED, .doc = "the queue"},
    {"queueLength", NULL, OPTION_TARGET, OPTION_FLOAT, OPTION_FIELD(struct target, length),
     .fallback = "5", .limits = {1, INFINITY}},
    {0},
};

enum { MOST_QUEUES = 64, MOST_ARMS = 512, LATE_MS = 200, STICKY_MS = 20 };

struct client {
    int timer; /* in a process of its own: when it wakes; else -1 */
    bool is_late;
};

struct arm {
    const struct client *client;
    struct waker waker;
    char queue[32];
};

static struct {
    pthread_mutex_t lock;
    struct fake_counts counts;
    bool down;
    bool racing;
    bool parting;
    bool refuses_arms;
    struct arm arms[MOST_ARMS];
    int arms_count;
    struct {
        char name[32];
        int messages;
    } queues[MOST_QUEUES];
    int queues_count;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fake_reset(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.counts = (struct fake_counts){0};
    fake.queues_count = 0;
    fake.down = false;
    fake.racing = false;
    fake.parting = false;
    fake.refuses_arms = false;
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

static struct arm take_arm(int i)
{
    struct arm arm = fake.arms[i];
    fake.arms[i] = fake.arms[--fake.arms_count];
    return arm;
}

/* Under the lock, so that no client is disconnected meanwhile. */
void fake_wake(const char *name)
{
    pthread_mutex_lock(&fake.lock);
    for (int i = fake.arms_count - 1; i >= 0; i--)
        if (strcmp(fake.arms[i].queue, name) == 0) {
            struct arm arm = take_arm(i);
            waker_wake(&arm.waker);
        }
    pthread_mutex_unlock(&fake.lock);
}

int fake_armed(const char *name)
{
    int armed = 0;
    pthread_mutex_lock(&fake.lock);
    for (int i = 0; i < fake.arms_count; i++)
        armed += strcmp(fake.arms[i].queue, name) == 0;
    pthread_mutex_unlock(&fake.lock);
    return armed;
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

void fake_refuse_arms(bool refuse)
{
    set_flag(&fake.refuses_arms, refuse);
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

static bool is_sticky(const char *queue)
{
    return strncmp(queue, "sticky", strlen("sticky")) == 0;
}

/* Under the lock. */
static int messages_of(const char *queue)
{
    for (int i = 0; i < fake.queues_count; i++)
        if (strcmp(fake.queues[i].name, queue) == 0)
            return fake.queues[i].messages;
    if (isdigit((unsigned char)queue[0]))
        return atoi(queue);
    if (strcmp(queue, "late") == 0 || strcmp(queue, "gossip") == 0 || is_sticky(queue))
        return 0;
    return strcmp(queue, "hang") == 0    ? FAKE_HANGS
           : strcmp(queue, "break") == 0 ? FAKE_BREAKS
                                         : FAKE_MISSING;
}

static void fake_plan(const struct options *options, struct plan *ret_plan)
{
    const struct query *query = options->query;
    const struct target *target = options->target;
    ret_plan->metric_name = text_format("fake-%s", query->queue);
    ret_plan->target = target->length;
    ret_plan->idle_interval_ms = 10;
}

static bool fake_judge(const struct options *options, const struct reading *reading,
                       struct judgement *ret_judgement, struct error *error)
{
    (void)options;
    if (isnan(reading->waiting))
        return error_unavailable(error, "the queue's length is unknown");
    *ret_judgement = (struct judgement){reading->waiting, reading->waiting > 0};
    return true;
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
    if (silent)
        usleep((useconds_t)clock_left_ms(deadline_ms, 60000) * 1000);
    if (!up)
        return error_unavailable(error, "the fake source is down");
    struct client *client = memory_new(sizeof(*client));
    client->timer = -1;
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

static void set_timer(const struct client *client)
{
    struct itimerspec times = {.it_value.tv_nsec = LATE_MS * 1000000L};
    timerfd_settime(client->timer, 0, &times, NULL);
}

static void arm(struct client *client, struct probe *probe, const char *queue)
{
    _cleanup_(error_done) struct error error = {0};
    pthread_mutex_lock(&fake.lock);
    bool refuses = fake.refuses_arms || fake.arms_count == MOST_ARMS;
    bool racing = fake.racing;
    if (!refuses) {
        struct arm *made = &fake.arms[fake.arms_count++];
        *made = (struct arm){.client = client, .waker = probe->waker};
        snprintf(made->queue, sizeof(made->queue), "%s", queue);
        fake.counts.arms++;
    }
    pthread_mutex_unlock(&fake.lock);

    if (refuses) {
        error_unavailable(&error, "the fake source arms nobody");
        probe_cannot_arm(probe, &error);
        return;
    }
    probe_armed(probe);
    if (racing)
        fake_wake(queue);
    if (client->timer >= 0 && strcmp(queue, "late") == 0 && !client->is_late)
        set_timer(client);
}

static void fake_disarm(void *client, uint64_t waker_id)
{
    bool sticky = false;
    pthread_mutex_lock(&fake.lock);
    for (int i = 0; i < fake.arms_count; i++)
        if (fake.arms[i].client == client && fake.arms[i].waker.id == waker_id) {
            struct arm arm = take_arm(i);
            sticky = is_sticky(arm.queue);
            fake.counts.disarms++;
        }
    pthread_mutex_unlock(&fake.lock);
    if (sticky)
        usleep(STICKY_MS * 1000);
}

static int fake_descriptor(const void *client)
{
    return ((const struct client *)client)->timer;
}

static void fake_hear(void *opaque)
{
    struct client *client = opaque;
    uint64_t times;
    if (read(client->timer, &times, sizeof(times)) != sizeof(times))
        return;
    client->is_late = true;
    fake_set_queue("late", 1);
    fake_wake("late");
}

static void answer(struct probe *probe, int messages)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = messages;
    if (messages == FAKE_MISSING)
        probe_failf(probe, "no such queue");
    else if (messages >= 0)
        probe_answer(probe, &reading);
}

/* What only a child that went wrong does to its parent. */
static void gossip(void)
{
    const uint64_t id = 1;
    if (write(AGENT_WAKES, &id, sizeof(id)) != sizeof(id))
        abort();
}

static bool fake_measure(void *opaque, struct probe *const *probes, size_t count,
                         int64_t deadline_ms, struct error *error)
{
    struct client *client = opaque;
    bool breaks = false;
    bool hangs = false;
    pthread_mutex_lock(&fake.lock);
    fake.counts.batches++;
    fake.counts.probes += (int)count;
    if ((int)count > fake.counts.largest_batch)
        fake.counts.largest_batch = (int)count;
    breaks = fake.down;
    bool parts = fake.parting;
    pthread_mutex_unlock(&fake.lock);

    for (size_t i = 0; i < count && !breaks; i++) {
        const char *queue = ((const struct query *)probes[i]->query)->queue;
        pthread_mutex_lock(&fake.lock);
        int messages = messages_of(queue);
        pthread_mutex_unlock(&fake.lock);
        if (strcmp(queue, "abort") == 0)
            abort();
        if (strcmp(queue, "log") == 0)
            log_debug("the fake source was asked");
        if (strcmp(queue, "sleep") == 0)
            sleep(3600);
        if (strcmp(queue, "gossip") == 0)
            gossip();
        if (probe_wants_arm(probes[i]))
            arm(client, probes[i], queue);
        breaks = messages == FAKE_BREAKS;
        hangs = hangs || messages == FAKE_HANGS;
        answer(probes[i], messages);
    }
    if (breaks)
        return error_unavailable(error, "the fake connection broke");
    if (hangs)
        usleep((useconds_t)clock_left_ms(deadline_ms, 60000) * 1000);
    return !parts || error_unavailable(error, "the fake connection ended");
}

static void fake_disconnect(void *opaque)
{
    struct client *client = opaque;
    pthread_mutex_lock(&fake.lock);
    fake.counts.disconnects++;
    for (int i = fake.arms_count - 1; i >= 0; i--)
        if (fake.arms[i].client == client)
            take_arm(i);
    pthread_mutex_unlock(&fake.lock);
    if (client->timer >= 0)
        close(client->timer);
    free(client);
}

#define FAKE_HOOKS                                                                                 \
    .options = table,                                                                              \
    .sizes = {sizeof(struct connection), sizeof(struct query), sizeof(struct target)},             \
    .plan = fake_plan, .judge = fake_judge, .measure = fake_measure, .disconnect = fake_disconnect

const struct scaler fake_scaler = {.name = "fake", .connect = fake_connect, FAKE_HOOKS};
const struct scaler fake_arming_scaler = {
    .name = "arming", .connect = fake_connect, .disarm = fake_disarm, FAKE_HOOKS};
const struct scaler fake_isolated_scaler = {.name = "isolated",
                                            .isolated = true,
                                            .connect = connect_with_timer,
                                            .disarm = fake_disarm,
                                            .descriptor = fake_descriptor,
                                            .hear = fake_hear,
                                            FAKE_HOOKS};
static const struct scaler fake_absent = {.name = "fake-cluster", .absent = "was left out"};
const struct scaler *const fake_scalers[] = {&fake_scaler, &fake_isolated_scaler, &fake_absent,
                                             NULL};

struct fake_values fake_values(const char *source, const char *queue)
{
    _cleanup_(error_done) struct error error = {0};
    const struct option_entry entries[] = {{"source", source}, {"queueName", queue}};
    struct fake_values values;
    if (!option_parse(table, fake_scaler.sizes, entries, 2, OPTION_FROM_TRIGGER, NULL,
                      values.scopes, &error))
        abort();
    return values;
}

void fake_values_done(struct fake_values *values)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(values->scopes[scope]);
}
