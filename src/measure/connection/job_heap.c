#include "measure/connection/job_heap.h"

#include "base/memory.h"
#include "measure/connection/job.h"

static void put(struct job_heap *heap, size_t position, struct job *job)
{
    heap->jobs[position] = job;
    job->position = position;
}

static void move_up(struct job_heap *heap, size_t position)
{
    struct job *job = heap->jobs[position];
    while (position > 0 && heap->jobs[(position - 1) / 2]->key > job->key) {
        put(heap, position, heap->jobs[(position - 1) / 2]);
        position = (position - 1) / 2;
    }
    put(heap, position, job);
}

static void move_down(struct job_heap *heap, size_t position)
{
    struct job *job = heap->jobs[position];
    for (;;) {
        size_t child = 2 * position + 1;
        if (child + 1 < heap->count && heap->jobs[child + 1]->key < heap->jobs[child]->key)
            child++;
        if (child >= heap->count || heap->jobs[child]->key >= job->key)
            break;
        put(heap, position, heap->jobs[child]);
        position = child;
    }
    put(heap, position, job);
}

void job_heap_add(struct job_heap *heap, struct job *job, int64_t key)
{
    job->key = key;
    heap->jobs = memory_grow(heap->jobs, &heap->capacity, heap->count + 1, sizeof(*heap->jobs));
    heap->jobs[heap->count] = job;
    move_up(heap, heap->count++);
}

void job_heap_remove(struct job_heap *heap, struct job *job)
{
    size_t position = job->position;
    struct job *last = heap->jobs[--heap->count];
    if (last == job)
        return;
    put(heap, position, last);
    move_up(heap, position);
    move_down(heap, last->position);
}
