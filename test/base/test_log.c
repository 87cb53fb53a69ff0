#include "base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
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

/* A pipe in the place of standard error, of which nobody reads meanwhile. Whoever waits for it ends the test. */
struct stall {
    int standard_error;
    int ends[2];
};

static void stall_begin(struct stall *stall)
{
    enum { PATIENCE_SECONDS = 60 };
    assert_int_equal(pipe(stall->ends), 0);
    stall->standard_error = dup(STDERR_FILENO);
    assert_true(stall->standard_error >= 0);
    dup2(stall->ends[1], STDERR_FILENO);
    close(stall->ends[1]);
    alarm(PATIENCE_SECONDS);
}

/* What has been written. */
static size_t stall_end(const struct stall *stall, char *bytes, size_t size)
{
    size_t length = 0;
    ssize_t got;
    alarm(0);
    dup2(stall->standard_error, STDERR_FILENO);
    close(stall->standard_error);
    while ((got = read(stall->ends[0], bytes + length, size - length)) > 0)
        length += (size_t)got;
    close(stall->ends[0]);
    return length;
}

static void a_pipe_that_nobody_reads_holds_up_nobody(void **state)
{
    (void)state;
    enum { MORE_LINES_THAN_A_PIPE_HOLDS = 10000 };
    static char bytes[1 << 20];
    struct stall stall;
    log_init(LOG_INFO, LOG_PLAIN);
    stall_begin(&stall);
    for (int i = 0; i < MORE_LINES_THAN_A_PIPE_HOLDS; i++)
        log_warning("line %d", i);
    assert_in_range(stall_end(&stall, bytes, sizeof(bytes)), 1, sizeof(bytes) - 1);
}

/* One that is longer than what a pipe takes in one go would wait for who reads it. */
static void a_line_is_cut_to_what_a_pipe_takes_in_one_go(void **state)
{
    (void)state;
    static const char *const endings[] = {
        [LOG_PLAIN] = "\xc3\xa9 ...\n", [LOG_JSON] = "\xc3\xa9 ...\"}\n"};
    char message[3 * PIPE_BUF + 1] = {0};
    char line[2 * PIPE_BUF];
    for (size_t i = 0; i + 1 < sizeof(message); i++)
        message[i] = "\xc3\xa9"[i % 2];
    for (enum log_format format = LOG_PLAIN; format <= LOG_JSON; format++) {
        struct stall stall;
        log_init(LOG_INFO, format);
        stall_begin(&stall);
        assert_true(fcntl(STDERR_FILENO, F_SETPIPE_SZ, PIPE_BUF) >= PIPE_BUF);
        log_warning("%s", message);
        log_warning("%s", message);
        size_t length = stall_end(&stall, line, sizeof(line));
        size_t end = strlen(endings[format]);
        assert_in_range(length, PIPE_BUF - 32, PIPE_BUF);
        assert_memory_equal(line + length - end, endings[format], end);
    }
}

static void *log_at_once(void *barrier)
{
    char message[3000];
    memset(message, 'x', sizeof(message));
    pthread_barrier_wait(barrier);
    log_warning("%.*s", (int)sizeof(message), message);
    return NULL;
}

/* All of them see that there is room for one. */
static void threads_that_log_at_once_do_not_wait_for_the_room_that_one_of_them_took(void **state)
{
    (void)state;
    enum { THREADS = 8, ROUNDS = 100 };
    char line[2 * PIPE_BUF];
    log_init(LOG_INFO, LOG_PLAIN);
    for (int round = 0; round < ROUNDS; round++) {
        struct stall stall;
        pthread_barrier_t barrier;
        pthread_t threads[THREADS];
        pthread_barrier_init(&barrier, NULL, THREADS);
        stall_begin(&stall);
        assert_true(fcntl(STDERR_FILENO, F_SETPIPE_SZ, PIPE_BUF) >= PIPE_BUF);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, log_at_once, &barrier), 0);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_in_range(stall_end(&stall, line, sizeof(line)), 3000, PIPE_BUF);
        pthread_barrier_destroy(&barrier);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_cannot_forge_a_line),
        cmocka_unit_test(a_text_cannot_break_the_json),
        cmocka_unit_test(what_is_below_the_least_level_is_not_written),
        cmocka_unit_test(a_pipe_that_nobody_reads_holds_up_nobody),
        cmocka_unit_test(a_line_is_cut_to_what_a_pipe_takes_in_one_go),
        cmocka_unit_test(threads_that_log_at_once_do_not_wait_for_the_room_that_one_of_them_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
