/*
 * How the reference is written for people: as text for a terminal, or as a page of Markdown. A form
 * is a function for each of its parts; reference.c walks over the tables.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_COMMANDS_REFERENCE_FORM_H
#define BACKLOG_COMMANDS_REFERENCE_FORM_H

#include "base/text.h"
#include "daemon/serve_flags.h"
#include "measure/scaler.h"

#include <stdbool.h>

/* A key, or a flag. */
struct reference_row {
    const struct option *option;
    const char *dashes;   /* before a flag; "": it is a key */
    const char *allowed;  /* its values */
    const char *standard; /* "required", the default, or "" */
};

struct reference_limit {
    const struct limit *limit;
    const char *number;
};

struct reference_form {
    const char *quote; /* around a key in a list */
    void (*begin_triggers)(const struct scaler *const *scalers, struct text *page); /* NULL ends */
    void (*begin_scaler)(const struct scaler *scaler, struct text *page);
    void (*begin_server)(struct text *page);
    void (*end_section)(struct text *page);

    /* A table of keys or flags ("key", "flag"). */
    void (*begin_table)(const char *title, const char *what, struct text *page);
    void (*add_row)(const struct reference_row *row, struct text *page);
    /* Instead of a table on a page of all scalers: another one has the same. NULL: it is repeated.
     */
    void (*refer_to_table)(const char *title, const char *scaler, struct text *page);

    /* A list of sentences. */
    void (*begin_list)(const char *title, struct text *page);
    void (*add_unsupported)(const char *keys_and_reason, struct text *page);
    void (*add_difference)(const char *sentence, struct text *page);

    void (*begin_limits)(const char *transport, struct text *page);
    void (*add_limit)(const struct reference_limit *limit, struct text *page);
};

extern const struct reference_form reference_text;
extern const struct reference_form reference_markdown;

#endif
