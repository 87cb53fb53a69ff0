/* What `backlog check` finds in ScaledObjects and ScaledJobs beside their triggers. */
#include "base/memory.h"
#include "base/text.h"
#include "manifest/check_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

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

static void a_policy_that_the_first_message_activates_warns_of_activation_keys(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *words; /* NULL: nothing is found */
    } cases[] = {
        {"activationLagCount: \"9\", scaleDownWhenIdle: 30s",
         "activationLagCount has no effect: with scaleDownWhenIdle the first message"},
        {"activationLagCount: \"9\", maxWait: 60s, ratePerReplica: \"1\"",
         "activationLagCount has no effect: with maxWait the first message"},
        {"activationLagCount: \"0\", scaleDownWhenIdle: 30s", NULL},
        {"activationLagCount: \"9\", inFlightPerReplica: \"1\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *text = text_format(
            HEAD
            "spec:\n"
            "  triggers:\n"
            "    - {type: external-push, metadata: {%s, scalerAddress: b:1, scaler: "
            "redis-streams, address: \"r:1\", stream: x, consumerGroup: g, lagCount: \"5\"}}\n",
            cases[i].keys);
        struct findings findings = checked(text, NULL);
        if (cases[i].words == NULL)
            assert_no_finding(&findings, "has no effect");
        else
            assert_finding(&findings, FINDING_WARNING, 6, cases[i].words);
        findings_done(&findings);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_the_spec_are_checked),
        cmocka_unit_test(max_replicas_are_read_in_one_place),
        cmocka_unit_test(a_policy_is_not_compared_with_what_is_no_number),
        cmocka_unit_test(settings_that_backlog_cannot_see_are_compared),
        cmocka_unit_test(the_windows_of_both_are_compared),
        cmocka_unit_test(a_policy_warns_of_metric_type_value),
        cmocka_unit_test(a_policy_that_the_first_message_activates_warns_of_activation_keys),
        cmocka_unit_test(a_scaled_job_wants_no_push),
        cmocka_unit_test(a_scaled_job_holds_nothing),
        cmocka_unit_test(without_a_gradual_rollout_a_change_of_a_scaled_job_deletes_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
