#include "kafka/worker.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

struct kafka_workers {
    int event_fd;
    pthread_mutex_t lock;
    pthread_cond_t has_ended;
    size_t running;         /* under the lock */
    struct kafka_job *done; /* under the lock */
};

struct run {
    struct kafka_workers *workers;
    struct kafka_job *job;
};

struct kafka_workers *kafka_workers_new(int event_fd)
{
    struct kafka_workers *workers = memory_new(sizeof(*workers));
    workers->event_fd = event_fd;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->has_ended, &attributes);
    pthread_condattr_destroy(&attributes);
    return workers;
}

bool kafka_workers_wait(struct kafka_workers *workers, int64_t deadline_ms)
{
    struct timespec until = clock_monotonic_after(clock_left_ms(deadline_ms, INT32_MAX));
    pthread_mutex_lock(&workers->lock);
    while (workers->running > 0 &&
           pthread_cond_timedwait(&workers->has_ended, &workers->lock, &until) == 0)
        ;
    bool has_ended = workers->running == 0;
    pthread_mutex_unlock(&workers->lock);
    return has_ended;
}

void kafka_workers_free(struct kafka_workers *workers)
{
    kafka_workers_wait(workers, CLOCK_NEVER);
    pthread_cond_destroy(&workers->has_ended);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

static void *worker_thread(void *argument)
{
    struct run *run = argument;
    struct kafka_workers *workers = run->workers;
    struct kafka_job *job = run->job;
    free(run);
    job->run(job);
    pthread_mutex_lock(&workers->lock);
    job->next = workers->done;
    workers->done = job;
    workers->running--;
    eventfd_write(workers->event_fd, 1);
    pthread_cond_signal(&workers->has_ended);
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

bool kafka_workers_start(struct kafka_workers *workers, struct kafka_job *job)
{
    pthread_t thread;
    pthread_attr_t attributes;
    struct run *argument = memory_new(sizeof(*argument));
    *argument = (struct run){.workers = workers, .job = job};
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&workers->lock);
    bool has_started = pthread_create(&thread, &attributes, worker_thread, argument) == 0;
    workers->running += has_started;
    pthread_mutex_unlock(&workers->lock);
    pthread_attr_destroy(&attributes);
    if (!has_started)
        free(argument);
    return has_started;
}

struct kafka_job *kafka_workers_next(struct kafka_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    struct kafka_job *job = workers->done;
    if (job != NULL)
        workers->done = job->next;
    pthread_mutex_unlock(&workers->lock);
    return job;
}
