#include "support/feed.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/task_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct test_feed {
    struct feed feed;
    const struct scaler *scaler;
    struct test_task **tasks;
    size_t count;
    size_t capacity;
    size_t next; /* the first that may not have been given */
    size_t in_flight;
    size_t isolated_in_flight;
    size_t ended;
    size_t max_tasks;
    size_t isolated;
    int64_t timeout_ms;
    int64_t begun_ms;
    int64_t stop_at_ms;
    int64_t stay_ms;
    bool lets_return; /* it does not stop before */
    uint64_t *unsubscribes;
    size_t unsubscribes_count;
    size_t unsubscribes_capacity;
    size_t turns; /* of the scaler, that ended with feed_wait() */
    int timer;    /* never readable: the feed has nothing but what it has at once */
};

static struct test_feed *of(const struct feed *feed)
{
    return (struct test_feed *)feed;
}

/* The place of a string in a query; NULL where the row is none. */
static char **string_of(void *query, const struct option *row)
{
    bool is_string = row->scope == OPTION_QUERY && row->type == OPTION_STRING;
    return is_string ? (char **)((char *)query + row->offset) : NULL;
}

/* The engine may free a query as soon as its task has ended: each task has a copy, with the
 * strings, that is freed then. */
static void lend_query(const struct test_feed *feed, struct test_task *task)
{
    size_t size = feed->scaler->sizes[OPTION_QUERY];
    void *copy = memory_new(size);
    memcpy(copy, task->query, size);
    for (const struct option *row = feed->scaler->options; row->key != NULL; row++) {
        char **string = string_of(copy, row);
        if (string != NULL)
            *string = text_copy(*string);
    }
    task->task.query = copy;
}

static void take_query_back(const struct test_feed *feed, struct test_task *task)
{
    void *copy = (void *)task->task.query;
    task->task.query = NULL;
    if (copy == NULL)
        return;
    for (const struct option *row = feed->scaler->options; row->key != NULL; row++) {
        char **string = string_of(copy, row);
        if (string != NULL)
            free(*string);
    }
    free(copy);
}

static struct test_task *give(struct test_feed *feed, struct test_task *task)
{
    lend_query(feed, task);
    task->in_flight = true;
    task->sent_ms = clock_now_ms();
    task->given++;
    task->task.has_ended = false;
    feed->in_flight++;
    feed->isolated_in_flight += task->task.isolate;
    return task;
}

/* The next that was given least often; one that is isolated only while there is a place for it, or
 * nobody else waits. */
static struct test_task *find_next(struct test_feed *feed)
{
    struct test_task *next = NULL;
    struct test_task *isolated = NULL;
    for (size_t i = feed->next; i < feed->count; i++) {
        struct test_task *task = feed->tasks[i];
        if (i == feed->next && (task->ended || task->in_flight))
            feed->next++;
        if (task->ended || task->in_flight)
            continue;
        struct test_task **first = task->task.isolate ? &isolated : &next;
        if (*first == NULL || task->given < (*first)->given)
            *first = task;
    }
    bool has_place = next == NULL || feed->isolated_in_flight < feed->isolated;
    bool is_first =
        isolated != NULL && has_place && (next == NULL || isolated->given <= next->given);
    return is_first ? isolated : next;
}

/* NULL: there is none, or no place for it. */
static struct test_task *next_to_give(struct test_feed *feed)
{
    bool may = feed->in_flight < feed->max_tasks && clock_now_ms() < feed->stop_at_ms;
    return may ? find_next(feed) : NULL;
}

static struct task *take(struct feed *base)
{
    struct test_feed *feed = of(base);
    struct test_task *task = next_to_give(feed);
    return task == NULL ? NULL : &give(feed, task)->task;
}

static bool next_unsubscribe(struct feed *base, uint64_t *ret_id)
{
    struct test_feed *feed = of(base);
    if (feed->unsubscribes_count == 0)
        return false;
    *ret_id = feed->unsubscribes[--feed->unsubscribes_count];
    return true;
}

static bool is_over(const struct test_feed *feed)
{
    int64_t now_ms = clock_now_ms();
    return now_ms >= feed->stop_at_ms || (feed->ended == feed->count && now_ms >= feed->stay_ms);
}

static bool is_stopping(struct feed *base)
{
    const struct test_feed *feed = of(base);
    return feed->lets_return ? clock_now_ms() >= feed->stop_at_ms : is_over(feed);
}

static int descriptor(const struct feed *base)
{
    return of(base)->timer;
}

static int64_t next_ms(struct feed *base)
{
    struct test_feed *feed = of(base);
    feed->turns++;
    if (next_to_give(feed) != NULL)
        return clock_now_ms();
    bool stays = feed->ended < feed->count || feed->lets_return;
    return stays ? feed->stop_at_ms : feed->stay_ms;
}

static int64_t delay_ms(struct feed *base)
{
    const struct test_feed *feed = of(base);
    bool waits = feed->ended + feed->in_flight < feed->count;
    return waits ? clock_now_ms() - feed->begun_ms : 0;
}

static void set_max_tasks(struct feed *base, size_t max_tasks, size_t isolated)
{
    of(base)->max_tasks = max_tasks;
    of(base)->isolated = isolated;
}

static void started(struct task *base)
{
    struct test_task *task = (struct test_task *)base;
    task->sent_ms = clock_now_ms();
    task->started++;
    task->started_turn = of(base->feed)->turns;
}

static void end(struct task *base, enum task_outcome outcome, const struct reading *reading,
                const struct error *error)
{
    struct test_task *task = (struct test_task *)base;
    struct test_feed *feed = of(base->feed);
    bool is_returned = outcome == TASK_RETURNED || outcome == TASK_ISOLATED;
    feed->in_flight--;
    feed->isolated_in_flight -= base->isolate;
    feed->next = 0;
    task->in_flight = false;
    take_query_back(feed, task);
    task->subscribed = task->subscribed || base->is_subscribed;
    error_copy(&task->subscribe_error, &base->subscribe_error);
    base->isolate = base->isolate || outcome == TASK_ISOLATED || outcome == TASK_TIMED_OUT;
    if (is_returned) {
        task->returned++;
        task->returned_turn = feed->turns;
        return;
    }
    task->ended = true;
    task->outcome = outcome;
    task->order = ++feed->ended;
    base->last_duration_ms = outcome == TASK_ANSWERED ? clock_now_ms() - task->sent_ms : -1;
    if (reading != NULL)
        task->reading = *reading;
    if (error != NULL)
        error_copy(&task->error, error);
}

struct test_feed *test_feed_new(const struct scaler *scaler)
{
    static const struct feed_hooks hooks = {take,          next_unsubscribe, is_stopping,
                                            descriptor,    next_ms,          delay_ms,
                                            set_max_tasks, started,          end};
    struct test_feed *feed = memory_new(sizeof(*feed));
    feed->feed.hooks = &hooks;
    feed->scaler = scaler;
    feed->max_tasks = scaler->max_tasks == 0 ? SIZE_MAX : scaler->max_tasks;
    feed->isolated = scaler->isolated == 0 ? 16 : scaler->isolated;
    feed->timeout_ms = scaler->timeout_ms == 0 ? 2000 : scaler->timeout_ms;
    feed->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return feed;
}

void test_feed_free(struct test_feed *feed)
{
    for (size_t i = 0; i < feed->count; i++) {
        error_done(&feed->tasks[i]->error);
        error_done(&feed->tasks[i]->subscribe_error);
        error_done(&feed->tasks[i]->task.subscribe_error);
        free(feed->tasks[i]->task.note);
        take_query_back(feed, feed->tasks[i]);
        free(feed->tasks[i]);
    }
    free(feed->tasks);
    free(feed->unsubscribes);
    close(feed->timer);
    free(feed);
}

void test_feed_add(struct test_feed *feed, const void *query, struct notifier notifier)
{
    struct test_task *task = memory_new(sizeof(*task));
    task->query = query;
    task->task = (struct task){.notifier = notifier,
                               .timeout_ms = feed->timeout_ms,
                               .last_duration_ms = -1,
                               .feed = &feed->feed};
    feed->tasks = memory_grow(feed->tasks, &feed->capacity, feed->count + 1, sizeof(*feed->tasks));
    feed->tasks[feed->count++] = task;
}

struct test_task *test_feed_task(struct test_feed *feed, size_t index)
{
    return feed->tasks[index];
}

size_t test_feed_count(const struct test_feed *feed)
{
    return feed->count;
}

void test_feed_set_timeout(struct test_feed *feed, int64_t timeout_ms)
{
    feed->timeout_ms = timeout_ms;
    for (size_t i = 0; i < feed->count; i++)
        feed->tasks[i]->task.timeout_ms = timeout_ms;
}

void test_feed_unsubscribe(struct test_feed *feed, uint64_t id)
{
    feed->unsubscribes = memory_grow(feed->unsubscribes, &feed->unsubscribes_capacity,
                                     feed->unsubscribes_count + 1, sizeof(*feed->unsubscribes));
    feed->unsubscribes[feed->unsubscribes_count++] = id;
}

void test_feed_stay(struct test_feed *feed, int64_t ms)
{
    feed->stay_ms = clock_now_ms() + ms;
}

void test_feed_let_return(struct test_feed *feed)
{
    feed->lets_return = true;
}

void test_feed_again(struct test_feed *feed)
{
    for (size_t i = 0; i < feed->count; i++) {
        struct test_task *task = feed->tasks[i];
        task->ended = false;
        task->subscribed = false;
        task->task.is_subscribed = false;
        error_done(&task->error);
        error_done(&task->subscribe_error);
        error_done(&task->task.subscribe_error);
        free(TAKE(task->task.note));
    }
    feed->ended = 0;
    feed->next = 0;
}

bool test_feed_run(struct test_feed *feed, void *client, int64_t within_ms, struct error *error)
{
    feed->begun_ms = clock_now_ms();
    feed->stop_at_ms = feed->begun_ms + within_ms;
    size_t abandoned = feed->in_flight; /* by earlier runs */
    bool usable = true;
    while (usable && feed->in_flight == abandoned && !is_over(feed)) {
        usable = feed->scaler->measure(client, &feed->feed, error);
        if (feed->ended == feed->count && !is_over(feed))
            poll(NULL, 0, 1); /* it does not wait for what it is to stay for */
    }
    for (size_t i = 0; i < feed->count; i++)
        take_query_back(feed, feed->tasks[i]); /* of those that were abandoned */
    return usable;
}
