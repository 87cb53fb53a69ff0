/*
 * For those who have jansson: a reference that ends with its scope, by _cleanup_(json_done), and a
 * member that is a text.
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

/* Borrowed; NULL: it has none. */
static inline const char *json_member_string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

#endif
