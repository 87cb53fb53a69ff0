/*
 * postgresql: the result of a SQL query, such as how many rows of a job table wait. KEDA's built-in
 * holds a pool of connections per trigger, and lets a query take as long as it likes.
 *
 * Read the folder in this order: options.h, parameters.h, keywords.h and statement.h (what a
 * trigger may set);
 * session.h (one session, its queries in order), client.h (a few sessions and what waits for one),
 * connect.h (the first session), measure.h (the loop), dispatch.h (which query to which session),
 * sessions.h (how many sessions), results.h and answer.h (what is received).
 */
#include "measure/scaler.h"

#include "base/text.h"
#include "postgresql/check.h"
#include "postgresql/client.h"
#include "postgresql/connect.h"
#include "postgresql/measure.h"
#include "postgresql/options.h"
#include "postgresql/parameters.h"

#include <libpq-fe.h>
#include <math.h>

/* PostgreSQL has no notification of a new row. Once per second, for the idle queries that a stream
 * watches: the first job of an empty table waits no longer than a person notices, and counting few
 * rows is cheap. */
enum { IDLE_INTERVAL_MS = 1000 };

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct postgresql_target *target = options->target;
    *ret_spec = (struct metric_spec){
        .metric_name = text_copy("postgresql"),
        .target = target->target_query_value,
        .idle_interval_ms = IDLE_INTERVAL_MS,
    };
}

static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    const struct postgresql_target *target = options->target;
    if (isnan(reading->value))
        return error_unavailable(error, "the reading has no result of the query");
    *ret_evaluation = (struct evaluation){
        .value = reading->value,
        .active = reading->value > target->activation_target_query_value,
    };
    return true;
}

static unsigned reports(const struct options *options, const char **ret_advice)
{
    const struct postgresql_query *query = options->query;
    *ret_advice = "set inFlightQuery, arrivalQuery or consumptionQuery";
    bool has_rates = query->arrival_query != NULL || query->consumption_query != NULL;
    return (query->in_flight_query != NULL ? READING_WANT_IN_FLIGHT : 0) |
           (has_rates ? READING_WANT_RATES : 0);
}

static void libraries(struct text *text)
{
    text_addf(text, "libpq %d.%d", PQlibVersion() / 10000, PQlibVersion() % 10000);
}

static const char differences[] =
    "A query runs in a read-only transaction, so that a trigger cannot write. It is rolled back: "
    "nothing that one query sets or locks is there for the next.\n"
    "A query that does not begin with SELECT, WITH, VALUES, TABLE, SHOW or CALL is a mistake, and "
    "not run; nor is one that calls `pg_terminate_backend`, `dblink`, `pg_read_file` or another "
    "function that acts outside of its transaction.\n"
    "A query is stopped after `timeout`, by the server, too; KEDA has no limit (#6725).\n"
    "All triggers of a database share one session, and at most `maxSessions` while queries wait, "
    "where "
    "KEDA opens one each (#6955). Of PgBouncer's modes session and transaction pooling work.\n"
    "NaN and infinity are errors.\n"
    "`connection` and `password` can be in the trigger itself; KEDA ignores them there "
    "(#6913).\n"
    "`connection` may name no file of the server: no `passfile`, `service`, `sslcert`, `sslkey` or "
    "`sslrootcert` (set `ca`); and it names a `host`, not `hostaddr`, as a socket of this machine "
    "could let the server itself in.\n"
    "`connection` has libpq's keywords, and parameters of the session, such as `search_path` and "
    "`timezone`. Those of pgx that are about prepared statements and pools are ignored.\n"
    "Of several hosts in a URL one without a port has 5432, as in KEDA 2.21; before, KEDA took "
    "another's port for it.\n"
    "What `connection` leaves open is libpq's default, and never the server's own environment "
    "(PGPASSWORD, "
    "PGSERVICE, ~/.pgpass).\n"
    "Each of several hosts, or addresses of a host, has an equal share of `--measure-timeout` to "
    "answer at all; `connect_timeout` has no effect.\n";

const struct scaler scaler_postgresql = {
    .name = "postgresql",
    .summary = "The result of a PostgreSQL query",
    .differences = differences,
    .options = postgresql_options,
    .sizes = {sizeof(struct postgresql_connection_options), sizeof(struct postgresql_query),
              sizeof(struct postgresql_target)},
    .check = postgresql_check_trigger,
    .check_connection = postgresql_check_connection,
    .reports = reports,
    .metric_spec = metric_spec,
    .evaluate = evaluate,
    .connect = postgresql_connect,
    .measure = postgresql_measure,
    .libraries = libraries,
    .disconnect = postgresql_client_disconnect,
    .zero_settles_ms = 0, /* a server that starts answers with an error */
    .prepare = postgresql_parameters_forget_environment,
    /* libpq keeps what a server sends: messages of up to 1 GiB, every parameter, and it derives a
     * key with as many iterations as the server demands. */
    .in_agent = true,
    .agent_bytes = POSTGRESQL_AGENT_BYTES,
    .agent_bytes_named = POSTGRESQL_AGENT_BYTES_NAMED,
    .timeout_ms = POSTGRESQL_TIMEOUT_MS,
    .max_tasks = (size_t)POSTGRESQL_PIPELINE * POSTGRESQL_DEFAULT_SESSIONS,
    .isolated = POSTGRESQL_DEFAULT_SESSIONS / POSTGRESQL_ISOLATED_SHARE,
};
