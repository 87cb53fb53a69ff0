#include "web/log_json.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "web/web_json.h"

#include <stdlib.h>

static json_t *line_json(const struct recent_line *line)
{
    json_t *object = json_object();
    web_json_set(object, "number", json_integer((json_int_t)line->number));
    web_json_set(object, "time", json_real((double)line->unix_ms / 1000));
    web_json_set(object, "level", web_json_text(log_level_name((enum log_level)line->level)));
    web_json_set(object, "text", web_json_text(line->text));
    return object;
}

json_t *log_json_read(uint64_t *after, size_t max)
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
