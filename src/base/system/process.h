/*
 * What processes cost, as the kernel counts it.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_SYSTEM_PROCESS_H
#define BACKLOG_BASE_SYSTEM_PROCESS_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_stat {
    double cpu_seconds; /* with that of its children that it has seen end */
    double resident_bytes;
    double started_after_boot_s;
};

/* What a process has to itself: without what it maps of files and shares. 0: there is none. */
double process_own_bytes(pid_t pid);

/* What this process may still map, before its limit (RLIMIT_AS). INFINITY: it has none. */
double process_mappable_bytes(void);

/* What the container may use (cgroup v2 or v1, as it sees its own under `folder`, /sys/fs/cgroup);
 * INFINITY: no limit. */
double process_memory_limit(const char *folder);

/* One small read of /proc. False: there is no such process. */
bool process_stat(pid_t pid, struct process_stat *ret_stat);

/* The same, with the CPU time and the memory of the processes that it has started, directly or not,
 * and that still run. Memory that they share counts for each. */
bool process_tree_stat(pid_t pid, struct process_stat *ret_stat);

/* As getrusage() reports it for RUSAGE_SELF or RUSAGE_CHILDREN; NAN where that fails. */
double process_cpu_seconds(int whose);

/* From now on the kernel ends this process (SIGXCPU) when it has used about so many more seconds of
 * CPU time; 0: it may use any again. */
void process_limit_cpu(unsigned seconds);

/* From now on no file has a dump of this process, and no process of the same user reads its memory:
 * the secrets of all connections are in it. Its own /proc/self stays readable, but what is in it
 * belongs to root. */
void process_hide_memory(void);

/* As many descriptors as may be; returns how many. The usual soft limit, 1,024, is there for
 * programs that use select(): a few large Redis Clusters could take them all. */
uint64_t process_raise_descriptors(void);

/* CPU, memory, descriptors, threads and start of this process, in Prometheus' format. */
void process_write_metrics(struct text *page);

#endif
