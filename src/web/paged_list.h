/*
 * Lists that are read in parts: `?after=7&limit=100`, where 7 is the id of the last row of the part
 * before. Ids ascend, so no row is left out or repeated where others go meanwhile. A part ends at
 * its limit or after 1 MiB:
 *
 *     {"triggers": [...], "count": 1234, "hasMore": true}
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_PAGED_LIST_H
#define BACKLOG_WEB_PAGED_LIST_H

#include "web/http/page.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGED_LIST_BYTES = 1 << 20 }; /* after so many no row is added */

struct paged_list {
    struct page_response *response;
    uint64_t after; /* the id of the last row before this part; 0: none */
    size_t limit;
    size_t count; /* all rows, of this part or not */
    size_t rows;  /* those of this part */
    bool has_more;
};

/* Begins a part of the list `name`. False: after or limit is no such number, and the response says
 * so. */
bool paged_list_begin(struct paged_list *list, const char *name, const struct page_request *request,
                      size_t usual_limit, size_t max_limit, struct page_response *response);

/* Counts one more row, whose id is larger than that of the row before. True: the row is of this
 * part, and is to be added. */
bool paged_list_next(struct paged_list *list, uint64_t id);
void paged_list_add(struct paged_list *list, json_t *row); /* takes it */

void paged_list_end(struct paged_list *list);

#endif
