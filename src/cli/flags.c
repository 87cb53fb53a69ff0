#include "cli/flags.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/long_options.h"

#include <stdio.h>
#include <string.h>

static const char *placeholder(const struct option *row)
{
    switch (row->type) {
    case OPTION_INT:
    case OPTION_FLOAT:
        return "NUMBER";
    case OPTION_DURATION:
        return "TIME";
    case OPTION_CHOICE:
        return "NAME";
    default:
        return "TEXT";
    }
}

static void print_choices(const struct option *row)
{
    printf(" (");
    for (size_t i = 0; row->choices[i] != NULL; i++)
        printf("%s%s", i == 0 ? "" : ", ", row->choices[i]);
    printf(")");
}

static void print_help(const struct option *table, const char *about)
{
    printf("%s\n\n", about);
    for (const struct option *row = table; row->key != NULL; row++) {
        bool has_value = row->type != OPTION_BOOL;
        _cleanup_(memory_free) char *name = text_format("--%s%s%s", row->key, has_value ? " " : "",
                                                        has_value ? placeholder(row) : "");
        printf("  %-26s %s", name, row->doc);
        if (row->type == OPTION_CHOICE)
            print_choices(row);
        if (has_value && row->default_value != NULL)
            printf(" [%s]", row->default_value);
        printf("\n");
    }
    printf("  %-26s %s\n\n", "--help", "this page");
    printf("A TIME is a duration such as 5s, 1m30s or 500ms.\n");
}

static bool unknown_flag(const struct option *table, const char *word, struct error *error)
{
    const char *name = word + strspn(word, "-");
    const struct option *nearest = NULL;
    size_t least = 4;
    for (const struct option *row = table; row->key != NULL; row++)
        if (text_distance(name, row->key) < least) {
            least = text_distance(name, row->key);
            nearest = row;
        }
    if (nearest != NULL)
        return error_invalid(error, "unknown flag %s: did you mean --%s?", word, nearest->key);
    return error_invalid(error, "unknown flag %s: --help lists all", word);
}

static bool is_given(const struct option_entry *entries, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal(entries[i].key, key))
            return true;
    return false;
}

/* A script's variable that is empty must not take the flag away with it: `--tls-client-ca "$CA"` would let
 * everybody in. */
static bool check_entry(const struct option_entry *entries, size_t count, const char *key,
                        const char *value, struct error *error)
{
    if (is_given(entries, count, key))
        return error_invalid(error, "--%s is given twice", key);
    _cleanup_(memory_free) char *trimmed = text_trimmed(value);
    return trimmed[0] != '\0' ||
           error_invalid(error, "--%s is empty: give it a value, or leave it out", key);
}

/* Collects the entries; the strings are borrowed from argv. */
static bool read_words(int argc, char **argv, const struct option *table,
                       struct option_entry *entries, size_t *ret_count, bool *ret_helped,
                       struct error *error)
{
    size_t rows = option_count(table);
    _cleanup_(memory_free) struct long_option *options = memory_array(rows + 1, sizeof(*options));
    for (size_t i = 0; i < rows; i++)
        options[i] = (struct long_option){table[i].key, table[i].type != OPTION_BOOL};
    options[rows] = (struct long_option){"help", false};

    *ret_count = 0;
    for (;;) {
        const char *word = NULL;
        int found = long_option_next(argc, argv, options, rows + 1, &word);
        if (found == LONG_OPTION_END && word == NULL)
            return true;
        if (found == LONG_OPTION_END)
            return error_invalid(error, "unexpected argument \"%s\": --help lists the flags", word);
        if (found == LONG_OPTION_NO_VALUE)
            return error_invalid(error, "%s needs a value", word);
        if (found == LONG_OPTION_UNKNOWN)
            return unknown_flag(table, word, error);
        if (found == (int)rows) {
            *ret_helped = true;
            return true;
        }
        const char *value = options[found].has_value ? word : "true";
        if (!check_entry(entries, *ret_count, table[found].key, value, error))
            return false;
        entries[(*ret_count)++] = (struct option_entry){table[found].key, value};
    }
}

bool flags_parse(int argc, char **argv, const struct option *table, size_t size, const char *about,
                 struct option_values **ret_values, bool *ret_helped, struct error *error)
{
    size_t rows = option_count(table);
    size_t sizes[OPTION_SCOPES] = {size, 0, 0};
    _cleanup_(memory_free) struct option_entry *entries = memory_array(rows, sizeof(*entries));
    struct option_values *values[OPTION_SCOPES];
    size_t count = 0;
    *ret_helped = false;
    if (!read_words(argc, argv, table, entries, &count, ret_helped, error))
        return false;
    if (*ret_helped)
        print_help(table, about);

    bool good = option_parse(table, sizes, entries, count, OPTION_FROM_FILE, NULL, values, error);
    option_values_free(values[OPTION_QUERY]);
    option_values_free(values[OPTION_TARGET]);
    if (good)
        *ret_values = values[OPTION_CONNECTION];
    else
        option_values_free(values[OPTION_CONNECTION]);
    return good;
}
