#include "base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h> /* its LOG_WARNING and others must not change the meaning of our levels */
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
    log_init(LOG_LEVEL_INFO, LOG_PLAIN);
    assert_logged("a\nb\x1b[1m", "warning a\\x0ab\\x1b[1m\n");
    assert_logged("a\xc2\x9b"
                  "31m",
                  "warning a\\x9b31m\n");
    assert_logged("a\xe2\x80\xae.b\xd8\x9c\xe2\x81\xa9", "warning a\\u202e.b\\u061c\\u2069\n");
    assert_logged("caf\xc3\xa9 \xff", "warning caf\xc3\xa9 \xef\xbf\xbd\n");
}

static void a_text_cannot_break_the_json(void **state)
{
    (void)state;
    log_init(LOG_LEVEL_INFO, LOG_JSON);
    assert_logged("\"a\\\n\x7f", "warning\",\"message\":\"\\\"a\\\\\\u000a\\u007f\"}\n");
    assert_logged("\xc2\x85\xc2\xa0", "warning\",\"message\":\"\\u0085\xc2\xa0\"}\n");
    assert_logged("\xc3\xa9\xc3", "warning\",\"message\":\"\xc3\xa9\xef\xbf\xbd\"}\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    int standard_error = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(standard_error >= 0);
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    dup2(fileno(file), STDERR_FILENO);
    log_warning("quiet");
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    assert_int_equal(lseek(fileno(file), 0, SEEK_END), 0);
    fclose(file);
}

/* A pipe in the place of standard error, from which nothing is read meanwhile. The alarm ends a
 * test that blocks on it. */
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

static void assert_about(const struct log_fields *fields, enum log_format format,
                         const char *expected)
{
    FILE *file = tmpfile();
    char line[8192] = {0};
    int standard_error = dup(STDERR_FILENO);
    assert_true(file != NULL && standard_error >= 0);
    log_init(LOG_LEVEL_INFO, format);
    dup2(fileno(file), STDERR_FILENO);
    log_about(fields, LOG_LEVEL_WARNING, "connection \"orders\": connection failed");
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    assert_true(pread(fileno(file), line, sizeof(line) - 1, 0) > 0);
    fclose(file);
    assert_string_equal(strstr(line, "warning"), expected);
}

static void json_lines_have_what_they_are_about_as_fields(void **state)
{
    (void)state;
    const struct log_fields fields = {"orders", "redis", "shop", "mails", "refused \"it\""};
    assert_about(&fields, LOG_JSON,
                 "warning\",\"connection\":\"orders\",\"scaler\":\"redis\",\"namespace\":\"shop\","
                 "\"name\":\"mails\",\"message\":\"connection \\\"orders\\\": connection failed: "
                 "refused \\\"it\\\"\",\"error\":\"refused \\\"it\\\"\"}\n");
    assert_about(&fields, LOG_PLAIN,
                 "warning connection \"orders\": connection failed: refused \"it\"\n");
    assert_about(&(struct log_fields){.scaler = "redis"}, LOG_JSON,
                 "warning\",\"scaler\":\"redis\",\"message\":\"connection \\\"orders\\\": "
                 "connection failed\"}\n");
}

static void a_line_with_a_long_error_is_whole(void **state)
{
    (void)state;
    char error[3 * PIPE_BUF + 1] = {0};
    char line[2 * PIPE_BUF] = {0};
    struct stall stall;
    memset(error, '\n', sizeof(error) - 1); /* each takes six bytes */
    log_init(LOG_LEVEL_INFO, LOG_JSON);
    stall_begin(&stall);
    log_about(&(struct log_fields){"orders", "redis", "shop", "mails", error}, LOG_LEVEL_WARNING,
              "failed");
    size_t length = stall_end(&stall, line, sizeof(line) - 1);
    assert_in_range(length, 2000, PIPE_BUF);
    assert_non_null(strstr(line, " ...\",\"error\":\""));
    assert_string_equal(line + length - strlen(" ...\"}\n"), " ...\"}\n");
}

static void an_unread_pipe_delays_no_thread(void **state)
{
    (void)state;
    enum { MORE_LINES_THAN_A_PIPE_HOLDS = 10000 };
    static char bytes[1 << 20];
    struct stall stall;
    log_init(LOG_LEVEL_INFO, LOG_PLAIN);
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
        log_init(LOG_LEVEL_INFO, format);
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
    log_init(LOG_LEVEL_INFO, LOG_PLAIN);
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

/* Agents share the server's standard error. */
static void log_many(int process, int lines)
{
    char letters[1500];
    memset(letters, 'a' + process, sizeof(letters));
    for (int i = 0; i < lines; i++)
        log_warning("%.*s.", (int)sizeof(letters), letters);
}

static void assert_whole(const char *line, const char *end)
{
    const char *letters = strstr(line, "warning ");
    assert_true(letters != NULL && letters < end);
    letters += strlen("warning ");
    assert_int_equal(end - letters, 1501);
    for (const char *at = letters; at < end - 1; at++)
        assert_int_equal(*at, *letters);
    assert_int_equal(end[-1], '.');
}

static void lines_of_several_processes_are_whole_and_none_of_them_waits(void **state)
{
    (void)state;
    enum { PROCESSES = 8, LINES = 400 };
    static char bytes[1 << 20];
    struct stall stall;
    pid_t children[PROCESSES];
    log_init(LOG_LEVEL_INFO, LOG_PLAIN);
    for (int round = 0; round < 5; round++) {
        stall_begin(&stall); /* nobody reads: whoever waits for room waits until the alarm */
        for (int i = 0; i < PROCESSES; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                log_many(i, LINES);
                _exit(0);
            }
        }
        for (int i = 0; i < PROCESSES; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        size_t length = stall_end(&stall, bytes, sizeof(bytes) - 1);
        bytes[length] = '\0';
        size_t lines = 0;
        for (char *line = bytes, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++)
            assert_whole(line, end);
        assert_in_range(lines, 20, PROCESSES * LINES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_cannot_forge_a_line),
        cmocka_unit_test(a_text_cannot_break_the_json),
        cmocka_unit_test(json_lines_have_what_they_are_about_as_fields),
        cmocka_unit_test(a_line_with_a_long_error_is_whole),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(an_unread_pipe_delays_no_thread),
        cmocka_unit_test(a_line_is_cut_to_what_a_pipe_takes_in_one_go),
        cmocka_unit_test(threads_that_log_at_once_do_not_wait_for_the_room_that_one_of_them_took),
        cmocka_unit_test(lines_of_several_processes_are_whole_and_none_of_them_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
