#include "rabbitmq/management/pages.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

void rabbitmq_pages_done(struct rabbitmq_pages *pages)
{
    for (size_t i = 0; i < pages->count; i++)
        free(pages->queues[i].name);
    free(pages->queues);
    source_memory_set(&pages->memory, 0);
    *pages = (struct rabbitmq_pages){0};
}

static size_t bytes_of(const char *name)
{
    return 2 * sizeof(struct rabbitmq_pages_queue) + memory_heap_bytes(strlen(name) + 1);
}

bool rabbitmq_pages_add(struct rabbitmq_pages *pages, const char *name,
                        const struct rabbitmq_counts *counts)
{
    unsigned pass = pages->passes + 1;
    if (!source_memory_set(&pages->memory, pages->memory.used + bytes_of(name)))
        return false;
    pages->queues = memory_grow(pages->queues, &pages->capacity, pages->count + 1,
                                sizeof(struct rabbitmq_pages_queue));
    pages->queues[pages->count++] =
        (struct rabbitmq_pages_queue){text_copy(name), pass, pass, *counts};
    return true;
}

static void release(struct rabbitmq_pages *pages, char *name)
{
    source_memory_set(&pages->memory, pages->memory.used - bytes_of(name));
    free(name);
}

/* The last pass comes first. */
static int compare(const void *left, const void *right)
{
    const struct rabbitmq_pages_queue *one = left;
    const struct rabbitmq_pages_queue *other = right;
    int order = strcmp(one->name, other->name);
    return order != 0 ? order : (other->pass > one->pass) - (other->pass < one->pass);
}

const char *rabbitmq_pages_end_pass(struct rabbitmq_pages *pages)
{
    struct rabbitmq_pages_queue *queues = pages->queues;
    size_t kept = 0;
    const char *changed = NULL;
    unsigned pass = ++pages->passes;
    if (pages->count > 1)
        qsort(pages->queues, pages->count, sizeof(struct rabbitmq_pages_queue), compare);
    for (size_t i = 0; queues != NULL && i < pages->count; i++) {
        struct rabbitmq_pages_queue *queue = &queues[i];
        struct rabbitmq_pages_queue *last = kept > 0 ? &queues[kept - 1] : NULL;
        if (last != NULL && strcmp(last->name, queue->name) == 0) {
            if (queue->first < last->first)
                last->first = queue->first;
            release(pages, queue->name);
        } else if (queue->pass + 1 < pass)
            release(pages, queue->name); /* it is gone */
        else
            queues[kept++] = *queue;
    }
    pages->count = kept;
    for (size_t i = 0; i < kept && changed == NULL; i++)
        if (pages->queues[i].pass < pass || (pass > 1 && pages->queues[i].first == pass))
            changed = pages->queues[i].name;
    return changed;
}

void rabbitmq_pages_remove(struct rabbitmq_pages *pages, size_t index)
{
    release(pages, pages->queues[index].name);
    pages->queues[index] = pages->queues[--pages->count];
}
