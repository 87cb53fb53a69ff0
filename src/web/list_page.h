/*
 * Lists that are read a page at a time: `?after=7&limit=100`, where 7 is the id of the last row of
 * the page before. Ids ascend, so no row is left out or repeated where others go meanwhile. A page
 * ends at its limit or after 1 MiB:
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
#include <stdint.h>

enum { LIST_PAGE_BYTES = 1 << 20 }; /* after so many no row is added */

struct list_page {
    struct web_response *response;
    uint64_t after; /* the id of the last row before this page; 0: none */
    size_t limit;
    size_t count; /* all rows, on this page or not */
    size_t rows;  /* those on this page */
    bool has_more;
};

/* Begins the page of the list `name`. False: after or limit is no such number, and the response
 * says so. */
bool list_page_begin(struct list_page *page, const char *name, const struct web_request *request,
                     size_t usual_limit, size_t max_limit, struct web_response *response);

/* Counts one more row, whose id is larger than that of the row before. True: the row is on this
 * page, and is to be added. */
bool list_page_next(struct list_page *page, uint64_t id);
void list_page_add(struct list_page *page, json_t *row); /* takes it */

void list_page_end(struct list_page *page);

#endif
