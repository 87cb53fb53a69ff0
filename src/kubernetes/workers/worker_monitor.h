/*
 * Reads what somebody views: the workers of ScaledObjects and ScaledJobs, the ends of their logs,
 * and how many replicas the HPA of a ScaledObject counts. What was asked for within the last ten
 * seconds is read again every three, a log every second. Nothing is requested otherwise.
 *
 * Which pods and which HPA a ScaledObject has is read every minute, then each time its pods and
 * their use of CPU and memory, or the HPA. At most 20 requests of the API begin per second. The
 * /metrics of the first 32 pods that say they have some are requested while other objects are read;
 * where none of them responds, again after a minute.
 *
 * It polls, and shares nothing with the informer: there is no right to watch pods, and a cluster
 * whose metrics-server is gone must not look, to the credentials of triggers, like an API that is.
 *
 * Threads: one of its own does all requests; the functions may be called from any, and wait for
 * none.
 */
#ifndef BACKLOG_KUBERNETES_WORKERS_WORKER_MONITOR_H
#define BACKLOG_KUBERNETES_WORKERS_WORKER_MONITOR_H

#include "base/error.h"
#include "base/text.h"
#include "kubernetes/api/api.h"
#include "kubernetes/workers/worker.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORKER_OBJECTS_MAX = 200 };

struct worker_monitor;

/* Takes the API. */
struct worker_monitor *worker_monitor_start(struct kubernetes_api *api);

/* NULL is harmless. False: its thread hangs (kubernetes_api_join()), and the process must end
 * without it. */
bool worker_monitor_stop(struct worker_monitor *monitor);

/* What is viewed: the workers of an object, the replicas of its HPA, or the log of a pod. */
enum worker_view_kind { WORKER_VIEW_PODS, WORKER_VIEW_REPLICAS, WORKER_VIEW_LOG, WORKER_VIEWS };

struct worker_view {
    const char *namespace, *name;
    int64_t read_ms;                /* clock_now_ms() when the following was read; 0: not yet */
    const struct error *error;      /* why reading failed last; what is known is older then */
    const struct worker_list *list; /* of WORKER_VIEW_PODS */
    const char *hpa;                /* of WORKER_VIEW_REPLICAS: its name; NULL: not known yet */
    int64_t replicas;               /* ... that it counts */
};

/* Somebody views this of an object, whose names are valid: calls `visit` with what is known, under
 * the monitor's lock, so that it must be quick. Not of WORKER_VIEW_LOG. False: WORKER_OBJECTS_MAX
 * others are viewed. */
bool worker_monitor_view(struct worker_monitor *monitor, enum worker_view_kind kind,
                         const char *namespace, const char *name,
                         void (*visit)(void *context, const struct worker_view *view),
                         void *context);

/* Somebody views the log of a pod, which must be one of those listed: what was read last of its
 * end. False with `is_known` where it is not read yet, and otherwise with the error. */
bool worker_monitor_log(struct worker_monitor *monitor, const char *namespace, const char *pod,
                        bool *ret_is_known, struct text *ret_text, struct error *error);

#endif
