/* Keys that Backlog reads where KEDA's scaler does not: moving must not change what they do. */
#include "base/memory.h"
#include "manifest/migration_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define KAFKA "bootstrapServers: k, consumerGroup: g"
#define REDIS "address: 'r:1', listName: x"
#define RABBITMQ "host: 'amqp://r/', queueName: q"
#define POSTGRESQL                                                                                 \
    "host: p, port: '5432', userName: u, dbName: d, sslmode: disable, query: q, "                  \
    "targetQueryValue: '5'"
#define NATS "account: $G, stream: s, consumer: c"
#define MONITORING "natsServerMonitoringEndpoint: 'n:8222', " NATS

static char *builtin_trigger(const char *type, const char *metadata)
{
    return text_format(HEAD "  triggers:\n  - {type: %s, metadata: {%s}}\n", type, metadata);
}

static void a_key_that_keda_does_not_read_there_stops_the_move(void **state)
{
    (void)state;
    static const struct {
        const char *type, *metadata, *reason;
    } cases[] = {
        {"kafka", KAFKA ", lagThresholdFromEnv: L",
         "KEDA's scaler reads only lagThreshold in the metadata"},
        {"kafka", KAFKA ", username: u", "reads only username in a TriggerAuthentication"},
        {"kafka", KAFKA ", persistentLagTime: 60s", "has no persistentLagTime"},
        {"kafka", KAFKA ", brokerUnsafeSsl: 'true'", "reads only unsafeSsl in the metadata"},
        {"kafka", KAFKA ", unsafeSslFromEnv: U", "reads only unsafeSsl in the metadata"},
        {"redis", REDIS ", tls: enable", "reads only tls in a TriggerAuthentication"},
        {"redis-cluster", REDIS ", library: rq", "has no library"},
        {"rabbitmq", RABBITMQ ", username: u, password: p",
         "reads only passwordFromEnv in the metadata and password in a TriggerAuthentication"},
        {"rabbitmq", RABBITMQ ", ca: c", "reads only ca in a TriggerAuthentication"},
        {"postgresql", "connection: c, query: q, targetQueryValue: '5'",
         "reads only connectionFromEnv in the metadata and connection in a TriggerAuthentication"},
        {"postgresql", POSTGRESQL ", hostFromEnv: H",
         "reads only host in the metadata and host in a TriggerAuthentication"},
        {"nats-jetstream", MONITORING ", ca: c", "has no ca"},
        {"prometheus", "serverAddress: 'http://p', query: q, threshold: '5', arrivalQuery: a",
         "has no arrivalQuery"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *text = builtin_trigger(cases[i].type, cases[i].metadata);
        assert_stays(text, cases[i].reason);
    }
}

static void a_key_that_keda_reads_there_moves(void **state)
{
    (void)state;
    static const struct {
        const char *type, *metadata;
    } cases[] = {
        {"kafka", "bootstrapServersFromEnv: B, consumerGroupFromEnv: G, topicFromEnv: T, sasl: "
                  "none, tls: enable, unsafeSsl: 'true', username: ''"},
        {"redis", "addressesFromEnv: A, usernameFromEnv: U, password: p, enableTLS: 'true', "
                  "listName: x"},
        {"redis-sentinel", REDIS ", sentinelMasterFromEnv: M"},
        {"rabbitmq", "hostFromEnv: H, queueName: q, usernameFromEnv: U, passwordFromEnv: P"},
        {"postgresql", "connectionFromEnv: C, query: q, targetQueryValue: '5'"},
        {"postgresql", POSTGRESQL ", passwordFromEnv: P"},
        {"nats-jetstream", MONITORING ", useHttps: 'true'"},
        {"prometheus", "serverAddress: 'http://p', query: q, threshold: '5', customHeaders: a=b"},
        {"kafka", KAFKA ", hold: 60s, maxWait: 60s, ratePerReplica: '5'"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *text = builtin_trigger(cases[i].type, cases[i].metadata);
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *there = migrated(text, &findings);
        if (there == NULL)
            print_all(&findings);
        assert_non_null(there);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_keda_does_not_read_there_stops_the_move),
        cmocka_unit_test(a_key_that_keda_reads_there_moves),
    };
    return cmocka_run_group_tests_name("keda_keys", tests, NULL, NULL);
}
