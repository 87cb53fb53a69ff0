#include "base/cpu_turn.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <time.h>

enum { LONGEST_MS = 10 };

/* A thread has one turn in a round, and so has a tenant: its next waiter comes a round later than
 * the one before it. A tenant with many does not delay one with few, and nobody starves. */
struct waiter {
    TAILQ_ENTRY(waiter) all;
    uint64_t tenant;
    uint64_t round;
    uint64_t turn; /* that it has been given; 0: none yet */
    pthread_cond_t given;
};

TAILQ_HEAD(waiters, waiter);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_turn; /* they are numbered from 1 */
static bool is_taken;      /* the last one has not ended */
static int64_t ends_ms;
static uint64_t this_round;
static struct waiters waiters = TAILQ_HEAD_INITIALIZER(waiters); /* by their rounds */

/* Of the thread. */
static _Thread_local struct waiter waiter;
static _Thread_local bool has_begun;
static _Thread_local uint64_t turn_of_thread; /* 0: none; it may have ended */
static _Thread_local uint64_t tenant_of_thread;
static _Thread_local uint64_t next_round; /* it has had its turn of those before */

/* All with the lock. */
static uint64_t take_turn(void)
{
    is_taken = true;
    ends_ms = clock_now_ms() + LONGEST_MS;
    return ++last_turn;
}

/* The first who waits gets the next turn. Only the first wakes up when this one has lasted long
 * enough: whoever becomes it is woken to set its time-out. */
static void end_turn(void)
{
    struct waiter *next = TAILQ_FIRST(&waiters);
    is_taken = false;
    if (next == NULL)
        return;
    TAILQ_REMOVE(&waiters, next, all);
    this_round = next->round;
    next->turn = take_turn();
    pthread_cond_signal(&next->given);
    if (!TAILQ_EMPTY(&waiters))
        pthread_cond_signal(&TAILQ_FIRST(&waiters)->given);
}

/* Those of a tenant are in the order of their rounds, as all are. */
static void add_waiter(void)
{
    struct waiter *other;
    waiter = (struct waiter){.tenant = tenant_of_thread,
                             .round = this_round > next_round ? this_round : next_round};
    pthread_cond_init(&waiter.given, NULL);
    TAILQ_FOREACH_REVERSE(other, &waiters, waiters, all)
        if (other->tenant == waiter.tenant) {
            waiter.round = other->round >= waiter.round ? other->round + 1 : waiter.round;
            break;
        }
    TAILQ_FOREACH_REVERSE(other, &waiters, waiters, all)
        if (other->round <= waiter.round)
            break;
    if (other == NULL)
        TAILQ_INSERT_HEAD(&waiters, &waiter, all);
    else
        TAILQ_INSERT_AFTER(&waiters, other, &waiter, all);
}

static uint64_t wait_for_turn(void)
{
    add_waiter();
    while (waiter.turn == 0) {
        int left_ms = clock_left_ms(ends_ms, LONGEST_MS);
        const struct timespec until = clock_monotonic_after(left_ms);
        if (left_ms == 0)
            end_turn();
        else if (TAILQ_FIRST(&waiters) == &waiter)
            pthread_cond_clockwait(&waiter.given, &lock, CLOCK_MONOTONIC, &until);
        else
            pthread_cond_wait(&waiter.given, &lock);
    }
    pthread_cond_destroy(&waiter.given);
    next_round = waiter.round + 1;
    return waiter.turn;
}

void cpu_turn_pause(void)
{
    if (turn_of_thread == 0)
        return;
    pthread_mutex_lock(&lock);
    if (is_taken && turn_of_thread == last_turn)
        end_turn();
    pthread_mutex_unlock(&lock);
    turn_of_thread = 0;
}

void cpu_turn_resume(void)
{
    if (!has_begun || turn_of_thread != 0)
        return;
    pthread_mutex_lock(&lock);
    if (is_taken) {
        turn_of_thread = wait_for_turn();
    } else {
        turn_of_thread = take_turn();
        next_round = this_round + 1;
    }
    pthread_mutex_unlock(&lock);
}

void cpu_turn_begin(uint64_t tenant)
{
    has_begun = true;
    tenant_of_thread = tenant;
    cpu_turn_resume();
}

void cpu_turn_end(void)
{
    cpu_turn_pause();
    has_begun = false;
}

int cpu_turn_poll(struct pollfd *descriptors, size_t count, int timeout_ms)
{
    cpu_turn_pause();
    int ready = poll(descriptors, count, timeout_ms);
    cpu_turn_resume();
    return ready;
}
