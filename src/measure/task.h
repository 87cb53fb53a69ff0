/*
 * A task: one query that a scaler has taken to measure, and the feed that it takes them from.
 *
 *     bool measure(void *client, struct feed *feed, struct error *error)
 *     {
 *         while (!feed_is_stopping(feed)) {
 *             for (struct task *task; (task = feed_take(feed)) != NULL;)
 *                 ... send its request, note task->deadline_ms = now + task->timeout_ms
 *             if (nothing is in flight)
 *                 break;
 *             feed_wait(feed, &socket, 1, the earliest deadline);
 *             ... read replies: task_answer(), task_fail(); deadlines that passed: task_time_out()
 *         }
 *         return true;
 *     }
 *
 * A scaler takes until there is nothing to take: how many tasks it may have at a time is its
 * max_tasks (feed_set_max_tasks()), and the feed gives no more. Where there is such a limit, it
 * also gives up what feed_next_cancelled() returns. It ends each task exactly once, in any order.
 *
 * Threads: all of it on the thread that runs measure.
 * Owner:   the feed. A task, its query and all that the query points to are the scaler's from
 *          feed_take() until one of the functions that end it, or until measure returns, which
 *          abandons what has not ended. From then on another thread may free the query at any time.
 *          So what outlives a task has copies: a name in a cache, the keys of a list that is sorted
 *          or searched while tasks end. disconnect finds no tasks any more.
 */
#ifndef BACKLOG_MEASURE_TASK_H
#define BACKLOG_MEASURE_TASK_H

#include "base/error.h"
#include "config/option.h"
#include "measure/reading.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whom to notify that a message may have arrived: a value, to be copied. notifier_notify() may be
 * called on any thread, with or without a lock of the scaler's, until disconnect has returned. A
 * notification too many costs a measurement.
 */
struct notifier {
    void (*notify)(void *context, uint64_t id);
    void *context;
    uint64_t id;                              /* never reused; 0: nobody */
    void (*lose)(void *context, uint64_t id); /* NULL: notify does */
};

void notifier_notify(const struct notifier *notifier);

/* The subscription has ended without a message: it is made again with the next measurement, which
 * is due now, and only one is. */
void notifier_lose(const struct notifier *notifier);

struct feed;

struct task {
    const void *query;        /* the query's options: the scaler's own struct; ends with the task */
    unsigned wants;           /* bits of enum reading_want, of all triggers that share the query */
    bool isolate;             /* it timed out last, or was slow: it must not delay other tasks */
    struct notifier notifier; /* id > 0: subscribe, too (scaler.h) */
    int64_t timeout_ms;       /* from the moment on that the source can work on it */
    int64_t last_duration_ms; /* of its last measurement; -1: not known */

    /* Only the scaler uses these, while it has the task. */
    int64_t queued_ms;   /* since when, or until when, it waits in a queue of the scaler */
    int64_t deadline_ms; /* when it times out, once it was sent */
    void *data;
    struct task *prev, *next; /* utlist */

    /* Only the feed uses these. */
    struct feed *feed;
    const struct option_values *values;
    bool is_subscribed;
    bool has_ended;
    struct error subscribe_error;
};

/* How a task ends. */
enum task_outcome {
    TASK_ANSWERED,
    TASK_FAILED,    /* the source answered with an error, or what it answered is one */
    TASK_TIMED_OUT, /* no answer in timeout_ms */
    TASK_RETURNED,  /* not measured and not failed: it is given out again at once */
    TASK_ISOLATED,  /* not measured and not failed: it is given out again, with `isolate` */
};

/*
 * Each of these ends the task: the pointer and the query are invalid after it. An error's text may
 * be made of the query: it is written before. `isolate` is for what turned out to be slow while
 * others wait behind it.
 */
void task_answer(struct task *task, const struct reading *reading);
void task_fail(struct task *task, const struct error *error);
void task_failf(struct task *task, const char *format, ...) /* ERROR_UNAVAILABLE */
    __attribute__((format(printf, 2, 3)));
void task_time_out(struct task *task);
void task_time_out_with(struct task *task,
                        const struct error *error); /* which says what did not answer */
void task_return(struct task *task, bool isolate);

/* The task was kept back until now, or only now the source can work on it: its reading is of this
 * moment, and its duration counts from here. (feed_take() is taken for the moment of sending
 * otherwise.) */
void task_started(struct task *task);

/* The scaler reports the result of subscribing before the task ends. Where it reports none,
 * subscribing is tried again soon. */
bool task_wants_subscription(const struct task *task);
void task_subscribed(struct task *task);
void task_cannot_subscribe(struct task *task, const struct error *error);

/* ---- the feed; who implements one includes task_internal.h, too ---- */

/* The next task that may be sent now; NULL: none. Those with a waiting caller come first, then the
 * longest overdue. */
struct task *feed_take(struct feed *feed);

/* A task in flight whose place others need (it is slow): give it up and end it with
 * task_return(task, true), or in any other way if it has just ended. NULL: none. Only scalers whose
 * number of tasks is limited (max_tasks, feed_set_max_tasks()) get any; others need not call it. */
struct task *feed_next_cancelled(struct feed *feed);

/* A subscription to end (the id of its notifier), where it exists; one may come twice. False: none.
 */
bool feed_next_unsubscribe(struct feed *feed, uint64_t *ret_id);

/* Whether `measure` must end its tasks or abandon them, and return. */
bool feed_is_stopping(struct feed *feed);

/*
 * Sets how many tasks the scaler may have at a time, and how many of them with `isolate` (or
 * unanswered for a second while others wait). Until this is called, max_tasks and isolated of the
 * scaler's struct count; afterwards these do, in later calls of `measure`, too.
 */
void feed_set_max_tasks(struct feed *feed, size_t max_tasks, size_t isolated);

/* How long the longest overdue task has been waiting for a place, or to be taken; 0: none waits.
 * Isolated ones do not count: more places would be theirs, too. */
int64_t feed_delay_ms(struct feed *feed);

/*
 * Waits until one of the descriptors is ready (their revents are set), the feed has something (a
 * task, an unsubscription, a cancellation, stop), or the deadline. Deadlines are of clock_now_ms();
 * CLOCK_NEVER: none. True where a descriptor is ready.
 */
bool feed_wait(struct feed *feed, struct pollfd *descriptors, size_t count, int64_t deadline_ms);

/* For scalers that wait by other means than feed_wait(), such as curl_multi_poll(): a descriptor
 * that is readable when the feed has something, and how many milliseconds to wait at most. */
int feed_descriptor(const struct feed *feed);
int feed_wait_ms(struct feed *feed, int64_t deadline_ms);

#endif
