/*
 * Lists that are read a page at a time: `?offset=0&limit=100`. A page ends at its limit or after
 * 1 MiB, so the next one begins where this one's rows ended, and not at a multiple of the limit:
 *
 *     {"triggers": [...], "count": 1234, "hasMore": true}
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_LIST_PAGE_H
#define BACKLOG_WEB_LIST_PAGE_H

#include "web/http/page.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { LIST_PAGE_BYTES = 1 << 20 }; /* after so many no row is added */

struct list_page {
    struct web_answer *answer;
    size_t offset;
    size_t limit;
    size_t count; /* of all rows, on this page or not */
    size_t rows;  /* on it */
};

/* `name` is the list's. False: offset or limit is no number, and the answer says so. */
bool list_page_begin(struct list_page *page, const char *name, const struct web_request *request,
                     size_t usual_limit, size_t max_limit, struct web_answer *answer);

/* Counts one more row. True: it is on this page, and is to be added. */
bool list_page_next(struct list_page *page);
void list_page_add(struct list_page *page, json_t *row); /* takes it */

void list_page_end(struct list_page *page);

#endif
