/* The NATS JetStream scaler: its options, what it makes of readings, and silent servers. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "nats_jetstream/credentials.h"
#include "nats_jetstream/nkey.h"
#include "nats_jetstream/options.h"
#include "scalers/trigger.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_nats_jetstream;

#define TRIGGER(...)                                                                               \
    trigger_of(&scaler_nats_jetstream, PAIRS("servers", "nats://127.0.0.1:4222", "stream",         \
                                             "orders", "consumer", "workers", __VA_ARGS__))

static void metric_and_defaults_are_those_of_keda(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger = TRIGGER(NULL);
    assert_true(trigger.good);

    struct metric_spec spec;
    scaler_nats_jetstream.metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, "nats-jetstream-orders");
    assert_true(spec.target == 10);
    assert_int_equal(spec.idle_interval_ms, 250);
    free(spec.metric_name);
}

static void consumers_of_a_monitoring_port_are_one_bundle(void **state)
{
    (void)state;
    static const char *const keys[] = {"account", "accountID"};
    _cleanup_(trigger_done) struct trigger client = TRIGGER(NULL);
    assert_null(scaler_nats_jetstream.bundle(client.options.connection, client.options.query));
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        _cleanup_(trigger_done) struct trigger trigger = trigger_of(
            &scaler_nats_jetstream, PAIRS("natsServerMonitoringEndpoint", "nats:8222", keys[i], "A",
                                          "stream", "orders", "consumer", "workers"));
        assert_true(trigger.good);
        _cleanup_(memory_free) char *bundle =
            scaler_nats_jetstream.bundle(trigger.options.connection, trigger.options.query);
        assert_non_null(bundle);
    }
}

static void wrong_metadata_still_has_a_metric_spec(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_nats_jetstream, PAIRS(NULL));
    assert_false(trigger.good);

    struct metric_spec spec;
    scaler_nats_jetstream.metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, "nats-jetstream-");
    assert_true(spec.target == 10);
    free(spec.metric_name);
}

static bool evaluate(struct trigger *trigger, double waiting, double in_flight,
                     struct evaluation *ret_evaluation)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = waiting;
    reading.in_flight = in_flight;
    return scaler_nats_jetstream.evaluate(&trigger->options, &reading, ret_evaluation,
                                          &trigger->error);
}

static void the_activation_lag_itself_is_not_yet_active(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger = TRIGGER("activationLagThreshold", "1");
    struct evaluation evaluation;

    assert_true(evaluate(&trigger, 1, 0, &evaluation));
    assert_false(evaluation.active);
    assert_true(evaluate(&trigger, 2, 0, &evaluation));
    assert_true(evaluation.active);
    assert_true(evaluation.value == 2);
}

static void unacknowledged_messages_count_as_lag(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger = TRIGGER(NULL);
    struct evaluation evaluation;

    assert_true(evaluate(&trigger, 3, 4, &evaluation));
    assert_true(evaluation.value == 7);
    assert_true(evaluate(&trigger, 0, 1, &evaluation));
    assert_true(evaluation.active);
    assert_true(evaluate(&trigger, 0, 0, &evaluation));
    assert_false(evaluation.active);
}

static void half_a_reading_is_an_error_and_no_number(void **state)
{
    (void)state;
    struct evaluation evaluation;
    for (int half = 0; half < 2; half++) {
        _cleanup_(trigger_done) struct trigger trigger = TRIGGER(NULL);
        assert_false(evaluate(&trigger, half == 0 ? NAN : 5, half == 0 ? 5 : NAN, &evaluation));
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

/* The sample of the NKeys' own documentation. */
static void a_seed_has_its_public_key(void **state)
{
    (void)state;
    char public[NATS_NKEY_BYTES];
    assert_true(
        nats_nkey_public("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY", public));
    assert_string_equal(public, "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
}

static void assert_connect_fails(int port, int64_t min_ms, int64_t max_ms)
{
    _cleanup_(memory_free) char *servers =
        text_format("nats://user:secret@127.0.0.1:%d,nats://user:secret@127.0.0.1:%d", port, port);
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_nats_jetstream,
                   PAIRS("servers", servers, "stream", "orders", "consumer", "workers"));
    assert_true(trigger.good);

    void *client = NULL;
    int64_t start_ms = clock_now_ms();
    assert_false(scaler_nats_jetstream.connect(trigger.options.connection, start_ms + 400, &client,
                                               &trigger.error));
    int64_t took_ms = clock_now_ms() - start_ms;
    assert_true(took_ms >= min_ms && took_ms <= max_ms);
    assert_int_equal(trigger.error.code, ERROR_UNAVAILABLE);
    assert_non_null(strstr(trigger.error.text, "NATS at 127.0.0.1:"));
    assert_null(strstr(trigger.error.text, "secret"));
}

static void a_silent_server_costs_no_more_than_the_deadline(void **state)
{
    (void)state;
    int port = 0;
    int listener = listener_open(4, &port);
    assert_connect_fails(port, 100, 1500);
    close(listener);
}

static void a_closed_port_fails_at_once(void **state)
{
    (void)state;
    int port = 0;
    close(listener_open(4, &port));
    assert_connect_fails(port, 0, 390);
}

/* Greets like a server that demands TLS, and falls silent. Ends when the listener is shut down. */
static void *demand_tls_silently(void *listener)
{
    static const char greeting[] = "INFO {\"server_id\":\"x\",\"version\":\"2.9.0\",\"proto\":1,"
                                   "\"max_payload\":1048576,\"tls_required\":true}\r\n";
    int calls[8];
    size_t count = 0;
    while (count < ARRAY_LENGTH(calls) &&
           (calls[count] = accept(*(int *)listener, NULL, NULL)) >= 0) {
        ssize_t sent = write(calls[count++], greeting, strlen(greeting));
        (void)sent; /* on a busy machine the client has given up before */
    }
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
    int listener = listener_open(4, &port);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, demand_tls_silently, &listener), 0);
    assert_connect_fails(port, 100, 1500);
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void a_wrong_ca_is_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "sesame",
        "-----BEGIN CERTIFICATE-----\nsesame\n-----END CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        _cleanup_(trigger_done) struct trigger trigger = TRIGGER("tls", "enable", "ca", wrong[i]);
        assert_true(trigger.good);
        void *client = NULL;
        assert_false(scaler_nats_jetstream.connect(trigger.options.connection, clock_now_ms() + 400,
                                                   &client, &trigger.error));
        assert_int_equal(trigger.error.code, ERROR_INVALID);
        assert_string_equal(trigger.error.text,
                            "ca must hold PEM certificates: it has none, or a broken one");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_and_defaults_are_those_of_keda),
        cmocka_unit_test(consumers_of_a_monitoring_port_are_one_bundle),
        cmocka_unit_test(wrong_metadata_still_has_a_metric_spec),
        cmocka_unit_test(the_activation_lag_itself_is_not_yet_active),
        cmocka_unit_test(unacknowledged_messages_count_as_lag),
        cmocka_unit_test(half_a_reading_is_an_error_and_no_number),
        cmocka_unit_test(an_address_is_shown_without_its_password),
        cmocka_unit_test(a_credentials_file_has_a_jwt_and_a_seed),
        cmocka_unit_test(a_seed_has_its_public_key),
        cmocka_unit_test(a_silent_server_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_server_that_falls_silent_in_the_tls_handshake_costs_no_more),
        cmocka_unit_test(a_closed_port_fails_at_once),
        cmocka_unit_test(a_wrong_ca_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
