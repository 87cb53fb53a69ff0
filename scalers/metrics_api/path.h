/*
 * A path of GJSON (github.com/tidwall/gjson), as valueLocation is in JSON. These are known:
 *     jobs.waiting, jobs.0.waiting     names and indices
 *     a\.b                             \ before a special character of a name
 *     jobs.#                           the length of a list
 *     jobs.#(queue=="mail").waiting    the first element with this value
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_METRICS_API_PATH_H
#define BACKLOG_SCALERS_METRICS_API_PATH_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

/* Is it one that is known? */
bool metrics_api_path_check(const char *path, struct error *error);

/* What a checked path leads to; NULL: nothing. `ret_is_count`: it is a list, whose length is meant.
 */
const json_t *metrics_api_path_find(const char *path, const json_t *root, bool *ret_is_count);

#endif
