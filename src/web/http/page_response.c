#include "web/http/page_response.h"

const char web_type_json[] = "application/json";
const char web_type_text[] = "text/plain; charset=utf-8";

void web_refuse_text(struct web_response *response, int code, const char *text)
{
    response->code = code;
    response->type = web_type_text;
    text_clear(&response->body);
    text_add(&response->body, text);
}

void web_refuse_path(struct web_response *response)
{
    web_refuse_text(response, 404, "page not found\n");
}
