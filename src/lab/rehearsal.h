/*
 * A rehearsal: the model of KEDA and the HPA in real time, or faster, against a running server,
 * with local workers or none. Here is its state.
 *
 * The command (rehearse.c) makes the parts, in this order, and lends them: the objects
 * (rehearsal_objects.h); with --http the logs of the workers (worker_logs.h) and the pages
 * (rehearsal_http.h, which show a rehearsal_snapshot.h and a server's server_tables.h); with
 * --server-http what is in flight (server_in_flight.h). rehearsal_init() makes the models and the
 * workers (worker_group.h). Then rehearsal_run.h is the loop, and rehearsal_output.h prints.
 *
 * Threads: one.
 */
#ifndef BACKLOG_LAB_REHEARSAL_H
#define BACKLOG_LAB_REHEARSAL_H

#include "client/endpoints.h"
#include "client/scaler_client.h"
#include "lab/server_in_flight.h"
#include "lab/worker_group.h"
#include "model/model.h"
#include "model/scaled_object.h"

enum { REHEARSAL_STREAM_RETRY_MS = 2000 }; /* as KEDA, in the model's time */

struct rehearsal;

struct rehearsal_settings {
    const struct scaled_objects *objects;
    const char *server; /* NULL: the scalerAddress of each trigger */
    struct grpc_socket_tls tls;
    double speed; /* seconds of the model per second */
    int64_t sync_ms;
    int64_t duration_ms;      /* 0: until `stop` */
    int64_t deadline_ms;      /* for the calls of one answer */
    int64_t initial_replicas; /* -1: minReplicaCount */
    const char *worker;       /* a shell command; NULL: a dry run */
    struct worker_group_settings workers;
    struct server_in_flight *in_flight; /* borrowed; NULL: unknown */
    void (*watch)(void *context, const struct rehearsal *rehearsal,
                  int64_t now_ms); /* in each turn; or NULL */
    void *watch_context;
    bool is_json;
};

struct rehearsal_trigger {
    struct rehearsal_object *of;
    const struct scaled_object_trigger *trigger;
    struct endpoint *endpoint;
    struct scaler_client_ref ref;
    bool is_push;
    struct grpc_client_call *stream; /* StreamIsActive, or NULL */
    int64_t stream_retry_at_ms;
    int64_t stream_backoff_ms;
    struct scaler_client_answer answer; /* the last */
    double in_flight;                   /* NAN: unknown */
    double *values, *in_flights;        /* one per line of the object, for the plot */
    size_t values_capacity, in_flights_capacity;
};

/* The totals of a run. */
struct rehearsal_summary {
    double replica_seconds;   /* of the model's time, as the rest */
    double without_replica_s; /* active, and none is ready */
    int64_t min_replicas, max_replicas;
    int64_t changes;
    int64_t pushes;
    int64_t answers, failed_answers;
};

struct rehearsal_object {
    const struct scaled_object *object;
    char *label; /* "namespace/name" */
    struct model model;
    struct rehearsal_trigger *triggers; /* its own, among those of all */
    struct model_answer answers[MODEL_MAX_TRIGGERS];
    struct worker_group *workers; /* NULL: a dry run */
    bool is_due;                  /* to be read in this turn */
    char *keda_text, *hpa_text;   /* the last decisions */
    enum model_reason keda_reason;
    struct rehearsal_summary summary;
    double *replica_counts; /* one per line, for the plot */
    size_t lines, counts_capacity;
};

struct rehearsal {
    const struct rehearsal_settings *settings;
    struct endpoints endpoints;
    struct rehearsal_object *items;
    size_t count;
    struct rehearsal_trigger *triggers; /* of all items */
    size_t trigger_count;
    int64_t began_ms;
    int64_t next_line_ms;
};

/* Prepares: addresses, models, workers. The caller ends it with rehearsal_done(), which stops the
 * workers. */
bool rehearsal_init(struct rehearsal *rehearsal, const struct rehearsal_settings *settings,
                    struct error *error);
void rehearsal_done(struct rehearsal *rehearsal);

/* Seconds of the model since the beginning. */
double rehearsal_time_s(const struct rehearsal *rehearsal, int64_t now_ms);

/* How many of the object's replicas work. Without workers all that there are to be. */
int64_t rehearsal_ready(const struct rehearsal_object *one, int64_t now_ms);

#endif
