#include "lab/worker_group.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "lab/worker_supervisor.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIRST_RESTART_MS = 1000,
    LONGEST_RESTART_MS = 60 * 1000,
    STEADY_MS = 120 * 1000,
    TICK_MS = 200
};

/* A worker; its process is another when it has ended by itself. */
struct worker_process {
    pid_t pid; /* of its supervisor; 0: none now */
    uint64_t id;
    int64_t number;
    int64_t started_ms;
    int64_t restart_at_ms; /* where there is no process */
    int64_t restart_ms;    /* the next back-off */
    int64_t kill_at_ms;    /* 0: it is not being stopped */
};

struct worker_group {
    struct worker_group_settings settings;
    struct worker_process *items; /* the oldest first */
    size_t count, capacity;
    int64_t started; /* ever, for the numbers */
    int64_t crashes;
};

struct worker_group *worker_group_new(const struct worker_group_settings *settings)
{
    struct worker_group *group = memory_new(sizeof(*group));
    group->settings = *settings;
    return group;
}

/* Ours, with what says which worker it is. The caller frees the last two, and the list. */
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
 * this program is started again. `output`: where to write; -1: to our own standard error. Returns
 * errno. */
static int spawn_worker(const struct worker_group_settings *settings, int64_t number, int output,
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
    char *arguments[] = {(char[]){"backlog"},
                         (char[]){WORKER_SUPERVISOR_COMMAND},
                         (char[]){"--"},
                         parent,
                         command,
                         NULL};

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGCHLD);
    sigaddset(&usual, SIGHUP);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGQUIT);
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

static void start(struct worker_group *group, struct worker_process *process, int64_t now_ms)
{
    struct worker_logs *logs = group->settings.logs;
    int output = logs == NULL ? -1 : worker_logs_open(logs, process->id);
    int failure = spawn_worker(&group->settings, process->number, output, &process->pid);
    if (output >= 0)
        close(output);
    if (failure != 0) {
        log_warning("a worker could not be started: %s", strerror(failure));
        process->pid = 0;
        process->restart_at_ms = now_ms + LONGEST_RESTART_MS;
        return;
    }
    process->started_ms = now_ms;
}

static void add(struct worker_group *group, int64_t now_ms)
{
    group->items =
        memory_grow(group->items, &group->capacity, group->count + 1, sizeof(*group->items));
    struct worker_process *process = &group->items[group->count++];
    uint64_t *last_id = group->settings.last_id;
    *process = (struct worker_process){.id = last_id == NULL ? 0 : ++*last_id,
                                       .number = ++group->started,
                                       .restart_ms = FIRST_RESTART_MS};
    start(group, process, now_ms);
}

static void drop(struct worker_group *group, size_t index)
{
    group->count--;
    memmove(&group->items[index], &group->items[index + 1],
            (group->count - index) * sizeof(*group->items));
}

static void stop(struct worker_group *group, size_t index, int64_t now_ms)
{
    struct worker_process *process = &group->items[index];
    if (process->pid == 0) {
        drop(group, index);
        return;
    }
    process->kill_at_ms = now_ms + group->settings.grace_ms;
    kill(process->pid, SIGTERM);
}

/* Also of one that was suspended. */
static void kill_worker(const struct worker_process *process)
{
    kill(process->pid, SIGHUP);
    kill(process->pid, SIGCONT);
}

static size_t count_wanted(const struct worker_group *group)
{
    size_t wanted = 0;
    for (size_t i = 0; i < group->count; i++)
        wanted += group->items[i].kill_at_ms == 0;
    return wanted;
}

/* The index of the `place`th worker, from the newest on, that is not being stopped. */
static size_t find_wanted(const struct worker_group *group, size_t place)
{
    for (size_t i = group->count; i-- > 0;)
        if (group->items[i].kill_at_ms == 0 && place-- == 0)
            return i;
    return 0;
}

void worker_group_scale(struct worker_group *group, int64_t count, int64_t now_ms)
{
    size_t wanted = count_wanted(group);
    for (; (int64_t)wanted < count; wanted++)
        add(group, now_ms);
    for (; (int64_t)wanted > count; wanted--) {
        size_t place = group->settings.stops_random ? clock_jitter((uint32_t)wanted) : 0;
        stop(group, find_wanted(group, place), now_ms);
    }
}

/* A supervisor that was killed has left its group behind. Until it is waited for nobody else has
 * its number. */
static bool has_ended(struct worker_process *process)
{
    siginfo_t info = {0};
    if (process->pid == 0 ||
        waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return false;
    kill(-process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    process->pid = 0;
    return true;
}

static void note_crash(struct worker_group *group, struct worker_process *process, int64_t now_ms)
{
    group->crashes++;
    if (now_ms - process->started_ms > STEADY_MS)
        process->restart_ms = FIRST_RESTART_MS;
    process->restart_at_ms = now_ms + process->restart_ms;
    if (process->restart_ms < LONGEST_RESTART_MS)
        process->restart_ms *= 2;
}

int64_t worker_group_tick(struct worker_group *group, int64_t now_ms)
{
    for (size_t i = group->count; i-- > 0;) {
        struct worker_process *process = &group->items[i];
        bool is_stopping = process->kill_at_ms != 0;
        if (has_ended(process)) {
            if (is_stopping)
                drop(group, i);
            else
                note_crash(group, process, now_ms);
        } else if (is_stopping && process->kill_at_ms <= now_ms)
            kill_worker(process);
        else if (process->pid == 0 && process->restart_at_ms <= now_ms)
            start(group, process, now_ms);
    }
    return group->count == 0 ? CLOCK_NEVER : now_ms + TICK_MS;
}

int64_t worker_group_ready(const struct worker_group *group, int64_t now_ms)
{
    int64_t ready = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct worker_process *one = &group->items[i];
        ready += one->pid != 0 && one->kill_at_ms == 0 &&
                 now_ms - one->started_ms >= group->settings.startup_ms;
    }
    return ready;
}

void worker_group_visit(const struct worker_group *group, int64_t now_ms,
                        void (*visit)(void *context, const struct worker_info *info), void *context)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct worker_process *one = &group->items[i];
        bool is_ready = now_ms - one->started_ms >= group->settings.startup_ms;
        visit(context, &(struct worker_info){.id = one->id,
                                             .number = one->number,
                                             .pid = one->pid,
                                             .started_ms = one->started_ms,
                                             .state = one->kill_at_ms != 0 ? "stopping"
                                                      : one->pid == 0      ? "restarting"
                                                      : is_ready           ? "running"
                                                                           : "starting"});
    }
}

int64_t worker_group_crashes(const struct worker_group *group)
{
    return group->crashes;
}

void worker_group_free(struct worker_group *group)
{
    if (group == NULL)
        return;
    worker_group_scale(group, 0, clock_now_ms());
    while (group->count > 0) {
        worker_group_tick(group, clock_now_ms());
        if (group->count > 0)
            poll(NULL, 0, 20);
    }
    free(group->items);
    free(group);
}
