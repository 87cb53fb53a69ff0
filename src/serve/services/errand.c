#include "serve/services/errand.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

/* On the stack of the thread that waits for it. */
struct errand {
    void (*run)(void *context);
    void *context;
    enum { ERRAND_WAITING, ERRAND_RUNNING, ERRAND_DONE } state;
    struct errand *next, *prev;
};

struct errands {
    void (*wake)(void *context);
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct errand *waiting;
};

struct errands *errands_new(void (*wake)(void *context), void *context)
{
    struct errands *errands = memory_new(sizeof(*errands));
    errands->wake = wake;
    errands->context = context;
    pthread_mutex_init(&errands->lock, NULL);
    pthread_cond_init(&errands->changed, NULL);
    return errands;
}

void errands_free(struct errands *errands)
{
    pthread_cond_destroy(&errands->changed);
    pthread_mutex_destroy(&errands->lock);
    free(errands);
}

static struct timespec after_ms(int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

bool errands_run(struct errands *errands, void (*run)(void *context), void *context,
                 int64_t most_ms)
{
    struct errand errand = {.run = run, .context = context};
    struct timespec until = after_ms(most_ms);
    bool in_time = true;

    pthread_mutex_lock(&errands->lock);
    DL_APPEND(errands->waiting, &errand);
    pthread_mutex_unlock(&errands->lock);
    errands->wake(errands->context);

    pthread_mutex_lock(&errands->lock);
    while (errand.state == ERRAND_WAITING && in_time)
        in_time =
            pthread_cond_clockwait(&errands->changed, &errands->lock, CLOCK_MONOTONIC, &until) == 0;
    while (errand.state == ERRAND_RUNNING)
        pthread_cond_wait(&errands->changed, &errands->lock);
    if (errand.state == ERRAND_WAITING)
        DL_DELETE(errands->waiting, &errand);
    pthread_mutex_unlock(&errands->lock);
    return errand.state == ERRAND_DONE;
}

void errands_turn(struct errands *errands)
{
    pthread_mutex_lock(&errands->lock);
    while (errands->waiting != NULL) {
        struct errand *errand = errands->waiting;
        DL_DELETE(errands->waiting, errand);
        errand->state = ERRAND_RUNNING;
        pthread_mutex_unlock(&errands->lock);
        errand->run(errand->context);
        pthread_mutex_lock(&errands->lock);
        errand->state = ERRAND_DONE;
        pthread_cond_broadcast(&errands->changed);
    }
    pthread_mutex_unlock(&errands->lock);
}
