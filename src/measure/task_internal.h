/*
 * The inside of a feed, for those who implement one: a connection of the engine (poller.c), an
 * agent process (agent/agent.c), a test. Scalers call the functions of task.h.
 *
 * Threads: all hooks are called on the thread that runs measure.
 */
#ifndef BACKLOG_MEASURE_TASK_INTERNAL_H
#define BACKLOG_MEASURE_TASK_INTERNAL_H

#include "measure/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hook does what task.h says of the function with its name: `take` that of feed_take(). */
struct feed_hooks {
    struct task *(*take)(struct feed *feed);
    bool (*next_unsubscribe)(struct feed *feed, uint64_t *ret_id);
    bool (*is_stopping)(struct feed *feed);
    int (*descriptor)(const struct feed *feed);
    /* When the feed may have something for feed_wait(), of clock_now_ms(); CLOCK_NEVER: never. */
    int64_t (*next_ms)(struct feed *feed);
    int64_t (*delay_ms)(struct feed *feed);
    void (*set_max_tasks)(struct feed *feed, size_t max_tasks, size_t isolated);
    void (*started)(struct task *task);
    /* A task ends. `reading` and `error` are NULL if the outcome has none. */
    void (*end)(struct task *task, enum task_outcome outcome, const struct reading *reading,
                const struct error *error);
};

/* Each feed begins with this member. */
struct feed {
    const struct feed_hooks *hooks;
    size_t query_bytes; /* see feed_query_bytes() */
    /* Of feed_set_max_tasks() alone: the hook has been called with these. */
    bool has_limits;
    size_t max_tasks, isolated;
};

#endif
