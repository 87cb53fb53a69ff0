#include "postgresql/check.h"

#include "base/memory.h"
#include "base/text.h"
#include "postgresql/options.h"
#include "postgresql/parameters.h"
#include "postgresql/statement.h"

#include <string.h>

static void check_parts(const struct postgresql_connection_options *connection,
                        struct error *mistakes)
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

/* libpq reads it only where it must verify; the others would not be safer by it. */
static void check_authorities(const struct postgresql_connection_options *connection,
                              const struct postgresql_parameters *parameters,
                              struct error *mistakes)
{
    const char *sslmode = postgresql_parameter(parameters, "sslmode");
    if (connection->ca == NULL)
        return;
    if (strstr(connection->ca, "-----BEGIN CERTIFICATE-----") == NULL)
        error_add(mistakes, "ca must hold PEM certificates");
    if (!text_equal(sslmode, "require") && !text_equal(sslmode, "verify-ca") &&
        !text_equal(sslmode, "verify-full"))
        error_add(mistakes, "ca needs sslmode verify-full, verify-ca or require");
}

void postgresql_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct postgresql_connection_options *connection = connection_options;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    if (connection->connection == NULL)
        check_parts(connection, mistakes);
    if (!postgresql_parameters_make(connection, &parameters, &error))
        error_add(mistakes, "%s", error_text(&error));
    else
        check_authorities(connection, &parameters, mistakes);
}

void postgresql_check_trigger(const struct options *options, struct error *mistakes)
{
    const struct postgresql_query *query = options->query;
    if (query->query[0] != '\0')
        postgresql_statement_check("query", query->query, mistakes);
    if (query->in_flight_query != NULL)
        postgresql_statement_check("inFlightQuery", query->in_flight_query, mistakes);
    if (query->arrival_query != NULL)
        postgresql_statement_check("arrivalQuery", query->arrival_query, mistakes);
    if (query->consumption_query != NULL)
        postgresql_statement_check("consumptionQuery", query->consumption_query, mistakes);
}
