#include "base/memory.h"
#include "model/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { NEVER = -1 };

static const struct model_answer failed = {.has_target = true, .target = 1, .is_failed = true};

static struct model_answer answer(double value)
{
    return (struct model_answer){
        .has_target = true, .target = 1, .value = value, .is_active = value > 0};
}

/* Runs up to and without `until_s`, second by second, a poll before a sync. Returns the first
 * second in which there were `wanted` replicas, or NEVER; where `wanted` is NEVER, NEVER. */
static int64_t run(struct model *model, const struct model_answer *answers, int64_t from_s,
                   int64_t until_s, int64_t wanted)
{
    for (int64_t now_s = from_s; now_s < until_s; now_s++) {
        if (model->next_poll_ms <= now_s * 1000)
            model_poll(model, answers, now_s * 1000);
        if (model->next_sync_ms <= now_s * 1000)
            model_sync(model, answers, now_s * 1000);
        model->ready_pods = model->replicas;
        if (model->replicas == wanted)
            return now_s;
    }
    return NEVER;
}

static int64_t run_value(struct model *model, double value, int64_t from_s, int64_t until_s,
                         int64_t wanted)
{
    const struct model_answer answers[] = {answer(value), answer(value)};
    return run(model, answers, from_s, until_s, wanted);
}

static void the_ramp_is_1_5_10_20_40_80_100(void **state)
{
    (void)state;
    static const int64_t ramp[] = {0, 1, 5, 10, 20, 40, 80, 100};
    struct model_settings settings = model_default_settings();
    settings.hpa.has_behavior = true;
    struct model model;
    model_init(&model, &settings, 0, 0);
    model.next_sync_ms = 5000;
    size_t step = 0;
    for (int64_t now_s = 0; now_s < 300; now_s++) {
        run_value(&model, now_s < 30 ? 0 : 1000, now_s, now_s + 1, NEVER);
        if (model.replicas != ramp[step])
            assert_int_equal(model.replicas, ramp[++step]);
    }
    assert_int_equal(step, ARRAY_LENGTH(ramp) - 1);
    model_done(&model);
}

/* 0 at the first poll at which the cooldown is over, wherever between two polls the work ended. */
static void it_is_zero_at_the_first_poll_after_the_cooldown(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    struct model model;
    model_init(&model, &settings, 0, 0);
    assert_int_equal(run_value(&model, 1, 0, 100, 1), 0);
    run_value(&model, 1, 1, 100, NEVER); /* the last active poll is that of second 90 */
    assert_int_equal(run_value(&model, 0, 100, 1000, 0), 390);
    model_done(&model);

    settings.cooldown_ms = 295000;
    model_init(&model, &settings, 0, 0);
    run_value(&model, 1, 0, 100, NEVER);
    assert_int_equal(run_value(&model, 0, 100, 1000, 0), 390);
    model_done(&model);
}

static void the_initial_cooldown_counts_from_creation(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    struct model model;
    model_init(&model, &settings, 3, 0);
    assert_int_equal(run_value(&model, 0, 0, 100, 0), 0);
    model_done(&model);

    settings.initial_cooldown_ms = 100000;
    model_init(&model, &settings, 3, 0);
    assert_int_equal(run_value(&model, 0, 0, 1000, 0), 120);
    model_done(&model);
}

static void activation_goes_to_the_minimum(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    settings.min_replicas = 3;
    struct model model;
    model_init(&model, &settings, 0, 0);
    const struct model_answer none = answer(0);
    struct model_decision decision = model_poll(&model, &none, 0);
    assert_int_equal(decision.reason, MODEL_TO_MIN);
    assert_int_equal(decision.replicas, 3);
    assert_int_equal(model.settings.hpa.min_replicas, 3);
    assert_int_equal(run_value(&model, 0, 1, 3600, 0), NEVER); /* and never below it */
    model_done(&model);
}

static void idle_replicas_are_below_the_minimum(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    settings.idle_replicas = 1;
    settings.min_replicas = 4;
    struct model model;
    model_init(&model, &settings, 1, 0);
    const struct model_answer none = answer(0), some = answer(2);
    assert_int_equal(model_poll(&model, &none, 0).reason, MODEL_IDLE);
    assert_int_equal(model_poll(&model, &some, 30000).replicas, 4);
    assert_int_equal(model_poll(&model, &none, 60000).reason, MODEL_COOLING_DOWN);
    struct model_decision decision = model_poll(&model, &none, 330000);
    assert_int_equal(decision.reason, MODEL_DEACTIVATED);
    assert_int_equal(decision.replicas, 1);
    model_done(&model);
}

/* As KEDA has it: the HPA's minimum is the minReplicaCount, so an idle replica count of 1 does not
 * last (KEDA allows 0 alone). */
static void the_hpa_lifts_an_idle_count_above_zero_to_its_minimum(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    settings.idle_replicas = 1;
    settings.min_replicas = 4;
    struct model model;
    model_init(&model, &settings, 1, 0);
    const struct model_answer none = answer(0);
    struct model_decision decision = model_sync(&model, &none, 0);
    assert_int_equal(decision.hpa.reason, HPA_BELOW_MIN);
    assert_int_equal(decision.replicas, 4);
    model_done(&model);
}

static void a_push_activates_at_once_and_puts_the_cooldown_off(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    struct model model;
    model_init(&model, &settings, 0, 0);
    run_value(&model, 0, 0, 10, NEVER);
    struct model_decision decision = model_push(&model, 10000);
    assert_int_equal(decision.reason, MODEL_PUSHED);
    assert_int_equal(decision.replicas, 1);
    run_value(&model, 0, 10, 200, NEVER);
    model_push(&model, 200000);
    assert_int_equal(run_value(&model, 0, 200, 1000, 0), 510);
    model_done(&model);
}

static void an_error_holds_without_fallback(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    struct model model;
    model_init(&model, &settings, 0, 0);
    run_value(&model, 8, 0, 100, NEVER);
    assert_int_equal(model.replicas, 8);
    for (int64_t now_s = 100; now_s < 3600; now_s++) {
        run(&model, &failed, now_s, now_s + 1, NEVER);
        assert_int_equal(model.replicas, 8);
    }
    model_done(&model);

    model_init(&model, &settings, 0, 0);
    assert_int_equal(run(&model, &failed, 0, 3600, 1), NEVER);
    model_done(&model);
}

/* A held value is a metric like another: the HPA goes down to what it asks for. */
static void a_held_value_scales_down_to_itself(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    struct model model;
    model_init(&model, &settings, 0, 0);
    run_value(&model, 8, 0, 100, NEVER);
    assert_int_equal(run_value(&model, 1, 100, 1000, 1), 390);
    model_done(&model);
}

static void fallback_engages_after_its_threshold(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    settings.fallback.behavior = MODEL_FALLBACK_STATIC;
    settings.fallback.failure_threshold = 3;
    settings.fallback.replicas = 6;
    struct model model;

    /* Idle: the fourth failed poll activates, and the HPA goes to 6. */
    model_init(&model, &settings, 0, 0);
    model.next_sync_ms = 5000;
    assert_int_equal(run(&model, &failed, 0, 300, 1), 90);
    assert_int_equal(run(&model, &failed, 91, 300, 4), 95);
    assert_int_equal(run(&model, &failed, 96, 300, 6), 110);
    model_done(&model);

    /* Busy: polls and syncs count alike, and 8 become 6 when the window is over. */
    model_init(&model, &settings, 0, 0);
    run_value(&model, 8, 0, 100, NEVER);
    assert_int_equal(model.replicas, 8);
    assert_int_equal(run(&model, &failed, 100, 1000, 6), 390);
    assert_true(run_value(&model, 6, 391, 1000, 5) == NEVER);
    assert_int_equal(model.failures[0], 0);
    model_done(&model);
}

static void fallback_never_engages_without_a_target(void **state)
{
    (void)state;
    const struct model_answer no_target = {.is_failed = true};
    struct model_settings settings = model_default_settings();
    settings.fallback.behavior = MODEL_FALLBACK_STATIC;
    settings.fallback.replicas = 6;
    struct model model;
    model_init(&model, &settings, 0, 0);
    assert_int_equal(run(&model, &no_target, 0, 3600, 1), NEVER);
    model_done(&model);
}

static void fallback_of_zero_lets_an_error_scale_to_zero(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    settings.fallback.behavior = MODEL_FALLBACK_STATIC;
    settings.fallback.failure_threshold = 1000;
    struct model model;
    model_init(&model, &settings, 0, 0);
    run_value(&model, 8, 0, 100, NEVER);
    assert_int_equal(run(&model, &failed, 100, 1000, 0), 390);
    model_done(&model);
}

static int64_t fallback_from(int64_t replicas, enum model_fallback behavior,
                             enum hpa_target_type type, int64_t ready)
{
    struct model_settings settings = model_default_settings();
    settings.fallback.behavior = behavior;
    settings.fallback.replicas = 6;
    settings.types[0] = type;
    settings.hpa.has_behavior = true;
    settings.hpa.down.window_ms = 0;
    struct model model;
    model_init(&model, &settings, replicas, 0);
    model.ready_pods = ready;
    struct model_decision decision = model_sync(&model, &failed, 0);
    model_done(&model);
    return decision.replicas;
}

static void fallback_behaviors_choose_the_replicas(void **state)
{
    (void)state;
    static const struct {
        enum model_fallback behavior;
        int64_t from_4, from_9;
    } table[] = {
        {MODEL_FALLBACK_NONE, 4, 9},
        {MODEL_FALLBACK_STATIC, 6, 6},
        {MODEL_FALLBACK_CURRENT, 4, 9},
        {MODEL_FALLBACK_CURRENT_IF_HIGHER, 6, 9},
        {MODEL_FALLBACK_CURRENT_IF_LOWER, 4, 6},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        assert_int_equal(fallback_from(4, table[i].behavior, HPA_AVERAGE_VALUE, 4),
                         table[i].from_4);
        assert_int_equal(fallback_from(9, table[i].behavior, HPA_AVERAGE_VALUE, 9),
                         table[i].from_9);
        assert_int_equal(fallback_from(9, table[i].behavior, HPA_VALUE, 9), table[i].from_9);
    }
    assert_int_equal(fallback_from(4, MODEL_FALLBACK_STATIC, HPA_VALUE, 0), 4);
}

static void one_active_trigger_is_enough(void **state)
{
    (void)state;
    const struct model_answer one[] = {answer(0), answer(3)};
    struct model_settings settings = model_default_settings();
    settings.trigger_count = 2;
    struct model model;
    model_init(&model, &settings, 0, 0);
    assert_int_equal(run(&model, one, 0, 100, 3), 0);
    model_done(&model);
}

/* With another trigger in error the cooldown is not put off, and the HPA still goes up. */
static void an_active_trigger_beside_a_failed_one(void **state)
{
    (void)state;
    const struct model_answer mixed[] = {answer(5), failed};
    const struct model_answer fewer[] = {answer(1), failed};
    const struct model_answer none[] = {answer(0), answer(0)};
    struct model_settings settings = model_default_settings();
    settings.trigger_count = 2;
    struct model model;
    model_init(&model, &settings, 0, 0);
    assert_int_equal(run(&model, mixed, 0, 100, 5), 15);
    assert_int_equal(model_poll(&model, mixed, 100000).reason, MODEL_ACTIVE_WITH_ERROR);
    assert_int_equal(model.last_active_ms, 0);
    assert_int_equal(run(&model, fewer, 101, 2000, 1), NEVER);
    assert_int_equal(model_poll(&model, none, 2000000).replicas, 0);
    model_done(&model);
}

static void a_decision_says_why(void **state)
{
    (void)state;
    struct model_settings settings = model_default_settings();
    struct model model;
    const struct model_answer some = answer(37), none = answer(0);
    model_init(&model, &settings, 0, 0);
    struct model_decision decisions[] = {
        model_poll(&model, &some, 0),
        model_sync(&model, &some, 0),
        model_poll(&model, &none, 30000),
        model_poll(&model, &failed, 60000),
    };
    static const char *const texts[] = {
        "KEDA: activated",
        "HPA: 37 / 1 wants 37, limited by policy",
        "KEDA: cooling down, 270 s left",
        "KEDA: trigger failed, replicas held",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(memory_free) char *text = model_decision_text(&decisions[i], &some);
        assert_string_equal(text, texts[i]);
    }
    model_done(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ramp_is_1_5_10_20_40_80_100),
        cmocka_unit_test(it_is_zero_at_the_first_poll_after_the_cooldown),
        cmocka_unit_test(the_initial_cooldown_counts_from_creation),
        cmocka_unit_test(activation_goes_to_the_minimum),
        cmocka_unit_test(idle_replicas_are_below_the_minimum),
        cmocka_unit_test(the_hpa_lifts_an_idle_count_above_zero_to_its_minimum),
        cmocka_unit_test(a_push_activates_at_once_and_puts_the_cooldown_off),
        cmocka_unit_test(an_error_holds_without_fallback),
        cmocka_unit_test(a_held_value_scales_down_to_itself),
        cmocka_unit_test(fallback_engages_after_its_threshold),
        cmocka_unit_test(fallback_never_engages_without_a_target),
        cmocka_unit_test(fallback_of_zero_lets_an_error_scale_to_zero),
        cmocka_unit_test(fallback_behaviors_choose_the_replicas),
        cmocka_unit_test(one_active_trigger_is_enough),
        cmocka_unit_test(an_active_trigger_beside_a_failed_one),
        cmocka_unit_test(a_decision_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
