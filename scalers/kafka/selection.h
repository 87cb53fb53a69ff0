/*
 * Which topics the key `topic` selects: those of a list of names, those that match a regular expression
 * (it begins with ^), or, where the key is absent, all that the group has committed.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_KAFKA_SELECTION_H
#define BACKLOG_KAFKA_SELECTION_H

#include "base/error.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

/* What one pattern may match: each topic is asked for at the cluster with every measurement. */
#define SELECTION_TOPICS_MOST 10000

enum selection_kind { SELECTION_OF_GROUP, SELECTION_OF_NAMES, SELECTION_OF_PATTERN };

struct selection {
    enum selection_kind kind;
    char **names; /* of SELECTION_OF_NAMES: sorted, each once */
    size_t count;
};

enum selection_kind selection_kind(const char *topic);

/* Of a topic without mistakes. */
void selection_init(struct selection *selection, const char *topic);
void selection_done(struct selection *selection);

/* Adds what is wrong with the key's value, without showing it: it may be out of a variable. */
void selection_check(const char *topic, struct error *mistakes);

/* POSIX extended, within the limits of selection_check(). The caller ends it with regfree(). */
bool selection_compile(const char *pattern, regex_t *ret_regex, struct error *error);

/* The names as KEDA has them in the metric's name, or the pattern; the caller frees it. NULL: of the group. */
char *selection_words(const char *topic);

#endif
