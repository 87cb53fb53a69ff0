#include "kubernetes/credentials/need_queue.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TURN_US = 2000 };

void need_queue_join(struct need_queue *queue, struct need_place *place, const char *namespace)
{
    struct need_tenant *tenant;
    HASH_FIND_STR(queue->tenants, namespace, tenant);
    if (tenant == NULL) {
        tenant = memory_new(sizeof(*tenant));
        tenant->namespace = text_copy(namespace);
        HASH_ADD_KEYPTR(hh, queue->tenants, tenant->namespace, strlen(tenant->namespace), tenant);
    }
    tenant->places++;
    *place = (struct need_place){.tenant = tenant};
}

void need_queue_add(struct need_queue *queue, struct need_place *place)
{
    struct need_tenant *tenant = place->tenant;
    if (place->is_ready)
        return;
    if (tenant->ready == NULL)
        DL_APPEND(queue->ready, tenant);
    DL_APPEND(tenant->ready, place);
    place->is_ready = true;
}

static void end_ready(struct need_queue *queue, struct need_place *place)
{
    struct need_tenant *tenant = place->tenant;
    if (!place->is_ready)
        return;
    place->is_ready = false;
    DL_DELETE(tenant->ready, place);
    if (tenant->ready != NULL)
        return;
    DL_DELETE(queue->ready, tenant);
    if (queue->turn == tenant)
        queue->turn = NULL;
}

void need_queue_leave(struct need_queue *queue, struct need_place *place)
{
    end_ready(queue, place);
    struct need_tenant *tenant = TAKE(place->tenant);
    if (--tenant->places > 0)
        return;
    HASH_DELETE(hh, queue->tenants, tenant);
    free(tenant->namespace);
    free(tenant);
}

static void begin_turn(struct need_queue *queue, int64_t now_us)
{
    queue->turn = queue->ready;
    queue->turn_end_us = now_us + TURN_US;
    DL_DELETE(queue->ready, queue->turn);
    DL_APPEND(queue->ready, queue->turn);
}

struct need_place *need_queue_take(struct need_queue *queue, int64_t now_us)
{
    if (queue->ready == NULL)
        return NULL;
    if (queue->turn == NULL || now_us >= queue->turn_end_us)
        begin_turn(queue, now_us);
    struct need_place *place = queue->turn->ready;
    end_ready(queue, place);
    return place;
}
