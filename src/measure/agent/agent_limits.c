#include "measure/agent/agent_limits.h"

#include "base/system/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool is_limited = false;
#else
static const bool is_limited = true;
#endif

enum {
    /* The stack of a thread that a client library starts. All of it counts for the limit, used or
     * not, and the default is 8 MiB. With musl's default of 128 KiB the libraries run in many
     * images. */
    STACK_BYTES = 128 * 1024,
    BELOW_SERVER = 5, /* added to the nice value */
    LARGE_BYTES = 128 * 1024,
};

/* Sets the kernel's highest value, for which a process needs no privilege. */
static void die_first(void)
{
    static const char highest[] = "1000";
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t written = write(file, highest, strlen(highest));
    (void)written; /* if it failed, the kernel chooses by size */
    close(file);
}

static void limit_stacks(void)
{
    pthread_attr_t attributes;
    if (!is_limited || pthread_attr_init(&attributes) != 0)
        return;
    if (pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0)
        pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

/* Only the server ends an agent. A terminal, or `systemctl kill`, also sends the server's signals
 * to its agents. */
static void ignore_signals(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* the server's next message has the new level of the log */
    signal(SIGPIPE, SIG_IGN);
}

void agent_limits_prepare(void)
{
    /* If CPUs are scarce the server comes first. It also has to watch the memory of its agents. */
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + BELOW_SERVER);
    die_first(); /* before process_hide_memory(), which makes root the owner of its /proc files */
    process_hide_memory();
    ignore_signals();
    mallopt(M_ARENA_MAX, 1); /* each arena maps 64 MiB */

    /* What is large counts for the limit as long as it is used, and once: by default glibc keeps
     * what was freed in a heap with holes, and copies there what grows. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    limit_stacks();
}

/* 0: unknown. */
static size_t mapped_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

void agent_limits_memory(size_t bytes)
{
    size_t mapped = mapped_bytes();
    struct rlimit limit;
    if (!is_limited || bytes == 0 || mapped == 0 || getrlimit(RLIMIT_AS, &limit) != 0)
        return;
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < mapped + bytes)
        return;
    limit.rlim_cur = limit.rlim_max = mapped + bytes;
    setrlimit(RLIMIT_AS, &limit);
}
