/*
 * HTTP for the command line: one GET at a time, of a server's HTTP port, or of KEDA's operator.
 *
 * Threads: one at a time, but for http_client_cancel().
 */
#ifndef BACKLOG_CLIENT_HTTP_CLIENT_H
#define BACKLOG_CLIENT_HTTP_CLIENT_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* A server's HTTP port; all borrowed for as long as a client of it is used. */
struct http_server {
    const char *address;    /* HOST:PORT, or a URL of http or https */
    const char *token_file; /* with its bearer token, read before each request; NULL: none */
    const char *hint;       /* ends the error if it cannot be reached; NULL: that of a server */
};

struct http_client;

/* The caller frees it. */
struct http_client *http_client_new(const struct http_server *server, int64_t timeout_ms);
void http_client_free(struct http_client *client); /* NULL is none */

/* The URL of the server, for messages. */
const char *http_client_url(const struct http_client *client); /* without user and password */

/* The body of 200; any other status is an error with the server's text. `path` begins with a slash
 * and is already percent-encoded. */
bool http_client_get(struct http_client *client, const char *path, struct text *ret_body,
                     struct error *error);

/* As http_client_get(), but with any status, which 200 is one of. `ret_type` is the content type;
 * the caller frees it. */
bool http_client_fetch(struct http_client *client, const char *path, long *ret_status,
                       char **ret_type, struct text *ret_body, struct error *error);

/* A header of the last response; NULL: it had none of this name. Valid until the next request. */
const char *http_client_header(const struct http_client *client, const char *name);

/* An answer that goes on: `into` gets its bytes as they come, and ends it by false. Returns when it
 * has ended, with the reason; also where nothing came for half a minute. */
void http_client_follow(struct http_client *client, const char *path,
                        bool (*into)(void *context, const char *bytes, size_t length),
                        void *context, struct error *error);

/* Any thread: the request that is in flight, and all to come, fail at once. */
void http_client_cancel(struct http_client *client);

/* One part of a path, percent-encoded. The caller frees it. */
char *http_client_escape(const char *part);

#endif
