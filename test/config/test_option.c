#include "base/memory.h"
#include "base/text.h"
#include "config/option.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct connection {
    const char *host;
    struct option_list hosts;
    const char *password;
    bool tls;
    int64_t sessions;
};

struct query {
    const char *queue;
    struct option_list topics;
    struct option_ranges partitions;
    int policy;
};

struct target {
    int64_t length;
    double activation;
    int64_t timeout_ms;
    int64_t pause_ms;
};

static const char *const policies[] = {"latest", "earliest", NULL};

static const struct option table[] = {
    {"host", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, host),
     .flags = OPTION_REQUIRED | OPTION_URL, .doc = "where the broker is"},
    {"password", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, password),
     .flags = OPTION_SECRET},
    {"brokerTls", "enableTLS", OPTION_CONNECTION, OPTION_BOOL, OPTION_FIELD(struct connection, tls),
     .flags = OPTION_ALIAS_IN_FILE, .default_value = "false"},
    {"maxSessions", NULL, OPTION_CONNECTION, OPTION_INT, OPTION_FIELD(struct connection, sessions),
     .flags = OPTION_FILE_ONLY | OPTION_NO_IDENTITY, .default_value = "4"},
    {"queueName", "queue", OPTION_QUERY, OPTION_STRING, OPTION_FIELD(struct query, queue),
     .flags = OPTION_REQUIRED, .doc = "the queue"},
    {"topics", NULL, OPTION_QUERY, OPTION_LIST, OPTION_FIELD(struct query, topics)},
    {"partitionLimitation", NULL, OPTION_QUERY, OPTION_RANGES,
     OPTION_FIELD(struct query, partitions)},
    {"offsetResetPolicy", NULL, OPTION_QUERY, OPTION_CHOICE, OPTION_FIELD(struct query, policy),
     .choices = policies, .default_value = "latest"},
    {"queueLength", NULL, OPTION_TARGET, OPTION_INT, OPTION_FIELD(struct target, length),
     .default_value = "20", .limits = {1, INFINITY}},
    {"activationValue", NULL, OPTION_TARGET, OPTION_FLOAT, OPTION_FIELD(struct target, activation),
     .default_value = "0"},
    {"timeout", NULL, OPTION_TARGET, OPTION_DURATION, OPTION_FIELD(struct target, timeout_ms),
     .flags = OPTION_BARE_MS, .default_value = "3s"},
    {"pause", NULL, OPTION_TARGET, OPTION_DURATION, OPTION_FIELD(struct target, pause_ms),
     .limits = {0, 60000}},
    {0},
};

static const size_t sizes[OPTION_SCOPES] = {sizeof(struct connection), sizeof(struct query),
                                            sizeof(struct target)};
static const struct option others[] = {
    {.key = "scaler"},
    {.key = "scalerAddress"},
    {.key = "enableTLS"},
    {0},
};

struct parsed {
    struct option_values *values[OPTION_SCOPES];
    struct error error;
    bool good;
};

static void parsed_done(struct parsed *parsed)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(parsed->values[scope]);
    error_done(&parsed->error);
}

static struct parsed parse_from(enum option_origin origin, const char *const *pairs)
{
    struct parsed parsed = {0};
    struct option_entry entries[32];
    size_t count = 0;
    for (; pairs[2 * count] != NULL; count++)
        entries[count] = (struct option_entry){pairs[2 * count], pairs[2 * count + 1]};
    parsed.good = option_parse(table, sizes, &(struct option_input){entries, count, origin, others},
                               parsed.values, &parsed.error);
    return parsed;
}

#define PARSE(...) parse_from(OPTION_FROM_TRIGGER, (const char *const[]){__VA_ARGS__, NULL, NULL})
#define PARSE_FILE(...) parse_from(OPTION_FROM_FILE, (const char *const[]){__VA_ARGS__, NULL, NULL})
#define CONNECTION(parsed) ((const struct connection *)(parsed).values[OPTION_CONNECTION]->data)
#define QUERY(parsed) ((const struct query *)(parsed).values[OPTION_QUERY]->data)
#define TARGET(parsed) ((const struct target *)(parsed).values[OPTION_TARGET]->data)
#define GOOD "host", "amqp://b", "queueName", "q"

/* A table of so many optional strings; the caller's rows and keys. */
static void fill(struct option *rows, char (*keys)[32], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof(keys[i]), "key%zu", i);
        rows[i] = (struct option){.key = keys[i],
                                  .scope = OPTION_CONNECTION,
                                  .type = OPTION_STRING,
                                  .offset = i * sizeof(const char *)};
    }
}

static void the_last_row_of_a_full_table_is_as_the_first(void **state)
{
    (void)state;
    enum { LAST = OPTION_MAX_ROWS - 1 };
    struct option rows[OPTION_MAX_ROWS + 1] = {0};
    char keys[OPTION_MAX_ROWS][32];
    const size_t one_scope[OPTION_SCOPES] = {OPTION_MAX_ROWS * sizeof(const char *), 1, 1};
    fill(rows, keys, OPTION_MAX_ROWS);
    const struct option_entry entry = {keys[LAST], "x"};
    struct parsed parsed = {0};
    assert_true(option_parse(rows, one_scope,
                             &(struct option_input){&entry, 1, OPTION_FROM_FILE, NULL},
                             parsed.values, &parsed.error));
    assert_true(option_is_given(parsed.values[OPTION_CONNECTION], keys[LAST]));
    assert_false(option_is_given(parsed.values[OPTION_CONNECTION], keys[0]));
    assert_true(option_shows(parsed.values[OPTION_CONNECTION], LAST));
    parsed_done(&parsed);
}

static void a_table_with_too_many_rows_ends_the_program(void **state)
{
    (void)state;
    struct option rows[OPTION_MAX_ROWS + 2] = {0};
    char keys[OPTION_MAX_ROWS + 1][32];
    fill(rows, keys, OPTION_MAX_ROWS + 1);
    pid_t pid = fork();
    if (pid == 0) {
        option_count(rows);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void absent_and_blank_values_are_the_default(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = PARSE(GOOD, "queueLength", "  ", "timeout", "");
    assert_true(parsed.good);
    assert_int_equal(TARGET(parsed)->length, 20);
    assert_int_equal(TARGET(parsed)->timeout_ms, 3000);
    assert_int_equal(QUERY(parsed)->policy, 0);
    assert_null(CONNECTION(parsed)->password);
    assert_int_equal(QUERY(parsed)->topics.count, 0);
}

static void every_type_is_read_into_its_field(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        PARSE(GOOD, "topics", " a, b ,,c", "partitionLimitation", "1,2, 10-20", "offsetResetPolicy",
              "earliest", "queueLength", " 5 ", "activationValue", "1e3", "timeout", "1m30.5s");
    assert_true(parsed.good);
    assert_int_equal(QUERY(parsed)->topics.count, 4);
    assert_string_equal(QUERY(parsed)->topics.items[1], "b");
    assert_string_equal(QUERY(parsed)->topics.items[2], "");
    assert_int_equal(QUERY(parsed)->partitions.count, 3);
    assert_int_equal(QUERY(parsed)->partitions.items[2].last, 20);
    assert_int_equal(QUERY(parsed)->policy, 1);
    assert_int_equal(TARGET(parsed)->length, 5);
    assert_true(TARGET(parsed)->activation == 1000);
    assert_int_equal(TARGET(parsed)->timeout_ms, 90500);
}

static void a_value_from_the_environment_counts_after_the_metadata(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed env = PARSE("hostFromEnv", "amqp://env", "queueName", "q");
    assert_true(env.good);
    assert_string_equal(CONNECTION(env)->host, "amqp://env");

    _cleanup_(parsed_done) struct parsed both = PARSE(GOOD, "hostFromEnv", "amqp://env");
    assert_string_equal(CONNECTION(both)->host, "amqp://b");
}

static void an_alias_is_another_name_of_the_key(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = PARSE("host", "h", "queue", "q");
    assert_true(parsed.good);
    assert_string_equal(QUERY(parsed)->queue, "q");
}

static void the_key_that_keda_reads_itself_counts_only_in_the_file(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed trigger = PARSE(GOOD, "enableTLS", "true");
    assert_true(trigger.good);
    assert_false(CONNECTION(trigger)->tls);

    _cleanup_(parsed_done) struct parsed file = PARSE_FILE(GOOD, "enableTLS", "true");
    assert_true(CONNECTION(file)->tls);
}

/* Its nearest key can be of another meaning: cert is shown, caCert is trusted. */
static void a_key_of_keda_s_calls_is_refused_by_name_where_it_has_no_meaning(void **state)
{
    (void)state;
    static const struct option keys[] = {
        {"ca", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, host)},
        {"cert", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, password)},
        {0},
    };
    static const struct {
        const char *key, *mistake;
    } cases[] = {
        {"caCert", "caCert is for KEDA's calls to Backlog: for the source set ca"},
        {"tlsCertFile", "tlsCertFile is for KEDA's calls to Backlog: for the source set ca"},
        {"tlsCert", "tlsCertFile is for KEDA's calls to Backlog: for the source set ca"},
        {"tlsClientCert", "tlsClientCert is for KEDA's calls to Backlog: for the source set cert"},
        {"tlsClientKey", "tlsClientKey is for KEDA's calls to Backlog: remove it"},
        {"enableTLS", "enableTLS is for KEDA's calls to Backlog: remove it"},
        {"unsafeSsl", "unsafeSsl is for KEDA's calls to Backlog: remove it"},
        {"scalerAddress", "scalerAddress is for KEDA's calls to Backlog: remove it"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(error_done) struct error error = {0};
        const struct option_entry entry = {cases[i].key, "x"};
        assert_false(option_check_entry(keys, NULL, &entry, OPTION_FROM_FILE, &error));
        assert_string_equal(error_text(&error), cases[i].mistake);
    }
}

static void all_mistakes_are_reported_at_once_with_key_value_and_what_is_allowed(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        PARSE("host", "h", "queueLenght", "5", "queueLength", "0", "offsetResetPolicy", "newest",
              "timeout", "-3s", "zebra", "1");
    assert_false(parsed.good);
    assert_string_equal(
        error_text(&parsed.error),
        "queueName is missing: the queue; "
        "offsetResetPolicy \"newest\" must be latest or earliest; "
        "queueLength \"0\" must be a whole number such as 10, at least 1; "
        "timeout \"-3s\" must be a duration such as 30s, 1m30s or 500ms (a bare number is "
        "milliseconds); "
        "unknown key \"queueLenght\": did you mean \"queueLength\"?; "
        "unknown key \"zebra\"");
}

static void of_many_unknown_keys_the_first_are_named_and_the_rest_are_counted(void **state)
{
    (void)state;
    char keys[20][20];
    const char *pairs[2 * 20 + 6] = {GOOD};
    for (int i = 0; i < 20; i++) {
        snprintf(keys[i], sizeof(keys[i]), "zebra%d", i);
        pairs[4 + 2 * i] = keys[i];
        pairs[5 + 2 * i] = "1";
    }
    _cleanup_(parsed_done) struct parsed parsed = parse_from(OPTION_FROM_TRIGGER, pairs);
    assert_false(parsed.good);
    assert_non_null(
        strstr(error_text(&parsed.error), "unknown key \"zebra15\"; 4 more unknown keys"));
    assert_null(strstr(error_text(&parsed.error), "zebra16"));
}

static void wrong_metadata_still_has_complete_values(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = PARSE("queueLength", "many");
    assert_false(parsed.good);
    assert_int_equal(TARGET(parsed)->length, 20);
    assert_string_equal(QUERY(parsed)->queue, "");
    assert_string_equal(CONNECTION(parsed)->host, "");
}

static void a_wrong_value_from_the_environment_is_not_shown(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = PARSE(GOOD, "queueLengthFromEnv", "s3cret");
    assert_false(parsed.good);
    assert_null(strstr(error_text(&parsed.error), "s3cret"));
    assert_non_null(strstr(error_text(&parsed.error), "queueLength must be"));
}

static void equal_values_have_equal_identities_and_secrets_are_hidden_in_them(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed one = PARSE(GOOD, "password", "s3cret");
    _cleanup_(parsed_done) struct parsed same = PARSE("passwordFromEnv", " s3cret ", GOOD);
    _cleanup_(parsed_done) struct parsed other = PARSE(GOOD, "password", "0ther");
    const char *identity = one.values[OPTION_CONNECTION]->identity;
    assert_string_equal(identity, same.values[OPTION_CONNECTION]->identity);
    assert_string_not_equal(identity, other.values[OPTION_CONNECTION]->identity);
    assert_null(strstr(identity, "s3cret"));
    assert_null(strstr(identity, "amqp://b"));
    assert_string_equal(one.values[OPTION_QUERY]->identity, other.values[OPTION_QUERY]->identity);
}

/* Those that are shared: what was set, and what may be shown, is not in their texts. */
static void equal_values_have_equal_texts_set_by_the_same_keys(void **state)
{
    (void)state;
    static const char *const pairs[][9] = {
        {GOOD, "queueLength", "21"},
        {GOOD, "queueLength", "20"},      /* the default */
        {GOOD, "queueLengthFromEnv", ""}, /* not set */
        {GOOD, "timeoutFromEnv", "4s"},
    };
    _cleanup_(parsed_done) struct parsed unset = PARSE(GOOD);
    _cleanup_(parsed_done) struct parsed set = PARSE(GOOD, "timeout", "4s");
    _cleanup_(parsed_done) struct parsed more = PARSE(GOOD, "queueLength", "22");
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        _cleanup_(parsed_done) struct parsed other = parse_from(OPTION_FROM_TRIGGER, pairs[i]);
        _cleanup_(parsed_done) struct parsed same = parse_from(OPTION_FROM_TRIGGER, pairs[i]);
        const struct option_values *values = other.values[OPTION_TARGET];
        assert_true(other.good);
        assert_true(option_values_equal(values, values));
        assert_true(option_values_equal(values, same.values[OPTION_TARGET]));
        assert_true(option_values_equal(values, unset.values[OPTION_TARGET]) == (i == 2));
        assert_false(option_values_equal(values, set.values[OPTION_TARGET]));
        assert_false(option_values_equal(values, more.values[OPTION_TARGET]));
        assert_false(option_values_equal(values, same.values[OPTION_QUERY]));
    }
}

static void how_a_connection_is_used_is_not_in_its_identity(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed one = PARSE(GOOD, "maxSessions", "1");
    _cleanup_(parsed_done) struct parsed other = PARSE(GOOD, "maxSessions", "16");
    const struct option_values *values = one.values[OPTION_CONNECTION];
    assert_string_equal(values->identity, other.values[OPTION_CONNECTION]->identity);
    assert_true(option_values_source(values) ==
                option_values_source(other.values[OPTION_CONNECTION]));
    assert_int_equal(CONNECTION(one)->sessions, 1);
    assert_int_equal(CONNECTION(other)->sessions, 16);
}

static bool same_place(const struct option *rows, const char *key, const char *one,
                       const char *other)
{
    const struct option_entry entries[] = {{key, one}, {key, other}};
    struct option_values *values[2][OPTION_SCOPES];
    _cleanup_(error_done) struct error error = {0};
    for (int i = 0; i < 2; i++) {
        option_parse(rows, sizes, &(struct option_input){&entries[i], 1, OPTION_FROM_FILE},
                     values[i], &error);
        option_values_free(values[i][OPTION_QUERY]);
        option_values_free(values[i][OPTION_TARGET]);
    }
    bool same = option_values_source(values[0][OPTION_CONNECTION]) ==
                option_values_source(values[1][OPTION_CONNECTION]);
    option_values_free(values[0][OPTION_CONNECTION]);
    option_values_free(values[1][OPTION_CONNECTION]);
    return same;
}

static void other_credentials_lead_to_the_same_place(void **state)
{
    (void)state;
    static const struct {
        unsigned flags;
        const char *one;
        const char *other;
        bool same;
        bool is_list;
    } cases[] = {
        {0, "a:9092", "a:9092", true},
        {0, "a:9092", "b:9092", false},
        {0, "a:9092", "", false},
        {0, "amqp://u:p@a", "amqp://u:q@a", false},
        {OPTION_SECRET, "one", "two", true},
        {OPTION_SECRET, "one", "", true},
        {OPTION_CREDENTIAL, "one", "two", true},
        {OPTION_SECRET | OPTION_ADDRESS, "host=a password=one", "host=b password=one", false},
        {OPTION_SECRET | OPTION_ADDRESS, "postgresql://u:p@a/d", "postgresql://u:q@a/d", true},
        {OPTION_URL, "amqp://u:p@a:5672/vhost", "amqp://v:q@a:5672/vhost", true},
        {OPTION_URL, "amqp://u:p@a:5672/vhost", "amqp://a:5672/vhost", true},
        {OPTION_URL, "amqp://u:p@a:5672/vhost", "amqp://u:p@b:5672/vhost", false},
        {OPTION_URL, "amqp://u:p@a:5672/vhost", "amqp://u:p@a:5672/other", false},
        {OPTION_URL, "nats://u:p@a,nats://u:p@b", "nats://u:q@a,nats://u:q@b", true, true},
        {OPTION_URL, "nats://u:p@a,nats://u:p@b", "nats://u:p@a,nats://u:p@c", false, true},
        {OPTION_URL, "nats://a,nats://b", "nats://anats://b", false, true},
        {OPTION_URL, "amqp://u:p@1@a/v", "amqp://u:p@2@a/v", true},
        {OPTION_URL, "amqp://u:p,1@a/v", "amqp://u:p,2@a/v", true},
        {OPTION_URL, "amqp://a/jobs@eu", "amqp://b/jobs@eu", false},
        {OPTION_URL, "http://a/@b", "http://a/@c", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct option rows[] = {{.key = "host",
                                 .scope = OPTION_CONNECTION,
                                 .type = OPTION_STRING,
                                 OPTION_FIELD(struct connection, host),
                                 .flags = cases[i].flags},
                                {0}};
        if (cases[i].is_list)
            rows[0] = (struct option){.key = "host",
                                      .scope = OPTION_CONNECTION,
                                      .type = OPTION_LIST,
                                      OPTION_FIELD(struct connection, hosts),
                                      .flags = cases[i].flags};
        if (same_place(rows, "host", cases[i].one, cases[i].other) != cases[i].same)
            fail_msg("%s and %s", cases[i].one, cases[i].other);
    }
}

static uint64_t source_of(const struct option *rows, const char *key, const char *value)
{
    _cleanup_(error_done) struct error error = {0};
    const struct option_entry entry = {key, value};
    const struct option_input input = {&entry, 1, OPTION_FROM_TRIGGER};
    struct option_values *values =
        option_parse_scope(rows, sizes, &input, OPTION_CONNECTION, &error);
    uint64_t source = option_values_source(values);
    option_values_free(values);
    return source;
}

static void one_value_of_two_keys_leads_to_two_places(void **state)
{
    (void)state;
    static const struct option rows[] = {
        {"host", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, host)},
        {"region", NULL, OPTION_CONNECTION, OPTION_STRING,
         OPTION_FIELD(struct connection, password)},
        {0},
    };
    assert_true(source_of(rows, "host", "eu") == source_of(rows, "host", "eu"));
    assert_true(source_of(rows, "host", "eu") != source_of(rows, "region", "eu"));
}

static const struct option *row_of(const char *key)
{
    return option_find(table, key, OPTION_FROM_TRIGGER);
}

static void what_chooses_the_place_or_what_is_measured_steers_credentials(void **state)
{
    (void)state;
    static const struct option secret_url = {
        .key = "url", .scope = OPTION_CONNECTION, .flags = OPTION_URL | OPTION_SECRET};
    assert_true(option_steers_credentials(row_of("host")));
    assert_true(option_steers_credentials(row_of("brokerTls")));
    assert_true(option_steers_credentials(row_of("queueName")));
    assert_true(option_steers_credentials(&secret_url));
    assert_false(option_steers_credentials(row_of("password")));
    assert_false(option_steers_credentials(row_of("queueLength")));
}

static void an_entry_is_checked_alone(void **state)
{
    (void)state;
    static const struct {
        struct option_entry entry;
        const char *words; /* NULL: it is good */
    } cases[] = {
        {{"queueLength", "5"}, NULL},
        {{"queueLength", " "}, NULL},
        {{"scaler", "any"}, NULL},
        {{"queueLength", "x"}, "queueLength \"x\""},
        {{"queueLenght", "5"}, "did you mean \"queueLength\"?"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(error_done) struct error error = {0};
        bool good = option_check_entry(table, others, &cases[i].entry, OPTION_FROM_TRIGGER, &error);
        assert_int_equal(good, cases[i].words == NULL);
        assert_int_equal(error_is_set(&error), !good);
        if (cases[i].words != NULL)
            assert_non_null(strstr(error_text(&error), cases[i].words));
    }
}

/* The file has connections alone. */
static void what_is_required_depends_on_where_it_is_written(void **state)
{
    (void)state;
    static const struct {
        enum option_origin origin;
        bool host, queue; /* it is said to be missing */
    } cases[] = {
        {OPTION_FROM_TRIGGER, true, true},
        {OPTION_FROM_TRIGGER_ALONE, false, true},
        {OPTION_FROM_FILE, true, false},
        {OPTION_FROM_CREDENTIALS, false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(parsed_done) struct parsed parsed =
            parse_from(cases[i].origin, (const char *const[]){"password", "pw", NULL, NULL});
        const char *text = error_text(&parsed.error);
        assert_int_equal(strstr(text, "host is missing") != NULL, cases[i].host);
        assert_int_equal(strstr(text, "queueName is missing") != NULL, cases[i].queue);
    }
}

/* A scaler's hooks are called all the same. */
static void a_required_key_that_credentials_lack_is_empty(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = {0};
    _cleanup_(error_done) struct error error = {0};
    const struct option_entry password = {"password", "pw"};
    const struct option_entry queue = {"queueName", "q"};
    const struct option_input own = {&password, 1, OPTION_FROM_CREDENTIALS};
    struct option_values *credentials =
        option_parse_scope(table, sizes, &own, OPTION_CONNECTION, &error);
    const struct option_input input = {
        .entries = &queue, .count = 1, .origin = OPTION_FROM_TRIGGER, .credentials = credentials};
    assert_false(option_parse(table, sizes, &input, parsed.values, &parsed.error));
    assert_string_equal(error_text(&parsed.error), "host is missing: where the broker is");
    const struct connection *connection = parsed.values[OPTION_CONNECTION]->data;
    assert_string_equal(connection->host, "");
    assert_string_equal(connection->password, "pw");
    option_values_free(credentials);
}

static void values_can_be_made_again_from_their_texts(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = PARSE(GOOD, "topics", "a,b");
    const struct option_values *query = parsed.values[OPTION_QUERY];
    struct option_values *again = option_values_new(table, sizeof(struct query), OPTION_QUERY,
                                                    (const char *const *)query->texts);
    assert_string_equal(again->identity, query->identity);
    assert_string_equal(((const struct query *)again->data)->topics.items[1], "b");
    option_values_free(again);
}

static void a_duration_that_is_too_long_is_an_error_with_the_limit(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed = PARSE(GOOD, "timeout", "87601h");
    assert_string_equal(error_text(&parsed.error),
                        "timeout \"87601h\" must be at most 87600h (ten years)");
}

/* KEDA's typed configuration, both sides of each boundary. */
static const struct {
    const char *key;
    const char *value;
    bool good;
} keda_cases[] = {
    {"queueLength", "10", true},
    {"queueLength", "9223372036854775807", true},
    {"queueLength", "010", false},
    {"queueLength", "+10", false},
    {"queueLength", "1e3", false},
    {"queueLength", "10.0", false},
    {"queueLength", "0x10", false},
    {"queueLength", "1_000", false},
    {"queueLength", "9223372036854775808", false},
    {"activationValue", "1.5", true},
    {"activationValue", "-2", true},
    {"activationValue", "1e3", true},
    {"activationValue", "-1.5E-3", true},
    {"activationValue", ".5", false},
    {"activationValue", "5.", false},
    {"activationValue", "NaN", false},
    {"activationValue", "Inf", false},
    {"activationValue", "+1", false},
    {"activationValue", "0100", false},
    {"activationValue", "1,5", false},
    {"activationValue", "1e400", false},
    {"brokerTls", "1", true},
    {"brokerTls", "t", true},
    {"brokerTls", "T", true},
    {"brokerTls", "TRUE", true},
    {"brokerTls", "true", true},
    {"brokerTls", "True", true},
    {"brokerTls", "0", true},
    {"brokerTls", "f", true},
    {"brokerTls", "F", true},
    {"brokerTls", "FALSE", true},
    {"brokerTls", "false", true},
    {"brokerTls", "False", true},
    {"brokerTls", "yes", false},
    {"brokerTls", "tRue", false},
    {"timeout", "300ms", true},
    {"timeout", "+1s", true},
    {"timeout", "-0s", true},
    {"timeout", "+-1s", false},
    {"timeout", "-1s", false},
    {"timeout", "1h2m3s", true},
    {"timeout", "1500", true},
    {"timeout", "0", true},
    {"timeout", "1.5s", true},
    {"timeout", ".5h5.m", true},
    {"timeout", "+", false},
    {"timeout", "+5", false},
    {"timeout", "1e3s", false},
    {"timeout", "87600h", true},
    {"timeout", "3650d", false},
    {"timeout", "87601h", false},
    {"timeout", "0.5", false},
    {"timeout", "10d", false},
    {"timeout", "1.2.3s", false},
    {"timeout", "1..5s", false},
    {"timeout", "1.", false},
    {"timeout", "s", false},
    {"timeout", "-1", false},
    {"pause", "5s", true},
    {"pause", "0s", true},
    {"pause", "0.5ms", true},
    {"pause", "5", false}, /* seconds or milliseconds? */
    {"pause", "0", false},
    {"pause", "-5", false},
    {"pause", "60001ms", false},
    {"offsetResetPolicy", "latest,earliest", false},
    {"offsetResetPolicy", "Latest", false},
    {"partitionLimitation", " 1, 3 - 5 ,7", true},
    {"partitionLimitation", "1-", false},
    {"partitionLimitation", "5-3", false},
    {"partitionLimitation", "1,,2", false},
};

static void numbers_and_bools_are_read_as_keda_reads_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(keda_cases); i++) {
        _cleanup_(parsed_done) struct parsed parsed =
            PARSE(GOOD, keda_cases[i].key, keda_cases[i].value);
        if (parsed.good != keda_cases[i].good)
            fail_msg("%s \"%s\": %s", keda_cases[i].key, keda_cases[i].value,
                     error_text(&parsed.error));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_row_of_a_full_table_is_as_the_first),
        cmocka_unit_test(a_table_with_too_many_rows_ends_the_program),
        cmocka_unit_test(absent_and_blank_values_are_the_default),
        cmocka_unit_test(every_type_is_read_into_its_field),
        cmocka_unit_test(a_value_from_the_environment_counts_after_the_metadata),
        cmocka_unit_test(an_alias_is_another_name_of_the_key),
        cmocka_unit_test(the_key_that_keda_reads_itself_counts_only_in_the_file),
        cmocka_unit_test(a_key_of_keda_s_calls_is_refused_by_name_where_it_has_no_meaning),
        cmocka_unit_test(all_mistakes_are_reported_at_once_with_key_value_and_what_is_allowed),
        cmocka_unit_test(of_many_unknown_keys_the_first_are_named_and_the_rest_are_counted),
        cmocka_unit_test(wrong_metadata_still_has_complete_values),
        cmocka_unit_test(a_wrong_value_from_the_environment_is_not_shown),
        cmocka_unit_test(equal_values_have_equal_identities_and_secrets_are_hidden_in_them),
        cmocka_unit_test(equal_values_have_equal_texts_set_by_the_same_keys),
        cmocka_unit_test(how_a_connection_is_used_is_not_in_its_identity),
        cmocka_unit_test(other_credentials_lead_to_the_same_place),
        cmocka_unit_test(one_value_of_two_keys_leads_to_two_places),
        cmocka_unit_test(what_chooses_the_place_or_what_is_measured_steers_credentials),
        cmocka_unit_test(an_entry_is_checked_alone),
        cmocka_unit_test(what_is_required_depends_on_where_it_is_written),
        cmocka_unit_test(a_required_key_that_credentials_lack_is_empty),
        cmocka_unit_test(values_can_be_made_again_from_their_texts),
        cmocka_unit_test(a_duration_that_is_too_long_is_an_error_with_the_limit),
        cmocka_unit_test(numbers_and_bools_are_read_as_keda_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
