/*
 * Agent processes that run: what they cost, for /metrics, and which are killed before they take the
 * container's memory.
 *
 * Threads: any; the list of them has a lock of its own.
 * Owner:   whoever starts one; it is not to be freed before it is reaped.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_PROCESS_H
#define BACKLOG_MEASURE_AGENT_AGENT_PROCESS_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct agent_process {
    pid_t pid;              /* 0: none */
    uint64_t tenant;        /* where memory ends, the agents of one tenant count together */
    size_t max_bytes;       /* what it may map besides the program; 0: any */
    size_t max_bytes_named; /* as much, if its connection were in the connections file */
    bool is_killed;         /* for its memory; it may not have ended yet */
    double bytes;           /* its own memory when agent_processes_keep_below() checked it last */
    double together;        /* that of all agents of its tenant, at the same check */
    struct agent_process *next, *prev;
};

/* The process was started as `pid`. The owner has set the tenant, and may do so again. */
void agent_process_began(struct agent_process *process, pid_t pid);
void agent_process_set_tenant(struct agent_process *process, uint64_t tenant);

/* Both are for a process that began and whose end was not reported yet: its pid is not 0, which
 * would stand for any child, and for all of our own process group.
 *
 * The first says whether it has ended, with a status as of waitpid(): then its pid is 0 again. */
bool agent_process_has_ended(struct agent_process *process, int *ret_status);
void agent_process_kill(struct agent_process *process);

bool agent_processes_run(void); /* at least one does */

/* For agent_processes_write_metrics(), and for tests.
 *
 * The CPU time is that of all processes there ever were, and never goes down; the memory of those
 * that run. */
struct agent_process_costs {
    size_t count;
    double cpu_seconds;    /* NAN: unknown, as no descriptor was left to read it with */
    double resident_bytes; /* NAN: as of cpu_seconds */
};

void agent_process_costs(struct agent_process_costs *ret_costs);

/*
 * Kills agents until this process and they have at most so many bytes to themselves: the largest
 * one of the tenant whose agents have the most together, so that nobody gets those of others killed
 * with many that are a little smaller. Each is limited alone (agent_limits.h), but many of them
 * could end the memory of the container, and with it the server: Kubernetes has the kernel kill all
 * of a container's processes then. While all agents have no more than `spared` none is killed:
 * this process needs too much then, which no agent's end changes. Returns how many were killed.
 * `ret_used` is what they have then.
 */
size_t agent_processes_keep_below(double bytes, double spared, double *ret_used);

/* In the format of Prometheus. */
void agent_processes_write_metrics(struct text *page);

#endif
