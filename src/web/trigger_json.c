#include "web/trigger_json.h"

#include "base/memory.h"
#include "config/source_address.h"

void trigger_json_add(json_t *object, const struct trigger *trigger, web_json_make_text *make_text)
{
    web_json_set(object, "scaler", web_json_text(trigger_scaler_name(trigger)));
    web_json_set(object, "metricName", make_text(trigger->parsed.metric_name));
    web_json_set(object, "target", web_json_number(trigger->parsed.target));
}

json_t *trigger_json_options(const struct option_values *values, web_json_make_text *make_text)
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
