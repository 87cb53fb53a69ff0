/*
 * Which node leads a consumer, and whether what it replies counts.
 *
 * A node of a cluster answers for a consumer as soon as it is elected, and counts the messages a
 * little later (isConsumerLeader() asks raft, and setLeader() counts, on another thread). Until then
 * it reports those of when it last led: 0, if it never did. So 0, or fewer than before, counts only
 * in the reply to a request that was sent half a second after the first reply of this leader.
 *
 * On a new connection all leaders are new: a node of the cluster that is lost takes both its
 * connections and its leaders along.
 *
 * Threads: one at a time. Times are of clock_now_ms().
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_LEADERS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_LEADERS_H

#include <stdint.h>

struct nats_leaders {
    struct nats_leader *by_consumer;
};

void nats_leaders_done(struct nats_leaders *leaders);

/* What was replied about a consumer. */
struct nats_leader_reply {
    uint64_t consumer; /* a hash of its name */
    uint64_t leader;   /* as nats_consumer_info_leader() has it */
    double messages;   /* all that the trigger counts */
    int64_t sent_ms;   /* the request */
};

/* Returns when to send the request again; CLOCK_NEVER: the reply counts. */
int64_t nats_leaders_take(struct nats_leaders *leaders, const struct nats_leader_reply *reply,
                          int64_t now_ms);

/* No leader replied: who does next is a new one, were it the same node. */
void nats_leaders_lose(struct nats_leaders *leaders, uint64_t consumer);

#endif
