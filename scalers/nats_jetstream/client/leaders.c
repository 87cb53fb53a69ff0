#include "nats_jetstream/client/leaders.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "nats_jetstream/limits.h"

#include <stdlib.h>

/* Of a consumer that had messages. */
struct nats_leader {
    UT_hash_handle hh; /* the longest unchanged first */
    uint64_t consumer; /* a hash of the subject of its requests */
    uint64_t node;
};

_Static_assert(sizeof(struct nats_leader) + 40 <= NATS_LEADER_BYTES, "with its part of the table");

static void forget(struct nats_leaders *leaders, struct nats_leader *leader)
{
    HASH_DELETE(hh, leaders->by_consumer, leader);
    free(leader);
}

void nats_leaders_done(struct nats_leaders *leaders)
{
    while (leaders->by_consumer != NULL)
        forget(leaders, leaders->by_consumer);
}

bool nats_leaders_may_not_have_counted(struct nats_leaders *leaders, const char *subject,
                                       uint64_t leader, bool has_messages)
{
    uint64_t consumer = hash_text(subject);
    struct nats_leader *known = NULL;
    HASH_FIND(hh, leaders->by_consumer, &consumer, sizeof(consumer), known);
    if (known != NULL && has_messages) {
        known->node = leader;
    } else if (known != NULL) {
        bool is_another = known->node != leader;
        forget(leaders, known);
        return is_another;
    } else if (has_messages && leader != 0) {
        if (HASH_COUNT(leaders->by_consumer) >= NATS_MAX_LEADERS)
            forget(leaders, leaders->by_consumer);
        known = memory_new(sizeof(*known));
        known->consumer = consumer;
        known->node = leader;
        HASH_ADD(hh, leaders->by_consumer, consumer, sizeof(known->consumer), known);
    }
    return false;
}
