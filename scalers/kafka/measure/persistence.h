/*
 * How long the commits of a group on a topic have not moved, for excludePersistentLag.
 *
 * Time counts only while there is lag (a partition that was idle and gets a message is not stuck)
 * and only while it is measured: a measurement without an answer, or another session, restarts it,
 * and what is not known to be stuck is counted.
 *
 * Threads: the measuring thread. Owner: whoever has the pointer to all groups, NULL at first. A
 * history is valid until the next call that may forget it.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_PERSISTENCE_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_PERSISTENCE_H

#include "kafka/options.h"
#include "shared/regex.h"

#include <stdint.h>

struct kafka_persistence;       /* the history of a group on a topic */
struct kafka_persistence_group; /* those of all topics of a group */

/* The history of this group on this topic, which has so many partitions. It is used now, made where
 * there is none, and begins again where the number of partitions has changed. */
struct kafka_persistence *kafka_persistence_for(struct kafka_persistence_group **all,
                                                const char *group, const char *topic,
                                                int32_t partitions, int64_t now_ms);

/* Notes what a measurement found now. It may be called any number of times in one. */
void kafka_persistence_update(struct kafka_persistence *persistence, int32_t partition,
                              int64_t committed, int64_t latest, int64_t now_ms);

/* For how long the partition has been as it was found last. 0: it is not known. */
int64_t kafka_persistence_ms(const struct kafka_persistence *persistence, int32_t partition,
                             int64_t now_ms);

/*
 * A measurement that began at `began_ms` is over. The time of each partition that it was to include
 * starts again, unless the partition was updated since.
 */

/* The measurement was to include this partition. */
void kafka_persistence_restart(struct kafka_persistence *persistence, int32_t partition,
                               int64_t began_ms);

/* It was to include those partitions of the topic that the query counts. A topic without a history
 * has no time that could start again. */
void kafka_persistence_restart_topic(struct kafka_persistence_group *all,
                                     const struct kafka_query *query, const char *topic,
                                     int64_t began_ms);

/* It was to include the group's topics that match `topic` of the query, and may have found fewer of
 * them than there are. */
void kafka_persistence_restart_pattern(struct kafka_persistence_group *all,
                                       const struct kafka_query *query, struct regex *regex,
                                       int64_t began_ms);

/* It was to include all topics of the group, and it is not known which those are. */
void kafka_persistence_restart_group(struct kafka_persistence_group *all, const char *group,
                                     int64_t began_ms);

/* Forgets the histories that have not been used for KAFKA_FORGET_MS. */
void kafka_persistence_forget_old(struct kafka_persistence_group **all, int64_t now_ms);
void kafka_persistence_forget_all(struct kafka_persistence_group **all);

#endif
