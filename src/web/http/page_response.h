/*
 * The response to a request: what pages write, how they do so in JSON, and how they refuse.
 *
 * Threads: that of the pages.
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_RESPONSE_H
#define BACKLOG_WEB_HTTP_PAGE_RESPONSE_H

#include "base/text.h"

#include <jansson.h>

/* Values of `type`; pages may have others. */
extern const char web_type_json[];
extern const char web_type_text[];

struct web_response {
    int code;         /* 200, if the page sets no other */
    const char *type; /* static; web_type_text, if the page sets no other */
    struct text body;
};

/* Responds with `json`, which is borrowed. */
void web_respond_json(struct web_response *response, json_t *json);

/* Responds with the status `code` and {"error": why}, in the place of what was written. */
void web_refuse(struct web_response *response, int code, const char *why);

/* Responds with the status `code` and this text, in the place of what was written. */
void web_refuse_text(struct web_response *response, int code, const char *text);

/* Responds that no page has the path: 404, in plain text. */
void web_refuse_path(struct web_response *response);

#endif
