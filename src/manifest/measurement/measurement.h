/*
 * Measures every trigger of some manifests once, in this process, as the server would: the same
 * table of triggers, the same engine. And what KEDA and the HPA would make of it, by the model.
 *
 * Threads: one; the engine has its own.
 */
#ifndef BACKLOG_MANIFEST_MEASUREMENT_MEASUREMENT_H
#define BACKLOG_MANIFEST_MEASUREMENT_MEASUREMENT_H

#include "config/connections.h"
#include "manifest/manifest.h"
#include "measure/scaler.h"
#include "model/model.h"

struct measured_trigger {
    size_t index;      /* among spec.triggers */
    const char *type;  /* borrowed */
    char *metric_name; /* NULL where it could not be parsed */
    struct model_answer answer;
    struct error error; /* where it failed */
};

struct measured_object {
    const struct manifest_object *object;
    struct measured_trigger *triggers; /* of sources: without cpu and memory */
    size_t count;
};

struct measurement {
    struct measured_object *items;
    size_t count;
};

struct measurement_settings {
    const struct scaler *const *scalers;
    struct connections *connections;     /* taken; may be NULL */
    const char *namespace;               /* of manifests without one */
    int64_t deadline_ms;                 /* for all of them together */
    const struct option_list *variables; /* of this process's environment, that may be used for the
                                            worker's; NULL: none */
    bool has_kubernetes; /* a trigger for Backlog has its own authentication's parameters, too */
    bool is_of_cluster;  /* only triggers of KEDA's own types, and without variables: others wrote
                           them */
};

/* Blocks until all are measured, or the deadline. The caller ends it with measurement_done(). */
void measurement_run(const struct measurement_settings *settings, const struct manifests *manifests,
                     struct measurement *ret_measurement);

/* The same again and again, with the connections that there are: each round renews the answers of
 * the measurement, which outlives the rounds. None is from a reading of before its round. */
struct measurement_rounds *measurement_begin(const struct measurement_settings *settings,
                                             const struct manifests *manifests,
                                             struct measurement *ret_measurement);
void measurement_round(struct measurement_rounds *rounds);
void measurement_end(struct measurement_rounds *rounds);

/* For who measures in another way: a place for each trigger, whose number it returns. */
size_t measurement_prepare(const struct manifests *manifests, struct measurement *ret_measurement);

void measurement_done(struct measurement *measurement);

#endif
