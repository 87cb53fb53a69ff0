#include "web/http/page.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

const char page_response_type_json[] = "application/json";
const char page_response_type_text[] = "text/plain; charset=utf-8";

void page_request_done(struct page_request *request)
{
    for (size_t i = 0; i < request->below_count; i++)
        free(request->below[i]);
    free(request->target);
    if (request->parameters != NULL)
        evhttp_clear_headers(request->parameters);
    free(request->parameters);
}

const char *page_request_parameter(const struct page_request *request, const char *name)
{
    return evhttp_find_header(request->parameters, name);
}

bool page_request_parse_number(const char *text, uint64_t *ret_number)
{
    enum { MAX_DIGITS = 19 }; /* which fit in an uint64_t */
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > MAX_DIGITS || text[digits] != '\0')
        return false;
    *ret_number = strtoull(text, NULL, 10);
    return true;
}

void page_response_refuse(struct page_response *response, int code, const char *why)
{
    response->code = code;
    response->type = page_response_type_text;
    response->is_immutable = false;
    text_clear(&response->body);
    text_addf(&response->body, "%s\n", why);
}

void page_response_refuse_path(struct page_response *response)
{
    page_response_refuse(response, 404, "page not found");
}
