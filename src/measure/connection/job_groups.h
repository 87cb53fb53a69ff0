/*
 * The groups (namespaces) of a schedule's jobs: which of their jobs are ready, whose turn it is.
 *
 * Of the groups with a job that comes first, the one goes on that has the fewest jobs of the same
 * pace in flight, so that no group's jobs wait for thousands of another's, and none of them for one
 * of its own that hangs. A job of several groups has the turns of the one with the fewest jobs when
 * it gets ready: it is to be no burden on the one, and to wait for nobody of the other.
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

/* Those that are ready, by what places they may have. Of each kind those with a waiting caller
 * have a heap of their own, so that the first of each heap is also its longest overdue. */
enum ready_kind { READY_KNOWN, READY_NEW, READY_SLOW, READY_TIMED_OUT, READY_KINDS };

/* Several of them. */
enum {
    QUICK_KINDS = 1 << READY_NEW | 1 << READY_KNOWN,
    SLOW_KINDS = 1 << READY_SLOW,
    TIMED_OUT_KINDS = 1 << READY_TIMED_OUT,
};

/* How fast a job is expected to be: each pace has turns of its own. */
enum job_pace { PACE_QUICK, PACE_ISOLATED, PACE_TIMED_OUT, PACES };

struct job_group {
    uint64_t id;
    size_t jobs; /* that it has, those of other groups, too */
    size_t in_flight[PACES];
    uint64_t turns[PACES];                 /* the last ones that it had */
    struct job_heap ready[READY_KINDS][2]; /* [1]: with a waiting caller */
    size_t ready_count;                    /* of all kinds */
    struct job_group *next, *prev;         /* of those with jobs that are ready */
    UT_hash_handle hh;
};

/* Start from {0}. */
struct job_groups {
    struct job_group usual;          /* of jobs that have no other */
    struct job_group *all;           /* by id */
    struct job_group *ready;         /* utlist: those with jobs that are ready */
    size_t ready_count[READY_KINDS]; /* of all groups */
    uint64_t turns;
};

void job_groups_done(struct job_groups *groups);

/* As schedule_join() and schedule_leave(); the last leaves all, for good. */
void job_groups_join(struct job_groups *groups, struct job *job, uint64_t group_id);
void job_groups_leave(struct job_groups *groups, struct job *job, uint64_t group_id);
void job_groups_leave_all(struct job_groups *groups, struct job *job);

/* It is ready from now on, or no more; what its kind follows from does not change in between. The
 * less the key, the earlier it goes on; it is below due_ms where a caller waits. */
void job_groups_add_ready(struct job_groups *groups, struct job *job, int64_t key);
void job_groups_remove_ready(struct job_groups *groups, struct job *job);

/* It is in flight from now on, or no more. In between it becomes isolated here. */
void job_groups_add_sent(struct job_groups *groups, struct job *job);
void job_groups_isolate_sent(struct job_groups *groups, struct job *job);
void job_groups_remove_sent(struct job_groups *groups, const struct job *job);

/* The next one of those that are ready and of these kinds, which are of one pace; NULL: none. The
 * keys up to `urgent_key` come before all turns. Without turns: any that is first of a group. */
struct job *job_groups_next(const struct job_groups *groups, unsigned kinds, bool has_turns,
                            int64_t urgent_key);

size_t job_groups_count(const struct job_groups *groups, unsigned kinds);

#endif
