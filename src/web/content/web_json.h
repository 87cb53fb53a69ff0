/*
 * JSON as the pages write it: what is unknown is null. There are three ways:
 *
 *     an object of jansson                most pages (web_json_respond())
 *     an object's members, and text       where the object has thousands of rows (history_page.c)
 *     text                                under the turn lock (trigger_rows.c)
 *
 * Threads: any. Owner: the caller owns what is returned.
 */
#ifndef BACKLOG_WEB_CONTENT_WEB_JSON_H
#define BACKLOG_WEB_CONTENT_WEB_JSON_H

#include "base/json_cleanup.h"
#include "base/text.h"
#include "config/option.h"
#include "web/http/page.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* How a page writes texts: whole on the page of one thing (web_json_text()), short in rows, of
 * which there may be thousands (web_json_short()). */
typedef json_t *web_json_make_text(const char *text);

/* The whole text, in UTF-8: a call with other bytes is refused before. NULL: null. */
json_t *web_json_text(const char *text);

/* The text, cut after at most WEB_JSON_SHORT_BYTES, with spaces in the place of control characters,
 * which would take six bytes each in JSON. NULL: null. */
enum { WEB_JSON_SHORT_BYTES = 300 };
json_t *web_json_short(const char *text);

/* How many digits a number has. */
enum {
    WEB_JSON_DIGITS = 15,        /* on pages: what a double keeps of a decimal number */
    WEB_JSON_STREAM_DIGITS = 13, /* what is sent as it changes: a time has its milliseconds */
    WEB_JSON_ROW_DIGITS = 10,    /* ... in rows of triggers: there may be thousands */
};

json_t *web_json_number(double value); /* NAN and infinity have no place in JSON: null */
json_t *web_json_seconds(int64_t time_ms);

/* Sets a member of the object to the value, which it takes. NULL: null. */
void web_json_set(json_t *object, const char *key, json_t *value);

/* Appends the value, which it takes, as JSON. The flags are jansson's. */
void web_json_add(struct text *text, json_t *value, size_t flags);

/* Makes one line of the value, which it takes; the caller frees the line. Of NULL: NULL. */
char *web_json_compact(json_t *value, int digits);

/* Responds with `json`, which stays the caller's: the other functions take their value. */
void web_json_respond(struct page_response *response, json_t *json);

/* Responds with the status `code` and {"error": why}. What the page has written is dropped. */
void web_json_refuse(struct page_response *response, int code, const char *why);

/* Responds that nothing is at a path below the page's own: 404, with the form that paths have. */
void web_json_refuse_path(struct page_response *response, const char *form);

/* Makes {key: value} of the values of a trigger or of a connection, as they were understood. A
 * value that must not be shown is "(hidden)". Of NULL: {}. */
json_t *web_json_options(const struct option_values *values, web_json_make_text *make_text);

/* Makes an array of the server's log lines after number `*after`, the oldest first and at most
 * `max`, and sets `*after` to the last one's. */
json_t *web_json_log(uint64_t *after, size_t max);

#endif
