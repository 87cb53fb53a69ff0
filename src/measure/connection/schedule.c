#include "measure/connection/schedule.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

void schedule_init(struct schedule *schedule, size_t max_tasks, size_t isolated_places,
                   int64_t now_ms)
{
    *schedule = (struct schedule){0};
    load_init(&schedule->load, now_ms);
    schedule_set_max_tasks(schedule, max_tasks, isolated_places, now_ms);
}

void schedule_done(struct schedule *schedule)
{
    for (int class = 0; class < JOB_CLASSES; class ++)
        for (int demanded = 0; demanded < 2; demanded++)
            free(schedule->ready[class][demanded].entries);
    free(schedule->scheduled.entries);
}

/* Called before each change of in_flight_count or max_tasks. */
static void add_usage(struct schedule *schedule, int64_t now_ms)
{
    load_add_usage(&schedule->load, schedule->in_flight_count, schedule->max_tasks, now_ms);
}

void schedule_set_max_tasks(struct schedule *schedule, size_t max_tasks, size_t isolated_places,
                            int64_t now_ms)
{
    add_usage(schedule, now_ms);
    schedule->max_tasks = max_tasks > 0 ? max_tasks : 1;
    schedule->isolated_places = isolated_places > 0 ? isolated_places : 1;
}

bool schedule_is_spaced_out(const struct job *job)
{
    return job->timeouts > 0 && job->state == JOB_SCHEDULED;
}

/* ---- where a job is: READY, or SCHEDULED ---- */

static struct job *job_first(const struct heap *heap)
{
    struct heap_item *first = heap_first(heap);
    return first == NULL ? NULL : HEAP_OWNER(first, struct job, place);
}

static enum job_class class_of(const struct job *job)
{
    return job->is_isolated ? JOB_CLASS_ISOLATED : JOB_CLASS_NORMAL;
}

static void leave_heap(struct schedule *schedule, struct job *job)
{
    if (job->state == JOB_READY)
        schedule->ready_count[class_of(job)]--;
    if (job->state == JOB_READY || job->state == JOB_SCHEDULED)
        heap_remove(&job->place);
    job->state = JOB_IDLE;
}

/* The key is since when the job is late; with a waiting caller SCHEDULE_PATIENCE_MS less. Jobs with
 * callers have heaps of their own, so that the first of each heap is its longest overdue one. */
static void make_ready(struct schedule *schedule, struct job *job, int64_t due_ms)
{
    job->due_ms = due_ms;
    job->state = JOB_READY;
    job->is_isolated = job->is_isolated || job->timeouts > 0;
    int64_t late_since_ms = job_late_since_ms(job);
    heap_set(&schedule->ready[class_of(job)][job->is_demanded], &job->place,
             job->is_demanded ? late_since_ms - SCHEDULE_PATIENCE_MS : late_since_ms);
    schedule->ready_count[class_of(job)]++;
}

static void make_scheduled(struct schedule *schedule, struct job *job, int64_t due_ms)
{
    job->state = JOB_SCHEDULED;
    job->due_ms = due_ms;
    heap_set(&schedule->scheduled, &job->place, due_ms);
}

/* ---- when it is due ---- */

void schedule_remove(struct schedule *schedule, struct job *job)
{
    leave_heap(schedule, job);
    if (job->duration_ms > 0)
        schedule->durations_ms -= job->duration_ms;
    job->duration_ms = -1;
}

void schedule_set_due(struct schedule *schedule, struct job *job, int64_t due_ms)
{
    bool may_change = job->state == JOB_IDLE || (job->state == JOB_SCHEDULED && job->timeouts == 0);
    if (!may_change || (job->state == JOB_SCHEDULED && job->due_ms == due_ms))
        return;
    leave_heap(schedule, job);
    if (due_ms != CLOCK_NEVER)
        make_scheduled(schedule, job, due_ms);
}

void schedule_want(struct schedule *schedule, struct job *job, int64_t due_ms, int64_t late_from_ms)
{
    bool was_wanted =
        job->state == JOB_READY || (job->state == JOB_SCHEDULED && job->due_ms == due_ms);
    if (was_wanted && job->late_from_ms <= late_from_ms)
        return;
    if (job->state == JOB_READY && !job->is_demanded && due_ms != CLOCK_NEVER)
        leave_heap(schedule, job); /* to be added with the earlier late_from_ms */
    schedule_set_due(schedule, job, due_ms);
    if (job->state == JOB_SCHEDULED)
        job->late_from_ms = late_from_ms;
}

void schedule_demand(struct schedule *schedule, struct job *job, int64_t from_ms, int64_t now_ms)
{
    if (schedule_is_spaced_out(job))
        return;
    job->late_from_ms = MIN(job->late_from_ms, now_ms);
    if (job->state == JOB_IN_FLIGHT && job->sent_ms >= from_ms) {
        job->was_demanded = true;
        return;
    }
    if (!job->is_demanded || from_ms > job->needed_from_ms)
        job->needed_from_ms = from_ms;
    bool was_demanded = job->is_demanded;
    job->is_demanded = true;
    if (job->state == JOB_IN_FLIGHT || (job->state == JOB_READY && was_demanded))
        return;
    int64_t due_ms = job->state != JOB_IDLE && job->due_ms < now_ms ? job->due_ms : now_ms;
    leave_heap(schedule, job);
    make_ready(schedule, job, due_ms);
}

void schedule_withdraw(struct schedule *schedule, struct job *job)
{
    if (job->state != JOB_READY)
        return;
    leave_heap(schedule, job);
    job->is_demanded = false;
}

void schedule_hasten(struct schedule *schedule, struct job *job, int64_t now_ms)
{
    if (!schedule_is_spaced_out(job))
        return;
    leave_heap(schedule, job);
    make_scheduled(schedule, job, now_ms);
}

void schedule_postpone(struct schedule *schedule, struct job *job, int64_t by_ms)
{
    if (!schedule_is_spaced_out(job))
        return;
    int64_t due_ms = job->due_ms + by_ms;
    leave_heap(schedule, job);
    make_scheduled(schedule, job, due_ms);
}

bool schedule_advance(struct schedule *schedule, int64_t now_ms)
{
    if (heap_first_key(&schedule->scheduled) > now_ms)
        return false;
    struct job *job = job_first(&schedule->scheduled);
    heap_remove(&job->place);
    make_ready(schedule, job, job->due_ms);
    return true;
}

/* All due jobs become READY before one is chosen: otherwise the longest overdue might not be among
 * the READY ones. */
static void make_due_ready(struct schedule *schedule, int64_t now_ms)
{
    while (schedule_advance(schedule, now_ms))
        continue;
}

/* No job is READY and none has become due, as at most moments. */
static bool none_is_due(const struct schedule *schedule, int64_t now_ms)
{
    return schedule->ready_count[JOB_CLASS_NORMAL] + schedule->ready_count[JOB_CLASS_ISOLATED] ==
               0 &&
           heap_first_key(&schedule->scheduled) > now_ms;
}

/* ---- which one is sent ---- */

static const struct heap *earlier(const struct heap *one, const struct heap *other)
{
    return heap_first_key(other) < heap_first_key(one) ? other : one;
}

static struct job *next_ready(const struct schedule *schedule)
{
    const struct heap(*ready)[2] = schedule->ready;
    if (schedule->in_flight_count >= schedule->max_tasks)
        return NULL;
    const struct heap *next = earlier(&ready[JOB_CLASS_NORMAL][0], &ready[JOB_CLASS_NORMAL][1]);
    if (schedule->isolated_in_flight < schedule->isolated_places)
        next = earlier(next, earlier(&ready[JOB_CLASS_ISOLATED][0], &ready[JOB_CLASS_ISOLATED][1]));
    return job_first(next);
}

/* ---- in flight ---- */

int64_t schedule_waited_ms(const struct schedule *schedule, const struct job *job)
{
    int64_t since_ms = MAX(job_late_since_ms(job), schedule->served_from_ms);
    return MAX(job->sent_ms - since_ms, 0);
}

struct job *schedule_take(struct schedule *schedule, int64_t now_ms)
{
    if (none_is_due(schedule, now_ms))
        return NULL;
    make_due_ready(schedule, now_ms);
    struct job *job = next_ready(schedule);
    if (job == NULL)
        return NULL;
    add_usage(schedule, now_ms);
    leave_heap(schedule, job);
    job->state = JOB_IN_FLIGHT;
    job->was_demanded = job->is_demanded;
    job->is_demanded = false;
    job->late_from_ms = MIN(job->late_from_ms, now_ms); /* a job that is returned is late */
    job->sent_ms = now_ms;
    if (!job->is_isolated)
        load_add_delay(&schedule->load, schedule_waited_ms(schedule, job), now_ms);
    schedule->in_flight_count++;
    schedule->isolated_in_flight += job->is_isolated;
    DL_APPEND(schedule->sent, job);
    return job;
}

void schedule_started(struct schedule *schedule, struct job *job, int64_t now_ms)
{
    job->sent_ms = now_ms;
    DL_DELETE(schedule->sent, job);
    DL_APPEND(schedule->sent, job);
}

static void leave_flight(struct schedule *schedule, struct job *job, int64_t now_ms)
{
    add_usage(schedule, now_ms);
    DL_DELETE(schedule->sent, job);
    schedule->in_flight_count--;
    schedule->isolated_in_flight -= job->is_isolated;
    job->state = JOB_IDLE;
}

static void set_duration(struct schedule *schedule, struct job *job, int64_t duration_ms)
{
    if (job->duration_ms > 0)
        schedule->durations_ms -= job->duration_ms;
    job->duration_ms = duration_ms < 0 ? 0 : duration_ms;
    schedule->durations_ms += job->duration_ms;
}

static int64_t retry_ms(unsigned timeouts)
{
    int64_t wait_ms = SCHEDULE_RETRY_MIN_MS;
    for (unsigned i = 1; i < timeouts && wait_ms < SCHEDULE_RETRY_MAX_MS; i++)
        wait_ms *= 2;
    return wait_ms < SCHEDULE_RETRY_MAX_MS ? wait_ms : SCHEDULE_RETRY_MAX_MS;
}

void schedule_end(struct schedule *schedule, struct job *job, enum job_end end, int64_t now_ms)
{
    leave_flight(schedule, job, now_ms);
    switch (end) {
    case JOB_END_ANSWERED:
        set_duration(schedule, job, now_ms - job->sent_ms);
        job->timeouts = 0;
        job->is_isolated = false;
        break;
    case JOB_END_TIMED_OUT:
        job->timeouts++;
        job->is_demanded = false;
        make_scheduled(schedule, job, now_ms + retry_ms(job->timeouts));
        return;
    case JOB_END_ISOLATED:
        job->is_isolated = true;
        __attribute__((fallthrough));
    case JOB_END_RETURNED:
        job->is_demanded = job->is_demanded || job->was_demanded;
        make_ready(schedule, job, job->due_ms);
        return;
    case JOB_END_LOST:
        job->is_demanded = false;
        return;
    }
    if (job->is_demanded && job->needed_from_ms > job->sent_ms)
        make_ready(schedule, job, now_ms);
    else
        job->is_demanded = false;
}

int64_t schedule_next_ms(struct schedule *schedule, int64_t now_ms)
{
    if (none_is_due(schedule, now_ms))
        return heap_first_key(&schedule->scheduled);
    make_due_ready(schedule, now_ms);
    return next_ready(schedule) != NULL ? now_ms : heap_first_key(&schedule->scheduled);
}

/* ---- how it keeps up ---- */

int64_t schedule_delay_ms(const struct schedule *schedule, int64_t now_ms)
{
    int64_t since_ms = CLOCK_NEVER;
    for (int demanded = 0; demanded < 2; demanded++) {
        const struct job *job = job_first(&schedule->ready[JOB_CLASS_NORMAL][demanded]);
        if (job != NULL)
            since_ms = MIN(since_ms, job_late_since_ms(job));
    }
    return MAX(now_ms - MAX(since_ms, schedule->served_from_ms), 0);
}

int64_t schedule_recent_delay_ms(const struct schedule *schedule, int64_t now_ms)
{
    int64_t delay_ms = schedule_delay_ms(schedule, now_ms);
    int64_t recent_ms = load_recent_delay_ms(&schedule->load, now_ms);
    return MAX(delay_ms, recent_ms);
}

double schedule_utilization(struct schedule *schedule, int64_t now_ms)
{
    add_usage(schedule, now_ms);
    return load_utilization(&schedule->load, now_ms);
}

size_t schedule_isolated_jobs(const struct schedule *schedule)
{
    return schedule->isolated_in_flight + schedule->ready_count[JOB_CLASS_ISOLATED];
}
