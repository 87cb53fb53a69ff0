/*
 * The agent processes that run: their costs, for /metrics, and which of them are killed before they
 * take the container's memory.
 *
 * Threads: any; the list of processes has a lock of its own.
 * Owner:   whoever starts a process; the struct is not freed before the process is reaped.
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
    size_t max_bytes;       /* that it may map besides the program; 0: any number */
    size_t max_bytes_named; /* that it might map if its connection were in the connections file */
    bool is_killed;         /* by agent_processes_keep_below(); it may not have ended yet */
    double bytes;           /* its own memory at the last check of agent_processes_keep_below() */
    struct agent_process *next, *prev;
};

/* The process was started as `pid`. */
void agent_process_began(struct agent_process *process, pid_t pid);

/* Both need a process that was started and not reaped: its pid is not 0. (waitpid() and kill() take
 * 0 for any child, and for our own process group.)
 *
 * The first one returns whether the process has ended, with its status as from waitpid(). Then the
 * process is reaped, and its pid is 0. */
bool agent_process_has_ended(struct agent_process *process, int *ret_status);
void agent_process_kill(struct agent_process *process);

/* For agent_processes_write_metrics(), and for tests. */
struct agent_process_costs {
    size_t count;
    /* NAN: unknown, as no descriptor was left to read them with. */
    double cpu_seconds;    /* of all agents that ever ran: it never falls */
    double resident_bytes; /* of those that run */
};

void agent_process_costs(struct agent_process_costs *ret_costs);

/*
 * Kills agents until the memory of this process and its agents is at most `bytes`. Each agent has
 * its own limit (agent_limits.h), but many of them together could take all of the container's
 * memory. Kubernetes has the kernel kill all processes of the container then, with the server.
 *
 * The next one to be killed is the largest. None is killed while all agents together have at most
 * `spared` bytes: then it is this process that takes too much. Returns how many were killed.
 * `ret_used` is the memory that is left in use.
 */
size_t agent_processes_keep_below(double bytes, double spared, double *ret_used);

/* In the format of Prometheus. */
void agent_processes_write_metrics(struct text *page);

#endif
