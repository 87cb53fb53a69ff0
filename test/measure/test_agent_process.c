#include "measure/agent/agent_process.h"

#include "base/memory.h"
#include "base/system/process.h"
#include "measure/agent/agent_launch.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void spawn(struct agent_process *process, const char *script)
{
    extern char **environ;
    pid_t pid;
    char *arguments[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)script, NULL};
    assert_int_equal(posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ), 0);
    agent_process_began(process, pid);
}

static void a_process_is_counted_while_it_runs_and_its_cpu_time_for_ever(void **state)
{
    (void)state;
    struct agent_process busy = {0};
    struct agent_process idle = {0};
    struct agent_process_costs costs;
    spawn(&busy, "while :; do :; done");
    spawn(&idle, "exec sleep 60");
    agent_process_costs(&costs);
    for (int i = 0; i < 1000 && costs.cpu_seconds < 0.1; i++) {
        sleep_ms(10);
        agent_process_costs(&costs);
    }
    assert_int_equal(costs.count, 2);
    assert_true(costs.cpu_seconds >= 0.1);
    assert_true(costs.resident_bytes > 100000);

    double before = costs.cpu_seconds;
    agent_process_kill(&busy);
    assert_int_equal(busy.pid, 0);
    agent_process_costs(&costs);
    assert_int_equal(costs.count, 1);
    assert_true(costs.cpu_seconds >= before && costs.cpu_seconds < before + 10);
    agent_process_kill(&idle);
    agent_process_costs(&costs);
    assert_int_equal(costs.count, 0);
    assert_true(costs.resident_bytes == 0);
}

static void the_exit_status_is_returned(void **state)
{
    (void)state;
    struct agent_process process = {0};
    int status = 0;
    spawn(&process, "exit 7");
    for (int i = 0; i < 1000 && !agent_process_has_ended(&process, &status); i++)
        sleep_ms(10);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* Without memory, or by an error of its client library: nobody knows which of them it was. */
static void an_abort_is_explained_by_both_of_its_causes(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct agent_process process = {.max_bytes = 28 << 20, .max_bytes_named = 96 << 20};
    siginfo_t end;
    spawn(&process, "kill -ABRT $$");
    waitid(P_PID, (id_t)process.pid, &end, WEXITED | WNOWAIT);
    error_unavailable(&error, "the other end is gone");
    assert_false(agent_launch_end(&process, "kafka", &error));
    assert_string_equal(error_text(&error),
                        "the kafka agent process died: Aborted (out of its 28 MiB of memory, or an "
                        "error in its client library): in the connections file its connection may "
                        "use 96 MiB");
}

static double own_bytes(const struct agent_process *process)
{
    return process_own_bytes(process->pid);
}

/* A shell with a string of 8 bytes times 2 to this power; it has freed what it took meanwhile. */
static void spawn_large(struct agent_process *process, size_t doublings)
{
    char script[256];
    int ends[2];
    char line;
    assert_int_equal(pipe(ends), 0);
    snprintf(script, sizeof(script),
             "a=12345678; i=0; while [ $i -lt %zu ]; do a=$a$a; i=$((i+1)); done; echo >&%d; "
             "exec >/dev/null 2>&1 %d>&-; while :; do sleep 60; done",
             doublings, ends[1], ends[1]);
    spawn(process, script);
    close(ends[1]);
    assert_int_equal(read(ends[0], &line, 1), 1);
    close(ends[0]);
}

/* A shell with a string of 8 MiB, and one without. */
static void the_largest_ends_where_all_together_use_too_much(void **state)
{
    (void)state;
    struct agent_process large = {0};
    struct agent_process small = {0};
    int status = 0;
    double used = 0;
    spawn_large(&large, 20);
    spawn_large(&small, 0);
    assert_true(own_bytes(&large) >= 8e6);
    double all = process_own_bytes(getpid()) + own_bytes(&large) + own_bytes(&small);
    assert_int_equal(agent_processes_keep_below(2 * all, 0, &used), 0);
    assert_int_equal(agent_processes_keep_below(0, all, &used), 0); /* it is not theirs */
    assert_true(used > 8e6);
    assert_int_equal(agent_processes_keep_below(all - 1e6, 0, &used), 1);
    assert_true(used < all - 8e6 + 1e6);
    assert_int_equal(agent_processes_keep_below(all - 1e6, 0, &used), 0); /* it is ending */
    for (int i = 0; i < 1000 && !agent_process_has_ended(&large, &status); i++)
        sleep_ms(10);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_false(agent_process_has_ended(&small, &status));
    assert_int_equal(agent_processes_keep_below(0, 0, &used), 1);
    agent_process_kill(&small);
    assert_int_equal(agent_processes_keep_below(0, 0, &used), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_counted_while_it_runs_and_its_cpu_time_for_ever),
        cmocka_unit_test(the_exit_status_is_returned),
        cmocka_unit_test(an_abort_is_explained_by_both_of_its_causes),
        cmocka_unit_test(the_largest_ends_where_all_together_use_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
