#include "kafka/client/background.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

struct kafka_background {
    int event_fd;
    pthread_mutex_t lock;
    pthread_cond_t has_ended;
    size_t running;                     /* calls, under the lock */
    struct kafka_background_call *done; /* calls that were not taken yet, under the lock */
};

struct background_run {
    struct kafka_background *background;
    struct kafka_background_call *call;
};

struct kafka_background *kafka_background_new(int event_fd)
{
    struct kafka_background *background = memory_new(sizeof(*background));
    background->event_fd = event_fd;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&background->lock, NULL);
    pthread_cond_init(&background->has_ended, &attributes);
    pthread_condattr_destroy(&attributes);
    return background;
}

bool kafka_background_wait(struct kafka_background *background, int64_t deadline_ms)
{
    struct timespec until = clock_monotonic_after(clock_left_ms(deadline_ms, INT32_MAX));
    pthread_mutex_lock(&background->lock);
    while (background->running > 0 &&
           pthread_cond_timedwait(&background->has_ended, &background->lock, &until) == 0)
        continue;
    bool has_ended = background->running == 0;
    pthread_mutex_unlock(&background->lock);
    return has_ended;
}

void kafka_background_free(struct kafka_background *background)
{
    kafka_background_wait(background, CLOCK_NEVER);
    pthread_cond_destroy(&background->has_ended);
    pthread_mutex_destroy(&background->lock);
    free(background);
}

static void *run_call(void *argument)
{
    struct background_run *run = argument;
    struct kafka_background *background = run->background;
    struct kafka_background_call *call = run->call;
    free(run);
    call->run(call);
    pthread_mutex_lock(&background->lock);
    call->next = background->done;
    background->done = call;
    background->running--;
    eventfd_write(background->event_fd, 1);
    pthread_cond_signal(&background->has_ended);
    pthread_mutex_unlock(&background->lock);
    return NULL;
}

bool kafka_background_start(struct kafka_background *background, struct kafka_background_call *call)
{
    pthread_t thread;
    pthread_attr_t attributes;
    struct background_run *argument = memory_new(sizeof(*argument));
    *argument = (struct background_run){.background = background, .call = call};
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&background->lock);
    bool has_started = pthread_create(&thread, &attributes, run_call, argument) == 0;
    background->running += has_started;
    pthread_mutex_unlock(&background->lock);
    pthread_attr_destroy(&attributes);
    if (!has_started)
        free(argument);
    return has_started;
}

struct kafka_background_call *kafka_background_next(struct kafka_background *background)
{
    pthread_mutex_lock(&background->lock);
    struct kafka_background_call *call = background->done;
    if (call != NULL)
        background->done = call->next;
    pthread_mutex_unlock(&background->lock);
    return call;
}
