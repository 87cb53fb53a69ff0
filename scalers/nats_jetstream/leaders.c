#include "nats_jetstream/leaders.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "nats_jetstream/limits.h"

#include <math.h>
#include <stdlib.h>

enum { DOUBT_MS = 500 }; /* the leader has counted by then, or leads no longer */

struct nats_leader {
    UT_hash_handle hh; /* by consumer, the longest unused first */
    uint64_t consumer;
    uint64_t leader;
    int64_t since_ms;   /* its first reply */
    int64_t doubted_ms; /* the first of its last replies, which all are in doubt; CLOCK_NEVER */
    double messages;    /* of the last reply that counted, of any leader; INFINITY: unknown */
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
        HASH_DELETE(hh, leaders->by_consumer, known); /* it becomes the last */
    else {
        if (HASH_COUNT(leaders->by_consumer) >= NATS_LEADERS_BYTES / LEADER_BYTES) {
            forget(leaders, leaders->by_consumer);
            leaders->follows_another = false; /* who is unknown may have been in doubt already */
        }
        known = memory_new(sizeof(*known));
        known->consumer = consumer;
        known->messages = leaders->follows_another ? (double)INFINITY : 0;
    }
    HASH_ADD(hh, leaders->by_consumer, consumer, sizeof(known->consumer), known);
    return known;
}

int64_t nats_leaders_take(struct nats_leaders *leaders, uint64_t consumer,
                          const struct nats_consumer_origin *origin, const struct reading *reading,
                          int64_t sent_ms, int64_t now_ms)
{
    double messages = reading->waiting + reading->in_flight;
    if (origin->leader == 0)
        return CLOCK_NEVER;
    struct nats_leader *known = find_or_add(leaders, consumer);
    if (known->leader != origin->leader) {
        known->leader = origin->leader;
        known->since_ms = now_ms;
        known->doubted_ms = CLOCK_NEVER;
    }
    bool is_new = sent_ms < known->since_ms + DOUBT_MS;
    bool is_in_doubt = messages < 1 || origin->is_partial || (is_new && messages < known->messages);
    if (!is_in_doubt)
        known->doubted_ms = CLOCK_NEVER;
    else if (known->doubted_ms == CLOCK_NEVER)
        known->doubted_ms = now_ms;
    if (is_in_doubt && sent_ms < known->doubted_ms + DOUBT_MS)
        return known->doubted_ms + DOUBT_MS;
    known->messages = messages;
    return CLOCK_NEVER;
}

void nats_leaders_lose(struct nats_leaders *leaders, uint64_t consumer)
{
    struct nats_leader *known = find(leaders, consumer);
    if (known != NULL)
        known->leader = 0;
}
