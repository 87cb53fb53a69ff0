/*
 * Whether what the leader of a consumer replies counts.
 *
 * A node of a cluster replies for a consumer as long as raft has it for the leader, and knows the
 * counts for a part of that time only (setLeader() in nats-server's consumer.go):
 *   elected       until it has counted, on another thread, it reports the messages of when it last
 *                 led: 0, if it never did;
 *   stepping down it drops what is unacknowledged, in newer versions what is pending, too, and
 *                 leads for 250 ms more (jsConsumerLeaderStepDownRequest()).
 * So a reply is in doubt that has no messages, is partial (consumer_info.h), or has fewer messages
 * than before where the leader's first reply was less than half a second ago. It counts if the same
 * leader has been in doubt for half a second: the next request is sent then.
 *
 * On a new connection all leaders are new: a node of the cluster that is lost takes both its
 * connections and its leaders along. How many messages there were before is forgotten with the
 * connection. So after another connection any first reply of a leader may have fewer, and is in
 * doubt as such.
 *
 * Threads: one at a time. Times are of clock_now_ms().
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_LEADERS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_LEADERS_H

#include "measure/reading.h"
#include "nats_jetstream/consumer_info.h"

#include <stdbool.h>
#include <stdint.h>

/* {0} of a first connection. */
struct nats_leaders {
    struct nats_leader *by_consumer;
    bool follows_another; /* there was another connection before this one */
};

void nats_leaders_done(struct nats_leaders *leaders);

/* Takes a reply about a consumer (a hash of its name) to a request of `sent_ms`. Returns when to
 * send it again; CLOCK_NEVER: the reading counts. */
int64_t nats_leaders_take(struct nats_leaders *leaders, uint64_t consumer,
                          const struct nats_consumer_origin *origin, const struct reading *reading,
                          int64_t sent_ms, int64_t now_ms);

/* No leader replied: who does next is a new one, were it the same node. */
void nats_leaders_lose(struct nats_leaders *leaders, uint64_t consumer);

#endif
