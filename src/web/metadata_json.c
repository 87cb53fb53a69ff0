#include "web/metadata_json.h"

#include "base/memory.h"
#include "config/source_address.h"
#include "web/json.h"

json_t *metadata_options_json(const struct option_values *values, json_t *(*text)(const char *text))
{
    json_t *object = json_object();
    for (size_t row = 0; values != NULL && row < values->options; row++) {
        if (values->texts[row] == NULL)
            continue;
        _cleanup_(memory_free) char *shown = source_address_shown(values, row);
        web_json_set(object, values->table[row].key, text(shown));
    }
    return object;
}
