/*
 * A feed: tables of rows that change, and what follows them as server-sent events.
 *
 *     event: hello    {"mode": "serve", ...}: forget everything, what follows is all
 *     event: rows     {"table": "triggers", "rows": [{"id": 1, "fixed": {...}, "live": {...}},
 * ...], "gone": [2, ...]} event: server   {...} event: log      [{"number": 1, "time":
 * 1790000000.123, "level": "info", "text": "..."}, ...] event: ready    {}: all there was has been
 * sent
 *
 * A reader is sent what changed since it was sent something last: one that is slow skips what
 * changed twice.
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_FEED_H
#define BACKLOG_WEB_FEED_H

#include "web/http/stream.h"

#include <stdbool.h>
#include <stdint.h>

enum feed_table { FEED_TRIGGERS, FEED_CONNECTIONS, FEED_JOBS, FEED_TABLES };

struct feed;

struct feed_settings {
    const char *hello; /* JSON; borrowed */
    /* While there are readers: gives the rows again. Returns in how many milliseconds it wants to
     * be called again. */
    int64_t (*update)(void *context, struct feed *feed);
    void *context;
};

struct feed *feed_new(const struct feed_settings *settings);
void feed_free(struct feed *feed);

/* Whether somebody follows it. Rows that were given while nobody does are forgotten by
 * feed_forget(). */
bool feed_is_followed(const struct feed *feed);
void feed_forget(struct feed *feed);

/* For a web_page, whose context is the feed. */
extern const struct stream_hooks feed_hooks;

/* From within update(): all rows of a table, by ascending ids, between begin and end. Rows that
 * were there before and are not given again are gone. Without feed_end() those behind the last one
 * stay as they were. */
void feed_begin(struct feed *feed, enum feed_table table);
/* Whether the row with this id, which comes next, is there already: then it needs no `fixed`. */
bool feed_has(struct feed *feed, enum feed_table table, uint64_t id);
/* JSON objects, copied; `fixed` does not change, and is NULL where the row is there. */
void feed_row(struct feed *feed, enum feed_table table, uint64_t id, const char *fixed,
              const char *live);
void feed_end(struct feed *feed, enum feed_table table);

/* One JSON object, copied. */
void feed_server(struct feed *feed, const char *json);

#endif
