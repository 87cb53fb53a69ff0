/*
 * What the dashboard of a server shows: triggers, connections, figures and recent lines of the log.
 * Each has a page as JSON, and all are in a stream of live tables:
 *
 *     /api/events        everything, and what changes (live_tables.h)
 *     /api/server        figures of the server
 *     /api/connections   connections to sources
 *     /api/log           recent lines of the log
 *     /api/trend         some of the figures in the last hour
 *
 * For the trend figures are added up every 15 s, also while nobody reads the stream. Secrets and
 * values from variables are hidden, and of URLs all but scheme and host.
 *
 * Threads: the HTTP server's. What is read of triggers is read by visits, on the thread of the
 * server's loop (trigger_walk.h).
 */
#ifndef BACKLOG_WEB_PAGES_DASHBOARD_H
#define BACKLOG_WEB_PAGES_DASHBOARD_H

#include "web/content/live_tables.h"
#include "web/content/trigger_walk.h"
#include "web/http/page.h"

#include <jansson.h>
#include <stdint.h>

struct dashboard;

struct dashboard_settings {
    struct trigger_walk *walk; /* borrowed, as the engine */
    struct engine *engine;
    const char *hello; /* JSON, for the tables */
    /* How many calls have ended; UINT64_MAX: unknown now. */
    uint64_t (*count_calls)(void *context);
    /* Makes the member "workers" of the figures, or returns NULL where the server's loop does not
     * have the time. NULL: no workers are listed. */
    json_t *(*count_workers)(void *context);
    void *context; /* of count_calls() and count_workers() */
};

struct dashboard *dashboard_new(const struct dashboard_settings *settings);
void dashboard_free(struct dashboard *dashboard); /* NULL is harmless */

/* Adds a point to the trend where one is due; to be called once per second. */
void dashboard_tick(void *dashboard);

/* The context of /api/events is the tables; that of the pages below is the dashboard. */
struct live_tables *dashboard_tables(struct dashboard *dashboard);
void dashboard_server(void *context, const struct page_request *request,
                      struct page_response *response);
void dashboard_connections(void *context, const struct page_request *request,
                           struct page_response *response);
void dashboard_trend(void *context, const struct page_request *request,
                     struct page_response *response);
void dashboard_log(void *context, const struct page_request *request,
                   struct page_response *response);

#endif
