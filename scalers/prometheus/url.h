/*
 * Where a question goes: serverAddress, and the URL of a question.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_URL_H
#define BACKLOG_SCALERS_PROMETHEUS_URL_H

#include "base/error.h"
#include "prometheus/options.h"
#include "shared/http_address.h"

#include <stdbool.h>

/* No error repeats any part of the URL: it may hold a password. */
bool prometheus_address_parse(const char *server_address, struct http_address *ret_address,
                              struct error *error);

/* The caller frees it. */
char *prometheus_query_url(const struct http_address *address,
                           const struct prometheus_query *query);

#endif
