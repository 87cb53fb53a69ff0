#include "base/memory.h"
#include "manifest/migration_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void assert_migrates(const char *text, const char *expected)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *there = migrated(text, &findings, NULL);
    for (size_t i = 0; there == NULL && i < findings.count; i++)
        print_message("%s\n", findings.items[i].text);
    assert_non_null(there);
    if (expected != NULL)
        assert_string_equal(there, expected);
    _cleanup_(memory_free) char *back = undone(there, &findings);
    assert_non_null(back);
    assert_string_equal(back, text);
    _cleanup_(memory_free) char *again = migrated(there, &findings, NULL);
    assert_null(again);
}

static void assert_stays(const char *text, const char *reason)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *there = migrated(text, &findings, NULL);
    assert_null(there);
    for (size_t i = 0; i < findings.count; i++)
        if (findings.items[i].level == FINDING_ERROR && strstr(findings.items[i].text, reason))
            return;
    for (size_t i = 0; i < findings.count; i++)
        print_message("%s\n", findings.items[i].text);
    fail_msg("no error with: %s", reason);
}

static void comments_and_formatting_stay(void **state)
{
    (void)state;
    assert_migrates(HEAD "  fallback: {failureThreshold: 3, replicas: 6}\n"
                         "  triggers:\n"
                         "  # the topic\n"
                         "  - type: kafka   # KEDA's own\n"
                         "    metadata:\n"
                         "      bootstrapServers:   kafka:9092 # three of them\n"
                         "\n"
                         "      consumerGroup: 'renderers'\n"
                         "      unsafeSsl: \"true\"\n"
                         "      # the end\n",
                    HEAD "  fallback: {failureThreshold: 3, replicas: 6}\n"
                         "  triggers:\n"
                         "  # the topic\n"
                         "  # backlog migrate: type in place of:\n"
                         "  #|  - type: kafka   # KEDA's own\n"
                         "  - type: external-push   # KEDA's own\n"
                         "    metadata:\n"
                         "      # backlog migrate: scalerAddress, scaler, hold added\n"
                         "      scalerAddress: backlog.keda.svc:9090\n"
                         "      scaler: kafka\n"
                         "      hold: \"60s\"\n"
                         "      bootstrapServers:   kafka:9092 # three of them\n"
                         "\n"
                         "      consumerGroup: 'renderers'\n"
                         "      # backlog migrate: brokerUnsafeSsl in place of:\n"
                         "      #|      unsafeSsl: \"true\"\n"
                         "      brokerUnsafeSsl: \"true\"\n"
                         "      # the end\n");
}

/* Of every shape that a trigger has: the reference goes before metadata, or before type. */
static void mtls_needs_an_authentication_of_keda(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "  triggers:\n  - type: redis\n    metadata:\n      address: r:6379\n      listName: x\n",
        "  triggers:\n  - metadata:\n      address: r:6379\n      listName: x\n    type: redis\n",
        "  triggers:\n  - authenticationRef: {name: none}\n    metadata:\n      address: r:6379\n"
        "      listName: x\n    type: redis\n    name: a\n",
        "  triggers:\n  - authenticationRef: {name: none}\n    type: redis\n    metadata:\n"
        "      address: r:6379\n      listName: x\n",
        "  triggers:\n  - name: a\n    type: redis\n    authenticationRef: {name: none}\n"
        "    metadata: {address: 'r:6379', listName: x}\n",
        "  triggers: [{authenticationRef: {name: none}, type: redis, metadata: {address: 'r:6379', "
        "listName: x}}]\n",
        "  triggers: [{type: redis, metadata: {address: 'r:6379', listName: x}, authenticationRef: "
        "{name: none}}]\n",
        "  triggers:\r\n  - type: redis\r\n    metadata:\r\n      address: r:6379\r\n      "
        "listName: x\r\n",
    };
    settings.authentication = "backlog";
    settings.is_cluster_wide = true;
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        _cleanup_(memory_free) char *text = text_format(
            HEAD "%s---\nkind: TriggerAuthentication\nmetadata: {name: none}\n", shapes[i]);
        assert_migrates(text, NULL);
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *there = migrated(text, &findings, NULL);
        assert_non_null(strstr(
            there, "authenticationRef: {name: backlog, kind: ClusterTriggerAuthentication}"));
        assert_non_null(strstr(there, "enableTLS: \"true\""));
    }
    assert_migrates(HEAD "  triggers:\n"
                         "  - type: redis\n"
                         "    metadata:\n"
                         "      address: r:6379\n"
                         "      listName: x\n",
                    HEAD
                    "  triggers:\n"
                    "  # backlog migrate: type, authenticationRef in place of:\n"
                    "  #|  - type: redis\n"
                    "  - type: external-push\n"
                    "    authenticationRef: {name: backlog, kind: ClusterTriggerAuthentication}\n"
                    "    metadata:\n"
                    "      # backlog migrate: scalerAddress, enableTLS, scaler added\n"
                    "      scalerAddress: backlog.keda.svc:9090\n"
                    "      enableTLS: \"true\"\n"
                    "      scaler: redis\n"
                    "      address: r:6379\n"
                    "      listName: x\n");
    settings.is_cluster_wide = false;
    assert_migrates(
        HEAD "  triggers: [{type: redis, metadata: {address: 'r:6379', listName: x}}]\n", NULL);
    settings.authentication = NULL;
}

static void an_authentication_becomes_a_connection(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *connections = NULL;
    static const char text[] = HEAD "  triggers:\n"
                                    "  - type: rabbitmq\n"
                                    "    authenticationRef:\n"
                                    "      name: rabbit # and its password\n"
                                    "    metadata:\n"
                                    "      host: amqp://rabbitmq:5672/shop\n"
                                    "      queueName: videos\n"
                                    "      mode: QueueLength\n"
                                    "      value: \"5\"\n" AUTHENTICATION;
    _cleanup_(memory_free) char *there = migrated(text, &findings, &connections);
    assert_non_null(there);
    assert_string_equal(connections,
                        "# By backlog migrate: values of the chart (helm upgrade --values).\n"
                        "connections:\n"
                        "  rabbit:\n"
                        "    scaler: rabbitmq\n"
                        "    secret: rabbitmq # in the namespace of Backlog\n"
                        "    host: amqp://rabbitmq:5672/shop\n"
                        "    usernameFile: user\n"
                        "    passwordFile: pw\n"
                        "    namespaces: [shop]\n");
    assert_migrates(text, HEAD
                    "  triggers:\n"
                    "  # backlog migrate: type in place of 3 lines:\n"
                    "  #|  - type: rabbitmq\n"
                    "  #|    authenticationRef:\n"
                    "  #|      name: rabbit # and its password\n"
                    "  - type: external-push\n"
                    "    metadata:\n"
                    "      # backlog migrate: scalerAddress, scaler, connectionName in place of:\n"
                    "      #|      host: amqp://rabbitmq:5672/shop\n"
                    "      scalerAddress: backlog.keda.svc:9090\n"
                    "      scaler: rabbitmq\n"
                    "      connectionName: rabbit\n"
                    "      queueName: videos\n"
                    "      mode: QueueLength\n"
                    "      value: \"5\"\n" AUTHENTICATION);
}

static void other_ways_of_writing_are_edited_too(void **state)
{
    (void)state;
    assert_migrates(
        "kind: ScaledJob\nmetadata: {name: j}\nspec:\n  triggers: [{type: redis, "
        "metadata: {address: 'r:6379', listName: x}}]",
        "kind: ScaledJob\nmetadata: {name: j}\nspec:\n"
        "  # backlog migrate: triggers in place of:\n"
        "  #|  triggers: [{type: redis, metadata: {address: 'r:6379', listName: x}}]\n"
        "  triggers: [{type: external, metadata: {scalerAddress: backlog.keda.svc:9090, "
        "scaler: redis, address: 'r:6379', listName: x}}]");
    /* What goes stands behind the dash. */
    assert_migrates(HEAD "  triggers:\n"
                         "  - authenticationRef:\n"
                         "      name: rabbit\n"
                         "    type: \"rabbitmq\"\n"
                         "    metadata: {host: 'amqp://r/', queueName: q}\n" AUTHENTICATION,
                    NULL);
    /* A block scalar at the end, no end of the line at the end of the file, and its other ends. */
    assert_migrates(HEAD "  triggers:\r\n"
                         "  - metadata:\r\n"
                         "      serverAddress: http://p:9090\r\n"
                         "      threshold: '5'\r\n"
                         "      unknown: x\r\n"
                         "      query: |\r\n"
                         "        sum(jobs)\r\n"
                         "\r\n"
                         "    type: prometheus",
                    NULL);
    assert_migrates(HEAD "  triggers:\n"
                         "  - metadata: {queueName: q,\n"
                         "      host: 'amqp://r/'} # äöü\n"
                         "    type: rabbitmq\n"
                         "    authenticationRef: {name: rabbit}\n" AUTHENTICATION,
                    NULL);
    assert_migrates("kind: List\nitems:\n- kind: ScaledObject\n  metadata: {name: x}\n  spec:\n"
                    "    triggers:\n    - type: redis\n      metadata:\n        address: r:1\n"
                    "        listName: x\n        metricName: old\n",
                    NULL);
}

/* The line that goes is the last of the file, and nothing ends it. */
static void an_open_last_line_can_go(void **state)
{
    (void)state;
    assert_migrates("kind: TriggerAuthentication\nmetadata: {name: rabbit}\n"
                    "spec: {secretTargetRef: [{parameter: host, name: s, key: h}]}\n---\n" HEAD
                    "  triggers:\n"
                    "  - type: rabbitmq\n"
                    "    metadata: {queueName: q}\n"
                    "    authenticationRef: {name: rabbit}",
                    NULL);
    assert_migrates("kind: ScaledJob\nmetadata: {name: j}\nspec:\n"
                    "  triggers:\n"
                    "  - type: redis\n"
                    "    metadata:\n"
                    "      address: r:6379\n"
                    "      listName: x\n"
                    "      unknown: x",
                    "kind: ScaledJob\nmetadata: {name: j}\nspec:\n"
                    "  triggers:\n"
                    "  # backlog migrate: type in place of:\n"
                    "  #|  - type: redis\n"
                    "  - type: external\n"
                    "    metadata:\n"
                    "      # backlog migrate: scalerAddress, scaler added\n"
                    "      scalerAddress: backlog.keda.svc:9090\n"
                    "      scaler: redis\n"
                    "      address: r:6379\n"
                    "      listName: x\n"
                    "      # backlog migrate: removed:\n"
                    "      #|      unknown: x");
}

static void variables_of_the_worker_stay_variables(void **state)
{
    (void)state;
    assert_migrates(HEAD "  triggers:\n"
                         "  - type: redis\n"
                         "    metadata:\n"
                         "      address: r:6379\n"
                         "      listName: x\n"
                         "    authenticationRef: {name: redis}\n"
                         "---\n"
                         "kind: TriggerAuthentication\n"
                         "metadata: {name: redis}\n"
                         "spec: {env: [{parameter: password, name: REDIS_PASSWORD}]}\n",
                    HEAD "  triggers:\n"
                         "  # backlog migrate: type in place of:\n"
                         "  #|  - type: redis\n"
                         "  - type: external-push\n"
                         "    metadata:\n"
                         "      # backlog migrate: scalerAddress, scaler, passwordFromEnv added\n"
                         "      scalerAddress: backlog.keda.svc:9090\n"
                         "      scaler: redis\n"
                         "      passwordFromEnv: REDIS_PASSWORD\n"
                         "      address: r:6379\n"
                         "      listName: x\n"
                         "    # backlog migrate: removed:\n"
                         "    #|    authenticationRef: {name: redis}\n"
                         "---\n"
                         "kind: TriggerAuthentication\n"
                         "metadata: {name: redis}\n"
                         "spec: {env: [{parameter: password, name: REDIS_PASSWORD}]}\n");
}

static void triggers_that_cannot_move_stay_with_the_reason(void **state)
{
    (void)state;
#define KAFKA                                                                                      \
    HEAD "  triggers:\n  - {type: kafka, metadata: {bootstrapServers: k, consumerGroup: g}, "      \
         "authenticationRef: {name: a}}\n"
    assert_stays(KAFKA, "is in none of the files");
    assert_stays(KAFKA "---\nkind: TriggerAuthentication\nmetadata: {name: a}\n"
                       "spec: {podIdentity: {provider: aws}}\n",
                 "podIdentity");
    assert_stays(KAFKA "---\nkind: TriggerAuthentication\nmetadata: {name: a}\n"
                       "spec: {secretTargetRef: [{parameter: awsAccessKeyID, name: s, key: k}]}\n",
                 "AWS identities");
    assert_stays(HEAD "  triggers:\n  - {type: redis, metadata: {address: 'r:1'}}\n",
                 "listName is missing");
    assert_stays(HEAD "  triggers:\n  - {type: redis-cluster, metadata: {}}\n",
                 "set scaler to redis");
    assert_stays(
        "a: &m {address: 'r:1', listName: x}\n---\n" HEAD
        "  x: &m {address: 'r:1', listName: x}\n  triggers:\n  - {type: redis, metadata: *m}\n",
        "alias");
    assert_stays(
        HEAD "  triggers:\n"
             "  - {type: redis, metadata: {address: 'r:1', listName: x}, authenticationRef: &a "
             "{name: r}}\n"
             "  - {type: redis, metadata: {address: 'r:1', listName: y}, authenticationRef: *a}\n"
             "---\nkind: TriggerAuthentication\nmetadata: {name: r}\nspec: {}\n",
        "alias");
    /* What stands before and behind an alias is not where its bytes are. */
#define ALIAS(trigger) HEAD "  a: &n rabbit\n  k: &k name\n  triggers:\n" trigger AUTHENTICATION
    assert_stays(ALIAS("  - {metadata: {host: 'amqp://r/', queueName: q}, type: rabbitmq, "
                       "name: *n, authenticationRef: {name: rabbit}}\n"),
                 "alias");
    assert_stays(ALIAS("  - metadata: {host: 'amqp://r/', queueName: q}\n"
                       "    type: rabbitmq\n"
                       "    authenticationRef:\n"
                       "      name: *n\n"),
                 "alias");
    assert_stays(ALIAS("  - authenticationRef: {name: rabbit}\n"
                       "    *k : x\n"
                       "    type: rabbitmq\n"
                       "    metadata: {host: 'amqp://r/', queueName: q}\n"),
                 "alias");
    assert_stays("{\"kind\": \"ScaledObject\", \"spec\": {\"triggers\": [{\"type\": \"redis\"}]}}",
                 "JSON has no comments");
}

/* A comment of somebody's own that begins with #|, or names the command, is no mark. */
static void comments_of_others_are_no_marks(void **state)
{
    (void)state;
    assert_migrates(HEAD "  #| team | orders |\n"
                         "  # moved by backlog migrate, see the wiki\n"
                         "  triggers:\n"
                         "  - type: kafka\n"
                         "    metadata: {bootstrapServers: k, topic: t, consumerGroup: g}\n",
                    NULL);
}

/* The password of one team must not go to the server of another. */
static void of_two_authentications_of_one_name_none_is_guessed(void **state)
{
    (void)state;
#define TRIGGER(more)                                                                              \
    "kind: ScaledObject\nmetadata: {name: o" more "}\nspec:\n  triggers:\n"                        \
    "  - {type: redis, metadata: {address: 'r:1', listName: a}, authenticationRef: {name: r}}\n"
#define REDIS(more, secret)                                                                        \
    "---\nkind: TriggerAuthentication\nmetadata: {name: r" more "}\n"                              \
    "spec: {secretTargetRef: [{parameter: password, name: " secret ", key: k}]}\n"
    assert_stays(TRIGGER("") REDIS("", "one") REDIS("", "two"), "and another one in f.yaml");
    assert_stays(TRIGGER("") REDIS(", namespace: x", "one") REDIS(", namespace: y", "two"),
                 "set their namespaces");
    assert_migrates(TRIGGER("") REDIS("", "one") REDIS("", "one"), NULL);

    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *connections = NULL;
    _cleanup_(memory_free) char *there =
        migrated(TRIGGER(", namespace: y") REDIS("", "one") REDIS(", namespace: y", "two"),
                 &findings, &connections);
    assert_non_null(there);
    assert_non_null(strstr(connections, "secret: two "));
}

static void equal_connections_are_one(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *connections = NULL;
    _cleanup_(memory_free) char *there =
        migrated(HEAD "  triggers:\n"
                      "  - {type: rabbitmq, metadata: {host: 'amqp://r/', queueName: a}, "
                      "authenticationRef: {name: rabbit}}\n"
                      "  - {type: rabbitmq, metadata: {host: 'amqp://r/', queueName: b}, "
                      "authenticationRef: {name: rabbit}}\n"
                      "  - {type: rabbitmq, metadata: {host: 'amqp://other/', queueName: a}, "
                      "authenticationRef: {name: rabbit}}\n" AUTHENTICATION,
                 &findings, &connections);
    assert_non_null(there);
    assert_non_null(strstr(connections, "  rabbit:\n"));
    assert_non_null(strstr(connections, "  shop-rabbit:\n"));
    assert_null(strstr(connections, "-2:\n"));
}

/* Of two triggers that need one, one moves; of another file none does. */
static void what_stays_needs_no_connection(void **state)
{
    (void)state;
    static const char moves[] =
        HEAD "  triggers:\n"
             "  - {type: redis, metadata: {address: 'r:1', listName: x}, authenticationRef: {name: "
             "rabbit}}\n"
             "  - {type: redis, metadata: {address: 'r:2', listName: x}, authenticationRef: &a "
             "{name: rabbit}}\n"
             "  x: *a\n" AUTHENTICATION;
    static const char stays[] = HEAD "  triggers:\n"
                                     "  - type: redis\n"
                                     "    authenticationRef: {name: rabbit}\n"
                                     "    ? metadata\n"
                                     "    : address: r:2\n"
                                     "      listName: x\n" AUTHENTICATION;
    for (int i = 0; i < 2; i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *connections = NULL;
        _cleanup_(memory_free) char *there =
            migrated(i == 0 ? moves : stays, &findings, &connections);
        assert_int_equal(there != NULL, i == 0);
        assert_int_equal(strstr(connections, "address: \"r:1\"") != NULL ||
                             strstr(connections, "address: r:1") != NULL,
                         i == 0);
        assert_null(strstr(connections, "r:2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_and_formatting_stay),
        cmocka_unit_test(mtls_needs_an_authentication_of_keda),
        cmocka_unit_test(an_authentication_becomes_a_connection),
        cmocka_unit_test(other_ways_of_writing_are_edited_too),
        cmocka_unit_test(an_open_last_line_can_go),
        cmocka_unit_test(variables_of_the_worker_stay_variables),
        cmocka_unit_test(triggers_that_cannot_move_stay_with_the_reason),
        cmocka_unit_test(comments_of_others_are_no_marks),
        cmocka_unit_test(of_two_authentications_of_one_name_none_is_guessed),
        cmocka_unit_test(equal_connections_are_one),
        cmocka_unit_test(what_stays_needs_no_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
