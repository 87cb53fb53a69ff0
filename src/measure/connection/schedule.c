#include "measure/connection/schedule.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

void schedule_init(struct schedule *schedule, size_t max_tasks, size_t isolated_places,
                   int64_t now_ms)
{
    *schedule = (struct schedule){0};
    load_init(&schedule->load, now_ms);
    schedule_set_max_tasks(schedule, max_tasks, isolated_places);
}

static void group_done(struct job_group *group)
{
    for (int kind = 0; kind < READY_KINDS; kind++)
        for (int demanded = 0; demanded < 2; demanded++)
            free(group->ready[kind][demanded].jobs);
}

static void group_free(struct schedule *schedule, struct job_group *group)
{
    HASH_DEL(schedule->groups, group);
    group_done(group);
    free(group);
}

void schedule_done(struct schedule *schedule)
{
    struct job_group *group;
    struct job_group *next;
    HASH_ITER(hh, schedule->groups, group, next)
        group_free(schedule, group);
    group_done(&schedule->usual);
    free(schedule->scheduled.jobs);
}

void schedule_set_max_tasks(struct schedule *schedule, size_t max_tasks, size_t isolated_places)
{
    schedule->max_tasks = max_tasks;
    schedule->isolated_places = isolated_places > 0 ? isolated_places : 1;
}

bool schedule_is_spaced_out(const struct job *job)
{
    return job->timeouts > 0 && job->state == JOB_SCHEDULED;
}

/* ---- where a job is: in a heap of its group, or of those that are due later ---- */

static struct job_group *group_of(struct schedule *schedule, const struct job *job)
{
    return job->group == NULL ? &schedule->usual : job->group;
}

/* In flight a job that is quick may become slow. */
static enum job_pace pace_of(const struct job *job)
{
    if (job->timeouts > 0)
        return PACE_TIMED_OUT;
    return job->is_isolated ? PACE_ISOLATED : PACE_QUICK;
}

/* The same as long as it is ready. */
static enum ready_kind kind_of(const struct job *job)
{
    if (job->timeouts > 0)
        return READY_TIMED_OUT;
    if (job->is_isolated)
        return READY_SLOW;
    return job->duration_ms < 0 ? READY_NEW : READY_KNOWN;
}

static void add_ready(struct schedule *schedule, struct job *job, int64_t key)
{
    struct job_group *group = group_of(schedule, job);
    job_heap_add(&group->ready[kind_of(job)][key < job->due_ms], job, key);
    schedule->ready_count[kind_of(job)]++;
    if (group->ready_count++ == 0)
        DL_APPEND(schedule->ready, group);
}

static void remove_ready(struct schedule *schedule, struct job *job)
{
    struct job_group *group = group_of(schedule, job);
    job_heap_remove(&group->ready[kind_of(job)][job->key < job->due_ms], job);
    schedule->ready_count[kind_of(job)]--;
    if (--group->ready_count > 0)
        return;
    /* The analyzer forgets that a group with ready jobs is on the list.
     * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    DL_DELETE(schedule->ready, group);
}

static void leave_heap(struct schedule *schedule, struct job *job)
{
    if (job->state == JOB_SCHEDULED)
        job_heap_remove(&schedule->scheduled, job);
    else if (job->state == JOB_READY)
        remove_ready(schedule, job);
    job->state = JOB_IDLE;
}

static bool takes_long(const struct job *job)
{
    return job->duration_ms >= SCHEDULE_SLOW_MS && !job->shares_request;
}

/* The one that it is in stays where another has as few jobs. */
static struct job_group *smallest_group(const struct job *job)
{
    const struct job_membership *membership;
    struct job_group *smallest = NULL;
    LL_FOREACH(job->memberships, membership) {
        struct job_group *group = membership->group;
        if (smallest == NULL || group->jobs < smallest->jobs ||
            (group->jobs == smallest->jobs && group == job->group))
            smallest = group;
    }
    return smallest;
}

/* After a change of its groups or of their sizes. */
static void choose_group(struct schedule *schedule, struct job *job)
{
    struct job_group *group = smallest_group(job);
    if (group == job->group)
        return;
    if (job->state == JOB_READY)
        remove_ready(schedule, job);
    else if (job->state == JOB_IN_FLIGHT)
        group_of(schedule, job)->in_flight[pace_of(job)]--;
    job->group = group;
    if (job->state == JOB_READY)
        add_ready(schedule, job, job->key);
    else if (job->state == JOB_IN_FLIGHT)
        group_of(schedule, job)->in_flight[pace_of(job)]++;
}

/* A waiting caller counts as much as the longest time that another job may wait. */
static void make_ready(struct schedule *schedule, struct job *job, int64_t due_ms)
{
    choose_group(schedule, job); /* others may have grown */
    job->state = JOB_READY;
    job->due_ms = due_ms;
    job->is_isolated = job->is_isolated || job->timeouts > 0 || takes_long(job);
    add_ready(schedule, job, job->is_demanded ? due_ms - SCHEDULE_PATIENCE_MS : due_ms);
}

static void make_scheduled(struct schedule *schedule, struct job *job, int64_t due_ms)
{
    job->state = JOB_SCHEDULED;
    job->due_ms = due_ms;
    job_heap_add(&schedule->scheduled, job, due_ms);
}

/* ---- its groups ---- */

static struct job_membership *find_membership(const struct job *job, uint64_t group_id)
{
    struct job_membership *membership;
    LL_FOREACH(job->memberships, membership)
        if (membership->group->id == group_id)
            return membership;
    return NULL;
}

static struct job_group *make_group(struct schedule *schedule, uint64_t id)
{
    struct job_group *group;
    HASH_FIND(hh, schedule->groups, &id, sizeof(id), group);
    if (group != NULL)
        return group;
    group = memory_new(sizeof(*group));
    group->id = id;
    HASH_ADD(hh, schedule->groups, id, sizeof(group->id), group);
    return group;
}

void schedule_join(struct schedule *schedule, struct job *job, uint64_t group_id)
{
    struct job_membership *membership = find_membership(job, group_id);
    if (membership == NULL) {
        membership = memory_new(sizeof(*membership));
        membership->group = make_group(schedule, group_id);
        membership->group->jobs++;
        LL_PREPEND(job->memberships, membership);
    }
    membership->joins++;
    choose_group(schedule, job);
}

static void end_membership(struct schedule *schedule, struct job *job,
                           struct job_membership *membership)
{
    struct job_group *group = membership->group;
    LL_DELETE(job->memberships, membership);
    free(membership);
    choose_group(schedule, job);
    if (--group->jobs == 0)
        group_free(schedule, group);
}

void schedule_leave(struct schedule *schedule, struct job *job, uint64_t group_id)
{
    struct job_membership *membership = find_membership(job, group_id);
    if (membership != NULL && --membership->joins == 0)
        end_membership(schedule, job, membership);
}

/* ---- when it is due ---- */

void schedule_remove(struct schedule *schedule, struct job *job)
{
    leave_heap(schedule, job);
    while (job->memberships != NULL)
        end_membership(schedule, job, job->memberships);
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

void schedule_want(struct schedule *schedule, struct job *job, int64_t due_ms, int64_t now_ms)
{
    bool was_wanted = job->state == JOB_SCHEDULED && job->due_ms == due_ms;
    schedule_set_due(schedule, job, due_ms);
    if (job->state == JOB_SCHEDULED && !was_wanted)
        job->late_from_ms = now_ms;
}

void schedule_demand(struct schedule *schedule, struct job *job, int64_t from_ms, int64_t now_ms)
{
    if (schedule_is_spaced_out(job) || (job->state == JOB_IN_FLIGHT && job->sent_ms >= from_ms))
        return;
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

static void make_due_ready(struct schedule *schedule, int64_t now_ms)
{
    struct job *job;
    while ((job = job_heap_first(&schedule->scheduled)) != NULL && job->due_ms <= now_ms) {
        int64_t due_ms = job->due_ms;
        leave_heap(schedule, job);
        make_ready(schedule, job, due_ms);
    }
}

/* ---- whose turn it is ---- */

/* Of several kinds, a bit each. */
enum {
    QUICK_KINDS = 1 << READY_NEW | 1 << READY_KNOWN,
    SLOW_KINDS = 1 << READY_SLOW,
    TIMED_OUT_KINDS = 1 << READY_TIMED_OUT,
};

static struct job *first_of_group(const struct job_group *group, unsigned kinds)
{
    struct job *first = NULL;
    for (int kind = 0; kind < READY_KINDS; kind++)
        for (int demanded = 0; kinds & 1u << kind && demanded < 2; demanded++) {
            struct job *job = job_heap_first(&group->ready[kind][demanded]);
            if (job != NULL && (first == NULL || job->key < first->key))
                first = job;
        }
    return first;
}

/* A caller waits for it, or it waits for as long as callers never do. */
static bool is_urgent(const struct job *job, int64_t now_ms)
{
    return job->key <= now_ms - SCHEDULE_PATIENCE_MS;
}

/* Both are of one pace. */
static bool goes_before(const struct schedule *schedule, const struct job *job,
                        const struct job *other, int64_t now_ms)
{
    const struct job_group *own = job->group == NULL ? &schedule->usual : job->group;
    const struct job_group *others = other->group == NULL ? &schedule->usual : other->group;
    enum job_pace pace = pace_of(job);
    if (is_urgent(job, now_ms) != is_urgent(other, now_ms))
        return is_urgent(job, now_ms);
    if (own->in_flight[pace] != others->in_flight[pace])
        return own->in_flight[pace] < others->in_flight[pace];
    if (own->turns[pace] != others->turns[pace])
        return own->turns[pace] < others->turns[pace];
    return job->key < other->key;
}

/* Of the group whose turn it is. Without a limit there is a place for each, and turns mean
 * nothing. */
static struct job *next_of(const struct schedule *schedule, unsigned kinds, int64_t now_ms)
{
    const struct job_group *group;
    struct job *next = NULL;
    DL_FOREACH(schedule->ready, group) {
        struct job *job = first_of_group(group, kinds);
        if (job != NULL && (next == NULL || goes_before(schedule, job, next, now_ms)))
            next = job;
        if (next != NULL && schedule->max_tasks == SIZE_MAX)
            return next;
    }
    return next;
}

/* Whether one that was never measured is slow is not known before it has had a place for long. */
static struct job *next_quick(const struct schedule *schedule, int64_t now_ms)
{
    if (schedule->max_tasks != SIZE_MAX && schedule->new_count >= (schedule->max_tasks + 1) / 2) {
        struct job *known = next_of(schedule, 1 << READY_KNOWN, now_ms);
        if (known != NULL && is_urgent(known, now_ms))
            return known;
    }
    return next_of(schedule, QUICK_KINDS, now_ms);
}

/*
 * Isolated jobs have their places. Where there are some that timed out and some that did not, they
 * take turns, so that one that was slow once need not wait for a hundred that hang. Where nobody
 * else waits, those that did not time out may have all places; but not the turns of those that did,
 * which would starve beside them.
 */
static struct job *next_isolated(const struct schedule *schedule, bool has_quick, int64_t now_ms)
{
    struct job *slow = next_of(schedule, SLOW_KINDS, now_ms);
    struct job *timed_out = schedule->timed_out_count < schedule->isolated_places
                                ? next_of(schedule, TIMED_OUT_KINDS, now_ms)
                                : NULL;
    if (schedule->isolated_count >= schedule->isolated_places && (has_quick || slow == NULL))
        return NULL;
    if (slow == NULL || timed_out == NULL)
        return slow == NULL ? timed_out : slow;
    return schedule->is_turn_of_slow ? slow : timed_out;
}

static size_t ready_slow(const struct schedule *schedule)
{
    return schedule->ready_count[READY_SLOW] + schedule->ready_count[READY_TIMED_OUT];
}

static size_t ready_quick(const struct schedule *schedule)
{
    return schedule->ready_count[READY_NEW] + schedule->ready_count[READY_KNOWN];
}

static struct job *next_ready(const struct schedule *schedule, int64_t now_ms)
{
    if (schedule->ready == NULL || schedule->in_flight_count >= schedule->max_tasks)
        return NULL;
    struct job *quick = ready_quick(schedule) > 0 ? next_quick(schedule, now_ms) : NULL;
    struct job *isolated =
        ready_slow(schedule) > 0 ? next_isolated(schedule, quick != NULL, now_ms) : NULL;
    if (quick == NULL || isolated == NULL)
        return quick == NULL ? isolated : quick;
    return isolated->key < quick->key ? isolated : quick;
}

/* ---- in flight ---- */

static void end_turn(struct schedule *schedule, const struct job *job, int64_t now_ms)
{
    schedule->is_turn_of_slow = job->timeouts > 0;
    if (job->timeouts > 0)
        schedule->turn_of_slow_ends_ms = CLOCK_NEVER;
    else if (schedule->turn_of_slow_ends_ms == CLOCK_NEVER)
        schedule->turn_of_slow_ends_ms = now_ms + SCHEDULE_SLOW_MS;
}

/* A job that is answered quickly has cost nothing: its turn goes on, so that hundreds that were
 * slow once, as where the machine stood still, do not wait for as many that hang; but for a bounded
 * time, so that these do not starve. */
static void resume_turn(struct schedule *schedule, const struct job *job, int64_t now_ms)
{
    if (job->is_isolated && job->timeouts == 0 && !takes_long(job) &&
        now_ms < schedule->turn_of_slow_ends_ms)
        schedule->is_turn_of_slow = true;
}

/* Before each change of what is in flight. */
static void add_usage(struct schedule *schedule, int64_t now_ms)
{
    load_add_usage(&schedule->load, schedule->in_flight_count, schedule->max_tasks, now_ms);
}

static bool is_new(const struct job *job)
{
    return job->duration_ms < 0 && !job->is_isolated;
}

/* For its turn, not for a client. */
static int64_t waited_ms(const struct schedule *schedule, const struct job *job, int64_t now_ms)
{
    int64_t since_ms = MAX(MAX(job->due_ms, job->late_from_ms), schedule->served_from_ms);
    return MAX(now_ms - since_ms, 0);
}

struct job *schedule_take(struct schedule *schedule, int64_t now_ms)
{
    make_due_ready(schedule, now_ms);
    struct job *job = next_ready(schedule, now_ms);
    if (job == NULL)
        return NULL;
    add_usage(schedule, now_ms);
    leave_heap(schedule, job);
    if (!job->is_isolated)
        load_add_delay(&schedule->load, waited_ms(schedule, job, now_ms), now_ms);
    job->state = JOB_IN_FLIGHT;
    job->was_demanded = job->is_demanded;
    job->is_demanded = false;
    job->sent_ms = now_ms;
    struct job_group *group = group_of(schedule, job);
    group->in_flight[pace_of(job)]++;
    group->turns[pace_of(job)] = ++schedule->turns;
    schedule->in_flight_count++;
    schedule->new_count += is_new(job);
    schedule->isolated_count += job->is_isolated;
    schedule->timed_out_count += job->timeouts > 0;
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

static bool others_wait(const struct schedule *schedule)
{
    return schedule->in_flight_count >= schedule->max_tasks && ready_quick(schedule) > 0;
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
        schedule->new_count -= is_new(job);
        group_of(schedule, job)->in_flight[PACE_QUICK]--;
        job->is_isolated = true;
        group_of(schedule, job)->in_flight[PACE_ISOLATED]++;
        schedule->isolated_count++;
    }
    if (schedule->isolated_count - schedule->cancelled_count <= schedule->isolated_places)
        return NULL;
    /* The one that was isolated last; what was cancelled is at the front. */
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
    group_of(schedule, job)->in_flight[pace_of(job)]--;
    schedule->in_flight_count--;
    schedule->new_count -= is_new(job);
    schedule->isolated_count -= job->is_isolated;
    schedule->timed_out_count -= job->timeouts > 0;
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
    make_due_ready(schedule, now_ms);
    if (next_ready(schedule, now_ms) != NULL)
        return now_ms;
    if (others_wait(schedule)) {
        if (schedule->isolated_count - schedule->cancelled_count > schedule->isolated_places)
            return now_ms;
        if (schedule->prompt == NULL)
            return CLOCK_NEVER;
        int64_t slow_ms = schedule->prompt->sent_ms + SCHEDULE_SLOW_MS;
        return slow_ms > now_ms ? slow_ms : now_ms;
    }
    const struct job *first = job_heap_first(&schedule->scheduled);
    return first == NULL ? CLOCK_NEVER : first->due_ms;
}

/* ---- how it keeps up ---- */

int64_t schedule_delay_ms(const struct schedule *schedule, int64_t now_ms)
{
    const struct job_group *group;
    int64_t delay_ms = 0;
    DL_FOREACH(schedule->ready, group) {
        for (int kind = 0; kind < READY_KINDS; kind++)
            for (int demanded = 0; QUICK_KINDS & 1u << kind && demanded < 2; demanded++) {
                const struct job *job = job_heap_first(&group->ready[kind][demanded]);
                if (job != NULL)
                    delay_ms = MAX(delay_ms, waited_ms(schedule, job, now_ms));
            }
    }
    return delay_ms;
}

int64_t schedule_recent_delay_ms(const struct schedule *schedule, int64_t now_ms)
{
    return MAX(schedule_delay_ms(schedule, now_ms), load_recent_delay_ms(&schedule->load, now_ms));
}

double schedule_utilization(struct schedule *schedule, int64_t now_ms)
{
    add_usage(schedule, now_ms);
    return load_utilization(&schedule->load, now_ms);
}

size_t schedule_isolated_jobs(const struct schedule *schedule)
{
    return schedule->isolated_count + ready_slow(schedule);
}
