#include "nats_jetstream/leaders.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "nats_jetstream/limits.h"

#include <stdbool.h>
#include <stdlib.h>

enum { COUNTING_MS = 500 }; /* a leader has counted by then */

struct nats_leader {
    UT_hash_handle hh; /* by consumer, the first that was added first */
    uint64_t consumer;
    uint64_t leader;
    int64_t since_ms; /* its first reply */
    double messages;  /* of the last reply that counted, of any leader */
};

/* With what malloc() has around it, and its part of the table. */
enum { LEADER_BYTES = sizeof(struct nats_leader) + 16 + 32 };

static void forget(struct nats_leaders *leaders, struct nats_leader *known)
{
    HASH_DELETE(hh, leaders->by_consumer, known);
    free(known);
}

void nats_leaders_done(struct nats_leaders *leaders)
{
    while (leaders->by_consumer != NULL)
        forget(leaders, leaders->by_consumer);
}

static struct nats_leader *find(const struct nats_leaders *leaders, uint64_t consumer)
{
    struct nats_leader *known = NULL;
    HASH_FIND(hh, leaders->by_consumer, &consumer, sizeof(consumer), known);
    return known;
}

static struct nats_leader *find_or_add(struct nats_leaders *leaders, uint64_t consumer)
{
    struct nats_leader *known = find(leaders, consumer);
    if (known != NULL)
        return known;
    if (HASH_COUNT(leaders->by_consumer) >= NATS_LEADERS_BYTES / LEADER_BYTES)
        forget(leaders, leaders->by_consumer);
    known = memory_new(sizeof(*known));
    known->consumer = consumer;
    HASH_ADD(hh, leaders->by_consumer, consumer, sizeof(known->consumer), known);
    return known;
}

int64_t nats_leaders_take(struct nats_leaders *leaders, const struct nats_leader_reply *reply,
                          int64_t now_ms)
{
    if (reply->leader == 0)
        return CLOCK_NEVER;
    struct nats_leader *known = find_or_add(leaders, reply->consumer);
    if (known->leader != reply->leader) {
        known->leader = reply->leader;
        known->since_ms = now_ms;
    }
    int64_t counted_ms = known->since_ms + COUNTING_MS;
    bool is_less = reply->messages < 1 || reply->messages < known->messages;
    if (is_less && reply->sent_ms < counted_ms)
        return counted_ms;
    known->messages = reply->messages;
    return CLOCK_NEVER;
}

void nats_leaders_lose(struct nats_leaders *leaders, uint64_t consumer)
{
    struct nats_leader *known = find(leaders, consumer);
    if (known != NULL)
        known->leader = 0;
}
