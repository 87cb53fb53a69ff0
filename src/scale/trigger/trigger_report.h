/*
 * The report of a trigger: what KEDA would be answered (trigger_decide.h), and why. What explain,
 * the dashboard's rows and the metrics show are views of it.
 *
 * Making one changes nothing. What is known of the trigger's query is copied under the lock of its
 * connection. What depends on the time there (the effective interval, since when it is stuck, when
 * the connection failed) is of the engine's clock; all else is of the time that is given.
 *
 * What a view shows of it as a number or a word is in struct trigger_figures;
 * web/content/trigger_fields.c has one row for each, and says which views have it.
 *
 * Threads: as the trigger's: under the turn lock.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_REPORT_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_REPORT_H

#include "scale/trigger/trigger.h"

struct trigger_report {
    int64_t at_ms;
    struct snapshot snapshot; /* of its query; {0}: it has none */
    bool has_policy;
    struct trigger_policy_copy policy;
    /* A reading counts however old it is: where only polls call, none is measured in between. */
    struct answer answer;
    enum answer_state state;    /* of the answer */
    bool is_superseded;         /* trigger_objects_superseded() */
    const struct error *error;  /* of the answer, or why measuring fails; NULL: none */
    bool has_decision;          /* a policy decided it; false while measuring fails */
    enum policy_term bound_by;  /* what bound the replicas, where it has a decision */
    struct query_state source;  /* where it has a query */
    struct history_rates rates; /* NAN: its query was not measured, or it has none */
};

/* For people: what KEDA is answered follows from the readings and from what KEDA was answered
 * before, whoever else calls or reads. The caller ends it with trigger_report_done(), and does not
 * move it. */
void trigger_report(const struct trigger *trigger, int64_t now_ms,
                    struct trigger_report *ret_report);

void trigger_report_done(struct trigger_report *report);

/* A report in numbers and words. NAN, NULL: not known. Nothing in it is owned. */
struct trigger_figures {
    int64_t at_ms;
    struct reading reading;
    double age_seconds; /* of the reading */
    bool rates_are_bounds;
    double arrivals, consumption; /* per second: as the source says, or at least */
    double value, active, replicas, target;
    struct {
        double value, active, age_seconds;
    } last; /* what KEDA was answered last */
    const char *state;
    const char *bound_by;
};

void trigger_figures(const struct trigger *trigger, const struct trigger_report *report,
                     struct trigger_figures *ret_figures);

#endif
