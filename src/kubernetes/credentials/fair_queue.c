#include "kubernetes/credentials/fair_queue.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TURN_US = 2000 };

void fair_queue_join(struct fair_queue *queue, struct fair_queue_item *item, const char *name)
{
    struct fair_queue_namespace *namespace;
    HASH_FIND_STR(queue->namespaces, name, namespace);
    if (namespace == NULL) {
        namespace = memory_new(sizeof(*namespace));
        namespace->name = text_copy(name);
        HASH_ADD_KEYPTR(hh, queue->namespaces, namespace->name, strlen(namespace->name), namespace);
    }
    namespace->items++;
    *item = (struct fair_queue_item){.namespace = namespace};
}

void fair_queue_add(struct fair_queue *queue, struct fair_queue_item *item)
{
    struct fair_queue_namespace *namespace = item->namespace;
    if (item->is_ready)
        return;
    if (namespace->ready == NULL)
        DL_APPEND(queue->ready, namespace);
    DL_APPEND(namespace->ready, item);
    item->is_ready = true;
}

static void end_ready(struct fair_queue *queue, struct fair_queue_item *item)
{
    struct fair_queue_namespace *namespace = item->namespace;
    if (!item->is_ready)
        return;
    item->is_ready = false;
    DL_DELETE(namespace->ready, item);
    if (namespace->ready != NULL)
        return;
    DL_DELETE(queue->ready, namespace);
    if (queue->turn == namespace)
        queue->turn = NULL;
}

void fair_queue_leave(struct fair_queue *queue, struct fair_queue_item *item)
{
    end_ready(queue, item);
    struct fair_queue_namespace *namespace = TAKE(item->namespace);
    if (--namespace->items > 0)
        return;
    HASH_DELETE(hh, queue->namespaces, namespace);
    free(namespace->name);
    free(namespace);
}

static void begin_turn(struct fair_queue *queue, int64_t now_us)
{
    queue->turn = queue->ready;
    queue->turn_end_us = now_us + TURN_US;
    DL_DELETE(queue->ready, queue->turn);
    DL_APPEND(queue->ready, queue->turn);
}

struct fair_queue_item *fair_queue_take(struct fair_queue *queue, int64_t now_us)
{
    if (queue->ready == NULL)
        return NULL;
    if (queue->turn == NULL || now_us >= queue->turn_end_us)
        begin_turn(queue, now_us);
    struct fair_queue_item *item = queue->turn->ready;
    end_ready(queue, item);
    return item;
}
