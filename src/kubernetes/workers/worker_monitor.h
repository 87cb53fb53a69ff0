/*
 * Reads the workers of ScaledObjects and ScaledJobs, and their logs, while somebody views them:
 * what was asked for within the last ten seconds is read again every three. Nothing is requested
 * otherwise.
 *
 * The selector of a ScaledObject's target is read from the API every minute, then each time its
 * pods and their use of CPU and memory. At most 20 requests of the API begin per second. Then the
 * /metrics of the first 32 pods that say they have some are requested, while other objects are
 * read; where none of them responds, again after a minute.
 *
 * Threads: one of its own does all requests; the functions may be called from any, and wait for
 * none.
 */
#ifndef BACKLOG_KUBERNETES_WORKERS_WORKER_MONITOR_H
#define BACKLOG_KUBERNETES_WORKERS_WORKER_MONITOR_H

#include "base/error.h"
#include "base/text.h"
#include "kubernetes/api/api.h"
#include "kubernetes/workers/pod_logs.h"
#include "kubernetes/workers/worker.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORKER_OBJECTS_MAX = 200 };

struct worker_monitor;

/* Takes the API. */
struct worker_monitor *worker_monitor_start(struct kubernetes_api *api);
void worker_monitor_stop(struct worker_monitor *monitor); /* NULL is harmless */

/* What is known of an object's workers. */
struct worker_view {
    const char *namespace, *name;
    const struct worker_list *list;
    int64_t read_ms;           /* clock_now_ms() when the list was read; 0: not yet */
    const struct error *error; /* why reading failed last; the list is then an older one */
};

/* Somebody views the object: calls `visit` with what is known, under the monitor's lock, so that
 * it must be quick. False: more than WORKER_OBJECTS_MAX objects are viewed. */
bool worker_monitor_view(struct worker_monitor *monitor, const char *namespace, const char *name,
                         void (*visit)(void *context, const struct worker_view *view),
                         void *context);

/* Somebody views the log of a pod, which must be one of those listed: what was read last of its
 * end. False with `is_known` where it is not read yet, and otherwise with the error. */
bool worker_monitor_log(struct worker_monitor *monitor, const char *namespace, const char *pod,
                        bool *ret_is_known, struct text *ret_text, struct error *error);

#endif
