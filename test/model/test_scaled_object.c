#include "base/memory.h"
#include "model/scaled_object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const char everything[] =
    "apiVersion: v1\n"
    "kind: ConfigMap\n"
    "---\n"
    "apiVersion: keda.sh/v1alpha1\n"
    "kind: ScaledObject\n"
    "metadata: {name: orders, namespace: shop}\n"
    "spec:\n"
    "  scaleTargetRef: {name: worker}\n"
    "  pollingInterval: 10\n"
    "  cooldownPeriod: 60\n"
    "  initialCooldownPeriod: 120\n"
    "  idleReplicaCount: 0\n"
    "  minReplicaCount: 2\n"
    "  maxReplicaCount: 50\n"
    "  fallback: {failureThreshold: 3, replicas: 6, behavior: currentReplicasIfHigher}\n"
    "  advanced:\n"
    "    horizontalPodAutoscalerConfig:\n"
    "      behavior:\n"
    "        scaleUp:\n"
    "          tolerance: 50m\n"
    "          stabilizationWindowSeconds: 30\n"
    "          selectPolicy: Min\n"
    "          policies:\n"
    "            - {type: Pods, value: 2, periodSeconds: 30}\n"
    "            - {type: Percent, value: 50, periodSeconds: 60}\n"
    "        scaleDown: {selectPolicy: Disabled, tolerance: 0.2}\n"
    "  triggers:\n"
    "    - type: cpu\n"
    "      metadata: {value: '60'}\n"
    "    - type: external-push\n"
    "      name: queue\n"
    "      metadata: {scalerAddress: 'backlog:9090', scaler: rabbitmq, value: 5, flag: ~}\n"
    "    - type: external\n"
    "      metricType: Value\n"
    "      metadata: {scalerAddress: 'backlog:9090', scaler: redis}\n";

static bool parse(const char *text, struct scaled_objects *ret_objects, struct error *error)
{
    struct yaml_forest forest;
    if (!yaml_forest_parse(text, strlen(text), "so.yaml", &forest, error))
        return false;
    bool good = scaled_objects_read(&forest, "so.yaml", ret_objects, error);
    yaml_forest_done(&forest);
    return good;
}

static struct scaled_objects parsed(const char *text)
{
    _cleanup_(error_done) struct error error = {0};
    struct scaled_objects objects = {0};
    if (!parse(text, &objects, &error))
        fail_msg("%s", error_text(&error));
    return objects;
}

static void the_spec_is_read(void **state)
{
    (void)state;
    struct scaled_objects objects = parsed(everything);
    assert_int_equal(objects.count, 1);
    const struct scaled_object *object = &objects.items[0];
    const struct model_settings *settings = &object->settings;
    assert_string_equal(object->name, "orders");
    assert_string_equal(object->namespace, "shop");
    assert_int_equal(settings->polling_ms, 10000);
    assert_int_equal(settings->cooldown_ms, 60000);
    assert_int_equal(settings->initial_cooldown_ms, 120000);
    assert_int_equal(settings->idle_replicas, 0);
    assert_int_equal(settings->min_replicas, 2);
    assert_int_equal(settings->hpa.max_replicas, 50);
    assert_int_equal(settings->fallback.behavior, MODEL_FALLBACK_CURRENT_IF_HIGHER);
    assert_int_equal(settings->fallback.failure_threshold, 3);
    assert_int_equal(settings->fallback.replicas, 6);
    scaled_objects_done(&objects);
}

static void the_behavior_is_read(void **state)
{
    (void)state;
    struct scaled_objects objects = parsed(everything);
    const struct hpa_settings *hpa = &objects.items[0].settings.hpa;
    assert_true(hpa->has_behavior);
    assert_true(hpa->up.tolerance == 0.05);
    assert_int_equal(hpa->up.window_ms, 30000);
    assert_int_equal(hpa->up.select, HPA_SELECT_MIN);
    assert_int_equal(hpa->up.policy_count, 2);
    assert_int_equal(hpa->up.policies[0].type, HPA_PODS);
    assert_int_equal(hpa->up.policies[1].type, HPA_PERCENT);
    assert_int_equal(hpa->up.policies[1].value, 50);
    assert_int_equal(hpa->up.policies[1].period_ms, 60000);
    /* What is not said is Kubernetes' default. */
    assert_int_equal(hpa->down.select, HPA_SELECT_DISABLED);
    assert_int_equal(hpa->down.window_ms, 300000);
    assert_int_equal(hpa->down.policy_count, 1);
    scaled_objects_done(&objects);
}

static void the_triggers_are_read(void **state)
{
    (void)state;
    struct scaled_objects objects = parsed(everything);
    const struct scaled_object *object = &objects.items[0];
    assert_int_equal(object->trigger_count, 2);
    assert_int_equal(object->settings.trigger_count, 2);
    assert_int_equal(object->left_out, 1);
    assert_string_equal(object->triggers[0].type, "external-push");
    assert_string_equal(object->triggers[0].name, "queue");
    assert_string_equal(scaled_object_metadata(&object->triggers[0], "value"), "5");
    assert_null(scaled_object_metadata(&object->triggers[0], "other"));
    assert_int_equal(object->settings.types[0], HPA_AVERAGE_VALUE);
    assert_int_equal(object->settings.types[1], HPA_VALUE);
    scaled_objects_done(&objects);
}

static const char minimal[] = "kind: ScaledObject\n"
                              "metadata: {name: a}\n"
                              "spec:\n"
                              "  triggers: [{type: external}]\n";

static void missing_settings_are_the_default(void **state)
{
    (void)state;
    struct scaled_objects objects = parsed(minimal);
    const struct model_settings expected = model_default_settings();
    assert_string_equal(objects.items[0].namespace, "default");
    assert_memory_equal(&objects.items[0].settings, &expected, sizeof(expected));
    scaled_objects_done(&objects);
}

static void a_list_has_objects_too(void **state)
{
    (void)state;
    struct scaled_objects objects = parsed(
        "kind: List\n"
        "items:\n"
        "  - {kind: Secret}\n"
        "  - &one {kind: ScaledObject, metadata: {name: a}, spec: {triggers: [{type: external}]}}\n"
        "  - *one\n");
    assert_int_equal(objects.count, 2);
    scaled_objects_done(&objects);
}

static void an_empty_behavior_is_one(void **state)
{
    (void)state;
    struct scaled_objects objects =
        parsed("kind: ScaledObject\n"
               "metadata: {name: a}\n"
               "spec:\n"
               "  advanced: {horizontalPodAutoscalerConfig: {behavior: {}}}\n"
               "  triggers: [{type: external}]\n");
    assert_true(objects.items[0].settings.hpa.has_behavior);
    scaled_objects_done(&objects);
}

static void a_mistake_names_its_line(void **state)
{
    (void)state;
#define OBJECT "kind: ScaledObject\nmetadata: {name: a}\nspec:\n  triggers: [{type: external}]\n"
    static const char *const table[][2] = {
        {"kind: ConfigMap\n", "so.yaml: no ScaledObject in it"},
        {"kind: ScaledObject\nspec: {}\n", "so.yaml:1: a ScaledObject must be"},
        {OBJECT "  pollingInterval: soon\n", "so.yaml:5: pollingInterval must be a whole number"},
        {OBJECT "  pollingInterval: 0\n", "so.yaml:4: pollingInterval must be at least 1"},
        {OBJECT "  maxReplicaCount: -1\n", "so.yaml:5: maxReplicaCount must be a whole number"},
        {OBJECT "  minReplicaCount: 200\n", "minReplicaCount must be at most maxReplicaCount"},
        {OBJECT "  idleReplicaCount: 0\n", "idleReplicaCount must be less than minReplicaCount"},
        {OBJECT "  minReplicaCount: 3\n  idleReplicaCount: 3\n",
         "idleReplicaCount must be less than minReplicaCount"},
        {OBJECT "  fallback: {behavior: never}\n", "so.yaml:5: behavior must be one of static, "},
        {OBJECT "  advanced: {scalingModifiers: {formula: a}}\n",
         "so.yaml:5: scalingModifiers are not part of the model"},
        {OBJECT "  advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n"
                "        scaleUp: {policies: [{type: Pods, value: 1}]}\n",
         "so.yaml:8: a policy must be type, value and periodSeconds"},
        {"kind: ScaledObject\nmetadata: {name: a}\nspec:\n  triggers: []\n", "so.yaml:4: triggers"},
        {"kind: ScaledObject\nmetadata: {name: a}\nspec:\n  triggers: [{type: cpu}]\n",
         "so.yaml:4: triggers must be more than cpu and memory"},
        {"kind: [\n", "not YAML"},
        {"a: &a [*a]\n", "so.yaml:1: lists and maps are nested more than 64 deep"},
    };
#undef OBJECT
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct scaled_objects objects = {0};
        assert_false(parse(table[i][0], &objects, &error));
        if (strstr(error_text(&error), table[i][1]) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", table[i][1], error_text(&error));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_spec_is_read),
        cmocka_unit_test(the_behavior_is_read),
        cmocka_unit_test(the_triggers_are_read),
        cmocka_unit_test(missing_settings_are_the_default),
        cmocka_unit_test(a_list_has_objects_too),
        cmocka_unit_test(an_empty_behavior_is_one),
        cmocka_unit_test(a_mistake_names_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
