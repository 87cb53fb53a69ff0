/* JSON as the pages write it: what is unknown is null. Threads: any. The caller owns what is
 * returned. */
#ifndef BACKLOG_WEB_JSON_H
#define BACKLOG_WEB_JSON_H

#include "base/json_cleanup.h"
#include "base/recent_log.h"
#include "base/text.h"

#include <jansson.h>
#include <stdint.h>

json_t *web_json_number(double value); /* NAN and infinity have no place in JSON: null */
json_t *web_json_seconds(int64_t time_ms);
/* Whatever a caller sent: what is not UTF-8 was refused when it came. NULL: null. */
json_t *web_json_text(const char *text);
/* The same as a row of a table has it: BUDGET_ROW_TEXT_BYTES of it at most, and control characters,
 * which take six bytes each in JSON, are spaces. */
json_t *web_json_short(const char *text);
typedef json_t *web_json_make_text(const char *text); /* one of these two */
json_t *web_json_recent_line(const struct recent_line *line);
/* Takes the value. */
void web_json_set(json_t *object, const char *key, json_t *value);
/* Writes the value, which it takes. The flags are jansson's. */
void web_json_add(struct text *text, json_t *value, size_t flags);

#endif
