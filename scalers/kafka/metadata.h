/* Which topics there are, which partitions they have, and which brokers lead them. */
#ifndef BACKLOG_KAFKA_METADATA_H
#define BACKLOG_KAFKA_METADATA_H

#include "client.h"

/* The topic by this name, remembered from now on. NULL where the library refuses the name. */
struct known_topic *topic_use(struct kafka_client *client, const char *name);

/* The pattern, remembered from now on; its topics are known after the next topics_refresh(). */
struct known_pattern *pattern_use(struct kafka_client *client, const char *text);

/*
 * Asks for all topics in use at once, or for all of the cluster while a pattern is, unless all of them were
 * heard of a moment ago. Fails where no broker answers; a topic's own error is in the topic.
 */
bool topics_refresh(struct kafka_client *client, int64_t deadline_ms, struct error *error);

/* Whether the topic was heard of a moment ago. */
bool topic_is_fresh(const struct known_topic *topic);

/* The broker that leads the partition, as far as is known; -1: none. */
int32_t topic_leader(const struct known_topic *topic, int32_t partition);

/* A measurement found that what is known of the topic is wrong (a leader that moved). */
void topic_doubt(struct known_topic *topic);

/*
 * A message of it has just come, from the broker that was taken for its leader: the measurement that this
 * hastens need not ask again, unless a long time has passed.
 */
void topic_confirm(struct kafka_client *client, const char *name);

void topics_forget(struct kafka_client *client);
void patterns_forget(struct kafka_client *client);

#endif
