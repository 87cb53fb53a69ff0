/* Handing connections over to a loop that may not respond: the loop is this file's. */
#include "daemon/reload.h"

#include "base/memory.h"
#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char one[] = "connections:\n  orders: {scaler: redis, address: 'redis:6379'}\n";
static const char two[] = "connections:\n  orders: {scaler: redis, address: 'redis:6379'}\n"
                          "  other: {scaler: redis, address: 'other:6379'}\n";

static bool loop_responds;
static struct connections *in_use;

bool hand_over_connections(const struct hand_over *to, struct connections *connections)
{
    (void)to;
    connections_free(loop_responds ? in_use : connections);
    if (loop_responds)
        in_use = connections;
    return loop_responds;
}

struct fixture {
    char folder[64];
    char path[128];
    struct reload *reload;
    FILE *log;
    int standard_error;
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    _cleanup_(error_done) struct error error = {0};
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/backlog-reload-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/connections.yaml", fixture->folder);
    write_file(fixture->path, one);
    fixture->log = tmpfile();
    fixture->standard_error = dup(STDERR_FILENO);
    if (fixture->log == NULL)
        return -1;
    assert_true(dup2(fileno(fixture->log), STDERR_FILENO) >= 0);
    assert_true(reload_begin(fixture->path, false, &fixture->reload, &in_use, &error));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    reload_end(fixture->reload);
    connections_free(TAKE(in_use));
    dup2(fixture->standard_error, STDERR_FILENO);
    close(fixture->standard_error);
    fclose(fixture->log);
    unlink(fixture->path);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static int times_logged(const struct fixture *fixture, const char *words)
{
    char content[4096] = {0};
    int times = 0;
    assert_true(pread(fileno(fixture->log), content, sizeof(content) - 1, 0) >= 0);
    for (const char *at = content; (at = strstr(at, words)) != NULL; at += strlen(words))
        times++;
    return times;
}

static void expect_reload(const struct fixture *fixture, bool responds, bool is_requested)
{
    loop_responds = responds;
    reload_check(fixture->reload, is_requested, NULL);
}

static void what_the_loop_did_not_take_is_handed_over_later(void **state)
{
    const struct fixture *fixture = *state;
    write_file(fixture->path, two);
    expect_reload(fixture, false, true);
    assert_int_equal(in_use->count, 1);
    assert_int_equal(times_logged(fixture, "event loop not responding: cannot load"), 1);
    assert_int_equal(times_logged(fixture, "connections.yaml; retrying"), 1);
    assert_int_equal(times_logged(fixture, "reloaded"), 0);

    expect_reload(fixture, false, false); /* no file has changed since */
    assert_int_equal(in_use->count, 1);
    assert_int_equal(times_logged(fixture, "not responding"), 1);
    expect_reload(fixture, true, false);
    assert_int_equal(in_use->count, 2);
    assert_int_equal(times_logged(fixture, "reloaded: 2 connections, 0 invalid"), 1);

    struct connections *taken = in_use;
    expect_reload(fixture, true, false);
    assert_ptr_equal(in_use, taken);
    assert_int_equal(times_logged(fixture, "reloaded"), 1);
}

/* What the loop did not take is gone: what is in use stays what the next version is compared with.
 */
static void a_version_that_was_not_taken_leaves_nothing_behind(void **state)
{
    const struct fixture *fixture = *state;
    write_file(fixture->path, two);
    expect_reload(fixture, false, true);
    write_file(fixture->path, "connections:\n  orders: {scaler: redis, address: []}\n");
    expect_reload(fixture, true, true);
    assert_int_equal(in_use->count, 1);
    assert_true(in_use->items[0].is_former);
    assert_string_equal(in_use->items[0].entries[0].value, "redis:6379");
}

/* What is due again, after a failure or with an invalid connection, waits for the file as well. */
static void a_file_that_is_being_written_is_not_read_again(void **state)
{
    const struct fixture *fixture = *state;
    write_file(fixture->path, two);
    expect_reload(fixture, false, true);
    write_file(fixture->path, "connections:\n  half: {scaler: redis, address: 'half:6379'}\n");
    expect_reload(fixture, true, false);
    assert_string_equal(in_use->items[0].name, "orders");
    write_file(fixture->path, two);
    expect_reload(fixture, true, false);
    assert_int_equal(in_use->count, 1);
    expect_reload(fixture, true, false); /* at rest */
    assert_int_equal(in_use->count, 2);
    assert_int_equal(times_logged(fixture, "reloaded"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_loop_did_not_take_is_handed_over_later),
        TEST(a_file_that_is_being_written_is_not_read_again),
        TEST(a_version_that_was_not_taken_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
