#include "postgresql/options.h"

#include "base/memory.h"
#include "shared/cloud_options.h"

#include <math.h>

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct postgresql_connection_options, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct postgresql_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct postgresql_target, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET

const struct option postgresql_options[] = {
    {.key = "connection",
     TEXT(connection),
     .flags = OPTION_SECRET | OPTION_ADDRESS | OPTION_HOST,
     .keda = OPTION_KEDA_VARIABLE | OPTION_KEDA_AUTHENTICATION,
     .doc = "a connection string: postgresql://user:password@host:5432/database?sslmode=require, "
            "or host=... user=... pairs; then host, port, userName, dbName, sslmode and password "
            "are ignored"},
    {.key = "host",
     TEXT(host),
     .flags = OPTION_HOSTS,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "the server, or several separated by commas: the first that answers is used"},
    {.key = "port",
     TEXT(port),
     .flags = OPTION_PORT,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "its port, usually 5432"},
    {.key = "userName",
     TEXT(user_name),
     .flags = OPTION_CREDENTIAL | OPTION_USER,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "the user"},
    {.key = "dbName",
     TEXT(db_name),
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "the database"},
    {.key = "sslmode",
     TEXT(sslmode),
     .flags = OPTION_PEER,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "disable, allow, prefer, require, verify-ca or verify-full; the last two trust the "
            "system's authorities"},
    {.key = "password",
     SECRET(password),
     .keda = OPTION_KEDA_VARIABLE | OPTION_KEDA_AUTHENTICATION,
     .doc = "the user's password"},
    {.key = "ca",
     TEXT(ca),
     .flags = OPTION_CREDENTIAL | OPTION_PEER | OPTION_HIDDEN, /* may have its private key */
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "PEM certificates of the authorities to trust, in place of the system's; for sslmode "
            "verify-full, verify-ca or require, with connection, too"},
    {.key = "maxSessions",
     CONNECTION(max_sessions),
     .type = OPTION_INT,
     .flags = OPTION_FILE_ONLY | OPTION_NO_IDENTITY,
     .default_value = "4",
     .limits = {1, 16},
     .keda = OPTION_KEDA_NOWHERE,
     .doc =
         "how many sessions may be open at a time, in the connections file only; more than one is "
         "opened while queries wait"},
    POD_IDENTITY_OPTION("Azure identities are not supported; set password, or connection"),

    {.key = "query",
     QUERY(query),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "one SELECT, WITH, VALUES, TABLE, SHOW or CALL, run in a read-only transaction that is "
            "rolled back; the first row of its result must be one number: NULL, no row and NaN are "
            "errors"},
    {.key = "inFlightQuery",
     QUERY(in_flight_query),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_NOWHERE,
     .doc =
         "SQL that returns how many jobs are being worked on; with it query must return one row"},
    {.key = "arrivalQuery",
     QUERY(arrival_query),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "SQL that returns how many jobs ever arrived, such as SELECT last_value FROM "
            "jobs_id_seq: a number that only grows"},
    {.key = "consumptionQuery",
     QUERY(consumption_query),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "SQL that returns how many jobs were ever done: a number that only grows"},
    {.key = "timeout",
     QUERY(timeout_ms),
     .type = OPTION_DURATION,
     .limits = {1, 600000},
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "how long the query may take: 10s where it is not set"},

    {.key = "targetQueryValue",
     TARGET(target_query_value),
     .type = OPTION_FLOAT,
     .flags = OPTION_THRESHOLD | OPTION_REQUIRED,
     .limits = {OPTION_MIN_TARGET, INFINITY},
     .doc = "target per replica: the result is divided by it"},
    {.key = "activationTargetQueryValue",
     TARGET(activation_target_query_value),
     .type = OPTION_FLOAT,
     .default_value = "0",
     .doc = "active above this result"},
    {0},
};
