#include "base/heap.h"

#include "base/memory.h"

#include <sys/param.h>

static void put(struct heap *heap, size_t position, struct heap_entry entry)
{
    heap->entries[position] = entry;
    entry.item->position = position;
}

/* The position is free: the entry goes up while what is above has a larger key, or else down. */
static void settle(struct heap *heap, size_t position, struct heap_entry entry)
{
    while (position > 0) {
        size_t parent = (position - 1) / HEAP_CHILDREN;
        if (heap->entries[parent].key <= entry.key)
            break;
        put(heap, position, heap->entries[parent]);
        position = parent;
    }
    for (;;) {
        size_t child = HEAP_CHILDREN * position + 1;
        size_t end = MIN(child + HEAP_CHILDREN, heap->count);
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

void heap_set(struct heap *heap, struct heap_item *item, int64_t key)
{
    if (item->heap == NULL) {
        heap->entries =
            memory_grow(heap->entries, &heap->capacity, heap->count + 1, sizeof(*heap->entries));
        item->heap = heap;
        item->position = heap->count++;
    }
    settle(heap, item->position, (struct heap_entry){key, item});
}

void heap_remove(struct heap_item *item)
{
    struct heap *heap = TAKE(item->heap);
    if (heap == NULL)
        return;
    struct heap_entry last = heap->entries[--heap->count];
    if (last.item != item)
        settle(heap, item->position, last);
}
