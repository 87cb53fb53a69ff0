#include "manifest/entries.h"

#include "base/memory.h"
#include "base/text.h"
#include "scale/metadata/general.h"

#include <stdlib.h>
#include <string.h>

void entries_add(struct entries *entries, const char *key, const char *value, size_t line)
{
    entries->items = memory_grow(entries->items, &entries->capacity, entries->count + 1,
                                 sizeof(*entries->items));
    entries->items[entries->count++] = (struct entry){text_copy(key), text_copy(value), line};
}

void entries_set(struct entries *entries, const char *key, const char *value)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->items[i];
        if (!text_equal(entry->key, key))
            continue;
        free(entry->value);
        entry->value = text_copy(value);
        return;
    }
    entries_add(entries, key, value, 0);
}

void entries_remove(struct entries *entries, const char *key)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (!text_equal(entries->items[i].key, key))
            continue;
        free(entries->items[i].key);
        free(entries->items[i].value);
        memmove(&entries->items[i], &entries->items[i + 1],
                (--entries->count - i) * sizeof(*entries->items));
        return;
    }
}

void entries_read(const struct yaml_tree *metadata, const struct option *table,
                  struct entries *ret_entries)
{
    for (size_t i = 0; i < metadata->count; i++) {
        const char *key = metadata->keys[i];
        const char *text = metadata->items[i]->text == NULL ? "" : metadata->items[i]->text;
        bool is_variable = table != NULL && option_is_variable(key) &&
                           option_find(table, key, OPTION_FROM_FILE) == NULL;
        entries_add(ret_entries, key, is_variable ? NULL : text, metadata->key_spans[i].line);
    }
}

void entries_done(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->items[i].key);
        free(entries->items[i].value);
    }
    free(entries->items);
    *entries = (struct entries){0};
}

const struct entry *entries_find(const struct entries *entries, const char *key)
{
    for (size_t i = 0; i < entries->count; i++)
        if (text_equal(entries->items[i].key, key))
            return &entries->items[i];
    return NULL;
}

const struct entry *entries_find_given(const struct entries *entries, const char *key)
{
    _cleanup_(memory_free) char *variable = text_format("%s" OPTION_VARIABLE_SUFFIX, key);
    const struct entry *plain = entries_find(entries, key);
    bool is_given = plain != NULL && (plain->value == NULL || !text_is_blank(plain->value));
    return is_given ? plain : entries_find(entries, variable);
}

bool entries_are_known(const struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].value == NULL)
            return false;
    return true;
}

static const char *stand_in(const struct option *row)
{
    if (row == NULL)
        return "unknown";
    if (row->default_value != NULL)
        return row->default_value;
    switch (row->type) {
    case OPTION_BOOL:
        return "false";
    case OPTION_INT:
    case OPTION_FLOAT:
    case OPTION_RANGES:
        return "1";
    case OPTION_DURATION:
        return "1s";
    case OPTION_CHOICE:
        return row->choices[0];
    default:
        return "unknown";
    }
}

struct option_entry *entries_plain(const struct entries *entries, const struct option *table)
{
    struct option_entry *plain = memory_array(entries->count + 1, sizeof(*plain));
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->items[i];
        const struct option *row =
            table == NULL ? NULL : option_find(table, entry->key, OPTION_FROM_TRIGGER);
        if (row == NULL)
            row = option_find(general_table, entry->key, OPTION_FROM_TRIGGER);
        plain[i] =
            (struct option_entry){entry->key, entry->value == NULL ? stand_in(row) : entry->value};
    }
    return plain;
}
