#include "kubernetes/informer/due_queue.h"

#include "base/memory.h"

#include <stdlib.h>

void due_queue_done(struct due_queue *queue)
{
    free(queue->items);
    *queue = (struct due_queue){0};
}

static void put(struct due_queue *queue, size_t at, struct due_item *item)
{
    queue->items[at] = item;
    item->place = at + 1;
}

/* The item's place is free. It goes up while what is above it is due later, or down. */
static void settle(struct due_queue *queue, size_t at, struct due_item *item)
{
    while (at > 0 && queue->items[(at - 1) / 2]->due_ms > item->due_ms) {
        put(queue, at, queue->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (size_t below; (below = 2 * at + 1) < queue->count; at = below) {
        if (below + 1 < queue->count &&
            queue->items[below + 1]->due_ms < queue->items[below]->due_ms)
            below++;
        if (queue->items[below]->due_ms >= item->due_ms)
            break;
        put(queue, at, queue->items[below]);
    }
    put(queue, at, item);
}

void due_queue_set(struct due_queue *queue, struct due_item *item, int64_t due_ms)
{
    item->due_ms = due_ms;
    if (item->place == 0) {
        queue->items = memory_grow(queue->items, &queue->capacity, queue->count + 1,
                                   sizeof(struct due_item *));
        put(queue, queue->count++, item);
    }
    settle(queue, item->place - 1, item);
}

void due_queue_remove(struct due_queue *queue, struct due_item *item)
{
    if (item->place == 0)
        return;
    struct due_item *last = queue->items[--queue->count];
    if (last != item)
        settle(queue, item->place - 1, last);
    item->place = 0;
}

struct due_item *due_queue_first(const struct due_queue *queue)
{
    return queue->count == 0 ? NULL : queue->items[0];
}
