/* Real processes; the time that stops, kills and starts them again is the test's. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "lab/replicas.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATIENCE_MS = 20000, NOW_MS = 1000, GRACE_MS = 60 * 1000 };

static char folder[] = "/tmp/backlog-replicas-XXXXXX";

/* Every replica leaves a file with its number, and removes it when it is terminated. */
#define COMMAND                                                                                    \
    "cd %s && trap 'rm \"$BACKLOG_REPLICA\"; exit' TERM && : >\"$BACKLOG_REPLICA\" && "            \
    "while :; do sleep 0.05; done"

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* The files in the folder, sorted; the caller frees it. */
static char *listing(void)
{
    struct text text = {0};
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            text_addf(&text, "%s ", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return text_take(&text);
}

static void await_listing(const char *expected)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    for (;;) {
        _cleanup_(memory_free) char *now = listing();
        if (text_equal(now, expected))
            return;
        if (clock_now_ms() > deadline_ms)
            fail_msg("there is \"%s\" and not \"%s\"", now, expected);
        poll(NULL, 0, 5);
    }
}

static struct replicas_settings settings_of(const char *command)
{
    return (struct replicas_settings){
        .command = command, .object = "shop/orders", .grace_ms = GRACE_MS, .startup_ms = 500};
}

static void replicas_start_and_the_newest_stops_first(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(COMMAND, folder);
    const struct replicas_settings settings = settings_of(command);
    struct replicas *replicas = replicas_new(&settings);
    replicas_scale(replicas, 3, NOW_MS);
    await_listing("1 2 3 ");
    assert_int_equal(replicas_ready(replicas, NOW_MS + 499), 0);
    assert_int_equal(replicas_ready(replicas, NOW_MS + 500), 3);
    replicas_scale(replicas, 1, NOW_MS + 600);
    assert_int_equal(replicas_ready(replicas, NOW_MS + 600), 1);
    await_listing("1 ");
    replicas_scale(replicas, 2, NOW_MS + 700);
    await_listing("1 4 ");
    assert_int_equal(replicas_crashes(replicas), 0);
    replicas_free(replicas);
    await_listing("");
}

static void a_random_one_stops_where_that_is_set(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(COMMAND, folder);
    struct replicas_settings settings = settings_of(command);
    settings.stops_random = true;
    bool has_stopped_another = false;
    for (int i = 0; i < 40 && !has_stopped_another; i++) {
        struct replicas *replicas = replicas_new(&settings);
        replicas_scale(replicas, 2, NOW_MS);
        await_listing("1 2 ");
        replicas_scale(replicas, 1, NOW_MS);
        for (int64_t end_ms = clock_now_ms() + PATIENCE_MS; clock_now_ms() < end_ms;) {
            _cleanup_(memory_free) char *now = listing();
            has_stopped_another |= text_equal(now, "2 ");
            if (!text_equal(now, "1 2 "))
                break;
        }
        replicas_free(replicas);
    }
    assert_true(has_stopped_another);
}

static void a_worker_that_outlives_its_grace_is_killed(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(
        "trap 'rm %s/deaf' TERM; : >%s/deaf; while :; do sleep 0.05; done", folder, folder);
    const struct replicas_settings settings = settings_of(command);
    struct replicas *replicas = replicas_new(&settings);
    replicas_scale(replicas, 1, NOW_MS);
    await_listing("deaf ");
    replicas_scale(replicas, 0, NOW_MS);
    await_listing(""); /* it was told, and goes on */
    assert_true(replicas_tick(replicas, NOW_MS) != CLOCK_NEVER);
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (replicas_tick(replicas, NOW_MS + settings.grace_ms) != CLOCK_NEVER) {
        assert_true(clock_now_ms() < deadline_ms);
        poll(NULL, 0, 5);
    }
    replicas_free(replicas);
}

static void a_worker_that_ends_is_started_again_later_and_later(void **state)
{
    (void)state;
    const struct replicas_settings settings = settings_of("exit 1");
    struct replicas *replicas = replicas_new(&settings);
    static const int64_t backoffs_ms[] = {1000, 2000, 4000, 8000};
    int64_t now_ms = NOW_MS;
    replicas_scale(replicas, 1, now_ms);
    for (size_t i = 0; i < ARRAY_LENGTH(backoffs_ms); i++) {
        int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
        while (replicas_crashes(replicas) == (int64_t)i) {
            replicas_tick(replicas, now_ms);
            assert_true(clock_now_ms() < deadline_ms);
            poll(NULL, 0, 5);
        }
        assert_int_equal(replicas_ready(replicas, now_ms + PATIENCE_MS), 0);
        replicas_tick(replicas, now_ms + backoffs_ms[i] - 1);
        assert_int_equal(replicas_ready(replicas, now_ms + PATIENCE_MS), 0);
        now_ms += backoffs_ms[i];
        replicas_tick(replicas, now_ms);
        assert_int_equal(replicas_ready(replicas, now_ms + PATIENCE_MS), 1);
    }
    replicas_free(replicas);
}

static void a_replica_gets_the_name_of_its_object(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command =
        text_format("touch %s/$(echo $BACKLOG_OBJECT | tr / -); sleep 100", folder);
    _cleanup_(memory_free) char *path = text_format("%s/shop-orders", folder);
    const struct replicas_settings settings = settings_of(command);
    struct replicas *replicas = replicas_new(&settings);
    replicas_scale(replicas, 1, NOW_MS);
    await_listing("shop-orders ");
    replicas_free(replicas); /* the shell and its child: the whole group */
    unlink(path);
}

static void *set_variables(void *is_over)
{
    while (!atomic_load((atomic_bool *)is_over)) {
        setenv("BACKLOG_TEST_VARIABLE", "1", 1);
        setenv("BACKLOG_TEST_VARIABLE", "2", 1);
    }
    return NULL;
}

/* In the child of a fork() nobody would ever release the lock that another thread holds. */
static void a_worker_starts_while_other_threads_hold_locks_of_the_c_library(void **state)
{
    (void)state;
    enum { THREADS = 4, WORKERS = 24 };
    atomic_bool is_over = false;
    pthread_t threads[THREADS];
    _cleanup_(memory_free) char *command = text_format(COMMAND, folder);
    const struct replicas_settings settings = settings_of(command);
    struct replicas *replicas = replicas_new(&settings);
    setenv("BACKLOG_TEST_VARIABLE", "1",
           1); /* from now on the list of variables stays where it is */
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, set_variables, &is_over), 0);
    replicas_scale(replicas, WORKERS, NOW_MS);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    for (size_t count = 0; count < WORKERS;) {
        _cleanup_(memory_free) char *names = listing();
        count = 0;
        for (const char *at = names; (at = strchr(at, ' ')) != NULL; at++)
            count++;
        if (clock_now_ms() > deadline_ms)
            fail_msg("of %d workers %zu have started", WORKERS, count);
        poll(NULL, 0, 5);
    }
    replicas_free(replicas);
    await_listing("");
}

int main(int argc, char **argv)
{
    if (argc == 5 && text_equal(argv[1], REPLICAS_COMMAND)) /* as the program itself does */
        return replicas_run_worker(argv[3], argv[4]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_start_and_the_newest_stops_first),
        cmocka_unit_test(a_random_one_stops_where_that_is_set),
        cmocka_unit_test(a_worker_that_outlives_its_grace_is_killed),
        cmocka_unit_test(a_worker_that_ends_is_started_again_later_and_later),
        cmocka_unit_test(a_replica_gets_the_name_of_its_object),
        cmocka_unit_test(a_worker_starts_while_other_threads_hold_locks_of_the_c_library),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
