/*
 * What parsing (parse.h) makes of the metadata of a trigger.
 *
 * Threads: as the trigger's.
 */
#ifndef BACKLOG_SCALE_TRIGGER_PARSED_H
#define BACKLOG_SCALE_TRIGGER_PARSED_H

#include "base/error.h"
#include "config/option.h"
#include "measure/scaler.h"
#include "scale/answer.h"

/* Of a trigger that has no better one. */
#define TRIGGER_INVALID_METRIC "backlog-invalid"

/* Bytes: they are kept, and repeated in each answer. */
enum { TRIGGER_MAX_MISTAKES = 2 << 10 };

/* What the Kubernetes API has that a trigger needs. */
enum trigger_needs {
    TRIGGER_NEEDS_SECRET = 1, /* with connections, of its namespace: the file has none for it */
    TRIGGER_NEEDS_CREDENTIALS = 2, /* of its own (connections/own_credentials.h) */
    TRIGGER_NEEDS_HPA = 4,         /* what is known of the HPA of its ScaledObject */
    TRIGGER_NEEDS_OBJECT = TRIGGER_NEEDS_CREDENTIALS | TRIGGER_NEEDS_HPA,
};

/* What became of the metadata: the first phases of a trigger (trigger.h). */
enum trigger_phase {
    PHASE_INVALID,     /* mistakes: metadata without them makes another trigger */
    PHASE_UNCONNECTED, /* there is no connection for it; nothing else is wrong */
    PHASE_PENDING,     /* the Secret or the credentials that it needs were not read yet */
    PHASE_READY,       /* nobody has called for a value */
    PHASE_MEASURED,    /* it has a query; never a result of parsing */
};

/* What follows from the metadata, and from the connections and credentials of the moment. */
struct trigger_parsed {
    const struct scaler *scaler; /* NULL where `scaler:` names none */
    struct option_values *values[OPTION_SCOPES];
    char *metric_name; /* normalised as KEDA does, without s<N>- */
    double target;
    int64_t idle_interval_ms;
    struct answer_rules rules;
    char *connection_name; /* in the connections file or the Secret, or NULL */
    unsigned needs;        /* enum trigger_needs */
    struct error mistakes; /* what GetMetrics and IsActive answer, unless it is ready */
};

void trigger_parsed_done(struct trigger_parsed *parsed);

/* As the scaler's hooks want them; only where it has a scaler. */
struct options trigger_parsed_options(const struct trigger_parsed *parsed);

#endif
