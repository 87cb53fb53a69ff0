#include "web/http/answer.h"

#include "base/memory.h"
#include "base/text.h"
#include "web/json.h"

void web_answer_json(struct web_answer *answer, json_t *json)
{
    answer->type = "application/json";
    web_json_add(&answer->body, json_incref(json), JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    text_add(&answer->body, "\n");
}

void web_refuse_busy(struct web_answer *answer)
{
    web_refuse(answer, 503, "the event loop is busy or shutting down: try again");
}

void web_refuse_unknown_object(struct web_answer *answer)
{
    web_refuse(answer, 404,
               "no trigger of this ScaledObject: KEDA has not called for one recently");
}

void web_refuse(struct web_answer *answer, int code, const char *why)
{
    _cleanup_(json_done) json_t *object = json_object();
    web_json_set(object, "error", web_json_text(why));
    answer->code = code;
    text_clear(&answer->body);
    web_answer_json(answer, object);
}
