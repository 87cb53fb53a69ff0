/*
 * What `backlog watch` shows of a server: its triggers (watch_triggers.c), or the pods behind them
 * (watch_workers.c). The screen, the keys and the table that is printed once are the same for both.
 *
 * Threads: one at a time per content.
 * Owner:   a content owns its items, and a list only points to them.
 */
#ifndef BACKLOG_COMMANDS_WATCH_FORM_H
#define BACKLOG_COMMANDS_WATCH_FORM_H

#include "base/error.h"
#include "base/text.h"
#include "client/http_client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

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
    char filter[64];
    size_t first; /* item that is shown first */
};

struct watch_form {
    const char *sort_keys, *failing_keys; /* in the foot of the screen; "": they do nothing */
    const char *unread; /* what to report where the content stays incomplete; NULL: it never is */

    void *(*fetch)(struct http_client *client, struct error *error); /* NULL with the error */
    void (*free)(void *content);                                     /* NULL is none */
    bool (*is_complete)(const void *content);                        /* NULL: it always is */
    /* Notes the changes since then; NULL: it has none. */
    void (*compare)(void *content, const void *before);
    void (*sum)(const void *content, struct text *ret_line);

    /* The items that the view shows, in its order. The caller frees the array. */
    const void **(*list)(const struct watch_view *view, const void *content, size_t *ret_count);
    /* How wide their names are. */
    size_t (*label_width)(const void *const *items, size_t count, size_t width);
    /* One line of at most `width` characters, without its end, of which none moves the cursor;
     * NULL: the titles. */
    void (*write)(const void *item, size_t label_width, size_t width, struct text *ret_line);
    const char *(*color)(const void *item); /* "": none */
    json_t *(*json)(const void *item);
};

extern const struct watch_form watch_triggers;
extern const struct watch_form watch_workers;

/* A column that is right-aligned, with a blank before it; "-" where it is NAN. */
void watch_add_number(struct text *line, double value, int width, const char *format);

#endif
