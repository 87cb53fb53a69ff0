/*
 * A source that is measured with one GET per query: such a scaler fills a struct http_source, and
 * this is its connect, measure and disconnect.
 *
 *     static bool connect_client(const void *connection_options, int64_t deadline_ms,
 *                                void **ret_client, struct error *error)
 *     {
 *         return http_source_connect(&source, connection_options, deadline_ms, ret_client, error);
 *     }
 *
 *     const struct scaler scaler_name = {
 *         ...
 *         .connect = connect_client,
 *         .measure = http_source_measure,
 *         .disconnect = http_source_disconnect,
 *         .libraries = http_source_libraries,
 *         .max_tasks = FEW, .isolated = FEW / SHARE, (as in the source)
 *     };
 *
 * What it does:
 *
 *     - GETs run side by side: at first `few_gets`, up to `most_gets` while tasks wait, and few
 *       again once few were needed for half a minute.
 *     - Tasks whose URL is the same share a GET. One that comes while such a GET is in flight waits
 *       for the next one: the answer to a GET that was sent before it came may be too old for it.
 *       With the URL as `bundle` of struct scaler such queries are due together.
 *     - Tasks time out with their GET, which counts from when it is sent, and no others. What a
 *       server answers fails its tasks alone, too.
 *     - With a `ping`, GETs that got no answer at all (no connection, or it broke) fail alone if
 *       the server answers anything else; otherwise the client is of no further use. Without one
 *       they always fail alone, and a client is there before the server has answered anything.
 *
 * Threads: as struct scaler's hooks; those of struct http_source run on the thread that calls them.
 */
#ifndef BACKLOG_SCALERS_KIT_HTTP_SOURCE_H
#define BACKLOG_SCALERS_KIT_HTTP_SOURCE_H

#include "base/error.h"
#include "kit/http.h"
#include "measure/reading.h"
#include "measure/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What all requests of a connection have in common. {0}: no credentials. */
struct http_login {
    const struct tls_options *tls; /* of the connection's options; never NULL */
    char *user;                    /* for basic authentication; NULL: none. The kit frees it, and */
    char *password;                /* ... this (NULL: none) */
    char *bearer;                  /* ... a token that is sent instead of them (NULL: none) */
    struct curl_slist *headers;    /* ... and these: http_add_header() */
    int64_t timeout_ms;            /* of a query; 0: the task's own */
    bool refuses_local;            /* no server at a local address (address_is_local()) is asked */
};

struct http_request {
    char *url; /* without user and password; the kit frees it */
};

/* Static and constant, one for each scaler. `connection` and `query` are the scaler's structs of
 * options. No error may repeat a secret. */
struct http_source {
    const char *service; /* for errors: "Prometheus", which becomes "Prometheus at host:port" */
    size_t few_gets;     /* at a time */
    size_t most_gets;
    size_t isolated_share; /* one in so many may be of isolated tasks (task.h) */
    size_t max_body_bytes;
    size_t max_tree_bytes; /* of the JSON (http_answer_make_tree()); 0: no tree is made */

    /* Once for each client. */
    bool (*log_in)(const void *connection, struct http_login *ret_login, struct error *error);

    /* What measures this query. It fails that query alone. */
    bool (*request)(const void *connection, const void *query, struct http_request *ret_request,
                    struct error *error);

    /* Of an answer with a status of success; where a tree is to be made and the body is no JSON,
     * `json` is NULL. It may be called for several queries with one answer. `ret_reading` begins as
     * READING_UNKNOWN. */
    bool (*parse)(const void *query, const struct http_answer *answer, struct reading *ret_reading,
                  struct error *error);

    /* Optional: an answer with another status in words. NULL, and where the login is refused:
     * "NAME: HTTP status N", and for a redirection that it is not followed. Returns false. */
    bool (*refuse)(const struct http_answer *answer, struct error *error);

    /* Optional: a cheap request that shows whether the server answers. Any status will do but 401,
     * and those from 500 on. NULL: see above. */
    bool (*ping)(const void *connection, struct http_request *ret_request, struct error *error);
};

/* The header has it for tests. */
struct http_source_client {
    const struct http_source *source;
    const void *connection;
    struct http_login login;
    struct http *http;
    size_t max_gets;
    int64_t grown_ms; /* when max_gets last grew */
    int64_t busy_ms;  /* when it was last needed as large as it is */
    int64_t answered_ms;
};

/* The options must outlive the client. */
bool http_source_connect(const struct http_source *source, const void *connection_options,
                         int64_t deadline_ms, void **ret_client, struct error *error);
bool http_source_measure(void *client, struct feed *feed, struct error *error);
void http_source_disconnect(void *client);
void http_source_libraries(struct text *text);

#endif
