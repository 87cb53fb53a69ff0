#include "base/system/process.h"

#include "base/memory.h"
#include "base/metric.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- /proc/PID/stat ---- */

static double seconds_of_ticks(const char *ticks)
{
    return strtod(ticks, NULL) / (double)sysconf(_SC_CLK_TCK);
}

/* The fields behind the program's name, which may have spaces, begin with the third (proc(5)). */
bool process_stat(pid_t pid, struct process_stat *ret_stat)
{
    enum { STATE = 3, UTIME = 14, CSTIME = 17, STARTTIME = 22, RSS = 24 };
    char path[64];
    char line[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const char *field = fgets(line, sizeof(line), file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);

    struct process_stat stat = {0};
    for (int i = STATE; i <= RSS; i++) {
        field = field == NULL ? NULL : strchr(field + 1, ' ');
        if (field == NULL)
            return false;
        if (i >= UTIME && i <= CSTIME)
            stat.cpu_seconds += seconds_of_ticks(field);
        else if (i == STARTTIME)
            stat.started_after_boot_s = seconds_of_ticks(field);
        else if (i == RSS)
            stat.resident_bytes = strtod(field, NULL) * (double)sysconf(_SC_PAGESIZE);
    }
    *ret_stat = stat;
    return true;
}

enum { TREE_DEPTH = 8 }; /* a process may get a new parent while it is read */

static void add_tree(pid_t pid, int depth, struct process_stat *sum);

/* Those that one thread has started. */
static void add_children(const char *path, int depth, struct process_stat *sum)
{
    FILE *file = fopen(path, "re");
    int child;
    if (file == NULL)
        return;
    while (fscanf(file, "%d", &child) == 1)
        add_tree(child, depth, sum);
    fclose(file);
}

static void add_tree(pid_t pid, int depth, struct process_stat *sum)
{
    struct process_stat stat;
    char path[64];
    if (depth == TREE_DEPTH || !process_stat(pid, &stat))
        return;
    sum->cpu_seconds += stat.cpu_seconds;
    sum->resident_bytes += stat.resident_bytes;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return;
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.')
            continue;
        _cleanup_(memory_free) char *children = text_format("%s/%s/children", path, task->d_name);
        add_children(children, depth + 1, sum);
    }
    closedir(tasks);
}

bool process_tree_stat(pid_t pid, struct process_stat *ret_stat)
{
    struct process_stat stat;
    struct process_stat sum = {0};
    if (!process_stat(pid, &stat))
        return false;
    sum.started_after_boot_s = stat.started_after_boot_s;
    add_tree(pid, 0, &sum);
    *ret_stat = sum;
    return true;
}

/* ---- memory ---- */

double process_own_bytes(pid_t pid)
{
    char path[64];
    double resident = 0;
    double shared = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*s %lf %lf", &resident, &shared) != 2)
        resident = shared = 0;
    fclose(file);
    return (resident - shared) * (double)sysconf(_SC_PAGESIZE);
}

/* INFINITY where there is no number, as `max`. */
static double number_in(const char *folder, const char *name)
{
    _cleanup_(memory_free) char *path = text_format("%s/%s", folder, name);
    double number = INFINITY;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return INFINITY;
    if (fscanf(file, "%lf", &number) != 1)
        number = INFINITY;
    fclose(file);
    return number;
}

double process_memory_limit(const char *folder)
{
    double second = number_in(folder, "memory.max");
    double first = number_in(folder, "memory/memory.limit_in_bytes");
    return second < first ? second : first;
}

/* ---- this process ---- */

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

double process_cpu_seconds(int whose)
{
    struct rusage usage;
    if (getrusage(whose, &usage) != 0)
        return NAN;
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

/* A field of /proc/self/status in its own unit; NAN where it cannot be read. */
static double status_field(const char *name)
{
    char line[256];
    double value = NAN;
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL)
        return NAN;
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtod(line + strlen(name) + 1, NULL);
    fclose(file);
    return value;
}

double process_mappable_bytes(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return INFINITY;
    return (double)limit.rlim_cur - status_field("VmSize") * 1024;
}

static double open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = -1; /* the folder's own */
    if (folder == NULL)
        return NAN;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static double max_descriptors(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : NAN;
}

static double now_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double started_s;

/* Once: the date may be set while we run, and what looks like another start is taken for a restart.
 */
static void find_start(void)
{
    struct process_stat stat;
    started_s = process_stat(getpid(), &stat)
                    ? now_s(CLOCK_REALTIME) - now_s(CLOCK_BOOTTIME) + stat.started_after_boot_s
                    : NAN;
}

static double start_s(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_start);
    return started_s;
}

void process_limit_cpu(unsigned seconds)
{
    struct rlimit limit;
    double used = process_cpu_seconds(RUSAGE_SELF);
    if (getrlimit(RLIMIT_CPU, &limit) != 0 || isnan(used))
        return;
    rlim_t wanted = (rlim_t)used + 1 + seconds; /* whole seconds */
    limit.rlim_cur = seconds == 0 || wanted > limit.rlim_max ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_CPU, &limit);
}

void process_hide_memory(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

uint64_t process_raise_descriptors(void)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit.rlim_max, limit.rlim_max}) == 0)
        return limit.rlim_max;
    return limit.rlim_cur;
}

/* ---- the page ---- */

void process_write_metrics(struct text *page)
{
    metric_single(page, "process_cpu_seconds_total", METRIC_COUNTER, "CPU time of the server.",
                  process_cpu_seconds(RUSAGE_SELF));
    metric_single(page, "process_resident_memory_bytes", METRIC_GAUGE, "Memory in use.",
                  status_field("VmRSS") * 1024);
    metric_single(page, "process_start_time_seconds", METRIC_GAUGE, "When the server started.",
                  start_s());
    metric_single(page, "backlog_threads", METRIC_GAUGE, "Threads.", status_field("Threads"));
    metric_single(page, "process_open_fds", METRIC_GAUGE, "Open descriptors.", open_descriptors());
    metric_single(page, "process_max_fds", METRIC_GAUGE, "Descriptors that may be open.",
                  max_descriptors());
}
