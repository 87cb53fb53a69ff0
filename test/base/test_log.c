#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* What the log writes of the message, from its level on. */
static void assert_logged(const char *message, const char *expected)
{
    FILE *file = tmpfile();
    char line[256] = {0};
    int standard_error = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(standard_error >= 0);
    dup2(fileno(file), STDERR_FILENO);
    log_warning("%s", message);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    assert_true(pread(fileno(file), line, sizeof(line) - 1, 0) > 0);
    fclose(file);
    const char *found = strstr(line, "warning");
    assert_non_null(found);
    assert_string_equal(found, expected);
}

static void a_text_cannot_forge_a_line(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_PLAIN);
    assert_logged("a\nb\x1b[1m", "warning a\\x0ab\\x1b[1m\n");
    assert_logged("caf\xc3\xa9 \xff", "warning caf\xc3\xa9 \xef\xbf\xbd\n");
}

static void a_text_cannot_break_the_json(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_JSON);
    assert_logged("\"a\\\n\x7f", "warning\",\"message\":\"\\\"a\\\\\\u000a\\u007f\"}\n");
    assert_logged("\xc3\xa9\xc3", "warning\",\"message\":\"\xc3\xa9\xef\xbf\xbd\"}\n");
}

static void what_is_below_the_least_level_is_not_written(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    int standard_error = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(standard_error >= 0);
    log_init(LOG_ERROR, LOG_PLAIN);
    dup2(fileno(file), STDERR_FILENO);
    log_warning("quiet");
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    assert_int_equal(lseek(fileno(file), 0, SEEK_END), 0);
    fclose(file);
}

static void a_pipe_that_nobody_reads_holds_up_nobody(void **state)
{
    (void)state;
    enum { MORE_LINES_THAN_A_PIPE_HOLDS = 10000 };
    int ends[2];
    int standard_error = dup(STDERR_FILENO);
    assert_true(standard_error >= 0);
    assert_int_equal(pipe(ends), 0);
    log_init(LOG_INFO, LOG_PLAIN);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < MORE_LINES_THAN_A_PIPE_HOLDS; i++)
        log_warning("line %d", i);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_cannot_forge_a_line),
        cmocka_unit_test(a_text_cannot_break_the_json),
        cmocka_unit_test(what_is_below_the_least_level_is_not_written),
        cmocka_unit_test(a_pipe_that_nobody_reads_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
