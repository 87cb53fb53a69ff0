/* Where librdkafka may connect: what a hostile broker names is not our own pod. */
#include "kafka/client/destinations.h"

#include "base/log.h"
#include "base/memory.h"
#include "kafka/client/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int listen_on(struct sockaddr_in *ret_address)
{
    socklen_t length = sizeof(*ret_address);
    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)ret_address, length), 0);
    assert_int_equal(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)ret_address, &length);
    return listener;
}

static void guard(const char *bootstrap_servers)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kafka_destinations_limit(conf, bootstrap_servers);
    rd_kafka_conf_destroy(conf);
}

static int connect_as(const char *broker, const struct sockaddr *address, size_t length)
{
    int own = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = kafka_destinations_connect(own, address, (int)length, broker, NULL);
    close(own);
    return result;
}

static bool has_come(int listener)
{
    struct pollfd readable = {.fd = listener, .events = POLLIN};
    return poll(&readable, 1, 200) > 0;
}

static void assert_refused_v4(const char *address)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(9092)};
    assert_int_equal(inet_pton(AF_INET, address, &place.sin_addr), 1);
    assert_int_equal(connect_as("kafka:9092", (struct sockaddr *)&place, sizeof(place)), EACCES);
}

static void assert_refused_v6(const char *address)
{
    struct sockaddr_in6 place = {.sin6_family = AF_INET6, .sin6_port = htons(9092)};
    assert_int_equal(inet_pton(AF_INET6, address, &place.sin6_addr), 1);
    assert_int_equal(connect_as("kafka:9092", (struct sockaddr *)&place, sizeof(place)), EACCES);
}

static void brokers_that_a_cluster_names_are_not_in_our_pod(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int listener = listen_on(&address);
    const struct sockaddr *place = (const struct sockaddr *)&address;
    static const char *const named[] = {"127.0.0.1:9091", "kafka:9093", "a:9092", "localhost:1"};
    guard("kafka:9092, SASL_SSL://other.shop:9093/,a");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(connect_as(named[i], place, sizeof(address)), EACCES);
    assert_false(has_come(listener));
    guard("kafka.shop");
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        assert_int_equal(connect_as(named[i], place, sizeof(address)), EACCES);
    assert_false(has_come(listener));
    /* Nothing between two commas is no broker, and the library passes it over. */
    guard("kafka.shop:9092,, ,");
    assert_int_equal(connect_as("localhost:9092", place, sizeof(address)), EACCES);
    assert_false(has_come(listener));
    assert_refused_v4("127.0.0.1");
    assert_refused_v4("169.254.169.254");
    assert_refused_v4("0.0.0.0");
    assert_refused_v4("100.100.100.200");
    assert_refused_v6("::1");
    assert_refused_v6("::ffff:127.0.0.1");
    assert_refused_v6("fe80::1");
    assert_refused_v6("fd00:ec2::254");
    assert_refused_v6("fd20:ce::254");
    assert_refused_v6("64:ff9b::169.254.169.254");
    assert_refused_v6("::ffff:100.100.100.200");
    close(listener);
}

/* As in a test, or beside a proxy in the same pod. */
static void brokers_are_where_the_trigger_has_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *servers, *broker;
    } own[] = {
        {"kafka.shop:9092,localhost:19092", "localhost:19092"},
        {"kafka.shop:9092, localhost", "localhost:9092"},
        {"PLAINTEXT://[::1]:9093/", "[::1]:9093"},
        {"[::1]", "::1:9092"},
        {"::1", "::1:9092"},
        {"PLAINTEXT://::1/", "PLAINTEXT://::1:9092/bootstrap"},
        {":9092", "localhost:9092"},
        {"localhost:09092", "localhost:9092"},
        {"SSL://localhost.:9092/", "ssl://localhost:9092/bootstrap"},
    };
    struct sockaddr_in address;
    int listener = listen_on(&address);
    const struct sockaddr *place = (const struct sockaddr *)&address;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        guard(own[i].servers);
        assert_null(kafka_destinations_refused());
        assert_int_equal(connect_as("127.0.0.1:7", place, sizeof(address)), EACCES);
        _cleanup_(memory_free) char *refused = kafka_destinations_refused();
        assert_string_equal(refused, "127.0.0.1:7");
        assert_int_equal(connect_as(own[i].broker, place, sizeof(address)), 0);
        assert_true(has_come(listener));
        assert_int_equal(connect_as("127.0.0.1:7", place, sizeof(address)), 0);
    }
    close(listener);
}

/* Whoever operates the trigger must learn why a cluster that is up is not connected to. */
static void the_error_names_the_broker_that_was_refused(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int listener = listen_on(&address);
    struct kafka_connection_options options = {.bootstrap_servers = "kafka.shop:9092"};
    struct kafka_client client = {.options = &options};
    _cleanup_(error_done) struct error error = {0};
    guard(options.bootstrap_servers);
    assert_false(kafka_client_fail(&client, &error, "no broker answers"));
    assert_string_equal(error_text(&error), "Kafka at kafka.shop:9092: no broker answers");

    error_unavailable(&client.last_error, "Connect failed");
    assert_int_equal(connect_as("169.254.169.254:80", (struct sockaddr *)&address, sizeof(address)),
                     EACCES);
    assert_false(kafka_client_fail(&client, &error, "no broker answers"));
    assert_int_equal(error.code, ERROR_UNAVAILABLE);
    assert_string_equal(error_text(&error),
                        "Kafka at kafka.shop:9092: no broker answers: Connect failed; the broker "
                        "169.254.169.254:80 is at an address that only one of bootstrapServers may "
                        "have");

    kafka_client_clear_errors(&client); /* the cluster has answered: it explains no later failure */
    assert_false(kafka_client_fail(&client, &error, "no broker answers"));
    assert_string_equal(error_text(&error), "Kafka at kafka.shop:9092: no broker answers");

    assert_int_equal(connect_as("169.254.169.254:80", (struct sockaddr *)&address, sizeof(address)),
                     EACCES);
    guard(options.bootstrap_servers); /* of the next client: nothing was refused to it */
    assert_false(kafka_client_fail(&client, &error, "no broker answers"));
    assert_null(strstr(error_text(&error), "169.254.169.254"));
    error_done(&client.last_error);
    close(listener);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brokers_that_a_cluster_names_are_not_in_our_pod),
        cmocka_unit_test(brokers_are_where_the_trigger_has_its_own),
        cmocka_unit_test(the_error_names_the_broker_that_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
