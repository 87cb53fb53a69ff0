/*
 * The head of an HTTP reply, and the trailers behind a chunked body. libcurl keeps each line of
 * both for curl_easy_header() until the handle is used again: a line of four bytes takes 64. Some
 * versions have no limit for trailers (7.88), none has one for their sum (8.14). So whoever lets a
 * peer answer sets CURLOPT_HEADERFUNCTION to http_head_take(), and CURLOPT_HEADERDATA to a
 * struct http_head of the transfer that it sets to {0} before each request.
 *
 * Threads: that of the transfer.
 */
#ifndef BACKLOG_BASE_HTTP_HEAD_H
#define BACKLOG_BASE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_HEAD_MAX_LINES = 256, HTTP_HEAD_MAX_BYTES = 16 << 10 };

struct http_head {
    size_t lines, bytes;
};

/* As libcurl calls it, for each line; the transfer ends with one too many. */
size_t http_head_take(char *line, size_t size, size_t count, void *head);

/* Did it end for that? */
bool http_head_is_too_large(const struct http_head *head);

#endif
