#include "web/http/page_response.h"

const char page_response_type_json[] = "application/json";
const char page_response_type_text[] = "text/plain; charset=utf-8";

void page_response_refuse(struct page_response *response, int code, const char *why)
{
    response->code = code;
    response->type = page_response_type_text;
    text_clear(&response->body);
    text_addf(&response->body, "%s\n", why);
}

void page_response_refuse_path(struct page_response *response)
{
    page_response_refuse(response, 404, "page not found");
}
