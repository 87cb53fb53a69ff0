/*
 * A heap: which of many items has the least key, such as when it is due. An item is in at most one
 * heap, and knows its place there.
 *
 * Threads: one at a time; pure.
 * Owner:   the memory of items is the caller's, who mostly has them in what they stand for
 *          (HEAP_OWNER()).
 */
#ifndef BACKLOG_BASE_HEAP_H
#define BACKLOG_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* How many children each entry has. With four, an item that moves passes half as many entries as
 * with two, and each entry passed is written to. The four keys that are compared are beside each
 * other. */
enum { HEAP_CHILDREN = 4 };

/* Start from {0}: it is in none. */
struct heap_item {
    struct heap *heap; /* NULL: none */
    size_t position;
};

/* The key is here and not in the item, so that comparing keys does not read the items' memory. */
struct heap_entry {
    int64_t key;
    struct heap_item *item;
};

/* Start from {0}; its owner frees `entries`. */
struct heap {
    struct heap_entry *entries;
    size_t count, capacity;
};

/* It is in this heap from now on; if it is in one already, it is this, and its key changes. */
void heap_set(struct heap *heap, struct heap_item *item, int64_t key);
void heap_remove(struct heap_item *item); /* harmless if it is in none */

/* The key of an item that is in a heap. */
static inline int64_t heap_key(const struct heap_item *item)
{
    return item->heap->entries[item->position].key;
}

/* The item with the least key; NULL: the heap is empty. */
static inline struct heap_item *heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->entries[0].item;
}

/* The least key; INT64_MAX: the heap is empty. */
static inline int64_t heap_first_key(const struct heap *heap)
{
    return heap->count == 0 ? INT64_MAX : heap->entries[0].key;
}

/* The `type` whose `member` the item is. */
#define HEAP_OWNER(item, type, member) ((type *)((char *)(item) - offsetof(type, member)))

#endif
