#include "model/workers.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* What is left of a fluid by rounding is nothing: a queue of 1e-13 would never be empty. */
static const double nothing = 1e-9;

void workers_init(struct workers *workers, const struct workers_settings *settings)
{
    *workers = (struct workers){.settings = *settings, .random = settings->seed};
}

void workers_done(struct workers *workers)
{
    free(workers->batches);
    *workers = (struct workers){0};
}

/* ---- noise ---- */

/* SplitMix64: https://prng.di.unimi.it/splitmix64.c */
static double random_unit(struct workers *workers)
{
    workers->random += 0x9e3779b97f4a7c15;
    uint64_t bits = workers->random;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    bits ^= bits >> 31;
    return (double)(bits >> 11) * 0x1p-53;
}

/* A factor around 1: twelve uniform numbers make a normal one that is near enough. */
static double noise(struct workers *workers, double deviation)
{
    if (deviation <= 0)
        return 1;
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += random_unit(workers);
    return fmax(0, 1 + deviation * sum);
}

/* ---- replicas ---- */

static int64_t count_replicas(const struct workers *workers)
{
    int64_t replicas = 0;
    for (size_t i = 0; i < workers->count; i++)
        replicas += workers->batches[i].replicas;
    return replicas;
}

static void stop_youngest(struct workers *workers, int64_t replicas)
{
    while (replicas > 0 && workers->count > 0) {
        struct workers_batch *batch = &workers->batches[workers->count - 1];
        int64_t stopped = replicas < batch->replicas ? replicas : batch->replicas;
        double returned = batch->in_flight * (double)stopped / (double)batch->replicas;
        workers->waiting += returned;
        batch->in_flight -= returned;
        batch->replicas -= stopped;
        replicas -= stopped;
        if (batch->replicas == 0)
            workers->count--;
    }
}

void workers_scale(struct workers *workers, int64_t replicas, int64_t now_s)
{
    int64_t more = replicas - count_replicas(workers);
    if (more < 0)
        stop_youngest(workers, -more);
    if (more <= 0)
        return;
    workers->batches = memory_grow(workers->batches, &workers->capacity, workers->count + 1,
                                   sizeof(*workers->batches));
    workers->batches[workers->count++] =
        (struct workers_batch){more, now_s + workers->settings.startup_s, 0};
}

int64_t workers_ready(const struct workers *workers, int64_t now_s)
{
    int64_t ready = 0;
    for (size_t i = 0; i < workers->count; i++)
        if (workers->batches[i].ready_at_s <= now_s)
            ready += workers->batches[i].replicas;
    return ready;
}

double workers_in_flight(const struct workers *workers)
{
    double in_flight = 0;
    for (size_t i = 0; i < workers->count; i++)
        in_flight += workers->batches[i].in_flight;
    return in_flight;
}

/* ---- work ---- */

static double room(const struct workers *workers, const struct workers_batch *batch, int64_t now_s)
{
    if (batch->ready_at_s > now_s)
        return 0;
    return fmax(0, (double)batch->replicas * workers->settings.prefetch - batch->in_flight);
}

/* A broker fills the windows evenly. */
static void deliver(struct workers *workers, int64_t now_s)
{
    double rooms = 0;
    for (size_t i = 0; i < workers->count; i++)
        rooms += room(workers, &workers->batches[i], now_s);
    if (rooms <= 0)
        return;
    double share = fmin(1, workers->waiting / rooms);
    for (size_t i = 0; i < workers->count; i++)
        workers->batches[i].in_flight += share * room(workers, &workers->batches[i], now_s);
    workers->waiting = fmax(0, workers->waiting - share * rooms);
}

/* What a replica has in flight it works off alone; what it can do besides, it takes from the queue.
 */
static double work_in_flight(struct workers *workers, double rate, int64_t now_s)
{
    double spare = 0;
    for (size_t i = 0; i < workers->count; i++) {
        struct workers_batch *batch = &workers->batches[i];
        if (batch->ready_at_s > now_s)
            continue;
        double able = (double)batch->replicas * rate;
        double done = fmin(able, batch->in_flight);
        batch->in_flight -= done;
        workers->done += done;
        spare += able - done;
    }
    return spare;
}

void workers_run(struct workers *workers, double arrivals, int64_t now_s)
{
    double deviation = workers->settings.noise;
    int64_t ready = workers_ready(workers, now_s);
    double arriving = arrivals * noise(workers, deviation);
    /* The noises of many replicas level out. */
    double rate =
        workers->settings.rate * noise(workers, ready > 0 ? deviation / sqrt((double)ready) : 0);
    if (workers->settings.change_at_s > 0 && now_s >= workers->settings.change_at_s)
        rate *= workers->settings.change;
    workers->arrived += arriving;
    workers->waiting += arriving;
    deliver(workers, now_s);
    double done = fmin(workers->waiting, work_in_flight(workers, rate, now_s));
    workers->waiting -= done;
    workers->done += done;
    if (workers->waiting < nothing)
        workers->waiting = 0;
    deliver(workers, now_s);
}
