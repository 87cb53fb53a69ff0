#include "web/http/page_answer.h"

#include "base/memory.h"
#include "base/text.h"
#include "web/json.h"

void web_answer_json(struct web_answer *answer, json_t *json)
{
    answer->type = "application/json";
    web_json_add(&answer->body, json_incref(json), JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    text_add(&answer->body, "\n");
}

void web_refuse(struct web_answer *answer, int code, const char *why)
{
    _cleanup_(json_done) json_t *object = json_object();
    web_json_set(object, "error", web_json_text(why));
    answer->code = code;
    text_clear(&answer->body);
    web_answer_json(answer, object);
}

void web_refuse_text(struct web_answer *answer, int code, const char *text)
{
    answer->code = code;
    text_clear(&answer->body);
    text_add(&answer->body, text);
}

void web_refuse_path(struct web_answer *answer)
{
    web_refuse_text(answer, 404, "page not found\n");
}
