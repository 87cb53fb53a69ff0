#include "web/content/web_json.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "config/source_address.h"

#include <math.h>
#include <stdlib.h>

json_t *web_json_number(double value)
{
    if (!isfinite(value))
        return json_null();
    return value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value)
                                                       : json_real(value);
}

json_t *web_json_seconds(int64_t time_ms)
{
    return web_json_number((double)time_ms / 1000);
}

json_t *web_json_text(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

json_t *web_json_short(const char *text)
{
    if (text == NULL)
        return json_null();
    _cleanup_(memory_free) char *shown =
        text_copy_bytes(text, text_cut(text, WEB_JSON_SHORT_BYTES));
    for (char *byte = shown; *byte != '\0'; byte++)
        if ((unsigned char)*byte < ' ')
            *byte = ' ';
    return json_string(shown);
}

void web_json_set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value == NULL ? json_null() : value);
}

static int add_bytes(const char *bytes, size_t length, void *text)
{
    text_add_bytes(text, bytes, length);
    return 0;
}

void web_json_add(struct text *text, json_t *value, size_t flags)
{
    if (value == NULL) /* jansson would write nothing */
        value = json_null();
    json_dump_callback(value, add_bytes, text, JSON_ENCODE_ANY | flags);
    json_decref(value);
}

char *web_json_compact(json_t *value, int digits)
{
    struct text text = {0};
    if (value == NULL)
        return NULL;
    web_json_add(&text, value, JSON_COMPACT | JSON_REAL_PRECISION(digits));
    return text_take(&text);
}

void web_json_respond(struct page_response *response, json_t *json)
{
    response->type = page_response_type_json;
    web_json_add(&response->body, json_incref(json),
                 JSON_INDENT(2) | JSON_REAL_PRECISION(WEB_JSON_DIGITS));
    text_add(&response->body, "\n");
}

void web_json_refuse(struct page_response *response, int code, const char *why)
{
    _cleanup_(json_done) json_t *object = json_object();
    web_json_set(object, "error", web_json_text(why));
    response->code = code;
    text_clear(&response->body);
    web_json_respond(response, object);
}

void web_json_refuse_path(struct page_response *response, const char *form)
{
    _cleanup_(memory_free) char *why = text_format("not found: the path is %s", form);
    web_json_refuse(response, 404, why);
}

json_t *web_json_options(const struct option_values *values, web_json_make_text *make_text)
{
    json_t *object = json_object();
    for (size_t row = 0; values != NULL && row < values->options; row++) {
        if (values->texts[row] == NULL)
            continue;
        _cleanup_(memory_free) char *shown = source_address_shown(values, row);
        web_json_set(object, values->table[row].key, make_text(shown));
    }
    return object;
}

static json_t *line_json(const struct recent_line *line)
{
    json_t *object = json_object();
    web_json_set(object, "number", json_integer((json_int_t)line->number));
    web_json_set(object, "time", json_real((double)line->unix_ms / 1000));
    web_json_set(object, "level", web_json_text(log_level_name((enum log_level)line->level)));
    web_json_set(object, "text", web_json_text(line->text));
    return object;
}

json_t *web_json_log(uint64_t *after, size_t max)
{
    json_t *array = json_array();
    struct recent_line *lines = memory_array(max, sizeof(*lines));
    size_t count = recent_log_read(*after, lines, max);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array, line_json(&lines[i]));
        *after = lines[i].number;
        recent_line_done(&lines[i]);
    }
    free(lines);
    return array;
}
