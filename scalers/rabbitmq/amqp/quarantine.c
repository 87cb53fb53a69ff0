#include "rabbitmq/amqp/quarantine.h"

#include "base/hash_table.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_QUARANTINED = 4096 }; /* beyond it all are dropped, and learned again */

struct rabbitmq_quarantined {
    UT_hash_handle hh;
    char name[]; /* the key */
};

static struct rabbitmq_quarantined *find(const struct rabbitmq_quarantined *quarantine,
                                         const char *queue)
{
    struct rabbitmq_quarantined *quarantined = NULL;
    HASH_FIND_STR(quarantine, queue, quarantined);
    return quarantined;
}

bool rabbitmq_quarantine_has(const struct rabbitmq_quarantined *quarantine, const char *queue)
{
    return find(quarantine, queue) != NULL;
}

void rabbitmq_quarantine_add(struct rabbitmq_quarantined **quarantine, const char *queue)
{
    if (rabbitmq_quarantine_has(*quarantine, queue))
        return;
    if (HASH_COUNT(*quarantine) >= MAX_QUARANTINED)
        rabbitmq_quarantine_free(quarantine);
    size_t bytes = strlen(queue) + 1;
    struct rabbitmq_quarantined *quarantined = memory_new(sizeof(*quarantined) + bytes);
    memcpy(quarantined->name, queue, bytes);
    HASH_ADD_STR(*quarantine, name, quarantined);
}

void rabbitmq_quarantine_remove(struct rabbitmq_quarantined **quarantine, const char *queue)
{
    struct rabbitmq_quarantined *quarantined = find(*quarantine, queue);
    if (quarantined == NULL)
        return;
    HASH_DEL(*quarantine, quarantined);
    free(quarantined);
}

void rabbitmq_quarantine_free(struct rabbitmq_quarantined **quarantine)
{
    struct rabbitmq_quarantined *quarantined;
    struct rabbitmq_quarantined *next;
    HASH_ITER(hh, *quarantine, quarantined, next) {
        HASH_DEL(*quarantine, quarantined);
        free(quarantined);
    }
}
