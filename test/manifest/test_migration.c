#include "base/memory.h"
#include "manifest/fixture.h"
#include "manifest/migration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct migration_settings settings = {.scalers = scaler_list,
                                             .scaler_address = "backlog.keda.svc:9090"};

/* The text behind it, NULL where nothing changes; the caller frees it. */
static char *migrated(const char *text, struct findings *findings, char **ret_connections)
{
    struct migration migration;
    struct manifests manifests = manifests_of(text, findings);
    migration_make(&settings, &manifests, &migration, findings);
    char *result = migration.count == 0 ? NULL : text_copy(migration.items[0].text.bytes);
    if (ret_connections != NULL) {
        struct text connections = {0};
        drafts_write(&migration.drafts, DRAFTS_FOR_CHART, &connections);
        *ret_connections = text_take(&connections);
    }
    for (size_t i = 0; i < findings->count; i++)
        findings->items[i].path = "";
    migration_done(&migration);
    manifests_done(&manifests);
    return result;
}

static char *undone(const char *text, struct findings *findings)
{
    struct migration migration;
    struct manifests manifests = manifests_of(text, findings);
    migration_undo(scaler_list, &manifests, &migration, findings);
    char *result = migration.count == 0 ? NULL : text_copy(migration.items[0].text.bytes);
    for (size_t i = 0; i < findings->count; i++)
        findings->items[i].path = "";
    migration_done(&migration);
    manifests_done(&manifests);
    return result;
}

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

#define HEAD                                                                                       \
    "# Orders   of the shop\n"                                                                     \
    "apiVersion: keda.sh/v1alpha1\n"                                                               \
    "kind: ScaledObject\n"                                                                         \
    "metadata: {name: orders, namespace: shop}\n"                                                  \
    "spec:\n"

#define AUTHENTICATION                                                                             \
    "---\n"                                                                                        \
    "kind: TriggerAuthentication\n"                                                                \
    "metadata: {name: rabbit, namespace: shop}\n"                                                  \
    "spec:\n"                                                                                      \
    "  secretTargetRef:\n"                                                                         \
    "    - {parameter: username, name: rabbitmq, key: user}\n"                                     \
    "    - {parameter: password, name: rabbitmq, key: pw}\n"

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
                    "  # backlog migrate: type in place of:\n"
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
    assert_stays(HEAD "  triggers:\n  - {type: redis, metadata: {address: 'r:1', listName: x, "
                      "enableTLS: 'true'}}\n",
                 "brokerTls is not supported");
    assert_stays(HEAD "  triggers:\n  - {type: redis, metadata: {address: 'r:1'}}\n",
                 "listName is missing");
    assert_stays(HEAD "  triggers:\n  - {type: redis-cluster, metadata: {}}\n",
                 "set scaler to redis");
    assert_stays(
        "a: &m {address: 'r:1', listName: x}\n---\n" HEAD
        "  x: &m {address: 'r:1', listName: x}\n  triggers:\n  - {type: redis, metadata: *m}\n",
        "alias");
    assert_stays("{\"kind\": \"ScaledObject\", \"spec\": {\"triggers\": [{\"type\": \"redis\"}]}}",
                 "JSON has no comments");
}

static void a_changed_file_is_not_taken_back(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = undone("metadata:\n"
                                               "  # backlog migrate: scalerAddress, scaler added\n"
                                               "  scalerAddress: b:1\n"
                                               "  mine: 1\n"
                                               "  scaler: kafka\n",
                                               &findings);
    assert_null(back);
    assert_finding(&findings, FINDING_ERROR, 4, "\"scaler\" was here");
}

/* Values may change: only what was added must still be what it was. */
static void a_changed_value_is_taken_back(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = undone("metadata:\n"
                                               "  # backlog migrate: scalerAddress, scaler added\n"
                                               "  scalerAddress: other:1\n"
                                               "  scaler: kafka\n"
                                               "  lagThreshold: \"50\"\n",
                                               &findings);
    assert_string_equal(back, "metadata:\n  lagThreshold: \"50\"\n");
}

/* ---- comments that somebody has edited ---- */

static const char edited_before[] = HEAD
    "  fallback: {failureThreshold: 3, replicas: 6}\n"
    "  triggers:\n"
    "  - type: kafka\n"
    "    metadata:\n"
    "      bootstrapServers: k:1\n"
    "      unsafeSsl: \"true\"\n"
    "      topic: t\n"
    "      consumerGroup: g\n"
    "  - metadata:\n"
    "      address: r:1\n"
    "      listName: x\n"
    "    type: redis\n"
    "    authenticationRef:\n"
    "      name: rabbit\n"
    "  - {type: redis, metadata: {address: 'r:1', listName: y}, authenticationRef: {name: env}}\n"
    "---\n"
    "kind: TriggerAuthentication\n"
    "metadata: {name: env, namespace: shop}\n"
    "spec: {env: [{parameter: password, name: REDIS_PASSWORD}]}\n" AUTHENTICATION;

/* The edit of a line with a mark: what stands instead of it. False: there is no such edit of this line. */
static bool edit_mark(int way, const char *line, size_t length, struct text *text)
{
    static const char mark[] = "# backlog migrate: ";
    const char *words = strstr(line, mark) + strlen(mark);
    const char *end = line + length - 1;
    const char *comma = memchr(words, ',', (size_t)(end - words));
    const char *last = comma;
    for (const char *next = comma; next != NULL;
         next = memchr(next + 1, ',', (size_t)(end - next - 1)))
        last = next;
    const char *verb = last == NULL ? words : last + 2;
    verb += strcspn(verb, " \n");
    switch (way) {
    case 0: /* the line is cut out */
        return true;
    case 1: /* a capital */
        text_add_bytes(text, line, (size_t)(words - line) - strlen(mark));
        text_addf(text, "# Backlog migrate: %.*s\n", (int)(end - words), words);
        return true;
    case 2: /* without the last word */
        text_addf(text, "%.*s%.*s\n", (int)((last == NULL ? words : last) - line), line,
                  (int)(end - verb), verb);
        return verb < end;
    case 3: /* without the first */
        text_addf(text, "%.*s%.*s\n", (int)(words - line), line,
                  comma == NULL ? 0 : (int)(end - comma - 2), comma == NULL ? "" : comma + 2);
        return comma != NULL;
    case 4: /* another verb */
        text_addf(text, "%.*s %s\n", (int)(verb - line), line,
                  strncmp(verb, " added", strlen(" added")) == 0 ? "in place of:" : "added");
        return verb < end;
    case 5: /* none */
        text_addf(text, "%.*s\n", (int)(words - line), line);
        return true;
    default:
        return false;
    }
}

/* All of it is taken back, or nothing. */
static void assert_whole_or_nothing(const char *edited, const char *mark, int way)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = undone(edited, &findings);
    if (back != NULL && strcmp(back, edited_before) == 0)
        return;
    if (back != NULL)
        fail_msg("way %d of editing \"%.60s\" takes back a part:\n%s", way, mark, back);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.items[0].level, FINDING_ERROR);
    assert_true(findings.items[0].line > 0);
    assert_non_null(strstr(findings.items[0].text, "by hand"));
}

static void an_edited_comment_takes_back_nothing(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    size_t edits = 0;
    settings.authentication = "backlog";
    _cleanup_(memory_free) char *there = migrated(edited_before, &findings, NULL);
    settings.authentication = NULL;
    assert_non_null(there);
    for (const char *at = there, *line; (line = strstr(at, "# backlog migrate: ")) != NULL;) {
        while (line > there && line[-1] != '\n')
            line--;
        size_t length = strcspn(line, "\n") + 1;
        for (int way = 0; way <= 5; way++) {
            _cleanup_(text_done) struct text edited = {0};
            text_add_bytes(&edited, there, (size_t)(line - there));
            if (!edit_mark(way, line, length, &edited))
                continue;
            text_add(&edited, line + length);
            assert_whole_or_nothing(edited.bytes, line, way);
            edits++;
        }
        at = line + length;
    }
    assert_true(edits > 20);
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

static void the_diff_is_one_that_patch_takes(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text diff = {0};
    _cleanup_(lines_done) struct lines lines;
    _cleanup_(patch_done) struct patch patch = {0};
    static const char text[] = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12";
    lines_init(&lines, text, strlen(text));
    patch_add(&patch, 0, 0, text_copy("0\n"));
    patch_add(&patch, 11, 1, text_copy("x"));
    patch_diff(&patch, &lines, "f.yaml", &diff);
    assert_string_equal(diff.bytes, "--- a/f.yaml\n+++ b/f.yaml\n"
                                    "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n"
                                    "@@ -9,4 +10,4 @@\n 9\n 10\n 11\n-12\n"
                                    "\\ No newline at end of file\n+x\n"
                                    "\\ No newline at end of file\n");
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
        cmocka_unit_test(a_changed_file_is_not_taken_back),
        cmocka_unit_test(a_changed_value_is_taken_back),
        cmocka_unit_test(an_edited_comment_takes_back_nothing),
        cmocka_unit_test(comments_of_others_are_no_marks),
        cmocka_unit_test(of_two_authentications_of_one_name_none_is_guessed),
        cmocka_unit_test(equal_connections_are_one),
        cmocka_unit_test(the_diff_is_one_that_patch_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
