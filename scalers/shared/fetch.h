/*
 * GETs (and POSTs) of JSON with a deadline and a limit of size: one at a time per fetcher, over a
 * connection that is kept. fetch_pool.h sends them, many side by side.
 *
 * Threads: one at a time. Credentials go to libcurl beside the URL, so that no error shows them.
 * Redirections are not followed: they could take the credentials along.
 */
#ifndef BACKLOG_SCALERS_SHARED_FETCH_H
#define BACKLOG_SCALERS_SHARED_FETCH_H

#include "base/error.h"
#include "base/text.h"
#include "shared/source_memory.h"
#include "shared/tls_options.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetcher;

enum { FETCH_MAX_TIMEOUT_MS = 10 * 60 * 1000 }; /* a transfer has no more, whatever its deadline */

/* The server of a fetcher. The name, the TLS options and the headers must outlive the fetcher. */
struct fetch_source {
    const char *name; /* for errors: "Prometheus at host:port"; "Prometheus", if it follows */
    const struct tls_options *tls;
    const char *user; /* for basic authentication, or NULL */
    const char *password;
    struct curl_slist *headers; /* or NULL */
    size_t max_body_bytes;
    size_t max_bodies_bytes; /* of all of a pool that are there at a time, and up to 64 KiB more of
                              * each that may come; 0: only that of each */
    size_t max_tree_bytes;   /* of the JSON, as json_text_tree() has it; 0: no tree is made */
    int64_t timeout_ms;      /* of one GET; 0: none but its deadline */
    bool follows; /* of a pool: it names other servers. At local addresses none is connected to
                   * (address_is_local()), unless the first connection was to one */
};

enum fetch_outcome {
    FETCH_ANSWERED, /* with any status */
    FETCH_TIMED_OUT,
    FETCH_TOO_LARGE,
    FETCH_NO_MEMORY, /* for now: other replies use it */
    FETCH_FAILED,    /* no connection, or it broke */
};

enum fetch_status {
    FETCH_STATUS_OK = 200,
    FETCH_STATUS_REDIRECTION = 300, /* and above; all below are of success */
    FETCH_STATUS_BAD_REQUEST = 400,
    FETCH_STATUS_UNAUTHORIZED = 401,
    FETCH_STATUS_FORBIDDEN = 403,
    FETCH_STATUS_NOT_FOUND = 404,
    FETCH_STATUS_SERVER_ERROR = 500,
};

struct fetch_answer {
    long status;
    struct text body;
    json_t *json;                /* NULL where it was none, or no tree is made */
    struct source_memory memory; /* of both */
};

/* What the replies of several fetchers take. */
struct fetch_budget {
    size_t used; /* by bodies */
    size_t max;  /* 0: no limit */
    struct source_memory memory;
};

/* The budget is borrowed, and may be NULL. */
struct fetcher *fetch_new(const struct fetch_source *source, struct fetch_budget *budget);
void fetch_free(struct fetcher *fetcher);

/* From now on this token is sent (RFC 6750). It is copied. */
void fetch_set_bearer(const struct fetcher *fetcher, const char *token);

/* From now on these form fields are POSTed. They are borrowed. */
void fetch_set_form(const struct fetcher *fetcher, const char *form);

void fetch_answer_done(struct fetch_answer *answer);

static inline bool fetch_is_success(const struct fetch_answer *answer)
{
    return answer->status >= FETCH_STATUS_OK && answer->status < FETCH_STATUS_REDIRECTION;
}

/* The source does not accept the credentials, or their rights: its words may repeat them. */
static inline bool fetch_is_login_refused(const struct fetch_answer *answer)
{
    return answer->status == FETCH_STATUS_UNAUTHORIZED || answer->status == FETCH_STATUS_FORBIDDEN;
}

/* Makes the tree of the body, where that takes at most so many bytes and is JSON. Where it would
 * take more than that, or than there is, it returns so and sets the error; else FETCH_ANSWERED.
 * `flags` are jansson's; `name` is that of the source. */
enum fetch_outcome fetch_answer_make_tree(struct fetch_answer *answer, size_t flags,
                                          size_t max_bytes, const char *name, struct error *error);

/* For fetch_pool.c: memory for a request to this URL and for the head of its reply, of which no
 * limit of libcurl's tells before a line has ended. What is too much is given back as the body
 * begins, and all of it with fetch_drop(). False: other connections have it. */
bool fetch_reserve(struct fetcher *fetcher, const char *url);

/* After a transfer: libcurl may keep much of the last reply's head in the handle. */
bool fetch_is_worn(const struct fetcher *fetcher);

/* For fetch_pool.c: prepares the handle, unless the deadline has passed; and takes what has arrived
 * once the transfer has ended. The error is set where the outcome is not FETCH_ANSWERED; else the
 * answer is, which the caller ends with fetch_answer_done(). */
bool fetch_begin(struct fetcher *fetcher, const char *url, int64_t deadline_ms);
void fetch_drop(struct fetcher *fetcher); /* what has arrived */
CURL *fetch_handle(const struct fetcher *fetcher);
enum fetch_outcome fetch_end(struct fetcher *fetcher, CURLcode code,
                             struct fetch_answer *ret_answer, struct error *error);

#endif
