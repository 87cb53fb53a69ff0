#include "web/http/page_response.h"

#include "base/memory.h"
#include "base/text.h"
#include "web/json.h"

const char web_type_json[] = "application/json";
const char web_type_text[] = "text/plain; charset=utf-8";

void web_respond_json(struct web_response *response, json_t *json)
{
    response->type = web_type_json;
    web_json_add(&response->body, json_incref(json), JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    text_add(&response->body, "\n");
}

void web_refuse(struct web_response *response, int code, const char *why)
{
    _cleanup_(json_done) json_t *object = json_object();
    web_json_set(object, "error", web_json_text(why));
    response->code = code;
    text_clear(&response->body);
    web_respond_json(response, object);
}

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
