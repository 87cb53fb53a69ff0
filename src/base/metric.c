#include "base/metric.h"

#include "base/memory.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const double bounds[HISTOGRAM_BUCKETS] = {0.0001, 0.0005, 0.001, 0.0025, 0.01, 0.025,
                                                 0.1,    0.25,   1,     2.5,    10};

void metric_family(struct text *page, const char *name, enum metric_type type, const char *help)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    text_addf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static void add_sample(struct text *page, const char *name, const char *suffix, const char *labels,
                       double value)
{
    bool has_labels = labels != NULL && labels[0] != '\0';
    text_addf(page, "%s%s%s%s%s ", name, suffix, has_labels ? "{" : "", has_labels ? labels : "",
              has_labels ? "}" : "");
    if (isnan(value))
        text_add(page, "NaN\n");
    else
        text_addf(page, "%.15g\n", value);
}

void metric_sample(struct text *page, const char *name, const char *labels, double value)
{
    add_sample(page, name, "", labels, value);
}

void metric_single(struct text *page, const char *name, enum metric_type type, const char *help,
                   double value)
{
    metric_family(page, name, type, help);
    metric_sample(page, name, NULL, value);
}

void histogram_add(struct histogram *histogram, double seconds)
{
    size_t bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS && seconds > bounds[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += seconds;
}

void metric_histogram(struct text *page, const char *name, const char *labels,
                      const struct histogram *histogram)
{
    const char *comma = labels == NULL || labels[0] == '\0' ? "" : ",";
    const char *own = labels == NULL ? "" : labels;
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < HISTOGRAM_BUCKETS)
            snprintf(bound, sizeof(bound), "%g", bounds[i]);
        _cleanup_(memory_free) char *all = text_format("%s%sle=\"%s\"", own, comma, bound);
        count += histogram->counts[i];
        add_sample(page, name, "_bucket", all, (double)count);
    }
    add_sample(page, name, "_sum", labels, histogram->sum);
    add_sample(page, name, "_count", labels, (double)count);
}

/* ---- this process ---- */

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
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

static double most_descriptors(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : NAN;
}

/* Since the process began, its children's included once they have ended. */
static double cpu_seconds(int who)
{
    struct rusage usage;
    if (getrusage(who, &usage) != 0)
        return NAN;
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

/* Unix time. The kernel counts ticks since the machine's start; the fields behind the program's name, which
 * may have spaces, begin with the third. */
static double started_at(void)
{
    char line[1024] = "";
    struct timespec up;
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return NAN;
    const char *field = fgets(line, sizeof(line), file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);
    for (int i = 2; i < 22 && field != NULL; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL)
        return NAN;
    clock_gettime(CLOCK_BOOTTIME, &up);
    double running = (double)up.tv_sec - strtod(field, NULL) / (double)sysconf(_SC_CLK_TCK);
    return floor((double)time(NULL) - running);
}

void metric_process(struct text *page)
{
    metric_single(page, "process_cpu_seconds_total", METRIC_COUNTER, "CPU time of the server.",
                  cpu_seconds(RUSAGE_SELF));
    metric_single(page, "backlog_children_cpu_seconds_total", METRIC_COUNTER,
                  "CPU time of the child processes that have ended.", cpu_seconds(RUSAGE_CHILDREN));
    metric_single(page, "process_resident_memory_bytes", METRIC_GAUGE, "Memory in use.",
                  status_field("VmRSS") * 1024);
    metric_single(page, "process_start_time_seconds", METRIC_GAUGE, "When the server started.",
                  started_at());
    metric_single(page, "backlog_threads", METRIC_GAUGE, "Threads.", status_field("Threads"));
    metric_single(page, "process_open_fds", METRIC_GAUGE, "Open descriptors.", open_descriptors());
    metric_single(page, "process_max_fds", METRIC_GAUGE, "Descriptors that may be open.",
                  most_descriptors());
}
