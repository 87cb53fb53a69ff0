/*
 * Responses in JSON: an object of a page, or why a request is refused.
 *
 * Threads: that of the pages.
 */
#ifndef BACKLOG_WEB_JSON_RESPONSE_H
#define BACKLOG_WEB_JSON_RESPONSE_H

#include "web/http/page_response.h"

#include <jansson.h>

/* Responds with `json`, which is borrowed. */
void web_respond_json(struct web_response *response, json_t *json);

/* Responds with the status `code` and {"error": why}, in the place of what was written. */
void web_refuse(struct web_response *response, int code, const char *why);

#endif
