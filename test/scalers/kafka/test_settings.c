#include "kafka/client/settings.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/trigger.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_kafka;

static void each_sasl_has_its_mechanism(void **state)
{
    (void)state;
    static const struct {
        enum kafka_sasl sasl;
        const char *mechanism; /* NULL: there are no settings */
    } rows[] = {
        {KAFKA_SASL_PLAINTEXT, "PLAIN"},         {KAFKA_SASL_SHA256, "SCRAM-SHA-256"},
        {KAFKA_SASL_SHA512, "SCRAM-SHA-512"},    {KAFKA_SASL_GSSAPI, "GSSAPI"},
        {KAFKA_SASL_OAUTHBEARER, "OAUTHBEARER"}, {KAFKA_SASL_AWS_MSK_IAM, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        const struct kafka_connection_options options = {.sasl = (int)rows[i].sasl};
        rd_kafka_conf_t *conf = kafka_settings_new(&options, NULL, &error);
        char mechanism[32] = "";
        size_t size = sizeof(mechanism);
        assert_int_equal(conf == NULL, rows[i].mechanism == NULL);
        assert_int_equal(error_is_set(&error), rows[i].mechanism == NULL);
        if (conf == NULL)
            continue;
        assert_int_equal(rd_kafka_conf_get(conf, "sasl.mechanisms", mechanism, &size),
                         RD_KAFKA_CONF_OK);
        assert_string_equal(mechanism, rows[i].mechanism);
        rd_kafka_conf_destroy(conf);
    }
}

/* As KEDA: in YAML a list may have a line for each of them. */
static void white_space_around_bootstrap_servers_is_left_out(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    const struct kafka_connection_options options = {
        .bootstrap_servers = "kafka-0:9092,\n  kafka-1:9092\t,kafka-2\n"};
    rd_kafka_conf_t *conf = kafka_settings_new(&options, NULL, &error);
    char brokers[64] = "";
    size_t size = sizeof(brokers);
    assert_non_null(conf);
    assert_int_equal(rd_kafka_conf_get(conf, "bootstrap.servers", brokers, &size),
                     RD_KAFKA_CONF_OK);
    assert_string_equal(brokers, "kafka-0:9092,kafka-1:9092,kafka-2");
    rd_kafka_conf_destroy(conf);
}

/* ---- what other brokers may send ---- */

enum { ANNOUNCED = 99000000, WHAT_SOCKETS_HOLD = 32 << 20 };

/* A broker whose first reply is as long as librdkafka reads by default. */
struct talker {
    int listener;
    size_t max_taken; /* by one connection */
};

static void talk(struct talker *talker, int connection)
{
    static const char zeros[1 << 16];
    char request[1024];
    size_t taken = 0;
    uint32_t length = htonl(ANNOUNCED);
    if (recv(connection, request, sizeof(request), 0) > 0 &&
        send(connection, &length, sizeof(length), MSG_NOSIGNAL) == sizeof(length))
        while (taken < ANNOUNCED) {
            ssize_t sent = send(connection, zeros, sizeof(zeros), MSG_NOSIGNAL);
            if (sent <= 0)
                break;
            taken += (size_t)sent;
        }
    talker->max_taken = taken > talker->max_taken ? taken : talker->max_taken;
    close(connection);
}

static void *run_talker(void *opaque)
{
    struct talker *talker = opaque;
    for (int connection; (connection = accept(talker->listener, NULL, NULL)) >= 0;)
        talk(talker, connection);
    return NULL;
}

static void a_reply_that_is_too_long_is_not_read(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    int port;
    struct talker talker = {.listener = listener_open(16, &port)};
    _cleanup_(memory_free) char *brokers = text_format("127.0.0.1:%d", port);
    const struct option_entry entries[] = {
        {"bootstrapServers", brokers}, {"consumerGroup", "workers"}, {"topic", "jobs"}};
    struct trigger trigger = trigger_parse(&scaler_kafka, entries, ARRAY_LENGTH(entries));
    void *client = NULL;
    pthread_t thread;
    pthread_create(&thread, NULL, run_talker, &talker);
    assert_false(
        scaler_kafka.connect(trigger.options.connection, clock_now_ms() + 2000, &client, &error));
    shutdown(talker.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(talker.listener);
    trigger_done(&trigger);
    if (strstr(error_text(&error), "Invalid response size 99000000") == NULL)
        fail_msg("%s", error_text(&error));
    assert_in_range(talker.max_taken, 1, WHAT_SOCKETS_HOLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sasl_has_its_mechanism),
        cmocka_unit_test(white_space_around_bootstrap_servers_is_left_out),
        cmocka_unit_test(a_reply_that_is_too_long_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
