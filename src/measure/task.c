#include "measure/task.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/task_internal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>

void notifier_notify(const struct notifier *notifier)
{
    notifier->notify(notifier->context, notifier->id);
}

void notifier_lose(const struct notifier *notifier)
{
    if (notifier->lose != NULL)
        notifier->lose(notifier->context, notifier->id);
    else
        notifier_notify(notifier);
}

static void end_task(struct task *task, enum task_outcome outcome, const struct reading *reading,
                     const struct error *error)
{
    if (task->has_ended)
        return;
    task->has_ended = true;
    task->feed->hooks->end(task, outcome, reading, error);
}

void task_answer(struct task *task, const struct reading *reading)
{
    end_task(task, TASK_ANSWERED, reading, NULL);
}

void task_fail(struct task *task, const struct error *error)
{
    end_task(task, TASK_FAILED, NULL, error);
}

void task_failf(struct task *task, const char *format, ...)
{
    _cleanup_(error_done) struct error error = {0};
    va_list arguments;
    va_start(arguments, format);
    error_unavailablev(&error, format, arguments);
    va_end(arguments);
    end_task(task, TASK_FAILED, NULL, &error);
}

void task_time_out(struct task *task)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "no answer within %lld ms", (long long)task->timeout_ms);
    end_task(task, TASK_TIMED_OUT, NULL, &error);
}

void task_time_out_with(struct task *task, const struct error *error)
{
    end_task(task, TASK_TIMED_OUT, NULL, error);
}

void task_return(struct task *task, bool isolate)
{
    end_task(task, isolate ? TASK_ISOLATED : TASK_RETURNED, NULL, NULL);
}

void task_started(struct task *task)
{
    task->feed->hooks->started(task);
}

bool task_wants_subscription(const struct task *task)
{
    return task->notifier.id != 0;
}

void task_subscribed(struct task *task)
{
    task->is_subscribed = true;
}

void task_cannot_subscribe(struct task *task, const struct error *error)
{
    if (task_wants_subscription(task))
        error_copy(&task->subscribe_error, error);
}

void task_note(struct task *task, const char *text)
{
    enum { MAX_NOTE_BYTES = 512 };
    free(task->note);
    task->note = text_copy_bytes(text, text_cut(text, MAX_NOTE_BYTES));
}

struct task *feed_take(struct feed *feed)
{
    return feed->hooks->take(feed);
}

bool feed_next_unsubscribe(struct feed *feed, uint64_t *ret_id)
{
    return feed->hooks->next_unsubscribe(feed, ret_id);
}

size_t feed_query_bytes(const struct feed *feed)
{
    return feed->query_bytes;
}

bool feed_is_stopping(struct feed *feed)
{
    return feed->hooks->is_stopping(feed);
}

void feed_set_max_tasks(struct feed *feed, size_t max_tasks, size_t isolated)
{
    if (feed->has_limits && max_tasks == feed->max_tasks && isolated == feed->isolated)
        return;
    feed->has_limits = true;
    feed->max_tasks = max_tasks;
    feed->isolated = isolated;
    feed->hooks->set_max_tasks(feed, max_tasks, isolated);
}

int64_t feed_delay_ms(struct feed *feed)
{
    return feed->hooks->delay_ms(feed);
}

int feed_descriptor(const struct feed *feed)
{
    return feed->hooks->descriptor(feed);
}

int feed_wait_ms(struct feed *feed, int64_t deadline_ms)
{
    int64_t next_ms = feed->hooks->next_ms(feed);
    if (next_ms < deadline_ms)
        deadline_ms = next_ms;
    return clock_left_ms(deadline_ms, INT_MAX);
}

bool feed_wait(struct feed *feed, struct pollfd *descriptors, size_t count, int64_t deadline_ms)
{
    _cleanup_(memory_free) struct pollfd *all = memory_array(count + 1, sizeof(*all));
    for (size_t i = 0; i < count; i++)
        all[i] = descriptors[i];
    all[count] = (struct pollfd){.fd = feed_descriptor(feed), .events = POLLIN};
    int ready = poll(all, count + 1, feed_wait_ms(feed, deadline_ms));
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        descriptors[i].revents = (short)(ready > 0 ? all[i].revents : 0);
        any = any || descriptors[i].revents != 0;
    }
    return any;
}
