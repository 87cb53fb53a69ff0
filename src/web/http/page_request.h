/*
 * What a page reads of a request: the segments of the path below the page's own, and the parameters
 * of its query.
 *
 * Threads: the HTTP server's. Owner: web.c; web_route_find() fills it, and it is valid while the
 * page is written.
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_REQUEST_H
#define BACKLOG_WEB_HTTP_PAGE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evkeyvalq; /* libevent's */

enum { PAGE_REQUEST_MAX_SEGMENTS = 4 };

struct page_request {
    char *below[PAGE_REQUEST_MAX_SEGMENTS]; /* the path's segments below the page's own, decoded */
    size_t below_count;
    char *target;                 /* path and query, as they came: still percent-encoded */
    struct evkeyvalq *parameters; /* for page_request_parameter() */
    int64_t ends_s; /* when the session of whoever requests it ends; INT64_MAX: never */
};

void page_request_done(struct page_request *request);

/* The value of ?name=value, decoded; NULL where there is none. */
const char *page_request_parameter(const struct page_request *request, const char *name);

/* Reads a number that is digits and nothing else. False: it is not, or has too many of them. */
bool page_request_parse_number(const char *text, uint64_t *ret_number);

#endif
