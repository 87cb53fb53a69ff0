/*
 * What a page answers, how it does so in JSON, and how it refuses a request.
 *
 * Threads: that of the pages.
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_ANSWER_H
#define BACKLOG_WEB_HTTP_PAGE_ANSWER_H

#include "base/text.h"

#include <jansson.h>

struct web_answer {
    int code;         /* 200, if the page sets no other */
    const char *type; /* static; plain text, if the page sets no other */
    struct text body;
};

/* Answers with `json`, which is borrowed. */
void web_answer_json(struct web_answer *answer, json_t *json);

/* Answers with the status `code` and {"error": why}. */
void web_refuse(struct web_answer *answer, int code, const char *why);

/* Answers with the status `code` and this text alone: what no page has answered. */
void web_refuse_text(struct web_answer *answer, int code, const char *text);

/* Answers that no page has the path: 404, in plain text. */
void web_refuse_path(struct web_answer *answer);

#endif
