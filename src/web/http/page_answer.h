/*
 * What pages answer in JSON, and how they refuse a request: with a status and {"error": why}.
 *
 * Threads: that of the pages.
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_ANSWER_H
#define BACKLOG_WEB_HTTP_PAGE_ANSWER_H

#include "web/http/page.h"

#include <jansson.h>

void web_answer_json(struct web_answer *answer, json_t *json); /* borrowed */

void web_refuse(struct web_answer *answer, int code, const char *why);

/* No page has the path: 404, in plain text, as all that no page has answered. */
void web_refuse_path(struct web_answer *answer);

#endif
