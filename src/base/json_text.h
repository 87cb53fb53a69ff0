/*
 * JSON from outside. A tree takes up to a hundred times the memory of its text ("{},{},..."), so
 * that what a tree may take is bounded before there is one, and long lists are walked over as text,
 * an element at a time.
 *
 * Threads: any; nothing is kept. A text is borrowed.
 */
#ifndef BACKLOG_BASE_JSON_TEXT_H
#define BACKLOG_BASE_JSON_TEXT_H

#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct json_text {
    const char *bytes;
    size_t length;
};

static inline struct json_text json_text_of(struct text text)
{
    return (struct json_text){text.bytes == NULL ? "" : text.bytes, text.length};
}

/* About how many bytes its tree takes, while it is made: at least as many as it does. SIZE_MAX: it
 * is deeper than any that is made. */
size_t json_text_tree_bytes(struct json_text text);

/* The tree, which the caller frees with json_decref(). NULL: it is not JSON, or would take more
 * than `max_bytes`. `flags` are jansson's. */
json_t *json_text_tree(struct json_text text, size_t flags, size_t max_bytes);

/* The first thing in it is `first` ('[' or '{'). */
bool json_text_begins_with(struct json_text text, char first);

/*
 * A walk over the elements of an array or the members of an object:
 *
 *     json_walk_begin(&walk, text);
 *     while (json_walk_next(&walk, &key, &value))
 *         ...
 *     if (walk.is_broken)
 *         ... the text is no array or object, or its brackets, quotes and commas are wrong;
 *
 * what is between these is not looked at.
 */
struct json_walk {
    struct json_text rest;
    char closing;
    bool has_begun;
    bool is_broken;
};

void json_walk_begin(struct json_walk *walk, struct json_text text);

/* `ret_key` is what is between its quotes, and NULL bytes in an array. */
bool json_walk_next(struct json_walk *walk, struct json_text *ret_key, struct json_text *ret_value);

/* The value of a member; NULL bytes where there is none, or the text is no object. */
struct json_text json_text_member(struct json_text object, const char *key);

#endif
