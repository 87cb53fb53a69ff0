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
    job_groups_done(&schedule->groups);
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

/* ---- where a job is: READY in its group, or SCHEDULED in the heap ---- */

static void leave_heap(struct schedule *schedule, struct job *job)
{
    if (job->state == JOB_SCHEDULED)
        job_heap_remove(job);
    else if (job->state == JOB_READY)
        job_groups_remove_ready(&schedule->groups, job);
    job->state = JOB_IDLE;
}

static bool takes_long(const struct job *job)
{
    return job->duration_ms >= SCHEDULE_SLOW_MS && !job->shares_request;
}

/* schedule.h has an example of the order. */
static void make_ready(struct schedule *schedule, struct job *job, int64_t due_ms)
{
    job->due_ms = due_ms;
    job->is_isolated = job->is_isolated || job->timeouts > 0 || takes_long(job);
    int64_t late_since_ms = job_late_since_ms(job);
    job_groups_add_ready(&schedule->groups, job,
                         job->is_demanded ? late_since_ms - SCHEDULE_PATIENCE_MS : late_since_ms);
}

static void make_scheduled(struct schedule *schedule, struct job *job, int64_t due_ms)
{
    job->state = JOB_SCHEDULED;
    job->due_ms = due_ms;
    job_heap_add(&schedule->scheduled, job, due_ms);
}

void schedule_join(struct schedule *schedule, struct job *job, uint64_t group_id)
{
    job_groups_join(&schedule->groups, job, group_id);
}

void schedule_leave(struct schedule *schedule, struct job *job, uint64_t group_id)
{
    job_groups_leave(&schedule->groups, job, group_id);
}

/* ---- when it is due ---- */

void schedule_remove(struct schedule *schedule, struct job *job)
{
    leave_heap(schedule, job);
    job_groups_leave_all(&schedule->groups, job);
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
    if (job_heap_first_key(&schedule->scheduled) > now_ms)
        return false;
    struct job *job = job_heap_first(&schedule->scheduled);
    job_heap_remove(job);
    make_ready(schedule, job, job->due_ms);
    return true;
}

/* All due jobs become READY before one is chosen. Otherwise the longest overdue might not be among
 * the READY ones, and a group with one job would wait until thousands of another are READY. */
static void make_due_ready(struct schedule *schedule, int64_t now_ms)
{
    while (schedule_advance(schedule, now_ms))
        continue;
}

/* No job is READY and none has become due, as at most moments. */
static bool none_is_due(const struct schedule *schedule, int64_t now_ms)
{
    return schedule->groups.ready == NULL && job_heap_first_key(&schedule->scheduled) > now_ms;
}

/* ---- whose turn it is ---- */

/* A job whose key is not above this is urgent: a caller waits for it, or it has been late for
 * SCHEDULE_PATIENCE_MS. */
static int64_t urgent_key(int64_t now_ms)
{
    return now_ms - SCHEDULE_PATIENCE_MS;
}

/* Without a limit each job has a place, so that groups need no turns. */
static struct job *next_of_classes(const struct schedule *schedule, enum job_class first,
                                   enum job_class last, int64_t now_ms)
{
    return job_groups_next(&schedule->groups, first, last, schedule->max_tasks != SIZE_MAX,
                           urgent_key(now_ms));
}

/* A job that was never measured may be slow. So while callers wait for jobs that were measured, new
 * ones have at most half of the places. */
static struct job *next_prompt(const struct schedule *schedule, int64_t now_ms)
{
    if (schedule->max_tasks != SIZE_MAX &&
        schedule->groups.in_flight[JOB_CLASS_NEW] >= (schedule->max_tasks + 1) / 2) {
        struct job *known = next_of_classes(schedule, JOB_CLASS_KNOWN, JOB_CLASS_KNOWN, now_ms);
        if (known != NULL && job_heap_key(known) <= urgent_key(now_ms))
            return known;
    }
    return next_of_classes(schedule, JOB_CLASS_KNOWN, JOB_CLASS_NEW, now_ms);
}

/* The sum of the two isolated classes. */
static size_t sum_of_isolated(const size_t *counts)
{
    return counts[JOB_CLASS_SLOW] + counts[JOB_CLASS_TIMED_OUT];
}

/*
 * Isolated jobs are slow ones (JOB_CLASS_SLOW) and those that timed out last (JOB_CLASS_TIMED_OUT).
 * Together they have isolated_places. If no prompt job waits, slow ones may have all places, but
 * those that timed out never more than isolated_places. If jobs of both classes wait, they take
 * turns (end_turn()): a job that was slow once does not wait for a hundred that hang, and the
 * hundred do not starve.
 */
static struct job *next_isolated(const struct schedule *schedule, bool has_prompt, int64_t now_ms)
{
    struct job *slow = next_of_classes(schedule, JOB_CLASS_SLOW, JOB_CLASS_SLOW, now_ms);
    struct job *timed_out =
        schedule->groups.in_flight[JOB_CLASS_TIMED_OUT] < schedule->isolated_places
            ? next_of_classes(schedule, JOB_CLASS_TIMED_OUT, JOB_CLASS_TIMED_OUT, now_ms)
            : NULL;
    if (sum_of_isolated(schedule->groups.in_flight) >= schedule->isolated_places &&
        (has_prompt || slow == NULL))
        return NULL;
    if (slow == NULL || timed_out == NULL)
        return slow == NULL ? timed_out : slow;
    return schedule->is_turn_of_slow ? slow : timed_out;
}

static bool any_prompt(const struct schedule *schedule)
{
    const size_t *ready_count = schedule->groups.ready_count;
    return ready_count[JOB_CLASS_KNOWN] + ready_count[JOB_CLASS_NEW] > 0;
}

static struct job *next_ready(const struct schedule *schedule, int64_t now_ms)
{
    if (schedule->groups.ready == NULL || schedule->in_flight_count >= schedule->max_tasks)
        return NULL;
    struct job *prompt = any_prompt(schedule) ? next_prompt(schedule, now_ms) : NULL;
    struct job *isolated = sum_of_isolated(schedule->groups.ready_count) > 0
                               ? next_isolated(schedule, prompt != NULL, now_ms)
                               : NULL;
    if (prompt == NULL || isolated == NULL)
        return prompt == NULL ? isolated : prompt;
    return job_heap_key(isolated) < job_heap_key(prompt) ? isolated : prompt;
}

/* ---- in flight ---- */

/*
 * The two classes of isolated jobs take turns, one job at a time:
 *
 *     a job that timed out is sent   the next turn is of a slow job
 *     a slow job is sent             the next turn is of a job that timed out
 *     the slow job is answered in    it was not slow this time, and cost nothing: the next turn is
 *     less than SCHEDULE_SLOW_MS     of a slow job again. This goes on for at most SCHEDULE_SLOW_MS
 *                                    (turn_of_slow_ends_ms) from the first slow job of the turn on
 *
 * So if the machine stood still, and hundreds of jobs were slow once, they do not wait for as many
 * that hang.
 */
static void end_turn(struct schedule *schedule, const struct job *job, int64_t now_ms)
{
    schedule->is_turn_of_slow = job->timeouts > 0;
    if (job->timeouts > 0)
        schedule->turn_of_slow_ends_ms = CLOCK_NEVER;
    else if (schedule->turn_of_slow_ends_ms == CLOCK_NEVER)
        schedule->turn_of_slow_ends_ms = now_ms + SCHEDULE_SLOW_MS;
}

static void resume_turn(struct schedule *schedule, const struct job *job, int64_t now_ms)
{
    if (job->is_isolated && job->timeouts == 0 && !takes_long(job) &&
        now_ms < schedule->turn_of_slow_ends_ms)
        schedule->is_turn_of_slow = true;
}

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
    struct job *job = next_ready(schedule, now_ms);
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
    job_groups_add_sent(&schedule->groups, job);
    schedule->in_flight_count++;
    if (job->is_isolated)
        end_turn(schedule, job, now_ms);
    DL_APPEND2(schedule->sent, job, prev_sent, next_sent);
    if (job->is_isolated)
        DL_APPEND(schedule->isolated, job);
    else
        DL_APPEND(schedule->prompt, job);
    return job;
}

void schedule_started(struct schedule *schedule, struct job *job, int64_t now_ms)
{
    job->sent_ms = now_ms;
    DL_DELETE2(schedule->sent, job, prev_sent, next_sent);
    DL_APPEND2(schedule->sent, job, prev_sent, next_sent);
    if (job->is_isolated)
        return;
    DL_DELETE(schedule->prompt, job);
    DL_APPEND(schedule->prompt, job);
}

/* Without the cancelled ones, which will be returned. */
static size_t isolated_in_flight(const struct schedule *schedule)
{
    return sum_of_isolated(schedule->groups.in_flight) - schedule->cancelled_count;
}

/* All places are taken, and a prompt job waits for one. */
static bool others_wait(const struct schedule *schedule)
{
    return schedule->in_flight_count >= schedule->max_tasks && any_prompt(schedule);
}

struct job *schedule_cancel(struct schedule *schedule, int64_t now_ms)
{
    make_due_ready(schedule, now_ms);
    if (!others_wait(schedule))
        return NULL;
    struct job *job;
    while ((job = schedule->prompt) != NULL && now_ms - job->sent_ms >= SCHEDULE_SLOW_MS) {
        DL_DELETE(schedule->prompt, job);
        DL_APPEND(schedule->isolated, job);
        job_groups_isolate_sent(&schedule->groups, job);
    }
    if (isolated_in_flight(schedule) <= schedule->isolated_places)
        return NULL;
    /* The job that was isolated last. Cancelled jobs are at the front of the list. */
    job = schedule->isolated->prev;
    job->is_cancelled = true;
    schedule->cancelled_count++;
    if (job != schedule->isolated) {
        DL_DELETE(schedule->isolated, job);
        DL_PREPEND(schedule->isolated, job);
    }
    return job;
}

static void leave_flight(struct schedule *schedule, struct job *job, int64_t now_ms)
{
    add_usage(schedule, now_ms);
    DL_DELETE2(schedule->sent, job, prev_sent, next_sent);
    if (job->is_isolated)
        DL_DELETE(schedule->isolated, job);
    else
        DL_DELETE(schedule->prompt, job);
    job_groups_remove_sent(&schedule->groups, job);
    schedule->in_flight_count--;
    schedule->cancelled_count -= job->is_cancelled;
    job->is_cancelled = false;
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
        resume_turn(schedule, job, now_ms);
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
        return job_heap_first_key(&schedule->scheduled);
    make_due_ready(schedule, now_ms);
    if (next_ready(schedule, now_ms) != NULL)
        return now_ms;
    if (others_wait(schedule)) {
        if (isolated_in_flight(schedule) > schedule->isolated_places)
            return now_ms;
        if (schedule->prompt == NULL)
            return CLOCK_NEVER;
        int64_t slow_ms = schedule->prompt->sent_ms + SCHEDULE_SLOW_MS;
        return slow_ms > now_ms ? slow_ms : now_ms;
    }
    return job_heap_first_key(&schedule->scheduled);
}

/* ---- how it keeps up ---- */

int64_t schedule_delay_ms(const struct schedule *schedule, int64_t now_ms)
{
    int64_t since_ms = MAX(job_groups_late_since_ms(&schedule->groups), schedule->served_from_ms);
    return MAX(now_ms - since_ms, 0);
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
    return sum_of_isolated(schedule->groups.in_flight) +
           sum_of_isolated(schedule->groups.ready_count);
}
