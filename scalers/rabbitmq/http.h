/*
 * GETs of JSON from the management API, over one connection that is kept.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_RABBITMQ_HTTP_H
#define BACKLOG_RABBITMQ_HTTP_H

#include "base/error.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct rabbitmq_http;

/* How a GET ended. */
enum http_outcome {
    HTTP_GOT,
    HTTP_NOT_FOUND, /* 404 */
    HTTP_TIMED_OUT,
    HTTP_FAILED, /* no connection, another status, or no JSON */
};

/* The options must outlive it (TLS needs them whenever it connects). */
struct rabbitmq_http *rabbitmq_http_new(const struct rabbitmq_connection *options,
                                        const struct rabbitmq_url *url);
void rabbitmq_http_free(struct rabbitmq_http *http);

/* `path` begins behind the prefix: "/api/whoami". The caller frees the JSON with json_decref(). The
 * error is set where the outcome is not HTTP_GOT. */
enum http_outcome rabbitmq_http_get(struct rabbitmq_http *http, const char *path,
                                    int64_t deadline_ms, json_t **ret_json, struct error *error);

#endif
