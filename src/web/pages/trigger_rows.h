/*
 * The dashboard's rows of triggers, and sums over them.
 *
 * Threads: the HTTP server's. What is read of triggers is read by visits, on the thread of the
 * server's loop (trigger_walk.h).
 */
#ifndef BACKLOG_WEB_PAGES_TRIGGER_ROWS_H
#define BACKLOG_WEB_PAGES_TRIGGER_ROWS_H

#include "web/content/live_tables.h"
#include "web/content/trigger_walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sums over all triggers. A query that several triggers share counts once. */
struct trigger_totals {
    int64_t at_ms; /* when the walk began: no trigger was visited before */
    size_t triggers, active, held, failing, unmeasured;
    double replicas; /* of each object those of the trigger that wants the most */
    double waiting, in_flight;
    double consumption; /* per second, often a lower bound */
    /* False: no trigger has it, so the sum is not known. */
    bool has_replicas, has_waiting, has_in_flight, has_consumption;
};

struct trigger_rows;

struct trigger_rows *trigger_rows_new(struct live_tables *tables); /* which are borrowed */
void trigger_rows_free(struct trigger_rows *rows);

/* Writes the rows of all triggers to the tables. False: the server's loop did not have the time. */
bool trigger_rows_update(struct trigger_rows *rows, struct trigger_walk *walk);

/* Adds the triggers up without writing rows. False: as trigger_rows_update(). */
bool trigger_rows_count(struct trigger_rows *rows, struct trigger_walk *walk);

/* The sums of the last update or count. NULL: that did not finish, or there was none. */
const struct trigger_totals *trigger_rows_totals(const struct trigger_rows *rows);

#endif
