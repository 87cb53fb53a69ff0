/*
 * A part of a list, whose rows have ascending ids:
 *
 *     ?limit=100            {"triggers": [..., {"id": 7, ...}], "count": 1234, "hasMore": true}
 *     ?limit=100&after=7    the rows behind row 7
 *
 * So no row is left out or repeated where other rows go between two requests. A part ends at its
 * limit or after 1 MiB.
 *
 * Threads: the HTTP server's. Rows are also added by visits of a walk, on the thread of the
 * server's loop, while the HTTP server's waits for the walk (trigger_walk.h).
 */
#ifndef BACKLOG_WEB_CONTENT_LIST_PART_H
#define BACKLOG_WEB_CONTENT_LIST_PART_H

#include "web/http/page.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LIST_PART_BYTES = 1 << 20 };

struct list_part {
    struct page_response *response;
    uint64_t after; /* the id of the last row before this part; 0: none */
    size_t limit;
    size_t count; /* rows of the list */
    size_t rows;  /* rows of this part */
    bool has_more;
};

/* Begins a part of the list `name`. False: the response says that `after` or `limit` is invalid. */
bool list_part_begin(struct list_part *list, const char *name, const struct page_request *request,
                     size_t usual_limit, size_t max_limit, struct page_response *response);

/* Counts the next row of the list. True: the row is of this part, and is to be added. */
bool list_part_next(struct list_part *list, uint64_t id);
void list_part_add(struct list_part *list, json_t *row); /* takes the row */

void list_part_end(struct list_part *list);

#endif
