/*
 * The limits that a scaler sets for a test's feed with feed_set_max_tasks():
 *
 *     struct feed_limits limits;
 *     feed_limits_note(&limits, feed);
 *     ... measure ...
 *     limits.set_count ...
 *
 * The feed still gets them. The limits must outlive its runs.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_SCALERS_FEED_LIMITS_H
#define BACKLOG_TEST_SCALERS_FEED_LIMITS_H

#include "measure/task_internal.h"
#include "support/feed.h"

struct feed_limits {
    struct feed_hooks hooks; /* first: the feed's hooks lead to the limits */
    const struct feed_hooks *original;
    size_t set_count;    /* they were set so often */
    size_t max_isolated; /* the highest of all times */
};

static inline void feed_limits_set(struct feed *feed, size_t max_tasks, size_t isolated)
{
    struct feed_limits *limits = (struct feed_limits *)feed->hooks;
    limits->set_count++;
    limits->max_isolated = isolated > limits->max_isolated ? isolated : limits->max_isolated;
    limits->original->set_max_tasks(feed, max_tasks, isolated);
}

/* From here on. The feed has a task. */
static inline void feed_limits_note(struct feed_limits *limits, struct test_feed *test_feed)
{
    struct feed *feed = test_feed_task(test_feed, 0)->task.feed;
    *limits = (struct feed_limits){.hooks = *feed->hooks, .original = feed->hooks};
    limits->hooks.set_max_tasks = feed_limits_set;
    feed->hooks = &limits->hooks;
}

#endif
