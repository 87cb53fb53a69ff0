/* When the Kubernetes API as a whole is taken to fail, and how long it is left alone. */
#include "kubernetes/informer/api_health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MAX = 32, LONGEST_MS = 8000 * 3 / 2 };

static const struct error failure = {ERROR_UNAVAILABLE, (char *)"no answer"};

static void it_fails_until_it_answers(void **state)
{
    (void)state;
    struct api_health health = {0};
    const int64_t now_ms = 1000;
    assert_false(api_health_is_failing(&health));
    assert_true(api_health_fail(&health, &failure, 0, now_ms));
    assert_true(api_health_is_failing(&health));
    assert_true(health.resume_ms > now_ms);
    assert_true(api_health_answer(&health, health.resume_ms));
    assert_false(api_health_answer(&health, health.resume_ms));
    assert_false(api_health_is_failing(&health));
    api_health_done(&health);
}

static void requests_that_fail_together_are_one_failure(void **state)
{
    (void)state;
    struct api_health health = {0};
    assert_true(api_health_fail(&health, &failure, 0, 1000));
    int64_t resume_ms = health.resume_ms;
    for (int i = 0; i < MAX; i++)
        assert_false(api_health_fail(&health, &failure, 0, 1001));
    assert_int_equal(health.resume_ms, resume_ms);
    api_health_done(&health);
}

static void it_is_left_alone_for_longer_each_time_and_as_long_as_it_wants(void **state)
{
    (void)state;
    struct api_health health = {0};
    int64_t now_ms = 1000;
    int64_t backoff_ms = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(api_health_fail(&health, &failure, 0, now_ms));
        assert_true(health.backoff.wait_ms >= backoff_ms);
        backoff_ms = health.backoff.wait_ms;
        assert_in_range(health.resume_ms - now_ms, backoff_ms, LONGEST_MS);
        now_ms = health.resume_ms;
    }
    assert_true(api_health_fail(&health, &failure, 60000, now_ms));
    assert_int_equal(health.resume_ms, now_ms + 60000);
    api_health_done(&health);
}

static void one_that_is_refused_while_others_are_answered_is_refused_alone(void **state)
{
    (void)state;
    struct api_health health = {0};
    int64_t refused_ms = 0;
    api_health_answer(&health, 900);
    assert_false(api_health_is_refused_alone(&health, &refused_ms, 1000));
    assert_false(api_health_is_refused_alone(&health, &refused_ms, 2000));
    api_health_answer(&health, 2500);
    assert_true(api_health_is_refused_alone(&health, &refused_ms, 3000));
    api_health_done(&health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fails_until_it_answers),
        cmocka_unit_test(requests_that_fail_together_are_one_failure),
        cmocka_unit_test(it_is_left_alone_for_longer_each_time_and_as_long_as_it_wants),
        cmocka_unit_test(one_that_is_refused_while_others_are_answered_is_refused_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
