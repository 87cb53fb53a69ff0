#include "manifest/entries.h"

#include "base/memory.h"
#include "base/text.h"
#include "scale/metadata/general.h"

#include <ctype.h>
#include <stdbool.h>
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

static bool are_known(const struct entries *entries)
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

static const struct option *row_of(const struct option *table, const char *key)
{
    const struct option *row = table == NULL ? NULL : option_find(table, key, OPTION_FROM_TRIGGER);
    return row != NULL ? row : option_find(general_table, key, OPTION_FROM_TRIGGER);
}

struct option_entry *entries_plain(const struct entries *entries, const struct option *table)
{
    struct option_entry *plain = memory_array(entries->count + 1, sizeof(*plain));
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->items[i];
        const char *value =
            entry->value == NULL ? stand_in(row_of(table, entry->key)) : entry->value;
        plain[i] = (struct option_entry){entry->key, value};
    }
    return plain;
}

void entries_other_values(const struct option *row, const char *ret_values[ENTRIES_MAX_OTHERS + 1])
{
    size_t count = 0;
    ret_values[count++] = ""; /* it is not set */
    if (row != NULL && row->type == OPTION_BOOL) {
        ret_values[count++] = "true";
        ret_values[count++] = "false";
    } else if (row != NULL && (row->type == OPTION_INT || row->type == OPTION_FLOAT))
        ret_values[count++] = "1";
    for (size_t i = 0; row != NULL && row->type == OPTION_CHOICE && row->choices[i] != NULL &&
                       count < ENTRIES_MAX_OTHERS;
         i++)
        ret_values[count++] = row->choices[i];
    ret_values[count] = NULL;
}

/* The next of the mistakes that error_add() has joined; false: there is none left. */
static bool next_mistake(const char **rest, const char **ret_mistake, size_t *ret_length)
{
    static const char separator[] = "; ";
    const char *end = strstr(*rest, separator);
    *ret_mistake = *rest;
    *ret_length = end == NULL ? strlen(*rest) : (size_t)(end - *rest);
    *rest = end == NULL ? *rest + *ret_length : end + strlen(separator);
    return *ret_length > 0;
}

static bool has_mistake(const char *mistakes, const char *mistake, size_t length)
{
    const char *each;
    size_t each_length;
    while (next_mistake(&mistakes, &each, &each_length))
        if (each_length == length && memcmp(each, mistake, length) == 0)
            return true;
    return false;
}

static bool is_of_word(char letter)
{
    return isalnum((unsigned char)letter) || letter == '_';
}

/* No stand-in may be one of the texts that mean something to a key: what names such a key is taken
 * to depend on its value. The texts of secrets mean nothing. */
static bool names_unknown_text(const struct entries *entries, const struct option *table,
                               const char *mistake, size_t length)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct option *row = row_of(table, entries->items[i].key);
        bool is_text = row != NULL && (row->type == OPTION_STRING || row->type == OPTION_LIST) &&
                       !(row->flags & OPTION_SECRET);
        if (entries->items[i].value != NULL || !is_text)
            continue;
        size_t key = strlen(row->key);
        for (size_t at = 0; at + key <= length; at++)
            if (memcmp(mistake + at, row->key, key) == 0 &&
                (at == 0 || !is_of_word(mistake[at - 1])) && !is_of_word(mistake[at + key]))
                return true;
    }
    return false;
}

/* Leaves those that are in both. `others` is freed. */
static void keep_common(const struct entries *entries, const struct option *table, char **mistakes,
                        char *others)
{
    struct text common = {0};
    const char *mistake;
    size_t length;
    for (const char *rest = *mistakes; next_mistake(&rest, &mistake, &length);) {
        if (!has_mistake(others, mistake, length) ||
            names_unknown_text(entries, table, mistake, length))
            continue;
        text_add(&common, common.length == 0 ? "" : "; ");
        text_add_bytes(&common, mistake, length);
    }
    free(others);
    free(*mistakes);
    *mistakes = text_take(&common);
}

char *entries_mistakes(const struct entries *entries, const struct option *table,
                       entries_judge *judge, const void *context)
{
    _cleanup_(memory_free) struct option_entry *plain = entries_plain(entries, table);
    _cleanup_(memory_free) struct option_entry *unset = entries_plain(entries, table);
    char *mistakes = judge(context, plain, entries->count);
    if (are_known(entries))
        return mistakes;
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].value == NULL)
            unset[i].value = "";
    keep_common(entries, table, &mistakes, judge(context, unset, entries->count));
    for (size_t i = 0; i < entries->count && mistakes[0] != '\0'; i++) {
        const char *values[ENTRIES_MAX_OTHERS + 1] = {NULL};
        const char *stand_in = plain[i].value;
        if (entries->items[i].value == NULL)
            entries_other_values(row_of(table, plain[i].key), values);
        for (size_t n = 0; values[n] != NULL; n++) {
            plain[i].value = values[n];
            keep_common(entries, table, &mistakes, judge(context, plain, entries->count));
        }
        plain[i].value = stand_in;
    }
    return mistakes;
}

char *entries_unknown_keys(const struct entries *entries, const struct option *table)
{
    struct text keys = {0};
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].value == NULL &&
            option_find(table, entries->items[i].key, OPTION_FROM_TRIGGER) != NULL)
            text_addf(&keys, "%s%s", keys.length == 0 ? "" : ", ", entries->items[i].key);
    return text_take(&keys);
}
