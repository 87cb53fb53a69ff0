/*
 * The workers of a ScaledObject or ScaledJob: pods, as the Kubernetes API lists them, what they use
 * (metrics.k8s.io), and what they say of themselves on /metrics and in their logs.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_KUBERNETES_WORKERS_WORKER_H
#define BACKLOG_KUBERNETES_WORKERS_WORKER_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKERS_MAX = 100 }; /* of one object; more are not listed */

/* The counter of a worker's /metrics that says how many jobs it has done; a sum, where it has
 * labels. */
#define WORKER_DONE_METRIC "worker_jobs_total"

struct worker {
    char *name; /* of the pod */
    char *uid;
    char *job;         /* that the pod belongs to; NULL: none */
    char *container;   /* the one whose log is shown */
    char *state;       /* the pod's phase; Terminating while it is deleted */
    char *reason;      /* why it waits or failed; NULL: nothing is wrong */
    char *metrics_url; /* of its /metrics, by the annotations prometheus.io/scrape, port, path; NULL
                        */
    bool is_ready;
    int64_t restarts;
    double created_s;               /* since 1970; NAN: not known */
    double cpu_cores, memory_bytes; /* NAN: not known */
    double done;                    /* jobs; NAN: it does not say */
};

struct worker_list {
    char *target; /* "Deployment renderer"; NULL: not known yet */
    struct worker *items;
    size_t count;
    bool has_more;            /* than WORKERS_MAX */
    struct error usage_error; /* why CPU and memory are not known */
};

void worker_list_done(struct worker_list *list);

/* Where the scale of a ScaledObject's target is: its path in the API, and its name for people. The
 * caller frees both. */
bool worker_target_parse(struct text reply, const char *namespace, char **ret_path, char **ret_name,
                         struct error *error);

/* The label selector of a Scale. The caller frees it. */
bool worker_selector_parse(struct text reply, char **ret_selector, struct error *error);

/* The pods of a PodList. */
bool worker_pods_parse(struct text reply, struct worker_list *ret_list, struct error *error);

/* Moves pods of `any`, a list that has more, to the list: those that it does not have, up to
 * WORKERS_MAX in all. */
void worker_list_fill(struct worker_list *list, struct worker_list *any);

/* Adds CPU and memory of a PodMetricsList to the pods that it names. */
bool worker_usage_parse(struct text reply, struct worker_list *list, struct error *error);

/* WORKER_DONE_METRIC in Prometheus' text format; NAN: it is not there. */
double worker_done_parse(struct text metrics);

/* The end of a pod's log. Start from {0}, with the container. */
struct worker_log_end {
    char *container;
    int lines;        /* of its end that are requested; 0: as many as are shown */
    struct text text; /* as it was read last, in whole characters */
};

enum {
    WORKER_LOG_MAX_BYTES = 64 << 10,
    WORKER_LOG_MAX_REPLY = 1 << 20, /* of which the end is kept */
};

void worker_log_done(struct worker_log_end *log);

/* The path that the end is read from. The caller frees it. */
char *worker_log_path(const struct worker_log_end *log, const char *namespace, const char *pod);

/* Keeps the end of a reply. False: it lacks the end of the log, which is to be requested again. */
bool worker_log_take(struct worker_log_end *log, struct text reply);

/* A quantity of Kubernetes, such as 250m, 12Mi or 1e3; NAN: it is none. For tests, too. */
double worker_quantity(const char *text);

#endif
