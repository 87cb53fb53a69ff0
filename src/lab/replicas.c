#include "lab/replicas.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIRST_RESTART_MS = 1000,
    LONGEST_RESTART_MS = 60 * 1000,
    STEADY_MS = 120 * 1000,
    TICK_MS = 200
};

/* A place for a replica; the process in it changes when it ends by itself. */
struct replica {
    pid_t pid; /* 0: none now */
    uint64_t id;
    int64_t number;
    int64_t started_ms;
    int64_t restart_at_ms; /* where there is no process */
    int64_t restart_ms;    /* the next back-off */
    int64_t kill_at_ms;    /* 0: it is not being stopped */
};

struct replicas {
    struct replicas_settings settings;
    struct replica *items; /* the oldest first */
    size_t count, capacity;
    int64_t started; /* ever, for the numbers */
    int64_t crashes;
};

struct replicas *replicas_new(const struct replicas_settings *settings)
{
    struct replicas *replicas = memory_new(sizeof(*replicas));
    replicas->settings = *settings;
    return replicas;
}

int replicas_run_worker(const char *parent, const char *command)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* no worker outlives the program */
    if (getppid() != atoi(parent))
        return 1;
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    return 127;
}

/* Ours, with what says which replica it is. The caller frees the last two, and the list. */
static char **make_environment(const char *object, int64_t number, size_t *ret_own)
{
    extern char **environ;
    size_t count = 0;
    size_t kept = 0;
    while (environ[count] != NULL)
        count++;
    char **variables = memory_array(count + 3, sizeof(*variables));
    for (size_t i = 0; i < count; i++)
        if (!text_starts_with(environ[i], "BACKLOG_OBJECT=") &&
            !text_starts_with(environ[i], "BACKLOG_REPLICA="))
            variables[kept++] = environ[i];
    *ret_own = kept;
    variables[kept++] = text_format("BACKLOG_OBJECT=%s", object);
    variables[kept++] = text_format("BACKLOG_REPLICA=%lld", (long long)number);
    return variables;
}

/* Other threads may hold any lock of the C library, so nothing of ours runs between fork and exec:
 * this program is started again for the one thing that posix_spawn() cannot do, and becomes the
 * shell. `output`: where to write; -1: to our own standard error. Returns errno. */
static int spawn_worker(const struct replicas_settings *settings, int64_t number, int output,
                        pid_t *ret_pid)
{
    size_t own;
    sigset_t none;
    sigset_t usual;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    char **variables = make_environment(settings->object, number, &own);
    _cleanup_(memory_free) char *command = text_copy(settings->command);
    _cleanup_(memory_free) char *parent = text_format("%d", (int)getpid());
    char *arguments[] = {
        (char[]){"backlog"}, (char[]){REPLICAS_COMMAND}, (char[]){"--"}, parent, command, NULL};

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    if (output >= 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    int failure =
        posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, arguments, variables);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(variables[own]);
    free(variables[own + 1]);
    free(variables);
    return failure;
}

static void start(struct replicas *replicas, struct replica *replica, int64_t now_ms)
{
    struct worker_logs *logs = replicas->settings.logs;
    int output = logs == NULL ? -1 : worker_logs_open(logs, replica->id);
    int failure = spawn_worker(&replicas->settings, replica->number, output, &replica->pid);
    if (output >= 0)
        close(output);
    if (failure != 0) {
        log_warning("a worker could not be started: %s", strerror(failure));
        replica->pid = 0;
        replica->restart_at_ms = now_ms + LONGEST_RESTART_MS;
        return;
    }
    replica->started_ms = now_ms;
}

static void add(struct replicas *replicas, int64_t now_ms)
{
    replicas->items = memory_grow(replicas->items, &replicas->capacity, replicas->count + 1,
                                  sizeof(*replicas->items));
    struct replica *replica = &replicas->items[replicas->count++];
    uint64_t *last_id = replicas->settings.last_id;
    *replica = (struct replica){.id = last_id == NULL ? 0 : ++*last_id,
                                .number = ++replicas->started,
                                .restart_ms = FIRST_RESTART_MS};
    start(replicas, replica, now_ms);
}

static void drop(struct replicas *replicas, size_t index)
{
    replicas->count--;
    memmove(&replicas->items[index], &replicas->items[index + 1],
            (replicas->count - index) * sizeof(*replicas->items));
}

static void stop(struct replicas *replicas, size_t index, int64_t now_ms)
{
    struct replica *replica = &replicas->items[index];
    if (replica->pid == 0) {
        drop(replicas, index);
        return;
    }
    replica->kill_at_ms = now_ms + replicas->settings.grace_ms;
    kill(-replica->pid, SIGTERM);
}

static size_t count_wanted(const struct replicas *replicas)
{
    size_t wanted = 0;
    for (size_t i = 0; i < replicas->count; i++)
        wanted += replicas->items[i].kill_at_ms == 0;
    return wanted;
}

/* The index of the `place`th replica, from the newest on, that is not being stopped. */
static size_t find_wanted(const struct replicas *replicas, size_t place)
{
    for (size_t i = replicas->count; i-- > 0;)
        if (replicas->items[i].kill_at_ms == 0 && place-- == 0)
            return i;
    return 0;
}

void replicas_scale(struct replicas *replicas, int64_t count, int64_t now_ms)
{
    size_t wanted = count_wanted(replicas);
    for (; (int64_t)wanted < count; wanted++)
        add(replicas, now_ms);
    for (; (int64_t)wanted > count; wanted--) {
        size_t place = replicas->settings.stops_random ? clock_jitter((uint32_t)wanted) : 0;
        stop(replicas, find_wanted(replicas, place), now_ms);
    }
}

static bool has_ended(struct replica *replica)
{
    int status = 0;
    if (replica->pid == 0 || waitpid(replica->pid, &status, WNOHANG) != replica->pid)
        return false;
    replica->pid = 0;
    return true;
}

static void note_crash(struct replicas *replicas, struct replica *replica, int64_t now_ms)
{
    replicas->crashes++;
    if (now_ms - replica->started_ms > STEADY_MS)
        replica->restart_ms = FIRST_RESTART_MS;
    replica->restart_at_ms = now_ms + replica->restart_ms;
    if (replica->restart_ms < LONGEST_RESTART_MS)
        replica->restart_ms *= 2;
}

int64_t replicas_tick(struct replicas *replicas, int64_t now_ms)
{
    for (size_t i = replicas->count; i-- > 0;) {
        struct replica *replica = &replicas->items[i];
        bool is_stopping = replica->kill_at_ms != 0;
        if (has_ended(replica)) {
            if (is_stopping)
                drop(replicas, i);
            else
                note_crash(replicas, replica, now_ms);
        } else if (is_stopping && replica->kill_at_ms <= now_ms)
            kill(-replica->pid, SIGKILL);
        else if (replica->pid == 0 && replica->restart_at_ms <= now_ms)
            start(replicas, replica, now_ms);
    }
    return replicas->count == 0 ? CLOCK_NEVER : now_ms + TICK_MS;
}

int64_t replicas_ready(const struct replicas *replicas, int64_t now_ms)
{
    int64_t ready = 0;
    for (size_t i = 0; i < replicas->count; i++) {
        const struct replica *one = &replicas->items[i];
        ready += one->pid != 0 && one->kill_at_ms == 0 &&
                 now_ms - one->started_ms >= replicas->settings.startup_ms;
    }
    return ready;
}

void replicas_visit(const struct replicas *replicas, int64_t now_ms,
                    void (*visit)(void *context, const struct replica_info *info), void *context)
{
    for (size_t i = 0; i < replicas->count; i++) {
        const struct replica *one = &replicas->items[i];
        bool is_ready = now_ms - one->started_ms >= replicas->settings.startup_ms;
        visit(context, &(struct replica_info){.id = one->id,
                                              .number = one->number,
                                              .pid = one->pid,
                                              .started_ms = one->started_ms,
                                              .state = one->kill_at_ms != 0 ? "stopping"
                                                       : one->pid == 0      ? "restarting"
                                                       : is_ready           ? "running"
                                                                            : "starting"});
    }
}

int64_t replicas_crashes(const struct replicas *replicas)
{
    return replicas->crashes;
}

void replicas_free(struct replicas *replicas)
{
    if (replicas == NULL)
        return;
    replicas_scale(replicas, 0, clock_now_ms());
    while (replicas->count > 0) {
        replicas_tick(replicas, clock_now_ms());
        if (replicas->count > 0)
            poll(NULL, 0, 20);
    }
    free(replicas->items);
    free(replicas);
}
