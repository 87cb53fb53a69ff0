/*
 * HTTP to a source: GETs side by side over a few connections that are kept, each with a deadline,
 * and with limits for its reply.
 *
 *     for (;;) {
 *         while (http_has_capacity(http) && (task = feed_take(feed)) != NULL)
 *             http_get(http, url, MAX_BYTES, task, clock_now_ms() + task->timeout_ms);
 *         while (http_take(http, &ended))
 *             ... ended.owner is the task; http_ended_done()
 *         http_wait(http, feed, CLOCK_NEVER);
 *     }
 *
 * A request ends exactly once: by http_take() or http_wait_one(), or by http_cancel() or
 * http_stop(), after which nothing of it comes any more.
 *
 * Credentials go to libcurl beside the URL, so that no error shows them. Redirections are not
 * followed: they could take the credentials along.
 *
 * A request that needs a new connection looks up the server's name on a thread of libcurl's, unless
 * it has looked it up within a minute. A request that ends before its lookup does waits for that
 * thread, and the client with it: by daemon/serve.c up to two seconds for each nameserver. So there
 * are never more threads than requests, however slow the nameservers are. (CURLOPT_QUICK_EXIT would
 * leave the threads alone, of which nobody would know how many there are.)
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_KIT_HTTP_H
#define BACKLOG_SCALERS_KIT_HTTP_H

#include "base/error.h"
#include "base/text.h"
#include "measure/task.h"
#include "shared/tls_options.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_MAX_TIMEOUT_MS = 10 * 60 * 1000 }; /* a request has no more, whatever its deadline */

/* A server, and as whom it is asked. What it points to must outlive the client. */
struct http_endpoint {
    const char *name; /* of the service, for errors: they put " at host:port" behind it */
    const struct tls_options *tls;
    const char *user; /* for basic authentication; NULL: none */
    const char *password;
    struct curl_slist *headers; /* of each request; NULL: none. http_add_header() makes them */
    bool follows; /* the server names others, which are asked, too: those at local addresses are not
                   * (address_is_local()), unless the first connection was to one */
    bool refuses_local; /* none at a local address is asked */
};

enum http_outcome {
    HTTP_ANSWERED, /* with any status */
    HTTP_TIMED_OUT,
    HTTP_TOO_LARGE,
    HTTP_FAILED, /* no connection, or it broke */
};

enum http_status {
    HTTP_OK = 200,
    HTTP_REDIRECTION = 300, /* and above; all below are of success */
    HTTP_BAD_REQUEST = 400,
    HTTP_UNAUTHORIZED = 401,
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404,
    HTTP_SERVER_ERROR = 500,
};

struct http_answer {
    const char *name; /* "Prometheus at host:port", for errors */
    long status;
    struct text body; /* any bytes; `bytes` is NULL where it is empty */
    json_t *json;     /* after http_answer_make_tree(); NULL where the body was none */
};

static inline bool http_is_success(const struct http_answer *answer)
{
    return answer->status >= HTTP_OK && answer->status < HTTP_REDIRECTION;
}

/* The source does not accept the credentials, or their rights: its words may repeat them. */
static inline bool http_is_login_refused(const struct http_answer *answer)
{
    return answer->status == HTTP_UNAUTHORIZED || answer->status == HTTP_FORBIDDEN;
}

/* Makes the tree of the body, if that is JSON. `flags` are jansson's. False: it would take more
 * than so many bytes (as json_text_tree_bytes() counts them). */
bool http_answer_make_tree(struct http_answer *answer, size_t flags, size_t max_bytes,
                           struct error *error);

/* A request that ended. */
struct http_ended {
    void *owner; /* as it was given to http_get() or http_post() */
    enum http_outcome outcome;
    struct http_answer answer; /* of HTTP_ANSWERED */
    struct error error;        /* of every other outcome */
    char *name;                /* the answer's, which owns it */
};

void http_ended_done(struct http_ended *ended);

/* A header line for each request; the list is the caller's (curl_slist_free_all()). */
void http_add_header(struct curl_slist **headers, const char *name, const char *value);

struct http;

/* At most `size` GETs at a time. */
struct http *http_new(const struct http_endpoint *endpoint, size_t size);
void http_free(struct http *http); /* NULL is none */

/* From now on so many at a time. Those in flight go on, be they more. */
void http_resize(struct http *http, size_t size);

/* Every GET that begins from now on has this token (RFC 6750). It is copied. */
void http_set_bearer(struct http *http, const char *token);

size_t http_in_flight(const struct http *http); /* posts, too */
bool http_has_capacity(const struct http *http);

/* Begins a GET; there must be capacity. Whatever happens to it is reported by http_take(): past the
 * deadline, HTTP_TIMED_OUT. A body of more than `max_body_bytes` is HTTP_TOO_LARGE. */
void http_get(struct http *http, const char *url, size_t max_body_bytes, void *owner,
              int64_t deadline_ms);

/* POSTs form fields to another server, beside the GETs: it takes no capacity. The form is copied.
 */
void http_post(struct http *http, const struct http_endpoint *endpoint, const char *url,
               const char *form, size_t max_body_bytes, void *owner, int64_t deadline_ms);

/* The next request that has ended, without waiting; false: none. The caller ends it with
 * http_ended_done(). */
bool http_take(struct http *http, struct http_ended *ret_ended);

/* Waits until a request has made progress or is late, the feed has something, or the deadline. */
void http_wait(struct http *http, struct feed *feed, int64_t deadline_ms);

/* Waits for the next request to end, without a feed: in connect. False: none is in flight. */
bool http_wait_one(struct http *http, struct http_ended *ret_ended);

/* Gives up the request of this owner; its connection is closed. False: it has none. */
bool http_cancel(struct http *http, const void *owner);

/* Gives up all that are in flight. */
void http_stop(struct http *http);

#endif
