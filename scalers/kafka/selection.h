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

/* How many topics a trigger may have. The library walks through all topics of its handle to find
 * one, when it makes a topic and in each answer with metadata. Making 5,000 topics takes 0.2 s of
 * CPU time, and 10,000 take 1.7 s, which is longer than a request for metadata may take. */
enum { KAFKA_SELECTION_MAX_TOPICS = 5000 };

/* How many partitions all topics of a trigger may have; fewer where memory is short
 * (kafka_memory_max_partitions()). */
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

/* Reads a value of the key that has no mistakes (kafka_selection_check()). */
void kafka_selection_init(struct kafka_selection *selection, const char *topic);
void kafka_selection_done(struct kafka_selection *selection);

/* About how many bytes it takes. */
size_t kafka_selection_bytes(const char *topic);

/* Adds the mistakes in the key's value. They do not show the value, which may be a variable's. */
void kafka_selection_check(const char *topic, struct error *mistakes);

/* Returns the names as in KEDA's name of the metric, or the pattern. The caller frees the text.
 * NULL: the topics are those that the group has committed. */
char *kafka_selection_text(const char *topic);

#endif
