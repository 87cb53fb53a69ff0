#include "scale/connections/named_connections.h"

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

/* The file has connection keys; what to measure and by what target is in the trigger. */
static void check_scopes(const struct named_connection *connection, const struct option *table,
                         struct error *mistakes)
{
    for (size_t i = 0; i < connection->entries_count; i++) {
        const char *key = connection->entries[i].key;
        const struct option *row = option_find(table, key, OPTION_FROM_FILE);
        if (row != NULL && row->scope != OPTION_CONNECTION)
            error_add(mistakes, "%s belongs in the trigger", key);
    }
}

static struct option_values *parse(const struct named_connection *connection,
                                   const struct scaler *scaler, struct error *mistakes)
{
    const struct option_input input = {connection->entries, connection->entries_count,
                                       OPTION_FROM_FILE};
    return option_parse_scope(scaler->options, scaler->sizes, &input, OPTION_CONNECTION, mistakes);
}

struct option_values *named_connections_values(const struct named_connection *connection,
                                               const struct scaler *scaler, struct error *mistakes)
{
    return connection->values != NULL ? option_values_share(connection->values)
                                      : parse(connection, scaler, mistakes);
}

static void check_connection(struct named_connection *connection,
                             const struct scaler *const *scalers)
{
    _cleanup_(error_done) struct error error = {0};
    const struct scaler *scaler = scaler_find(scalers, connection->scaler);
    if (scaler == NULL)
        scaler_add_unknown(scalers, connection->scaler, &error);
    else {
        struct option_values *values = parse(connection, scaler, &error);
        check_scopes(connection, scaler->options, &error);
        if (scaler->check_connection != NULL)
            scaler->check_connection(values->data, &error);
        if (!error_is_set(&error))
            connection->values = TAKE(values);
        option_values_free(values);
    }
    if (error_is_set(&error))
        error_add(&connection->mistakes, "%s:%zu: %s", connection->file, connection->line,
                  error_text(&error));
}

void named_connections_check(struct connections *connections, const struct scaler *const *scalers)
{
    for (size_t i = 0; i < connections->count; i++)
        if (!error_is_set(&connections->items[i].mistakes))
            check_connection(&connections->items[i], scalers);
}

/* Comparing it would confirm a right guess. A URL may have a password in it. */
static bool is_guessable(const struct option *row, const char *value)
{
    return row->flags & OPTION_SECRET || (row->flags & OPTION_URL && strpbrk(value, "@?") != NULL);
}

static void check_repeated(const struct named_connection *connection,
                           const struct option_values *values, const struct option_entry *entry,
                           const struct option *row, struct error *mistakes)
{
    const char *text = values->texts[row - values->table];
    const char *value = text == NULL ? "" : text;
    if (text_is_blank(entry->value) || row->flags & OPTION_FILE_ONLY) /* parse.c refuses those */
        return;
    _cleanup_(memory_free) char *trimmed = text_trimmed(entry->value);
    if (is_guessable(row, value))
        error_add(mistakes,
                  "%s may hold a secret, and is not compared with that of connection \"%s\": "
                  "leave it out",
                  entry->key, connection->name);
    else if (!text_equal(trimmed, value))
        error_add(mistakes, "%s differs from that of connection \"%s\": leave it out", entry->key,
                  connection->name);
}

struct option_entry *named_connections_entries_beside(const struct named_connection *connection,
                                                      const struct option_values *values,
                                                      const struct option_entry *entries,
                                                      size_t count, size_t *ret_count,
                                                      struct error *mistakes)
{
    struct option_entry *own = memory_array(count + 1, sizeof(*own));
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        const struct option *row = option_find(values->table, entries[i].key, OPTION_FROM_TRIGGER);
        if (row == NULL || row->scope != OPTION_CONNECTION)
            own[length++] = entries[i];
        else
            check_repeated(connection, values, &entries[i], row, mistakes);
    }
    *ret_count = length;
    return own;
}
