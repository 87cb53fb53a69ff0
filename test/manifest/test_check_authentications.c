/* What `backlog check` finds in TriggerAuthentications and the Secrets that they name. */
#include "base/memory.h"
#include "base/text.h"
#include "manifest/authentication.h"
#include "manifest/check_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

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

/* As for KEDA: an empty name is no authentication, and one with a blank is no name. */
static void a_name_is_empty_or_has_blanks(void **state)
{
    (void)state;
    static const struct {
        const char *type, *ref, *object, *error; /* NULL: none */
    } table[] = {
        {"external", "\"\"", "s", NULL},
        {"external", "\" redis \"", "s", "\" redis \" is not the name of a TriggerAuthentication"},
        {"external", "redis", "\" s \"", "\" s \" is not the name of a Secret"},
        {"external", "redis", "\"\"", "\"\" is not the name of a Secret"},
        {"redis", "\"\"", "s", NULL},
        {"redis", "\" redis \"", "s", "\" redis \" is not the name of a TriggerAuthentication"},
        {"redis", "redis", "\" s \"", "\" s \" is not the name of a Secret"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        bool is_external = strcmp(table[i].type, "external") == 0;
        _cleanup_(memory_free) char *text =
            text_format(HEAD "spec:\n"
                             "  triggers:\n"
                             "    - type: %s\n"
                             "      metadata: {%saddress: 'r:1', listName: x}\n"
                             "      authenticationRef: {name: %s}\n"
                             "---\n"
                             "kind: TriggerAuthentication\n"
                             "metadata: {name: redis, namespace: shop}\n"
                             "spec: {secretTargetRef: [{parameter: password, name: %s, key: k}]}\n",
                        table[i].type, is_external ? "scalerAddress: 'b:1', scaler: redis, " : "",
                        table[i].ref, table[i].object);
        const struct check_settings settings = {.scalers = scaler_list, .has_kubernetes = true};
        struct findings findings = checked_with(&settings, text, NULL);
        size_t mistakes = findings.counts[FINDING_ERROR] + findings.counts[FINDING_WARNING];
        assert_no_finding(&findings, "in none of the files");
        if (mistakes != (table[i].error != NULL) ||
            (table[i].error != NULL && count_of(&findings, table[i].error) != 1))
            fail_msg("case %zu: %zu mistakes", i, mistakes);
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
        "      authenticationRef: {name: \"\"}\n",
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
        assert_int_equal(errors, i >= 3 ? 1 : 0);
        assert_int_equal(count_of(&findings, "only a server with kubernetes.enabled"), i < 2);
        findings_done(&findings);
        const struct check_settings settings = {.scalers = scaler_list, .has_kubernetes = true};
        findings = checked_with(&settings, text, NULL);
        assert_int_equal(count_of(&findings, "rabbit is in none of the files"), i < 3);
        findings_done(&findings);
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
        {"", "secretTargetRef: [" PASSWORD "], filePath: \"\"", NULL},
        {"", "oauth2: {clientId: me}", "redis uses oauth2, which Backlog does not have"},
        {"", "secretTargetRefs: [" PASSWORD "]", "redis uses secretTargetRefs, which Backlog does"},
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
        assert_int_equal(count_of(&findings, "sasl must be"), 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_refuses_names_of_an_authentication_that_are_none),
        cmocka_unit_test(a_name_is_empty_or_has_blanks),
        cmocka_unit_test(keys_of_an_authentication_are_not_missing),
        cmocka_unit_test(credentials_that_keda_does_not_forward_are_reported),
        cmocka_unit_test(what_a_server_refuses_of_a_moved_trigger_is_an_error),
        cmocka_unit_test(secrets_in_the_files_are_read),
        cmocka_unit_test(values_of_secrets_are_not_repeated),
        cmocka_unit_test(a_host_out_of_a_secret_says_what_is_counted),
        cmocka_unit_test(objects_of_a_cluster_wide_authentication_are_in_kedas_namespace),
        cmocka_unit_test(an_authentication_is_of_the_source_where_enable_tls_is_false),
        cmocka_unit_test(secrets_of_the_channel_to_the_server_are_checked),
        cmocka_unit_test(an_authentication_with_too_many_parameters_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
