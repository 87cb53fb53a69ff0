#include "base/child.h"

#include "base/process.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utlist.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct child *living; /* utlist */

void child_began(struct child *child, pid_t pid)
{
    pthread_mutex_lock(&lock);
    child->pid = pid;
    DL_APPEND(living, child);
    pthread_mutex_unlock(&lock);
}

/* Under the lock its time moves from the living to the dead, and its number is not another's yet. */
bool child_has_ended(struct child *child, int *ret_status)
{
    *ret_status = 0;
    pthread_mutex_lock(&lock);
    bool has_ended = waitpid(child->pid, ret_status, WNOHANG) != 0;
    if (has_ended) {
        DL_DELETE(living, child);
        child->pid = 0;
    }
    pthread_mutex_unlock(&lock);
    return has_ended;
}

void child_kill(struct child *child)
{
    int status;
    siginfo_t end;
    kill(child->pid, SIGKILL);
    do
        waitid(P_PID, (id_t)child->pid, &end, WEXITED | WNOWAIT);
    while (!child_has_ended(child, &status));
}

void child_costs(struct child_costs *ret_costs)
{
    const struct child *child;
    *ret_costs = (struct child_costs){0};
    pthread_mutex_lock(&lock);
    ret_costs->cpu_seconds = process_cpu_seconds(RUSAGE_CHILDREN);
    DL_FOREACH(living, child)
    {
        struct process_stat stat;
        ret_costs->living++;
        /* It is not reaped yet, so where this fails there are no descriptors. */
        if (!process_stat(child->pid, &stat))
            stat.cpu_seconds = stat.resident_bytes = NAN;
        ret_costs->cpu_seconds += stat.cpu_seconds;
        ret_costs->resident_bytes += stat.resident_bytes;
    }
    pthread_mutex_unlock(&lock);
}
