#include "web/json_response.h"

#include "base/memory.h"
#include "web/web_json.h"

void json_response_write(struct page_response *response, json_t *json)
{
    response->type = page_response_type_json;
    web_json_add(&response->body, json_incref(json),
                 JSON_INDENT(2) | JSON_REAL_PRECISION(WEB_JSON_DIGITS));
    text_add(&response->body, "\n");
}

void json_response_refuse(struct page_response *response, int code, const char *why)
{
    _cleanup_(json_done) json_t *object = json_object();
    web_json_set(object, "error", web_json_text(why));
    response->code = code;
    text_clear(&response->body);
    json_response_write(response, object);
}
