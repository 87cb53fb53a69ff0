/*
 * What processes cost, as the kernel counts it.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_PROCESS_H
#define BACKLOG_BASE_PROCESS_H

#include "base/text.h"

#include <stdbool.h>
#include <sys/types.h>

struct process_stat {
    double cpu_seconds; /* with that of its children that it has seen end */
    double resident_bytes;
    double started_after_boot_s;
};

/* One small read of /proc. False: there is no such process. */
bool process_stat(pid_t pid, struct process_stat *ret_stat);

/* As getrusage() reports it for RUSAGE_SELF or RUSAGE_CHILDREN; NAN where that fails. */
double process_cpu_seconds(int whose);

/* CPU, memory, descriptors, threads and start of this process, in Prometheus' format. */
void process_write_metrics(struct text *page);

#endif
