/*
 * Pages of a server's --http port: JSON in, and what commands show of it.
 *
 * Threads: one at a time per client.
 */
#ifndef BACKLOG_COMMANDS_HTTP_JSON_H
#define BACKLOG_COMMANDS_HTTP_JSON_H

#include "base/error.h"
#include "client/http_client.h"

#include <jansson.h>

/* The page at the path, which has an array `list`; NULL: which is one. NULL with the error. */
json_t *http_json_get(struct http_client *client, const char *path, const char *list,
                      struct error *error);

/* NAN: it is missing or null. */
double http_json_number(const json_t *object, const char *key);

/* Fit for a terminal, "" where it is missing or null; the caller frees it. */
char *http_json_text(const json_t *object, const char *key);

#endif
