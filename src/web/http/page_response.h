/*
 * The response to a request: what a page writes, or a refusal in plain text. Most pages respond in
 * JSON (web/web_json.h).
 *
 * Threads: that of the pages.
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_RESPONSE_H
#define BACKLOG_WEB_HTTP_PAGE_RESPONSE_H

#include "base/text.h"

/* Values of `type`; pages may have others. */
extern const char page_response_type_json[];
extern const char page_response_type_text[];

struct page_response {
    int code;         /* 200, if the page sets no other */
    const char *type; /* static; page_response_type_text, if the page sets no other */
    struct text body;
};

/* Responds with the status `code` and a line that says why, in the place of what was written. */
void page_response_refuse(struct page_response *response, int code, const char *why);

/* Responds that no page has the path: 404, in plain text. */
void page_response_refuse_path(struct page_response *response);

#endif
