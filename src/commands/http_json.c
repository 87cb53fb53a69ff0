#include "commands/http_json.h"

#include "base/json_cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/console.h"

#include <math.h>

json_t *http_json_get(struct http_client *client, const char *path, const char *list,
                      struct error *error)
{
    _cleanup_(text_done) struct text body = {0};
    if (!http_client_get(client, path, &body, error))
        return NULL;
    _cleanup_(json_done) json_t *page =
        body.bytes == NULL ? NULL : json_loadb(body.bytes, body.length, 0, NULL);
    if (json_is_array(list == NULL ? page : json_object_get(page, list)))
        return TAKE(page);
    error_unavailable(error, "%s: unexpected reply: is this the --http port of backlog serve?",
                      http_client_url(client));
    return NULL;
}

double http_json_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

char *http_json_text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    char *text = text_copy(value == NULL ? "" : value);
    console_clean(text);
    return text;
}
