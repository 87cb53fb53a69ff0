#include "base/system/process.h"

#include "base/memory.h"
#include "support/file.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The value of a metric without labels. */
static double value_of(const struct text *page, const char *name)
{
    _cleanup_(memory_free) char *start = text_format("\n%s ", name);
    const char *found = strstr(page->bytes, start);
    assert_non_null(found);
    return strtod(found + strlen(start), NULL);
}

static void the_process_is_measured(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text page = {0};
    process_write_metrics(&page);
    assert_true(value_of(&page, "process_cpu_seconds_total") >= 0);
    assert_true(value_of(&page, "process_resident_memory_bytes") > 100000);
    assert_in_range((long)value_of(&page, "process_open_fds"), 3, 100);
    assert_true(value_of(&page, "process_max_fds") >= 100);
    assert_int_equal(value_of(&page, "backlog_threads"), 1);
    double age = (double)time(NULL) - value_of(&page, "process_start_time_seconds");
    assert_true(age >= -2 && age < 120);
}

/* More than a sanitizer maps. */
static void a_process_may_map_what_its_limit_leaves(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    const struct rlimit large = {(rlim_t)1 << 46, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &large), 0);
    double bytes = process_mappable_bytes();
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_true(bytes > 0 && bytes < (double)large.rlim_cur);
    if (before.rlim_cur == RLIM_INFINITY)
        assert_true(isinf(process_mappable_bytes()));
}

/* Two clocks that turn to the next second at different moments made it another one for that long.
 */
static void the_start_is_the_same_whenever_it_is_read(void **state)
{
    (void)state;
    double start = 0;
    for (int i = 0; i < 60; i++) {
        _cleanup_(text_done) struct text page = {0};
        process_write_metrics(&page);
        double now = value_of(&page, "process_start_time_seconds");
        assert_true(i == 0 || now == start);
        start = now;
        sleep_ms(20);
    }
}

/* A worker of a rehearsal often has another program do the work. */
static void a_process_is_measured_with_those_that_it_has_started(void **state)
{
    (void)state;
    enum { BYTES = 32 << 20 };
    struct process_stat alone;
    struct process_stat all;
    assert_true(process_tree_stat(getpid(), &alone));
    pid_t child = fork();
    if (child == 0) {
        volatile char *bytes = malloc(BYTES);
        for (unsigned i = 0;; i++)
            bytes[i % BYTES] = 1;
    }
    for (int i = 0; i < 500; i++) {
        assert_true(process_tree_stat(getpid(), &all));
        if (all.cpu_seconds > alone.cpu_seconds + 0.2 &&
            all.resident_bytes > alone.resident_bytes + BYTES)
            break;
        sleep_ms(20);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(all.cpu_seconds > alone.cpu_seconds + 0.2);
    assert_true(all.resident_bytes > alone.resident_bytes + BYTES);
    assert_true(all.started_after_boot_s == alone.started_after_boot_s);
    assert_false(process_tree_stat(child, &all));
}

static void assert_limit(const char *name, const char *content, double limit)
{
    char folder[] = "/tmp/backlog-cgroup-XXXXXX";
    assert_non_null(mkdtemp(folder));
    _cleanup_(memory_free) char *old = text_format("%s/memory", folder);
    _cleanup_(memory_free) char *path = text_format("%s/%s", folder, name);
    assert_int_equal(mkdir(old, 0700), 0);
    write_file(path, content);
    assert_true(process_memory_limit(folder) == limit);
    unlink(path);
    rmdir(old);
    rmdir(folder);
}

static void the_limit_of_the_container_is_read(void **state)
{
    (void)state;
    assert_limit("memory.max", "268435456\n", 268435456);
    assert_limit("memory.max", "max\n", INFINITY);
    assert_limit("memory/memory.limit_in_bytes", "268435456\n", 268435456);
    assert_limit("other", "1\n", INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_measured_with_those_that_it_has_started),
        cmocka_unit_test(the_limit_of_the_container_is_read),
        cmocka_unit_test(the_process_is_measured),
        cmocka_unit_test(a_process_may_map_what_its_limit_leaves),
        cmocka_unit_test(the_start_is_the_same_whenever_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
