/*
 * The client: a few kept connections to one server, over which questions go side by side.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_CLIENT_H
#define BACKLOG_SCALERS_PROMETHEUS_CLIENT_H

#include "base/error.h"
#include "prometheus/url.h"
#include "shared/fetch_pool.h"

#include <stdbool.h>
#include <stdint.h>

/* Prometheus answers 20 queries at a time by default (--query.max-concurrency), for all its users. */
enum { PROMETHEUS_SIDE_BY_SIDE = 8 };

struct prometheus_client {
    struct http_address address;
    char *name; /* "Prometheus at host:port" */
    struct curl_slist *headers;
    struct fetch_pool *pool;
};

/* The hooks of struct scaler. */
bool prometheus_client_connect(const void *connection_options, int64_t deadline_ms,
                               void **ret_client, struct error *error);
void prometheus_client_disconnect(void *client);

/* Whether the server answers anything. No question may be under way. */
bool prometheus_client_ask(struct prometheus_client *client, int64_t deadline_ms,
                           struct error *error);

#endif
