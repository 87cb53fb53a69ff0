/*
 * A part of a list: `?after=7&limit=100`, where 7 is the id of the last row of the part before. Ids
 * ascend, so no row is left out or repeated where others go meanwhile. A part ends at its limit or
 * after 1 MiB:
 *
 *     {"triggers": [...], "count": 1234, "hasMore": true}
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_CONTENT_LIST_PART_H
#define BACKLOG_WEB_CONTENT_LIST_PART_H

#include "web/http/page.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LIST_PART_BYTES = 1 << 20 }; /* after so many no row is added */

struct list_part {
    struct page_response *response;
    uint64_t after; /* the id of the last row before this part; 0: none */
    size_t limit;
    size_t count; /* all rows, of this part or not */
    size_t rows;  /* those of this part */
    bool has_more;
};

/* Begins a part of the list `name`. False: after or limit is no such number, and the response says
 * so. */
bool list_part_begin(struct list_part *list, const char *name, const struct page_request *request,
                     size_t usual_limit, size_t max_limit, struct page_response *response);

/* Counts one more row, whose id is larger than that of the row before. True: the row is of this
 * part, and is to be added. */
bool list_part_next(struct list_part *list, uint64_t id);
void list_part_add(struct list_part *list, json_t *row); /* takes it */

void list_part_end(struct list_part *list);

#endif
