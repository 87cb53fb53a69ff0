/*
 * Prometheus' reply to a query: JSON in, a reading or an error for the user out (two hooks of
 * struct http_source).
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_ANSWER_H
#define BACKLOG_SCALERS_PROMETHEUS_ANSWER_H

#include "base/error.h"
#include "kit/http.h"
#include "measure/reading.h"

#include <stdbool.h>

/* Of a query with parts (url.h), too. A reading whose value is NAN: there is no data, or it is NaN.
 */
bool prometheus_answer_parse(const void *query, const struct http_answer *answer,
                             struct reading *ret_reading, struct error *error);

/* Sets the error to the reason for which Prometheus refuses the query. Returns false. */
bool prometheus_answer_refuse(const struct http_answer *answer, struct error *error);

#endif
