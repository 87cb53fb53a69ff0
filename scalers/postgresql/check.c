#include "postgresql/check.h"

#include "base/memory.h"
#include "base/text.h"
#include "postgresql/options.h"
#include "postgresql/parameters.h"

#include <string.h>
#include <strings.h>

enum { MAX_SHOWN_BYTES = 20 };

static void check_parts(const struct postgresql_connection *connection, struct error *mistakes)
{
    const struct {
        const char *key;
        const char *value;
    } parts[] = {
        {"host", connection->host},          {"port", connection->port},
        {"userName", connection->user_name}, {"dbName", connection->db_name},
        {"sslmode", connection->sslmode},
    };
    _cleanup_(text_done) struct text missing = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (parts[i].value == NULL)
            text_addf(&missing, "%s%s", missing.length == 0 ? "" : ", ", parts[i].key);
    if (missing.length == 0)
        return;
    if (missing.length == strlen("host, port, userName, dbName, sslmode"))
        error_add(mistakes, "connection is missing: set it, or host, port, userName, dbName and "
                            "sslmode");
    else
        error_add(mistakes, "without connection all of its parts are needed: %s missing",
                  missing.bytes);
}

static const char *past_comment(const char *at)
{
    int depth = 0;
    do {
        bool opens = text_starts_with(at, "/*");
        bool closes = text_starts_with(at, "*/");
        depth += opens - closes;
        at += opens || closes ? 2 : 1;
    } while (depth > 0 && *at != '\0');
    return at;
}

/* As the server reads it: without white space, empty statements and comments. */
static const char *first_word(const char *query)
{
    for (const char *at = query;;) {
        at += strspn(at, " \t\r\n\f\v;");
        if (text_starts_with(at, "--"))
            at += strcspn(at, "\r\n");
        else if (text_starts_with(at, "/*"))
            at = past_comment(at);
        else
            return at;
    }
}

/* What can return a row. The rest would fail, and some of it would end the session for all (COPY) or outlive
 * its transaction (PREPARE). */
static void check_query(const char *key, const char *query, struct error *mistakes)
{
    static const char *const words[] = {"select", "with", "values", "table", "show", "call", "("};
    const char *first = first_word(query);
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strncasecmp(first, words[i], strlen(words[i])) == 0)
            return;
    error_add(mistakes,
              "%s must begin with SELECT, WITH, VALUES, TABLE, SHOW or CALL: it begins with "
              "\"%.*s\"",
              key, (int)text_cut(first, MAX_SHOWN_BYTES), first);
}

void postgresql_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct postgresql_connection *connection = connection_options;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    if (connection->connection == NULL)
        check_parts(connection, mistakes);
    if (!postgresql_parameters_make(connection, &parameters, &error))
        error_add(mistakes, "%s", error_text(&error));
}

void postgresql_check_trigger(const struct options *options, struct error *mistakes)
{
    const struct postgresql_query *query = options->query;
    if (query->query[0] != '\0')
        check_query("query", query->query, mistakes);
    if (query->in_flight_query != NULL)
        check_query("inFlightQuery", query->in_flight_query, mistakes);
    if (query->arrival_query != NULL)
        check_query("arrivalQuery", query->arrival_query, mistakes);
    if (query->consumption_query != NULL)
        check_query("consumptionQuery", query->consumption_query, mistakes);
}
