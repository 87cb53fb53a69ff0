/*
 * The dashboard's rows of connections to sources, also as a list.
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_PAGES_CONNECTION_ROWS_H
#define BACKLOG_WEB_PAGES_CONNECTION_ROWS_H

#include "web/content/list_part.h"
#include "web/content/live_tables.h"

struct engine;

/* Writes the rows of all connections to the tables. */
void connection_rows_update(struct live_tables *tables, struct engine *engine);

/* Adds the connections to a list that has begun, each as one object. */
void connection_rows_list(struct engine *engine, struct list_part *list);

#endif
