/*
 * The files of the dashboard, embedded in the program: src/web/assets, and uPlot. Without
 * BACKLOG_DASHBOARD there are none, and the page says so.
 *
 *     /            index.html
 *     /login       login.html
 *     /assets/     the others
 *
 * Threads: any; nothing changes.
 */
#ifndef BACKLOG_WEB_PAGES_ASSETS_H
#define BACKLOG_WEB_PAGES_ASSETS_H

#include "web/http/page.h"

struct asset {
    const char *name; /* "app.js" */
    const unsigned char *bytes;
    size_t length;
};

extern const struct asset assets[]; /* generated; ends with one without a name */

/* These are hooks of struct web_page, and need no context. */
void assets_index(void *context, const struct page_request *request,
                  struct page_response *response);
void assets_login(void *context, const struct page_request *request,
                  struct page_response *response);
void assets_file(void *context, const struct page_request *request, struct page_response *response);

#endif
