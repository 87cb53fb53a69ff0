#include "keys/keys.h"

extern const struct scaler scaler_postgresql;

#define URL "postgresql://user:sesame@db:5432/jobs?sslmode=require"
#define PARTS PARTS_WITH("disable")
#define PARTS_WITH(sslmode)                                                                        \
    "connection", "", "host", "db", "port", "5432", "userName", "u", "dbName", "jobs", "sslmode",  \
        sslmode

static const struct key_case cases[] = {
    TAKES("connection", "host=db port=5432 user=u password='sesame \\' x' dbname=jobs"),
    REFUSES("connection is missing: set it, or host, port, userName, dbName and sslmode",
            "connection", ""),
    REFUSES("connection is missing", "password", "sesame", "connection", ""),
    REFUSES("connection", "connection", "sesame"),
    REFUSES("connection", "connection", "host=db password='sesame"),
    REFUSES("connection", "connection", "postgresql://u:ses/ame@db/jobs"),
    REFUSES("connection must name a host", "connection", "user=u password=sesame"),
    REFUSES("connection must name a host", "connection", "postgresql://u:sesame@/jobs"),
    REFUSES("and no socket", "connection", "host=/run/sesame"),
    REFUSES("and no socket", "connection", "host=db,,other password=sesame"),
    REFUSES("hostaddr is not allowed here: set host", "connection", "hostaddr=127.0.0.1"),
    REFUSES("hostaddr is not allowed here", "connection", "host=db,db hostaddr=127.0.0.1,"),
    REFUSES("sslrootcert is not allowed here: set ca", "connection", "host=db sslrootcert=/sesame"),
    REFUSES("krbsrvname is not allowed here", "connection", "host=db krbsrvname=sesame"),
    REFUSES("sslkey is not allowed here", "connection", "host=db sslkey=/sesame"),
    TAKES("host", "a,b", PARTS),
    REFUSES("and no socket", "host", "a,/run/postgresql", PARTS),
    REFUSES("of its parts are needed: host missing", "host", "", PARTS),
    TAKES("port", "65535", PARTS),
    REFUSES("of its parts are needed: port missing", "port", "", PARTS),
    REFUSES("port", "port", "0", PARTS),
    REFUSES("port", "port", "65536", PARTS),
    TAKES("userName", "o'neil", PARTS),
    REFUSES("of its parts are needed: userName missing", "userName", "", PARTS),
    TAKES("dbName", "host=other dbname=x", PARTS),
    REFUSES("of its parts are needed: dbName missing", "dbName", "", PARTS),
    TAKES("sslmode", "verify-full", PARTS),
    REFUSES("of its parts are needed: sslmode missing", "sslmode", "", PARTS),
    REFUSES("sslmode", "sslmode", "on", PARTS),
    TAKES("password", "a sesame\\' sslmode=disable", PARTS),

    TAKES("ca", "-----BEGIN CERTIFICATE-----"),
    TAKES("ca", "-----BEGIN CERTIFICATE-----", PARTS_WITH("verify-full")),
    REFUSES("ca must hold PEM certificates", "ca", "/etc/ca.pem"),
    REFUSES("ca needs sslmode verify-full, verify-ca or require", "ca",
            "-----BEGIN CERTIFICATE-----", PARTS),

    TAKES("maxSessions", "1"),
    TAKES("maxSessions", "16"),
    REFUSES("from 1 to 16", "maxSessions", "0"),
    REFUSES("from 1 to 16", "maxSessions", "17"),
    DEFAULT("maxSessions", "4"),

    TAKES("query", "SELECT count(*) FROM jobs"),
    TAKES("query", "-- of all\n/* and /* soon */ more */ ; ( select 1 )"),
    TAKES("query", "\tWith n AS (SELECT 1) SELECT * FROM n"),
    REFUSES("it begins with \"cOpY jobs TO STDOUT\"", "query", "\n cOpY jobs TO STDOUT"),
    REFUSES("it begins with \"COPY jobs\"", "query", "/* /* SELECT */ SELECT */ COPY jobs"),
    REFUSES("it begins with \"SET ROLE", "query", "SET ROLE postgres -- SELECT 1"),
    REFUSES("it begins with \"\"", "query", "-- SELECT 1"),
    REFUSES("it begins with \"\"", "query", "/* SELECT 1"),
    REFUSES("query must not call pg_terminate_backend()", "query",
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity) a"),
    REFUSES("query must not call pg_terminate_backend()", "query",
            "SELECT 'pg_sleep(' || pg_catalog . PG_Terminate_Backend /* soon */ -- 'now'\n (1)"),
    REFUSES("query must not call pg_cancel_backend()", "query",
            "SELECT $a$ ' $a$, E'\\'', \"pg_cancel_backend\"(1)"),
    REFUSES("query must not call pg_reload_conf()", "query", "CALL pg_reload_conf()"),
    REFUSES("query must not call dblink_exec()", "query", "SELECT dblink_exec('DELETE FROM jobs')"),
    REFUSES("query must not call ts_rewrite()", "query",
            "SELECT numnode(ts_rewrite('a', 'SELECT pg_terminate_backend(42)'))"),
    REFUSES("query must not call crosstab4()", "query",
            "SELECT count(*) FROM crosstab4('SELECT pg_terminate_backend(42)')"),
    REFUSES("query must not call pg_read_file()", "query", "SELECT 1, pg_read_file('/etc/sesame')"),
    REFUSES("query must not call lo_import()", "query", "SELECT lo_import('/etc/sesame')"),
    REFUSES("query must not call pg_drop_replication_slot()", "query",
            "SELECT pg_drop_replication_slot('slot')"),
    TAKES("query", "SELECT pg_try_advisory_lock(1)::int"), /* session.c releases what it locks */
    REFUSES("query must not have names with escapes", "query",
            "SELECT U&\"pg\\005fterminate_backend\"(1)"),
    REFUSES("query must not have names with escapes", "query",
            "SELECT pg_catalog.u&\"pg!005fterminate_backend\" UESCAPE '!' (1)"),
    TAKES("query", "SELECT u & \"a\", U&'pg\\005fsleep(1)', pg_advisory_xact_lock(1)"),
    REFUSES("inFlightQuery must not call pg_stat_reset()", "inFlightQuery",
            "SELECT pg_stat_reset()"),
    TAKES("query", "SELECT count(*) FROM calls WHERE name = 'pg_terminate_backend(1)'"),
    TAKES("query", "SELECT /* pg_terminate_backend(1) */ 1 -- dblink()"),
    TAKES("query", "SELECT $$ pg_terminate_backend(1) $$ = body FROM jobs"),
    TAKES("query", "SELECT pg_terminate_backend FROM jobs"),
    TAKES("query", "SELECT \"it\"\"s pg_terminate_backend(1)\", my_dblink(1), pg_size_pretty(1)"),
    /* E'' goes on in the next line, with its escapes. */
    REFUSES("query must not call pg_terminate_backend()", "query",
            "SELECT E'a' -- soon\n '\\'', pg_terminate_backend(1), ''''"),
    REFUSES("query must not call pg_terminate_backend()", "query",
            "SELECT 'a'\n'\\', pg_terminate_backend(1), ''''"),
    TAKES("query", "SELECT E'a'\n'\\' pg_terminate_backend(1)', 'b'"),
    /* Another query of the trigger, which is sent behind it, would end it. */
    REFUSES("query ends within a string, a quoted name or a comment", "query", "SELECT 'a"),
    REFUSES("query ends within a string", "query", "SELECT 'a\\''"),
    REFUSES("query ends within a string", "query", "SELECT E'a\\'"),
    REFUSES("query ends within a string", "query", "SELECT $a$ 'a"),
    REFUSES("query ends within a string", "query", "SELECT \"a"),
    REFUSES("query ends within a string", "query", "SELECT 1 /* /* */"),
    REFUSES("inFlightQuery ends within a string", "inFlightQuery",
            "SELECT ', pg_terminate_backend(1)"),
    TAKES("inFlightQuery", "SELECT count(*) FROM jobs WHERE state = 'running'"),
    REFUSES("inFlightQuery must begin with SELECT", "inFlightQuery",
            "DELETE FROM jobs WHERE state = 'done'"),
    TAKES("arrivalQuery", "SELECT last_value FROM jobs_id_seq"),
    REFUSES("arrivalQuery must begin with SELECT", "arrivalQuery",
            "COPY jobs TO STDOUT WITH (FORMAT csv)"),
    TAKES("consumptionQuery", "SELECT count(*) FROM jobs WHERE state = 'done'"),
    REFUSES("consumptionQuery must begin with SELECT", "consumptionQuery", "-- none"),

    TAKES("timeout", "1ms"),
    TAKES("timeout", "600000ms"),
    TAKES("timeout", "1m30s"),
    REFUSES("from 1ms to 10m", "timeout", "0s"),
    REFUSES("from 1ms to 10m", "timeout", "600001ms"),
    REFUSES("must have a unit", "timeout", "10"), /* KEDA has no such key */

    TAKES("targetQueryValue", "0.001"),
    REFUSES("at least 0.001", "targetQueryValue", "0"),
    REFUSES("at least 0.001", "targetQueryValue", "0.0009"),
    TAKES("activationTargetQueryValue", "-2.5"),
    DEFAULT("activationTargetQueryValue", "0"),
    {0},
};

static const struct keys keys = {
    &scaler_postgresql, PAIRS("connection", URL, "query", "SELECT 1", "targetQueryValue", "5"),
    cases, NULL};

int main(void)
{
    return keys_test(&keys);
}
