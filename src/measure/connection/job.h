/*
 * A job of a schedule: one query to measure.
 *
 *     IDLE       no time is known at which it is due
 *     SCHEDULED  due at due_ms
 *     READY      due, and waiting for a place
 *     IN_FLIGHT  sent
 *
 * It has three times, which the functions of schedule.h set:
 *
 *     due_ms          when it may be sent: schedule_set_due(), schedule_want(); now, where a caller
 *                     waits (schedule_demand()); later, after a time-out
 *     late_from_ms    which job goes first: one is late since due_ms, but not before late_from_ms,
 *                     and the one that is late for longest goes first. schedule_want() sets it,
 *                     where nobody wanted what was due long ago; a caller and the first attempt
 *                     bring it forward
 *     needed_from_ms  whether an attempt is enough: after one that was sent earlier, another is
 *                     sent for the caller (schedule_demand())
 *
 * Threads and owner: as schedule.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_JOB_H
#define BACKLOG_MEASURE_CONNECTION_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum job_state { JOB_IDLE, JOB_SCHEDULED, JOB_READY, JOB_IN_FLIGHT };

/* What is expected of a job, and so which places it may have (schedule.h). The first two are not
 * isolated. */
enum job_class {
    JOB_CLASS_KNOWN,     /* it was measured before, and was not slow */
    JOB_CLASS_NEW,       /* it was never measured */
    JOB_CLASS_SLOW,      /* it was slow, or became slow while others waited: it is isolated */
    JOB_CLASS_TIMED_OUT, /* it timed out last: it is isolated, too, with turns of its own */
    JOB_CLASSES,
};

struct job_group;
struct job_heap;

/* A group that has a job, and how often it joined. */
struct job_membership {
    struct job_group *group;
    size_t joins;
    struct job_membership *next;
};

/* Start from JOB_NEW. The fields are for reading only, outside schedule.c and its parts
 * (job_groups.c, job_heap.c); but bundle_join() sets shares_request. */
struct job {
    enum job_state state;
    enum job_class class; /* READY and IN_FLIGHT: since it got ready, or became isolated */
    unsigned timeouts;    /* in a row */
    bool shares_request;  /* many others share its request, whose duration does not make it slow */
    bool is_isolated;     /* it takes one of the isolated jobs' places */
    bool is_cancelled;    /* IN_FLIGHT: it will be returned */
    bool is_demanded;     /* a caller waits */
    bool was_demanded;    /* IN_FLIGHT: a caller waits for this attempt */
    int64_t needed_from_ms; /* where is_demanded */
    int64_t due_ms;         /* not where it is IDLE */
    int64_t late_from_ms;
    int64_t sent_ms;     /* the last time; INT64_MIN: never */
    int64_t duration_ms; /* of the last one that was answered; -1: not known */

    struct job_membership *memberships; /* utlist */
    struct job_group *group;            /* the smallest of them; NULL: that of jobs without one */

    struct job_heap *heap;   /* SCHEDULED and READY: the heap that it is in */
    size_t position;         /* its place there */
    struct job *prev, *next; /* in flight, among those that are isolated or among the others */
    struct job *prev_sent, *next_sent; /* in flight, among all */
};

#define JOB_NEW (struct job){.sent_ms = INT64_MIN, .duration_ms = -1}

/* Since when a job that is READY is late. */
static inline int64_t job_late_since_ms(const struct job *job)
{
    return job->due_ms > job->late_from_ms ? job->due_ms : job->late_from_ms;
}

#endif
