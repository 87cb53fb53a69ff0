/*
 * Whether a group is a share group (KIP-932). A share group commits no offsets: for those who
 * request its commits it is a consumer group that has committed nothing yet.
 *
 * So only groups without any commit are looked up, once a minute: a group may come to be. The
 * library does not know share groups, but leaves them out where it lists consumer groups:
 *
 *                          rd_kafka_list_groups()     rd_kafka_ListConsumerGroups()
 *
 *     a share group        it is there, and Dead      it is not there
 *     a consumer group     it is there                it is there
 *     none of this name    it is not there            (not requested)
 *
 * Both list all groups of each broker. Where that fails, as a list is too long or a broker does not
 * answer, no group is looked up for ten minutes, and each counts as a consumer group.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_GROUP_TYPES_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_GROUP_TYPES_H

#include "kafka/client/client.h"

struct kafka_group_types;

struct kafka_group_types *kafka_group_types_new(struct kafka_client *client);

/* Waits for a call that runs. */
void kafka_group_types_free(struct kafka_group_types *types);

/* Whether it is known what a group is that has no commit. False: it is looked up, and
 * kafka_group_types_is_pending() until that has ended. */
bool kafka_group_types_is_known(struct kafka_group_types *types, const char *group, int64_t now_ms);
bool kafka_group_types_is_pending(const struct kafka_group_types *types, const char *group);
bool kafka_group_types_is_share(const struct kafka_group_types *types, const char *group);

/* Takes the end of a look-up, and begins the next one. To be called when event_fd is readable. */
void kafka_group_types_receive(struct kafka_group_types *types, int64_t now_ms);

/* No group is looked up for ten minutes. The header has it for tests that count calls. */
void kafka_group_types_suspend(struct kafka_group_types *types, int64_t now_ms);

/* Forgets the groups that were not looked up for KAFKA_FORGET_MS. */
void kafka_group_types_forget_old(struct kafka_group_types *types, int64_t now_ms);

#endif
