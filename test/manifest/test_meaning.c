/* What a file must say before and after its triggers have moved. */
#include "base/memory.h"
#include "manifest/fixture.h"
#include "manifest/migration/meaning.h"
#include "manifest/migration_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct manifests read_text(const char *text)
{
    _cleanup_(findings_done) struct findings findings = {0};
    struct manifests manifests = {.reads_templates = true};
    manifests_add_text(&manifests, "f.yaml", text, strlen(text), &findings);
    assert_int_equal(findings.count, 0);
    return manifests;
}

static bool is_kept(const struct migration_settings *chosen, const char *before, const char *after)
{
    struct manifests old = read_text(before), new = read_text(after);
    bool is_kept = meaning_is_kept(chosen, &(struct meaning_text){&old, old.files[0]},
                                   &(struct meaning_text){&new, new.files[0]});
    manifests_done(&old);
    manifests_done(&new);
    return is_kept;
}

/* The same edits, with one word more or less. */
static void assert_notices(const struct migration_settings *chosen, const char *before,
                           const char *after, const char *const changes[][2], size_t count)
{
    if (!is_kept(chosen, before, after))
        fail_msg("not kept:\n%s", after);
    for (size_t i = 0; i < count; i++) {
        const char *at = strstr(after, changes[i][0]);
        assert_non_null(at);
        _cleanup_(memory_free) char *other = text_format("%.*s%s%s", (int)(at - after), after,
                                                         changes[i][1], at + strlen(changes[i][0]));
        if (is_kept(chosen, before, other))
            fail_msg("%s in place of %s is not noticed", changes[i][1], changes[i][0]);
    }
}

#define SPEC HEAD "  maxReplicaCount: 3 # at most\n  triggers:\n"
#define OTHERS                                                                                     \
    "  - {type: cron, metadata: {start: a}}\n"                                                     \
    "  - {type: external, metadata: {scalerAddress: 'other:1', key: x}}\n---\n"                    \
    "kind: ConfigMap\ndata: {x: y}\n"

static const struct migration_settings with_tls = {.scalers = scaler_list,
                                                   .scaler_address = "b:9090",
                                                   .type = "external-push",
                                                   .authentication = "backlog",
                                                   .is_cluster_wide = true,
                                                   .is_readdressed = true};
static const struct migration_settings to_address = {.scalers = scaler_list,
                                                     .scaler_address = "b:9090",
                                                     .type = "external-push",
                                                     .is_readdressed = true};

static const char own[] =
    SPEC "  - type: redis\n    name: jobs\n    metadata: {address: 'r:1', enableTLS: 'true', "
         "listName: x}\n    authenticationRef: {name: r}\n" OTHERS;
static const char moved[] =
    SPEC "  - type: external-push\n    name: jobs\n    metadata: {scalerAddress: 'b:9090', "
         "scaler: redis, address: 'r:1', brokerTls: 'true', listName: x}\n"
         "    authenticationRef: {name: r}\n" OTHERS;
static const char moved_with_tls[] =
    SPEC "  - type: external-push\n    name: jobs\n    metadata: {scalerAddress: 'b:9090', "
         "enableTLS: \"true\", scaler: redis, triggerAuthentication: r, address: 'r:1', "
         "brokerTls: 'true', listName: x}\n"
         "    authenticationRef: {name: backlog, kind: ClusterTriggerAuthentication}\n" OTHERS;
static const char moved_elsewhere[] =
    SPEC "  - type: external-push\n    name: jobs\n    metadata: {scalerAddress: 'a:9090', "
         "scaler: redis, unsafeSsl: 'true', address: 'r:1', brokerTls: 'true', listName: x}\n"
         "    authenticationRef: {name: r}\n" OTHERS;

static void the_way_there_keeps_all_else(void **state)
{
    (void)state;
    static const char *const plain[][2] = {
        {"maxReplicaCount: 3", "maxReplicaCount: 4"},
        {"maxReplicaCount: 3", "maxReplicaCount: 3\n  x: y"},
        {"  maxReplicaCount: 3 # at most\n", ""},
        {"name: jobs", "name: job"},
        {"    name: jobs\n", ""},
        {"external-push", "external"},
        {"b:9090", "b:9091"},
        {"scaler: redis", "scaler: redis-streams"},
        {"scaler: redis, ", ""},
        {"scaler: redis", "scaler: redis, enableTLS: 'true'"},
        {"scaler: redis", "scaler: redis, unsafeSsl: 'true'"},
        {"scaler: redis", "scaler: redis, triggerAuthentication: r"},
        {"brokerTls", "enableTLS"},
        {"brokerTls: 'true', ", ""},
        {"listName: x", "listName: y"},
        {"listName: x", "listName: x, databaseIndex: '1'"},
        {", listName: x", ""},
        {"{name: r}", "{name: q}"},
        {"{name: r}", "{name: r, kind: ClusterTriggerAuthentication}"},
        {"    authenticationRef: {name: r}\n", ""},
        {"start: a", "start: b"},
        {"other:1", "b:9090"},
        {"x: y", "x: z"},
        {"---\nkind: ConfigMap\ndata: {x: y}\n", ""},
    };
    static const char *const tls[][2] = {
        {"enableTLS: \"true\"", "enableTLS: \"false\""},
        {"enableTLS: \"true\", ", ""},
        {"triggerAuthentication: r", "triggerAuthentication: q"},
        {"triggerAuthentication: r, ", ""},
        {"triggerAuthentication: r", "clusterTriggerAuthentication: r"},
        {"{name: backlog", "{name: r"},
        {", kind: ClusterTriggerAuthentication", ""},
        {"listName: x", "listName: y"},
    };
    assert_notices(&to_address, own, moved, plain, ARRAY_LENGTH(plain));
    assert_notices(&with_tls, own, moved_with_tls, tls, ARRAY_LENGTH(tls));
    assert_true(is_kept(&to_address, own, own));
    assert_false(is_kept(&to_address, own, moved_with_tls));
    assert_false(is_kept(&with_tls, own, moved));
    assert_false(is_kept(&to_address, moved, own));
}

static void the_way_to_another_server_keeps_all_else(void **state)
{
    (void)state;
    static const char *const plain[][2] = {
        {"maxReplicaCount: 3", "maxReplicaCount: 4"},
        {"b:9090", "c:9090"},
        {"scaler: redis", "scaler: redis-streams"},
        {"external-push", "external"},
        {"unsafeSsl: 'true', ", ""},
        {"brokerTls", "enableTLS"},
        {"listName: x", "listName: y"},
        {"name: jobs", "name: job"},
        {"{name: r}", "{name: q}"},
        {"other:1", "b:9090"},
        {"scaler: redis", "scaler: redis, enableTLS: 'true'"},
    };
    static const char *const tls[][2] = {
        {"enableTLS: 'true', ", ""},
        {"triggerAuthentication: r, ", ""},
        {"triggerAuthentication: r", "triggerAuthentication: q"},
        {"{name: backlog", "{name: r"},
        {"unsafeSsl: 'true', ", ""},
    };
    assert_notices(
        &to_address, moved_elsewhere,
        SPEC "  - type: external-push\n    name: jobs\n    metadata: {scalerAddress: 'b:9090', "
             "scaler: redis, unsafeSsl: 'true', address: 'r:1', brokerTls: 'true', listName: x}\n"
             "    authenticationRef: {name: r}\n" OTHERS,
        plain, ARRAY_LENGTH(plain));
    assert_notices(
        &with_tls, moved_elsewhere,
        SPEC "  - type: external-push\n    name: jobs\n    metadata: {scalerAddress: 'b:9090', "
             "enableTLS: 'true', scaler: redis, triggerAuthentication: r, unsafeSsl: 'true', "
             "address: 'r:1', brokerTls: 'true', listName: x}\n    authenticationRef: {name: "
             "backlog, kind: ClusterTriggerAuthentication}\n" OTHERS,
        tls, ARRAY_LENGTH(tls));
}

static void the_way_back_keeps_all_else(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"maxReplicaCount: 3", "maxReplicaCount: 4"},
        {"type: redis", "type: redis-streams"},
        {"name: jobs", "name: job"},
        {"enableTLS", "brokerTls"},
        {"enableTLS: 'true', ", ""},
        {"listName: x", "listName: y"},
        {"listName: x", "listName: x, scaler: redis"},
        {"{name: r}", "{name: q}"},
        {"{name: r}", "{name: r, kind: ClusterTriggerAuthentication}"},
        {"other:1", "b:9090"},
    };
    struct migration_settings back = with_tls;
    back.is_back = true;
    assert_notices(&back, moved_with_tls, own, changes, ARRAY_LENGTH(changes));
    back.authentication = NULL;
    assert_notices(&back, moved, own, changes, ARRAY_LENGTH(changes));
    assert_false(is_kept(&back, own, moved));
}

/* A block of a kustomization is a text of its file, and YAML of its own. */
static void a_patch_keeps_all_else(void **state)
{
    (void)state;
#define PATCH(type, keys)                                                                          \
    "kind: Kustomization\nnamePrefix: a\npatches:\n- target: {kind: ScaledJob}\n  patch: |\n"      \
    "    - op: add\n      path: /spec/triggers/0\n      value: {type: " type ", metadata: {" keys  \
    "address: 'r:1', listName: x}}\n    - {op: remove, path: /spec/x}\n"                           \
    "- patch: |\n    kind: Deployment\n"
    static const char *const changes[][2] = {
        {"namePrefix: a", "namePrefix: b"},
        {"op: add", "op: replace"},
        {"triggers/0", "triggers/1"},
        {"type: external", "type: external-push"},
        {"listName: x", "listName: y"},
        {"path: /spec/x", "path: /spec/y"},
        {"    - {op: remove, path: /spec/x}\n", ""},
        {"kind: Deployment", "kind: DaemonSet"},
        {"kind: ScaledJob", "kind: ScaledObject"},
    };
    assert_notices(&to_address, PATCH("redis", ""),
                   PATCH("external", "scalerAddress: b:9090, scaler: redis, "), changes,
                   ARRAY_LENGTH(changes));
#undef PATCH
}

/* Of a trigger that has moved before, at the server. */
static void another_type_keeps_all_else(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"type: external\n", "type: redis\n"},
        {"name: jobs", "name: job"},
        {"b:9090", "a:9090"},
        {"listName: x", "listName: y"},
        {"{name: r}", "{name: q}"},
        {"maxReplicaCount: 3", "maxReplicaCount: 4"},
    };
    _cleanup_(memory_free) char *retyped =
        text_format("%.*s%s", (int)(strstr(moved, "-push") - moved), moved,
                    strstr(moved, "-push") + strlen("-push"));
    struct migration_settings chosen = to_address;
    chosen.type = "external";
    chosen.is_readdressed = false;
    chosen.is_retyped = true;
    assert_notices(&chosen, moved, retyped, changes, ARRAY_LENGTH(changes));
    chosen.is_retyped = false;
    assert_false(is_kept(&chosen, moved, retyped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_there_keeps_all_else),
        cmocka_unit_test(the_way_to_another_server_keeps_all_else),
        cmocka_unit_test(the_way_back_keeps_all_else),
        cmocka_unit_test(a_patch_keeps_all_else),
        cmocka_unit_test(another_type_keeps_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
