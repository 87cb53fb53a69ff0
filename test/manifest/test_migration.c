#include "base/memory.h"
#include "manifest/fixture.h"
#include "manifest/migration/connection_keys.h"
#include "manifest/migration_fixture.h"
#include "scale/connections/own_credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void print_all(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        print_message("%s\n", findings->items[i].text);
}

/* There, and back to the same bytes. `expected` may be NULL. */
static void assert_migrates(const char *text, const char *expected)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *there = migrated(text, &findings);
    if (there == NULL)
        print_all(&findings);
    assert_non_null(there);
    if (expected != NULL)
        assert_string_equal(there, expected);
    _cleanup_(memory_free) char *back = migrated_back(there, &findings);
    assert_non_null(back);
    assert_string_equal(back, text);
    _cleanup_(memory_free) char *again = migrated(there, &findings);
    assert_null(again);
}

static void assert_error(const struct findings *findings, const char *reason)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].level == FINDING_ERROR && strstr(findings->items[i].text, reason))
            return;
    print_all(findings);
    fail_msg("no error with: %s", reason);
}

static void assert_stays(const char *text, const char *reason)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *there = migrated(text, &findings);
    assert_null(there);
    assert_error(&findings, reason);
}

static void assert_stays_with_backlog(const char *text, const char *reason)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = migrated_back(text, &findings);
    assert_null(back);
    assert_error(&findings, reason);
}

static void a_trigger_moves_by_two_lines(void **state)
{
    (void)state;
    assert_migrates(HEAD "  triggers:\n"
                         "  # the queue\n"
                         "  - type: rabbitmq   # KEDA's own\n"
                         "    metadata: # of the shop\n"
                         "      # where\n"
                         "      host:   &h amqp://rabbitmq:5672/shop # three of them\n"
                         "\n"
                         "      queueName: 'videos'\n"
                         "      unsafeSsl: \"true\"\n"
                         "      mode: QueueLength\n"
                         "      value: >-\n"
                         "        5\n"
                         "      # the end\n"
                         "    authenticationRef: {name: rabbit}\n" AUTHENTICATION,
                    HEAD "  triggers:\n"
                         "  # the queue\n"
                         "  - type: external-push   # KEDA's own\n"
                         "    metadata: # of the shop\n"
                         "      scalerAddress: backlog.keda.svc:9090\n"
                         "      scaler: rabbitmq\n"
                         "      # where\n"
                         "      host:   &h amqp://rabbitmq:5672/shop # three of them\n"
                         "\n"
                         "      queueName: 'videos'\n"
                         "      brokerUnsafeSsl: \"true\"\n"
                         "      mode: QueueLength\n"
                         "      value: >-\n"
                         "        5\n"
                         "      # the end\n"
                         "    authenticationRef: {name: rabbit}\n" AUTHENTICATION);
}

static void other_ways_of_writing_stay_as_they_are(void **state)
{
    (void)state;
    assert_migrates(
        "kind: ScaledJob\nmetadata: {name: j}\nspec:\n  triggers: [{type: redis, "
        "metadata: {address: 'r:6379', listName: x}}]",
        "kind: ScaledJob\nmetadata: {name: j}\nspec:\n"
        "  triggers: [{type: external, metadata: {scalerAddress: backlog.keda.svc:9090, "
        "scaler: redis, address: 'r:6379', listName: x}}]");
    assert_migrates(HEAD "  triggers:\r\n"
                         "  - metadata:\r\n"
                         "      serverAddress: http://p:9090\r\n"
                         "      threshold: '5'\r\n"
                         "      query: |\r\n"
                         "        sum(jobs)\r\n"
                         "\r\n"
                         "    type: 'prometheus'",
                    HEAD "  triggers:\r\n"
                         "  - metadata:\r\n"
                         "      scalerAddress: backlog.keda.svc:9090\r\n"
                         "      scaler: prometheus\r\n"
                         "      serverAddress: http://p:9090\r\n"
                         "      threshold: '5'\r\n"
                         "      query: |\r\n"
                         "        sum(jobs)\r\n"
                         "\r\n"
                         "    type: 'external-push'");
    assert_migrates(HEAD "  triggers:\n"
                         "  - metadata: {queueName: q,\n"
                         "      host: 'amqp://r/'} # äöü\n"
                         "    type: \"rabbitmq\"\n"
                         "    authenticationRef: {name: rabbit}\n",
                    NULL);
    assert_migrates("kind: List\nitems:\n- kind: ScaledObject\n  metadata: {name: x}\n  spec:\n"
                    "    triggers:\n    - type: redis\n      metadata:\n        address: r:1\n"
                    "        listName: x\n        metricName: old\n",
                    NULL);
    assert_migrates("{\n  \"kind\": \"ScaledObject\",\n  \"spec\": {\"triggers\": [{\n"
                    "    \"type\": \"redis\",\n    \"metadata\": {\n"
                    "      \"address\": \"r:1\",\n      \"listName\": \"x\"\n    }\n  }]}\n}\n",
                    "{\n  \"kind\": \"ScaledObject\",\n  \"spec\": {\"triggers\": [{\n"
                    "    \"type\": \"external-push\",\n    \"metadata\": {\n"
                    "      \"scalerAddress\": \"backlog.keda.svc:9090\",\n"
                    "      \"scaler\": \"redis\",\n"
                    "      \"address\": \"r:1\",\n      \"listName\": \"x\"\n    }\n  }]}\n}\n");
}

/* An alias of a value is no obstacle; one of what is edited is. */
static void anchors_stay(void **state)
{
    (void)state;
    assert_migrates(HEAD "  triggers:\n"
                         "  - type: redis\n"
                         "    metadata:\n"
                         "      address: &where r:6379\n"
                         "      listName: x\n"
                         "  - type: redis\n"
                         "    metadata:\n"
                         "      address: *where\n"
                         "      listName: y\n",
                    NULL);
    assert_stays(HEAD "  x: &m {address: 'r:1', listName: x}\n"
                      "  triggers:\n  - {type: redis, metadata: *m}\n",
                 "alias");
    assert_stays(HEAD "  x: &m {type: redis}\n"
                      "  triggers:\n  - {<<: *m, metadata: {address: 'r:1', listName: x}}\n",
                 "merge key");
    _cleanup_(findings_done) struct findings findings = {0};
    assert_null(migrated(HEAD "  <<: {triggers: []}\n", &findings));
    assert_int_equal(findings.count, 1);
}

static void in_helm_templates_actions_stay(void **state)
{
    (void)state;
    assert_migrates("{{- if .Values.enabled }}\n" HEAD "  name: {{ include \"shop.name\" . }}\n"
                    "  triggers:\n"
                    "  {{- range .Values.queues }} # each\n"
                    "  - type: rabbitmq\n"
                    "    metadata:\n"
                    "      {{- if .tls }}\n"
                    "      unsafeSsl: \"true\"\n"
                    "      {{- else }}{{/* no }} TLS */}}\n"
                    "      host: {{ .host | default \"}}\" | quote }}\n"
                    "      {{- end }}\n"
                    "      queueName: {{ .name }}-{{ .suffix }}\n"
                    "      value: \"{{ .value }}\"\n"
                    "      {{- include \"shop.metadata\" (dict\n"
                    "            \"context\" $) | nindent 6 }}\n"
                    "    authenticationRef:\n"
                    "      name: {{ $.Release.Name }}\n"
                    "  {{- end }}\n"
                    "{{- end }}\n",
                    "{{- if .Values.enabled }}\n" HEAD "  name: {{ include \"shop.name\" . }}\n"
                    "  triggers:\n"
                    "  {{- range .Values.queues }} # each\n"
                    "  - type: external-push\n"
                    "    metadata:\n"
                    "      scalerAddress: backlog.keda.svc:9090\n"
                    "      scaler: rabbitmq\n"
                    "      {{- if .tls }}\n"
                    "      brokerUnsafeSsl: \"true\"\n"
                    "      {{- else }}{{/* no }} TLS */}}\n"
                    "      host: {{ .host | default \"}}\" | quote }}\n"
                    "      {{- end }}\n"
                    "      queueName: {{ .name }}-{{ .suffix }}\n"
                    "      value: \"{{ .value }}\"\n"
                    "      {{- include \"shop.metadata\" (dict\n"
                    "            \"context\" $) | nindent 6 }}\n"
                    "    authenticationRef:\n"
                    "      name: {{ $.Release.Name }}\n"
                    "  {{- end }}\n"
                    "{{- end }}\n");
    assert_stays(HEAD "  x: {{ 1 }}\n  triggers:\n  - type: redis\n    metadata:\n"
                      "      {{- toYaml .Values.metadata | nindent 6 }}\n",
                 "the template writes the metadata");
    assert_stays(HEAD "  triggers:\n  - type: redis\n"
                      "    {{- if .Values.x }}\n    metadata: {address: 'r:1', listName: x}\n"
                      "    {{- else }}\n    metadata: {address: 'r:2', listName: x}\n"
                      "    {{- end }}\n",
                 "metadata is written 2 times");
    assert_migrates(HEAD "  triggers:\n  - type: redis\n"
                         "    metadata: {address: 'r:1', listName: x}\n"
                         "    {{- if .Values.x }}\n    authenticationRef: {name: x}\n"
                         "    {{- else }}\n    authenticationRef: {name: y}\n"
                         "    {{- end }}\n",
                    NULL);
    _cleanup_(findings_done) struct findings findings = {0}; /* of a type that Backlog has not */
    assert_null(migrated(HEAD "  triggers:\n  - type: cpu\n    metadata:\n"
                              "      {{- toYaml .Values.metadata | nindent 6 }}\n",
                         &findings));
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
    assert_stays(HEAD "  x: {{ 1 }}\n  triggers:\n  - type: redis\n    metadata:\n"
                      "      address: {{ .a }}\n      listNam: x\n",
                 "listNam");
}

/* Such as those of a comment: it hid all triggers below it, without a word. */
static void braces_that_begin_no_action_hide_nothing(void **state)
{
    (void)state;
#define TRIGGER "  triggers:\n  - {type: redis, metadata: {address: 'r:1', listName: x}}\n"
    assert_migrates("# {{ no\n" HEAD TRIGGER, NULL);
    assert_migrates("# {{ no\n" HEAD "  x: {{ .x }}\n" TRIGGER, NULL);
    assert_migrates("# {{ \"no\n" HEAD "  y: \"y\"\n" TRIGGER "# }}\n", NULL);
    assert_migrates(HEAD TRIGGER "# {{", NULL);
#undef TRIGGER
}

static void kustomize_patches_are_edited(void **state)
{
    (void)state;
    assert_migrates("- op: add\n"
                    "  path: /spec/triggers/-\n"
                    "  value: {type: redis, metadata: {address: 'r:1', listName: x}}\n"
                    "- op: replace\n"
                    "  path: /spec/triggers\n"
                    "  value:\n"
                    "  - type: redis\n"
                    "    metadata:\n"
                    "      address: r:1\n"
                    "      listName: y\n",
                    NULL);
    assert_migrates("kind: Kustomization\n"
                    "patches:\n"
                    "- target: {kind: ScaledJob}\n"
                    "  patch: |-\n"
                    "    - op: add\n"
                    "      path: /spec/triggers/0\n"
                    "      value:\n"
                    "        type: redis\n"
                    "        metadata:\n"
                    "          address: r:1\n"
                    "          listName: x\n"
                    "- patch: | # a merge\n"
                    "    kind: ScaledObject\n"
                    "    spec:\n"
                    "      triggers:\n"
                    "      - type: redis\n"
                    "        metadata: {address: 'r:1', listName: x}\n",
                    "kind: Kustomization\n"
                    "patches:\n"
                    "- target: {kind: ScaledJob}\n"
                    "  patch: |-\n"
                    "    - op: add\n"
                    "      path: /spec/triggers/0\n"
                    "      value:\n"
                    "        type: external\n"
                    "        metadata:\n"
                    "          scalerAddress: backlog.keda.svc:9090\n"
                    "          scaler: redis\n"
                    "          address: r:1\n"
                    "          listName: x\n"
                    "- patch: | # a merge\n"
                    "    kind: ScaledObject\n"
                    "    spec:\n"
                    "      triggers:\n"
                    "      - type: external-push\n"
                    "        metadata: {scalerAddress: backlog.keda.svc:9090, scaler: redis, "
                    "address: 'r:1', listName: x}\n");
}

/* It would put into the trigger, which moves elsewhere, what it had. */
static void a_patch_of_a_part_of_a_trigger_is_named(void **state)
{
    (void)state;
#define PATCH(path, value) "- {op: replace, path: /spec/triggers/0/" path ", value: " value "}\n"
    static const char *const stays[] = {
        PATCH("type", "redis"), PATCH("metadata", "{address: 'r:1', listName: x}"),
        PATCH("authenticationRef", "{name: redis}"), PATCH("authenticationRef/name", "redis")};
    static const char *const changed[] = {
        PATCH("type", "external"), PATCH("metadata", "{scaler: redis, listName: x}"),
        PATCH("authenticationRef", "{name: backlog}"), PATCH("authenticationRef/name", "backlog")};
    settings.authentication = "backlog";
    for (size_t i = 0; i < ARRAY_LENGTH(stays); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        assert_stays(stays[i], "change it by hand");
        assert_stays_with_backlog(changed[i], "change it by hand");
        assert_null(migrated(changed[i], &findings));
        assert_null(migrated_back(stays[i], &findings));
        assert_null(migrated(PATCH("metadata/value", "'7'"), &findings));
        assert_int_equal(findings.count, 0);
    }
    /* One without credentials, as of a test system: without KEDA's certificates, too. */
    assert_stays("- {op: remove, path: /spec/triggers/0/authenticationRef}\n", "change it by hand");
    settings.authentication = NULL;
    _cleanup_(findings_done) struct findings findings = {0};
    assert_null(migrated(stays[3], &findings));
    assert_null(migrated("- {op: remove, path: /spec/triggers/0}\n", &findings));
    assert_int_equal(findings.count, 0);
#undef PATCH
}

/* What they say of the rollout is not all that there is: a note, once. */
static void parts_of_a_scaled_job_are_no_warning(void **state)
{
#define TRIGGER "{type: redis, metadata: {address: 'r:1', listName: x, hold: 0s}}"
    (void)state;
    static const char *const parts[] = {
        "kind: ScaledJob\nmetadata: {name: clips}\nspec:\n  triggers: [" TRIGGER "]\n",
        "kind: Kustomization\npatches:\n- target: {kind: ScaledJob}\n  patch: |-\n"
        "    - op: add\n      path: /spec/triggers/0\n      value: " TRIGGER "\n"
        "    - op: add\n      path: /spec/triggers/1\n      value: " TRIGGER "\n",
        "kind: ScaledJob\nmetadata: {name: clips}\nspec:\n  jobTargetRef: {}\n"
        "  {{- with .Values.rollout }}\n  rollout: {{- toYaml . | nindent 4 }}\n  {{- end }}\n"
        "  triggers:\n  - type: redis\n    metadata: {address: 'r:1', listName: x, hold: 0s}\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text = migrated(parts[i], &findings);
        size_t found = 0;
        assert_non_null(text);
        for (size_t j = 0; j < findings.count; j++)
            found += strstr(findings.items[j].text, "deletes its running jobs") != NULL;
        if (found != 1 || findings.counts[FINDING_WARNING] != 0)
            print_all(&findings);
        assert_int_equal(found, 1);
        assert_int_equal(findings.counts[FINDING_WARNING], 0);
    }
#undef TRIGGER
}

/* KEDA would start jobs for a held value at each poll; its scaler ignores the key. */
static void a_scaled_job_is_to_hold_nothing(void **state)
{
    (void)state;
    static const char *const holds[] = {"", ", hold: 0s"};
    for (size_t i = 0; i < ARRAY_LENGTH(holds); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text =
            text_format("kind: ScaledJob\nmetadata: {name: clips}\nspec:\n"
                        "  rollout: {strategy: gradual}\n  triggers:\n"
                        "  - {type: redis, metadata: {address: 'r:1', listName: x%s}}\n",
                        holds[i]);
        _cleanup_(memory_free) char *moved = migrated(text, &findings);
        assert_non_null(moved);
        assert_int_equal(findings.counts[FINDING_WARNING], i == 0);
    }
}

/* KEDA's certificates take the place of the source's authentication, which the metadata names. */
static void mtls_has_the_name_in_the_metadata(void **state)
{
    (void)state;
    settings.authentication = "backlog";
    settings.is_cluster_wide = true;
#define REDIS "  - type: redis\n    metadata:\n      address: r:6379\n      listName: x\n"
    assert_migrates(HEAD "  triggers:\n" REDIS "    authenticationRef: {name: redis}\n",
                    HEAD "  triggers:\n"
                         "  - type: external-push\n"
                         "    metadata:\n"
                         "      scalerAddress: backlog.keda.svc:9090\n"
                         "      enableTLS: \"true\"\n"
                         "      scaler: redis\n"
                         "      triggerAuthentication: redis\n"
                         "      address: r:6379\n"
                         "      listName: x\n"
                         "    authenticationRef: {name: backlog, kind: "
                         "ClusterTriggerAuthentication}\n");
    assert_migrates(HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: 'redis' # one\n"
                         "      kind: ClusterTriggerAuthentication\n",
                    NULL);
    assert_migrates(HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: 'redis' # one\n"
                         "    name: jobs\n",
                    NULL);
    static const char *const last[] = {"redis", "redis\n", "redis # one\n", "redis\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(last); i++) { /* of the file, as KEDA's pages have it */
        _cleanup_(memory_free) char *text = text_format(
            HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: %s", last[i]);
        assert_migrates(text, NULL);
    }
    assert_migrates(HEAD "  triggers:\n" REDIS, NULL);
    assert_stays(HEAD "  triggers:\n" REDIS "    authenticationRef:\n", "is empty: remove it");
    assert_stays(HEAD "  triggers:\n" REDIS "    {{- if .Values.x }}\n"
                      "    authenticationRef: {name: x}\n    {{- else }}\n"
                      "    authenticationRef: {name: y}\n    {{- end }}\n",
                 "authenticationRef is written 2 times");
    /* Without KEDA's certificates where it is not there. */
    assert_stays(HEAD "  triggers:\n" REDIS "    {{- if .Values.x }}\n    # one\n"
                      "    authenticationRef: {name: x}\n    {{- end }}\n",
                 "the template writes its authenticationRef");
    assert_migrates(HEAD "  triggers:\n  {{- if .Values.x }}\n" REDIS "      {{- if .Values.y }}\n"
                         "      databaseIndex: \"1\"\n      {{- end }}\n"
                         "    authenticationRef: {name: x}\n  {{- end }}\n",
                    NULL);
    assert_migrates(HEAD "  triggers:\n  {{- range .Values.x }}\n"
                         "  - authenticationRef: {name: x}\n    type: redis\n"
                         "    metadata: {address: 'r:1', listName: x}\n  {{- end }}\n",
                    NULL);
    assert_migrates(HEAD "  triggers:\n  - metadata:\n      address: r:6379\n      listName: x\n"
                         "    type: redis\n",
                    NULL);
    assert_migrates(
        HEAD "  triggers: [{type: redis, metadata: {address: 'r:6379', listName: x}}]\n", NULL);
    settings.is_cluster_wide = false;
    assert_migrates(HEAD "  triggers:\n" REDIS
                         "    authenticationRef: {kind: ClusterTriggerAuthentication, name: r}\n",
                    NULL);
    settings.authentication = NULL;
}

static void triggers_that_cannot_move_stay_with_the_reason(void **state)
{
    (void)state;
#define KAFKA(more)                                                                                \
    HEAD "  triggers:\n  - {type: kafka, metadata: {bootstrapServers: k, consumerGroup: g" more    \
         "}, authenticationRef: {name: a}}\n---\nkind: TriggerAuthentication\n"                    \
         "metadata: {name: a}\n"
    assert_stays(KAFKA("") "spec: {podIdentity: {provider: aws}}\n", "podIdentity");
    assert_stays(KAFKA("") "spec: {env: [{parameter: password, name: PASSWORD}]}\n",
                 "set passwordFromEnv: PASSWORD in the trigger's metadata");
    assert_stays(KAFKA("") "spec: {secretTargetRef: [{parameter: awsAccessKeyID, name: s, "
                           "key: k}]}\n",
                 "AWS identities");
    assert_stays(KAFKA(", consumergrop: g"),
                 "KEDA ignores it, and Backlog does not: remove it (unknown key \"consumergrop\": "
                 "did you mean \"consumerGroup\"?)");
    assert_stays(KAFKA(", scaler: kafka"), "scaler is in its metadata");
    assert_stays(HEAD "  triggers:\n  - {type: redis, metadata: {address: 'r:1'}}\n",
                 "listName is missing");
    assert_stays(HEAD "  triggers:\n  - type: redis\n    ? metadata\n    : address: r:1\n"
                      "      listName: x\n",
                 "cannot be edited");
}

/* As KEDA and the server take it: an empty value is none, and one of a variable is one. */
static void an_authentication_gives_what_a_server_takes_of_it(void **state)
{
    (void)state;
#define POSTGRESQL(more, parameter)                                                                \
    HEAD "  triggers:\n  - type: postgresql\n    metadata:\n      host: p\n      port: \"5432\"\n" \
         "      userName: u\n      dbName: d\n      sslmode: disable\n      query: q\n"            \
         "      targetQueryValue: \"5\"\n" more                                                    \
         "    authenticationRef: {name: a}\n---\nkind: TriggerAuthentication\n"                    \
         "metadata: {name: a, namespace: shop}\n"                                                  \
         "spec: {secretTargetRef: [{parameter: " parameter ", name: s, key: k}]}\n"
    assert_stays(POSTGRESQL("      password: x\n", "password"),
                 "password is given in metadata and in a");
    assert_stays(POSTGRESQL("      passwordFromEnv: P\n", "password"),
                 "passwordFromEnv is given in metadata and in a: keep one of them");
    assert_migrates(POSTGRESQL("      password: \"\"\n", "password"), NULL);
    assert_migrates(POSTGRESQL("", "password"), NULL);
    assert_stays(POSTGRESQL("", "maxSessions"),
                 "a has maxSessions, which belongs in the connections file");
#undef POSTGRESQL
}

/* The keys of a connection by KEDA's other spellings, too. */
static void a_connection_has_the_keys_of_its_triggers(void **state)
{
    (void)state;
    static const struct {
        const char *trigger, *keys, *error; /* "": that is not expected */
    } cases[] = {
        {"redis, metadata: {addresses: 'a:1,b:2', listName: x}",
         "    address: \"a:1,b:2\"\n    passwordFile: k\n", ""},
        {"redis-cluster, metadata: {hosts: 'a,b', ports: '1,2', listName: x}",
         "    host: \"a,b\"\n    port: \"1,2\"\n    passwordFile: k\n", ""},
        {"prometheus, metadata: {serverAddress: 'http://p', query: up, threshold: '1', authMode: "
         "basic, username: u}",
         "    authModes: basic\n    username: u\n    passwordFile: k\n", ""},
        {"redis, metadata: {addressesFromEnv: A, listName: x}", "",
         "addressesFromEnv is a variable of the worker: a connection has the value, or a key of a "
         "Secret (addressFile)"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(text_done) struct text written = {0};
        _cleanup_(memory_free) char *text =
            text_format(HEAD "  triggers:\n  - {type: %s, authenticationRef: {name: a}}\n---\n"
                             "kind: TriggerAuthentication\nmetadata: {name: a, namespace: shop}\n"
                             "spec: {secretTargetRef: [{parameter: password, name: s, key: k}]}\n",
                        cases[i].trigger);
        struct manifests manifests = manifests_of(text, &findings);
        bool is_written =
            connection_keys_write(settings.scalers, &manifests, "jobs", &written, &error);
        manifests_done(&manifests);
        assert_int_equal(findings.count, 0);
        if (is_written != (cases[i].keys[0] != '\0'))
            fail_msg("%s: %s", cases[i].trigger, error_text(&error));
        assert_non_null(strstr(is_written ? written.bytes : error_text(&error),
                               is_written ? cases[i].keys : cases[i].error));
    }
}

static void what_a_server_needs_beside_it_is_a_warning(void **state)
{
    (void)state;
    static const struct {
        const char *more, *warning;
    } cases[] = {
        {"  - {type: redis, metadata: {addressFromEnv: A, listName: x}, authenticationRef: {name: "
         "r}}\n",
         "addressFromEnv is a variable"},
        {"  - {type: redis, metadata: {address: 'r:1', listName: x}, authenticationRef: {name: r, "
         "kind: ClusterTriggerAuthentication}}\n",
         "kubernetes.clusterAuthentications"},
        {"  - {type: redis, metadata: {address: 'r:1', listName: x}}\n  fallback: {replicas: 3}\n",
         "add hold: \"60s\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text = text_format(HEAD "  triggers:\n%s", cases[i].more);
        _cleanup_(memory_free) char *there = migrated(text, &findings);
        assert_non_null(there);
        bool is_found = false;
        bool is_of_unknown = false;
        for (size_t n = 0; n < findings.count; n++) {
            is_found |= strstr(findings.items[n].text, cases[i].warning) != NULL;
            is_of_unknown |= strstr(findings.items[n].text, "not known whether Backlog") != NULL;
        }
        assert_true(is_found);
        assert_int_equal(is_of_unknown, strstr(cases[i].more, "authenticationRef") != NULL);
        assert_int_equal(findings.counts[FINDING_WARNING], is_of_unknown ? 2 : 1);
    }
}

/* Whether a server refuses this key of a trigger beside credentials. */
static bool server_refuses(const struct scaler *scaler, char *key)
{
    static const struct own_credentials_settings rules = {0};
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(credentials_cleanup) struct credentials *credentials = credentials_new();
    struct option_entry entry = {key, "x"};
    const struct trigger_ref ref = {"orders", "shop", &entry, 1};
    bool waits;
    credentials->state = CREDENTIALS_VERIFIED;
    credentials->authentication = text_copy("TriggerAuthentication shop/a");
    credentials_add(credentials, "other", "y");
    const struct own_credentials_request request = {&ref, scaler->options, credentials, false};
    bool is_admitted = own_credentials_admit(&rules, &request, &waits, &error);
    assert_true(is_admitted || error.code == ERROR_DENIED);
    return !is_admitted;
}

/* Whether migrating warns of it. A template's values are not known, so each key can stand alone. */
static bool migrating_warns(const struct scaler *scaler, const char *key)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *text =
        text_format(HEAD "  triggers:\n  - type: %s\n    metadata:\n      %s: \"{{ .Values.x }}\"\n"
                         "    authenticationRef: {name: a}\n",
                    scaler->name, key);
    _cleanup_(memory_free) char *there = migrated(text, &findings);
    bool warns = false;
    if (there == NULL)
        fail_msg("%s does not move with %s", scaler->name, key);
    for (size_t i = 0; i < findings.count; i++)
        warns |= strstr(findings.items[i].text, "is a variable") != NULL;
    return warns;
}

static size_t compare_with_server(const struct scaler *scaler, const struct option *row,
                                  const char *name, const char *suffix)
{
    bool is_renamed = row->flags & OPTION_ALIAS_IN_FILE;
    _cleanup_(memory_free) char *key = text_format("%s%s", name, suffix);
    _cleanup_(memory_free) char *moved = text_format("%s%s", is_renamed ? row->key : name, suffix);
    bool refuses = server_refuses(scaler, moved);
    if (migrating_warns(scaler, key) != refuses)
        fail_msg("%s, %s: the server %s it", scaler->name, key, refuses ? "refuses" : "admits");
    return refuses;
}

static void assert_names_jobs(const struct findings *findings, const char *object, size_t times)
{
    size_t found = 0;
    for (size_t i = 0; i < findings->count; i++)
        found += findings->items[i].level == FINDING_WARNING &&
                 text_equal(findings->items[i].object, object) &&
                 strstr(findings->items[i].text, "deletes its running jobs") != NULL;
    if (found != times)
        print_all(findings);
    assert_int_equal(found, times);
}

/* There, and back. */
static void each_scaled_job_whose_running_jobs_keda_deletes_is_named_once(void **state)
{
#define TRIGGER "{type: redis, metadata: {address: 'r:1', listName: x, hold: 0s}}"
#define JOB(name, more)                                                                            \
    "kind: ScaledJob\nmetadata: {name: " name ", namespace: shop}\nspec:\n  " more                 \
    "\n  triggers: [" TRIGGER ", " TRIGGER "]\n---\n"
    (void)state;
    _cleanup_(findings_done) struct findings there_findings = {0};
    _cleanup_(findings_done) struct findings back_findings = {0};
    _cleanup_(memory_free) char *there =
        migrated(JOB("clips", "jobTargetRef: {}") JOB("mails", "rollout: {strategy: gradual}")
                     JOB("videos", "jobTargetRef: {}\n  rollout: {}")
                         JOB("mapped", "maxReplicaCount: 3") HEAD "  triggers: [" TRIGGER "]\n",
                 &there_findings);
    assert_non_null(there);
    _cleanup_(memory_free) char *back = migrated_back(there, &back_findings);
    assert_non_null(back);
    const struct findings *const both[] = {&there_findings, &back_findings};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i]->counts[FINDING_WARNING], 2);
        assert_names_jobs(both[i], "shop/clips", 1);
        assert_names_jobs(both[i], "shop/videos", 1);
        assert_names_jobs(both[i], "shop/mapped", 0); /* a patch: a note */
    }
#undef TRIGGER
#undef JOB
}

static void of_variables_it_warns_where_the_server_refuses(void **state)
{
    (void)state;
    size_t refused = 0;
    for (const struct scaler *const *scaler = scaler_list; *scaler != NULL; scaler++)
        for (const struct option *row = (*scaler)->options; row != NULL && row->key != NULL;
             row++) {
            if (row->type == OPTION_UNSUPPORTED || row->flags & OPTION_FILE_ONLY)
                continue;
            bool is_renamed = row->flags & OPTION_ALIAS_IN_FILE; /* KEDA has only the alias */
            const char *const names[] = {is_renamed ? row->alias : row->key,
                                         row->alias == NULL ? row->key : row->alias};
            for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
                assert_int_equal(compare_with_server(*scaler, row, names[i], ""), 0);
                refused += compare_with_server(*scaler, row, names[i], "FromEnv");
            }
        }
    assert_int_not_equal(refused, 0);
}

/* By the metadata alone: it was written by hand, and in another order. */
static void the_way_back_needs_no_mark(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back =
        migrated_back(HEAD "  triggers:\n"
                           "  - metadata: {address: 'r:1', brokerTls: 'true', listName: x, hold: "
                           "60s, scaler: redis, scalerAddress: 'b:1', enableTLS: 'true'}\n"
                           "    type: external\n"
                           "  - type: external\n"
                           "    metadata: {scalerAddress: 'other:1', key: x}\n",
                      &findings);
    assert_string_equal(back, HEAD "  triggers:\n"
                                   "  - metadata: {address: 'r:1', enableTLS: 'true', listName: x, "
                                   "hold: 60s}\n"
                                   "    type: redis\n"
                                   "  - type: external\n"
                                   "    metadata: {scalerAddress: 'other:1', key: x}\n");
    assert_stays_with_backlog(HEAD "  triggers:\n  - {type: external, metadata: {scalerAddress: b, "
                                   "scaler: redis, connectionName: c, listName: x}}\n",
                              "connection c");
    assert_stays_with_backlog(HEAD "  triggers:\n  - {type: external, metadata: {scalerAddress: b, "
                                   "scaler: rediss, listName: x}}\n",
                              "\"rediss\" is unknown");
}

/* A name that is not KEDA's certificates' says nothing of the one that stays. */
static void an_authentication_that_stays_is_noted(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "  triggers:\n"
             "  - type: external\n"
             "    authenticationRef: {name: backlog}\n"
             "    metadata: {scalerAddress: b:1, enableTLS: '%s', scaler: redis, address: 'r:1', "
             "listName: x}\n";
    static const struct {
        const char *enable_tls;
        const char *authentication;
        bool is_noted;
    } table[] = {
        {"true", NULL, true},
        {"true", "wrong", true},
        {"true", "backlog", false},
        {"false", "wrong", false},
    };
    const struct migration_settings saved = settings;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *there = text_format(text, table[i].enable_tls);
        settings.authentication = table[i].authentication;
        _cleanup_(memory_free) char *back = migrated_back(there, &findings);
        settings = saved;
        assert_non_null(back);
        bool is_noted = false;
        for (size_t k = 0; k < findings.count; k++)
            is_noted = is_noted || strstr(findings.items[k].text, "authenticationRef stays");
        assert_true(is_noted == table[i].is_noted);
    }
}

/* Where a second release has its own address: what has moved before moves on, by its name, too. */
static void triggers_move_to_another_server(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    const char *before =
        HEAD "  triggers:\n"
             "  - type: external-push\n"
             "    authenticationRef: {name: backlog, kind: "
             "ClusterTriggerAuthentication}\n"
             "    metadata:\n"
             "      scalerAddress: \"b:1\"   # the first\n"
             "      enableTLS: \"true\"\n"
             "      scaler: redis\n"
             "      connectionName: c\n"
             "      listName: x\n"
             "  - {type: external, metadata: {scalerAddress: b:1, scaler: other}}\n"
             "  - {type: external, metadata: {scalerAddress: b:1, scaler: redis, "
             "address: r:1, listName: x}}\n"
             "  - {type: redis, metadata: {address: r:1, listName: y}}\n";
    const struct migration_settings saved = settings;
    settings.scaler_address = "shop:1";
    settings.authentication = "backlog-shop";
    settings.is_cluster_wide = true;
    settings.is_readdressed = true;
    _cleanup_(memory_free) char *after = migrated(before, &findings);
    settings = saved;
    assert_non_null(after);
    assert_non_null(strstr(after, "scalerAddress: \"shop:1\"   # the first\n"));
    assert_non_null(strstr(after, "{name: backlog-shop, kind: ClusterTriggerAuthentication}\n"));
    assert_non_null(strstr(after, "{scalerAddress: b:1, scaler: other}"));
    assert_non_null(strstr(after, "{scalerAddress: shop:1, enableTLS: \"true\", scaler: redis, "
                                  "address: r:1, listName: x}"));
    assert_non_null(strstr(after, "{scalerAddress: shop:1, enableTLS: \"true\", scaler: redis, "
                                  "address: r:1, listName: y}"));
    assert_null(strstr(after, "b:1, scaler: redis"));

    /* Only if an address was given. */
    _cleanup_(memory_free) char *unchanged =
        migrated(HEAD "  triggers:\n  - {type: external, metadata: {scalerAddress: b:1, scaler: "
                      "redis, address: r:1, listName: x}}\n",
                 &findings);
    assert_null(unchanged);
}

static const struct migration_settings tls_server = {.scalers = scaler_list,
                                                     .scaler_address = "backlog-tls:9090",
                                                     .authentication = "backlog-tls",
                                                     .is_cluster_wide = true,
                                                     .is_readdressed = true};

static char *migrated_with(const struct migration_settings *chosen, const char *text,
                           struct findings *findings)
{
    const struct migration_settings saved = settings;
    settings = *chosen;
    char *result = migrated(text, findings);
    settings = saved;
    return result;
}

/* To a server without TLS, and from there to one with it: as if it had gone there at once. */
static void assert_gets_tls(const char *text)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *plain = migrated(text, &findings);
    assert_non_null(plain);
    _cleanup_(memory_free) char *at_once = migrated_with(&tls_server, text, &findings);
    _cleanup_(memory_free) char *later = migrated_with(&tls_server, plain, &findings);
    if (later == NULL)
        print_all(&findings);
    assert_non_null(later);
    assert_string_equal(later, at_once);
    const struct migration_settings saved = settings;
    settings = tls_server;
    _cleanup_(memory_free) char *back = migrated_back(later, &findings);
    settings = saved;
    assert_string_equal(back, text);
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
}

static void triggers_that_have_moved_without_tls_get_it(void **state)
{
    (void)state;
#define REF "    authenticationRef: "
#define FLOW "metadata: {address: 'r:1', listName: x}"
    static const char *const texts[] = {
        HEAD "  triggers:\n" REDIS REF "{name: redis}\n",
        HEAD "  triggers:\n" REDIS,
        HEAD "  triggers:\n" REDIS REF "\n      name: 'redis' # one\n"
             "      kind: ClusterTriggerAuthentication\n",
        HEAD "  triggers:\n" REDIS REF "\n      name: redis",
        HEAD "  triggers:\n  - authenticationRef: {name: backlog-tls}\n    type: redis\n    " FLOW
             "\n",
        HEAD "  triggers: [{type: redis, authenticationRef: {name: x}, " FLOW "}]\n",
        HEAD "  triggers:\n  - type: redis\n    metadata: {address: 'r:1', listName: x, enableTLS: "
             "'true',"
             " unsafeSsl: 'true'}\n" REF "{name: x}\n",
        "{\"kind\": \"ScaledObject\", \"spec\": {\"triggers\": [{\"type\": \"redis\", "
        "\"metadata\": "
        "{\"address\": \"r:1\", \"listName\": \"x\"}, \"authenticationRef\": {\"name\": "
        "\"x\"}}]}}\n",
        HEAD "  x: {{ .Values.x }}\n  triggers:\n  {{- range .Values.queues }}\n  - type: redis\n"
             "    metadata:\n      {{- if .y }}\n      databaseIndex: \"1\"\n      {{- end }}\n"
             "      address: {{ .address }}\n      listName: {{ .name | quote }}\n" REF
             "{name: x} # {{ .z }}\n  {{- end }}\n",
        "kind: Kustomization\npatches:\n- target: {kind: ScaledJob}\n  patch: |-\n"
        "    - op: add\n      path: /spec/triggers/0\n      value:\n        type: redis\n"
        "        metadata:\n          address: r:1\n          listName: x\n"
        "        authenticationRef:\n          name: x\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_gets_tls(texts[i]);

    /* What needs no name in the metadata. The last is done. */
    _cleanup_(findings_done) struct findings findings = {0};
#define MOVED                                                                                      \
    "  - type: external-push\n    metadata:\n      scalerAddress: backlog-tls:9090 # one\n"
#define TLS MOVED "      enableTLS: \"true\"\n"
#define NAMED "authenticationRef: {name: backlog-tls, kind: ClusterTriggerAuthentication}\n"
    _cleanup_(memory_free) char *others = migrated_with(
        &tls_server,
        HEAD "  triggers:\n" MOVED "      scaler: redis\n      connectionName: c\n" REF
             "{name: x}\n" MOVED
             "      enableTLS: \"false\"\n      scaler: redis\n      triggerAuthentication: y\n" REF
             "{name: x}\n" MOVED "      scaler: redis\n    " NAMED TLS "      scaler: redis\n" REF
             "{name: backlog}\n" TLS "      scaler: redis\n    name: q\n" TLS
             "      scaler: redis\n    " NAMED MOVED "      scaler: other\n",
        &findings);
    assert_string_equal(others,
                        HEAD "  triggers:\n" TLS
                             "      scaler: redis\n      connectionName: c\n    " NAMED TLS
                             "      scaler: redis\n      triggerAuthentication: y\n    " NAMED TLS
                             "      scaler: redis\n    " NAMED TLS "      scaler: redis\n    " NAMED
                             "  - type: external-push\n    " NAMED
                             "    metadata:\n      scalerAddress: backlog-tls:9090 # one\n"
                             "      enableTLS: \"true\"\n      scaler: redis\n    name: q\n" TLS
                             "      scaler: redis\n    " NAMED MOVED "      scaler: other\n");
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
    assert_null(migrated_with(&tls_server, others, &findings));

    /* KEDA would not verify the certificate. */
    _cleanup_(memory_free) char *unsafe = migrated_with(
        &tls_server, HEAD "  triggers:\n" MOVED "      scaler: redis\n      unsafeSsl: \"true\"\n",
        &findings);
    assert_non_null(unsafe);
    assert_int_equal(findings.counts[FINDING_WARNING], 1);
}

static void moved_triggers_that_cannot_get_tls_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *trigger, *reason;
    } cases[] = {
        {MOVED "      scaler: redis\n" REF "{name: {{ .x }}}\n",
         "the template writes its authenticationRef"},
        {MOVED "      scaler: redis\n" REF "{{ .x }}\n",
         "the template writes its authenticationRef"},
        {MOVED "      scaler: redis\n    {{- if .x }}\n" REF "{name: x}\n    {{- end }}\n",
         "the template writes its authenticationRef"},
        {MOVED "      scaler: redis\n    {{- if .x }}\n" REF "{name: x}\n    {{- else }}\n" REF
               "{name: y}\n    {{- end }}\n",
         "authenticationRef is written 2 times"},
        {"  - type: external\n    metadata:\n      {{- if .x }}\n      scalerAddress: b:1\n"
         "      {{- else }}\n      scalerAddress: b:2\n      {{- end }}\n      scaler: redis\n",
         "scalerAddress is written 2 times"},
        {MOVED "      enableTLS:\n      scaler: redis\n", "enableTLS is empty"},
        {MOVED "      scaler: redis\n" REF "\n", "is empty: remove it"},
        {"  - type: external\n    metadata:\n      scaler: redis\n",
         "scalerAddress is not written here"},
        {"  - &one\n    type: external\n    metadata: {scalerAddress: backlog-tls:9090, scaler: "
         "redis}\n"
         "  - *one\n",
         "YAML alias"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text = text_format(HEAD "  triggers:\n%s", cases[i].trigger);
        assert_null(migrated_with(&tls_server, text, &findings));
        assert_error(&findings, cases[i].reason);
    }
#define PATCH(path, value)                                                                         \
    "- {op: replace, path: /spec/triggers/0/metadata" path ", value: " value "}\n"
    static const char *const parts[] = {
        PATCH("", "{scalerAddress: 'b:1', scaler: redis}"),
        PATCH("", "{scalerAddress: 'backlog-tls:9090', scaler: redis}"),
        PATCH("/scalerAddress", "b:1")};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        assert_null(migrated_with(&tls_server, parts[i], &findings));
        assert_error(&findings, "change it by hand");
    }
    _cleanup_(findings_done) struct findings findings = {0};
    assert_null(
        migrated_with(&tls_server, PATCH("/scalerAddress", "'backlog-tls:9090'"), &findings));
    assert_null(migrated_with(
        &tls_server,
        PATCH("", "{scalerAddress: 'backlog-tls:9090', enableTLS: 'true', scaler: redis}"),
        &findings));
    assert_int_equal(findings.count, 0);
#undef PATCH
}

/* Without --scaler-address that of the default address is meant, and of another one a note. */
static void without_an_address_triggers_of_other_servers_stay(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    struct migration_settings there = tls_server;
    there.is_readdressed = false;
    _cleanup_(memory_free) char *text =
        migrated_with(&there, HEAD "  triggers:\n" MOVED "      scaler: redis\n", &findings);
    assert_non_null(text);
    assert_non_null(strstr(text, "enableTLS: \"true\""));
    size_t before = findings.count;
    there.scaler_address = "backlog.keda.svc:9090";
    assert_null(
        migrated_with(&there, HEAD "  triggers:\n" MOVED "      scaler: redis\n", &findings));
    assert_int_equal(findings.count, before + 1);
    assert_null(migrated_with(&there, text, &findings));
    assert_int_equal(findings.count, before + 1);
    /* What a template writes is not known: it may have been changed by hand. */
    static const char *const refs[] = {"{name: {{ .x }}}\n", "{{ .x }}\n",
                                       "\n      {{- toYaml .x | nindent 6 }}\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++) {
        _cleanup_(memory_free) char *templated = text_format(
            HEAD "  x: {{ 1 }}\n  triggers:\n" TLS "      scaler: redis\n" REF "%s", refs[i]);
        assert_null(migrated_with(&tls_server, templated, &findings));
        assert_int_equal(findings.counts[FINDING_ERROR], 0);
        assert_non_null(strstr(findings.items[findings.count - 1].text, "it must be backlog-tls"));
    }

    /* Without --authentication only the address changes. */
    struct migration_settings other = tls_server;
    other.scaler_address = "b:1";
    other.authentication = NULL;
    _cleanup_(memory_free) char *moved = migrated_with(
        &other, HEAD "  triggers:\n" TLS "      scaler: redis\n    " NAMED, &findings);
    assert_string_equal(moved, HEAD "  triggers:\n  - type: external-push\n    metadata:\n"
                                    "      scalerAddress: b:1 # one\n      enableTLS: \"true\"\n"
                                    "      scaler: redis\n    " NAMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trigger_moves_by_two_lines),
        cmocka_unit_test(other_ways_of_writing_stay_as_they_are),
        cmocka_unit_test(anchors_stay),
        cmocka_unit_test(in_helm_templates_actions_stay),
        cmocka_unit_test(braces_that_begin_no_action_hide_nothing),
        cmocka_unit_test(kustomize_patches_are_edited),
        cmocka_unit_test(a_patch_of_a_part_of_a_trigger_is_named),
        cmocka_unit_test(parts_of_a_scaled_job_are_no_warning),
        cmocka_unit_test(a_scaled_job_is_to_hold_nothing),
        cmocka_unit_test(mtls_has_the_name_in_the_metadata),
        cmocka_unit_test(triggers_that_cannot_move_stay_with_the_reason),
        cmocka_unit_test(an_authentication_gives_what_a_server_takes_of_it),
        cmocka_unit_test(a_connection_has_the_keys_of_its_triggers),
        cmocka_unit_test(what_a_server_needs_beside_it_is_a_warning),
        cmocka_unit_test(each_scaled_job_whose_running_jobs_keda_deletes_is_named_once),
        cmocka_unit_test(of_variables_it_warns_where_the_server_refuses),
        cmocka_unit_test(the_way_back_needs_no_mark),
        cmocka_unit_test(an_authentication_that_stays_is_noted),
        cmocka_unit_test(triggers_move_to_another_server),
        cmocka_unit_test(triggers_that_have_moved_without_tls_get_it),
        cmocka_unit_test(moved_triggers_that_cannot_get_tls_are_errors),
        cmocka_unit_test(without_an_address_triggers_of_other_servers_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
