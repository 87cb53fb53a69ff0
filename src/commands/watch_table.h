/*
 * The table of `backlog watch`: the triggers of a server, sorted and filtered, as lines of a
 * screen.
 *
 * Threads: one at a time.
 * Owner:   the table owns its rows.
 */
#ifndef BACKLOG_COMMANDS_WATCH_TABLE_H
#define BACKLOG_COMMANDS_WATCH_TABLE_H

#include "base/error.h"
#include "base/text.h"
#include "client/http_client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch_row {
    char *label; /* namespace/name */
    char *scaler;
    char *metric;
    char *state;                    /* answered, held, waiting, refused */
    char *error;                    /* "" : none */
    char *status;                   /* of the consumers, where a policy decides; "": none */
    char *bound_by;                 /* what bound the replicas */
    double value, target, replicas; /* NAN: not known */
    double change;                  /* of the value per second since the last reading; NAN */
    double called_s_ago;
    bool is_active;
};

struct watch_rows {
    struct watch_row *items;
    size_t count, capacity;
    int64_t at_ms;
};

enum watch_column {
    WATCH_LABEL,
    WATCH_SCALER,
    WATCH_VALUE,
    WATCH_CHANGE,
    WATCH_TARGET,
    WATCH_ACTIVE,
    WATCH_REPLICAS,
    WATCH_CALLED,
    WATCH_STATE,
    WATCH_COLUMNS
};

struct watch_view {
    enum watch_column sort;
    bool is_reversed;
    bool only_failing;
    char filter[64]; /* in label, scaler, metric or state */
    size_t first;    /* row that is shown first */
};

/* All triggers of the server, page by page. */
bool watch_rows_fetch(struct http_client *client, struct watch_rows *ret_rows, struct error *error);
void watch_rows_done(struct watch_rows *rows);

/* The changes since `before`. */
void watch_rows_compare(struct watch_rows *rows, const struct watch_rows *before);

/* The rows that the view shows, in its order: pointers into `rows`. The caller frees the array. */
const struct watch_row **watch_view_rows(const struct watch_view *view,
                                         const struct watch_rows *rows, size_t *ret_count);

/* One line of at most `width` characters, without its end, of which none moves the cursor. `row`
 * NULL: the titles. */
void watch_row_write(const struct watch_row *row, size_t label_width, size_t width,
                     struct text *ret_line);

/* "12 triggers, 3 active, 1 failing, 17 replicas wanted" */
void watch_rows_sum(const struct watch_rows *rows, struct text *ret_line);

json_t *watch_row_json(const struct watch_row *row);

/* How wide the names are, within limits. */
size_t watch_label_width(const struct watch_row *const *rows, size_t count, size_t width);

#endif
