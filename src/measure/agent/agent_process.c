#include "measure/agent/agent_process.h"

#include "base/metric.h"
#include "base/system/process.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct agent_process *running; /* utlist */

void agent_process_began(struct agent_process *process, pid_t pid)
{
    pthread_mutex_lock(&lock);
    process->pid = pid;
    process->is_killed = false;
    DL_APPEND(running, process);
    pthread_mutex_unlock(&lock);
}

/* The lock keeps two things together: the process leaves the list at the moment at which its CPU
 * time counts among those that have ended; and nobody in the list has a pid that is free again. */
bool agent_process_has_ended(struct agent_process *process, int *ret_status)
{
    *ret_status = 0;
    pthread_mutex_lock(&lock);
    bool has_ended = waitpid(process->pid, ret_status, WNOHANG) != 0;
    if (has_ended) {
        DL_DELETE(running, process);
        process->pid = 0;
    }
    pthread_mutex_unlock(&lock);
    return has_ended;
}

void agent_process_kill(struct agent_process *process)
{
    int status;
    siginfo_t end;
    kill(process->pid, SIGKILL);
    do
        waitid(P_PID, (id_t)process->pid, &end, WEXITED | WNOWAIT);
    while (!agent_process_has_ended(process, &status));
}

void agent_process_costs(struct agent_process_costs *ret_costs)
{
    const struct agent_process *process;
    *ret_costs = (struct agent_process_costs){0};
    pthread_mutex_lock(&lock);
    ret_costs->cpu_seconds = process_cpu_seconds(RUSAGE_CHILDREN);
    DL_FOREACH(running, process) {
        struct process_stat stat;
        ret_costs->count++;
        /* The process is not reaped, so that this fails only if no descriptor is left. */
        if (!process_stat(process->pid, &stat))
            stat.cpu_seconds = stat.resident_bytes = NAN;
        ret_costs->cpu_seconds += stat.cpu_seconds;
        ret_costs->resident_bytes += stat.resident_bytes;
    }
    pthread_mutex_unlock(&lock);
}

/* The memory of all agents that were not killed. The caller has the lock. */
static double measure_memory(void)
{
    struct agent_process *process;
    double all = 0;
    DL_FOREACH(running, process) {
        process->bytes = process->is_killed ? 0 : process_own_bytes(process->pid);
        all += process->bytes;
    }
    return all;
}

/* The next agent to be killed; NULL: none has memory of its own. The caller has the lock. */
static struct agent_process *find_next_to_kill(void)
{
    struct agent_process *process;
    struct agent_process *found = NULL;
    DL_FOREACH(running, process)
        if (process->bytes > (found == NULL ? 0 : found->bytes))
            found = process;
    return found;
}

/* The owner of a killed process sees its end as any other end. */
size_t agent_processes_keep_below(double bytes, double spared, double *ret_used)
{
    struct agent_process *next;
    size_t killed = 0;
    double own = process_own_bytes(getpid());
    pthread_mutex_lock(&lock);
    double all = measure_memory();
    while (all > fmax(bytes - own, spared) && (next = find_next_to_kill()) != NULL) {
        kill(next->pid, SIGKILL);
        all -= next->bytes;
        next->bytes = 0;
        next->is_killed = true;
        killed++;
    }
    *ret_used = own + all;
    pthread_mutex_unlock(&lock);
    return killed;
}

void agent_processes_write_metrics(struct text *page)
{
    struct agent_process_costs costs;
    agent_process_costs(&costs);
    metric_single(page, "backlog_agent_processes", METRIC_GAUGE,
                  "Agent processes that run, each with one connection.", (double)costs.count);
    metric_single(page, "backlog_agent_processes_cpu_seconds_total", METRIC_COUNTER,
                  "CPU time of the agent processes, those that have ended included.",
                  costs.cpu_seconds);
    metric_single(page, "backlog_agent_processes_resident_memory_bytes", METRIC_GAUGE,
                  "Memory of the agent processes; what they share is counted for each.",
                  costs.resident_bytes);
}
