/*
 * Findings: what is wrong with files, or worth to know, each with its place.
 *
 * Threads: one at a time.
 * Owner:   the list owns its texts; paths are borrowed.
 */
#ifndef BACKLOG_MANIFEST_FINDING_H
#define BACKLOG_MANIFEST_FINDING_H

#include <stddef.h>

enum finding_level { FINDING_ERROR, FINDING_WARNING, FINDING_NOTE, FINDING_LEVELS };

struct finding {
    const char *path;
    size_t line; /* 0: of the whole file */
    enum finding_level level;
    char *object; /* "shop/orders", or "" */
    char *text;
};

struct findings {
    struct finding *items;
    size_t count, capacity;
    size_t counts[FINDING_LEVELS];
};

/* Where something is. */
struct finding_place {
    const char *path;
    size_t line;
    const char *object; /* NULL: none */
};

extern const char *const finding_level_names[FINDING_LEVELS];

void finding_add(struct findings *findings, const struct finding_place *place,
                 enum finding_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* By file, in the order in which these came first, then by line. */
void findings_sort(struct findings *findings);
void findings_done(struct findings *findings);

#endif
