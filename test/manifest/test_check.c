/* What `backlog check` finds in the triggers of a file. */
#include "base/memory.h"
#include "base/text.h"
#include "manifest/check_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void a_good_trigger_has_no_findings(void **state)
{
    (void)state;
    struct findings findings = checked(HEAD "spec:\n"
                                            "  triggers:\n"
                                            "    - type: external-push\n"
                                            "      metadata:\n"
                                            "        scalerAddress: backlog.keda.svc:9090\n"
                                            "        scaler: kafka\n"
                                            "        bootstrapServers: kafka:9092\n"
                                            "        consumerGroup: renderers\n"
                                            "        lagThreshold: \"5\"\n",
                                       NULL);
    assert_int_equal(findings.count, 0);
    findings_done(&findings);
}

static void each_mistake_has_its_line(void **state)
{
    (void)state;
    struct findings findings = checked(HEAD "spec:\n"
                                            "  triggers:\n"
                                            "    - type: external\n"
                                            "      metadata:\n"
                                            "        scaler: kafka\n"
                                            "        bootstrapServers: kafka:9092\n"
                                            "        lagTreshold: \"5\"\n"
                                            "        sasl: secret\n"
                                            "        lagThreshold: 7\n"
                                            "    - metadata: {a: b}\n",
                                       NULL);
    assert_finding(&findings, FINDING_ERROR, 6, "scalerAddress is missing");
    assert_finding(&findings, FINDING_ERROR, 8, "consumerGroup is missing");
    assert_finding(&findings, FINDING_ERROR, 10, "did you mean \"lagThreshold\"");
    assert_finding(&findings, FINDING_ERROR, 11, "sasl \"secret\" must be");
    assert_finding(&findings, FINDING_ERROR, 12, "in quotes");
    assert_finding(&findings, FINDING_ERROR, 13, "type is missing");
    assert_int_equal(findings.counts[FINDING_ERROR], 6);
    findings_done(&findings);
}

/* The findings are in the logs of CI. */
static void a_password_that_is_no_text_is_not_repeated(void **state)
{
    (void)state;
    static const char *const types[] = {"external, metadata: {scalerAddress: 'b:1', scaler: redis",
                                        "redis, metadata: {hold: 0s"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        _cleanup_(memory_free) char *text =
            text_format(HEAD "spec:\n  triggers:\n"
                             "    - {type: %s, address: 'r:1', listName: x, password: 48151623}}\n",
                        types[i]);
        struct findings findings = checked(text, NULL);
        assert_finding(&findings, FINDING_ERROR, 6,
                       "password: Kubernetes takes texts only: write the value in quotes");
        assert_no_finding(&findings, "48151623");
        findings_done(&findings);
    }
}

/* More than the whole names, and more than it compares with the known keys. */
static void each_misspelt_key_is_reported_once(void **state)
{
    (void)state;
    static const char *const keys[] = {"lagTreshold", "topc", "consumerGruop", "versoin"};
    _cleanup_(text_done) struct text text = {0};
    text_add(&text, HEAD "spec:\n"
                         "  triggers:\n"
                         "    - type: external\n"
                         "      metadata:\n"
                         "        scalerAddress: b:1\n"
                         "        scaler: kafka\n"
                         "        bootstrapServers: kafka:9092\n"
                         "        consumerGroup: g\n");
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        text_addf(&text, "        %s: x\n", keys[i]);
    for (size_t i = 0; i < 20; i++)
        text_addf(&text, "        qqqqqqqq%zuq: x\n", i);
    struct findings findings = checked(text.bytes, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        _cleanup_(memory_free) char *word = text_format("\"%s\": did you mean", keys[i]);
        assert_finding(&findings, FINDING_ERROR, 12 + i, word);
        assert_int_equal(count_of(&findings, keys[i]), 1);
    }
    assert_int_equal(findings.counts[FINDING_ERROR], ARRAY_LENGTH(keys) + 20);
    findings_done(&findings);
}

/* A wrong value of a required key is not missing, too. */
static void each_wrong_value_is_reported_once(void **state)
{
    (void)state;
    struct findings findings = checked(HEAD "spec:\n"
                                            "  triggers:\n"
                                            "    - type: external\n"
                                            "      metadata:\n"
                                            "        scalerAddress: b:1\n"
                                            "        scaler: prometheus\n"
                                            "        serverAddress: http://p:9090\n"
                                            "        query: up\n"
                                            "        threshold: many\n"
                                            "        holdWindow: \"60\"\n"
                                            "        burstReplicas: \"5\"\n",
                                       NULL);
    assert_finding(&findings, FINDING_ERROR, 12, "threshold \"many\" must be");
    assert_finding(&findings, FINDING_ERROR, 13, "holdWindow \"60\" must have a unit");
    assert_finding(&findings, FINDING_ERROR, 14, "burstReplicas is not supported");
    assert_int_equal(findings.counts[FINDING_ERROR], 3);
    findings_done(&findings);
}

static void built_in_triggers_are_understood(void **state)
{
    (void)state;
    struct check_counts counts;
    struct findings findings = checked(
        HEAD
        "spec:\n"
        "  triggers:\n"
        "    - {type: kafka, metadata: {bootstrapServers: k, consumerGroup: g, unsafeSsl: "
        "\"true\"}}\n"
        "    - {type: redis, metadata: {address: \"r:1\", listName: x, enableTLS: \"true\"}}\n"
        "    - {type: redis, metadata: {address: \"r:1\", listName: x, listLenght: \"3\"}}\n"
        "    - {type: redis-cluster, metadata: {address: \"r:1\", listName: x, enableTLS: "
        "\"true\"}}\n"
        "    - {type: cron, metadata: {}}\n"
        "    - {type: kafka, metadata: {bootstrapServers: k}, authenticationRef: {name: none}}\n"
        "    - {type: redis-sentinel, metadata: {address: \"s:1\", sentinelMaster: m, listName: x, "
        "enableTLS: \"true\"}}\n"
        "    - {type: redis, metadata: {address: \"r:1\", listName: x, connectionName: q}}\n",
        &counts);
    assert_finding(&findings, FINDING_NOTE, 6, "unsafeSsl becomes brokerUnsafeSsl");
    assert_finding(&findings, FINDING_NOTE, 7, "enableTLS becomes brokerTls");
    assert_finding(&findings, FINDING_WARNING, 8,
                   "Backlog does not: remove it (unknown key \"listLenght\"");
    assert_finding(&findings, FINDING_NOTE, 9, "enableTLS becomes brokerTls");
    assert_finding(&findings, FINDING_NOTE, 10, "no such scaler");
    assert_finding(&findings, FINDING_WARNING, 11, "consumerGroup is missing");
    assert_finding(&findings, FINDING_NOTE, 12, "enableTLS becomes brokerTls");
    assert_finding(&findings, FINDING_WARNING, 13, "connectionName is in its metadata");
    assert_int_equal(counts.triggers, 8);
    assert_int_equal(counts.movable, 4);
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
    findings_done(&findings);
}

/* What is in a variable of the worker or in a Secret is not known here, and not judged. */
static void values_that_are_not_known_are_accepted(void **state)
{
    (void)state;
    struct findings findings = checked(
        HEAD
        "spec:\n"
        "  triggers:\n"
        "    - type: external-push\n"
        "      metadata: {scalerAddress: b:1, scaler: rabbitmq, hostFromEnv: URL, queueName: q}\n"
        "    - type: rabbitmq\n"
        "      metadata: {queueName: q}\n"
        "      authenticationRef: {name: rabbit}\n"
        "---\n"
        "kind: TriggerAuthentication\n"
        "metadata: {name: rabbit, namespace: shop}\n"
        "spec: {secretTargetRef: [{parameter: host, name: s, key: k}]}\n",
        NULL);
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
    assert_int_equal(findings.counts[FINDING_WARNING], 0);
    assert_finding(&findings, FINDING_NOTE, 8, "a server with --kubernetes reads rabbit");
    findings_done(&findings);
}

/* Rules across keys that need no unknown value are applied, whatever that value is; and what is not
 * known is listed. */
static void rules_that_need_no_unknown_value_are_applied(void **state)
{
    (void)state;
    static const struct {
        const char *metadata, *words, *listed;
    } rows[] = {
        {"scaler: postgresql, host: h, port: '1', userName: u, dbName: d, sslmode: disable, "
         "passwordFromEnv: P, query: UPDATE x SET y=1, targetQueryValue: '5'",
         "query must begin with SELECT", "passwordFromEnv"},
        {"scaler: postgresql, connectionFromEnv: C, query: UPDATE x SET y=1, targetQueryValue: '5'",
         "query must begin with SELECT", "connectionFromEnv"},
        {"scaler: postgresql, host: h, userName: u, dbName: d, sslmode: disable, passwordFromEnv: "
         "P, "
         "query: SELECT 1, targetQueryValue: '5'",
         "port missing", "passwordFromEnv"},
        {"scaler: redis, address: 'r:1', passwordFromEnv: P, listName: l, keys: 'a,b'",
         "set one of listName and keys", "passwordFromEnv"},
        {"scaler: redis, addressFromEnv: A, listName: l, keys: 'a,b'",
         "set one of listName and keys", "addressFromEnv"},
        {"scaler: rabbitmq, host: 'amqp://r:1/', username: u, passwordFromEnv: P, queueName: q, "
         "mode: MessageRate, value: '5'",
         "mode MessageRate needs a host that starts with http", "passwordFromEnv"},
        {"scaler: rabbitmq, hostFromEnv: H, queueName: q, mode: QueueLength, value: '5', "
         "queueLength: '3'",
         "queueLength is deprecated and excludes mode and value", "hostFromEnv"},
        {"scaler: nats-jetstream, servers: 'nats://n:1', user: u, passwordFromEnv: P, stream: a b, "
         "consumer: c",
         "stream is not a name in NATS", "passwordFromEnv"},
        {"scaler: kafka, bootstrapServersFromEnv: B, consumerGroup: g, topic: t, "
         "limitToPartitionsWithLag: 'true', allowIdleConsumers: 'true'",
         "limitToPartitionsWithLag excludes allowIdleConsumers", "bootstrapServersFromEnv"},
        {"scaler: kafka, bootstrapServers: 'k:1', consumerGroup: g, sasl: plaintext, "
         "usernameFromEnv: U, passwordFromEnv: P, fullMetadata: 'false'",
         "without topic, fullMetadata must not be off", "usernameFromEnv, passwordFromEnv"},
        {"scaler: prometheus, serverAddressFromEnv: S, query: up, threshold: '5', queryParameters: "
         "time=1",
         "queryParameters: number 1 is time", "serverAddressFromEnv"},
        /* Of a connection, or an authentication, that is not here. */
        {"scaler: redis, connectionName: c, listName: l, keys: 'a,b'",
         "set one of listName and keys", NULL},
        {"scaler: postgresql, triggerAuthentication: a, query: UPDATE x SET y=1, targetQueryValue: "
         "'5'",
         "query must begin with SELECT", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(memory_free) char *text =
            text_format(HEAD "spec:\n"
                             "  triggers:\n"
                             "    - type: external-push\n"
                             "      metadata: {scalerAddress: b:1, %s}\n",
                        rows[i].metadata);
        struct findings findings = checked_with(
            &(struct check_settings){.scalers = scaler_list, .has_kubernetes = true}, text, NULL);
        assert_finding(&findings, FINDING_ERROR, 7, rows[i].words);
        assert_int_equal(findings.counts[FINDING_ERROR], 1);
        if (rows[i].listed != NULL) {
            _cleanup_(memory_free) char *note =
                text_format("not checked, as only the worker has the value: %s", rows[i].listed);
            assert_finding(&findings, FINDING_NOTE, 7, note);
        }
        findings_done(&findings);
    }
}

/* What a rule says of the unknown value may be wrong. */
static void rules_that_need_an_unknown_value_are_not_applied(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "scaler: redis, address: 'r:1', usernameFromEnv: U, listName: l",
        "scaler: redis, address: 'r:1', username: u, passwordFromEnv: P, listName: l",
        "scaler: redis, hostFromEnv: H, portFromEnv: P, listName: l",
        "scaler: redis, address: 'r:1', listNameFromEnv: L, keysFromEnv: K",
        "scaler: rabbitmq, hostFromEnv: H, queueName: q, mode: MessageRate, value: '5'",
        "scaler: rabbitmq, hostFromEnv: H, queueName: q, mode: QueueLength, value: '5', "
        "excludeUnacknowledged: 'true'",
        "scaler: rabbitmq, host: 'amqp://r:1/', queueName: q, modeFromEnv: M, value: '5'",
        "scaler: nats-jetstream, natsServerMonitoringEndpointFromEnv: NN, accountFromEnv: AA, "
        "stream: "
        "s, consumer: c",
        "scaler: nats-jetstream, servers: 'nats://n:1', credentialsFromEnv: C, stream: s, "
        "consumer: "
        "c",
        "scaler: nats-jetstream, servers: 'nats://n:1', nkeySeedFromEnv: C, stream: s, consumer: c",
        "scaler: kafka, bootstrapServers: 'k:1', consumerGroup: g, topic: t, caFromEnv: C, tls: "
        "enable, saslFromEnv: S",
        "scaler: kafka, bootstrapServers: 'k:1', consumerGroup: g, topicFromEnv: T, "
        "limitToPartitionsWithLag: 'true'",
        "scaler: kafka, bootstrapServers: 'k:1', consumerGroup: g, topic: t, "
        "limitToPartitionsWithLagFromEnv: L, allowIdleConsumers: 'true'",
        "scaler: postgresql, connectionFromEnv: C, caFromEnv: A, query: SELECT 1, "
        "targetQueryValue: "
        "'5'",
        "scaler: postgresql, host: h, port: '1', userName: u, dbName: d, sslmodeFromEnv: S, ca: "
        "'-----BEGIN CERTIFICATE-----', query: SELECT 1, targetQueryValue: '5'",
        "scaler: prometheus, serverAddressFromEnv: S, query: up, threshold: '5', authModesFromEnv: "
        "A, bearerTokenFromEnv: B",
        "scaler: redis, connectionName: c, listName: l, maxWaitFromEnv: W, ratePerReplicaFromEnv: "
        "R",
        "scaler: rabbitmq, triggerAuthentication: a, queueName: q, mode: MessageRate, value: '5'",
        "scaler: prometheus, serverAddress: 'http://p', query: up, threshold: '5', "
        "authModesFromEnv: "
        "A, username: u, passwordFromEnv: P",
        "scaler: prometheus, serverAddress: 'http://p', query: up, threshold: '5', arrivalQuery: "
        "a, "
        "maxWait: 60s, ratePerReplicaFromEnv: R",
        "scaler: rabbitmq, connectionName: c, queueName: q, mode: QueueLength, value: '5', "
        "scaleDownWhenIdle: 30s, maxReplicaCount: '5'",
        "scaler: rabbitmq, hostFromEnv: H, queueName: q, mode: QueueLength, value: '5', "
        "scaleDownWhenIdle: 30s, maxReplicaCount: '5'",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(memory_free) char *text =
            text_format(HEAD "spec:\n"
                             "  triggers:\n"
                             "    - type: external-push\n"
                             "      metadata: {scalerAddress: b:1, %s}\n",
                        rows[i]);
        struct findings findings = checked_with(
            &(struct check_settings){.scalers = scaler_list, .has_kubernetes = true}, text, NULL);
        for (size_t n = 0; n < findings.count; n++)
            if (findings.items[n].level == FINDING_ERROR)
                fail_msg("%s: %s", rows[i], findings.items[n].text);
        findings_done(&findings);
    }
}

/* What is in a Secret of the files is known, and never shown. */
static void a_connection_string_in_a_secret_is_checked(void **state)
{
    (void)state;
    static const char *const triggers[] = {
        "    - type: postgresql\n"
        "      metadata: {query: SELECT 1, targetQueryValue: '5'}\n"
        "      authenticationRef: {name: db}\n",
        "    - type: external-push\n"
        "      metadata: {scalerAddress: b:1, scaler: postgresql, query: SELECT 1, "
        "targetQueryValue: '5', triggerAuthentication: db}\n",
        "    - type: external-push\n"
        "      metadata: {scalerAddress: b:1, scaler: postgresql, query: SELECT 1, "
        "targetQueryValue: '5'}\n"
        "      authenticationRef: {name: db}\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++) {
        _cleanup_(memory_free) char *text =
            text_format(HEAD "spec:\n"
                             "  triggers:\n"
                             "%s"
                             "---\n"
                             "kind: TriggerAuthentication\n"
                             "metadata: {name: db, namespace: shop}\n"
                             "spec: {secretTargetRef: [{parameter: connection, name: s, key: k}]}\n"
                             "---\n"
                             "kind: Secret\n"
                             "metadata: {name: s, namespace: shop}\n"
                             "stringData: {k: 'postgresql://u:sesame@db/jobs?pgbouncer=true'}\n",
                        triggers[i]);
        struct findings findings = checked_with(
            &(struct check_settings){.scalers = scaler_list, .has_kubernetes = true}, text, NULL);
        assert_int_equal(
            count_of(&findings, "connection: pgbouncer is a keyword of Prisma: remove it"), 1);
        assert_no_finding(&findings, "sesame");
        findings_done(&findings);
    }
}

/* Of KEDA's scaler it is for the source; of an external scaler it is for KEDA's calls. */
static void enable_tls_for_keda_calls_is_questioned(void **state)
{
    (void)state;
    static const struct {
        const char *trigger, *words;
    } rows[] = {
        {"metadata: {scalerAddress: b:1, scaler: redis, address: 'r:1', listName: l, enableTLS: "
         "'true'}",
         "if the source is meant, remove it, and set tls: enable"},
        {"metadata: {scalerAddress: b:1, scaler: kafka, bootstrapServers: 'k:1', consumerGroup: g, "
         "enableTLS: 'true'}",
         "enableTLS makes KEDA call Backlog with TLS: without authenticationRef it fails"},
        {"metadata: {scalerAddress: b:1, scaler: redis, address: 'r:1', listName: l, enableTLS: "
         "'false'}",
         NULL},
        {"authenticationRef: {name: backlog}, metadata: {scalerAddress: b:1, scaler: redis, "
         "address: 'r:1', listName: l, enableTLS: 'true'}",
         NULL},
        {"metadata: {scalerAddress: b:1, scaler: redis, address: 'r:1', listName: l, enableTLS: "
         "'true', unsafeSsl: 'true'}",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(memory_free) char *text = text_format(HEAD "spec:\n"
                                                             "  triggers:\n"
                                                             "    - {type: external-push, %s}\n",
                                                        rows[i].trigger);
        struct findings findings = checked(text, NULL);
        assert_int_equal(findings.counts[FINDING_WARNING], rows[i].words != NULL);
        if (rows[i].words != NULL)
            assert_finding(&findings, FINDING_WARNING, 6, rows[i].words);
        findings_done(&findings);
    }
}

static void former_keys_of_keda_say_what_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *words;
    } rows[] = {
        {"scaler: prometheus, serverAddress: 'http://p', query: up, threshold: '1', cortexOrgID: x",
         "cortexOrgID is no key of KEDA any more: set customHeaders: X-Scope-OrgID=VALUE"},
        {"scaler: prometheus, serverAddress: 'http://p', query: up, threshold: '1', "
         "cortexOrgIDFromEnv: XX",
         "cortexOrgID is no key of KEDA any more"},
        {"scaler: kafka, brokerList: 'k:1', bootstrapServers: 'k:1', consumerGroup: g, topic: t",
         "brokerList is no key of KEDA any more: set bootstrapServers"},
        {"scaler: apache-kafka, authMode: x, bootstrapServers: 'k:1', consumerGroup: g, topic: t",
         "authMode is no key of KEDA any more: set sasl, and tls"},
        {"scaler: rabbitmq, host: 'amqp://r:1/', queueName: q, mode: QueueLength, value: '5', "
         "apiHost: 'http://r'",
         "apiHost is no key of KEDA any more: set host to its http:// or https:// address"},
        {"scaler: rabbitmq, host: 'amqp://r:1/', queueName: q, mode: QueueLength, value: '5', "
         "includeUnacked: 'true'",
         "includeUnacked is no key of KEDA any more: set host to an http:// or https:// address"},
        {"scaler: redis, address: 'r:1', listName: l, cortexOrgID: x", "unknown key"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(memory_free) char *text =
            text_format(HEAD "spec:\n"
                             "  triggers:\n"
                             "    - type: external-push\n"
                             "      metadata: {scalerAddress: 'b:1', %s}\n",
                        rows[i].keys);
        struct findings findings = checked(text, NULL);
        assert_finding(&findings, FINDING_ERROR, 7, rows[i].words);
        assert_int_equal(findings.counts[FINDING_ERROR], 1);
        findings_done(&findings);
    }
}

/* The server takes every general key from a variable of the worker, too. */
static void general_keys_may_be_in_variables(void **state)
{
    (void)state;
    static const char *const keys[] = {"intervalFromEnv: V",
                                       "holdFromEnv: V",
                                       "holdWindowFromEnv: V",
                                       "maxReplicaCountFromEnv: V",
                                       "scaleDownWhenIdleFromEnv: V",
                                       "inFlightPerReplicaFromEnv: V",
                                       "stepsFromEnv: V",
                                       "maxWaitFromEnv: V, ratePerReplicaFromEnv: V",
                                       "maxWait: 60s, ratePerReplica: '10', utilizationFromEnv: V",
                                       "startTimeFromEnv: V",
                                       "consumersPerReplicaFromEnv: V",
                                       "interval: '', intervalFromEnv: V"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        _cleanup_(memory_free) char *text = text_format(
            HEAD
            "spec:\n"
            "  fallback: {replicas: 3, failureThreshold: 3}\n"
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: "
            "{stabilizationWindowSeconds: 600}}}}\n"
            "  triggers:\n"
            "    - type: external-push\n"
            "      metadata: {scalerAddress: b:1, scaler: redis-streams, address: 'r:1', stream: "
            "x, consumerGroup: g, lagCount: '5', %s%s%s}\n",
            keys[i], strstr(keys[i], "holdFromEnv") != NULL ? "" : ", hold: 60s",
            strstr(keys[i], "holdWindow") != NULL ? "" : ", holdWindow: 10m");
        struct findings findings = checked(text, NULL);
        for (size_t n = 0; n < findings.count; n++)
            fail_msg("%s: %s", keys[i], findings.items[n].text);
        findings_done(&findings);
    }
}

static void keys_in_variables_count_as_given(void **state)
{
    (void)state;
    struct findings findings = checked(
        "kind: ScaledJob\n"
        "metadata: {name: orders, namespace: shop}\n"
        "spec:\n"
        "  triggers:\n"
        "    - type: external\n"
        "      metadata: {scalerAddress: b:1, scalerFromEnv: S, holdFromEnv: H, topic: t}\n"
        "    - type: external\n"
        "      metadata: {scalerAddress: b:1, scaler: kafka, connectionNameFromEnv: C, "
        "consumerGroup: g, topic: t, holdFromEnv: H, maxWaitFromEnv: W, ratePerReplica: '10', "
        "activationLagThreshold: '5'}\n"
        "    - type: external\n"
        "      metadata: {scalerAddress: b:1, scaler: redis, address: 'r:1', listName: x, hold: "
        "0s, "
        "triggerAuthenticationFromEnv: A}\n",
        NULL);
    assert_finding(&findings, FINDING_NOTE, 6, "scalerFromEnv is a variable of the worker");
    assert_finding(&findings, FINDING_WARNING, 8, "activationLagThreshold has no effect: with max");
    assert_finding(&findings, FINDING_ERROR, 10,
                   "triggerAuthenticationFromEnv names no authentication: write its name in "
                   "triggerAuthentication");
    assert_int_equal(findings.counts[FINDING_ERROR], 1);
    assert_no_finding(&findings, "hold is");
    assert_no_finding(&findings, "set hold");
    findings_done(&findings);
}

/* Each mistake once, and no more of them than keys: some hundred kilobytes of keys took minutes and
 * gigabytes. */
static void metadata_has_a_limit_of_keys(void **state)
{
    (void)state;
    static const char *const types[] = {"external", "kafka"};
    for (size_t type = 0; type < ARRAY_LENGTH(types); type++) {
        _cleanup_(text_done) struct text yaml = {0};
        text_addf(&yaml, HEAD "spec: {triggers: [{type: %s, metadata: {a, a, a", types[type]);
        struct text many = {0};
        text_add(&many, yaml.bytes);
        for (size_t i = 0; i < 100000; i++)
            text_add(&many, ", a");
        text_add(&yaml, "}}]}\n");
        text_add(&many, "}}]}\n");
        struct findings few_found = checked(yaml.bytes, NULL);
        struct findings many_found = checked(many.bytes, NULL);
        size_t repeated = 0;
        for (size_t i = 0; i < few_found.count; i++)
            repeated += strstr(few_found.items[i].text, "a is given twice") != NULL;
        assert_int_equal(repeated, 2);
        assert_true(many_found.count <= 3);
        assert_finding(&many_found, type == 0 ? FINDING_ERROR : FINDING_WARNING, 4, "256");
        findings_done(&few_found);
        findings_done(&many_found);
        text_done(&many);
    }
}

/* What all have in common is written once. */
static void a_list_of_objects_may_share_anchors(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text text = {0};
    struct check_counts counts;
    text_add(&text, "kind: List\nitems:\n");
    for (size_t i = 0; i < 600; i++)
        text_addf(&text,
                  "- kind: ScaledObject\n"
                  "  metadata: {name: o%zu, namespace: shop, labels: %s}\n"
                  "  spec:\n"
                  "    scaleTargetRef: {name: o%zu}\n"
                  "    advanced: %s\n"
                  "    triggers: %s\n",
                  i, i == 0 ? "&labels {app: shop, team: orders}" : "*labels", i,
                  i == 0 ? "&advanced {horizontalPodAutoscalerConfig: {behavior: {scaleDown: "
                           "{stabilizationWindowSeconds: 60}}}}"
                         : "*advanced",
                  i == 0 ? "&triggers [{type: external-push, metadata: {scalerAddress: b:1, "
                           "scaler: redis, address: \"r:1\", listName: x, holdWindow: 60s}}]"
                         : "*triggers");
    struct findings findings = checked(text.bytes, &counts);
    assert_int_equal(findings.count, 0);
    assert_int_equal(counts.objects, 600);
    assert_int_equal(counts.triggers, 600);
    findings_done(&findings);
}

static void invalid_yaml_is_reported_with_its_line(void **state)
{
    (void)state;
    struct findings findings = checked("a: b\n  c: d\n", NULL);
    assert_finding(&findings, FINDING_ERROR, 2, "not YAML");
    findings_done(&findings);
}

/* Kubernetes takes no such number, and the file may still be checked. */
static void numbers_that_are_too_large_are_none(void **state)
{
    (void)state;
    struct findings findings =
        checked(HEAD "spec:\n  pollingInterval: 9223372036854775807\n  advanced:\n"
                     "    horizontalPodAutoscalerConfig:\n      behavior: {scaleDown: "
                     "{stabilizationWindowSeconds: 92233720368547758}}\n  triggers:\n"
                     "    - {type: external, metadata: {scalerAddress: 'b:1', scaler: redis, "
                     "address: 'r:1', listName: x, interval: 1s, hold: 1h}}\n",
                NULL);
    assert_no_finding(&findings, "holdWindow");
    assert_no_finding(&findings, "longer than pollingInterval");
    findings_done(&findings);
}

/* One at a line of the spec for each trigger: they come out of order. */
static void many_findings_are_sorted_by_line(void **state)
{
    (void)state;
    enum { MANY = 50 * 1000 };
    struct findings findings = {0};
    for (size_t i = 0; i < MANY; i++)
        finding_add(&findings, &(struct finding_place){.path = "f", .line = (MANY - i) / 2},
                    FINDING_NOTE, "%06zu", i);
    finding_add(&findings, &(struct finding_place){.path = "g", .line = 0}, FINDING_NOTE, "last");
    findings_sort(&findings);
    for (size_t i = 1; i < MANY; i++) {
        const struct finding *before = &findings.items[i - 1], *at = &findings.items[i];
        if (before->line > at->line ||
            (before->line == at->line && strcmp(before->text, at->text) > 0))
            fail_msg("%s before %s", before->text, at->text);
    }
    assert_string_equal(findings.items[MANY].text, "last");
    findings_done(&findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_trigger_has_no_findings),
        cmocka_unit_test(each_mistake_has_its_line),
        cmocka_unit_test(a_password_that_is_no_text_is_not_repeated),
        cmocka_unit_test(each_misspelt_key_is_reported_once),
        cmocka_unit_test(each_wrong_value_is_reported_once),
        cmocka_unit_test(built_in_triggers_are_understood),
        cmocka_unit_test(values_that_are_not_known_are_accepted),
        cmocka_unit_test(former_keys_of_keda_say_what_to_write),
        cmocka_unit_test(enable_tls_for_keda_calls_is_questioned),
        cmocka_unit_test(a_connection_string_in_a_secret_is_checked),
        cmocka_unit_test(rules_that_need_no_unknown_value_are_applied),
        cmocka_unit_test(rules_that_need_an_unknown_value_are_not_applied),
        cmocka_unit_test(general_keys_may_be_in_variables),
        cmocka_unit_test(keys_in_variables_count_as_given),
        cmocka_unit_test(metadata_has_a_limit_of_keys),
        cmocka_unit_test(a_list_of_objects_may_share_anchors),
        cmocka_unit_test(invalid_yaml_is_reported_with_its_line),
        cmocka_unit_test(numbers_that_are_too_large_are_none),
        cmocka_unit_test(many_findings_are_sorted_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
