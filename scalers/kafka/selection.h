/*
 * Which topics the key `topic` selects: those of a list of names, those that match a regular
 * expression (it begins with ^), or, where the key is absent, all that the group has committed.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_KAFKA_SELECTION_H
#define BACKLOG_SCALERS_KAFKA_SELECTION_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* So many topics may a trigger have. The library finds a topic by a walk through all that its
 * handle has, when it is made, and in each answer with metadata: to make 5,000 takes 0.2 s of CPU
 * time, and 10,000 1.7 s, which is longer than a request for metadata is waited for. */
enum { KAFKA_SELECTION_MAX_TOPICS = 5000 };

/* So many partitions may all topics of a trigger have, by what a broker says; fewer where memory is
 * short (kafka_memory_max_partitions()). */
enum { KAFKA_SELECTION_MAX_PARTITIONS = 25000 };

enum kafka_selection_kind {
    KAFKA_SELECTION_OF_GROUP,
    KAFKA_SELECTION_OF_NAMES,
    KAFKA_SELECTION_OF_PATTERN
};

struct kafka_selection {
    enum kafka_selection_kind kind;
    char **names; /* of KAFKA_SELECTION_OF_NAMES: sorted, each once */
    size_t count;
};

enum kafka_selection_kind kafka_selection_kind(const char *topic);

/* Reads a value of the key without mistakes (kafka_selection_check()). */
void kafka_selection_init(struct kafka_selection *selection, const char *topic);
void kafka_selection_done(struct kafka_selection *selection);

/* Adds what is wrong with the key's value, but does not show the value: it may be out of a
 * variable. */
void kafka_selection_check(const char *topic, struct error *mistakes);

/* The names as KEDA has them in the metric's name, or the pattern. The caller frees the text. NULL:
 * the topics are those of the group. */
char *kafka_selection_text(const char *topic);

#endif
