/*
 * What a server's dashboard shows (its `/api/events`), for the dashboard of a rehearsal: rows,
 * figures, log lines. The lines go into this program's own recent log.
 *
 * Threads: any. A thread of its own follows the server, and connects again where that fails.
 */
#ifndef BACKLOG_LAB_SERVER_TABLES_H
#define BACKLOG_LAB_SERVER_TABLES_H

#include "base/error.h"
#include "client/http_client.h"
#include "web/content/live_tables.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct server_tables;

/* `server` is borrowed. False: the machine has no thread left. */
bool server_tables_begin(const struct http_server *server, struct server_tables **ret_tables,
                         struct error *error);
void server_tables_end(struct server_tables *tables); /* NULL is none */

/* Visits the rows of a table, by ascending ids; what is visited is valid meanwhile, and the tables
 * are locked. */
void server_tables_visit(struct server_tables *tables, enum live_table table,
                         void (*visit)(void *context, uint64_t id, const json_t *fixed,
                                       const json_t *live),
                         void *context);

/* Whether the rows are of this process of the server (web_instance.h): not while it is not
 * connected. NULL is a server that does not say which it is. */
bool server_tables_are_of(struct server_tables *tables, const char *instance);

/* The figures of the server; NULL while it is not known what they are: not connected, or none have
 * come for 30 s. The caller frees them. */
json_t *server_tables_figures(struct server_tables *tables);

#endif
