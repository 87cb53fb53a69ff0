/* What `check` says about a connections file, and about the triggers that use its connections. */
#include "base/memory.h"
#include "base/text.h"
#include "config/connections_yaml.h"
#include "manifest/check_fixture.h"
#include "scale/connections/named_connections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void connections_are_checked_and_used(void **state)
{
    (void)state;
    struct findings findings = checked("connections:\n"
                                       "  rabbit:\n"
                                       "    scaler: rabbitmq\n"
                                       "    hostFile: /nowhere/host\n"
                                       "    queueName: q\n"
                                       "    hots: x\n"
                                       "    namespaces: [shop]\n"
                                       "  odd: {scaler: kafkaa}\n"
                                       "  none: {scaler: kafka}\n"
                                       "---\n" HEAD "spec:\n"
                                       "  triggers:\n"
                                       "    - type: external-push\n"
                                       "      metadata: {scalerAddress: b:1, scaler: rabbitmq, "
                                       "connectionName: rabbit, queueName: q}\n"
                                       "    - type: external-push\n"
                                       "      metadata: {scalerAddress: b:1, scaler: kafka, "
                                       "connectionName: missing, consumerGroup: g}\n",
                                       NULL);
    assert_finding(&findings, FINDING_ERROR, 5, "queueName belongs in the trigger");
    assert_finding(&findings, FINDING_ERROR, 6, "did you mean \"host\"");
    assert_finding(&findings, FINDING_ERROR, 8, "scaler \"kafkaa\" is unknown");
    assert_finding(&findings, FINDING_ERROR, 9, "bootstrapServers is missing");
    assert_finding(&findings, FINDING_ERROR, 19, "\"missing\" is not in the connections file");
    assert_int_equal(findings.counts[FINDING_ERROR], 5);
    findings_done(&findings);
}

static void without_a_namespace_no_connection_is_refused_and_all_else_is_checked(void **state)
{
    (void)state;
    struct findings findings = checked(
        "connections:\n"
        "  redis: {scaler: redis, address: \"r:1\", namespaces: [shop]}\n"
        "---\n"
        "kind: ScaledObject\n"
        "metadata: {name: orders}\n"
        "spec:\n"
        "  triggers:\n"
        "    - type: external-push\n"
        "      metadata: {scalerAddress: b:1, scaler: redis, connectionName: redis, listName: x}\n"
        "    - type: external-push\n"
        "      metadata: {scalerAddress: b:1, scaler: kafka, connectionName: redis, "
        "consumerGroup: g}\n",
        NULL);
    assert_finding(&findings, FINDING_ERROR, 11, "connection \"redis\" is one of scaler redis");
    assert_int_equal(findings.counts[FINDING_ERROR], 1);
    findings_done(&findings);
}

/* A longer list in front of a shorter one: the second was written behind the end of its own array.
 */
static void namespaces_are_one_list(void **state)
{
    (void)state;
    struct findings findings = checked("connections:\n"
                                       "  kafka:\n"
                                       "    scaler: kafka\n"
                                       "    bootstrapServers: kafka:9092\n"
                                       "    namespaces: [a, b, c]\n"
                                       "    namespaces: [shop]\n",
                                       NULL);
    assert_finding(&findings, FINDING_ERROR, 6, "namespaces must be one list");
    assert_int_equal(findings.count, 1);
    findings_done(&findings);
}

/* One reader for both: what the server refuses is an error of `check`, once. */
static void connections_are_read_as_the_server_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t line;
        const char *words;
    } cases[] = {
        {"connections:\n  a:\n    scaler: redis\n    scaler: redis\n    address: r:1\n", 4,
         "scaler is given twice"},
        {"connections:\n  a:\n    scaler: redis\n    address: [r:1, [r:2]]\n", 4,
         "address must be a single value or a list of values"},
        {"connections:\n  a:\n    scaler: redis\n    address: r:1\n    namespaces: [\"\"]\n", 5,
         "namespaces must be a list of names or patterns"},
        {"connections:\n  a:\n    scaler: redis\n    address: r:1\n    secret: a\n", 5,
         "unknown key \"secret\""},
        {"connections:\n  a:\n    scaler: redis\n    address: r:1\n    secret: a\n"
         "    passwordFile: /run/secrets/a\n",
         5, "unknown key \"secret\""},
        {"connections:\n  a: {scaler: redis, address: r:1}\nconnections: {}\n", 3,
         "the only key at the top is connections:, once"},
        {"connections:\n  a: {address: r:1}\n", 2, "a has no scaler"},
        {"connections:\n  a: 1\n", 2, "a must have keys"},
        {"connections:\n  \"\": {scaler: redis}\n", 2, "a connection's name must be a word"},
        {"connections:\n  a: {scaler: redis, address: r:1}\n  a: {scaler: redis}\n", 3,
         "a is there twice"},
    };
    const struct connections_source source = {.path = "f.yaml", .folder = "", .file_value = "x"};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct connections *connections = connections_new();
        size_t length = strlen(cases[i].text);
        bool good = connections_yaml_read(&source, cases[i].text, length, connections, &error);
        named_connections_check(connections, scaler_list);
        assert_false(good && connections_require_valid(connections, &error));
        assert_non_null(strstr(error_text(&error), cases[i].words));
        connections_free(connections);
        struct findings findings = checked(cases[i].text, NULL);
        assert_finding(&findings, FINDING_ERROR, cases[i].line, cases[i].words);
        assert_int_equal(findings.count, 1);
        findings_done(&findings);
    }
}

/* They may be connections alone, too. */
static void the_charts_values_may_name_a_secret(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "connections:\n  a: {scaler: redis, address: r:1, secret: a, passwordFile: password}\n",
        "connections:\n  a: {scaler: redis, address: r:1, secret: a, passwordFile: "
        "/etc/backlog/secrets/a/password}\n",
        "replicaCount: 2\nconnections:\n  a: {scaler: redis, address: r:1, secret: a}\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct findings findings = checked(texts[i], NULL);
        assert_int_equal(findings.count, 0);
        findings_done(&findings);
    }
}

/* The connection has its mistake; its triggers are checked by themselves. */
static void a_mistake_of_a_connection_is_not_repeated_by_its_triggers(void **state)
{
    (void)state;
    struct findings findings =
        checked("connections:\n"
                "  a: {scaler: redis, address: r:1, address: r:2}\n"
                "---\n" HEAD "spec:\n"
                "  triggers:\n"
                "    - type: external-push\n"
                "      metadata: {scalerAddress: b:1, scaler: redis, connectionName: a, "
                "listNam: x}\n",
                NULL);
    assert_finding(&findings, FINDING_ERROR, 2, "address is given twice");
    assert_finding(&findings, FINDING_ERROR, 10, "did you mean \"listName\"");
    assert_int_equal(count_of(&findings, "is given twice"), 1);
    findings_done(&findings);
}

static void keys_of_a_connection_are_given_once(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text yaml = {0};
    text_add(&yaml, "connections:\n"
                    "  kafka:\n"
                    "    scaler: kafka\n"
                    "    bootstrapServers: kafka:9092\n"
                    "    bootstrapServers: kafka:9093\n");
    for (size_t i = 0; i < 1000; i++)
        text_addf(&yaml, "    unknown%zu: x\n", i);
    struct findings findings = checked(yaml.bytes, NULL);
    assert_finding(&findings, FINDING_ERROR, 5, "bootstrapServers is given twice");
    assert_finding(&findings, FINDING_ERROR, 6 + CONNECTIONS_MAX_KEYS - 1, "one key too many");
    assert_true(findings.count < 1000);
    findings_done(&findings);
}

/* Errors would repeat what is in it. */
static void a_file_that_a_connection_names_is_not_read(void **state)
{
    (void)state;
    struct findings findings = checked("connections:\n"
                                       "  redis: {scaler: redis, addressFile: /etc/passwd,\n"
                                       "          databaseIndexFile: /etc/passwd}\n",
                                       NULL);
    assert_int_equal(findings.count, 0);
    findings_done(&findings);
}

static void a_file_that_is_not_here_is_accepted(void **state)
{
    (void)state;
    struct findings findings = checked("connections:\n"
                                       "  kafka:\n"
                                       "    scaler: kafka\n"
                                       "    secret: kafka\n"
                                       "    bootstrapServers: kafka:9092\n"
                                       "    saslFile: sasl\n"
                                       "    tlsFile: /nowhere/tls\n"
                                       "    usernameFile: user\n"
                                       "    passwordFile: password\n",
                                       NULL);
    assert_int_equal(findings.count, 0);
    findings_done(&findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_checked_and_used),
        cmocka_unit_test(without_a_namespace_no_connection_is_refused_and_all_else_is_checked),
        cmocka_unit_test(namespaces_are_one_list),
        cmocka_unit_test(connections_are_read_as_the_server_reads_them),
        cmocka_unit_test(the_charts_values_may_name_a_secret),
        cmocka_unit_test(a_mistake_of_a_connection_is_not_repeated_by_its_triggers),
        cmocka_unit_test(keys_of_a_connection_are_given_once),
        cmocka_unit_test(a_file_that_a_connection_names_is_not_read),
        cmocka_unit_test(a_file_that_is_not_here_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
