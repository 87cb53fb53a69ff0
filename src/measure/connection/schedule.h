/*
 * The schedule of one connection: which of its jobs (queries to measure) are due, and which may be
 * sent now.
 *
 * A data structure: it has no threads, no locks, no I/O and no clock of its own. All times are
 * milliseconds of one clock that the caller passes in. Every function takes O(log n) steps, n being
 * the jobs, and one for each group that has jobs which are ready, or that has the job.
 * schedule_take(), _cancel() and _next_ms() take as many for each job that has become due; whoever
 * holds a lock meanwhile calls schedule_advance() first, and lets others have it now and then.
 *
 * Order: jobs with a waiting caller come first, then the longest overdue. One that has been overdue
 * for SCHEDULE_PATIENCE_MS comes before callers, too, so that nothing starves. Jobs of several
 * groups (namespaces) have their turns (job_groups.h).
 * And those that were never measured, which may be slow, have half of the places while callers
 * wait for others.
 *
 * Isolated jobs (timed out last, or slower than SCHEDULE_SLOW_MS unless they share a request) share
 * a part of the places, so that they delay nobody; those that timed out last and the others
 * take turns. A job that turns out to be slow while others wait is isolated then, and cancelled
 * where the isolated ones have more than their places.
 *
 * Threads: one at a time. Owner: the caller has the jobs; one is removed before it is freed.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_SCHEDULE_H
#define BACKLOG_MEASURE_CONNECTION_SCHEDULE_H

#include "measure/connection/job.h"
#include "measure/connection/job_groups.h"
#include "measure/connection/job_heap.h"
#include "measure/connection/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCHEDULE_SLOW_MS = 1000,
    SCHEDULE_PATIENCE_MS = 60 * 1000,
    SCHEDULE_RETRY_MIN_MS = 2000, /* after a time-out, doubling to ... */
    SCHEDULE_RETRY_MAX_MS = 30 * 1000,
};

struct schedule {
    struct job_heap scheduled;
    struct job_groups groups;
    /* Whose turn it is: JOB_CLASS_SLOW's, or JOB_CLASS_TIMED_OUT's. And until when that of the slow
     * ones may go on; CLOCK_NEVER: none was sent in it. */
    bool is_turn_of_slow;
    int64_t turn_of_slow_ends_ms;
    /* Those in flight: */
    struct job *prompt;     /* utlist, those that are not isolated, in the order of sending */
    struct job *isolated;   /* utlist, those that are; those that were cancelled are in front */
    struct job *sent;       /* utlist, both, in the order of sending */
    size_t in_flight_count; /* both; by class: in `groups` */
    size_t cancelled_count; /* of the isolated ones */
    size_t max_tasks;       /* SIZE_MAX: any number */
    size_t isolated_places;
    /* Since when there is a client: before, jobs do not wait for turns. CLOCK_NEVER: there is none.
     * The owner sets it. */
    int64_t served_from_ms;
    int64_t durations_ms; /* of all jobs together, so that it is what a round of them needs */
    struct load load;
};

/* How an attempt ended. */
enum job_end {
    JOB_END_ANSWERED,  /* by a reading or by an error: the source works on it in time */
    JOB_END_TIMED_OUT, /* spaced out: it is due again after 2, 4, ... 30 s, and not before */
    JOB_END_RETURNED,  /* nothing happened: it is ready again, as it was */
    JOB_END_ISOLATED,  /* the same, but it is isolated from now on, until it is answered */
    JOB_END_LOST,      /* with the client: it is idle */
};

void schedule_init(struct schedule *schedule, size_t max_tasks, size_t isolated_places,
                   int64_t now_ms);
void schedule_done(struct schedule *schedule); /* the jobs stay the caller's */
/* Each number counts as at least 1: an agent process, which may be broken, says how many. */
void schedule_set_max_tasks(struct schedule *schedule, size_t max_tasks, size_t isolated_places,
                            int64_t now_ms);

/* Takes a job that is not in flight out of the schedule. Harmless where it is idle. */
void schedule_remove(struct schedule *schedule, struct job *job);

/* It is a job of this group, too, until the group has left it as often as it joined. */
void schedule_join(struct schedule *schedule, struct job *job, uint64_t group_id);
void schedule_leave(struct schedule *schedule, struct job *job, uint64_t group_id);

/* Sets when the job is due without a demand (schedule_demand()). 0, as any time in the past: now;
 * CLOCK_NEVER: not at all. Has no effect on a job that is in flight (set it when that ends), spaced
 * out, or ready already. */
void schedule_set_due(struct schedule *schedule, struct job *job, int64_t due_ms);

/* The same, for a job that nobody wants before late_from_ms: from due_ms on it may be sent, but
 * until late_from_ms jobs that are late go first. Of a job that was due at due_ms already, or is
 * ready, the earlier late_from_ms counts. Has no effect on a job that a caller waits for. */
void schedule_want(struct schedule *schedule, struct job *job, int64_t due_ms,
                   int64_t late_from_ms);

/*
 * A caller waits for a measurement that was sent at `from_ms` or later: the job is ready now, or
 * once more when the attempt in flight ends if that was sent before. Nothing happens while the job
 * is spaced out.
 */
void schedule_demand(struct schedule *schedule, struct job *job, int64_t from_ms, int64_t now_ms);
bool schedule_is_spaced_out(const struct job *job); /* for tests, too */

/* A job that is READY is IDLE from now on, and no caller waits for it. */
void schedule_withdraw(struct schedule *schedule, struct job *job);

/* A job that is spaced out is due now, as after a connection was made again. */
void schedule_hasten(struct schedule *schedule, struct job *job, int64_t now_ms);

/* A job that is spaced out is due so much later. */
void schedule_postpone(struct schedule *schedule, struct job *job, int64_t by_ms);

/* The job that has been due for longest, and is not ready yet, is ready now. False: there is none.
 */
bool schedule_advance(struct schedule *schedule, int64_t now_ms);

/* The next job that may be sent now, in flight from then on; NULL: none. */
struct job *schedule_take(struct schedule *schedule, int64_t now_ms);

/* The job is in flight, but only now the source can work on it. */
void schedule_started(struct schedule *schedule, struct job *job, int64_t now_ms);

/* A job in flight that has to give up its place; NULL: none, as always where any number may be in
 * flight. It is in flight until it is returned. */
struct job *schedule_cancel(struct schedule *schedule, int64_t now_ms);

void schedule_end(struct schedule *schedule, struct job *job, enum job_end end, int64_t now_ms);

/* When schedule_take() or schedule_cancel() may have something, if nothing else happens: now_ms, a
 * later time, or CLOCK_NEVER. */
int64_t schedule_next_ms(struct schedule *schedule, int64_t now_ms);

/* How many isolated jobs are in flight or ready. */
size_t schedule_isolated_jobs(const struct schedule *schedule);

/* How long the longest overdue of those that are ready has been waiting for its place; 0: none is,
 * or there is no client. Isolated ones do not count: they wait for each other. */
int64_t schedule_delay_ms(const struct schedule *schedule, int64_t now_ms);

/* The longest delay of the last 10 to 20 seconds. */
int64_t schedule_recent_delay_ms(const struct schedule *schedule, int64_t now_ms);

/* Which part of the places was in use in the last 10 to 20 seconds, from 0 to 1. Without a limit:
 * for how much of the time anything was. */
double schedule_utilization(struct schedule *schedule, int64_t now_ms);

#endif
