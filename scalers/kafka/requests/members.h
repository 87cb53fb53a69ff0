/*
 * The members of consumer groups and their partitions, for triggers whose policy needs the number
 * of consumers. A request goes to the group's coordinator, and needs the same right as its commits.
 *
 * No task fails because members are not known. A group has one request at a time, without a
 * time-out, as for commits (commits.h):
 *
 *     sent less than 1 s ago     tasks that begin wait for the answer; at their deadline they end
 *                                without it
 *     sent longer ago            tasks that begin do not wait
 *     60 s ago, still wanted     the main handle is renewed, as the coordinator may have moved
 *     its connection is closed   it is sent again, once
 *     the reply is unreadable    it is sent again on the serial handle (serial.h), for 3 s
 *
 * A group whose commits hang, too, is not requested any more: then commits.h decides when the
 * handle is renewed.
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

/* Sends a request, unless one for the group is under way, or its last reply was too long
 * (kafka_serial_reason_suspended()). The members are kept until kafka_members_release(), which the
 * caller owes: those of a thousand groups would take the memory of the process. Those that there is
 * no memory for (memory.h) stay unknown. */
void kafka_members_request(struct kafka_members *members, const char *group, int64_t now_ms);
void kafka_members_release(struct kafka_members *members, const char *group);

/* Takes the answers that have come. True: there were some. */
bool kafka_members_receive(struct kafka_members *members, int64_t now_ms);

/* Whether tasks that began at `since_ms` should wait: no answer has come since then, and a request
 * is under way that was young enough then. */
bool kafka_members_is_pending(const struct kafka_members *members, const char *group,
                              int64_t since_ms);

/*
 * The partitions of the members, from an answer that came at `since_ms` or later. NULL: there is no
 * such answer, or it does not have all consumers (kafka_members_are_assigned()). The partitions of
 * a member follow one another, and have the same `opaque`. The list is valid until the next answer,
 * or the release.
 */
const rd_kafka_topic_partition_list_t *kafka_members_assigned(const struct kafka_members *members,
                                                              const char *group, int64_t since_ms);

/* Whether the members of a group in this state are all of its consumers, and have their partitions.
 * False while the group rebalances, and if consumers assign partitions by hand (is_simple): they
 * are not members. The header has it for tests. */
bool kafka_members_are_assigned(rd_kafka_consumer_group_state_t state, bool is_simple);

/* Once per turn of the loop: sends requests on the serial handle, or gives them up. True: some were
 * given up, and tasks need not wait for them any more. */
bool kafka_members_maintain(struct kafka_members *members, int64_t now_ms);

/* When a request on the serial handle has its turn, or is given up, if no answer comes. */
int64_t kafka_members_next_ms(const struct kafka_members *members);

/* Forgets groups that were not requested for KAFKA_FORGET_MS. */
void kafka_members_forget_old(struct kafka_members *members, int64_t now_ms);

/* ---- the main handle is renewed: see session.h ---- */

/* Whether a new main handle would help: a request was sent 60 s ago and is still wanted, or
 * KAFKA_MAX_CALL_MS ago. */
bool kafka_members_needs_renewal(const struct kafka_members *members, int64_t now_ms);
void kafka_members_close_handle(struct kafka_members *members);
void kafka_members_open_handle(struct kafka_members *members);

#endif
