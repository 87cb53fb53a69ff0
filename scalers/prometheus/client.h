/*
 * The client: a few kept connections to one server, over which queries are sent side by side.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_CLIENT_H
#define BACKLOG_SCALERS_PROMETHEUS_CLIENT_H

#include "base/error.h"
#include "kit/http.h"
#include "prometheus/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Prometheus runs 20 queries at a time by default (--query.max-concurrency), for all its users.
     */
    PROMETHEUS_DEFAULT_TASKS = 8,
    PROMETHEUS_MAX_TASKS = 32,
    PROMETHEUS_ISOLATED_SHARE = 4, /* a quarter of max_tasks */
    PROMETHEUS_TIMEOUT_MS = 10 * 1000,
    PROMETHEUS_MAX_BODY_BYTES = 512 * 1024, /* a query returns one series */
    PROMETHEUS_MAX_TREE_BYTES = 8 * PROMETHEUS_MAX_BODY_BYTES,
};

struct prometheus_client {
    struct http_url address;
    char *name; /* "Prometheus at host:port" */
    struct curl_slist *headers;
    struct http *http;  /* one more than max_tasks: for the ping */
    int64_t timeout_ms; /* of a query; 0: the task's own */
    size_t max_tasks;
    int64_t grown_ms; /* when max_tasks last grew */
    int64_t busy_ms;  /* when it was last needed as large as it is */
    int64_t answered_ms;
};

/* The hooks of struct scaler. */
bool prometheus_client_connect(const void *connection_options, int64_t deadline_ms,
                               void **ret_client, struct error *error);
void prometheus_client_disconnect(void *client);

void prometheus_client_set_max_tasks(struct prometheus_client *client, size_t max_tasks);

/* Sends the cheapest query, `1`, with the client as its owner: does the server answer anything at
 * all? */
void prometheus_client_ping(struct prometheus_client *client, int64_t deadline_ms);
bool prometheus_client_take_ping(const struct prometheus_client *client, struct http_ended *ended,
                                 struct error *error);

#endif
