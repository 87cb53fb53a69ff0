/*
 * A task: one query that a scaler is measuring; and the feed that a scaler takes its tasks from.
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
 * A scaler takes tasks until the feed has none. The feed limits how many tasks are in flight at a
 * time: to the scaler's max_tasks, or to the number of feed_set_max_tasks(). The scaler ends each
 * task exactly once, in any order.
 *
 * Threads: the thread that runs measure, for all functions but those of struct notifier.
 * Owner:   the feed. A scaler may use a task, its query and all that the query points to from
 *          feed_take() until it ends the task. When measure returns, the remaining tasks are
 *          abandoned: then, too, another thread may free the query at any time. So a scaler copies
 *          what it needs for longer, such as a name in a cache, or the keys of a list that it
 *          searches while tasks end. disconnect is called when there are no tasks.
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
 * Whom to notify that a message may have arrived. A notifier is a value: copy it. Its functions may
 * be called on any thread, with or without a lock of the scaler's, until disconnect has returned. A
 * notification without a message only costs a measurement.
 */
struct notifier {
    void (*notify)(void *context, uint64_t id);
    void *context;
    uint64_t id;                              /* never reused; 0: nobody */
    void (*lose)(void *context, uint64_t id); /* NULL: notify does */
};

void notifier_notify(const struct notifier *notifier);

/* The subscription has ended without a message. One measurement is due now, which subscribes again.
 */
void notifier_lose(const struct notifier *notifier);

struct feed;

struct task {
    const void *query; /* the query's options: the scaler's own struct; ends with the task */
    unsigned wants;    /* bits of enum reading_want, of all triggers that share the query */
    bool isolate; /* the query timed out last, or was slow: the task must not delay other tasks */
    struct notifier notifier; /* id > 0: subscribe, too (scaler.h) */
    int64_t timeout_ms;       /* counts from when the source can work on the task */
    int64_t last_duration_ms; /* of the query's last measurement; -1: not known */

    /* Only the scaler uses these, while it has the task. */
    int64_t queued_ms;   /* since when, or until when, the task waits in a queue of the scaler */
    int64_t deadline_ms; /* when the task times out, once it was sent */
    void *data;
    struct task *prev, *next; /* utlist */

    /* Only the feed uses these. */
    struct feed *feed;
    const struct option_values *values;
    bool is_subscribed;
    bool has_ended;
    struct error subscribe_error;
    char *note; /* see task_note(); NULL: none */
};

/* How a task ends. */
enum task_outcome {
    TASK_ANSWERED,
    TASK_FAILED,    /* the source answered with an error, or with an invalid reply */
    TASK_TIMED_OUT, /* no answer in timeout_ms */
    TASK_RETURNED,  /* neither measured nor failed: feed_take() returns it again at once */
    TASK_ISOLATED,  /* neither measured nor failed: feed_take() returns it again, with `isolate` */
};

/*
 * Each of these functions ends the task: its pointer and its query are invalid afterwards. So an
 * error whose text has parts of the query is made before. `isolate` is for a task that turned out
 * to be slow while others wait behind it.
 */
void task_answer(struct task *task, const struct reading *reading);
void task_fail(struct task *task, const struct error *error);
void task_failf(struct task *task, const char *format, ...) /* ERROR_UNAVAILABLE */
    __attribute__((format(printf, 2, 3)));
void task_time_out(struct task *task);
void task_time_out_with(struct task *task,
                        const struct error *error); /* which says what did not answer */
void task_return(struct task *task, bool isolate);

/* Only now the source can work on the task: the scaler had kept it back, or it waited behind others
 * in a session. Its duration and its time-out count from now, and its reading is of this moment. If
 * this is not called, they count from feed_take(). */
void task_started(struct task *task);

/* The scaler reports whether it has subscribed, before the task ends. If it reports nothing, the
 * next measurement tries to subscribe again. */
bool task_wants_subscription(const struct task *task);
void task_subscribed(struct task *task);
void task_cannot_subscribe(struct task *task, const struct error *error);

/* What people are to know of the reading that task_answer() gives next, such as why it is 0:
 * `explain` and the dashboard show it with the reading. Of a long text the beginning is kept. */
void task_note(struct task *task, const char *text);

/* ---- the feed; who implements one includes task_internal.h, too ---- */

/* The next task that may be sent now; NULL: none. Tasks with a waiting caller come first, then the
 * task that is overdue for longest. */
struct task *feed_take(struct feed *feed);

/* The next subscription to end, by the id of its notifier; false: none. The subscription may be
 * over, and the same id may come twice. */
bool feed_next_unsubscribe(struct feed *feed, uint64_t *ret_id);

/* About how many bytes the queries take that an agent process keeps, for tasks that come again.
 * They are of the memory that it may map. 0: the process is no agent. */
size_t feed_query_bytes(const struct feed *feed);

/* Whether `measure` must end or abandon its tasks, and return. */
bool feed_is_stopping(struct feed *feed);

/*
 * Sets how many tasks may be in flight at a time, and how many of these may be of queries that
 * timed out last, or were returned to be isolated. The numbers replace max_tasks and isolated of
 * the scaler's struct, in later calls of `measure`, too. Numbers that are set already cost nothing.
 *
 * The feed of an agent process may have got more tasks before. feed_take() returns them; but once
 * the scaler has max_tasks, which is not 0, feed_wait() does not end for them.
 */
void feed_set_max_tasks(struct feed *feed, size_t max_tasks, size_t isolated);

/* For how long tasks have been waiting: of those that are ready and not taken, the one that waits
 * for longest. 0: none waits. Isolated tasks do not count, as they would fill further places, too.
 */
int64_t feed_delay_ms(struct feed *feed);

/*
 * Waits until one of the descriptors is ready, the feed has something (a task, an unsubscription,
 * stop), or the deadline has come. Sets the descriptors' revents, and returns whether
 * one is ready. Deadlines are of clock_now_ms(); CLOCK_NEVER: none.
 */
bool feed_wait(struct feed *feed, struct pollfd *descriptors, size_t count, int64_t deadline_ms);

/* For scalers that wait in another function than feed_wait(), such as curl_multi_poll(): a
 * descriptor that is readable when the feed has something, and the longest wait in milliseconds. */
int feed_descriptor(const struct feed *feed);
int feed_wait_ms(struct feed *feed, int64_t deadline_ms);

#endif
