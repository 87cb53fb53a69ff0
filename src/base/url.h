/*
 * Where the parts of a URL stand.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_BASE_URL_H
#define BACKLOG_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>

/* As offsets. "user:password@" stands from `user` to `host`, where both differ: as Go and libcurl
 * read it, up to the last @ of the authority, so that a password may hold one. */
struct url_places {
    size_t user; /* behind "://"; 0: there is no scheme */
    size_t host;
    size_t path; /* the end of the authority */

    /* A @ stands behind the authority. Whoever wrote a password with / ? or # without escaping it
     * put it there: what looks like the host may be a piece of the password. */
    bool is_ambiguous;
};

struct url_places url_find(const char *url, size_t length);

#endif
