/*
 * A heap of jobs, the least key first. A job is in at most one heap, and knows its place there.
 *
 * Threads: as schedule.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_JOB_HEAP_H
#define BACKLOG_MEASURE_CONNECTION_JOB_HEAP_H

#include "measure/connection/job.h"

#include <stddef.h>
#include <stdint.h>

/* How many children each entry has. With four, a job that moves passes half as many entries as with
 * two, and each entry passed is written to. The four keys that are compared are beside each other.
 */
enum { JOB_HEAP_CHILDREN = 4 };

/* The key is here and not in the job, so that comparing keys does not read the jobs' memory. */
struct job_heap_entry {
    int64_t key;
    struct job *job;
};

/* Start from {0}; its owner frees `entries`. */
struct job_heap {
    struct job_heap_entry *entries;
    size_t count;
    size_t capacity;
};

void job_heap_add(struct job_heap *heap, struct job *job, int64_t key);
void job_heap_remove(const struct job *job); /* the job is in a heap */

/* The key of a job that is in a heap. */
static inline int64_t job_heap_key(const struct job *job)
{
    return job->heap->entries[job->position].key;
}

/* The job with the least key; NULL: the heap is empty. */
static inline struct job *job_heap_first(const struct job_heap *heap)
{
    return heap->count == 0 ? NULL : heap->entries[0].job;
}

/* The least key; INT64_MAX: the heap is empty. */
static inline int64_t job_heap_first_key(const struct job_heap *heap)
{
    return heap->count == 0 ? INT64_MAX : heap->entries[0].key;
}

#endif
