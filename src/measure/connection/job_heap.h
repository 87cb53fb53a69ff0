/*
 * A heap of jobs, the least key first. A job is in one heap at most, which it knows its place in.
 *
 * Threads: as schedule.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_JOB_HEAP_H
#define BACKLOG_MEASURE_CONNECTION_JOB_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct job;

/* Start from {0}; its owner frees `jobs`. */
struct job_heap {
    struct job **jobs;
    size_t count;
    size_t capacity;
};

void job_heap_add(struct job_heap *heap, struct job *job, int64_t key);
void job_heap_remove(struct job_heap *heap, struct job *job);

/* NULL: it is empty. */
static inline struct job *job_heap_first(const struct job_heap *heap)
{
    return heap->count == 0 ? NULL : heap->jobs[0];
}

#endif
