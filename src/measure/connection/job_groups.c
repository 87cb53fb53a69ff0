#include "measure/connection/job_groups.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

static void group_done(struct job_group *group)
{
    for (int i = 0; i < JOB_CLASSES; i++)
        for (int demanded = 0; demanded < 2; demanded++)
            free(group->ready[i][demanded].entries);
}

static void group_free(struct job_groups *groups, struct job_group *group)
{
    HASH_DEL(groups->all, group);
    group_done(group);
    free(group);
}

void job_groups_done(struct job_groups *groups)
{
    struct job_group *group;
    struct job_group *next;
    HASH_ITER(hh, groups->all, group, next)
        group_free(groups, group);
    group_done(&groups->usual);
}

static struct job_group *group_of(struct job_groups *groups, const struct job *job)
{
    return job->group == NULL ? &groups->usual : job->group;
}

static enum job_class class_of(const struct job *job)
{
    if (job->timeouts > 0)
        return JOB_CLASS_TIMED_OUT;
    if (job->is_isolated)
        return JOB_CLASS_SLOW;
    return job->duration_ms < 0 ? JOB_CLASS_NEW : JOB_CLASS_KNOWN;
}

/* New jobs share the turns of known ones. */
static enum job_class turn_class_of(const struct job *job)
{
    return job->class == JOB_CLASS_NEW ? JOB_CLASS_KNOWN : job->class;
}

/* ---- ready jobs ---- */

static void add_ready(struct job_groups *groups, struct job *job, int64_t key)
{
    struct job_group *group = group_of(groups, job);
    job_heap_add(&group->ready[job->class][job->is_demanded], job, key);
    groups->ready_count[job->class]++;
    if (group->ready_count++ == 0)
        DL_APPEND(groups->ready, group);
}

void job_groups_remove_ready(struct job_groups *groups, struct job *job)
{
    struct job_group *group = group_of(groups, job);
    job_heap_remove(job);
    groups->ready_count[job->class]--;
    if (--group->ready_count > 0)
        return;
    /* The analyzer forgets that a group with ready jobs is on the list.
     * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    DL_DELETE(groups->ready, group);
}

static void count_sent(struct job_groups *groups, const struct job *job, int change)
{
    group_of(groups, job)->in_flight[turn_class_of(job)] += change;
    groups->in_flight[job->class] += change;
}

/* ---- the groups of a job ---- */

/* If two are the smallest, the one that the job is in already. */
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

/* Moves the job to the smallest of its groups. */
static void choose_group(struct job_groups *groups, struct job *job)
{
    struct job_group *group = smallest_group(job);
    if (group == job->group)
        return;
    if (job->state == JOB_READY) {
        int64_t key = job_heap_key(job);
        job_groups_remove_ready(groups, job);
        job->group = group;
        add_ready(groups, job, key);
        return;
    }
    if (job->state == JOB_IN_FLIGHT)
        count_sent(groups, job, -1);
    job->group = group;
    if (job->state == JOB_IN_FLIGHT)
        count_sent(groups, job, 1);
}

static struct job_membership *find_membership(const struct job *job, uint64_t group_id)
{
    struct job_membership *membership;
    LL_FOREACH(job->memberships, membership)
        if (membership->group->id == group_id)
            return membership;
    return NULL;
}

static struct job_group *make_group(struct job_groups *groups, uint64_t id)
{
    struct job_group *group;
    HASH_FIND(hh, groups->all, &id, sizeof(id), group);
    if (group != NULL)
        return group;
    group = memory_new(sizeof(*group));
    group->id = id;
    HASH_ADD(hh, groups->all, id, sizeof(group->id), group);
    return group;
}

void job_groups_join(struct job_groups *groups, struct job *job, uint64_t group_id)
{
    struct job_membership *membership = find_membership(job, group_id);
    if (membership == NULL) {
        membership = memory_new(sizeof(*membership));
        membership->group = make_group(groups, group_id);
        membership->group->jobs++;
        LL_PREPEND(job->memberships, membership);
    }
    membership->joins++;
    choose_group(groups, job);
}

static void end_membership(struct job_groups *groups, struct job *job,
                           struct job_membership *membership)
{
    struct job_group *group = membership->group;
    LL_DELETE(job->memberships, membership);
    free(membership);
    choose_group(groups, job);
    if (--group->jobs == 0)
        group_free(groups, group);
}

void job_groups_leave(struct job_groups *groups, struct job *job, uint64_t group_id)
{
    struct job_membership *membership = find_membership(job, group_id);
    if (membership != NULL && --membership->joins == 0)
        end_membership(groups, job, membership);
}

void job_groups_leave_all(struct job_groups *groups, struct job *job)
{
    while (job->memberships != NULL)
        end_membership(groups, job, job->memberships);
}

void job_groups_add_ready(struct job_groups *groups, struct job *job, int64_t key)
{
    choose_group(groups, job); /* the group may have grown */
    job->state = JOB_READY;
    job->class = class_of(job);
    add_ready(groups, job, key);
}

/* ---- jobs in flight ---- */

void job_groups_add_sent(struct job_groups *groups, struct job *job)
{
    count_sent(groups, job, 1);
    group_of(groups, job)->turns[turn_class_of(job)] = ++groups->turns;
}

void job_groups_isolate_sent(struct job_groups *groups, struct job *job)
{
    count_sent(groups, job, -1);
    job->is_isolated = true;
    job->class = JOB_CLASS_SLOW;
    count_sent(groups, job, 1);
}

void job_groups_remove_sent(struct job_groups *groups, const struct job *job)
{
    count_sent(groups, job, -1);
}

/* ---- whose turn it is ---- */

static struct job *first_of_group(const struct job_group *group, enum job_class first,
                                  enum job_class last)
{
    const struct job_heap *least = &group->ready[first][0];
    for (enum job_class class = first; class <= last; class ++)
        for (int demanded = 0; demanded < 2; demanded++) {
            const struct job_heap *heap = &group->ready[class][demanded];
            if (job_heap_first_key(heap) < job_heap_first_key(least))
                least = heap;
        }
    return job_heap_first(least);
}

/* Whether `job` of the group `own` is sent before `other` of the group `others`, by the rules of
 * job_groups.h. The classes of both share the turns of turn_class. */
static bool goes_before(const struct job_group *own, const struct job *job,
                        const struct job_group *others, const struct job *other,
                        enum job_class turn_class, int64_t urgent_key)
{
    int64_t key = job_heap_key(job);
    int64_t other_key = job_heap_key(other);
    bool is_urgent = key <= urgent_key;
    if (is_urgent != (other_key <= urgent_key))
        return is_urgent;
    if (own->in_flight[turn_class] != others->in_flight[turn_class])
        return own->in_flight[turn_class] < others->in_flight[turn_class];
    if (own->turns[turn_class] != others->turns[turn_class])
        return own->turns[turn_class] < others->turns[turn_class];
    return key < other_key;
}

struct job *job_groups_next(const struct job_groups *groups, enum job_class first,
                            enum job_class last, bool has_turns, int64_t urgent_key)
{
    const struct job_group *group;
    const struct job_group *group_of_next = NULL;
    struct job *next = NULL;
    DL_FOREACH(groups->ready, group) {
        struct job *job = first_of_group(group, first, last);
        if (job != NULL &&
            (next == NULL || goes_before(group, job, group_of_next, next, first, urgent_key))) {
            next = job;
            group_of_next = group;
        }
        if (next != NULL && !has_turns)
            return next;
    }
    return next;
}

int64_t job_groups_late_since_ms(const struct job_groups *groups)
{
    const struct job_group *group;
    int64_t since_ms = CLOCK_NEVER;
    DL_FOREACH(groups->ready, group) {
        for (enum job_class class = JOB_CLASS_KNOWN; class <= JOB_CLASS_NEW; class ++)
            for (int demanded = 0; demanded < 2; demanded++) {
                const struct job *job = job_heap_first(&group->ready[class][demanded]);
                if (job != NULL)
                    since_ms = MIN(since_ms, job_late_since_ms(job));
            }
    }
    return since_ms;
}
