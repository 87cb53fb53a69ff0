/*
 * Which node led a consumer when it had pending messages last.
 *
 * A node answers for a consumer as soon as it is elected, and counts the pending messages a little
 * later (in 2.10 isConsumerLeader() asks raft, and setLeader() counts, on another thread). Until
 * then it reports those of when it last led: 0, if it never did. So where there were messages, the
 * 0 of another node is requested once more before it counts.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_LEADERS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_LEADERS_H

#include <stdbool.h>
#include <stdint.h>

struct nats_leaders {
    struct nats_leader *by_consumer;
};

void nats_leaders_done(struct nats_leaders *leaders);

/* Takes a reading of a consumer, whose request has this subject, from a leader (a hash of its name;
 * 0: it is in no cluster). True: it may not have been counted yet; the next one has. */
bool nats_leaders_may_not_have_counted(struct nats_leaders *leaders, const char *subject,
                                       uint64_t leader, bool has_messages);

#endif
