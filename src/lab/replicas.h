/*
 * Replicas as local processes: what a Deployment is in a cluster, for `backlog rehearse --worker`.
 *
 * A replica is `sh -c COMMAND` in a process group of its own, with BACKLOG_OBJECT and
 * BACKLOG_REPLICA in its environment. It is stopped by SIGTERM, and by SIGKILL after the grace
 * period. One that ends by itself is started again, after a second, doubling to a minute. What it
 * writes goes to standard error, and to the logs where there are any.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_LAB_REPLICAS_H
#define BACKLOG_LAB_REPLICAS_H

#include "lab/worker_logs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A worker begins as `backlog run-worker -- PARENT COMMAND`, an internal command. */
#define REPLICAS_COMMAND "run-worker"

/* What that does, in the new process: ends with the process PARENT, and becomes the shell. Returns
 * its exit status only where it cannot. */
int replicas_run_worker(const char *parent, const char *command);

struct replicas;

struct replicas_settings {
    const char *command;
    const char *object; /* "namespace/name" */
    int64_t grace_ms;
    int64_t startup_ms;       /* a replica counts as ready after it */
    bool stops_random;        /* and not the newest */
    struct worker_logs *logs; /* what workers write; NULL: only to standard error */
    uint64_t *last_id;        /* of a replica of any object; they ascend */
};

/* The strings are borrowed. The caller frees it with replicas_free(). */
struct replicas *replicas_new(const struct replicas_settings *settings);

/* There are to be so many: starts or stops. Does not wait. */
void replicas_scale(struct replicas *replicas, int64_t count, int64_t now_ms);

/* Notices what has ended, kills what had its grace, starts again what is to be. Returns when it is
 * next due. */
int64_t replicas_tick(struct replicas *replicas, int64_t now_ms);

/* Running and past their start-up; those that are being stopped do not count. */
int64_t replicas_ready(const struct replicas *replicas, int64_t now_ms);

/* A replica at one moment; for people. Valid while it is visited. */
struct replica_info {
    uint64_t id;
    int64_t number;
    pid_t pid; /* 0: there is no process now */
    int64_t started_ms;
    const char *state; /* static: starting, running, stopping, restarting */
};

void replicas_visit(const struct replicas *replicas, int64_t now_ms,
                    void (*visit)(void *context, const struct replica_info *info), void *context);

/* How many have ended without a signal from here. */
int64_t replicas_crashes(const struct replicas *replicas);

/* Stops all, waits until they are gone (at most the grace period), and frees. NULL is none. */
void replicas_free(struct replicas *replicas);

#endif
