/*
 * Child processes: those that live are known, so that the page of metrics can say what they cost.
 *
 * Threads: any; the list of them has a lock of its own.
 * Owner:   whoever starts one; it is not to be freed before it is reaped.
 */
#ifndef BACKLOG_BASE_CHILD_H
#define BACKLOG_BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid; /* 0: none */
    struct child *next, *prev;
};

/* It was started as `pid`. */
void child_began(struct child *child, pid_t pid);

/* Whether it has ended, with a status as of waitpid(): then its pid is 0 again. */
bool child_has_ended(struct child *child, int *ret_status);
void child_kill(struct child *child);

/* The CPU time is of all that ever were, and never goes down; the memory of those that live. */
struct child_costs {
    size_t living;
    double cpu_seconds;    /* NAN: it cannot be told, */
    double resident_bytes; /* nor can this: there is no descriptor to look with */
};

void child_costs(struct child_costs *ret_costs);

#endif
