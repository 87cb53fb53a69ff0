/* What workers write, over real pipes. */
#include "base/clock.h"
#include "base/memory.h"
#include "lab/worker_logs.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { PATIENCE_MS = 20000 };

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        assert_true(written > 0);
        bytes += written;
        length -= (size_t)written;
    }
}

/* Waits until the log ends with this; the caller frees it. */
static char *await_end(struct worker_logs *logs, uint64_t id, const char *end)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    for (;;) {
        struct text text = {0};
        worker_logs_read(logs, id, &text);
        char *string = text_take(&text);
        if (text_ends_with(string, end))
            return string;
        assert_true(clock_now_ms() < deadline_ms);
        free(string);
        poll(NULL, 0, 5);
    }
}

static void the_last_lines_of_each_worker_are_kept(void **state)
{
    (void)state;
    struct worker_logs *logs = worker_logs_new();
    int one = worker_logs_open(logs, 1);
    int other = worker_logs_open(logs, 2);
    write_all(one, "begun\n", 6);
    write_all(other, "mine\n", 5);
    _cleanup_(memory_free) char *first = await_end(logs, 1, "begun\n");
    _cleanup_(memory_free) char *second = await_end(logs, 2, "mine\n");
    assert_string_equal(first, "begun\n");
    assert_string_equal(second, "mine\n");

    char line[1024];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (int i = 0; i < 300; i++)
        write_all(one, line, sizeof(line));
    write_all(one, "the end\n", 8);
    _cleanup_(memory_free) char *last = await_end(logs, 1, "the end\n");
    assert_int_equal(strlen(last), WORKER_LOG_BYTES);
    close(one);
    close(other);
    struct text text = {0};
    assert_false(worker_logs_read(logs, 3, &text));
    worker_logs_free(logs);
}

/* A page would show the part as another character. */
static void a_log_ends_with_a_whole_character(void **state)
{
    (void)state;
    struct worker_logs *logs = worker_logs_new();
    int fd = worker_logs_open(logs, 1);
    write_all(fd, "5 \xe2\x82", 4);
    _cleanup_(memory_free) char *cut = await_end(logs, 1, "5 ");
    write_all(fd, "\xac", 1);
    _cleanup_(memory_free) char *whole = await_end(logs, 1, "5 \xe2\x82\xac");
    close(fd);
    worker_logs_free(logs);
}

static void a_worker_says_how_many_messages_it_has_done(void **state)
{
    (void)state;
    struct worker_logs *logs = worker_logs_new();
    int fd = worker_logs_open(logs, 7);
    assert_true(isnan(worker_logs_done(logs, 7)));
    static const char lines[] =
        "backlog: done 3\nbacklog: done many\nnot backlog: done 9\nbacklog: done 4";
    write_all(fd, lines, strlen(lines));
    _cleanup_(memory_free) char *text = await_end(logs, 7, "done 4");
    assert_true(worker_logs_done(logs, 7) == 3); /* the last line has not ended */
    write_all(fd, "2\n", 2);
    _cleanup_(memory_free) char *more = await_end(logs, 7, "done 42\n");
    assert_true(worker_logs_done(logs, 7) == 42);
    close(fd);
    fd = worker_logs_open(logs, 7); /* started again: the same log goes on */
    write_all(fd, "again\n", 6);
    _cleanup_(memory_free) char *again = await_end(logs, 7, "done 42\nagain\n");
    close(fd);
    worker_logs_free(logs);
}

static void say_done(struct worker_logs *logs, uint64_t id, const char *line)
{
    int fd = worker_logs_open(logs, id);
    write_all(fd, line, strlen(line));
    close(fd);
    free(await_end(logs, id, line));
}

static void what_all_have_done_never_falls(void **state)
{
    (void)state;
    struct worker_logs *logs = worker_logs_new();
    assert_true(isnan(worker_logs_done_by_all(logs)));
    say_done(logs, 1, "backlog: done 5\n");
    assert_true(worker_logs_done_by_all(logs) == 5);
    say_done(logs, 1, "backlog: done 2\n"); /* started again */
    assert_true(worker_logs_done(logs, 1) == 2);
    assert_true(worker_logs_done_by_all(logs) == 7);
    say_done(logs, 1, "backlog: done 3\n"); /* and again: it has done more than the one before */
    assert_true(worker_logs_done_by_all(logs) == 10);
    say_done(logs, 1, "backlog: done 1\nbacklog: done 3\n");
    assert_true(worker_logs_done_by_all(logs) == 13);
    for (uint64_t id = 2; id <= WORKER_LOGS_MAX + 10; id++) /* the first logs are forgotten */
        say_done(logs, id, "backlog: done 1\n");
    assert_true(worker_logs_done_by_all(logs) == 13 + WORKER_LOGS_MAX + 9);
    worker_logs_free(logs);
}

/* Nobody reads what goes on to standard error: pages go on, and so does the log once somebody does.
 */
static void a_full_standard_error_stops_no_page(void **state)
{
    (void)state;
    static char output[64 * 1024];
    const size_t written = sizeof(output) * 3 / 4;
    int ends[2];
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
    dup2(ends[1], STDERR_FILENO);
    struct worker_logs *logs = worker_logs_new();
    int fd = worker_logs_open(logs, 1);
    memset(output, 'x', sizeof(output));
    write_all(fd, output, written);
    struct pollfd full = {.fd = ends[1], .events = POLLOUT};
    while (poll(&full, 1, 0) > 0)
        poll(NULL, 0, 1);
    alarm(PATIENCE_MS / 1000);
    assert_true(isnan(worker_logs_done(logs, 1)));
    alarm(0);

    for (size_t left = written; left > 0;) {
        ssize_t length = read(ends[0], output, sizeof(output));
        assert_true(length > 0);
        left -= (size_t)length;
    }
    write_all(fd, "the end\n", 8);
    _cleanup_(memory_free) char *text = await_end(logs, 1, "the end\n");
    assert_int_equal(strlen(text), written + 8);
    close(fd);
    worker_logs_free(logs);
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_lines_of_each_worker_are_kept),
        cmocka_unit_test(a_log_ends_with_a_whole_character),
        cmocka_unit_test(a_worker_says_how_many_messages_it_has_done),
        cmocka_unit_test(what_all_have_done_never_falls),
        cmocka_unit_test(a_full_standard_error_stops_no_page),
    };
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0)
        return 1;
    dup2(nowhere, STDERR_FILENO); /* what the workers write goes on to standard error */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
