#include "measure/fake.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct connection {
    const char *source;
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
    {"queueName", NULL, OPTION_QUERY, OPTION_STRING, OPTION_FIELD(struct query, queue),
     .flags = OPTION_REQUIRED, .doc = "the queue"},
    {"queueLength", NULL, OPTION_TARGET, OPTION_FLOAT, OPTION_FIELD(struct target, length),
     .fallback = "5", .limits = {1, INFINITY}},
    {0},
};

enum { MOST_QUEUES = 64 };

static struct {
    pthread_mutex_t lock;
    struct fake_counts counts;
    bool down;
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

void fake_set_up(bool up)
{
    pthread_mutex_lock(&fake.lock);
    fake.down = !up;
    pthread_mutex_unlock(&fake.lock);
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
    (void)deadline_ms;
    pthread_mutex_lock(&fake.lock);
    bool up = !fake.down && strcmp(connection->source, "down") != 0;
    fake.counts.connects++;
    pthread_mutex_unlock(&fake.lock);
    if (!up)
        return error_unavailable(error, "the fake source is down");
    *ret_client = memory_new(1);
    return true;
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

static bool fake_measure(void *client, struct probe *const *probes, size_t count,
                         int64_t deadline_ms, struct error *error)
{
    (void)client;
    bool breaks = false;
    bool hangs = false;
    pthread_mutex_lock(&fake.lock);
    fake.counts.batches++;
    fake.counts.probes += (int)count;
    if ((int)count > fake.counts.largest_batch)
        fake.counts.largest_batch = (int)count;
    breaks = fake.down;
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
        breaks = messages == FAKE_BREAKS;
        hangs = hangs || messages == FAKE_HANGS;
        answer(probes[i], messages);
    }
    if (breaks)
        return error_unavailable(error, "the fake connection broke");
    if (hangs)
        usleep((useconds_t)clock_left_ms(deadline_ms, 60000) * 1000);
    return true;
}

static void fake_disconnect(void *client)
{
    pthread_mutex_lock(&fake.lock);
    fake.counts.disconnects++;
    pthread_mutex_unlock(&fake.lock);
    free(client);
}

#define FAKE_HOOKS                                                                                 \
    .options = table,                                                                              \
    .sizes = {sizeof(struct connection), sizeof(struct query), sizeof(struct target)},             \
    .plan = fake_plan, .judge = fake_judge, .connect = fake_connect, .measure = fake_measure,      \
    .disconnect = fake_disconnect

const struct scaler fake_scaler = {.name = "fake", FAKE_HOOKS};
const struct scaler fake_isolated_scaler = {.name = "isolated", .isolated = true, FAKE_HOOKS};
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
