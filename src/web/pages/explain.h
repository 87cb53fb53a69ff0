/*
 * Explain: why KEDA gets the answer that it gets for a trigger, as JSON for people and for the
 * dashboard.
 *
 *     /api/triggers?namespace=shop&after=0&limit=100     a row for each trigger, in the order they
 *                                                        came (list_part.h)
 *     /api/triggers/shop/videos                          all about the triggers of one
 *                                                        ScaledObject, the one that was called
 *                                                        for last first; after 1 MiB without
 *                                                        metadata, and with names that are cut
 *
 * Secrets and values from variables are hidden, and of URLs all but scheme and host.
 *
 * Threads: the HTTP server's. What is read of triggers is read by visits, on the thread of the
 * server's loop (trigger_walk.h).
 */
#ifndef BACKLOG_WEB_PAGES_EXPLAIN_H
#define BACKLOG_WEB_PAGES_EXPLAIN_H

#include "web/content/trigger_walk.h"
#include "web/http/page.h"

/* These are hooks of struct web_page; their context is a struct trigger_walk. */
void explain_list(void *context, const struct page_request *request,
                  struct page_response *response);
void explain_one(void *context, const struct page_request *request, struct page_response *response);

#endif
