/* What migrating says beside the edits. */
#include "base/memory.h"
#include "manifest/builtin.h"
#include "manifest/migration_fixture.h"
#include "scale/connections/own_credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

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
    if (!builtin_is_read(scaler, row, key)) /* it does not move (test_keda_keys.c) */
        return 0;
    if (migrating_warns(scaler, key) != refuses)
        fail_msg("%s, %s: the server %s it", scaler->name, key, refuses ? "refuses" : "admits");
    return refuses;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_server_needs_beside_it_is_a_warning),
        cmocka_unit_test(of_variables_it_warns_where_the_server_refuses),
        cmocka_unit_test(a_scaled_job_is_to_hold_nothing),
        cmocka_unit_test(each_scaled_job_whose_running_jobs_keda_deletes_is_named_once),
        cmocka_unit_test(parts_of_a_scaled_job_are_no_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
