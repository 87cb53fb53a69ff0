/*
 * GETs of JSON from the management API, over a few connections that are kept.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_HTTP_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_HTTP_H

#include "base/error.h"
#include "base/text.h"
#include "measure/task.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct rabbitmq_http;

/* How a GET ended. */
enum rabbitmq_http_outcome {
    RABBITMQ_HTTP_GOT,
    RABBITMQ_HTTP_NOT_FOUND,   /* 404 */
    RABBITMQ_HTTP_BAD_REQUEST, /* 400: a pattern or a page that the broker does not have */
    RABBITMQ_HTTP_BROKEN,      /* from 500 on: the plugin failed, maybe at just this request */
    RABBITMQ_HTTP_NO_BROKER,   /* ... or 502 to 504: or a proxy, as it reaches none */
    RABBITMQ_HTTP_REFUSED,     /* with any other status than 401 and 403 */
    RABBITMQ_HTTP_TIMED_OUT,
    RABBITMQ_HTTP_TOO_LARGE,
    RABBITMQ_HTTP_FAILED, /* no connection, authentication failed, or no JSON */
};

struct rabbitmq_http_answer {
    void *owner; /* as it was given to rabbitmq_http_get() */
    enum rabbitmq_http_outcome outcome;
    json_t *json;       /* of RABBITMQ_HTTP_GOT, but of a list: */
    struct text list;   /* its text, as it may be long */
    struct error error; /* of every other outcome */
};

/* The options must outlive it (TLS needs them whenever it connects). */
struct rabbitmq_http *rabbitmq_http_new(const struct rabbitmq_connection_options *options,
                                        const struct rabbitmq_url *url);
void rabbitmq_http_free(struct rabbitmq_http *http);

/* For errors; it lives as long as this. */
const char *rabbitmq_http_name(const struct rabbitmq_http *http);

/* Gets the first token, where one is needed instead of a password: blocks. */
bool rabbitmq_http_log_in(struct rabbitmq_http *http, int64_t deadline_ms, struct error *error);

/*
 * Before requests begin. Where the token is to be renewed, that is done beside them (it is not idle
 * then); where it is no longer valid, there is no capacity until it has been. False: it could not
 * be renewed.
 */
bool rabbitmq_http_renew_token(struct rabbitmq_http *http, int64_t now_ms, struct error *error);

/* The limits of replies; of a client there are at most two listings, and eight replies in all. */
enum {
    RABBITMQ_HTTP_LISTING_BYTES = 8 << 20,  /* 80 bytes a queue, a quorum queue 130: 60,000 */
    RABBITMQ_HTTP_REPLY_BYTES = 1280 << 10, /* a page of 500 queues is 1 MB */
};

/* As kit/http.h has them. `path` begins behind the prefix: "/api/overview". */
bool rabbitmq_http_has_capacity(const struct rabbitmq_http *http);
bool rabbitmq_http_is_idle(const struct rabbitmq_http *http);
void rabbitmq_http_get(struct rabbitmq_http *http, const char *path, size_t max_bytes, void *owner,
                       int64_t deadline_ms);
bool rabbitmq_http_take(struct rabbitmq_http *http, struct rabbitmq_http_answer *ret_answer);
void rabbitmq_http_wait(struct rabbitmq_http *http, struct feed *feed, int64_t deadline_ms);
bool rabbitmq_http_wait_one(struct rabbitmq_http *http, struct rabbitmq_http_answer *ret_answer);
void rabbitmq_http_cancel(struct rabbitmq_http *http, const void *owner);
void rabbitmq_http_stop(struct rabbitmq_http *http);
void rabbitmq_http_answer_done(struct rabbitmq_http_answer *answer);

#endif
