#include "measure/agent_process.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_counted_while_it_runs_and_its_cpu_time_for_ever),
        cmocka_unit_test(the_exit_status_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
