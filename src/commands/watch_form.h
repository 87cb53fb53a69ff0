/*
 * What `backlog watch` shows of a server: its triggers (watch_table.h), or the pods behind them
 * (watch_workers.h). The screen, the keys and the table that is printed once are the same for both.
 *
 * Threads: one at a time per content.
 * Owner:   a content owns its items, and a list only points to them.
 */
#ifndef BACKLOG_COMMANDS_WATCH_FORM_H
#define BACKLOG_COMMANDS_WATCH_FORM_H

#include "commands/watch_table.h"
#include "commands/watch_workers.h"

/* One of the two is empty. */
struct watch_content {
    struct watch_rows rows;
    struct watch_workers workers;
};

struct watch_form {
    const char *sort_keys, *failing_keys; /* in the foot of the screen; "": they do nothing */
    const char *unread; /* what to report where the content stays incomplete; NULL: it never is */

    bool (*fetch)(struct http_client *client, struct watch_content *ret_content,
                  struct error *error);
    bool (*is_complete)(const struct watch_content *content);
    /* Notes the changes since then. */
    void (*compare)(struct watch_content *content, const struct watch_content *before);
    void (*sum)(const struct watch_content *content, struct text *ret_line);

    /* The items that the view shows, in its order. The caller frees the array. */
    const void **(*list)(const struct watch_view *view, const struct watch_content *content,
                         size_t *ret_count);
    /* How wide their names are. */
    size_t (*label_width)(const void *const *items, size_t count, size_t width);
    /* One line without its end; NULL: the titles. */
    void (*write)(const void *item, size_t label_width, size_t width, struct text *ret_line);
    const char *(*color)(const void *item); /* "": none */
    json_t *(*json)(const void *item);
};

extern const struct watch_form watch_triggers_form;
extern const struct watch_form watch_workers_form;

void watch_content_done(struct watch_content *content);

#endif
