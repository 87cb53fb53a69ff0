/*
 * Live tables: tables of rows that change, sent to readers as server-sent events.
 *
 *     event: hello    {"maxSilenceMs": 2004, "mode": "serve", ...}: forget everything, what follows
 *                     is all. Figures are late where they are older than maxSilenceMs: twice the
 *                     time between two updates. "hasSession": true for a reader who can log out
 *     event: rows     {"table": "triggers",
 *                      "rows": [{"id": 1, "fixed": {...}, "live": {...}}, ...], "gone": [2, ...]}
 *     event: server   {..., "sent": 1790000000.123}: no row is older than these figures
 *     event: log      [{"number": 1, "time": 1790000000.123, "level": "info", "text": "..."}, ...]
 *     event: ready    {}: all there was has been sent
 *
 * A reader is sent what changed since it was sent something last: one that is slow skips what
 * changed twice. The figures close an update: they come after all rows that changed. While these
 * rows are written, which takes a slow reader long, newer updates may come: the figures are then
 * still those of when the first of the rows was written. So no row is older than the figures, and
 * the reader shows their age as that of all it has. "sent" is when the figures were written, by
 * which the reader knows the time here.
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_CONTENT_LIVE_TABLES_H
#define BACKLOG_WEB_CONTENT_LIVE_TABLES_H

#include "web/http/web_stream.h"

#include <stdbool.h>
#include <stdint.h>

enum live_table { LIVE_TRIGGERS, LIVE_CONNECTIONS, LIVE_WORKERS, LIVE_TABLES };
extern const char *const live_table_names[LIVE_TABLES]; /* in events */

struct live_tables;

struct live_tables_settings {
    const char *hello; /* a JSON object; borrowed */
    /* Gives all rows again; it is called while there are readers. Returns in how many milliseconds
     * it wants to be called again. */
    int64_t (*update)(void *context, struct live_tables *tables);
    void *context;
};

struct live_tables *live_tables_new(const struct live_tables_settings *settings);
void live_tables_free(struct live_tables *tables);

/* Some time after the last reader has left, all rows are forgotten. */
bool live_tables_has_readers(const struct live_tables *tables);

/* The stream of a web_page whose context is the tables. */
extern const struct web_stream_hooks live_tables_stream;

/* The hook update() gives all rows of a table, by ascending ids, between begin and end. Rows that
 * were there before and are not given again are gone. Without live_tables_end() those behind the
 * last one stay as they were. */
void live_tables_begin(struct live_tables *tables, enum live_table which);

/* Goes on to the row with this id; those before it that were not given are gone. True: the row is
 * there already, and needs no `fixed`. */
bool live_tables_seek(struct live_tables *tables, enum live_table which, uint64_t id);
/* Gives a row as two JSON objects, which are copied. `fixed` may be NULL where the row is there
 * already. Another `fixed` makes it another row, with the id of the one before. */
void live_tables_row(struct live_tables *tables, enum live_table which, uint64_t id,
                     const char *fixed, const char *live);
void live_tables_end(struct live_tables *tables, enum live_table which);

/* Gives the figures of the server as one JSON object, which has members and is copied. */
void live_tables_server(struct live_tables *tables, const char *json);

#endif
