/* Real processes; the time that stops, kills and starts them again is the test's. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "lab/worker_group.h"
#include "lab/worker_supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATIENCE_MS = 20000, NOW_MS = 1000, GRACE_MS = 60 * 1000 };

static char folder[] = "/tmp/backlog-workers-XXXXXX";

/* Every worker leaves a file with its number, and removes it when it is terminated. */
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

static struct worker_group_settings settings_of(const char *command)
{
    return (struct worker_group_settings){
        .command = command, .object = "shop/orders", .grace_ms = GRACE_MS, .startup_ms = 500};
}

/* After the grace period what is left is killed. */
static void tick_until_all_are_gone(struct worker_group *group)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (worker_group_tick(group, NOW_MS + GRACE_MS) != CLOCK_NEVER) {
        assert_true(clock_now_ms() < deadline_ms);
        poll(NULL, 0, 5);
    }
}

static void workers_start_and_the_newest_stops_first(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(COMMAND, folder);
    const struct worker_group_settings settings = settings_of(command);
    struct worker_group *group = worker_group_new(&settings);
    worker_group_scale(group, 3, NOW_MS);
    await_listing("1 2 3 ");
    assert_int_equal(worker_group_ready(group, NOW_MS + 499), 0);
    assert_int_equal(worker_group_ready(group, NOW_MS + 500), 3);
    worker_group_scale(group, 1, NOW_MS + 600);
    assert_int_equal(worker_group_ready(group, NOW_MS + 600), 1);
    await_listing("1 ");
    worker_group_scale(group, 2, NOW_MS + 700);
    await_listing("1 4 ");
    assert_int_equal(worker_group_crashes(group), 0);
    worker_group_free(group);
    await_listing("");
}

static void a_random_one_stops_where_that_is_set(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(COMMAND, folder);
    struct worker_group_settings settings = settings_of(command);
    settings.stops_random = true;
    bool has_stopped_another = false;
    for (int i = 0; i < 40 && !has_stopped_another; i++) {
        struct worker_group *group = worker_group_new(&settings);
        worker_group_scale(group, 2, NOW_MS);
        await_listing("1 2 ");
        worker_group_scale(group, 1, NOW_MS);
        for (int64_t end_ms = clock_now_ms() + PATIENCE_MS; clock_now_ms() < end_ms;) {
            _cleanup_(memory_free) char *now = listing();
            has_stopped_another |= text_equal(now, "2 ");
            if (!text_equal(now, "1 2 "))
                break;
        }
        worker_group_free(group);
    }
    assert_true(has_stopped_another);
}

static void a_worker_that_outlives_its_grace_is_killed(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(
        "trap 'rm %s/deaf' TERM; : >%s/deaf; while :; do sleep 0.05; done", folder, folder);
    const struct worker_group_settings settings = settings_of(command);
    struct worker_group *group = worker_group_new(&settings);
    worker_group_scale(group, 1, NOW_MS);
    await_listing("deaf ");
    worker_group_scale(group, 0, NOW_MS);
    await_listing(""); /* it was told, and goes on */
    assert_true(worker_group_tick(group, NOW_MS) != CLOCK_NEVER);
    tick_until_all_are_gone(group);
    worker_group_free(group);
}

/* The process that has left a file "PID-SHELL", for what it is and what has started it. */
static pid_t await_process(pid_t *ret_shell)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    for (;;) {
        int pid;
        int shell;
        _cleanup_(memory_free) char *name = listing();
        if (sscanf(name, "%d-%d ", &pid, &shell) == 2) {
            _cleanup_(memory_free) char *path = text_format("%s/%d-%d", folder, pid, shell);
            unlink(path);
            *ret_shell = shell;
            return pid;
        }
        if (clock_now_ms() > deadline_ms)
            fail_msg("it has not started: there is \"%s\"", name);
        poll(NULL, 0, 5);
    }
}

/* Waited for, too. */
static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

static void await_gone(pid_t pid)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (!is_gone(pid)) {
        assert_true(clock_now_ms() < deadline_ms);
        poll(NULL, 0, 5);
    }
}

#define DEAF "sh -c 'trap : TERM; : >%s/$$-$PPID; while :; do sleep 0.05; done'"

/* As that of most commands: the shell waits for it, and ends at once when it is terminated. */
static void what_a_shell_has_started_has_its_grace_and_is_killed(void **state)
{
    (void)state;
    static const char *const commands[] = {DEAF "; true", "setsid " DEAF "; true"};
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        _cleanup_(memory_free) char *command = text_format(commands[i], folder);
        const struct worker_group_settings settings = settings_of(command);
        struct worker_group *group = worker_group_new(&settings);
        pid_t shell;
        worker_group_scale(group, 1, NOW_MS);
        pid_t deaf = await_process(&shell);
        worker_group_scale(group, 0, NOW_MS);
        await_gone(shell);
        assert_true(worker_group_tick(group, NOW_MS + GRACE_MS - 1) != CLOCK_NEVER);
        assert_false(is_gone(deaf));
        tick_until_all_are_gone(group);
        assert_true(is_gone(deaf));
        worker_group_free(group);
    }
}

static void what_a_crashed_worker_leaves_is_killed(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *end = text_format("%s/end", folder);
    _cleanup_(memory_free) char *command =
        text_format(DEAF " & until [ -e %s ]; do sleep 0.05; done; exit 1", folder, end);
    const struct worker_group_settings settings = settings_of(command);
    struct worker_group *group = worker_group_new(&settings);
    pid_t shell;
    worker_group_scale(group, 1, NOW_MS);
    pid_t deaf = await_process(&shell);
    FILE *file = fopen(end, "we");
    assert_non_null(file);
    fclose(file);
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (worker_group_crashes(group) == 0) {
        worker_group_tick(group, NOW_MS);
        assert_true(clock_now_ms() < deadline_ms);
        poll(NULL, 0, 5);
    }
    unlink(end);
    assert_true(is_gone(deaf));
    worker_group_free(group);
}

/* SIGCONT reaches it, SIGTERM does not. */
static void a_suspended_worker_is_killed(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(DEAF "; true", folder);
    const struct worker_group_settings settings = settings_of(command);
    struct worker_group *group = worker_group_new(&settings);
    pid_t shell;
    worker_group_scale(group, 1, NOW_MS);
    pid_t deaf = await_process(&shell);
    kill(-getpgid(deaf), SIGSTOP);
    worker_group_scale(group, 0, NOW_MS);
    tick_until_all_are_gone(group);
    assert_true(is_gone(deaf));
    worker_group_free(group);
}

/* As by the kernel, when memory is short. */
static void a_worker_ends_with_its_supervisor(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(DEAF "; true", folder);
    const struct worker_group_settings settings = settings_of(command);
    struct worker_group *group = worker_group_new(&settings);
    pid_t shell;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    worker_group_scale(group, 1, NOW_MS);
    pid_t deaf = await_process(&shell);
    assert_int_equal(kill(getpgid(deaf), SIGKILL), 0);
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (waitpid(deaf, NULL, WNOHANG) != deaf && !is_gone(deaf)) { /* its shell may take it */
        worker_group_tick(group, NOW_MS);
        assert_true(clock_now_ms() < deadline_ms);
        poll(NULL, 0, 5);
    }
    assert_int_equal(worker_group_crashes(group), 1);
    assert_int_equal(waitpid(shell, NULL, 0), shell);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    worker_group_free(group);
}

static void workers_end_when_the_rehearsal_is_killed(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command = text_format(DEAF "; true", folder);
    const struct worker_group_settings settings = settings_of(command);
    pid_t shell;
    pid_t rehearsal = fork();
    if (rehearsal == 0) {
        worker_group_scale(worker_group_new(&settings), 1, NOW_MS);
        for (;;)
            pause();
    }
    assert_true(rehearsal > 0);
    pid_t deaf = await_process(&shell);
    assert_int_equal(kill(rehearsal, SIGKILL), 0);
    assert_int_equal(waitpid(rehearsal, NULL, 0), rehearsal);
    await_gone(shell);
    await_gone(deaf);
}

static void a_worker_that_ends_is_started_again_later_and_later(void **state)
{
    (void)state;
    const struct worker_group_settings settings = settings_of("exit 1");
    struct worker_group *group = worker_group_new(&settings);
    static const int64_t backoffs_ms[] = {1000, 2000, 4000, 8000};
    int64_t now_ms = NOW_MS;
    worker_group_scale(group, 1, now_ms);
    for (size_t i = 0; i < ARRAY_LENGTH(backoffs_ms); i++) {
        int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
        while (worker_group_crashes(group) == (int64_t)i) {
            worker_group_tick(group, now_ms);
            assert_true(clock_now_ms() < deadline_ms);
            poll(NULL, 0, 5);
        }
        assert_int_equal(worker_group_ready(group, now_ms + PATIENCE_MS), 0);
        worker_group_tick(group, now_ms + backoffs_ms[i] - 1);
        assert_int_equal(worker_group_ready(group, now_ms + PATIENCE_MS), 0);
        now_ms += backoffs_ms[i];
        worker_group_tick(group, now_ms);
        assert_int_equal(worker_group_ready(group, now_ms + PATIENCE_MS), 1);
    }
    worker_group_free(group);
}

static void a_worker_gets_the_name_of_its_object(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *command =
        text_format("touch %s/$(echo $BACKLOG_OBJECT | tr / -); sleep 100", folder);
    _cleanup_(memory_free) char *path = text_format("%s/shop-orders", folder);
    const struct worker_group_settings settings = settings_of(command);
    struct worker_group *group = worker_group_new(&settings);
    worker_group_scale(group, 1, NOW_MS);
    await_listing("shop-orders ");
    worker_group_free(group); /* the shell and its child: the whole group */
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
    const struct worker_group_settings settings = settings_of(command);
    struct worker_group *group = worker_group_new(&settings);
    setenv("BACKLOG_TEST_VARIABLE", "1",
           1); /* from now on the list of variables stays where it is */
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, set_variables, &is_over), 0);
    worker_group_scale(group, WORKERS, NOW_MS);
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
    worker_group_free(group);
    await_listing("");
}

int main(int argc, char **argv)
{
    if (argc == 5 &&
        text_equal(argv[1], WORKER_SUPERVISOR_COMMAND)) /* as the program itself does */
        return worker_supervisor_run(argv[3], argv[4]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_start_and_the_newest_stops_first),
        cmocka_unit_test(a_random_one_stops_where_that_is_set),
        cmocka_unit_test(a_worker_that_outlives_its_grace_is_killed),
        cmocka_unit_test(what_a_shell_has_started_has_its_grace_and_is_killed),
        cmocka_unit_test(what_a_crashed_worker_leaves_is_killed),
        cmocka_unit_test(a_suspended_worker_is_killed),
        cmocka_unit_test(a_worker_ends_with_its_supervisor),
        cmocka_unit_test(workers_end_when_the_rehearsal_is_killed),
        cmocka_unit_test(a_worker_that_ends_is_started_again_later_and_later),
        cmocka_unit_test(a_worker_gets_the_name_of_its_object),
        cmocka_unit_test(a_worker_starts_while_other_threads_hold_locks_of_the_c_library),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
