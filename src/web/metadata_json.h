/* Options as they were understood, for people: what may not be shown is "(hidden)". */
#ifndef BACKLOG_WEB_METADATA_JSON_H
#define BACKLOG_WEB_METADATA_JSON_H

#include "config/option.h"

#include <jansson.h>

/* Of no values: {}. `text` makes JSON of each: web_json_text() or web_json_short(). */
json_t *metadata_options_json(const struct option_values *values,
                              json_t *(*text)(const char *text));

#endif
