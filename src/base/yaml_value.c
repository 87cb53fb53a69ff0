#include "base/yaml_value.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { BEFORE_VALUES = 3 }; /* events: the stream begins, its document, and the root of that */

/* The document as it is read, once from its beginning to its end. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    size_t depth;
    struct yaml_value value;
};

static bool next(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    return yaml_parser_parse(&reader->parser, &reader->event) != 0;
}

/* The rest of the path behind this key; NULL: it does not begin with it. */
static const char *path_behind(const char *path, const char *key)
{
    size_t length = path == NULL ? 0 : strcspn(path, ".");
    if (length == 0 || strlen(key) != length || memcmp(path, key, length) != 0)
        return NULL;
    return path + length + (path[length] == '.');
}

static void take(struct reader *reader)
{
    struct yaml_value *value = &reader->value;
    bool is_repeated = value->kind != YAML_VALUE_NONE;
    yaml_value_done(value);
    if (is_repeated)
        value->kind = YAML_VALUE_REPEATED;
    else if (reader->event.type == YAML_ALIAS_EVENT)
        value->kind = YAML_VALUE_ALIAS;
    else if (reader->event.type != YAML_SCALAR_EVENT)
        value->kind = YAML_VALUE_COLLECTION;
    else
        *value = (struct yaml_value){
            .kind = YAML_VALUE_TEXT,
            .text = text_copy((const char *)reader->event.data.scalar.value),
            .is_plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
        };
}

/* Reads the node of the event that was read. `path` leads on from it; NULL: not through it. */
static bool read_node(struct reader *reader, const char *path)
{
    yaml_event_type_t type = reader->event.type;
    bool is_map = type == YAML_MAPPING_START_EVENT;
    if (path != NULL && (*path == '\0' || type == YAML_ALIAS_EVENT))
        take(reader);
    if (!is_map && type != YAML_SEQUENCE_START_EVENT)
        return true;
    if (++reader->depth > YAML_VALUE_MAX_DEPTH)
        return false;
    for (size_t i = 0; next(reader); i++) {
        char index[32];
        if (reader->event.type == YAML_MAPPING_END_EVENT ||
            reader->event.type == YAML_SEQUENCE_END_EVENT) {
            reader->depth--;
            return true;
        }
        snprintf(index, sizeof(index), "%zu", i);
        const char *rest = is_map ? NULL : path_behind(path, index);
        if (is_map && reader->event.type == YAML_SCALAR_EVENT)
            rest = path_behind(path, (const char *)reader->event.data.scalar.value);
        else if (is_map && !read_node(reader, NULL))
            return false;
        if ((is_map && !next(reader)) || !read_node(reader, rest))
            return false;
    }
    return false;
}

bool yaml_value_find(const char *bytes, size_t length, const char *path,
                     struct yaml_value *ret_value)
{
    struct reader reader = {0};
    yaml_parser_initialize(&reader.parser);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes, length);
    bool good = true;
    for (int i = 0; i < BEFORE_VALUES && good; i++)
        good = next(&reader);
    good = good && read_node(&reader, path) && next(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    *ret_value = reader.value;
    return good;
}

void yaml_value_done(struct yaml_value *value)
{
    free(value->text);
    *value = (struct yaml_value){0};
}
