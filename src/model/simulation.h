/*
 * A simulation: a trace of work, workers, and what KEDA and the HPA do with one set of settings.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MODEL_SIMULATION_H
#define BACKLOG_MODEL_SIMULATION_H

#include "model/model.h"
#include "model/trace.h"
#include "model/workers.h"
#include "scale/answer/hold.h"
#include "scale/policy/policy.h"

struct simulation_settings {
    struct model_settings model;
    double target;         /* threshold: work per replica */
    double activation;     /* activationThreshold: active above it */
    bool is_push;          /* external-push: the first message activates at once */
    bool counts_in_flight; /* the metric has what workers have taken and not finished */
    int64_t sync_offset_s; /* of the HPA's first sync behind KEDA's first poll */
    int64_t objective_s;   /* nobody should wait longer */
    struct workers_settings workers;
    bool has_policy; /* replicas by it, in place of the threshold alone */
    struct policy_settings policy;
    int64_t interval_s;              /* with a policy: between two measurements */
    int64_t outage_at_ms, outage_ms; /* measuring fails from then on for so long; 0: never */
    int64_t hold_ms;                 /* hold: how long an active trigger is held in an outage */
    int64_t hold_window_ms;          /* holdWindow */
    int64_t sample_s;                /* how long a sample is; 0: none are kept */
};

/* The largest of each within simulation_settings.sample_s, as it is after each second. */
struct simulation_sample {
    double arrivals;
    double waiting;
    double in_flight;
    double unfinished; /* waiting or in flight */
    double wait_s;     /* how long the oldest has been there */
    int64_t replicas;
    int64_t ready;
};

struct simulation {
    struct simulation_sample *samples;
    size_t sample_count;
    double replica_hours;
    double mean_wait_s;
    double max_wait_s;
    int64_t seconds_over; /* the objective */
    int64_t changes;      /* of the replicas */
    int64_t max_replicas;
    double arrived;
    double done;
};

/* The caller ends it with simulation_done(). */
void simulation_run(const struct simulation_settings *settings, const struct trace *trace,
                    struct simulation *ret_simulation);
void simulation_done(struct simulation *simulation);

#endif
