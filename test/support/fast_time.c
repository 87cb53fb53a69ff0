#include "support/fast_time.h"

#include "base/clock.h"
#include "support/black_hole.h"
#include "support/listener.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

enum {
    MAX_POLLS = 10000, /* at one moment; more than there is to be received */
    LOST_MS = 50,      /* of real time */
};

static _Atomic int64_t now_ms = 1000000;
static size_t polls; /* since time has passed */
static int64_t peers_cpu_us;
static struct fast_time_peer *peers;

void fast_time_add(struct fast_time_peer *peer)
{
    DL_APPEND(peers, peer);
}

void fast_time_remove(struct fast_time_peer *peer)
{
    DL_DELETE(peers, peer);
}

/* ---- whether something is on its way ---- */

static int64_t real_now_ms(void)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Where a host loses packets, one that has not arrived by then is lost. */
static bool are_settled(const struct pollfd *descriptors, nfds_t count, int64_t since_ms)
{
    bool settled = true;
    bool has_loss = black_holes() > 0 && real_now_ms() - since_ms > LOST_MS;
    for (nfds_t i = 0; i < count; i++) {
        int fd = descriptors[i].fd;
        settled = (socket_is_settled(fd) || (has_loss && socket_is_connecting(fd))) && settled;
    }
    return settled;
}

static bool read_status(int tasks, const char *thread, char *status, size_t size)
{
    char name[NAME_MAX + sizeof("/status")];
    snprintf(name, sizeof(name), "%s/status", thread);
    int file = tasks < 0 ? -1 : openat(tasks, name, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, status, size - 1);
    if (file >= 0)
        close(file);
    status[length < 0 ? 0 : length] = '\0';
    return length > 0;
}

/* False: it runs, or is about to. Adds how often it has run. */
static bool waits(const char *status, uint64_t *runs)
{
    for (const char *at = status; (at = strstr(at, "voluntary_ctxt_switches:")) != NULL; at++)
        *runs += strtoull(strchr(at, ':') + 1, NULL, 10);
    return strstr(status, "State:\tS") != NULL;
}

static bool look(uint64_t *ret_runs)
{
    char self[16];
    bool wait = true;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        abort();
    snprintf(self, sizeof(self), "%d", (int)getpid());
    *ret_runs = 0;
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char status[4096];
        if (task->d_name[0] == '.' || strcmp(task->d_name, self) == 0)
            continue;
        if (read_status(dirfd(tasks), task->d_name, status, sizeof(status)))
            wait = waits(status, ret_runs) && wait;
        ++*ret_runs;
    }
    closedir(tasks);
    return wait;
}

/* Of sockets that only other threads know. */
static bool are_all_settled(void)
{
    bool settled = true;
    DIR *descriptors = opendir("/proc/self/fd");
    if (descriptors == NULL)
        abort();
    for (const struct dirent *each; (each = readdir(descriptors)) != NULL;) {
        int fd = each->d_name[0] == '.' ? -1 : (int)strtol(each->d_name, NULL, 10);
        settled = (socket_is_settled(fd) || socket_is_connecting(fd)) && settled;
    }
    closedir(descriptors);
    return settled;
}

/* One by one says little, as those that were seen first may have been woken by the last. If none
 * has run between two looks, all waited in the moment between them, and nothing was on its way. */
static bool all_others_wait(void)
{
    enum { ALONE = 3 }; /* links of the folder: its own two, and that of the main thread */
    struct stat tasks;
    uint64_t before = 0;
    uint64_t after = 0;
    if (stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == ALONE)
        return true;
    if (look(&before) && are_all_settled() && look(&after) && before == after)
        return true;
    sched_yield();
    return false;
}

/* ---- time ---- */

static int64_t cpu_us(void)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The test ends, and says why: an abort alone tells nothing in the report of a test that goes well
 * on every other day. */
static void end_test(const char *why)
{
    fprintf(stderr, "fast time: %s at %" PRId64 " ms\n", why, (int64_t)now_ms);
    abort();
}

static int64_t work(void)
{
    int64_t next_ms = CLOCK_NEVER;
    int64_t began_us = cpu_us();
    struct fast_time_peer *peer;
    struct fast_time_peer *next;
    DL_FOREACH_SAFE(peers, peer, next)
        next_ms = clock_earlier(next_ms, peer->work(peer->context));
    peers_cpu_us += cpu_us() - began_us;
    return next_ms;
}

int64_t fast_time_cpu_ms(void)
{
    return (cpu_us() - peers_cpu_us) / 1000;
}

static void pass_until(int64_t until_ms)
{
    if (until_ms == CLOCK_NEVER)
        end_test("all would wait for ever");
    if (until_ms <= now_ms)
        return;
    now_ms = until_ms;
    polls = 0;
}

void fast_time_pass(int64_t ms)
{
    for (int64_t end_ms = now_ms + ms, next_ms = work(); now_ms < end_ms; next_ms = work())
        if (all_others_wait())
            pass_until(clock_earlier(next_ms, end_ms));
}

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    bool is_date = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (is_date || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
        return (int)syscall(SYS_clock_gettime, clock, ret_now);
    *ret_now = (struct timespec){.tv_sec = now_ms / 1000, .tv_nsec = now_ms % 1000 * 1000000};
    return 0;
}

static int poll_now(struct pollfd *descriptors, nfds_t count)
{
    return (int)syscall(SYS_poll, descriptors, count, 0);
}

/* In the place of the C library's. */
int poll(struct pollfd *descriptors, nfds_t count, int timeout_ms)
{
    if (gettid() != getpid())
        return (int)syscall(SYS_poll, descriptors, count, timeout_ms);
    if (++polls > MAX_POLLS)
        end_test("it polls again and again without waiting");
    int64_t end_ms = timeout_ms < 0 ? CLOCK_NEVER : now_ms + timeout_ms;
    for (int64_t since_ms = real_now_ms();;) {
        bool settled =
            are_settled(descriptors, count, since_ms); /* before: else the peer may not have it */
        int64_t next_ms = work();
        settled = all_others_wait() && settled;
        int ready = poll_now(descriptors, count);
        if (ready != 0 || now_ms >= end_ms)
            return ready;
        if (settled)
            pass_until(clock_earlier(next_ms, end_ms));
    }
}
