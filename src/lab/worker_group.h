/*
 * The workers of one ScaledObject as local processes: what the pods of a Deployment are in a
 * cluster, for `backlog rehearse --worker`.
 *
 * A worker is `sh -c COMMAND` in a process group of its own, with BACKLOG_OBJECT and
 * BACKLOG_REPLICA in its environment, and all processes that it starts (worker_supervisor.h). It is
 * stopped by SIGTERM to the group, and by SIGKILL after the grace period. One whose shell ends by
 * itself is started again, after a second, doubling to a minute; what is left of it is killed. What
 * it writes goes to standard error, and to the logs where there are any.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_LAB_WORKER_GROUP_H
#define BACKLOG_LAB_WORKER_GROUP_H

#include "lab/worker_logs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct worker_group;

struct worker_group_settings {
    const char *command;
    const char *object; /* "namespace/name" */
    int64_t grace_ms;
    int64_t startup_ms;       /* a worker counts as ready after it */
    bool stops_random;        /* and not the newest */
    struct worker_logs *logs; /* what workers write; NULL: only to standard error */
    uint64_t *last_id;        /* of a worker of any object; they ascend */
};

/* The strings are borrowed. The caller frees it with worker_group_free(). */
struct worker_group *worker_group_new(const struct worker_group_settings *settings);

/* There are to be so many: starts or stops. Does not wait. */
void worker_group_scale(struct worker_group *group, int64_t count, int64_t now_ms);

/* Notices what has ended, kills what had its grace, starts again what is to be. Returns when it is
 * next due. */
int64_t worker_group_tick(struct worker_group *group, int64_t now_ms);

/* Running and past their start-up; those that are being stopped do not count. */
int64_t worker_group_ready(const struct worker_group *group, int64_t now_ms);

/* A worker at one moment; for people. Valid while it is visited. */
struct worker_info {
    uint64_t id;
    int64_t number;
    pid_t pid; /* of its supervisor, which leads its group; 0: there is no process now */
    int64_t started_ms;
    const char *state; /* static: starting, running, stopping, restarting */
};

void worker_group_visit(const struct worker_group *group, int64_t now_ms,
                        void (*visit)(void *context, const struct worker_info *info),
                        void *context);

/* How many have ended without a signal from here. */
int64_t worker_group_crashes(const struct worker_group *group);

/* Stops all, waits until no process of them is left (at most the grace period), and frees. NULL is
 * none. */
void worker_group_free(struct worker_group *group);

#endif
