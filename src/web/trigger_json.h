/*
 * What several pages write of a trigger: what it measures, and its options as they were understood,
 * where what may not be shown is "(hidden)".
 *
 * Threads: any that may read the trigger (the turn lock), or the values.
 */
#ifndef BACKLOG_WEB_TRIGGER_JSON_H
#define BACKLOG_WEB_TRIGGER_JSON_H

#include "config/option.h"
#include "scale/trigger/trigger.h"
#include "web/web_json.h"

/* Adds "scaler" (null: it is unknown), "metricName" and "target". */
void trigger_json_add(json_t *object, const struct trigger *trigger, web_json_make_text *make_text);

/* Makes {key: value} of the values of a trigger or of a connection; of no values (NULL) {}. The
 * caller owns it. */
json_t *trigger_json_options(const struct option_values *values, web_json_make_text *make_text);

#endif
