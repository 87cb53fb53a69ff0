/*
 * A feed of a test: it gives a scaler some tasks, and records how each one ended.
 *
 *     struct test_feed *feed = test_feed_new(scaler);
 *     test_feed_add(feed, query_values, notifier) ...
 *     bool usable = test_feed_run(feed, client, within_ms, &error);
 *     test_feed_task(feed, 0)->outcome ...
 *
 * It stops measure once every task has ended, or when the time is over. A task that is returned is
 * given again, and has its duration with the next run. How many tasks there are at a time is the
 * scaler's to say; what finds no place in them has been waiting since the run began.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_FEED_H
#define BACKLOG_TEST_FEED_H

#include "measure/scaler.h"

struct test_task {
    struct task task;
    const void *query; /* the test's; the task has a copy until it ends, or is abandoned */
    bool ended;
    enum task_outcome outcome; /* where it has ended */
    struct reading reading;    /* of TASK_ANSWERED */
    struct error error;        /* of TASK_FAILED and TASK_TIMED_OUT */
    bool subscribed;
    struct error subscribe_error;
    size_t given;         /* so many times */
    size_t returned;      /* ... and returned so often, */
    size_t returned_turn; /* the last time when the scaler had waited so often (feed_wait()) */
    bool in_flight;
    size_t started;      /* task_started() was called so often, */
    size_t started_turn; /* the last time when the scaler had waited so often */
    int64_t sent_ms;     /* when it was given, or started */
    size_t order;        /* the how-manyeth it was to end, from 1 */
};

struct test_feed;

struct test_feed *test_feed_new(const struct scaler *scaler);
void test_feed_free(struct test_feed *feed);

/* Any number before test_feed_run(). `query` is borrowed. */
void test_feed_add(struct test_feed *feed, const void *query, struct notifier notifier);
struct test_task *test_feed_task(struct test_feed *feed, size_t index);
size_t test_feed_count(const struct test_feed *feed);

/* Of all tasks; 0: as the scaler says. */
void test_feed_set_timeout(struct test_feed *feed, int64_t timeout_ms);

/* Subscriptions to end from the next call of measure on. */
void test_feed_unsubscribe(struct test_feed *feed, uint64_t id);

/* measure must not return before this time has passed, even if all tasks have ended; to receive
 * notifications. */
void test_feed_stay(struct test_feed *feed, int64_t ms);

/* From now on it does not stop when all tasks have ended: measure returns once it is done. */
void test_feed_let_return(struct test_feed *feed);

/* Starts over: the tasks are given again with the next run. */
void test_feed_again(struct test_feed *feed);

/* Calls measure until all tasks have ended, it returns false or has abandoned some, or the time is
 * over. */
bool test_feed_run(struct test_feed *feed, void *client, int64_t within_ms, struct error *error);

#endif
