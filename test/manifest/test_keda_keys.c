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
    "host: p, port: '5432', userName: u, dbName: d, sslmode: disable, query: TABLE q, "            \
    "targetQueryValue: '5'"
#define NATS "account: $G, stream: s, consumer: c"
#define METRICS_API "url: 'http://a/b?c=d', valueLocation: e.f, targetValue: '5'"
#define MONITORING "natsServerMonitoringEndpoint: 'n:8222', " NATS

static char *builtin_trigger(const char *type, const char *metadata)
{
    return text_format(HEAD "  triggers:\n  - {type: %s, metadata: {%s}}\n", type, metadata);
}

static char *own_trigger(const char *scaler, const char *metadata)
{
    return text_format(HEAD "  triggers:\n  - type: external\n    metadata:\n"
                            "      {scalerAddress: 'b:1', scaler: %s, %s}\n",
                       scaler, metadata);
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
        {"apache-kafka", KAFKA ", unsafeSsl: 'true'", "has no unsafeSsl"},
        {"kafka", KAFKA ", awsSecretAccessKeyFromEnv: A", "awsSecretAccessKey is not supported"},
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
        {"metrics-api", METRICS_API ", authMode: basic, username: u",
         "reads only username in a TriggerAuthentication"},
        {"metrics-api", METRICS_API ", aggregateFromKubeServiceEndpoints: 'true'",
         "aggregateFromKubeServiceEndpoints is not supported"},
        {"metrics-api", METRICS_API ", format: xml", "format xml is not supported here"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *text = builtin_trigger(cases[i].type, cases[i].metadata);
        assert_stays(text, cases[i].reason);
    }
}

static void a_parameter_that_keda_does_not_read_stops_the_move(void **state)
{
    (void)state;
    static const struct {
        const char *parameter, *reason; /* NULL: it moves */
    } cases[] = {
        {"databaseIndex",
         "a has databaseIndex, which KEDA ignores, and Backlog does not: remove it "
         "there (KEDA's scaler reads only databaseIndex in the metadata)"},
        {"unsafeSsl", "reads only unsafeSsl in the metadata"},
        {"password", NULL},
        {"tls", NULL},
        {"sasl", NULL}, /* which neither reads */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text =
            text_format(HEAD "  triggers:\n  - type: redis\n    metadata: {" REDIS "}\n"
                             "    authenticationRef: {name: a}\n---\nkind: TriggerAuthentication\n"
                             "metadata: {name: a, namespace: shop}\n"
                             "spec: {secretTargetRef: [{parameter: %s, name: s, key: k}]}\n",
                        cases[i].parameter);
        _cleanup_(memory_free) char *there = migrated(text, &findings);
        assert_true((there != NULL) == (cases[i].reason == NULL));
        if (cases[i].reason != NULL)
            assert_error(&findings, cases[i].reason);
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
        {"postgresql", "connectionFromEnv: C, query: TABLE q, targetQueryValue: '5'"},
        {"postgresql", POSTGRESQL ", passwordFromEnv: P"},
        {"nats-jetstream", MONITORING ", useHttps: 'true'"},
        {"prometheus", "serverAddress: 'http://p', query: q, threshold: '5', customHeaders: a=b"},
        {"metrics-api", METRICS_API ", authMode: apiKey, apiKey: k, unsafeSsl: 'true'"},
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

static void without_what_keda_requires_a_trigger_stays(void **state)
{
    (void)state;
    static const struct {
        const char *scaler, *metadata, *reason;
    } cases[] = {
        {"nats-jetstream", "servers: 'n:4222', stream: s, consumer: c",
         "KEDA's scaler needs natsServerMonitoringEndpoint"},
        {"redis", "address: 'r:1', library: rq, queueName: q", "KEDA's scaler needs listName"},
        {"kafka", KAFKA ", maxWait: 60s, ratePerReplica: '5'",
         "KEDA's scaler ignores maxWait, and has no threshold here: write lagThreshold first"},
        {"kafka", KAFKA ", steps: 1=1, lagThresholdFromEnv: L", "write lagThreshold first"},
        {"redis-streams", "address: 'r:1', stream: s, steps: 1=1",
         "write lagCount or pendingEntriesCount or streamLength first"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *text = own_trigger(cases[i].scaler, cases[i].metadata);
        assert_stays_with_backlog(text, cases[i].reason);
    }
}

static void assert_moves_back(const char *text, enum finding_level level, const char *words)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = migrated_back(text, &findings);
    bool is_found = words == NULL;
    for (size_t i = 0; i < findings.count; i++)
        if (words == NULL)
            assert_int_equal(findings.items[i].level, FINDING_NOTE);
        else
            is_found |=
                findings.items[i].level == level && strstr(findings.items[i].text, words) != NULL;
    if (back == NULL || !is_found)
        print_all(&findings);
    assert_non_null(back);
    assert_true(is_found);
}

static void what_keda_ignores_behind_the_way_back_is_a_warning(void **state)
{
    (void)state;
    static const struct {
        const char *scaler, *metadata, *warning; /* NULL: none */
    } cases[] = {
        {"kafka", KAFKA ", topic: t, unsafeSsl: 'true', brokerUnsafeSsl: 'true'", NULL},
        {"apache-kafka", KAFKA ", topic: t, brokerUnsafeSsl: 'true'", "it has no unsafeSsl"},
        {"kafka", KAFKA ", topic: ^orders-.*", "takes the pattern in topic for a name"},
        {"kafka", KAFKA ", passwordFromEnv: P",
         "ignores passwordFromEnv: it reads only password in a TriggerAuthentication"},
        {"postgresql", POSTGRESQL ", password: p",
         "ignores password: it reads only passwordFromEnv in the metadata and password in a "
         "TriggerAuthentication"},
        {"redis", REDIS ", keys: 'a,b'", "ignores keys: it has no keys"},
        {"nats-jetstream", "servers: 'n:4222', " MONITORING, "ignores servers"},
        {"kafka", KAFKA ", maxWait: 60s, ratePerReplica: '5', lagThreshold: '9'", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *text = own_trigger(cases[i].scaler, cases[i].metadata);
        assert_moves_back(text, FINDING_WARNING, cases[i].warning);
    }
}

/* As is what a template adds. */
static void what_an_authentication_may_have_is_not_missing(void **state)
{
    (void)state;
#define TRIGGER(more)                                                                              \
    HEAD "  triggers:\n  - type: external\n    authenticationRef: {name: a}\n    metadata:\n"      \
         "      scalerAddress: b:1\n      scaler: nats-jetstream\n      stream: s\n"               \
         "      consumer: c\n" more
#define PARAMETER(name)                                                                            \
    "---\nkind: TriggerAuthentication\nmetadata: {name: a}\n"                                      \
    "spec: {secretTargetRef: [{parameter: " name ", name: s, key: k}]}\n"
    static const char missing[] = "needs natsServerMonitoringEndpoint";
    assert_moves_back(TRIGGER(""), FINDING_NOTE, NULL);
    assert_moves_back(TRIGGER("") PARAMETER("natsServerMonitoringEndpoint"), FINDING_NOTE, NULL);
    assert_stays_with_backlog(TRIGGER("") PARAMETER("password"), missing);
    assert_stays_with_backlog(TRIGGER("      enableTLS: 'true'\n"), missing);
    assert_moves_back(TRIGGER("      enableTLS: 'true'\n"
                              "      {{- toYaml .Values.more | nindent 6 }}\n"
                              "      account: $G\n"),
                      FINDING_NOTE, NULL);
#undef TRIGGER
#undef PARAMETER
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_keda_does_not_read_there_stops_the_move),
        cmocka_unit_test(a_parameter_that_keda_does_not_read_stops_the_move),
        cmocka_unit_test(a_key_that_keda_reads_there_moves),
        cmocka_unit_test(without_what_keda_requires_a_trigger_stays),
        cmocka_unit_test(what_keda_ignores_behind_the_way_back_is_a_warning),
        cmocka_unit_test(what_an_authentication_may_have_is_not_missing),
    };
    return cmocka_run_group_tests_name("keda_keys", tests, NULL, NULL);
}
