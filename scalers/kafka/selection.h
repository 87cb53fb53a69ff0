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

/* What one pattern may match: the metadata of each topic is requested with every measurement. */
enum { KAFKA_SELECTION_MAX_TOPICS = 10000 };

/* What all topics of a trigger may have, as a broker says: measuring one takes the library some 2.4
 * KB. */
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

/* Of a topic without mistakes. */
void kafka_selection_init(struct kafka_selection *selection, const char *topic);
void kafka_selection_done(struct kafka_selection *selection);

/* Adds what is wrong with the key's value, without showing it: it may be out of a variable. */
void kafka_selection_check(const char *topic, struct error *mistakes);

/* The names as KEDA has them in the metric's name, or the pattern; the caller frees it. NULL: of
 * the group. */
char *kafka_selection_text(const char *topic);

#endif
