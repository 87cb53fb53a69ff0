#include "base/memory.h"
#include "manifest/fixture.h"
#include "manifest/migration/connection_keys.h"
#include "manifest/migration_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

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

/* The chart refuses a list with a name twice. */
static void a_connection_names_each_namespace_once(void **state)
{
    (void)state;
#define OBJECT(namespace)                                                                          \
    "kind: ScaledObject\nmetadata: {name: o" namespace "}\nspec:\n  triggers:\n"                   \
                                                       "  - {type: redis, metadata: {address: "    \
                                                       "'r:1', listName: x}, authenticationRef: "  \
                                                       "{name: a, "                                \
                                                       "kind: "                                    \
                                                       "ClusterTriggerAuthentication}}\n---\n"
#define CLUSTER_AUTHENTICATION                                                                     \
    "kind: ClusterTriggerAuthentication\nmetadata: {name: a}\n"                                    \
    "spec: {secretTargetRef: [{parameter: password, name: s, key: k}]}\n"
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {OBJECT(", namespace: shop") OBJECT(", namespace: billing") OBJECT(", namespace: shop")
             CLUSTER_AUTHENTICATION,
         "    passwordFile: k\n    namespaces: [billing, shop]\n"},
        {OBJECT(", namespace: shop") OBJECT("") CLUSTER_AUTHENTICATION,
         "    passwordFile: k\n    # a trigger names no namespace: without `namespaces` every team "
         "may use the connection\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(text_done) struct text written = {0};
        struct manifests manifests = manifests_of(cases[i].text, &findings);
        bool is_written =
            connection_keys_write(settings.scalers, &manifests, "jobs", &written, &error);
        manifests_done(&manifests);
        if (!is_written)
            fail_msg("%s", error_text(&error));
        if (!text_ends_with(written.bytes, cases[i].expected))
            fail_msg("%s", written.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_has_the_keys_of_its_triggers),
        cmocka_unit_test(a_connection_names_each_namespace_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
