/*
 * For how long a group's commits on a topic have not moved, for excludePersistentLag.
 *
 * Each partition has a clock. Example with persistentLagTime 60 s, and a commit that stays at 100:
 *
 *       0 s  latest 100   no lag: the clock is at 0
 *      10 s  latest 120   lag 20: the clock begins
 *      50 s  latest 130   40 s
 *      70 s  latest 140   60 s: the partition is persistent, and adds no replicas
 *
 * It begins again when the commit moves, and after a measurement that failed or lacks the partition
 * (_restart functions), but not after a task that failed by another partition before this one was
 * answered (_keep), unless another task of the measurement has waited for it in vain. A new session
 * has no clocks. So a partition counts as stuck only if each answer about it has found it stuck.
 *
 * Threads: the measuring thread. Owner: whoever has the pointer to all groups, NULL at first. A
 * history is valid until the next kafka_persistence_forget_old(), or kafka_persistence_for() with
 * another number of partitions.
 */
#ifndef BACKLOG_SCALERS_KAFKA_PERSISTENCE_H
#define BACKLOG_SCALERS_KAFKA_PERSISTENCE_H

#include "kafka/memory.h"
#include "kafka/options.h"
#include "shared/regex.h"

#include <stdint.h>

struct kafka_persistence;       /* the history of a group on a topic */
struct kafka_persistence_group; /* the histories of a group on all of its topics */

/* Finds or makes the history of the group on the topic. All its clocks begin again if the number of
 * partitions has changed. NULL: there is no memory for them. */
struct kafka_persistence *kafka_persistence_for(struct kafka_persistence_group **all,
                                                struct kafka_memory *memory, const char *group,
                                                const char *topic, int32_t partitions,
                                                int64_t now_ms);

/* Notes what a measurement has found. `has_lag`: messages wait behind a valid commit. Several tasks
 * of a measurement may do so. */
void kafka_persistence_update(struct kafka_persistence *persistence, int32_t partition,
                              int64_t committed, bool has_lag, int64_t now_ms);

/* A task ends before the partition is answered, as another one has failed: the clock goes on. What
 * restarts all of a topic, a pattern or a group for that measurement leaves it alone, but not
 * kafka_persistence_restart(): another task has waited for the partition in vain. */
void kafka_persistence_keep(struct kafka_persistence *persistence, int32_t partition,
                            int64_t now_ms);

/* The partition's clock. 0: it does not run. */
int64_t kafka_persistence_ms(const struct kafka_persistence *persistence, int32_t partition,
                             int64_t now_ms);

/* ---- a measurement that began at `began_ms` has ended ----
 *
 * Each of these restarts the clocks of the partitions that the measurement was to include, but not
 * of those that were updated, or, for all but the first, kept since it began. */

/* It was to include this partition. */
void kafka_persistence_restart(struct kafka_persistence *persistence, int32_t partition,
                               int64_t began_ms);

/* It was to include the partitions of this topic that the query counts. */
void kafka_persistence_restart_topic(struct kafka_persistence_group *all,
                                     const struct kafka_query *query, const char *topic,
                                     int64_t began_ms);

/* It was to include all of the group's topics that match the query's `topic`, which is `regex`. */
void kafka_persistence_restart_pattern(struct kafka_persistence_group *all,
                                       const struct kafka_query *query, struct regex *regex,
                                       int64_t began_ms);

/* It was to include all topics that the group has committed, whichever those are. */
void kafka_persistence_restart_group(struct kafka_persistence_group *all, const char *group,
                                     int64_t began_ms);

/* Forgets histories that kafka_persistence_for() has not returned for KAFKA_FORGET_MS. */
void kafka_persistence_forget_old(struct kafka_persistence_group **all, int64_t now_ms);
void kafka_persistence_forget_all(struct kafka_persistence_group **all);

#endif
