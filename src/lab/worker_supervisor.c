#include "lab/worker_supervisor.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHELL_FAILED = 127 };

/* `signals` are those that it does not take. */
static pid_t start_shell(const char *command, const sigset_t *signals)
{
    pid_t supervisor = getpid();
    pid_t shell = fork();
    if (shell != 0)
        return shell;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(SHELL_FAILED);
    sigprocmask(SIG_SETMASK, signals, NULL);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(SHELL_FAILED);
}

/* False: there is none that this process may kill. */
static bool kill_children(void)
{
    bool is_any = false;
    int child;
    FILE *file = fopen("/proc/thread-self/children", "re");
    if (file == NULL)
        kill(0, SIGKILL); /* with this process */
    while (file != NULL && fscanf(file, "%d", &child) == 1)
        is_any |= kill(child, SIGKILL) == 0;
    if (file != NULL)
        fclose(file);
    return is_any;
}

/* The children of each that ends become this process's. */
static void kill_all(void)
{
    while (kill_children())
        waitpid(-1, NULL, 0);
}

/* What the worker sends to its own group, as by `kill 0`, is not for this process. */
static bool is_from_group(const siginfo_t *info)
{
    return info->si_pid != 0 && getpgid(info->si_pid) == getpgrp();
}

/* Takes all that have ended. Returns whether `shell` is among them; `ret_all`: none is left. */
static bool take_ended(pid_t shell, bool *ret_all)
{
    bool has_shell = false;
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
        has_shell |= ended == shell;
    *ret_all = ended < 0;
    return has_shell;
}

static void supervise(pid_t rehearsal, pid_t shell, const sigset_t *signals)
{
    bool is_stopping = false;
    for (bool is_over = false; !is_over;) {
        siginfo_t info;
        int number = sigwaitinfo(signals, &info);
        if (number == SIGCHLD) {
            if (take_ended(shell, &is_over) && !is_stopping)
                return;
        } else if (number == SIGHUP && !is_from_group(&info)) {
            return;
        } else if (number == SIGTERM && !is_from_group(&info)) {
            is_stopping |= info.si_pid == rehearsal;
            kill(0, SIGTERM);
        }
    }
}

int worker_supervisor_run(const char *parent, const char *command)
{
    pid_t rehearsal = atoi(parent);
    sigset_t all;
    sigset_t before;
    sigset_t signals;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGHUP);
    if (getppid() != rehearsal)
        return 1;
    pid_t shell = start_shell(command, &before);
    if (shell < 0)
        return SHELL_FAILED;
    supervise(rehearsal, shell, &signals);
    kill_all();
    /* Not exit(): LeakSanitizer would stop this process by a SIGSTOP, which a SIGCONT of the
     * rehearsal takes back, and wait forever. */
    _exit(0);
}
