/*
 * For those who have jansson: a reference that ends with its scope, by _cleanup_(json_done).
 *
 * Threads: that of whoever has the reference.
 */
#ifndef BACKLOG_BASE_JSON_CLEANUP_H
#define BACKLOG_BASE_JSON_CLEANUP_H

#include <jansson.h>

static inline void json_done(json_t **json)
{
    json_decref(*json);
}

#endif
