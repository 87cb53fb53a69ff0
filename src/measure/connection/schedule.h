/*
 * The schedule of one connection: which of its jobs (queries to measure) are due, and which job is
 * sent next. The states and times of a job are in job.h.
 *
 * Order: the job that has been late for longest goes first. A waiting caller counts as
 * SCHEDULE_PATIENCE_MS of lateness: a job that is demanded at 100 s goes before those that are late
 * since 41 s, and after those that are late since 39 s. So callers do not wait behind the usual
 * work, and do not starve it.
 *
 * Places: max_tasks jobs may be in flight at a time, and of these isolated_places jobs that are
 * isolated: they timed out last, or the scaler gave them up as they were slow. So jobs that hang
 * leave places to the others. A job that hangs for the first time has a place until its time-out.
 *
 * It is a data structure, without threads, locks, I/O or a clock: the caller passes in the time, in
 * milliseconds of one clock. A function takes O(log n) steps, n being the number of jobs.
 * schedule_take() and _next_ms() also take O(log n) for each job that became due since the last
 * call. Whoever holds a lock calls schedule_advance() before them, once for each such job, and can
 * pause in between.
 *
 * Threads: one at a time. Owner: the caller has the jobs, and removes a job before freeing it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_SCHEDULE_H
#define BACKLOG_MEASURE_CONNECTION_SCHEDULE_H

#include "base/heap.h"
#include "measure/connection/job.h"
#include "measure/connection/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCHEDULE_PATIENCE_MS = 60 * 1000,
    SCHEDULE_RETRY_MIN_MS = 2000, /* after a time-out, doubling to ... */
    SCHEDULE_RETRY_MAX_MS = 30 * 1000,
};

struct schedule {
    struct heap scheduled; /* jobs that are SCHEDULED, by due_ms */
    /* Jobs that are READY; [1]: with a waiting caller. The key is in schedule.c. */
    struct heap ready[JOB_CLASSES][2];
    size_t ready_count[JOB_CLASSES];
    struct job *sent;          /* utlist: jobs that are IN_FLIGHT, in the order of sending */
    size_t in_flight_count;    /* all of them */
    size_t isolated_in_flight; /* of these */
    size_t max_tasks;          /* SIZE_MAX: any number */
    size_t isolated_places;
    /* Since when there is a client; CLOCK_NEVER: there is none. What a job waited for the client is
     * no delay of the schedule. The owner sets it. */
    int64_t served_from_ms;
    int64_t durations_ms; /* what one round of all jobs takes, one after the other */
    struct load load;
};

/* How an attempt ended. */
enum job_end {
    JOB_END_ANSWERED,  /* by a reading or an error: IDLE, or READY if a caller needs another one */
    JOB_END_TIMED_OUT, /* SCHEDULED, spaced out: due after 2, 4, ... 30 s, whoever waits for it */
    JOB_END_RETURNED,  /* not measured: READY, as it was before it was sent */
    JOB_END_ISOLATED,  /* the same, and isolated until it is answered */
    JOB_END_LOST,      /* its client was lost: IDLE, and no caller waits for it */
};

void schedule_init(struct schedule *schedule, size_t max_tasks, size_t isolated_places,
                   int64_t now_ms);
void schedule_done(struct schedule *schedule); /* the jobs stay the caller's */
/* Either number counts as at least 1: it may come from an agent process, which may be broken. */
void schedule_set_max_tasks(struct schedule *schedule, size_t max_tasks, size_t isolated_places,
                            int64_t now_ms);

/* Removes a job that is not in flight. */
void schedule_remove(struct schedule *schedule, struct job *job);

/* Sets when the job is due, though no caller waits for it. 0, like any time in the past, is now;
 * CLOCK_NEVER is never. Changes nothing of a job that is READY, spaced out or in flight: for that
 * one it is called again when the attempt has ended. */
void schedule_set_due(struct schedule *schedule, struct job *job, int64_t due_ms);

/* The same, and sets since when the job is late: from due_ms on it may be sent, but before
 * late_from_ms the late jobs go first. If the job is READY, or was due at due_ms
 * before, the earlier late_from_ms counts. Changes nothing of a job that a caller waits for. */
void schedule_want(struct schedule *schedule, struct job *job, int64_t due_ms,
                   int64_t late_from_ms);

/* A caller waits for a measurement that was sent at `from_ms` or later. An attempt in flight that
 * was sent in time is enough. Otherwise the job is READY now; if it is in flight, when that attempt
 * ends. Nothing happens while the job is spaced out. */
void schedule_demand(struct schedule *schedule, struct job *job, int64_t from_ms, int64_t now_ms);
bool schedule_is_spaced_out(const struct job *job); /* for tests, too */

/* A READY job becomes IDLE, and no caller waits for it any more. */
void schedule_withdraw(struct schedule *schedule, struct job *job);

/* A job that is spaced out is due now, as when its connection is back. */
void schedule_hasten(struct schedule *schedule, struct job *job, int64_t now_ms);

/* A job that is spaced out is due by so much later. */
void schedule_postpone(struct schedule *schedule, struct job *job, int64_t by_ms);

/* Of the SCHEDULED jobs that are due, the one that was due first becomes READY. False: none is due.
 */
bool schedule_advance(struct schedule *schedule, int64_t now_ms);

/* The next job that may be sent now. It is in flight from now on. NULL: none. */
struct job *schedule_take(struct schedule *schedule, int64_t now_ms);

/* The source can work on the job, which is in flight, only from now on: it counts as sent now. */
void schedule_started(struct schedule *schedule, struct job *job, int64_t now_ms);

void schedule_end(struct schedule *schedule, struct job *job, enum job_end end, int64_t now_ms);

/* When schedule_take() may have something, if nothing else happens: now_ms, a later time, or
 * CLOCK_NEVER. */
int64_t schedule_next_ms(struct schedule *schedule, int64_t now_ms);

/* How many isolated jobs are in flight or ready. */
size_t schedule_isolated_jobs(const struct schedule *schedule);

/* How long the longest overdue READY job has been waiting for a place; 0: none waits, or there is
 * no client. Isolated jobs do not count, as they wait for each other. */
int64_t schedule_delay_ms(const struct schedule *schedule, int64_t now_ms);

/* How long the job, which is in flight, had been waiting for its place when it was sent. A wait for
 * the client does not count. */
int64_t schedule_waited_ms(const struct schedule *schedule, const struct job *job);

/* The longest delay of the last 10 to 20 seconds. */
int64_t schedule_recent_delay_ms(const struct schedule *schedule, int64_t now_ms);

/* Which part of the places was in use in the last 10 to 20 seconds, from 0 to 1. Without a limit of
 * places: for which part of the time a job was in flight. */
double schedule_utilization(struct schedule *schedule, int64_t now_ms);

#endif
