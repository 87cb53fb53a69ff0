/*
 * The groups (namespaces) of a schedule's jobs: which of their jobs are ready, whose turn it is.
 *
 * Of the groups with a job that comes first, the one goes on that has the fewest jobs of the same
 * class in flight. So no group's jobs wait for thousands of another's, and none of them for one of
 * its own that hangs. A job of several groups has the turns of the one with the fewest jobs when it
 * gets ready: it is to be no burden on the one, and to wait for nobody of the other.
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

/* The next ready job of these classes, from the first to the last, which have their turns
 * together; NULL: none. The keys up to `urgent_key` come before all turns. Without turns: any that
 * is first of a group. */
struct job *job_groups_next(const struct job_groups *groups, enum job_class first,
                            enum job_class last, bool has_turns, int64_t urgent_key);

/* Since when the longest overdue of the ready jobs that are not isolated is late; CLOCK_NEVER:
 * there are none. */
int64_t job_groups_late_since_ms(const struct job_groups *groups);

#endif
