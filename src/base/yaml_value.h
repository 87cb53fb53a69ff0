/*
 * One value of a YAML document, without a tree of all: what a path of keys and indices leads to,
 * such as jobs.0.waiting. A dot always separates; of several documents the first counts.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_BASE_YAML_VALUE_H
#define BACKLOG_BASE_YAML_VALUE_H

#include <stdbool.h>
#include <stddef.h>

enum { YAML_VALUE_MAX_DEPTH = 64 };

struct yaml_value {
    enum {
        YAML_VALUE_NONE,
        YAML_VALUE_TEXT,
        YAML_VALUE_COLLECTION, /* a list or a map */
        YAML_VALUE_ALIAS,      /* it is, or is behind, one, which is not followed */
        YAML_VALUE_REPEATED,   /* a key on the path is there twice */
    } kind;
    char *text;    /* of a YAML_VALUE_TEXT */
    bool is_plain; /* it has no quotes */
};

/* False: it is not YAML, or nested deeper than allowed. Whatever it returned, end the value with
 * yaml_value_done(). */
bool yaml_value_find(const char *bytes, size_t length, const char *path,
                     struct yaml_value *ret_value);
void yaml_value_done(struct yaml_value *value);

#endif
