/* Which partitions the topics have, and which brokers lead them. */
#ifndef BACKLOG_KAFKA_METADATA_H
#define BACKLOG_KAFKA_METADATA_H

#include "client.h"

/* The topic by this name, remembered from now on. NULL where the library refuses the name. */
struct known_topic *topic_use(struct kafka_client *client, const char *name);

/*
 * Asks for all topics in use at once, unless all of them were heard of a moment ago. Fails where no
 * broker answers; a topic's own error is in the topic.
 */
bool topics_refresh(struct kafka_client *client, int64_t deadline_ms, struct error *error);

/* A measurement found that what is known of the topic is wrong (a leader that moved). */
void topic_doubt(struct known_topic *topic);

void topics_forget(struct kafka_client *client);

#endif
