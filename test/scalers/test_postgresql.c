#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "postgresql/answer.h"
#include "postgresql/options.h"
#include "postgresql/parameters.h"
#include "scalers/ended.h"
#include "scalers/trigger.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_postgresql;

#define URL "postgresql://user:word@db/jobs"

/* A query, a target and these keys. */
#define TRIGGER(name, ...)                                                                         \
    const struct option_entry name##_entries[] = {                                                 \
        {"query", "SELECT 1"}, {"targetQueryValue", "5"}, __VA_ARGS__};                            \
    _cleanup_(trigger_done) struct trigger name =                                                  \
        trigger_parse(&scaler_postgresql, name##_entries, ARRAY_LENGTH(name##_entries))

static void the_metric_is_named_as_keda_names_it(void **state)
{
    (void)state;
    TRIGGER(trigger, {"connection", URL});
    struct metric_spec spec = {0};
    scaler_postgresql.metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, "postgresql");
    assert_true(spec.target == 5);
    free(spec.metric_name);
}

static void active_is_above_the_activation_value_and_not_at_it(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct evaluation evaluation;
    struct reading reading = READING_UNKNOWN;
    TRIGGER(trigger, {"connection", URL}, {"activationTargetQueryValue", "2.5"});
    reading.value = 2.5;
    assert_true(scaler_postgresql.evaluate(&trigger.options, &reading, &evaluation, &error));
    assert_true(evaluation.value == 2.5 && !evaluation.active);
    reading.value = 2.6;
    assert_true(scaler_postgresql.evaluate(&trigger.options, &reading, &evaluation, &error));
    assert_true(evaluation.active);
    reading.value = NAN;
    assert_false(scaler_postgresql.evaluate(&trigger.options, &reading, &evaluation, &error));
}

/* Makes the parameters of a connection string. */
static bool makes(const char *string, struct postgresql_parameters *parameters, struct error *error)
{
    const struct postgresql_connection_options options = {.connection = string};
    return postgresql_parameters_make(&options, parameters, error);
}

static void assert_parameter(const struct postgresql_parameters *parameters, const char *keyword,
                             const char *value)
{
    const char *found = postgresql_parameter(parameters, keyword);
    if (!text_equal(found, value))
        fail_msg("%s is %s and not %s", keyword, found == NULL ? "absent" : found, value);
}

static void urls_and_pairs_are_understood(void **state)
{
    (void)state;
    static const char *const strings[] = {
        "postgresql://me:it%27s%20%40@db:5433/jobs?sslmode=require",
        "postgres://me:it%27s%20%40@db:5433/jobs?sslmode=require",
        "host=db port=5433 user=me password='it\\'s @' dbname=jobs sslmode=require",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        assert_true(makes(strings[i], &parameters, &error));
        assert_parameter(&parameters, "host", "db");
        assert_parameter(&parameters, "port", "5433");
        assert_parameter(&parameters, "user", "me");
        assert_parameter(&parameters, "password", "it's @");
        assert_parameter(&parameters, "dbname", "jobs");
        assert_parameter(&parameters, "sslmode", "require");
        assert_parameter(&parameters, "sslrootcert", "/nonexistent/backlog");
    }
}

static void parts_are_taken_as_they_are(void **state)
{
    (void)state;
    const struct postgresql_connection_options options = {.host = "a,b",
                                                          .port = "5432",
                                                          .user_name = "o'neil",
                                                          .db_name = "host=evil dbname=x",
                                                          .sslmode = "verify-full",
                                                          .password = "a b\\' sslmode=disable"};
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    assert_true(postgresql_parameters_make(&options, &parameters, &error));
    assert_parameter(&parameters, "host", "a,b");
    assert_parameter(&parameters, "user", "o'neil");
    assert_parameter(&parameters, "dbname", "host=evil dbname=x");
    assert_parameter(&parameters, "password", "a b\\' sslmode=disable");
    assert_parameter(&parameters, "sslmode", "verify-full");
    assert_non_null(postgresql_parameter(&parameters, "sslrootcert"));
    assert_null(parameters.keywords[parameters.count]);
}

static void a_connection_string_names_no_file_of_the_server(void **state)
{
    (void)state;
    static const char *const strings[] = {
        "host=db passfile=/etc/secret",    "host=db service=other",
        "host=db sslkey=/etc/secret",      "host=db sslcert=/etc/secret",
        "host=db sslrootcert=/etc/secret", "host=db sslcrl=/etc/secret",
        "host=db sslcrldir=/etc",          "host=db requirepeer=postgres",
        "host=db krbsrvname=other",        "host=db gsslib=gssapi",
        "host=db gssencmode=prefer",       "hostaddr=127.0.0.1",
        "host=a,b hostaddr=127.0.0.1,",    "postgresql://db/?passfile=/etc/secret",
        "host=db replication=database",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        assert_false(makes(strings[i], &parameters, &error));
        assert_non_null(strstr(error_text(&error), "is not allowed here"));
    }
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    assert_true(makes("host=db application_name=mine", &parameters, &error));
    assert_parameter(&parameters, "application_name", "backlog");
    assert_non_null(strstr(postgresql_parameter(&parameters, "passfile"), "nonexistent"));
}

static void variables_of_libpq_are_forgotten(void **state)
{
    (void)state;
    setenv("PGPASSWORD", "word", 1);
    setenv("PGSERVICE", "ours", 1);
    setenv("MY_PGPASSWORD", "word", 1);
    scaler_postgresql.prepare();
    assert_null(getenv("PGPASSWORD"));
    assert_null(getenv("PGSERVICE"));
    assert_string_equal(getenv("MY_PGPASSWORD"), "word");
    unsetenv("MY_PGPASSWORD");
}

/* In others a letter may end with the byte of a quote or a backslash, and hide the end of a string
 * from the rules for queries. */
static void the_encoding_is_ours(void **state)
{
    (void)state;
    static const char *const strings[] = {"host=db", "host=db client_encoding=SJIS"};
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        assert_true(makes(strings[i], &parameters, &error));
        assert_parameter(&parameters, "client_encoding", "UTF8");
    }
}

/* As of the other scalers: a bundle may have its private key. */
static void authorities_are_not_shown(void **state)
{
    (void)state;
    const struct option *row = option_find(postgresql_options, "ca", OPTION_FROM_TRIGGER);
    assert_true(row->flags & OPTION_HIDDEN);
}

/* Of this libpq: a new one may have keywords that nobody here has thought of. */
static void every_other_keyword_is_refused(void **state)
{
    (void)state;
    static const char allowed[] =
        " host port dbname user password connect_timeout client_encoding options application_name "
        "fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count "
        "tcp_user_timeout sslmode sslsni sslcompression ssl_min_protocol_version "
        "ssl_max_protocol_version sslnegotiation channel_binding target_session_attrs "
        "load_balance_hosts ";
    PQconninfoOption *all = PQconndefaults();
    for (const PQconninfoOption *option = all; option->keyword != NULL; option++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        _cleanup_(memory_free) char *word = text_format(" %s ", option->keyword);
        _cleanup_(memory_free) char *string = text_format("host=db %s=x", option->keyword);
        bool is_taken = makes(string, &parameters, &error);
        if (strstr(allowed, word) == NULL && is_taken)
            fail_msg("%s was taken", option->keyword);
    }
    PQconninfoFree(all);
}

static void a_server_cannot_demand_credentials_of_ours(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    assert_true(makes(URL, &parameters, &error));
    assert_parameter(&parameters, "gssencmode", "disable");
    bool can_require = PQlibVersion() >= 160000;
    assert_parameter(&parameters, "require_auth", can_require ? "!gss,!sspi" : NULL);
    assert_parameter(&parameters, "sslcertmode", can_require ? "disable" : NULL);
}

static void a_wrong_connection_string_is_refused_without_showing_it(void **state)
{
    (void)state;
    static const char *const strings[] = {
        "secret",
        "host=db password=a secret",
        "host=db password='secret",
        "postgresql://u:sec@r/et@db/jobs",
        "postgresql://u:sec/ret@db/jobs",
        "postgresql://u:sec?ret@db/jobs",
        "postgresql://u:sec#ret@db/jobs",
        "postgresql://u:secret%zz@db/jobs",
        "postgresql://u:secret@[::1/jobs",
        "postgresql://u:secret",
        "host=db port=secret",
        "host=db port=0",
        "host=db,db port=5432,65536",
        "host=db port=5432,5433",
        "host=db,db,db port=5432,5433",
        "host=secret@db",
        "host=db sslmode=secret",
        "host=db secret=5",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        if (makes(strings[i], &parameters, &error))
            fail_msg("%s was taken", strings[i]);
        assert_int_equal(error.code, ERROR_INVALID);
        if (strstr(error_text(&error), "sec") != NULL)
            fail_msg("%s", error_text(&error));
    }
}

/* KEDA's pgx sends what it does not know to the server. */
static void parameters_of_the_session_are_passed_on(void **state)
{
    (void)state;
    static const struct {
        const char *string, *options;
    } strings[] = {
        {URL "?search_path=jobs", " -csearch_path=jobs"},
        {URL "?options=-csearch_path%3Djobs", "-csearch_path=jobs"},
        {URL "?TimeZone=UTC&sslmode=require", " -cTimeZone=UTC"},
        {URL "?search_path=a%2C%20b&my.tenant=x%5Cy", " -csearch_path=a,\\ b -cmy.tenant=x\\\\y"},
        {URL "?options=-cwork_mem%3D4MB&statement_timeout=5s",
         "-cwork_mem=4MB -cstatement_timeout=5s"},
        {"host=db search_path=jobs", " -csearch_path=jobs"},
        {"host=db search_path = 'a, b' user=u", " -csearch_path=a,\\ b"},
        {"timezone=Europe/Berlin host=db idle_session_timeout=0",
         " -ctimezone=Europe/Berlin -cidle_session_timeout=0"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        if (!makes(strings[i].string, &parameters, &error))
            fail_msg("%s: %s", strings[i].string, error_text(&error));
        assert_parameter(&parameters, "options", strings[i].options);
        assert_parameter(&parameters, "host", "db");
    }
}

static void keywords_of_pgx_that_change_nothing_are_taken(void **state)
{
    (void)state;
    static const char *const strings[] = {
        "postgresql://me:it%27s%20%40@db:5433/jobs?default_query_exec_mode=simple_protocol",
        "postgresql://me:it%27s%20%40@db:5433/jobs?statement_cache_capacity=0&sslmode=require&"
        "description_cache_capacity=0",
        "postgres://me:it%27s%20%40@db:5433/?pool_max_conns=4&pool_max_conn_lifetime=1h&"
        "database=jobs&pool_min_conns=1",
        "host=db port=5433 user=me password='it\\'s @' database=jobs pool_max_conns=4",
        "default_query_exec_mode=exec host=db port=5433 user=me password=it\\'s\\ @ dbname = jobs",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        if (!makes(strings[i], &parameters, &error))
            fail_msg("%s: %s", strings[i], error_text(&error));
        assert_parameter(&parameters, "host", "db");
        assert_parameter(&parameters, "port", "5433");
        assert_parameter(&parameters, "user", "me");
        assert_parameter(&parameters, "password", "it's @");
        assert_parameter(&parameters, "dbname", "jobs");
        assert_parameter(&parameters, "options", NULL);
    }
}

static void what_other_libraries_take_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *string, *words;
    } strings[] = {
        {URL "?pgbouncer=true", "pgbouncer is a keyword of Prisma: remove it"},
        {URL "?sslmode=require&schema=shop", "schema is a keyword of Prisma: write search_path"},
        {"host=db currentSchema=shop", "currentSchema is a keyword of JDBC: write search_path"},
        {URL "?ssl=false", "ssl is a keyword of JDBC and others: write sslmode=require or"},
        {"jdbc:postgresql://db:5432/jobs?user=u&password=sesame", "begins with jdbc:"},
        {"postgresql+psycopg2://u:sesame@db/jobs", "begins with postgresql+psycopg2://"},
        {"postgres+asyncpg://u:sesame@db/jobs", "write postgresql://"},
        {"Host=db;Port=5432;Username=u;Password=sesame", "has ; between its keywords"},
        {"host=db User=u", "keywords are in lower case: write user"},
        {URL "?sslmode=require&sesame=1", "keyword number 2 behind the ? is none of libpq"},
        {URL "?sesame=1", "write options=-cNAME%3DVALUE"},
        {"host=db password=a sesame=1", "keyword number 3 is none of libpq"},
        {"host=db password=a sesame=1", "write options=-cNAME=VALUE"},
        {URL "?search_path", "connection must be postgresql://"},
        {URL "?timezone=%zz", "connection must be postgresql://"},
        {"host=db timezone='UTC", "connection must be postgresql://"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
        if (makes(strings[i].string, &parameters, &error))
            fail_msg("%s was taken", strings[i].string);
        if (strstr(error_text(&error), strings[i].words) == NULL)
            fail_msg("%s", error_text(&error));
        assert_null(strstr(error_text(&error), "sesame"));
    }
}

static void numbers_are_read_as_postgresql_writes_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double number;
    } good[] = {{"0", 0},
                {"37", 37},
                {"-2", -2},
                {"2.50", 2.5},
                {"1e+20", 1e20},
                {"1.5e-3", .0015},
                {"9223372036854775807", 9223372036854775807.0}};
    double number;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(postgresql_answer_parse_number(good[i].text, &number));
        assert_true(number == good[i].number);
    }
    static const char *const bad[] = {"",      " 1",  "1 ",    "NaN",  "Infinity", "-Infinity",
                                      "inf",   "0x1", "1,5",   "1e",   "t",        "--1",
                                      "1.2.3", "e5",  "1e999", "$1.00"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        if (postgresql_answer_parse_number(bad[i], &number))
            fail_msg("\"%s\" was taken", bad[i]);
}

static void only_what_has_a_query_is_reported(void **state)
{
    (void)state;
    static const struct {
        struct postgresql_query query;
        unsigned reports;
    } rows[] = {
        {{.query = "a"}, 0},
        {{.query = "a", .in_flight_query = "b"}, READING_WANT_IN_FLIGHT},
        {{.query = "a", .arrival_query = "c"}, READING_WANT_RATES},
        {{.query = "a", .consumption_query = "d"}, READING_WANT_RATES},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *advice = NULL;
        const struct options options = {.query = &rows[i].query};
        assert_int_equal(scaler_postgresql.reports(&options, &advice), rows[i].reports);
        assert_non_null(strstr(advice, "set inFlightQuery"));
    }
}

/* ---- what a result means ---- */

enum { MAX_COLUMNS = 5 };

static bool answer_by_result(void *result, struct feed *feed, struct error *error)
{
    (void)error;
    struct task *task = feed_take(feed);
    if (task != NULL)
        postgresql_answer_take(task, result);
    return true;
}

/* A row of these columns, up to a NULL; "NULL" is SQL's. */
static PGresult *row_of(const char *const *columns)
{
    static char name[] = "n";
    PGresAttDesc descriptions[MAX_COLUMNS] = {0};
    int count = 0;
    for (; columns[count] != NULL; count++)
        descriptions[count].name = name;
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_true(PQsetResultAttrs(result, count, descriptions));
    for (int i = 0; i < count; i++) {
        bool is_null = text_equal(columns[i], "NULL");
        assert_true(PQsetvalue(result, 0, i, is_null ? NULL : (char *)columns[i],
                               is_null ? -1 : (int)strlen(columns[i])));
    }
    return result;
}

/* A feed whose task has ended with the result, which is freed. The caller frees the feed. */
static struct test_feed *end_by(const struct postgresql_query *query, PGresult *result)
{
    static struct scaler scaler;
    _cleanup_(error_done) struct error error = {0};
    scaler = scaler_postgresql;
    scaler.measure = answer_by_result;
    struct test_feed *feed = test_feed_new(&scaler);
    test_feed_add(feed, query, (struct notifier){0});
    assert_true(test_feed_run(feed, result, 10000, &error));
    PQclear(result);
    return feed;
}

static void each_query_has_its_column(void **state)
{
    (void)state;
    const struct postgresql_query all = {
        .query = "a", .in_flight_query = "b", .arrival_query = "c", .consumption_query = "d"};
    struct test_feed *feed = end_by(&all, row_of((const char *[]){"1", "2", "3", "4", NULL}));
    assert_ended(feed, 0, TASK_ANSWERED);
    const struct reading *reading = &test_feed_task(feed, 0)->reading;
    assert_true(reading->value == 1 && reading->in_flight == 2);
    assert_true(reading->arrived == 3 && reading->consumed == 4);
    test_feed_free(feed);

    const struct postgresql_query two = {.query = "a", .consumption_query = "d"};
    feed = end_by(&two, row_of((const char *[]){"1", "4", NULL}));
    assert_ended(feed, 0, TASK_ANSWERED);
    reading = &test_feed_task(feed, 0)->reading;
    assert_true(reading->value == 1 && reading->consumed == 4);
    assert_true(isnan(reading->in_flight) && isnan(reading->arrived) && isnan(reading->waiting));
    test_feed_free(feed);
}

static void what_is_no_number_for_each_query_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *columns[MAX_COLUMNS];
        const char *words;
    } bad[] = {
        {{"NULL", "1"}, "the query returned NULL"},
        {{"1", "NULL"}, "arrivalQuery returned NULL"},
        {{"NaN", "1"}, "the query returned \"NaN\", which is not a finite number"},
        {{"1", "no"}, "arrivalQuery returned \"no\", which is not a finite number"},
        {{"1"}, "must return exactly one column: it returned 1"},
        {{"1", "2", "3"}, "must return exactly one column: it returned 3"},
    };
    const struct postgresql_query query = {.query = "a", .arrival_query = "c"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct test_feed *feed = end_by(&query, row_of(bad[i].columns));
        assert_ended_with(feed, 0, TASK_FAILED, bad[i].words);
        test_feed_free(feed);
    }
}

static void a_result_without_a_row_is_an_error(void **state)
{
    (void)state;
    static const struct {
        ExecStatusType status;
        const char *words;
    } bad[] = {
        {PGRES_TUPLES_OK, "the query returned no row"},
        {PGRES_COMMAND_OK, "the query must be a SELECT"},
        {PGRES_EMPTY_QUERY, "the query must be a SELECT"},
        {PGRES_FATAL_ERROR, "PostgreSQL refused the query"},
    };
    const struct postgresql_query query = {.query = "a"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct test_feed *feed = end_by(&query, PQmakeEmptyPGresult(NULL, bad[i].status));
        assert_ended_with(feed, 0, TASK_FAILED, bad[i].words);
        test_feed_free(feed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_metric_is_named_as_keda_names_it),
        cmocka_unit_test(active_is_above_the_activation_value_and_not_at_it),
        cmocka_unit_test(urls_and_pairs_are_understood),
        cmocka_unit_test(parts_are_taken_as_they_are),
        cmocka_unit_test(a_connection_string_names_no_file_of_the_server),
        cmocka_unit_test(variables_of_libpq_are_forgotten),
        cmocka_unit_test(the_encoding_is_ours),
        cmocka_unit_test(authorities_are_not_shown),
        cmocka_unit_test(every_other_keyword_is_refused),
        cmocka_unit_test(a_server_cannot_demand_credentials_of_ours),
        cmocka_unit_test(a_wrong_connection_string_is_refused_without_showing_it),
        cmocka_unit_test(parameters_of_the_session_are_passed_on),
        cmocka_unit_test(keywords_of_pgx_that_change_nothing_are_taken),
        cmocka_unit_test(what_other_libraries_take_is_refused_by_name),
        cmocka_unit_test(numbers_are_read_as_postgresql_writes_them),
        cmocka_unit_test(only_what_has_a_query_is_reported),
        cmocka_unit_test(each_query_has_its_column),
        cmocka_unit_test(what_is_no_number_for_each_query_is_an_error),
        cmocka_unit_test(a_result_without_a_row_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
