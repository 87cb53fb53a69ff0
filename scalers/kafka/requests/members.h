/*
 * The members of consumer groups and the partitions that they have, for triggers whose policy needs
 * the number of consumers.
 *
 * A request goes to the group's coordinator and needs the same right as its commits. What it finds
 * is useful, but not needed: no task fails for want of it. A task that comes when the coordinator
 * has not answered for a second does not wait for it; one that came before waits until its deadline
 * at most. As for commits (commits.h) no request times out, and a group has at most one. Where one
 * hangs while the commits are answered, as the coordinator moved, the main handle is renewed after
 * a minute; where the commits hang, too, that is theirs to decide, and members are not requested.
 * Where the reply cannot be read the request is sent again on a handle of its own (serial.h), and
 * has three seconds there.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_MEMBERS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_MEMBERS_H

#include "kafka/client/client.h"

#include <stdbool.h>
#include <stdint.h>

struct kafka_members;

struct kafka_members *kafka_members_new(struct kafka_client *client);
void kafka_members_free(struct kafka_members *members);

/* Sends a request, unless one for the group is under way, or its members were too long of late. */
void kafka_members_request(struct kafka_members *members, const char *group, int64_t now_ms);

/* Takes the answers that have come. True: there were some. */
bool kafka_members_receive(struct kafka_members *members, int64_t now_ms);

/* Whether it is worth waiting for an answer that comes at `since_ms` or later: none has come, and a
 * request is under way that was sent less than a second ago (three on the serial handle), be it
 * before `since_ms`. */
bool kafka_members_is_pending(const struct kafka_members *members, const char *group,
                              int64_t since_ms, int64_t now_ms);

/*
 * The partitions that the members have, by an answer that came at `since_ms` or later. The list is
 * valid until the next answer. Each member has an `opaque` of its own, and its partitions follow
 * one another. NULL: there is no such answer, the group is being rebalanced, or its consumers are
 * no members of it.
 */
const rd_kafka_topic_partition_list_t *kafka_members_assigned(const struct kafka_members *members,
                                                              const char *group, int64_t since_ms);

/* Whether the members of a group in this state are all of its consumers, and have their partitions.
 * The header has it for tests. */
bool kafka_members_are_assigned(rd_kafka_consumer_group_state_t state, bool is_simple);

/* Sends what waits for the serial handle, and ends that where it is idle. */
void kafka_members_maintain(struct kafka_members *members, int64_t now_ms);

/* When kafka_members_maintain() may find something new, if no answer comes. */
int64_t kafka_members_next_ms(const struct kafka_members *members);

/* Forgets the groups whose members nobody has requested for KAFKA_FORGET_MS. */
void kafka_members_forget_old(struct kafka_members *members, int64_t now_ms);

/* ---- the main handle is renewed: see session.h ---- */

/* Whether a new main handle would help, as a request has hung for long that is still wanted, or so
 * long that it would time out. */
bool kafka_members_needs_renewal(const struct kafka_members *members, int64_t now_ms);
void kafka_members_close_handle(struct kafka_members *members);
void kafka_members_open_handle(struct kafka_members *members);

#endif
