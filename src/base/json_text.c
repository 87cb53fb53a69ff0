#include "base/json_text.h"

#include <stdint.h>
#include <string.h>

/* What jansson allocates for each (2.14, 64 bits), with malloc's own part and the halves that
 * growing leaves free. */
enum {
    OBJECT_BYTES = 272,
    ARRAY_BYTES = 144,
    MEMBER_BYTES = 128,
    VALUE_BYTES = 112,
    BYTES_PER_BYTE = 3, /* of a string, in the lexer and in the tree */
};

/* jansson calls itself for each; a thread's stack is small. */
enum { MAX_DEPTH = 64 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind the closing quote; `at` is behind the opening one. NULL: there is none. */
static const char *skip_string(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\')
            at++;
    }
    return NULL;
}

size_t json_text_tree_bytes(struct json_text text)
{
    if (text.length == 0) /* it may have no bytes at all: NULL */
        return VALUE_BYTES;
    const char *end = text.bytes + text.length;
    size_t bytes = VALUE_BYTES + BYTES_PER_BYTE * text.length;
    size_t depth = 0;
    for (const char *at = text.bytes; at < end; at++) {
        if (*at == '{' || *at == '[')
            depth++;
        else if ((*at == '}' || *at == ']') && depth > 0)
            depth--;
        if (depth > MAX_DEPTH)
            return SIZE_MAX;
        if (*at == '{')
            bytes += OBJECT_BYTES + VALUE_BYTES;
        else if (*at == '[')
            bytes += ARRAY_BYTES + VALUE_BYTES;
        else if (*at == ',')
            bytes += VALUE_BYTES;
        else if (*at == ':')
            bytes += MEMBER_BYTES;
        else if (*at == '"') {
            at = skip_string(at + 1, end);
            if (at == NULL)
                break;
            at--;
        }
    }
    return bytes;
}

json_t *json_text_tree(struct json_text text, size_t flags, size_t max_bytes)
{
    if (text.length == 0 || json_text_tree_bytes(text) > max_bytes)
        return NULL;
    return json_loadb(text.bytes, text.length, flags, NULL);
}

static void skip_spaces(struct json_text *text)
{
    while (text->length > 0 && is_space(text->bytes[0])) {
        text->bytes++;
        text->length--;
    }
}

bool json_text_begins_with(struct json_text text, char first)
{
    skip_spaces(&text);
    return text.length > 0 && text.bytes[0] == first;
}

/* Behind the bracket that closes the one at `at`; which of both kinds it is does not matter here.
 */
static const char *skip_brackets(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        char c = *at++;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (depth == 0)
            return at;
        if (c == '"' && (at = skip_string(at, end)) == NULL)
            return NULL;
    }
    return NULL;
}

static const char *skip_word(const char *at, const char *end)
{
    const char *begin = at;
    while (at < end && !is_space(*at) && strchr(",:]}[{\"", *at) == NULL)
        at++;
    return at == begin ? NULL : at;
}

/* Takes a value from the beginning of `rest`. */
static bool take_value(struct json_text *rest, struct json_text *ret_value)
{
    skip_spaces(rest);
    if (rest->length == 0)
        return false;
    const char *begin = rest->bytes;
    const char *end = begin + rest->length;
    const char *behind = *begin == '"'                    ? skip_string(begin + 1, end)
                         : *begin == '{' || *begin == '[' ? skip_brackets(begin, end)
                                                          : skip_word(begin, end);
    if (behind == NULL)
        return false;
    *ret_value = (struct json_text){begin, (size_t)(behind - begin)};
    *rest = (struct json_text){behind, (size_t)(end - behind)};
    skip_spaces(rest);
    return true;
}

static bool take_character(struct json_text *rest, char c)
{
    if (rest->length == 0 || rest->bytes[0] != c)
        return false;
    rest->bytes++;
    rest->length--;
    return true;
}

void json_walk_begin(struct json_walk *walk, struct json_text text)
{
    *walk = (struct json_walk){.rest = text};
    skip_spaces(&walk->rest);
    if (take_character(&walk->rest, '['))
        walk->closing = ']';
    else if (take_character(&walk->rest, '{'))
        walk->closing = '}';
    else
        walk->is_broken = true;
    skip_spaces(&walk->rest);
}

/* "key": */
static bool take_key(struct json_text *rest, struct json_text *ret_key)
{
    struct json_text quoted;
    skip_spaces(rest);
    if (!json_text_begins_with(*rest, '"') || !take_value(rest, &quoted) ||
        !take_character(rest, ':'))
        return false;
    *ret_key = (struct json_text){quoted.bytes + 1, quoted.length - 2};
    return true;
}

bool json_walk_next(struct json_walk *walk, struct json_text *ret_key, struct json_text *ret_value)
{
    struct json_text *rest = &walk->rest;
    *ret_key = *ret_value = (struct json_text){0};
    if (walk->is_broken)
        return false;
    if (take_character(rest, walk->closing)) {
        skip_spaces(rest);
        walk->is_broken = rest->length > 0; /* something follows */
        walk->closing = '\0';
        return false;
    }
    bool good = walk->closing != '\0' && (!walk->has_begun || take_character(rest, ',')) &&
                (walk->closing == ']' || take_key(rest, ret_key)) && take_value(rest, ret_value);
    walk->has_begun = true;
    walk->is_broken = !good;
    return good;
}

struct json_text json_text_member(struct json_text object, const char *key)
{
    size_t length = strlen(key);
    struct json_walk walk;
    struct json_text name;
    struct json_text value;
    if (!json_text_begins_with(object, '{'))
        return (struct json_text){0};
    json_walk_begin(&walk, object);
    while (json_walk_next(&walk, &name, &value))
        if (name.bytes != NULL && name.length == length && memcmp(name.bytes, key, length) == 0)
            return value;
    return (struct json_text){0};
}
