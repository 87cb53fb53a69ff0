/*
 * What is remembered of consumer groups between their requests for commits: how many partitions
 * they had committed, and which are silent (space.h).
 *
 * Threads: the measuring thread. Owner: struct kafka_space.
 */
#ifndef BACKLOG_SCALERS_KAFKA_KNOWN_GROUPS_H
#define BACKLOG_SCALERS_KAFKA_KNOWN_GROUPS_H

#include <stddef.h>
#include <stdint.h>

struct kafka_known_groups {
    struct kafka_known_group *all;
    size_t guess; /* partitions of an unknown group: twice the average of the last ones */
};

/* `first_guess`: as long as nothing is known of any group. */
void kafka_known_groups_init(struct kafka_known_groups *groups, size_t first_guess);

/* Forgets the groups that have not been of use for KAFKA_FORGET_MS. CLOCK_NEVER: all. */
void kafka_known_groups_forget_old(struct kafka_known_groups *groups, int64_t now_ms);

/* A group of which nothing is known stays unknown. */
void kafka_known_groups_note_use(struct kafka_known_groups *groups, const char *group,
                                 int64_t now_ms);

/* How many partitions the group had committed when all of its commits were last requested, or a
 * guess. */
size_t kafka_known_groups_committed(const struct kafka_known_groups *groups, const char *group);
void kafka_known_groups_note_committed(struct kafka_known_groups *groups, const char *group,
                                       size_t partitions, int64_t now_ms);

/* The partitions that a silent group last asked for. 0: it is a usual one. */
size_t kafka_known_groups_silent(const struct kafka_known_groups *groups, const char *group);
void kafka_known_groups_note_silent(struct kafka_known_groups *groups, const char *group,
                                    size_t partitions, int64_t now_ms);

/* The group's coordinator has answered: the group is a usual one. */
void kafka_known_groups_note_answer(struct kafka_known_groups *groups, const char *group);

#endif
