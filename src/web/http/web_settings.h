/*
 * What an HTTP port serves, where, and to whom.
 *
 * Threads: none are involved; the settings do not change while the server runs. Owner: whoever
 * starts the server; what they point to lives as long as the server.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_SETTINGS_H
#define BACKLOG_WEB_HTTP_WEB_SETTINGS_H

#include "web/http/page.h"
#include "web/http/web_host.h"
#include "web/http/web_login.h"

struct web_settings {
    /* "host:port" or ":port"; where host is a name, it is permitted as a Host, too. */
    const char *listen;
    const struct web_page *pages; /* ends with an empty row */
    struct web_hosts hosts;
    struct web_login *login;     /* NULL: all pages are open */
    int64_t connection_ms;       /* for a request, or response; 0: 5 s. Only tests have another */
    void (*tick)(void *context); /* once per second, on the thread of the pages; or NULL */
    void *tick_context;
};

#endif
