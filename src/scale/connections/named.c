#include "scale/connections/named.h"

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

void scaler_add_unknown(const struct scaler *const *scalers, const char *name,
                        struct error *mistakes)
{
    _cleanup_(text_done) struct text names = {0};
    const char *why = "is unknown";
    for (; *scalers != NULL; scalers++)
        if ((*scalers)->absent == NULL)
            text_addf(&names, "%s%s", names.length == 0 ? "" : ", ", (*scalers)->name);
        else if (text_equal((*scalers)->name, name))
            why = (*scalers)->absent;
    const char *all = names.length == 0 ? "none" : names.bytes;
    if (name == NULL)
        error_add(mistakes, "scaler is missing: the kind of source; there are: %s", all);
    else
        error_add(mistakes, "scaler \"%.*s\" %s: there are: %s", (int)text_cut(name, 64), name, why,
                  all);
}

/* The file has connection keys; what to measure and by what target is in the trigger. */
static void check_scopes(const struct named_connection *connection, const struct option *table,
                         struct error *mistakes)
{
    for (size_t i = 0; i < connection->entries_count; i++) {
        const char *key = connection->entries[i].key;
        const struct option *row = option_find(table, key, OPTION_FROM_FILE);
        if (row != NULL && row->scope != OPTION_CONNECTION)
            error_add(mistakes, "%s belongs into the trigger", key);
        if (row != NULL && row->flags & OPTION_FILE_ONLY && connection->is_tenants)
            error_add(mistakes, "%s belongs in the server's connections file", key);
    }
}

static void check_connection(struct named_connection *connection,
                             const struct scaler *const *scalers)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values *values[OPTION_SCOPES] = {NULL};
    const struct scaler *scaler = scaler_find(scalers, connection->scaler);
    if (scaler == NULL)
        scaler_add_unknown(scalers, connection->scaler, &error);
    else {
        option_parse(scaler->options, scaler->sizes,
                     &(struct option_input){connection->entries, connection->entries_count,
                                            OPTION_FROM_FILE},
                     values, &error);
        check_scopes(connection, scaler->options, &error);
        if (scaler->check_connection != NULL)
            scaler->check_connection(values[OPTION_CONNECTION]->data, &error);
        for (int scope = 0; scope < OPTION_SCOPES; scope++)
            option_values_free(values[scope]);
    }
    if (error_is_set(&error))
        error_add(&connection->mistakes, "%s:%zu: %s", connection->file, connection->line,
                  error_text(&error));
}

void named_check(struct connections *connections, const struct scaler *const *scalers)
{
    for (size_t i = 0; i < connections->count; i++)
        if (!error_is_set(&connections->items[i].mistakes))
            check_connection(&connections->items[i], scalers);
}

static const char *value_in(const struct named_connection *connection, const struct option *table,
                            const struct option *row)
{
    for (size_t i = 0; i < connection->entries_count; i++)
        if (option_find(table, connection->entries[i].key, OPTION_FROM_FILE) == row)
            return connection->entries[i].value;
    return row->default_value == NULL ? "" : row->default_value;
}

static bool is_same(const char *left, const char *right)
{
    _cleanup_(memory_free) char *left_trimmed = text_trimmed(left);
    _cleanup_(memory_free) char *right_trimmed = text_trimmed(right);
    return text_equal(left_trimmed, right_trimmed);
}

/* Comparing it would confirm a right guess. A URL may have a password in it. */
static bool is_guessable(const struct option *row, const char *value)
{
    return row->flags & OPTION_SECRET || (row->flags & OPTION_URL && strpbrk(value, "@?") != NULL);
}

static void check_repeated(const struct named_connection *connection, const struct option *table,
                           const struct option_entry *entry, const struct option *row,
                           struct error *mistakes)
{
    const char *value = value_in(connection, table, row);
    if (is_same(entry->value, "") || row->flags & OPTION_FILE_ONLY) /* parse.c refuses those */
        return;
    if (is_guessable(row, value))
        error_add(mistakes,
                  "%s may hold a secret, and is not compared with that of connection \"%s\": "
                  "leave it out",
                  entry->key, connection->name);
    else if (!is_same(entry->value, value))
        error_add(mistakes, "%s differs from that of connection \"%s\": leave it out", entry->key,
                  connection->name);
}

struct option_entry *named_join(const struct named_connection *connection,
                                const struct option *table, const struct option_entry *entries,
                                size_t count, size_t *ret_count, struct error *mistakes)
{
    struct option_entry *joined = memory_array(count + connection->entries_count, sizeof(*joined));
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        const struct option *row = option_find(table, entries[i].key, OPTION_FROM_TRIGGER);
        if (row == NULL || row->scope != OPTION_CONNECTION)
            joined[length++] = entries[i];
        else
            check_repeated(connection, table, &entries[i], row, mistakes);
    }
    for (size_t i = 0; i < connection->entries_count; i++) {
        const struct option *row = option_find(table, connection->entries[i].key, OPTION_FROM_FILE);
        if (row != NULL)
            joined[length++] = (struct option_entry){row->key, connection->entries[i].value};
    }
    *ret_count = length;
    return joined;
}
