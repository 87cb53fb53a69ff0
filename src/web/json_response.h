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
void json_response_write(struct page_response *response, json_t *json);

/* Responds with the status `code` and {"error": why}, in the place of what was written. */
void json_response_refuse(struct page_response *response, int code, const char *why);

#endif
