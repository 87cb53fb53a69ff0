/*
 * A job of a schedule: one query to measure.
 *
 *     IDLE       not due at any known time
 *     SCHEDULED  due at due_ms
 *     READY      due, and waiting for a place
 *     IN_FLIGHT  sent
 *
 *     IDLE             --schedule_set_due(), schedule_want()--> SCHEDULED
 *     SCHEDULED        --due_ms has come: schedule_advance()--> READY
 *     IDLE, SCHEDULED  --a caller waits: schedule_demand()----> READY, unless it timed out last
 *     READY            --schedule_take()----------------------> IN_FLIGHT
 *     READY            --schedule_withdraw()------------------> IDLE
 *     IN_FLIGHT        --schedule_end()-----------------------> IDLE (answered, lost)
 *                                                               READY (returned, or a caller waits)
 *                                                               SCHEDULED (timed out)
 *
 * Three times, which the functions of schedule.h set:
 *
 *     due_ms          From here on the job may be sent. With a waiting caller that is now; after a
 *                     time-out it is 2 s later, or more.
 *     late_from_ms    The job that has been late for longest is sent first. It is late since due_ms
 *                     or, if that is later, since late_from_ms. Example: a job that was due at 80,
 *                     but that nobody wanted before 200, is late since 200.
 *     needed_from_ms  A caller needs an attempt that was sent at this time or later. If an earlier
 *                     one is in flight, another one is sent after it. INT64_MAX: the one in flight
 *                     does not do, whenever it counts as sent.
 *
 * Threads and owner: as in schedule.h.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_JOB_H
#define BACKLOG_MEASURE_CONNECTION_JOB_H

#include "base/heap.h"

#include <stdbool.h>
#include <stdint.h>

enum job_state { JOB_IDLE, JOB_SCHEDULED, JOB_READY, JOB_IN_FLIGHT };

/* schedule.h has what it decides. */
enum job_class { JOB_CLASS_NORMAL, JOB_CLASS_ISOLATED, JOB_CLASSES };

/* Start from JOB_NEW. Only schedule.c writes the fields, and bundle_join() sets shares_request. */
struct job {
    enum job_state state;
    unsigned timeouts;      /* in a row */
    bool shares_request;    /* with many other jobs: a long request does not make the job slow */
    bool is_isolated;       /* it takes one of the isolated jobs' places, until it is answered */
    bool is_demanded;       /* a caller waits for the next attempt */
    bool was_demanded;      /* IN_FLIGHT: a caller waits for this attempt */
    int64_t needed_from_ms; /* if is_demanded */
    int64_t due_ms;         /* of a job that is not IDLE */
    int64_t late_from_ms;
    int64_t sent_ms;     /* the last time; INT64_MIN: never */
    int64_t duration_ms; /* of the last attempt that was answered; -1: not known */

    struct heap_item place;  /* SCHEDULED and READY: in a heap */
    struct job *prev, *next; /* IN_FLIGHT */
};

#define JOB_NEW (struct job){.sent_ms = INT64_MIN, .duration_ms = -1}

/* Since when a job that is READY is late. */
static inline int64_t job_late_since_ms(const struct job *job)
{
    return job->due_ms > job->late_from_ms ? job->due_ms : job->late_from_ms;
}

#endif
