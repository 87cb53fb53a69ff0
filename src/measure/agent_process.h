/*
 * Agent processes: those that run are listed, so that /metrics can report their cost.
 *
 * Threads: any; the list of them has a lock of its own.
 * Owner:   whoever starts one; it is not to be freed before it is reaped.
 */
#ifndef BACKLOG_MEASURE_AGENT_PROCESS_H
#define BACKLOG_MEASURE_AGENT_PROCESS_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct agent_process {
    pid_t pid; /* 0: none */
    struct agent_process *next, *prev;
};

/* It was started as `pid`. */
void agent_process_began(struct agent_process *process, pid_t pid);

/* Whether it has ended, with a status as of waitpid(): then its pid is 0 again. */
bool agent_process_has_ended(struct agent_process *process, int *ret_status);
void agent_process_kill(struct agent_process *process);

/* The CPU time is that of all processes there ever were, and never goes down; the memory of those that run. */
struct agent_process_costs {
    size_t count;
    double cpu_seconds;    /* NAN: unknown, */
    double resident_bytes; /* as is this: there is no descriptor to read it with */
};

void agent_process_costs(struct agent_process_costs *ret_costs);

/* In the format of Prometheus. */
void agent_processes_write_metrics(struct text *page);

#endif
