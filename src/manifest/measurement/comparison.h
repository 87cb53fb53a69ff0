/*
 * A comparison: for each trigger of KEDA's own types what KEDA's operator measured beside what this
 * program measures, over some time, and the likely reason of a difference.
 *
 * KEDA's value is as old as its last call: up to pollingInterval. So it is compared with all that
 * was measured here in that time: it is equal to one of them, or between the smallest and the
 * largest. It is read before a round, which measures all of it after that (measurement.h), so that
 * it is never newer than ours.
 *
 * Threads: any; pure: time is a parameter.
 */
#ifndef BACKLOG_MANIFEST_MEASUREMENT_COMPARISON_H
#define BACKLOG_MANIFEST_MEASUREMENT_COMPARISON_H

#include "manifest/measurement/keda_metrics.h"
#include "manifest/measurement/measurement.h"

enum comparison_verdict {
    COMPARISON_EQUAL,
    COMPARISON_DIFFERENT,
    COMPARISON_UNCLEAR, /* the value changed all the time, or there was too little of it */
    COMPARISON_FAILED,  /* could not be measured here */
    COMPARISON_ABSENT,  /* KEDA has no value */
    COMPARISON_VERDICTS,
};

extern const char *const comparison_verdict_names[COMPARISON_VERDICTS];

struct comparison_row {
    const struct manifest_object *object;
    const struct measured_trigger *trigger;
    const struct yaml_tree *metadata;

    size_t equal;          /* rounds in which KEDA's value was one of ours */
    size_t equal_changing; /* ... and ours did change */
    size_t different;      /* ... in which it was not, though ours did not change */
    size_t above, below; /* ... in which ours did change, and KEDA's was above or below all of it */
    size_t failed, absent;
    bool is_failing, is_absent; /* in the last round */

    /* The last rounds that were not equal, all on one side. */
    struct comparison_run {
        bool is_above;
        size_t rounds;
        int64_t since_ms;
    } run;
    bool is_one_sided; /* such a run lasted: KEDA measured again in it, and was not equal either */

    /* Of the last round that was not equal, or of the last one; NAN: none. */
    double keda, own;
    char *failure; /* the last error here, or NULL */

    struct comparison_value {
        int64_t at_ms;
        double value;
    } *values; /* those of the time in which KEDA's value may be from */
    size_t count, capacity;
    int64_t first_ms;  /* since when it is measured without a gap; -1: it is not */
    int64_t window_ms; /* how old KEDA's value may be */
};

struct comparison {
    struct comparison_row *items;
    size_t count;
};

/* `interval_ms` is between two rounds. Borrows the measurement, whose rounds comparison_add()
 * takes. Triggers for external scalers, and of types that Backlog does not have, have no row. */
void comparison_begin(const struct scaler *const *scalers, const struct measurement *measurement,
                      int64_t interval_ms, struct comparison *ret_comparison);
void comparison_add(struct comparison *comparison, const struct keda_metrics *metrics,
                    const char *default_namespace, int64_t now_ms);
void comparison_skip(struct comparison *comparison); /* a round in which nothing was measured */
void comparison_done(struct comparison *comparison);

/* Rounds in which the value did not change, as where both are 0, do not outweigh those that were
 * not equal. */
enum comparison_verdict comparison_verdict(const struct comparison_row *row);

/* In which KEDA's value was compared, or there was none here to compare it with. */
size_t comparison_rounds(const struct comparison_row *row);

/* The likely reason of what is not equal; NULL: none is known. The caller frees it. */
char *comparison_reason(const struct comparison_row *row);

#endif
