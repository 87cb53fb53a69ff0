#include "measure/agent/agent_launch.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Gives the process a moment to end by itself: its own status says best why it died. */
static bool has_ended(struct agent_process *process, int *ret_status)
{
    enum { MOMENT_MS = 20 };
    for (int i = 0; i < MOMENT_MS; i++) {
        if (agent_process_has_ended(process, ret_status))
            return true;
        usleep(1000);
    }
    return false;
}

/* A client library aborts if it gets no memory, or if it finds an error of its own. The status does
 * not say which of the two it was. */
static bool fail_aborted(const struct agent_process *process, const char *scaler,
                         struct error *error)
{
    _cleanup_(memory_free) char *advice =
        process->max_bytes < process->max_bytes_named
            ? text_format(": in the connections file its connection may use %zu MiB",
                          process->max_bytes_named >> 20)
            : text_copy("");
    return error_unavailable(error,
                             "the %s agent process died: %s (out of its %zu MiB of memory, or an "
                             "error in its client library)%s",
                             scaler, strsignal(SIGABRT), process->max_bytes >> 20, advice);
}

bool agent_launch_end(struct agent_process *process, const char *scaler, struct error *error)
{
    int status = 0;
    _cleanup_(memory_free) char *why = text_copy(error_text(error));
    if (process->pid == 0)
        return error_unavailable(error, "the %s agent failed: %s", scaler, why);
    if (!has_ended(process, &status)) {
        agent_process_kill(process);
        return error_unavailable(error, "the %s agent process was killed: %s", scaler, why);
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && process->max_bytes > 0)
        return fail_aborted(process, scaler, error);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return error_set(
            error, ERROR_COSTLY,
            "the %s agent process was ended: its login took too much CPU time (such as "
            "a key of very many iterations); retrying in some minutes",
            scaler);
    if (WIFSIGNALED(status))
        return error_unavailable(error, "the %s agent process died: %s", scaler,
                                 strsignal(WTERMSIG(status)));
    return error_unavailable(error, "the %s agent process exited with status %d", scaler,
                             WEXITSTATUS(status));
}

static bool cannot_start(const char *scaler, int failure, struct error *error)
{
    return error_set(error, ERROR_NOT_STARTED, "cannot start the %s agent process: %s", scaler,
                     strerror(failure));
}

/* Moves a descriptor above the numbers AGENT_SOCKET and AGENT_NOTIFICATIONS: otherwise dup2() to
 * one of these could close it. */
static int above_those_of_agent(int descriptor)
{
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, AGENT_NOTIFICATIONS + 1);
    close(descriptor);
    return moved;
}

bool agent_launch(struct agent_process *process, const char *program, const char *scaler,
                  int *ret_socket, int *ret_notifications, struct error *error)
{
    extern char **environ;
    _cleanup_(file_close) int socket = -1; /* the agent's ends */
    _cleanup_(file_close) int notifications = -1;
    int sockets[2];
    int pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return cannot_start(scaler, errno, error);
    *ret_socket = sockets[0];
    socket = above_those_of_agent(sockets[1]);
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return cannot_start(scaler, errno, error);
    *ret_notifications = pipes[0];
    fcntl(pipes[0], F_SETFL, O_NONBLOCK); /* not the agent's end, which waits for room */
    notifications = above_those_of_agent(pipes[1]);
    if (socket < 0 || notifications < 0)
        return cannot_start(scaler, EMFILE, error);

    /* Client libraries open sockets without CLOEXEC. If a child kept one, a broker would take the
     * connection for open after its client is gone. */
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, socket, AGENT_SOCKET);
    posix_spawn_file_actions_adddup2(&actions, notifications, AGENT_NOTIFICATIONS);
    posix_spawn_file_actions_addclosefrom_np(&actions, AGENT_NOTIFICATIONS + 1);
    char *arguments[] = {(char[]){"backlog"}, (char[]){"agent"}, NULL};
    pid_t pid;
    int failure = posix_spawn(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0)
        return cannot_start(scaler, failure, error);
    agent_process_began(process, pid);
    return true;
}
