/*
 * The Host of a request. Somebody else's page can let its own name resolve to our address (DNS
 * rebinding): its script then reads our responses as its own. The browser still sends the page's
 * name as the Host, so only names that nobody else can have are permitted.
 *
 * Threads: any.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_HOST_H
#define BACKLOG_WEB_HTTP_WEB_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Further names that are permitted, as patterns (fnmatch) in upper or lower case:
 * "backlog.keda.svc", "*.example"; "*" permits every name. They are borrowed. */
struct web_hosts {
    const char *const *patterns;
    size_t count;
};

/* Whether a "Host:" header, with or without a port, names an IP address, localhost, or one of the
 * further names. */
bool web_host_is_permitted(const struct web_hosts *hosts, const char *header);

#endif
