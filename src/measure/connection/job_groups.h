/*
 * The groups (namespaces) of a schedule's jobs. A group with thousands of jobs must not delay the
 * jobs of another group, so groups take turns.
 *
 * Each group offers its first ready job. Two offers are compared by the first of these rules in
 * which they differ:
 *
 *     1. an urgent job goes first: a caller waits for it, or it has been late for very long
 *     2. the group goes first that has fewer jobs of this class in flight
 *     3. the group goes first whose last turn was longer ago
 *     4. the job goes first that has been late for longer
 *
 * Classes count separately: a job that hangs is of another class (job.h) than the other jobs of its
 * group, and costs these no turns.
 *
 * A job of several groups is offered by the group with the fewest jobs. There it waits behind the
 * fewest, and it costs the large groups no turn.
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
    size_t jobs; /* how many it has; a job counts in each of its groups */
    /* Its jobs in flight, by class. New jobs count as known ones: the two classes share turns. */
    size_t in_flight[JOB_CLASSES];
    uint64_t turns[JOB_CLASSES]; /* the number of the last turn, by class; 0: there was none */
    /* [1]: jobs with a waiting caller, whose keys are lower (job_groups_add_ready()). So the first
     * job of each heap is its longest overdue one. */
    struct job_heap ready[JOB_CLASSES][2];
    size_t ready_count;            /* of all classes */
    struct job_group *next, *prev; /* among the groups with ready jobs */
    UT_hash_handle hh;
};

/* Start from {0}. */
struct job_groups {
    struct job_group usual;          /* of jobs that joined no group */
    struct job_group *all;           /* by id, without `usual` */
    struct job_group *ready;         /* utlist: the groups with ready jobs */
    size_t ready_count[JOB_CLASSES]; /* of all groups */
    size_t in_flight[JOB_CLASSES];   /* of all groups; here new jobs count by themselves */
    uint64_t turns;                  /* how many turns there were */
};

void job_groups_done(struct job_groups *groups);

/* As schedule_join() and schedule_leave(). job_groups_leave_all() leaves each group, however often
 * the job joined it. */
void job_groups_join(struct job_groups *groups, struct job *job, uint64_t group_id);
void job_groups_leave(struct job_groups *groups, struct job *job, uint64_t group_id);
void job_groups_leave_all(struct job_groups *groups, struct job *job);

/* The job becomes READY. Of two jobs of a group, the one with the lower key is sent first. The key
 * is since when the job is late; with a waiting caller SCHEDULE_PATIENCE_MS less. */
void job_groups_add_ready(struct job_groups *groups, struct job *job, int64_t key);
void job_groups_remove_ready(struct job_groups *groups, struct job *job);

/* The job, which was READY, counts as in flight until job_groups_remove_sent(). In between
 * job_groups_isolate_sent() makes it a job of JOB_CLASS_SLOW. */
void job_groups_add_sent(struct job_groups *groups, struct job *job);
void job_groups_isolate_sent(struct job_groups *groups, struct job *job);
void job_groups_remove_sent(struct job_groups *groups, const struct job *job);

/* The next READY job of the classes from `first` to `last`, which share turns; NULL: none. Jobs
 * with keys up to `urgent_key` are urgent. Without `has_turns` it is the first job of any group. */
struct job *job_groups_next(const struct job_groups *groups, enum job_class first,
                            enum job_class last, bool has_turns, int64_t urgent_key);

/* Since when the longest overdue READY job is late, of those that are not isolated; CLOCK_NEVER:
 * there is none. */
int64_t job_groups_late_since_ms(const struct job_groups *groups);

#endif
