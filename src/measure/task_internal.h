/*
 * What a feed is made of, for who implements one: a connection of the engine (poller.c), an agent
 * process (agent/agent.c), a test. What scalers call of it is in task.h.
 *
 * Threads: all hooks are called on the thread that runs measure.
 */
#ifndef BACKLOG_MEASURE_TASK_INTERNAL_H
#define BACKLOG_MEASURE_TASK_INTERNAL_H

#include "measure/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hook with the name of a function of task.h does what is said there. */
struct feed_hooks {
    struct task *(*take)(struct feed *feed);
    struct task *(*next_cancelled)(struct feed *feed);
    bool (*next_unsubscribe)(struct feed *feed, uint64_t *ret_id);
    bool (*is_stopping)(struct feed *feed);
    int (*descriptor)(const struct feed *feed);
    int64_t (*next_ms)(struct feed *feed); /* when it may have something, as feed_wait() has it */
    int64_t (*delay_ms)(struct feed *feed);
    void (*set_max_tasks)(struct feed *feed, size_t max_tasks, size_t isolated);
    void (*started)(struct task *task);
    /* A task ends; `reading` or `error` is NULL where the outcome has none. */
    void (*end)(struct task *task, enum task_outcome outcome, const struct reading *reading,
                const struct error *error);
};

/* Each feed begins with this member. */
struct feed {
    const struct feed_hooks *hooks;
};

#endif
