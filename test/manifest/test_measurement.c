#include "base/clock.h"
#include "manifest/fixture.h"
#include "manifest/measurement/measurement.h"
#include "measure/fake_scaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const char object[] =
    "kind: ScaledObject\nmetadata: {name: jobs, namespace: shop}\nspec:\n  triggers:\n"
    "  - {type: external, metadata: {scaler: fake, source: up, queueName: jobs}}\n";

struct rounds {
    struct findings findings;
    struct manifests manifests;
    struct measurement measurement;
    struct measurement_rounds *run;
};

static void rounds_begin(struct rounds *rounds, int64_t deadline_ms)
{
    const struct measurement_settings settings = {
        .scalers = fake_scalers, .namespace = "default", .deadline_ms = deadline_ms};
    fake_reset();
    *rounds = (struct rounds){0};
    rounds->manifests = manifests_of(object, &rounds->findings);
    rounds->run = measurement_begin(&settings, &rounds->manifests, &rounds->measurement);
}

static void rounds_done(struct rounds *rounds)
{
    measurement_end(rounds->run);
    measurement_done(&rounds->measurement);
    manifests_done(&rounds->manifests);
    findings_done(&rounds->findings);
}

static const struct model_answer *round_with(struct rounds *rounds, int messages)
{
    fake_set_queue("jobs", messages);
    for (int64_t now_ms = clock_now_ms(); clock_now_ms() == now_ms;)
        continue; /* the last reading was sent before this millisecond */
    measurement_round(rounds->run);
    return &rounds->measurement.items[0].triggers[0].answer;
}

/* Though a call at this moment would be answered from the reading of the round before. */
static void a_round_measures_what_is_there_since_it_began(void **state)
{
    (void)state;
    struct rounds rounds;
    rounds_begin(&rounds, (int64_t)10 * 1000);
    for (int messages = 1; messages < 6; messages++) {
        const struct model_answer *answer = round_with(&rounds, messages);
        assert_false(answer->is_failed);
        assert_true(answer->value == messages);
    }
    rounds_done(&rounds);
}

static void a_source_that_is_too_late_fails_its_round(void **state)
{
    (void)state;
    struct rounds rounds;
    rounds_begin(&rounds, 1500); /* before the query times out */
    assert_false(round_with(&rounds, 1)->is_failed);
    assert_true(round_with(&rounds, FAKE_HANGS)->is_failed);
    assert_string_equal(error_text(&rounds.measurement.items[0].triggers[0].error),
                        "the source has not answered in time");
    rounds_done(&rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_measures_what_is_there_since_it_began),
        cmocka_unit_test(a_source_that_is_too_late_fails_its_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
