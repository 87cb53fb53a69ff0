/* What NATS answers: its API of a consumer and of subjects, and its monitoring port. */
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "nats_jetstream/client/config.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/monitoring/jsz.h"
#include "nats_jetstream/monitoring/nodes.h"
#include "nats_jetstream/options.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct nats_query orders = {.stream = "orders", .consumer = "workers"};

static bool parse(const char *answer, struct reading *ret_reading, struct error *error)
{
    struct nats_consumer_origin origin;
    return nats_consumer_info_parse(answer, strlen(answer), &orders, ret_reading, &origin, error);
}

static void an_answer_has_both_counts(void **state)
{
    (void)state;
    const char *answer = "{\"type\":\"io.nats.jetstream.api.v1.consumer_info_response\","
                         "\"num_ack_pending\":4,\"num_waiting\":9,\"num_pending\":3}";
    struct reading reading;
    struct error error = {0};
    assert_true(parse(answer, &reading, &error));
    assert_true(reading.waiting == 3);
    assert_true(reading.in_flight == 4);
    assert_true(isnan(reading.value));
}

static void totals_are_those_of_deliveries(void **state)
{
    (void)state;
    const char *answer = "{\"delivered\":{\"consumer_seq\":10,\"stream_seq\":400},"
                         "\"num_ack_pending\":4,\"num_pending\":3}";
    const char *without = "{\"num_ack_pending\":4,\"num_pending\":3}";
    struct reading reading;
    struct error error = {0};
    assert_true(parse(answer, &reading, &error));
    assert_true(reading.arrived == 13 && reading.consumed == 6);
    assert_true(parse(without, &reading, &error));
    assert_true(isnan(reading.arrived) && isnan(reading.consumed));
}

/* JetStream's pauses (2.11). Messages that a worker has are still worked on. */
static void a_paused_consumer_delivers_nothing_that_is_pending(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        double waiting, paused_seconds;
    } rows[] = {
        {"", 7, 0},
        {",\"config\":{\"pause_until\":\"2020-01-01T00:00:00Z\"}", 7, 0},
        {",\"paused\":false", 7, 0},
        {",\"paused\":true,\"pause_remaining\":90400000000", 0, 90},
        {",\"paused\":true,\"pause_remaining\":4000", 0, 1},
        {",\"paused\":true", 0, 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct reading reading;
        struct error error = {0};
        struct nats_consumer_origin origin;
        _cleanup_(memory_free) char *answer =
            text_format("{\"delivered\":{\"consumer_seq\":10},\"num_ack_pending\":4,"
                        "\"num_pending\":7%s}",
                        rows[i].fields);
        assert_true(
            nats_consumer_info_parse(answer, strlen(answer), &orders, &reading, &origin, &error));
        assert_true(reading.waiting == rows[i].waiting && reading.in_flight == 4);
        assert_true(reading.arrived == 17 && reading.consumed == 6); /* a pause consumes nothing */
        assert_true(origin.paused_seconds == rows[i].paused_seconds);
    }
}

#define COUNTS "\"num_pending\":0,\"num_ack_pending\":0"

/* With a cluster's leader, or with anything that a node without its replica cannot know. */
static void an_answer_has_the_state_of_a_consumer_or_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum nats_consumer_source source;
    } rows[] = {
        {"{" COUNTS "}", NATS_CONSUMER_DEFAULTS},
        {"{" COUNTS ",\"delivered\":{\"consumer_seq\":0,\"stream_seq\":0}}",
         NATS_CONSUMER_DEFAULTS},
        {"{" COUNTS ",\"cluster\":{\"leader\":\"a\"}}", NATS_CONSUMER_COUNTED},
        {"{" COUNTS ",\"cluster\":{\"leader\":\"\"}}", NATS_CONSUMER_NO_LEADER},
        {"{" COUNTS ",\"cluster\":{}}", NATS_CONSUMER_NO_LEADER},
        {"{\"num_pending\":1,\"num_ack_pending\":0}", NATS_CONSUMER_COUNTED},
        {"{\"num_pending\":0,\"num_ack_pending\":1}", NATS_CONSUMER_COUNTED},
        {"{" COUNTS ",\"num_waiting\":1}", NATS_CONSUMER_COUNTED},
        {"{" COUNTS ",\"num_redelivered\":1}", NATS_CONSUMER_COUNTED},
        {"{" COUNTS ",\"delivered\":{\"consumer_seq\":1}}", NATS_CONSUMER_COUNTED},
        {"{" COUNTS ",\"ack_floor\":{\"stream_seq\":1}}", NATS_CONSUMER_COUNTED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct reading reading;
        struct error error = {0};
        struct nats_consumer_origin origin;
        assert_true(nats_consumer_info_parse(rows[i].answer, strlen(rows[i].answer), &orders,
                                             &reading, &origin, &error));
        if (origin.source != rows[i].source)
            fail_msg("%s: %d", rows[i].answer, origin.source);
    }
}

static void the_replicas_of_a_stream_are_its_own_and_those_of_its_cluster(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum nats_replicas replicas;
    } rows[] = {
        {"{\"config\":{\"num_replicas\":1}}", NATS_REPLICAS_ONE},
        {"{\"config\":{\"num_replicas\":1},\"cluster\":{\"leader\":\"a\"}}", NATS_REPLICAS_ONE},
        {"{\"config\":{\"num_replicas\":1},\"cluster\":{\"replicas\":[{\"name\":\"b\"}]}}",
         NATS_REPLICAS_SEVERAL},
        {"{\"config\":{\"num_replicas\":3}}", NATS_REPLICAS_SEVERAL},
        {"{\"config\":{\"num_replicas\":0}}", NATS_REPLICAS_UNKNOWN},
        {"{\"config\":{\"num_replicas\":\"1\"}}", NATS_REPLICAS_UNKNOWN},
        {"{\"config\":{}}", NATS_REPLICAS_UNKNOWN},
        {"{\"error\":{\"code\":404}}", NATS_REPLICAS_UNKNOWN},
        {"[1]", NATS_REPLICAS_UNKNOWN},
        {"", NATS_REPLICAS_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_config config = {0};
        nats_config_parse(rows[i].answer, strlen(rows[i].answer), &config);
        if (config.replicas != rows[i].replicas)
            fail_msg("%s", rows[i].answer);
    }
}

static struct nats_config config_of(const char *answer)
{
    struct nats_config config;
    if (nats_config_parse(answer, strlen(answer), &config) != NATS_CONFIG_LEARNED ||
        !config.has_subjects)
        fail_msg("refused: %s", answer);
    return config;
}

static void subjects_of_messages_are_read_from_stream_and_consumer(void **state)
{
    (void)state;
    struct nats_config config =
        config_of("{\"config\":{\"name\":\"orders\",\"subjects\":[\"orders.>\",\"returns\"]}}");
    assert_int_equal(config.subjects.count, 2);
    assert_string_equal(config.subjects.items[1], "returns");
    assert_false(config.is_transformed || config.is_remote);
    nats_config_done(&config);

    config =
        config_of("{\"config\":{\"durable_name\":\"workers\",\"filter_subject\":\"orders.new\"}}");
    assert_int_equal(config.subjects.count, 1);
    assert_string_equal(config.subjects.items[0], "orders.new");
    nats_config_done(&config);

    config = config_of("{\"config\":{\"durable_name\":\"workers\",\"filter_subject\":\">\"}}");
    assert_int_equal(config.subjects.count, 1);
    assert_string_equal(config.subjects.items[0], ">");
    nats_config_done(&config);

    config = config_of("{\"config\":{\"filter_subjects\":[\"a\",\"b\",\"c\"]}}");
    assert_int_equal(config.subjects.count, 3);
    nats_config_done(&config);

    config = config_of("{\"config\":{\"durable_name\":\"workers\",\"filter_subject\":\"\"}}");
    assert_int_equal(config.subjects.count, 0);
    nats_config_done(&config);
}

static void messages_that_cannot_be_subscribed_to_are_known(void **state)
{
    (void)state;
    struct nats_config config = config_of("{\"config\":{\"mirror\":{\"name\":\"orders\"}}}");
    assert_true(config.is_remote);
    nats_config_done(&config);
    config = config_of("{\"config\":{\"subjects\":[\"x\"],\"sources\":[{\"name\":\"orders\"}]}}");
    assert_true(config.is_remote);
    nats_config_done(&config);
    config = config_of("{\"config\":{\"subjects\":[\"x\"],\"sources\":null,"
                       "\"subject_transform\":{\"src\":\"x\",\"dest\":\"y\"}}}");
    assert_true(config.is_transformed && !config.is_remote);
    nats_config_done(&config);
}

static void a_reply_without_subjects_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"config\":[]}",
        "{\"error\":{\"code\":404}}",
        "{\"config\":{\"subjects\":[1]}}",
        "{\"config\":{\"subjects\":[\"\"]}}",
        "{\"config\":{\"filter_subjects\":[\"a\",null]}}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct nats_config config = {0};
        nats_config_parse(bad[i], strlen(bad[i]), &config);
        assert_int_equal(config.subjects.count, 0);
        if (config.has_subjects)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void an_incomplete_answer_is_an_error_and_no_number(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "-ERR",
        "[]",
        "{}",
        "null",
        "{\"num_pending\":3}",
        "{\"num_ack_pending\":3}",
        "{\"num_pending\":null,\"num_ack_pending\":0}",
        "{\"num_pending\":\"3\",\"num_ack_pending\":0}",
        "{\"num_pending\":-1,\"num_ack_pending\":0}",
        "{\"num_pending\":1.5,\"num_ack_pending\":0}",
        "{\"num_pending\":18446744073709551615,\"num_ack_pending\":0}",
        "{\"num_pending\":3,\"num_ack_pending\":0",
        "{\"error\":null,\"num_pending\":3,\"num_ack_pending\":0}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct reading reading;
        if (parse(bad[i], &reading, &error))
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(error.code, ERROR_UNAVAILABLE);
        assert_non_null(strstr(error.text, "\"orders\""));
        assert_non_null(strstr(error.text, "\"workers\""));
    }
}

static void assert_explained(const char *answer, const char *text)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading;
    assert_false(parse(answer, &reading, &error));
    assert_string_equal(error.text, text);
}

static void an_error_of_the_api_names_stream_and_consumer(void **state)
{
    (void)state;
    assert_explained("{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"x\"}}",
                     "NATS stream \"orders\" (of consumer \"workers\") does not exist");
    assert_explained("{\"error\":{\"code\":404,\"err_code\":10014,\"description\":\"x\"}}",
                     "NATS consumer \"workers\" of stream \"orders\" does not exist");
    assert_explained("{\"error\":{\"code\":503,\"err_code\":10008,"
                     "\"description\":\"JetStream system temporarily unavailable\"}}",
                     "NATS refused to describe consumer \"workers\" of stream \"orders\": "
                     "JetStream system temporarily unavailable (error 10008)");
}

static void a_huge_answer_is_refused_unread(void **state)
{
    (void)state;
    size_t length = (1 << 20) + 1;
    const char *start = "{\"num_pending\":0,\"num_ack_pending\":0}";
    _cleanup_(memory_free) char *answer = text_format("%-*s", (int)length, start);
    _cleanup_(error_done) struct error error = {0};
    struct reading reading;
    struct nats_consumer_origin origin;
    assert_true(nats_consumer_info_parse(answer, length - 1, &orders, &reading, &origin, &error));
    assert_false(nats_consumer_info_parse(answer, length, &orders, &reading, &origin, &error));
    assert_non_null(strstr(error.text, "1048577 bytes"));
}

#define CONSUMER(more) "{\"name\":\"workers\",\"num_pending\":3,\"num_ack_pending\":4" more "}"
#define STREAMS(consumers)                                                                         \
    "\"stream_detail\":[{\"name\":\"other\"},{\"name\":\"orders\",\"consumer_detail\":[" consumers \
    "]}]"
#define JSZ(cluster_size, consumers)                                                               \
    "{\"meta_cluster\":{\"cluster_size\":" cluster_size "},\"account_details\":["                  \
    "{\"name\":\"other\",\"id\":\"X\",\"reserved_memory\":18446744073709551615},{\"name\":"        \
    "\"shop\",\"id\":\"A\"," STREAMS(consumers) "}]}"
#define CLUSTER(leader, others) ",\"cluster\":{\"leader\":" leader ",\"replicas\":[" others "]}"

/* Finds the consumer in this answer; the error has these words where it is not found. */
static bool finds(const char *text, const struct nats_jsz_account *account, const char *words)
{
    static const char server[] = "NATS monitoring at nats:8222";
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    struct reading reading = READING_UNKNOWN;
    struct nats_consumer_origin origin;
    bool found =
        nats_jsz_init(&jsz, (struct json_text){text, strlen(text)}, account, server, &error) &&
        nats_jsz_find(&jsz, &orders, &reading, &origin, &error) == NATS_JSZ_COUNTED;
    if (found)
        assert_true(reading.waiting == 3 && reading.in_flight == 4);
    else if (words == NULL || strstr(error_text(&error), words) == NULL)
        fail_msg("%s: \"%s\" lacks \"%s\"", text, error_text(&error), words);
    return found;
}

static void a_monitoring_port_has_totals_too(void **state)
{
    (void)state;
    static const struct nats_jsz_account shop = {"shop", "shop"};
    static const char text[] =
        JSZ("0", CONSUMER(",\"delivered\":{\"consumer_seq\":10,\"stream_seq\":400}"));
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    struct reading reading = READING_UNKNOWN;
    struct nats_consumer_origin origin;
    assert_true(nats_jsz_init(&jsz, (struct json_text){text, strlen(text)}, &shop, "nats", &error));
    assert_int_equal(nats_jsz_find(&jsz, &orders, &reading, &origin, &error), NATS_JSZ_COUNTED);
    assert_true(reading.arrived == 13 && reading.consumed == 6);
}

static void a_monitoring_port_says_that_a_consumer_is_paused(void **state)
{
    (void)state;
    static const struct nats_jsz_account shop = {"shop", "shop"};
    static const char text[] =
        JSZ("0", CONSUMER(",\"paused\":true,\"pause_remaining\":60000000000"));
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(nats_jsz_done) struct nats_jsz jsz = {0};
    struct reading reading = READING_UNKNOWN;
    struct nats_consumer_origin origin;
    assert_true(nats_jsz_init(&jsz, (struct json_text){text, strlen(text)}, &shop, "nats", &error));
    assert_int_equal(nats_jsz_find(&jsz, &orders, &reading, &origin, &error), NATS_JSZ_COUNTED);
    assert_true(reading.waiting == 0 && reading.in_flight == 4);
    assert_true(origin.paused_seconds == 60);
}

static void a_monitoring_port_names_an_account_by_name_or_id(void **state)
{
    (void)state;
    static const char alone[] = JSZ("0", CONSUMER(""));
    assert_true(finds(alone, &(struct nats_jsz_account){"shop", "shop"}, NULL));
    assert_true(finds(alone, &(struct nats_jsz_account){"shop", "elsewhere"}, NULL));
    assert_true(finds(alone, &(struct nats_jsz_account){NULL, "A"}, NULL));
    /* Before 2.9.10, and without its configuration, which a cluster's listing alone has. */
    assert_true(finds(JSZ("0", CONSUMER(CLUSTER("\"a\"", ""))),
                      &(struct nats_jsz_account){"shop", "shop"}, NULL));
    assert_false(finds(alone, &(struct nats_jsz_account){"none", "none"}, "account \"none\""));
    assert_false(finds(alone, &(struct nats_jsz_account){"other", "other"}, "stream \"orders\""));
}

/* With an operator names are tags. */
static void a_name_of_several_accounts_is_none(void **state)
{
    (void)state;
    static const char text[] = "{\"account_details\":[{\"name\":\"shop\",\"id\":\"A\"},"
                               "{\"name\":\"shop\",\"id\":\"B\"," STREAMS(
                                   CONSUMER("")) "},{\"name\":\"B\",\"id\":\"C\"}]}";
    assert_false(finds(text, &(struct nats_jsz_account){"shop", "shop"}, "set accountID"));
    assert_false(finds(text, &(struct nats_jsz_account){"shop", "none"}, "set accountID"));
    assert_false(finds(text, &(struct nats_jsz_account){"shop", "A"}, "stream \"orders\""));
    assert_true(finds(text, &(struct nats_jsz_account){"shop", "B"}, NULL));
    assert_true(finds(text, &(struct nats_jsz_account){"B", "B"}, NULL));
}

#define OPENED(config, stream)                                                                     \
    "{\"meta_cluster\":{\"cluster_size\":3},\"account_details\":[{\"name\":\"shop\",\"id\":\"A\"," \
    "\"stream_detail\":[{\"name\":\"orders\",\"config\":{" stream                                  \
    "},\"consumer_detail\":[" CONSUMER(",\"config\":{" config                                      \
                                       "},\"cluster\":{\"leader\":\"a\"}") "]}]}]}"
#define REPLICAS(count) "\"retention\":\"limits\",\"num_replicas\":" count
#define OF_CONSUMER(count) "\"durable_name\":\"workers\",\"num_replicas\":" count

/* A server that could not open its replica runs the consumer as if it were the only one. */
static void a_replica_that_is_not_open_is_not_believed(void **state)
{
    (void)state;
    static const struct nats_jsz_account shop = {"shop", "shop"};
    static const char *const single[] = {
        OPENED(OF_CONSUMER("1"), REPLICAS("3")),
        OPENED(OF_CONSUMER("0"), REPLICAS("1")),
        OPENED(OF_CONSUMER("3"), REPLICAS("1")), /* of old servers */
        OPENED("\"num_replicas\":0", REPLICAS("3")),
    };
    static const char *const several[] = {
        OPENED(OF_CONSUMER("3"), REPLICAS("3")),
        OPENED(OF_CONSUMER("0"), REPLICAS("3")),
        OPENED("\"num_replicas\":3", REPLICAS("3")),
        OPENED("\"num_replicas\":0", "\"retention\":\"workqueue\",\"num_replicas\":3"),
    };
    static const char *const unknown[] = {
        OPENED("", REPLICAS("3")),
        OPENED(OF_CONSUMER("0"), "\"retention\":\"limits\""),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(single); i++)
        assert_true(finds(single[i], &shop, NULL));
    for (size_t i = 0; i < ARRAY_LENGTH(several); i++)
        assert_false(finds(several[i], &shop, "has not opened its replica"));
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++)
        assert_false(finds(unknown[i], &shop, "how many replicas"));
}

static void only_the_leader_of_a_consumer_is_believed(void **state)
{
    (void)state;
    static const struct nats_jsz_account shop = {"shop", "shop"};
    static const char here[] =
        JSZ("3", CONSUMER(CLUSTER("\"a\"", "{\"name\":\"b\"},{\"name\":\"c\"}")));
    static const char there[] =
        JSZ("3", CONSUMER(CLUSTER("\"a\"", "{\"name\":\"b\"},{\"name\":\"a\"}")));
    static const char first[] =
        JSZ("3", CONSUMER(CLUSTER("\"b\"", "{\"name\":\"b\"},{\"name\":\"c\"}")));
    static const char nowhere[] = JSZ("3", CONSUMER(CLUSTER("\"\"", "{\"name\":\"b\"}")));
    static const char untold[] = JSZ("3", CONSUMER(""));
    static const char absent[] = JSZ("3", "");
    static const char alone[] = JSZ("1", CONSUMER(""));
    static const char untold_of_two[] = JSZ("2", CONSUMER(""));
    assert_true(finds(here, &shop, NULL));
    assert_true(finds(alone, &shop, NULL));
    assert_false(finds(untold_of_two, &shop, "has no leader"));
    assert_false(finds(there, &shop, "set servers instead of natsServerMonitoringEndpoint"));
    assert_false(finds(first, &shop, "set servers instead of natsServerMonitoringEndpoint"));
    assert_false(finds(nowhere, &shop, "has no leader"));
    assert_false(finds(untold, &shop, "has no leader"));
    assert_false(finds(absent, &shop, "set servers instead of natsServerMonitoringEndpoint"));
}

/* Nothing of it counts, though the consumer is there. */
static void a_reply_of_a_monitoring_port_that_is_cut_off_is_an_error(void **state)
{
    (void)state;
    static const struct nats_jsz_account shop = {"shop", "shop"};
    char text[] = JSZ("0", CONSUMER(""));
    assert_true(finds(text, &shop, NULL));
    text[strlen(text) - 1] = '\0';
    assert_false(finds(text, &shop, "NATS monitoring at nats:8222"));
    assert_false(finds("[" JSZ("0", CONSUMER("")) "]", &shop, "NATS monitoring at nats:8222"));
}

static void missing_fields_of_a_monitoring_port_are_errors(void **state)
{
    (void)state;
    static const struct nats_jsz_account shop = {"shop", "shop"};
    assert_false(finds("{}", &shop, "account \"shop\""));
    assert_false(finds("{\"account_details\":[{\"name\":\"shop\"}]}", &shop, "stream \"orders\""));
    assert_false(finds(JSZ("0", ""), &shop, "consumer \"workers\" of stream \"orders\" does not"));
    assert_false(finds(JSZ("0", "{\"name\":\"workers\",\"num_pending\":3}"), &shop,
                       "without a valid num_ack_pending"));
    assert_false(finds(JSZ("0", "{\"name\":\"workers\",\"num_ack_pending\":3}"), &shop,
                       "without a valid num_pending"));
}

/* A server that has miscounted reports 2^64 - 1, which no integer of JSON's library holds. */
static void a_number_that_is_too_large_spoils_no_other_field(void **state)
{
#define MISCOUNTED "18446744073709551615"
    (void)state;
    struct reading reading;
    _cleanup_(error_done) struct error error = {0};
    assert_true(parse("{\"num_pending\":3,\"num_ack_pending\":4,\"num_waiting\":" MISCOUNTED "}",
                      &reading, &error));
    assert_true(reading.waiting == 3 && reading.in_flight == 4);
    assert_false(parse("{\"num_pending\":" MISCOUNTED ",\"num_ack_pending\":0}", &reading, &error));
    assert_non_null(strstr(error_text(&error), "without a valid num_pending"));
    assert_false(
        parse("{\"error\":{\"err_code\":10059},\"num_pending\":" MISCOUNTED "}", &reading, &error));
    assert_non_null(strstr(error_text(&error), "\"orders\" (of consumer"));

    static const char stream[] = "{\"config\":{\"num_replicas\":1,\"subjects\":[\"a\"],"
                                 "\"max_bytes\":" MISCOUNTED "}}";
    struct nats_config config = config_of(stream);
    assert_int_equal(config.replicas, NATS_REPLICAS_ONE);
    assert_int_equal(config.subjects.count, 1);
    nats_config_done(&config);
}

/* As KEDA looks for them. */
static void the_nodes_of_a_cluster_are_at_the_port_of_the_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint, *reply, *nodes;
    } rows[] = {
        {"http://nats.shop:8222",
         "{\"connect_urls\":[\"10.0.0.1:4222\",\"[fd00::1]:4222\",\"n3:4222\"]}",
         "http://10.0.0.1:8222 http://[fd00::1]:8222 http://n3:8222 "},
        {"https://user:secret@10.0.0.1:8222/x",
         "{\"connect_urls\":[\"10.0.0.1:4222\",\"10.0.0.2:4222\"]}", "https://10.0.0.2:8222/x "},
        {"http://nats.shop:8222",
         "{\"cluster\":{\"urls\":[\"nats-0.headless:6222\",\"nats-1:6222\",\"10.0.0.3:6222\"]}}",
         "http://nats-0.nats.shop:8222 http://nats-1.nats.shop:8222 "},
        {"http://10.0.0.1:8222", "{\"cluster\":{\"urls\":[\"nats-0.headless:6222\"]}}", ""},
        {"http://nats.shop:8222",
         "{\"connect_urls\":[1,\"\",\":4222\",\"a b:1\",\"a/b:1\",\"u@a:1\"]}", ""},
        {"http://nats.shop:8222", "{\"connect_urls\":{},\"cluster\":[]}", ""},
        {"http://nats.shop:8222", "no JSON", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(http_url_done) struct http_url endpoint = {0};
        _cleanup_(text_done) struct text found = {0};
        assert_true(http_url_parse(rows[i].endpoint, &endpoint));
        struct nats_nodes nodes =
            nats_nodes_parse((struct json_text){rows[i].reply, strlen(rows[i].reply)}, &endpoint);
        text_add(&found, "");
        for (size_t j = 0; j < nodes.count; j++)
            text_addf(&found, "%s ", nodes.bases[j]);
        assert_string_equal(found.bytes, rows[i].nodes);
        nats_nodes_done(&nodes);
    }
}

static void assert_order(const struct nats_silent_nodes *silent, const char *order)
{
    static const char reply[] = "{\"connect_urls\":[\"a.x:4222\",\"b.x:4222\",\"c.x:4222\"]}";
    _cleanup_(http_url_done) struct http_url endpoint = {0};
    _cleanup_(text_done) struct text found = {0};
    assert_true(http_url_parse("http://nats.x:8222", &endpoint));
    struct nats_nodes nodes = nats_nodes_parse((struct json_text){reply, strlen(reply)}, &endpoint);
    nats_silent_nodes_put_last(silent, &nodes);
    for (size_t i = 0; i < nodes.count; i++)
        text_addf(&found, "%s ", nodes.bases[i]);
    assert_string_equal(found.bytes, order);
    nats_nodes_done(&nodes);
}

static void nodes_that_were_silent_come_last(void **state)
{
    (void)state;
    struct nats_silent_nodes silent = {0};
    assert_order(&silent, "http://a.x:8222 http://b.x:8222 http://c.x:8222 ");
    nats_silent_nodes_note(&silent, "http://b.x:8222", false);
    nats_silent_nodes_note(&silent, "http://a.x:8222", true);
    nats_silent_nodes_note(&silent, "http://a.x:8222", true);
    assert_order(&silent, "http://b.x:8222 http://c.x:8222 http://a.x:8222 ");
    nats_silent_nodes_note(&silent, "http://b.x:8222", true);
    assert_order(&silent, "http://c.x:8222 http://a.x:8222 http://b.x:8222 ");
    nats_silent_nodes_note(&silent, "http://a.x:8222", false);
    assert_order(&silent, "http://a.x:8222 http://c.x:8222 http://b.x:8222 ");
    for (int i = 0; i <= NATS_MAX_NODES; i++) { /* of so many more it is forgotten */
        _cleanup_(memory_free) char *base = text_format("http://%d.y:8222", i);
        nats_silent_nodes_note(&silent, base, true);
    }
    assert_order(&silent, "http://a.x:8222 http://b.x:8222 http://c.x:8222 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_both_counts),
        cmocka_unit_test(a_number_that_is_too_large_spoils_no_other_field),
        cmocka_unit_test(totals_are_those_of_deliveries),
        cmocka_unit_test(a_paused_consumer_delivers_nothing_that_is_pending),
        cmocka_unit_test(an_answer_has_the_state_of_a_consumer_or_defaults),
        cmocka_unit_test(the_replicas_of_a_stream_are_its_own_and_those_of_its_cluster),
        cmocka_unit_test(subjects_of_messages_are_read_from_stream_and_consumer),
        cmocka_unit_test(messages_that_cannot_be_subscribed_to_are_known),
        cmocka_unit_test(a_reply_without_subjects_is_refused),
        cmocka_unit_test(an_incomplete_answer_is_an_error_and_no_number),
        cmocka_unit_test(an_error_of_the_api_names_stream_and_consumer),
        cmocka_unit_test(a_huge_answer_is_refused_unread),
        cmocka_unit_test(a_monitoring_port_has_totals_too),
        cmocka_unit_test(a_monitoring_port_says_that_a_consumer_is_paused),
        cmocka_unit_test(a_monitoring_port_names_an_account_by_name_or_id),
        cmocka_unit_test(a_name_of_several_accounts_is_none),
        cmocka_unit_test(a_replica_that_is_not_open_is_not_believed),
        cmocka_unit_test(only_the_leader_of_a_consumer_is_believed),
        cmocka_unit_test(a_reply_of_a_monitoring_port_that_is_cut_off_is_an_error),
        cmocka_unit_test(missing_fields_of_a_monitoring_port_are_errors),
        cmocka_unit_test(the_nodes_of_a_cluster_are_at_the_port_of_the_endpoint),
        cmocka_unit_test(nodes_that_were_silent_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
