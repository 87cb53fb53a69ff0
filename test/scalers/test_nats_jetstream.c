#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/credentials.h"
#include "nats_jetstream/jsz.h"
#include "nats_jetstream/nkey.h"
#include "nats_jetstream/options.h"
#include "nats_jetstream/subjects.h"
#include "scalers/trigger.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_nats_jetstream;

/* Keys and values in turn, ending with NULL: parsed and checked as those of a trigger. */
static struct trigger parse(const char *const *pairs)
{
    struct option_entry entries[16] = {0};
    size_t count = 0;
    for (; pairs[2 * count] != NULL; count++)
        entries[count] = (struct option_entry){pairs[2 * count], pairs[2 * count + 1]};
    return trigger_parse(&scaler_nats_jetstream, entries, count);
}

#define TRIGGER(...)                                                                               \
    parse((const char *const[]){"servers", "nats://127.0.0.1:4222", "stream", "orders",            \
                                "consumer", "workers", __VA_ARGS__, NULL})

static void metric_and_defaults_are_those_of_keda(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger = TRIGGER(NULL);
    assert_true(trigger.good);

    struct plan plan;
    scaler_nats_jetstream.plan(&trigger.options, &plan);
    assert_string_equal(plan.metric_name, "nats-jetstream-orders");
    assert_true(plan.target == 10);
    assert_int_equal(plan.idle_interval_ms, 250);
    free(plan.metric_name);
}

static void wrong_metadata_still_has_a_plan(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger = parse((const char *const[]){NULL});
    assert_false(trigger.good);

    struct plan plan;
    scaler_nats_jetstream.plan(&trigger.options, &plan);
    assert_string_equal(plan.metric_name, "nats-jetstream-");
    assert_true(plan.target == 10);
    free(plan.metric_name);
}

static bool judge(struct trigger *trigger, double waiting, double in_flight,
                  struct judgement *ret_judgement)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = waiting;
    reading.in_flight = in_flight;
    return scaler_nats_jetstream.judge(&trigger->options, &reading, ret_judgement, &trigger->error);
}

static void the_activation_lag_itself_is_not_yet_active(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger = TRIGGER("activationLagThreshold", "1");
    struct judgement judgement;

    assert_true(judge(&trigger, 1, 0, &judgement));
    assert_false(judgement.active);
    assert_true(judge(&trigger, 2, 0, &judgement));
    assert_true(judgement.active);
    assert_true(judgement.value == 2);
}

static void unacknowledged_messages_count_as_lag(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger = TRIGGER(NULL);
    struct judgement judgement;

    assert_true(judge(&trigger, 3, 4, &judgement));
    assert_true(judgement.value == 7);
    assert_true(judge(&trigger, 0, 1, &judgement));
    assert_true(judgement.active);
    assert_true(judge(&trigger, 0, 0, &judgement));
    assert_false(judgement.active);
}

static void half_a_reading_is_an_error_and_no_number(void **state)
{
    (void)state;
    struct judgement judgement;
    for (int half = 0; half < 2; half++) {
        _cleanup_(trigger_done) struct trigger trigger = TRIGGER(NULL);
        assert_false(judge(&trigger, half == 0 ? NAN : 5, half == 0 ? 5 : NAN, &judgement));
        assert_int_equal(trigger.error.code, ERROR_UNAVAILABLE);
    }
}

static void an_address_is_shown_without_its_password(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"host", "host"},
        {"host:4222", "host:4222"},
        {"nats://host", "host"},
        {"tls://host:4443", "host:4443"},
        {"nats://user:secret@host:4222", "host:4222"},
        {"nats://user:s@cr:t/@host:4222", "host:4222"},
        {"token@host", "host"},
        {"nats://[::1]:4222", "[::1]:4222"},
        {"nats://[::1]", "[::1]"},
        {"", NULL},
        {"nats://", NULL},
        {"nats://:4222", NULL},
        {"http://host:8222", NULL},
        {"nats://user:secret", NULL},
        {"nats://user:secret@", NULL},
        {"nats://host:0", NULL},
        {"nats://host:65536", NULL},
        {"nats://host:4222/path", NULL},
        {"nats://ho st:4222", NULL},
        {"nats://::1:4222", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *address = nats_server_address(cases[i][0]);
        if (!text_equal(address, cases[i][1]))
            fail_msg("\"%s\" became \"%s\"", cases[i][0], address == NULL ? "NULL" : address);
    }
}

#define JWT "-----BEGIN NATS USER JWT-----\neyJ0eXAi.e-_y.s-g\n------END NATS USER JWT------\n"
#define NKEY_SEED "-----BEGIN USER NKEY SEED-----\r\nSUAHIDDEN\r\n------END USER NKEY SEED------\n"

static const char jwt_and_seed[] = JWT "\n****\n" NKEY_SEED;

static void a_credentials_file_has_a_jwt_and_a_seed(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *jwt = nats_credentials_jwt(jwt_and_seed);
    _cleanup_(memory_free) char *seed = nats_credentials_seed(jwt_and_seed);
    assert_string_equal(jwt, "eyJ0eXAi.e-_y.s-g");
    assert_string_equal(seed, "SUAHIDDEN");
}

static const struct nats_query_options orders = {.stream = "orders", .consumer = "workers"};

static void an_answer_has_both_counts(void **state)
{
    (void)state;
    const char *answer = "{\"type\":\"io.nats.jetstream.api.v1.consumer_info_response\","
                         "\"num_ack_pending\":4,\"num_waiting\":9,\"num_pending\":3}";
    struct reading reading;
    struct error error = {0};
    assert_true(nats_consumer_info_parse(answer, strlen(answer), &orders, &reading, &error));
    assert_true(reading.waiting == 3);
    assert_true(reading.in_flight == 4);
    assert_true(isnan(reading.value));
}

static struct nats_subjects_told told_by(const char *answer)
{
    struct nats_subjects_told told;
    if (!nats_subjects_parse(answer, strlen(answer), &told))
        fail_msg("refused: %s", answer);
    return told;
}

static void a_stream_and_a_consumer_tell_the_subjects_of_their_messages(void **state)
{
    (void)state;
    struct nats_subjects_told told =
        told_by("{\"config\":{\"name\":\"orders\",\"subjects\":[\"orders.>\",\"returns\"]}}");
    assert_int_equal(told.list.count, 2);
    assert_string_equal(told.list.items[1], "returns");
    assert_false(told.transformed || told.comes_from_afar);
    nats_subjects_told_done(&told);

    told = told_by("{\"config\":{\"durable_name\":\"workers\",\"filter_subject\":\"orders.new\"}}");
    assert_int_equal(told.list.count, 1);
    assert_string_equal(told.list.items[0], "orders.new");
    nats_subjects_told_done(&told);

    told = told_by("{\"config\":{\"filter_subjects\":[\"a\",\"b\",\"c\"]}}");
    assert_int_equal(told.list.count, 3);
    nats_subjects_told_done(&told);

    told = told_by("{\"config\":{\"durable_name\":\"workers\",\"filter_subject\":\"\"}}");
    assert_int_equal(told.list.count, 0);
    nats_subjects_told_done(&told);
}

static void messages_that_cannot_be_heard_on_their_way_are_known(void **state)
{
    (void)state;
    struct nats_subjects_told told = told_by("{\"config\":{\"mirror\":{\"name\":\"orders\"}}}");
    assert_true(told.comes_from_afar);
    nats_subjects_told_done(&told);
    told = told_by("{\"config\":{\"subjects\":[\"x\"],\"sources\":[{\"name\":\"orders\"}]}}");
    assert_true(told.comes_from_afar);
    nats_subjects_told_done(&told);
    told = told_by("{\"config\":{\"subjects\":[\"x\"],\"sources\":null,"
                   "\"subject_transform\":{\"src\":\"x\",\"dest\":\"y\"}}}");
    assert_true(told.transformed && !told.comes_from_afar);
    nats_subjects_told_done(&told);
}

static void what_tells_no_subjects_is_refused(void **state)
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
        struct nats_subjects_told told;
        if (nats_subjects_parse(bad[i], strlen(bad[i]), &told))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void what_is_no_whole_answer_is_an_error_and_no_number(void **state)
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
        if (nats_consumer_info_parse(bad[i], strlen(bad[i]), &orders, &reading, &error))
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
    assert_false(nats_consumer_info_parse(answer, strlen(answer), &orders, &reading, &error));
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
                     "NATS refused to tell of consumer \"workers\" of stream \"orders\": "
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
    assert_true(nats_consumer_info_parse(answer, length - 1, &orders, &reading, &error));
    assert_false(nats_consumer_info_parse(answer, length, &orders, &reading, &error));
    assert_non_null(strstr(error.text, "1048577 bytes"));
}

/* The sample of the NKeys' own documentation. */
static void a_seed_has_its_public_key(void **state)
{
    (void)state;
    char public[NATS_NKEY_BYTES];
    assert_true(
        nats_nkey_public("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY", public));
    assert_string_equal(public, "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
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
static bool finds(const char *text, const struct jsz_account *account, const char *words)
{
    json_t *answer = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);
    assert_non_null(answer);
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    struct jsz jsz;
    jsz_init(&jsz, answer, account, "NATS monitoring at nats:8222");
    bool found = jsz_find(&jsz, &orders, &reading, &error);
    if (found)
        assert_true(reading.waiting == 3 && reading.in_flight == 4);
    else if (words == NULL || strstr(error_text(&error), words) == NULL)
        fail_msg("%s: \"%s\" lacks \"%s\"", text, error_text(&error), words);
    jsz_done(&jsz);
    json_decref(answer);
    return found;
}

static void a_monitoring_port_tells_of_an_account_by_name_or_id(void **state)
{
    (void)state;
    static const char alone[] = JSZ("0", CONSUMER(""));
    assert_true(finds(alone, &(struct jsz_account){"shop", "shop"}, NULL));
    assert_true(finds(alone, &(struct jsz_account){"shop", "elsewhere"}, NULL));
    assert_true(finds(alone, &(struct jsz_account){NULL, "A"}, NULL));
    assert_false(finds(alone, &(struct jsz_account){"none", "none"}, "account \"none\""));
    assert_false(finds(alone, &(struct jsz_account){"other", "other"}, "stream \"orders\""));
}

static void only_the_leader_of_a_consumer_is_believed(void **state)
{
    (void)state;
    static const struct jsz_account shop = {"shop", "shop"};
    static const char here[] =
        JSZ("3", CONSUMER(CLUSTER("\"a\"", "{\"name\":\"b\"},{\"name\":\"c\"}")));
    static const char there[] =
        JSZ("3", CONSUMER(CLUSTER("\"a\"", "{\"name\":\"b\"},{\"name\":\"a\"}")));
    static const char nowhere[] = JSZ("3", CONSUMER(CLUSTER("\"\"", "{\"name\":\"b\"}")));
    static const char untold[] = JSZ("3", CONSUMER(""));
    static const char absent[] = JSZ("3", "");
    assert_true(finds(here, &shop, NULL));
    assert_false(finds(there, &shop, "set servers instead of natsServerMonitoringEndpoint"));
    assert_false(finds(nowhere, &shop, "has no leader"));
    assert_false(finds(untold, &shop, "has no leader"));
    assert_false(finds(absent, &shop, "set servers instead of natsServerMonitoringEndpoint"));
}

static void what_a_monitoring_port_does_not_tell_is_an_error(void **state)
{
    (void)state;
    static const struct jsz_account shop = {"shop", "shop"};
    assert_false(finds("{}", &shop, "account \"shop\""));
    assert_false(finds("{\"account_details\":[{\"name\":\"shop\"}]}", &shop, "stream \"orders\""));
    assert_false(finds(JSZ("0", ""), &shop, "consumer \"workers\" of stream \"orders\" does not"));
    assert_false(finds(JSZ("0", "{\"name\":\"workers\",\"num_pending\":3}"), &shop,
                       "without a valid num_ack_pending"));
    assert_false(finds(JSZ("0", "{\"name\":\"workers\",\"num_ack_pending\":3}"), &shop,
                       "without a valid num_pending"));
}

/* A listening socket that never says a word; its port is the caller's to close with the socket. */
static int listen_mutely(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return listener;
}

static void assert_connect_fails(int port, int64_t least_ms, int64_t most_ms)
{
    _cleanup_(memory_free) char *servers =
        text_format("nats://user:secret@127.0.0.1:%d,nats://user:secret@127.0.0.1:%d", port, port);
    _cleanup_(trigger_done) struct trigger trigger = parse(
        (const char *const[]){"servers", servers, "stream", "orders", "consumer", "workers", NULL});
    assert_true(trigger.good);

    void *client = NULL;
    int64_t start_ms = clock_now_ms();
    assert_false(scaler_nats_jetstream.connect(trigger.options.connection, start_ms + 400, &client,
                                               &trigger.error));
    int64_t took_ms = clock_now_ms() - start_ms;
    assert_true(took_ms >= least_ms && took_ms <= most_ms);
    assert_int_equal(trigger.error.code, ERROR_UNAVAILABLE);
    assert_non_null(strstr(trigger.error.text, "NATS at 127.0.0.1:"));
    assert_null(strstr(trigger.error.text, "secret"));
}

static void a_mute_server_costs_no_more_than_the_deadline(void **state)
{
    (void)state;
    int port = 0;
    int listener = listen_mutely(&port);
    assert_connect_fails(port, 100, 500);
    close(listener);
}

static void a_closed_port_fails_at_once(void **state)
{
    (void)state;
    int port = 0;
    close(listen_mutely(&port));
    assert_connect_fails(port, 0, 200);
}

/* Greets like a server that demands TLS, and falls silent. Ends when the listener is shut down. */
static void *demand_tls_mutely(void *listener)
{
    static const char greeting[] = "INFO {\"server_id\":\"x\",\"version\":\"2.9.0\",\"proto\":1,"
                                   "\"max_payload\":1048576,\"tls_required\":true}\r\n";
    int calls[8];
    size_t count = 0;
    while (count < ARRAY_LENGTH(calls) &&
           (calls[count] = accept(*(int *)listener, NULL, NULL)) >= 0)
        assert_true(write(calls[count++], greeting, strlen(greeting)) > 0);
    while (count > 0)
        close(calls[--count]);
    return NULL;
}

static void a_server_that_falls_silent_in_the_tls_handshake_costs_no_more(void **state)
{
    (void)state;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* as threads besides the main one have them */

    int port = 0;
    int listener = listen_mutely(&port);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, demand_tls_mutely, &listener), 0);
    assert_connect_fails(port, 100, 500);
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_and_defaults_are_those_of_keda),
        cmocka_unit_test(wrong_metadata_still_has_a_plan),
        cmocka_unit_test(the_activation_lag_itself_is_not_yet_active),
        cmocka_unit_test(unacknowledged_messages_count_as_lag),
        cmocka_unit_test(half_a_reading_is_an_error_and_no_number),
        cmocka_unit_test(an_address_is_shown_without_its_password),
        cmocka_unit_test(a_credentials_file_has_a_jwt_and_a_seed),
        cmocka_unit_test(an_answer_has_both_counts),
        cmocka_unit_test(a_stream_and_a_consumer_tell_the_subjects_of_their_messages),
        cmocka_unit_test(messages_that_cannot_be_heard_on_their_way_are_known),
        cmocka_unit_test(what_tells_no_subjects_is_refused),
        cmocka_unit_test(what_is_no_whole_answer_is_an_error_and_no_number),
        cmocka_unit_test(an_error_of_the_api_names_stream_and_consumer),
        cmocka_unit_test(a_huge_answer_is_refused_unread),
        cmocka_unit_test(a_seed_has_its_public_key),
        cmocka_unit_test(a_monitoring_port_tells_of_an_account_by_name_or_id),
        cmocka_unit_test(only_the_leader_of_a_consumer_is_believed),
        cmocka_unit_test(what_a_monitoring_port_does_not_tell_is_an_error),
        cmocka_unit_test(a_mute_server_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_server_that_falls_silent_in_the_tls_handshake_costs_no_more),
        cmocka_unit_test(a_closed_port_fails_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
