/*
 * Addresses: serverAddress, and the URL of a query.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_URL_H
#define BACKLOG_SCALERS_PROMETHEUS_URL_H

#include "base/error.h"
#include "kit/http_url.h"
#include "prometheus/options.h"

#include <stdbool.h>

/* No error repeats any part of the URL: it may hold a password. */
bool prometheus_address_parse(const char *server_address, struct http_url *ret_address,
                              struct error *error);

/* Whether it asks for more than one number. */
bool prometheus_query_has_parts(const struct prometheus_query *query);

/* The caller frees it. */
char *prometheus_query_url(const struct http_url *address, const struct prometheus_query *query);

#endif
