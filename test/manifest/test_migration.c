#include "base/memory.h"
#include "manifest/migration_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

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

/* Only those of the trigger itself may add keys to it, also in front of and behind its own. */
static void an_action_elsewhere_hides_no_mistake(void **state)
{
    (void)state;
#define RULE "kind: PrometheusRule\nspec: {x: '{{ $labels.instance }}'}\n---\n"
#define LISTLESS "  - type: redis\n    metadata:\n      address: r:1\n"
    static const char missing[] = "listName is missing";
    assert_stays(HEAD "  triggers:\n" LISTLESS, missing);
    assert_stays(RULE HEAD "  triggers:\n" LISTLESS, missing);
    assert_stays(RULE HEAD "  triggers: [{type: redis, metadata: {address: 'r:1'}}]\n", missing);
    assert_stays("{{- if .a }}\n" HEAD "  triggers:\n" LISTLESS
                 "  # {{ .b }}\n  {{- if .c }}\n  - type: cpu\n    metadata: {value: {{ .d }}}\n"
                 "  {{- end }}\n{{- end }}\n",
                 missing);
    assert_migrates(HEAD "  triggers:\n" LISTLESS "      # more\n\n"
                         "      {{- with .Values.more }}\n      {{- toYaml . | nindent 6 }}\n"
                         "      {{- end }}\n",
                    NULL);
    assert_migrates(HEAD "  triggers:\n  - # one\n    {{- include \"shop.base\" . | nindent 4 }}\n"
                         "    type: redis\n    metadata:\n      address: r:1\n",
                    NULL);
#define HOSTLESS                                                                                   \
    HEAD "  triggers:\n  - type: rabbitmq\n    metadata: {queueName: q}\n"                         \
         "    authenticationRef: {name: a}\n---\nkind: TriggerAuthentication\n"                    \
         "metadata: {name: a, namespace: shop}\nspec:\n  secretTargetRef:\n"
    assert_stays(RULE HOSTLESS "    - {parameter: username, name: s, key: k}\n", "host is missing");
    assert_migrates(RULE HOSTLESS "    {{- toYaml .Values.secrets | nindent 4 }}\n", NULL);
#undef HOSTLESS
#undef LISTLESS
#undef RULE
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

/* The kustomization that names a JSON patch says of which kind the object is. */
static void a_patch_in_a_file_is_of_the_kind_that_its_kustomization_names(void **state)
{
    (void)state;
    static const char patch[] = "- op: add\n  path: /spec/triggers/-\n"
                                "  value: {type: redis, metadata: {address: 'r:1', listName: x}}\n";
    static const struct {
        const char *path, *kustomization, *type;
    } cases[] = {
        {"k/kustomization.yaml", "patches: [{path: job.yaml, target: {kind: ScaledJob}}]\n",
         "external,"},
        {"./k/o/../kustomization.yaml",
         "kind: Kustomization\npatchesJson6902: [{path: ./x/../job.yaml, target: {kind: "
         "ScaledJob}}]\n",
         "external,"},
        {"k/a/kustomization.yaml", "patches: [{path: ../job.yaml, target: {kind: ScaledJob}}]\n",
         "external,"},
        {"k/a/kustomization.yaml", "patches: [{path: job.yaml, target: {kind: ScaledJob}}]\n",
         "external-push,"},
        {"k/kustomization.yaml", "patches: [{path: job.yaml, target: {kind: ScaledObject}}]\n",
         "external-push,"},
        {"k/kustomization.yaml",
         "patches: [{path: job.yaml, target: {kind: ScaledObject}}, {path: job.yaml, target: "
         "{kind: ScaledJob}}]\n",
         "external-push,"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(migration_done) struct migration migration;
        _cleanup_(manifests_done) struct manifests manifests = {.reads_templates = true};
        const char *text = cases[i].kustomization;
        manifests_add_text(&manifests, "k/job.yaml", patch, strlen(patch), &findings);
        manifests_add_text(&manifests, cases[i].path, text, strlen(text), &findings);
        migration_make(&settings, &manifests, &migration, &findings);
        assert_int_equal(migration.count, 1);
        _cleanup_(memory_free) char *expected = text_format("{type: %s metadata", cases[i].type);
        if (strstr(migration.items[0].text.bytes, expected) == NULL)
            fail_msg("%s: %s", cases[i].kustomization, migration.items[0].text.bytes);
        bool is_job = text_equal(cases[i].type, "external,");
        assert_int_equal(findings.counts[FINDING_WARNING], is_job);
    }
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
}

/* KEDA's scaler and its channel to Backlog have some names in common: the trigger's own key gets
 * another one, and a patch would set the channel's. */
static void a_patch_of_a_key_with_another_name_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *patch;
        bool is_back;
        enum finding_level level; /* FINDING_LEVELS: nothing is said */
        const char *text;
    } cases[] = {
        {PATCH("metadata/enableTLS", "'true'"), false, FINDING_WARNING, "write brokerTls"},
        {PATCH("metadata/unsafeSsl", "'true'"), false, FINDING_WARNING, "write brokerUnsafeSsl"},
        {"- {op: remove, path: /spec/triggers/0/metadata/unsafeSsl}\n", false, FINDING_WARNING,
         "write brokerUnsafeSsl"},
        {PATCH("metadata/enableTLSFromEnv", "TLS"), false, FINDING_ERROR, "to brokerTlsFromEnv"},
        {PATCH("metadata/brokerTls", "'true'"), false, FINDING_LEVELS, NULL},
        {PATCH("metadata/value", "'7'"), false, FINDING_LEVELS, NULL},
        {PATCH("metadata/scaler", "redis"), false, FINDING_LEVELS, NULL},
        {PATCH("metadata/brokerTls", "'true'"), true, FINDING_ERROR, "to enableTLS"},
        {PATCH("metadata/brokerUnsafeSslFromEnv", "X"), true, FINDING_ERROR, "to unsafeSslFromEnv"},
        {PATCH("metadata/enableTLS", "'true'"), true, FINDING_WARNING, "if it moves back"},
        {PATCH("metadata/unsafeSsl", "'true'"), true, FINDING_WARNING, "if it moves back"},
        {PATCH("metadata/scalerAddress", "b:1"), true, FINDING_WARNING, "if it moves back"},
        {PATCH("metadata/scaler", "redis"), true, FINDING_ERROR, "by hand"},
        {PATCH("metadata/triggerAuthentication", "r"), true, FINDING_ERROR, "by hand"},
        {PATCH("metadata/hold", "60s"), true, FINDING_LEVELS, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        assert_null(cases[i].is_back ? migrated_back(cases[i].patch, &findings)
                                     : migrated(cases[i].patch, &findings));
        if (cases[i].level == FINDING_LEVELS) {
            assert_int_equal(findings.count, 0);
            continue;
        }
        if (findings.count != 1)
            fail_msg("%s: %zu findings", cases[i].patch, findings.count);
        assert_int_equal(findings.items[0].level, cases[i].level);
        assert_non_null(strstr(findings.items[0].text, cases[i].text));
    }
}

static void a_patch_of_the_kind_of_an_authentication_is_named(void **state)
{
    (void)state;
    static const char own[] = PATCH("authenticationRef/kind", "TriggerAuthentication");
    static const char channel[] = PATCH("authenticationRef/kind", "ClusterTriggerAuthentication");
    const struct migration_settings saved = settings;
    _cleanup_(findings_done) struct findings findings = {0};
    assert_null(migrated(own, &findings)); /* it stays */
    settings.authentication = "backlog";
    settings.is_cluster_wide = true;
    assert_null(migrated(channel, &findings));
    assert_int_equal(findings.count, 0);
    assert_stays(own, "change it by hand");
    assert_stays("- {op: remove, path: /spec/triggers/0/authenticationRef/kind}\n",
                 "change it by hand");
    settings.is_cluster_wide = false;
    assert_stays(channel, "change it by hand");
    settings = saved;
}
#undef PATCH

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
    assert_stays(
        KAFKA(", consumergrop: g"),
        "KEDA ignores consumergrop, and Backlog does not: remove it (unknown key \"consumergrop\": "
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
         "      userName: u\n      dbName: d\n      sslmode: disable\n      query: TABLE q\n"      \
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trigger_moves_by_two_lines),
        cmocka_unit_test(other_ways_of_writing_stay_as_they_are),
        cmocka_unit_test(anchors_stay),
        cmocka_unit_test(in_helm_templates_actions_stay),
        cmocka_unit_test(an_action_elsewhere_hides_no_mistake),
        cmocka_unit_test(braces_that_begin_no_action_hide_nothing),
        cmocka_unit_test(kustomize_patches_are_edited),
        cmocka_unit_test(a_patch_in_a_file_is_of_the_kind_that_its_kustomization_names),
        cmocka_unit_test(a_patch_of_a_part_of_a_trigger_is_named),
        cmocka_unit_test(a_patch_of_a_key_with_another_name_is_named),
        cmocka_unit_test(a_patch_of_the_kind_of_an_authentication_is_named),
        cmocka_unit_test(triggers_that_cannot_move_stay_with_the_reason),
        cmocka_unit_test(an_authentication_gives_what_a_server_takes_of_it),
        cmocka_unit_test(the_way_back_needs_no_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
