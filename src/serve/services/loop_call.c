#include "serve/services/loop_call.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

/* On the stack of the thread that waits for it. */
struct loop_call {
    void (*run)(void *context);
    void *context;
    enum { LOOP_CALL_WAITING, LOOP_CALL_RUNNING, LOOP_CALL_DONE } state;
    struct loop_call *next, *prev;
};

struct loop_calls {
    void (*wake)(void *context);
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct loop_call *waiting;
    bool is_ended;
};

struct loop_calls *loop_calls_new(void (*wake)(void *context), void *context)
{
    struct loop_calls *loop_calls = memory_new(sizeof(*loop_calls));
    loop_calls->wake = wake;
    loop_calls->context = context;
    pthread_mutex_init(&loop_calls->lock, NULL);
    pthread_cond_init(&loop_calls->changed, NULL);
    return loop_calls;
}

void loop_calls_free(struct loop_calls *loop_calls)
{
    if (loop_calls == NULL)
        return;
    pthread_cond_destroy(&loop_calls->changed);
    pthread_mutex_destroy(&loop_calls->lock);
    free(loop_calls);
}

bool loop_calls_run(struct loop_calls *loop_calls, void (*run)(void *context), void *context,
                    int64_t timeout_ms)
{
    struct loop_call call = {.run = run, .context = context};
    struct timespec until = clock_monotonic_after(timeout_ms);
    bool in_time = true;

    pthread_mutex_lock(&loop_calls->lock);
    DL_APPEND(loop_calls->waiting, &call);
    pthread_mutex_unlock(&loop_calls->lock);
    loop_calls->wake(loop_calls->context);

    pthread_mutex_lock(&loop_calls->lock);
    while (call.state == LOOP_CALL_WAITING && in_time && !loop_calls->is_ended)
        in_time = pthread_cond_clockwait(&loop_calls->changed, &loop_calls->lock, CLOCK_MONOTONIC,
                                         &until) == 0;
    while (call.state == LOOP_CALL_RUNNING)
        pthread_cond_wait(&loop_calls->changed, &loop_calls->lock);
    if (call.state == LOOP_CALL_WAITING)
        DL_DELETE(loop_calls->waiting, &call);
    pthread_mutex_unlock(&loop_calls->lock);
    return call.state == LOOP_CALL_DONE;
}

static void do_nothing(void *context)
{
    (void)context;
}

bool loop_calls_respond(struct loop_calls *loop_calls, int64_t timeout_ms)
{
    return loop_calls_run(loop_calls, do_nothing, NULL, timeout_ms);
}

void loop_calls_end(struct loop_calls *loop_calls)
{
    if (loop_calls == NULL)
        return;
    pthread_mutex_lock(&loop_calls->lock);
    loop_calls->is_ended = true;
    pthread_cond_broadcast(&loop_calls->changed);
    pthread_mutex_unlock(&loop_calls->lock);
}

void loop_calls_turn(struct loop_calls *loop_calls)
{
    int left;
    struct loop_call *call;
    pthread_mutex_lock(&loop_calls->lock);
    DL_COUNT(loop_calls->waiting, call, left);
    for (; left > 0 && loop_calls->waiting != NULL; left--) {
        call = loop_calls->waiting;
        DL_DELETE(loop_calls->waiting, call);
        call->state = LOOP_CALL_RUNNING;
        pthread_mutex_unlock(&loop_calls->lock);
        call->run(call->context);
        pthread_mutex_lock(&loop_calls->lock);
        call->state = LOOP_CALL_DONE;
        pthread_cond_broadcast(&loop_calls->changed);
    }
    pthread_mutex_unlock(&loop_calls->lock);
}
