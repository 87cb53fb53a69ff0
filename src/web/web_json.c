#include "web/web_json.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>

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
