/*
 * The groups (namespaces) of a schedule's jobs: which of their jobs are ready, whose turn it is.
 *
 * Each group offers its first ready job. An urgent one (a caller waits for it, or it is overdue for
 * very long) goes before one that is not. Among equals the turn is that of the group with the
 * fewest jobs of that class in flight, and then of the one whose last turn was longest ago.
 *
 * So a group with thousands of jobs does not delay those of another one. A job that hangs costs its
 * own group no turns, as it is of another class (it was slow, or timed out). A job of several
 * groups counts for the one that has the fewest jobs when it gets ready: it costs a large group no
 * turn, and does not wait behind that one's other jobs.
 *
 * Threads and owner: as schedule.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_JOB_GROUPS_H
#define BACKLOG_MEASURE_CONNECTION_JOB_GROUPS_H

#include "base/hash_table.h"
#include "measure/connection/job.h"
#include "measure/connection/job_heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job_group {
    uint64_t id;
    size_t jobs; /* how many it has, with those that other groups have, too */
    /* Its jobs in flight, by class. New jobs are among the known ones here, as they have their
     * turns together. */
    size_t in_flight[JOB_CLASSES];
    uint64_t turns[JOB_CLASSES]; /* the number of the last turn; 0: there was none */
    /* [1] has those with a waiting caller. So the first of each heap is also its longest
     * overdue. */
    struct job_heap ready[JOB_CLASSES][2];
    size_t ready_count;            /* of all classes */
    struct job_group *next, *prev; /* of those with jobs that are ready */
    UT_hash_handle hh;
};

/* Start from {0}. */
struct job_groups {
    struct job_group usual;          /* of jobs that have no other */
    struct job_group *all;           /* by id */
    struct job_group *ready;         /* utlist: those with jobs that are ready */
    size_t ready_count[JOB_CLASSES]; /* of all groups */
    size_t in_flight[JOB_CLASSES];   /* of all groups, and new jobs by themselves */
    uint64_t turns;                  /* how many there were */
};

void job_groups_done(struct job_groups *groups);

/* These do what schedule_join() and schedule_leave() say; the last one leaves all groups for
 * good. */
void job_groups_join(struct job_groups *groups, struct job *job, uint64_t group_id);
void job_groups_leave(struct job_groups *groups, struct job *job, uint64_t group_id);
void job_groups_leave_all(struct job_groups *groups, struct job *job);

/* The job becomes ready: of two jobs of a group, the one with the lower key is sent first. It is
 * since when the job is late, or earlier by the same time for all with a waiting caller. */
void job_groups_add_ready(struct job_groups *groups, struct job *job, int64_t key);
/* The job is no longer ready. */
void job_groups_remove_ready(struct job_groups *groups, struct job *job);

/* The job, which was ready, is in flight until job_groups_remove_sent(). */
void job_groups_add_sent(struct job_groups *groups, struct job *job);
void job_groups_isolate_sent(struct job_groups *groups, struct job *job);
void job_groups_remove_sent(struct job_groups *groups, const struct job *job);

/* The next ready job of the classes from `first` to `last`, whose turns are counted together; NULL:
 * none. Jobs with keys up to `urgent_key` are urgent. Without turns: the first one of any group. */
struct job *job_groups_next(const struct job_groups *groups, enum job_class first,
                            enum job_class last, bool has_turns, int64_t urgent_key);

/* Since when the longest overdue of the ready jobs that are not isolated is late; CLOCK_NEVER:
 * there are none. */
int64_t job_groups_late_since_ms(const struct job_groups *groups);

#endif
