/*
 * The readings of the last hour of the triggers of one ScaledObject:
 *
 *     /api/history/shop/videos                          as JSON; with "hasMore" older rows of a
 *                                                       trigger are missing, and a request of it
 *                                                       alone has them
 *     /api/history/shop/videos?trigger=7                as JSON, of the trigger with this id
 *     /api/history/shop/videos?format=csv&trigger=7     as CSV: a trace for `backlog simulate`
 *
 * Threads: the HTTP server's. What is read of triggers is read by visits, on the thread of the
 * server's loop (trigger_walk.h).
 */
#ifndef BACKLOG_WEB_PAGES_HISTORY_PAGE_H
#define BACKLOG_WEB_PAGES_HISTORY_PAGE_H

#include "web/content/trigger_walk.h"
#include "web/http/page.h"

/* This is a hook of struct web_page; its context is a struct trigger_walk. */
void history_page(void *context, const struct page_request *request,
                  struct page_response *response);

#endif
