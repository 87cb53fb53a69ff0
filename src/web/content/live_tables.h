/*
 * Live tables: tables of rows that change, sent to readers as server-sent events.
 *
 *     event: hello    {"hasSession": true, "mode": "serve", ...}
 *     event: rows     {"table": "triggers",
 *                      "rows": [{"id": 1, "fixed": {...}, "live": {...}}, ...], "gone": [2, ...]}
 *     event: server   {"time": 1790000000.1, ..., "maxAgeMs": 2004, "sent": 1790000000.123}
 *     event: log      [{"number": 1, "time": 1790000000.123, "level": "info", "text": "..."}, ...]
 *     event: ready    {}
 *
 *     hello    the reader forgets everything: what follows is all. "hasSession" is there for one
 *              who can log out
 *     rows     rows that have changed, and the ids of rows that are gone
 *     server   the figures, which close an update. They are late where they are older than
 *              "maxAgeMs": twice the time between the last two updates. "sent" is when this event
 *              was written: by it the reader knows the clock of the server
 *     ready    follows the first figures: all has been sent once
 *
 * No row that a reader has is older than the last figures that it has: it shows their age as that
 * of everything. Each update has a version, and a reader is sent what has changed in a walk over
 * all tables. The figures that close a walk are those of when it began:
 *
 *     version 5   The walk of a slow reader begins, and takes the figures of version 5. The reader
 *                 is sent the rows 1 to 500.
 *     version 6   The rows 1 and 700 change.
 *     version 7   Row 700 changes again. The reader has taken its piece, and is sent the rows 501
 *                 to 1000, with row 700 as of version 7, and the figures of version 5.
 *                 Its next walk is for what has changed after version 5: row 1, row 700 once more,
 *                 and the figures of version 7. It was never sent row 700 as of version 6.
 *
 * Threads: the HTTP server's. Rows are also given by visits of a walk, on the thread of the
 * server's loop, while the HTTP server's waits for the walk (trigger_walk.h).
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
    const char *hello; /* a JSON object, to which the tables add members; borrowed */
    /* Gives all rows and the figures again, while there are readers. Returns how many milliseconds
     * the tables are to rest, as update() of struct web_stream_hooks does. */
    int64_t (*update)(void *context, struct live_tables *tables);
    void *context;
};

struct live_tables *live_tables_new(const struct live_tables_settings *settings);
void live_tables_free(struct live_tables *tables);

/* Whether somebody reads the tables. Some time after the last reader has left, all rows are
 * forgotten. */
bool live_tables_has_readers(const struct live_tables *tables);

/* The stream of a web_page whose context is the tables. */
extern const struct web_stream_hooks live_tables_stream;

/* The hook update() gives all rows of a table, by ascending ids, between live_tables_begin() and
 * live_tables_end(). Rows that are not given again are gone:
 *
 *     rows before 1 2 3 4 5, given 1 2 4, live_tables_end()    3 and 5 are gone
 *     the same without live_tables_end()                       3 is gone, 5 stays as it was
 */
void live_tables_begin(struct live_tables *tables, enum live_table which);

/* Goes on to the row with this id: rows before it that were not given are gone. True: the row is
 * there already, and needs no `fixed`. */
bool live_tables_seek(struct live_tables *tables, enum live_table which, uint64_t id);

/* Gives a row as two JSON objects, which are copied. `fixed` may be NULL where the row is there
 * already. Where `fixed` has changed, it is sent again to all readers. */
void live_tables_row(struct live_tables *tables, enum live_table which, uint64_t id,
                     const char *fixed, const char *live);
void live_tables_end(struct live_tables *tables, enum live_table which);

/* Gives the figures of the server as one JSON object, which has members and is copied. */
void live_tables_server(struct live_tables *tables, const char *json);

#endif
