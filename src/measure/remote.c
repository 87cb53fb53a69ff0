#include "measure/remote.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/dialogue.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct remote {
    const struct scaler *scaler;
    struct child child;
    int socket;
    int wakes;          /* the pipe's end; -1 once the child has closed the other */
    struct waker waker; /* of the last probe that had one: all wake alike, but for the id */
};

/* What died by itself tells more by its own end than by our signal, so it has a moment to be seen. */
static bool has_ended(struct child *child, int *ret_status)
{
    enum { MOMENT_MS = 20 };
    for (int i = 0; i < MOMENT_MS; i++) {
        if (child_has_ended(child, ret_status))
            return true;
        usleep(1000);
    }
    return false;
}

/* Makes sure that the child is gone, and says how it went. */
static void end_child(struct remote *remote, const char *why, struct error *error)
{
    int status = 0;
    const char *name = remote->scaler->name;
    if (!has_ended(&remote->child, &status)) {
        child_kill(&remote->child);
        error_unavailable(error, "the %s process was killed: %s", name, why);
    } else if (WIFSIGNALED(status))
        error_unavailable(error, "the %s process died: %s", name, strsignal(WTERMSIG(status)));
    else
        error_unavailable(error, "the %s process ended with code %d", name, WEXITSTATUS(status));
}

static bool cannot_start(const struct remote *remote, int failure, struct error *error)
{
    return error_unavailable(error, "cannot start the %s process: %s", remote->scaler->name,
                             strerror(failure));
}

/* Moves a descriptor that the child gets out of the way of the numbers that it gets there. */
static int above_those_of_child(int descriptor)
{
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, AGENT_WAKES + 1);
    close(descriptor);
    return moved;
}

/* The child's ends are the second ones. */
static bool make_channels(struct remote *remote, int *ret_socket, int *ret_wakes,
                          struct error *error)
{
    int sockets[2];
    int wakes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return cannot_start(remote, errno, error);
    remote->socket = sockets[0];
    *ret_socket = above_those_of_child(sockets[1]);
    if (pipe2(wakes, O_CLOEXEC | O_NONBLOCK) != 0)
        return cannot_start(remote, errno, error);
    remote->wakes = wakes[0];
    *ret_wakes = above_those_of_child(wakes[1]);
    return (*ret_socket >= 0 && *ret_wakes >= 0) || cannot_start(remote, EMFILE, error);
}

static void close_end(const int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
}

static bool spawn_child(struct remote *remote, const char *program, struct error *error)
{
    _cleanup_(close_end) int socket = -1;
    _cleanup_(close_end) int wakes = -1;
    char name[] = "backlog";
    char subcommand[] = "agent";
    char *arguments[] = {name, subcommand, NULL};
    if (!make_channels(remote, &socket, &wakes, error))
        return false;

    /* Client libraries leave descriptors open to children; a broker would wait for their end. */
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, socket, AGENT_SOCKET);
    posix_spawn_file_actions_adddup2(&actions, wakes, AGENT_WAKES);
    posix_spawn_file_actions_addclosefrom_np(&actions, AGENT_WAKES + 1);
    pid_t pid;
    int failure = posix_spawn(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0)
        return cannot_start(remote, failure, error);
    child_began(&remote->child, pid);
    return true;
}

/* One error of two kinds: the child told of one, or the exchange failed and its end tells why. */
static bool conclude(struct remote *remote, bool exchanged, struct error *told, struct error *error)
{
    if (exchanged && !error_is_set(told))
        return true;
    if (exchanged)
        error_move(error, told);
    else {
        _cleanup_(memory_free) char *why = text_copy(error_text(error));
        end_child(remote, why, error);
    }
    return false;
}

bool remote_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const char *program, int64_t deadline_ms, struct remote **ret_remote,
                 struct error *error)
{
    _cleanup_(error_done) struct error told = {0};
    struct remote *remote = memory_new(sizeof(*remote));
    remote->scaler = scaler;
    remote->socket = -1;
    remote->wakes = -1;
    bool good = spawn_child(remote, program, error);
    if (good) {
        bool exchanged =
            dialogue_connect(remote->socket, scaler, connection_values, deadline_ms, &told, error);
        good = conclude(remote, exchanged, &told, error);
    }
    if (good)
        *ret_remote = remote;
    else
        remote_close(remote);
    return good;
}

bool remote_measure(struct remote *remote, struct probe *const *probes, size_t count,
                    int64_t deadline_ms, struct error *error)
{
    _cleanup_(error_done) struct error told = {0};
    for (size_t i = 0; i < count; i++)
        if (probe_wants_arm(probes[i]))
            remote->waker = probes[i]->waker;
    bool exchanged = dialogue_measure(remote->socket, probes, count, deadline_ms, &told, error);
    return conclude(remote, exchanged, &told, error);
}

/* Where it fails, the next measurement will, and say why. */
void remote_disarm(struct remote *remote, const uint64_t *waker_ids, size_t count)
{
    enum { PATIENCE_MS = 2000 }; /* the child reads between any two disarms */
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    _cleanup_(error_done) struct error ignored = {0};
    if (!dialogue_disarm(remote->socket, waker_ids, count, deadline_ms, &ignored))
        shutdown(remote->socket, SHUT_RDWR); /* half a frame may be in it */
}

int remote_descriptor(const struct remote *remote)
{
    return remote->wakes;
}

bool remote_hear(struct remote *remote)
{
    uint64_t ids[512]; /* a write of 8 bytes is never cut in a pipe */
    ssize_t got = read(remote->wakes, ids, sizeof(ids));
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        close(remote->wakes);
        remote->wakes = -1;
        return false;
    }
    struct waker waker = remote->waker;
    bool has_armed = waker.wake != NULL; /* or the child makes its wakes up */
    for (ssize_t i = 0; has_armed && i < got / (ssize_t)sizeof(ids[0]); i++) {
        waker.id = ids[i];
        waker_wake(&waker);
    }
    return true;
}

void remote_close(struct remote *remote)
{
    close_end(&remote->socket);
    close_end(&remote->wakes);
    if (remote->child.pid > 0)
        child_kill(&remote->child);
    free(remote);
}
