/* Options as they were understood, for people: what may not be shown is "(hidden)". */
#ifndef BACKLOG_WEB_METADATA_JSON_H
#define BACKLOG_WEB_METADATA_JSON_H

#include "config/option.h"

#include <jansson.h>

/* Of no values: {}. `text` makes JSON of each: json_text() or json_short() (json.h). */
json_t *metadata_options_json(const struct option_values *values,
                              json_t *(*text)(const char *text));

#endif
