#include "base/system/file_watch.h"

#include "base/memory.h"
#include "base/text.h"
#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder of its own for each test, and in it the place of a file. */
struct fixture {
    char folder[64];
    char path[128];
    struct file_watch *watch;
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/backlog-watch-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/file", fixture->folder);
    fixture->watch = file_watch_new();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->path);
    rmdir(fixture->folder);
    file_watch_free(fixture->watch);
    free(fixture);
    return 0;
}

/* The first question sees a change, the second that it is over. */
static void assert_reported_once(struct file_watch *watch)
{
    assert_false(file_watch_has_changed(watch));
    assert_true(file_watch_has_changed(watch));
    assert_false(file_watch_has_changed(watch));
}

static void an_untouched_file_has_not_changed(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture->path, "one");
    file_watch_add(fixture->watch, fixture->path);
    file_watch_add(fixture->watch, "/nowhere/at/all");
    assert_false(file_watch_has_changed(fixture->watch));
    assert_false(file_watch_has_changed(fixture->watch));
}

static void a_file_that_is_made_written_replaced_or_removed_is_reported_once(void **state)
{
    struct fixture *fixture = *state;
    file_watch_add(fixture->watch, fixture->path);
    write_file(fixture->path, "one");
    assert_reported_once(fixture->watch);

    nanosleep(&(struct timespec){.tv_nsec = 20000000},
              NULL); /* the clock of file systems is coarse */
    write_file(fixture->path, "two");
    assert_reported_once(fixture->watch);

    char other[160];
    snprintf(other, sizeof(other), "%s.new", fixture->path);
    write_file(other, "two");
    assert_int_equal(rename(other, fixture->path), 0);
    assert_reported_once(fixture->watch);

    unlink(fixture->path);
    assert_reported_once(fixture->watch);
}

static void a_swapped_link_above_the_file_is_a_change(void **state)
{
    struct fixture *fixture = *state;
    char one[96];
    char two[96];
    char data[96];
    snprintf(one, sizeof(one), "%s/one", fixture->folder);
    snprintf(two, sizeof(two), "%s/two", fixture->folder);
    snprintf(data, sizeof(data), "%s/..data", fixture->folder);
    mkdir(one, 0700);
    mkdir(two, 0700);
    for (const char *folder = one; folder != NULL; folder = folder == one ? two : NULL) {
        _cleanup_(memory_free) char *path = text_format("%s/file", folder);
        write_file(path, "the same");
    }
    assert_int_equal(symlink("one", data), 0);
    assert_int_equal(symlink("..data/file", fixture->path), 0);
    file_watch_add(fixture->watch, fixture->path);

    char next[128];
    snprintf(next, sizeof(next), "%s.next", data);
    assert_int_equal(symlink("two", next), 0);
    assert_int_equal(rename(next, data), 0);
    assert_reported_once(fixture->watch);

    unlink(data);
    for (const char *folder = one; folder != NULL; folder = folder == one ? two : NULL) {
        _cleanup_(memory_free) char *path = text_format("%s/file", folder);
        unlink(path);
        rmdir(folder);
    }
}

static void a_change_that_goes_on_is_reported_at_its_end(void **state)
{
    struct fixture *fixture = *state;
    file_watch_add(fixture->watch, fixture->path);
    write_file(fixture->path, "a");
    assert_false(file_watch_has_changed(fixture->watch));
    write_file(fixture->path, "and more");
    assert_reported_once(fixture->watch);
}

/* A file that is rewritten at every check is read all the same, and so is what comes last. */
static void a_change_without_end_is_reported_now_and_then(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(text_done) struct text content = {0};
    int reported = 0;
    file_watch_add(fixture->watch, fixture->path);
    for (int i = 0; i < 3 * FILE_WATCH_MAX_RESTLESS_CHECKS; i++) {
        text_add(&content, "more ");
        write_file(fixture->path, content.bytes);
        bool has_changed = file_watch_has_changed(fixture->watch);
        assert_true(has_changed == ((i + 1) % FILE_WATCH_MAX_RESTLESS_CHECKS == 0));
        reported += has_changed;
    }
    assert_int_equal(reported, 3);
    write_file(fixture->path, "the last");
    assert_reported_once(fixture->watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_untouched_file_has_not_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_is_made_written_replaced_or_removed_is_reported_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_swapped_link_above_the_file_is_a_change, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_goes_on_is_reported_at_its_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_change_without_end_is_reported_now_and_then, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
