#include "daemon/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const int64_t later_ms = RETRY_MS;

/* The log, while a test runs. */
static FILE *lines;
static int standard_error;

static int set_up(void **state)
{
    (void)state;
    lines = tmpfile();
    standard_error = dup(STDERR_FILENO);
    return lines != NULL && dup2(fileno(lines), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    fclose(lines);
    return 0;
}

static int times_logged(const char *words)
{
    char content[4096] = {0};
    int times = 0;
    assert_true(pread(fileno(lines), content, sizeof(content) - 1, 0) >= 0);
    for (const char *at = content; (at = strstr(at, words)) != NULL; at += strlen(words))
        times++;
    return times;
}

static void fail_at(struct retry *retry, int64_t now_ms, const char *why)
{
    struct error error = {0};
    error_invalid(&error, "%s", why);
    retry_failed(retry, &error, "all stays", now_ms + later_ms);
    error_done(&error);
}

static void only_failed_attempts_are_due_again(void **state)
{
    (void)state;
    struct retry retry = {0};
    assert_false(retry_is_due(&retry, false, 1));
    assert_true(retry_is_due(&retry, true, 1));
    fail_at(&retry, 1, "no descriptor");
    assert_false(retry_is_due(&retry, false, later_ms));
    assert_true(retry_is_due(&retry, false, 1 + later_ms));
    fail_at(&retry, 1 + later_ms, "no descriptor");
    assert_false(retry_is_due(&retry, false, 2 * later_ms));
    assert_true(retry_is_due(&retry, false, 1 + 2 * later_ms));
    retry_done(&retry);
    assert_false(retry_is_due(&retry, false, 10 * later_ms));
}

static void a_reason_is_logged_once_until_it_is_another_or_something_is_new(void **state)
{
    (void)state;
    struct retry retry = {0};
    for (int64_t now_ms = 1; now_ms < 4 * later_ms; now_ms += later_ms)
        fail_at(&retry, now_ms, "no descriptor");
    assert_int_equal(times_logged("no descriptor; all stays"), 1);
    fail_at(&retry, 1, "not YAML");
    fail_at(&retry, 1, "no descriptor");
    assert_int_equal(times_logged("not YAML"), 1);
    assert_int_equal(times_logged("no descriptor"), 2);
    retry_is_due(&retry, true, 1);
    fail_at(&retry, 1, "no descriptor");
    assert_int_equal(times_logged("no descriptor"), 3);
    retry_done(&retry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_failed_attempts_are_due_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_reason_is_logged_once_until_it_is_another_or_something_is_new, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
