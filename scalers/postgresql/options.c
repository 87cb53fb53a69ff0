#include "postgresql/options.h"

#include "base/memory.h"
#include "base/text.h"
#include "postgresql/parameters.h"
#include "shared/cloud_options.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct postgresql_connection, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct postgresql_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct postgresql_target, field)

#define TARGET_LEAST 0.001 /* the HPA's resolution */

const struct option postgresql_options[] = {
    {.key = "connection",
     CONNECTION(connection),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET | OPTION_ADDRESS,
     .doc =
         "a connection string: postgresql://user:password@host:5432/database?sslmode=require, or "
         "host=... user=... pairs; then host, port, userName, dbName, sslmode and password do not "
         "count"},
    {.key = "host",
     CONNECTION(host),
     .type = OPTION_STRING,
     .doc = "the server, or several with commas, of which the first that answers is taken"},
    {.key = "port", CONNECTION(port), .type = OPTION_STRING, .doc = "its port, usually 5432"},
    {.key = "userName",
     CONNECTION(user_name),
     .type = OPTION_STRING,
     .flags = OPTION_CREDENTIAL,
     .doc = "the user"},
    {.key = "dbName", CONNECTION(db_name), .type = OPTION_STRING, .doc = "the database"},
    {.key = "sslmode",
     CONNECTION(sslmode),
     .type = OPTION_STRING,
     .doc = "disable, allow, prefer, require, verify-ca or verify-full; the last two trust the "
            "system's authorities"},
    {.key = "password",
     CONNECTION(password),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "the user's password"},
    POD_IDENTITY_OPTION("Azure's identities are not taken; set password, or connection"),

    {.key = "query",
     QUERY(query),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc =
         "one SQL statement, run in a read-only transaction; the first row of its answer must be "
         "one number: NULL, no row and NaN are errors"},

    {.key = "targetQueryValue",
     TARGET(target_query_value),
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .limits = {TARGET_LEAST, INFINITY},
     .doc = "how much of the query's answer is one replica's"},
    {.key = "activationTargetQueryValue",
     TARGET(activation_target_query_value),
     .type = OPTION_FLOAT,
     .fallback = "0",
     .doc = "active above this answer"},
    {0},
};

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

/* Its answer is no row, and would end the session for all. */
static bool is_copy(const char *query)
{
    return strncasecmp(query + strspn(query, " \t\r\n"), "copy", strlen("copy")) == 0;
}

void postgresql_connection_check(const void *connection_options, struct error *mistakes)
{
    const struct postgresql_connection *connection = connection_options;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    if (connection->connection == NULL)
        check_parts(connection, mistakes);
    if (!postgresql_parameters_make(connection, &parameters, &error))
        error_add(mistakes, "%s", error_text(&error));
}

void postgresql_options_check(const struct options *options, struct error *mistakes)
{
    const struct postgresql_query *query = options->query;
    if (is_copy(query->query))
        error_add(mistakes, "query must be a SELECT: COPY answers no row");
}
