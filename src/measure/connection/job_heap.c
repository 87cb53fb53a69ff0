#include "measure/connection/job_heap.h"

#include "base/memory.h"

#include <sys/param.h>

static void put(struct job_heap *heap, size_t position, struct job_heap_entry entry)
{
    heap->entries[position] = entry;
    entry.job->position = position;
}

static void move_up(struct job_heap *heap, size_t position, struct job_heap_entry entry)
{
    while (position > 0) {
        size_t parent = (position - 1) / JOB_HEAP_CHILDREN;
        if (heap->entries[parent].key <= entry.key)
            break;
        put(heap, position, heap->entries[parent]);
        position = parent;
    }
    put(heap, position, entry);
}

static void move_down(struct job_heap *heap, size_t position, struct job_heap_entry entry)
{
    for (;;) {
        size_t child = JOB_HEAP_CHILDREN * position + 1;
        size_t end = MIN(child + JOB_HEAP_CHILDREN, heap->count);
        size_t least = child;
        while (++child < end)
            if (heap->entries[child].key < heap->entries[least].key)
                least = child;
        if (least >= end || heap->entries[least].key >= entry.key)
            break;
        put(heap, position, heap->entries[least]);
        position = least;
    }
    put(heap, position, entry);
}

void job_heap_add(struct job_heap *heap, struct job *job, int64_t key)
{
    job->heap = heap;
    if (heap->count == heap->capacity)
        heap->entries =
            memory_grow(heap->entries, &heap->capacity, heap->count + 1, sizeof(*heap->entries));
    move_up(heap, heap->count++, (struct job_heap_entry){key, job});
}

void job_heap_remove(const struct job *job)
{
    struct job_heap *heap = job->heap;
    struct job_heap_entry last = heap->entries[--heap->count];
    if (last.job == job)
        return;
    if (last.key < job_heap_key(job))
        move_up(heap, job->position, last);
    else
        move_down(heap, job->position, last);
}
