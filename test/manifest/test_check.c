#include "base/memory.h"
#include "base/text.h"
#include "manifest/authentication.h"
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

static void a_server_refuses_names_of_an_authentication_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *error;
    } given[] = {
        {"triggerAuthentication: \"\"", "\"\" is not the name of a TriggerAuthentication"},
        {"clusterTriggerAuthentication: ../a",
         "\"../a\" is not the name of a ClusterTriggerAuthentication"},
        {"triggerAuthentication: a, clusterTriggerAuthentication: b", "exclude each other"},
        {"triggerAuthentication: a, connectionName: b", "exclude each other"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
        _cleanup_(memory_free) char *text = text_format(
            HEAD "spec:\n  triggers:\n"
                 "    - type: external-push\n"
                 "      metadata: {scalerAddress: 'b:1', scaler: redis, listName: x, %s}\n",
            given[i].keys);
        const struct check_settings settings = {.scalers = scaler_list, .has_kubernetes = true};
        struct findings findings = checked_with(&settings, text, NULL);
        assert_int_equal(count_of(&findings, given[i].error), 1);
        findings_done(&findings);
    }
}

static void keys_of_an_authentication_are_not_missing(void **state)
{
    (void)state;
    static const char *const given[] = {
        "        triggerAuthentication: rabbit\n",
        "        clusterTriggerAuthentication: rabbit\n",
        "      authenticationRef: {name: rabbit}\n",
    };
    for (size_t i = 0; i <= ARRAY_LENGTH(given); i++) {
        _cleanup_(memory_free) char *text =
            text_format(HEAD "spec:\n"
                             "  triggers:\n"
                             "    - type: external-push\n"
                             "      metadata:\n"
                             "        scalerAddress: backlog.keda.svc:9090\n"
                             "        scaler: rabbitmq\n"
                             "        queueName: orders\n"
                             "%s",
                        i == ARRAY_LENGTH(given) ? "" : given[i]);
        struct findings findings = checked(text, NULL);
        size_t errors = 0;
        for (size_t f = 0; f < findings.count; f++)
            errors += findings.items[f].level == FINDING_ERROR;
        assert_int_equal(errors, i == ARRAY_LENGTH(given) ? 1 : 0);
        assert_int_equal(count_of(&findings, "only a server with kubernetes.enabled"), i < 2);
        findings_done(&findings);
        const struct check_settings settings = {.scalers = scaler_list, .has_kubernetes = true};
        findings = checked_with(&settings, text, NULL);
        assert_int_equal(count_of(&findings, "rabbit is in none of the files"), i < 3);
        findings_done(&findings);
    }
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

static void numbers_of_the_spec_are_checked(void **state)
{
    (void)state;
    struct findings findings =
        checked(HEAD "spec:\n"
                     "  minReplicaCount: many\n"
                     "  triggers: [{type: redis, metadata: {address: \"r:6379\", listName: x}}]\n",
                NULL);
    assert_finding(&findings, FINDING_ERROR, 5, "minReplicaCount must be a whole number");
    findings_done(&findings);
}

static void max_replicas_are_read_in_one_place(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int64_t expected;
    } cases[] = {
        {"", 100},
        {"maxReplicaCount: null", 100},
        {"maxReplicaCount: 5", 5},
        {"maxReplicaCount: 0", 0},
        {"maxReplicaCount: -3", -1},
        {"maxReplicaCount: 5x", -1},
        {"maxReplicaCount: 5.5", -1},
        {"maxReplicaCount: 3000000000", -1},
        {"maxReplicaCount: [5]", -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text = text_format(
            "kind: ScaledJob\nmetadata: {name: a}\nspec:\n  triggers: []\n  %s\n", cases[i].line);
        struct manifests manifests = manifests_of(text, &findings);
        assert_int_equal(manifests.object_count, 1);
        assert_int_equal(manifest_max_replicas(&manifests.objects[0]), cases[i].expected);
        manifests_done(&manifests);
    }
}

/* Which number is not known, so none is said to be another one. */
static void a_policy_is_not_compared_with_what_is_no_number(void **state)
{
    (void)state;
    struct findings findings =
        checked(HEAD "spec:\n"
                     "  maxReplicaCount: 5x\n"
                     "  triggers: [{type: external-push, metadata: {scalerAddress: 'b:1', scaler: "
                     "redis, address: 'r:1', listName: x, scaleDownWhenIdle: 60s, maxReplicaCount: "
                     "'5'}}]\n",
                NULL);
    assert_finding(&findings, FINDING_ERROR, 5, "maxReplicaCount must be a whole number");
    for (size_t i = 0; i < findings.count; i++)
        assert_null(strstr(findings.items[i].text, "in the ScaledObject"));
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

static void settings_that_backlog_cannot_see_are_compared(void **state)
{
    (void)state;
    struct findings findings = checked(HEAD "spec:\n"
                                            "  pollingInterval: 5\n"
                                            "  minReplicaCount: 1\n"
                                            "  fallback: {failureThreshold: 3, replicas: 0}\n"
                                            "  triggers:\n"
                                            "    - type: external\n"
                                            "      metadata:\n"
                                            "        scalerAddress: b:1\n"
                                            "        scaler: redis\n"
                                            "        address: r:6379\n"
                                            "        listName: x\n"
                                            "        interval: 30s\n"
                                            "        activationListLength: \"3\"\n",
                                       NULL);
    assert_finding(&findings, FINDING_WARNING, 7, "set hold: \"60s\"");
    assert_finding(&findings, FINDING_WARNING, 7, "fallback.replicas is 0");
    assert_finding(&findings, FINDING_WARNING, 15, "longer than pollingInterval");
    assert_finding(&findings, FINDING_WARNING, 16, "activationListLength has no effect");
    findings_done(&findings);
}

/* The HPA's memory and that behind a held value. */
static void the_windows_of_both_are_compared(void **state)
{
    (void)state;
    static const struct {
        const char *window, *key;
        enum finding_level level;
        size_t line;
        const char *words; /* NULL: nothing is found */
    } table[] = {
        {"300", "", FINDING_NOTE, 0, NULL},
        {"60", "holdWindow: 1m, ", FINDING_NOTE, 0, NULL},
        {"0", "", FINDING_NOTE, 5,
         "holdWindow is 5m by default, and scaleDown.stabilizationWindowSeconds is 0: in an outage "
         "of the source a held value can start replicas again that the HPA has removed: set "
         "holdWindow: \"0s\" in the trigger"},
        {"900", "", FINDING_WARNING, 5,
         "can remove replicas that are at work: set holdWindow: \"900s\""},
        {"300", "holdWindow: 2m, ", FINDING_WARNING, 7, "holdWindow is 2m, and"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(memory_free) char *text = text_format(
            HEAD "spec:\n"
                 "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: "
                 "{stabilizationWindowSeconds: %s}}}}\n"
                 "  triggers:\n"
                 "    - {type: external-push, metadata: {%sscalerAddress: b:1, scaler: redis, "
                 "address: \"r:1\", listName: x}}\n",
            table[i].window, table[i].key);
        struct findings findings = checked(text, NULL);
        assert_int_equal(findings.count, table[i].words != NULL);
        if (table[i].words != NULL)
            assert_finding(&findings, table[i].level, table[i].line, table[i].words);
        findings_done(&findings);
    }
}

static void a_policy_warns_of_metric_type_value(void **state)
{
    (void)state;
    struct findings findings = checked(HEAD "spec:\n"
                                            "  triggers:\n"
                                            "    - type: external\n"
                                            "      metricType: Value\n"
                                            "      metadata:\n"
                                            "        scalerAddress: b:1\n"
                                            "        scaler: redis-streams\n"
                                            "        address: r:6379\n"
                                            "        stream: x\n"
                                            "        consumerGroup: g\n"
                                            "        lagCount: \"5\"\n"
                                            "        maxWait: 60s\n"
                                            "        ratePerReplica: \"10\"\n",
                                       NULL);
    assert_finding(&findings, FINDING_WARNING, 7, "makes no sense with maxWait");
    assert_finding(&findings, FINDING_WARNING, 7, "makes no sense with ratePerReplica");
    findings_done(&findings);
}

static void a_scaled_job_wants_no_push(void **state)
{
    (void)state;
    struct findings findings = checked(
        "kind: ScaledJob\n"
        "metadata: {name: jobs}\n"
        "spec:\n"
        "  triggers:\n"
        "    - type: external-push\n"
        "      metadata: {scalerAddress: b:1, scaler: redis, address: \"r:1\", listName: x}\n",
        NULL);
    assert_finding(&findings, FINDING_WARNING, 5, "write type: external");
    findings_done(&findings);
}

static void a_scaled_job_holds_nothing(void **state)
{
    (void)state;
    static const char *const holds[] = {"", ", hold: 0s"};
    for (size_t i = 0; i < ARRAY_LENGTH(holds); i++) {
        _cleanup_(memory_free) char *text =
            text_format("kind: ScaledJob\nmetadata: {name: jobs}\nspec:\n"
                        "  rollout: {strategy: gradual}\n  triggers:\n  - type: external\n"
                        "    metadata: {scalerAddress: b:1, scaler: redis, address: \"r:1\", "
                        "listName: x%s}\n",
                        holds[i]);
        struct findings findings = checked(text, NULL);
        assert_int_equal(findings.counts[FINDING_WARNING], i == 0);
        if (i == 0)
            assert_finding(&findings, FINDING_WARNING, 6, "add hold: \"0s\"");
        findings_done(&findings);
    }
}

static void without_a_gradual_rollout_a_change_of_a_scaled_job_deletes_jobs(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *line;
        enum finding_level level; /* FINDING_LEVELS: nothing is found */
    } cases[] = {
        {"ScaledJob", "jobTargetRef: {}", FINDING_WARNING},
        {"ScaledJob", "jobTargetRef: {}\n  rollout: {propagationPolicy: foreground}",
         FINDING_WARNING},
        {"ScaledJob", "maxReplicaCount: 5", FINDING_NOTE}, /* a patch */
        {"ScaledJob", "rollout: {strategy: immediate}", FINDING_NOTE},
        {"ScaledJob", "rolloutStrategy: immediate\n  rollout: {strategy: gradual}", FINDING_NOTE},
        {"ScaledJob", "rollout: {strategy: gradual}", FINDING_LEVELS},
        {"ScaledJob", "rolloutStrategy: gradual", FINDING_LEVELS},
        {"ScaledObject", "maxReplicaCount: 5", FINDING_LEVELS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *text =
            text_format("kind: %s\nmetadata: {name: clips, namespace: shop}\nspec:\n  %s\n"
                        "  triggers: [{type: redis, metadata: {address: \"r:1\", listName: x}}]\n",
                        cases[i].kind, cases[i].line);
        struct findings findings = checked(text, NULL);
        if (cases[i].level == FINDING_LEVELS)
            assert_no_finding(&findings, "running jobs: set rollout");
        else
            assert_finding(&findings, cases[i].level, 1, "running jobs: set rollout");
        findings_done(&findings);
    }
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

/* A server with --kubernetes has them all the same. */
static void credentials_that_keda_does_not_forward_are_reported(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "spec:\n"
             "  triggers:\n"
             "    - type: external-push\n"
             "      metadata: {scalerAddress: b:1, scaler: redis, address: \"r:1\", listName: x}\n"
             "      authenticationRef: {name: redis}\n"
             "---\n"
             "kind: TriggerAuthentication\n"
             "metadata: {name: redis}\n"
             "spec: {secretTargetRef: [{parameter: password, name: s, key: k},\n"
             "                         {parameter: caCert, name: s, key: ca}]}\n";
    struct findings findings = checked(text, NULL);
    assert_finding(&findings, FINDING_WARNING, 8, "KEDA does not forward password");
    assert_int_equal(findings.count, 1);
    findings_done(&findings);
    const struct check_settings settings = {scaler_list, .has_kubernetes = true};
    findings = checked_with(&settings, text, NULL);
    assert_int_equal(findings.count, 0);
    findings_done(&findings);
}

/* By the rules of the server (resolve.c, own_credentials.c), before it refuses each call. */
static void what_a_server_refuses_of_a_moved_trigger_is_an_error(void **state)
{
    (void)state;
#define PASSWORD "{parameter: password, name: s, key: k}"
    static const struct {
        const char *keys, *spec, *error; /* NULL: none */
    } cases[] = {
        {"", "secretTargetRef: [" PASSWORD "], podIdentity: {provider: none}", NULL},
        {"", "secretTargetRef: [" PASSWORD "], hashiCorpVault: null, filePath: []", NULL},
        {"", "podIdentity: {provider: aws}", "redis uses podIdentity, which Backlog does not have"},
        {"", "secretTargetRef: [" PASSWORD "], podIdentity: {provider: \"\"}", NULL},
        {"", "azureKeyVault: {vaultUri: x}", "redis uses azureKeyVault, which Backlog does not"},
        {"", "env: [{parameter: password, name: PASSWORD}]", "set passwordFromEnv: PASSWORD"},
        {"", "secretTargetRef: [{parameter: listName, name: s, key: k}]",
         "redis has listName, which is no key of a connection"},
        {"", "secretTargetRef: [" PASSWORD ", {parameter: password, name: s, key: other}]",
         "redis has password twice"},
        {", password: sesame", "secretTargetRef: [" PASSWORD "]",
         "password is given in metadata and in redis: keep one of them"},
        {", passwordFromEnv: P", "secretTargetRef: [" PASSWORD "]",
         "passwordFromEnv is given in metadata and in redis: keep one of them"},
        {", password: \" \"", "secretTargetRef: [" PASSWORD "]", NULL},
        {", connectionName: c", "podIdentity: {provider: aws}", NULL},
        {", enableTLS: \"true\"", "podIdentity: {provider: aws}", NULL}, /* of KEDA's channel */
        {", triggerAuthentication: redis, enableTLS: \"true\"", "podIdentity: {provider: aws}",
         "redis uses podIdentity"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool is_named = strstr(cases[i].keys, "connectionName") != NULL;
        _cleanup_(memory_free) char *text = text_format(
            HEAD "spec:\n"
                 "  triggers:\n"
                 "    - type: external-push\n"
                 "      metadata: {scalerAddress: 'b:1', scaler: redis, listName: x%s%s}\n"
                 "      authenticationRef: {name: redis}\n"
                 "---\n"
                 "kind: TriggerAuthentication\n"
                 "metadata: {name: redis, namespace: shop}\n"
                 "spec: {%s}\n",
            is_named ? "" : ", address: 'r:1'", cases[i].keys, cases[i].spec);
        const struct check_settings settings = {.scalers = scaler_list, .has_kubernetes = true};
        struct findings findings = checked_with(&settings, text, NULL);
        if (findings.counts[FINDING_ERROR] != (cases[i].error != NULL) ||
            (cases[i].error != NULL && count_of(&findings, cases[i].error) != 1))
            fail_msg("case %zu: %s", i, findings.count == 0 ? "" : findings.items[0].text);
        findings_done(&findings);
        findings = checked(text, NULL);
        assert_int_equal(findings.counts[FINDING_ERROR], 0);
        findings_done(&findings);
    }
#undef PASSWORD
}

#define WITH_SECRET(authentication, secret)                                                        \
    HEAD "spec:\n"                                                                                 \
         "  triggers:\n"                                                                           \
         "    - type: kafka\n"                                                                     \
         "      metadata: {bootstrapServers: k, consumerGroup: g, topic: t}\n"                     \
         "      authenticationRef: {name: kafka}\n"                                                \
         "---\n"                                                                                   \
         "kind: TriggerAuthentication\n"                                                           \
         "metadata: {name: kafka, namespace: shop}\n"                                              \
         "spec: {secretTargetRef: [" authentication "]}\n"                                         \
         "---\n"                                                                                   \
         "kind: Secret\n"                                                                          \
         "metadata: {name: s, namespace: shop}\n" secret "\n"

static void secrets_in_the_files_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *mistake;
        enum finding_level level;
    } table[] = {
        {WITH_SECRET("{parameter: sasl, name: s, key: sasl.mode}",
                     "data: {sasl.mode: cGxhaW50ZXh0}"),
         "username", FINDING_WARNING}, /* plaintext needs it */
        {WITH_SECRET(
             "{parameter: sasl, name: s, key: mode}, {parameter: username, name: s, key: u}, "
             "{parameter: password, name: s, key: p}",
             "stringData: {mode: plaintext, u: me, p: sesame}"),
         NULL, FINDING_ERROR},
        {WITH_SECRET("{parameter: sasl, name: s, key: mode}", "data: {MODE: cGxhaW50ZXh0}"),
         "Secret shop/s has no key mode, which sasl of kafka is to be", FINDING_ERROR},
        {WITH_SECRET("{parameter: sasl, name: s, key: mode}", "data: {mode: plaintext!}"),
         "Secret shop/s: the value of mode is no text in base64", FINDING_ERROR},
        {WITH_SECRET("{parameter: sasl, name: elsewhere, key: mode}", "data: {}"), NULL,
         FINDING_ERROR},
        {WITH_SECRET("{parameter: sasl, name: s, key: sasl}",
                     "stringData: {other: x}") "\n---\nkind: Secret\nmetadata: {name: s, "
                                               "namespace: shop}\nstringData: {sasl: none}\n",
         NULL, FINDING_ERROR}, /* which of the two is not known */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct findings findings = checked(table[i].text, NULL);
        if (table[i].mistake == NULL)
            assert_int_equal(findings.counts[FINDING_ERROR] + findings.counts[FINDING_WARNING], 0);
        else
            assert_finding(&findings, table[i].level, table[i].level == FINDING_ERROR ? 6 : 7,
                           table[i].mistake);
        findings_done(&findings);
    }
}

/* Not even of a key that is none: somebody mixed them up. */
static void values_of_secrets_are_not_repeated(void **state)
{
    (void)state;
    static const char *const types[] = {"kafka", "external"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        _cleanup_(memory_free) char *text = text_format(
            HEAD "spec:\n  triggers:\n"
                 "    - type: %s\n"
                 "      metadata: {bootstrapServers: k, consumerGroup: g, topic: t%s}\n"
                 "      authenticationRef: {name: kafka}\n"
                 "---\nkind: TriggerAuthentication\nmetadata: {name: kafka}\n"
                 "spec: {secretTargetRef: [{parameter: sasl, name: s, key: password}]}\n"
                 "---\nkind: Secret\nmetadata: {name: s}\nstringData: {password: sesame}\n",
            types[i], i == 0 ? "" : ", scalerAddress: 'b:1', scaler: kafka");
        const struct check_settings settings = {.scalers = scaler_list, .has_kubernetes = true};
        struct findings findings = checked_with(&settings, text, NULL);
        assert_int_equal(count_of(&findings, "sasl must be"), i == 0);
        assert_no_finding(&findings, "sesame");
        findings_done(&findings);
    }
}

/* What such a trigger counts is known by the host. */
static void a_host_out_of_a_secret_says_what_is_counted(void **state)
{
    (void)state;
    struct findings findings = checked(
        "kind: ScaledJob\nmetadata: {name: j, namespace: shop}\nspec:\n"
        "  scalingStrategy: {strategy: accurate}\n"
        "  triggers:\n"
        "    - type: rabbitmq\n"
        "      metadata: {queueName: q, mode: QueueLength, value: \"5\"}\n"
        "      authenticationRef: {name: a}\n"
        "---\nkind: TriggerAuthentication\nmetadata: {name: a, namespace: shop}\n"
        "spec: {secretTargetRef: [{parameter: host, name: s, key: k}]}\n"
        "---\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {k: 'http://r:1/'}\n",
        NULL);
    assert_finding(&findings, FINDING_WARNING, 4, "a second job");
    findings_done(&findings);
}

/* A mode of SASL that needs a user name shows that its value was read. */
static void objects_of_a_cluster_wide_authentication_are_in_kedas_namespace(void **state)
{
    (void)state;
#define CLUSTER(list)                                                                              \
    HEAD "spec:\n  triggers:\n"                                                                    \
         "    - type: kafka\n"                                                                     \
         "      metadata: {bootstrapServers: k, consumerGroup: g, topic: t}\n"                     \
         "      authenticationRef: {name: all, kind: ClusterTriggerAuthentication}\n"              \
         "---\n"                                                                                   \
         "kind: ClusterTriggerAuthentication\n"                                                    \
         "metadata: {name: all}\n"                                                                 \
         "spec: {" list ": [{parameter: sasl, name: s, key: mode}]}\n"
#define OF_SECRET CLUSTER("secretTargetRef")
#define SECRET(place, data)                                                                        \
    "---\nkind: Secret\nmetadata: {name: s" place "}\nstringData: {" data "}\n"
#define OF_MAP CLUSTER("configMapTargetRef")
#define MAP(place, data) "---\nkind: ConfigMap\nmetadata: {name: s" place "}\ndata: {" data "}\n"
#define IN_KEDA ", namespace: keda"
#define IN_SHOP ", namespace: shop"
    static const char is_read[] = "username";
    static const char has_none[] = "Secret keda/s has no key mode";
    static const struct {
        const char *cluster_namespace, *text, *found; /* NULL: neither an error nor a warning */
    } cases[] = {
        {"keda", OF_SECRET SECRET(IN_KEDA, "mode: plaintext"), is_read},
        {"keda", OF_SECRET SECRET(IN_SHOP, "mode: none") SECRET(IN_KEDA, "mode: plaintext"),
         is_read},
        {"keda", OF_SECRET SECRET(IN_SHOP, "mode: plaintext"), NULL},
        {"keda", OF_SECRET SECRET(IN_SHOP, "user: x"), NULL},
        {"keda", OF_SECRET SECRET(IN_KEDA, "user: x"), has_none},
        {"keda", OF_SECRET SECRET("", "mode: plaintext"), is_read},
        {"keda", OF_SECRET SECRET("", "user: x"), NULL}, /* it may be another one */
        {NULL, OF_SECRET SECRET(IN_KEDA, "mode: plaintext"), NULL},
        {NULL, OF_SECRET SECRET(IN_KEDA, "user: x"), NULL},
        {NULL, OF_SECRET SECRET("", "mode: plaintext"), is_read},
        {"keda", OF_MAP MAP(IN_SHOP, "mode: none") MAP(IN_KEDA, "mode: plaintext"), is_read},
        {"keda", OF_MAP MAP(IN_SHOP, "mode: plaintext"), NULL},
        {NULL, OF_MAP MAP(IN_KEDA, "mode: plaintext"), is_read},
        {NULL, OF_MAP MAP(IN_SHOP, "mode: none") MAP(IN_KEDA, "mode: plaintext"),
         "a ConfigMap that is in several files with other values"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct check_settings settings = {.scalers = scaler_list};
        struct findings findings =
            checked_in(cases[i].cluster_namespace, &settings, cases[i].text, NULL);
        size_t mistakes = findings.counts[FINDING_ERROR] + findings.counts[FINDING_WARNING];
        if (mistakes != (cases[i].found != NULL) ||
            (cases[i].found != NULL && count_of(&findings, cases[i].found) != 1))
            fail_msg("case %zu: %zu mistakes: %s", i, mistakes,
                     findings.count == 0 ? "" : findings.items[0].text);
        findings_done(&findings);
    }
#undef CLUSTER
#undef OF_SECRET
#undef SECRET
#undef OF_MAP
#undef MAP
#undef IN_KEDA
#undef IN_SHOP
}

/* As KEDA reads it: such a channel has no TLS, and the authentication is the source's. */
static void an_authentication_is_of_the_source_where_enable_tls_is_false(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "spec:\n"
             "  triggers:\n"
             "    - type: external-push\n"
             "      metadata: {scalerAddress: b:1, enableTLS: \"%s\", scaler: redis, listName: x}\n"
             "      authenticationRef: {name: redis}\n"
             "---\n"
             "kind: TriggerAuthentication\n"
             "metadata: {name: redis}\n"
             "spec: {secretTargetRef: [{parameter: address, name: s, key: k}]}\n";
    static const struct {
        const char *enable_tls;
        size_t errors;
    } table[] = {{"false", 0}, {"F", 0}, {"true", 1}};
    const struct check_settings settings = {scaler_list, .has_kubernetes = true};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(memory_free) char *with = text_format(text, table[i].enable_tls);
        struct findings findings = checked_with(&settings, with, NULL);
        assert_int_equal(findings.counts[FINDING_ERROR], table[i].errors);
        findings_done(&findings);
    }
}

static void secrets_of_the_channel_to_the_server_are_checked(void **state)
{
    (void)state;
    struct findings findings = checked(
        HEAD "spec:\n"
             "  triggers:\n"
             "    - type: external-push\n"
             "      metadata: {scalerAddress: b:1, enableTLS: \"true\", scaler: redis, address: "
             "\"r:1\", listName: x}\n"
             "      authenticationRef: {name: backlog, kind: ClusterTriggerAuthentication}\n"
             "    - type: external-push\n"
             "      metadata: {scalerAddress: b:1, enableTLS: \"true\", scaler: redis, address: "
             "\"r:1\", listName: x}\n"
             "      authenticationRef: {name: other, kind: ClusterTriggerAuthentication}\n"
             "---\n"
             "kind: ClusterTriggerAuthentication\n"
             "metadata: {name: backlog}\n"
             "spec: {secretTargetRef: [{parameter: caCert, name: c, key: ca.crt},\n"
             "                         {parameter: tlsClientKey, name: c, key: tls.key}]}\n"
             "---\n"
             "kind: Secret\n"
             "metadata: {name: c, namespace: keda}\n"
             "stringData: {ca.crt: PEM}\n",
        NULL);
    assert_finding(&findings, FINDING_ERROR, 8, "Secret keda/c has no key tls.key");
    assert_finding(&findings, FINDING_NOTE, 11,
                   "ClusterTriggerAuthentication other is in none of the files");
    assert_int_equal(findings.counts[FINDING_ERROR], 1);
    findings_done(&findings);
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

/* As those of an authentication, which has a limit. */
static void an_authentication_with_too_many_parameters_is_named(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text text = {0};
    text_add(&text, HEAD "spec:\n  triggers:\n"
                         "    - {type: redis, metadata: {address: 'r:1', listName: x}, "
                         "authenticationRef: {name: a}}\n---\nkind: TriggerAuthentication\n"
                         "metadata: {name: a, namespace: shop}\nspec:\n  secretTargetRef:\n");
    for (size_t i = 0; i <= AUTHENTICATION_MAX_PARAMETERS; i++)
        text_addf(&text, "  - {parameter: p%zu, name: s, key: k}\n", i);
    struct findings findings = checked(text.bytes, NULL);
    assert_finding(&findings, FINDING_WARNING, 6, "a uses more than 64 parameters");
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
        cmocka_unit_test(a_server_refuses_names_of_an_authentication_that_are_none),
        cmocka_unit_test(keys_of_an_authentication_are_not_missing),
        cmocka_unit_test(each_mistake_has_its_line),
        cmocka_unit_test(a_password_that_is_no_text_is_not_repeated),
        cmocka_unit_test(each_misspelt_key_is_reported_once),
        cmocka_unit_test(each_wrong_value_is_reported_once),
        cmocka_unit_test(numbers_of_the_spec_are_checked),
        cmocka_unit_test(max_replicas_are_read_in_one_place),
        cmocka_unit_test(a_policy_is_not_compared_with_what_is_no_number),
        cmocka_unit_test(built_in_triggers_are_understood),
        cmocka_unit_test(values_that_are_not_known_are_accepted),
        cmocka_unit_test(settings_that_backlog_cannot_see_are_compared),
        cmocka_unit_test(the_windows_of_both_are_compared),
        cmocka_unit_test(a_policy_warns_of_metric_type_value),
        cmocka_unit_test(a_scaled_job_wants_no_push),
        cmocka_unit_test(a_scaled_job_holds_nothing),
        cmocka_unit_test(without_a_gradual_rollout_a_change_of_a_scaled_job_deletes_jobs),
        cmocka_unit_test(metadata_has_a_limit_of_keys),
        cmocka_unit_test(credentials_that_keda_does_not_forward_are_reported),
        cmocka_unit_test(what_a_server_refuses_of_a_moved_trigger_is_an_error),
        cmocka_unit_test(secrets_in_the_files_are_read),
        cmocka_unit_test(values_of_secrets_are_not_repeated),
        cmocka_unit_test(a_host_out_of_a_secret_says_what_is_counted),
        cmocka_unit_test(objects_of_a_cluster_wide_authentication_are_in_kedas_namespace),
        cmocka_unit_test(an_authentication_is_of_the_source_where_enable_tls_is_false),
        cmocka_unit_test(secrets_of_the_channel_to_the_server_are_checked),
        cmocka_unit_test(a_list_of_objects_may_share_anchors),
        cmocka_unit_test(invalid_yaml_is_reported_with_its_line),
        cmocka_unit_test(numbers_that_are_too_large_are_none),
        cmocka_unit_test(an_authentication_with_too_many_parameters_is_named),
        cmocka_unit_test(many_findings_are_sorted_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
