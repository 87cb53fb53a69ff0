/*
 * The files of the dashboard, embedded in the program: src/web/assets, and uPlot. Without
 * BACKLOG_DASHBOARD there are none, and the page says so.
 *
 *     /                  index.html
 *     /login             login.html
 *     /assets/VERSION/   the others, of this version alone
 *
 * index.html names all others by the version, and browsers keep them for as long as they like: a
 * page is never made of scripts of two builds. The hello of the stream has the version, too, by
 * which an open page knows that the server has another one (assets/parts/top.js).
 *
 * Threads: any; nothing changes.
 */
#ifndef BACKLOG_WEB_PAGES_ASSETS_H
#define BACKLOG_WEB_PAGES_ASSETS_H

#include "web/http/page.h"

struct asset {
    const char *name; /* "app.js", "parts/table.js" */
    const unsigned char *bytes;
    size_t length;
};

/* Generated (tools/assets.cmake); ends with one without a name. */
extern const struct asset assets[];
extern const char assets_version[]; /* 16 hexadecimal digits: a digest of all of them */

/* These are hooks of struct web_page, and need no context. */
void assets_index(void *context, const struct page_request *request,
                  struct page_response *response);
void assets_login(void *context, const struct page_request *request,
                  struct page_response *response);
void assets_file(void *context, const struct page_request *request, struct page_response *response);

#endif
