#include "feed.h"

#include "base/clock.h"
#include "base/memory.h"
#include "measure/task_internal.h"
#include "require.h"

#include <math.h>
#include <stdlib.h>

enum {
    MAX_TIMES = 4, /* that a query is given in one run */
};

struct given {
    const struct fuzz_query *query;
    struct task *task;            /* NULL: it is not in flight */
    struct option_values *values; /* the task's own copy, which is freed with it */
    bool is_over;
    bool isolate;
    int times;
    int64_t given_ms;
    int64_t last_duration_ms;
    uint64_t notifier_id;
};

struct fuzz_feed {
    struct feed feed;
    const struct scaler *scaler;
    struct given *queries;
    size_t count;
    size_t in_flight;
    size_t isolated_in_flight;
    size_t max_tasks;
    size_t isolated;
    uint64_t last_id;
    uint64_t unsubscribe; /* an id, or 0 */
    int64_t begin_ms;
    int64_t end_ms;
};

static bool is_count(double number)
{
    return isnan(number) || (isfinite(number) && number >= 0);
}

/* NAN is unknown, and an error where it is evaluated. */
void require_counts(const struct reading *reading)
{
    require(is_count(reading->waiting) && is_count(reading->in_flight));
    require(!isinf(reading->value));
}

static struct fuzz_feed *of(const struct feed *feed)
{
    return (struct fuzz_feed *)feed;
}

static struct given *find(const struct fuzz_feed *feed, const struct task *task)
{
    for (size_t i = 0; i < feed->count; i++)
        if (feed->queries[i].task == task)
            return &feed->queries[i];
    abort();
}

/* A query is measured again, as it would be. */
static void notify(void *context, uint64_t id)
{
    struct fuzz_feed *feed = context;
    require(id > 0 && id <= feed->last_id);
    for (size_t i = 0; i < feed->count; i++)
        if (feed->queries[i].notifier_id == id && feed->queries[i].times < MAX_TIMES)
            feed->queries[i].is_over = false;
}

static struct task *give(struct fuzz_feed *feed, struct given *given)
{
    given->task = memory_new(sizeof(*given->task));
    given->times++;
    given->given_ms = clock_now_ms();
    given->notifier_id = feed->scaler->subscribes ? ++feed->last_id : 0;
    if (given->query->options != NULL)
        given->values =
            option_values_new(feed->scaler->options, feed->scaler->sizes[OPTION_QUERY],
                              OPTION_QUERY, (const char *const *)given->query->values->texts);
    *given->task = (struct task){
        .query = given->values == NULL ? NULL : given->values->data,
        .values = given->values == NULL ? given->query->values : given->values,
        .notifier = {.notify = notify, .context = feed, .id = given->notifier_id},
        .timeout_ms = feed->scaler->timeout_ms == 0 ? 2000 : feed->scaler->timeout_ms,
        .last_duration_ms = given->last_duration_ms,
        .isolate = given->isolate,
        .feed = &feed->feed,
    };
    feed->in_flight++;
    feed->isolated_in_flight += given->isolate;
    return given->task;
}

static struct task *take(struct feed *base)
{
    struct fuzz_feed *feed = of(base);
    if (feed->in_flight >= feed->max_tasks || clock_now_ms() >= feed->end_ms)
        return NULL;
    for (size_t i = 0; i < feed->count; i++) {
        struct given *given = &feed->queries[i];
        bool has_place = !given->isolate || feed->isolated_in_flight < feed->isolated;
        if (given->task == NULL && !given->is_over && has_place)
            return give(feed, given);
    }
    return NULL;
}

static bool next_unsubscribe(struct feed *base, uint64_t *ret_id)
{
    struct fuzz_feed *feed = of(base);
    *ret_id = feed->unsubscribe;
    feed->unsubscribe = 0;
    return *ret_id != 0;
}

static bool all_are_over(const struct fuzz_feed *feed)
{
    for (size_t i = 0; i < feed->count; i++)
        if (!feed->queries[i].is_over)
            return false;
    return true;
}

static bool is_stopping(struct feed *base)
{
    const struct fuzz_feed *feed = of(base);
    bool may_be_notified = feed->scaler->subscribes;
    return clock_now_ms() >= feed->end_ms || (!may_be_notified && all_are_over(feed));
}

static int descriptor(const struct feed *base)
{
    (void)base;
    return -1;
}

static int64_t next_ms(struct feed *base)
{
    return of(base)->end_ms;
}

static int64_t delay_ms(struct feed *base)
{
    const struct fuzz_feed *feed = of(base);
    return feed->in_flight >= feed->max_tasks ? clock_now_ms() - feed->begin_ms : 0;
}

static void set_max_tasks(struct feed *base, size_t max_tasks, size_t isolated)
{
    of(base)->max_tasks = max_tasks;
    of(base)->isolated = isolated;
}

static void started(struct task *task)
{
    find(of(task->feed), task)->given_ms = clock_now_ms();
}

static void require_end(enum task_outcome outcome, const struct reading *reading,
                        const struct error *error)
{
    bool has_failed = outcome == TASK_FAILED || outcome == TASK_TIMED_OUT;
    require((reading != NULL) == (outcome == TASK_ANSWERED));
    require((error != NULL) == has_failed);
    if (reading != NULL)
        require_counts(reading);
    if (error != NULL)
        require_error(false, error);
}

static void forget(struct fuzz_feed *feed, struct given *given)
{
    error_done(&given->task->subscribe_error);
    free(TAKE(given->task));
    option_values_free(TAKE(given->values));
    feed->in_flight--;
    feed->isolated_in_flight -= given->isolate;
}

static void end(struct task *task, enum task_outcome outcome, const struct reading *reading,
                const struct error *error)
{
    struct fuzz_feed *feed = of(task->feed);
    struct given *given = find(feed, task);
    require_end(outcome, reading, error);
    require_error(!error_is_set(&task->subscribe_error), &task->subscribe_error);
    require(task_wants_subscription(task) ||
            (!task->is_subscribed && !error_is_set(&task->subscribe_error)));
    bool is_returned = outcome == TASK_RETURNED || outcome == TASK_ISOLATED;
    forget(feed, given);
    given->isolate = outcome == TASK_ISOLATED || outcome == TASK_TIMED_OUT;
    given->is_over = !is_returned || given->times >= MAX_TIMES;
    given->last_duration_ms = outcome == TASK_ANSWERED ? clock_now_ms() - given->given_ms : -1;
}

struct fuzz_feed *fuzz_feed_new(const struct scaler *scaler, const struct fuzz_query *queries,
                                size_t count)
{
    static const struct feed_hooks hooks = {take,          next_unsubscribe, is_stopping,
                                            descriptor,    next_ms,          delay_ms,
                                            set_max_tasks, started,          end};
    struct fuzz_feed *feed = memory_new(sizeof(*feed));
    feed->feed.hooks = &hooks;
    feed->scaler = scaler;
    feed->queries = memory_array(count, sizeof(*feed->queries));
    feed->count = count;
    feed->max_tasks = scaler->max_tasks == 0 ? SIZE_MAX : scaler->max_tasks;
    feed->isolated = scaler->isolated == 0 ? 1 : scaler->isolated;
    for (size_t i = 0; i < count; i++)
        feed->queries[i] = (struct given){.query = &queries[i], .last_duration_ms = -1};
    return feed;
}

void fuzz_feed_free(struct fuzz_feed *feed)
{
    free(feed->queries);
    free(feed);
}

bool fuzz_feed_run(struct fuzz_feed *feed, fuzz_measure *measure, void *client, int64_t ms)
{
    bool usable = true;
    feed->begin_ms = clock_now_ms();
    feed->end_ms = feed->begin_ms + ms;
    for (size_t i = 0; i < feed->count; i++) {
        feed->queries[i].is_over = false;
        feed->queries[i].times = 0;
    }
    if (feed->count > 0)
        feed->unsubscribe = feed->queries[0].notifier_id;
    while (usable && !is_stopping(&feed->feed)) {
        _cleanup_(error_done) struct error error = {0};
        usable = measure(client, &feed->feed, &error);
        require_error(usable, &error);
        bool may_abandon = !usable || is_stopping(&feed->feed);
        require(may_abandon || feed->in_flight == 0);
        if (all_are_over(feed))
            break;
    }
    for (size_t i = 0; i < feed->count; i++)
        if (feed->queries[i].task != NULL)
            forget(feed, &feed->queries[i]);
    return usable;
}
