/*
 * Prometheus' reply to a query: JSON in, a reading or an error for the user out.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_ANSWER_H
#define BACKLOG_SCALERS_PROMETHEUS_ANSWER_H

#include "base/error.h"
#include "kit/http.h"
#include "measure/scaler.h"

#include <stdbool.h>

/* `name` is the source's, for errors. A reading whose value is NAN: there is no data, or it is NaN.
 */
bool prometheus_answer_parse(const char *name, const struct http_answer *answer,
                             struct reading *ret_reading, struct error *error);

/* The same for a query with parts (url.h). */
bool prometheus_answer_parse_parts(const char *name, const struct http_answer *answer,
                                   struct reading *ret_reading, struct error *error);

/* Sets the error to the reason for which Prometheus refuses the query. Returns false. */
bool prometheus_answer_refusal(const char *name, const struct http_answer *answer,
                               struct error *error);

#endif
