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

enum { LONGEST_SHOWN = 20 };

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
    {.key = "maxSessions",
     CONNECTION(max_sessions),
     .type = OPTION_INT,
     .flags = OPTION_FILE_ONLY | OPTION_NO_IDENTITY,
     .default_value = "4",
     .limits = {1, 16},
     .doc =
         "how many sessions may be open at a time, in the connections file only; more than one is "
         "opened while queries wait"},
    POD_IDENTITY_OPTION("Azure's identities are not taken; set password, or connection"),

    {.key = "query",
     QUERY(query),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "one SELECT, WITH, VALUES, TABLE, SHOW or CALL, run in a read-only transaction that is "
            "rolled back; the first row of its result must be one number: NULL, no row and NaN are "
            "errors"},
    {.key = "timeout",
     QUERY(timeout_ms),
     .type = OPTION_DURATION,
     .limits = {1, 600000},
     .doc = "how long the query may take: 10s where it is not set"},

    {.key = "targetQueryValue",
     TARGET(target_query_value),
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .limits = {TARGET_LEAST, INFINITY},
     .doc = "how much of the result is one replica's"},
    {.key = "activationTargetQueryValue",
     TARGET(activation_target_query_value),
     .type = OPTION_FLOAT,
     .default_value = "0",
     .doc = "active above this result"},
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
static void check_query(const char *query, struct error *mistakes)
{
    static const char *const words[] = {"select", "with", "values", "table", "show", "call", "("};
    const char *first = first_word(query);
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strncasecmp(first, words[i], strlen(words[i])) == 0)
            return;
    error_add(mistakes,
              "query must begin with SELECT, WITH, VALUES, TABLE, SHOW or CALL: it begins with "
              "\"%.*s\"",
              (int)text_cut(first, LONGEST_SHOWN), first);
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
    if (query->query[0] != '\0')
        check_query(query->query, mistakes);
}
