/*
 * The HorizontalPodAutoscaler: from metrics to replicas, as Kubernetes' controller does it
 * (pkg/controller/podautoscaler: horizontal.go, replica_calculator.go).
 *
 * Time is a parameter. The state is what the controller keeps in memory per object: recent
 * recommendations and recent changes. It outlives a scale-down to zero, and an object without
 * behavior has no changes.
 *
 * Threads: any; a state belongs to whoever declared it.
 */
#ifndef BACKLOG_MODEL_HPA_H
#define BACKLOG_MODEL_HPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HPA_MAX_POLICIES = 16, /* per direction; Kubernetes has no limit, people use two */
    HPA_SYNC_MS = 15000,   /* --horizontal-pod-autoscaler-sync-period of the controller manager */
};

enum hpa_target_type { HPA_AVERAGE_VALUE, HPA_VALUE };
enum hpa_policy_type { HPA_PODS, HPA_PERCENT };
enum hpa_select { HPA_SELECT_MAX, HPA_SELECT_MIN, HPA_SELECT_DISABLED };

struct hpa_policy {
    enum hpa_policy_type type;
    int64_t value;
    int64_t period_ms;
};

/* spec.behavior.scaleUp or scaleDown. */
struct hpa_rules {
    double tolerance;
    int64_t window_ms; /* stabilizationWindowSeconds */
    enum hpa_select select;
    struct hpa_policy policies[HPA_MAX_POLICIES];
    size_t policy_count;
};

struct hpa_settings {
    int64_t min_replicas; /* at least 1: KEDA makes 1 of 0 */
    int64_t max_replicas;
    /* Without behavior the controller goes another way: up to the double, at least 4, and down as
     * far as the window of 300 s allows. Of the rules only the tolerances count then. */
    bool has_behavior;
    struct hpa_rules up;
    struct hpa_rules down;
};

/* What an empty spec.behavior stands for, and 1 to 100 replicas: KEDA's default. Has no behavior.
 */
struct hpa_settings hpa_default_settings(void);

/* One metric of the HPA, as the controller reads it: in thousandths. */
struct hpa_metric {
    enum hpa_target_type type;
    int64_t value_milli;
    int64_t target_milli;
    bool is_failed; /* there is no value: the request failed */
};

/* Of the Deployment. */
struct hpa_replicas {
    int64_t spec;
    int64_t status; /* pods that exist */
    int64_t ready;  /* matters for HPA_VALUE alone */
};

/* What bound the result; the first of them that applies from top to bottom. */
enum hpa_reason {
    HPA_DISABLED,       /* no replicas: the HPA rests until somebody else starts one */
    HPA_ABOVE_MAX,      /* there were more than the most allowed */
    HPA_BELOW_MIN,      /* or fewer than the least */
    HPA_METRICS_FAILED, /* no metric, or one of them failed and the others would scale down: hold */
    HPA_WITHIN_TOLERANCE,
    HPA_STABILIZED_UP,   /* a lower recommendation is in the window */
    HPA_STABILIZED_DOWN, /* a higher one is */
    HPA_LIMITED_BY_POLICY,
    HPA_LIMITED_BY_MAX,
    HPA_LIMITED_BY_MIN,
    HPA_AS_WANTED,
};

struct hpa_decision {
    int64_t replicas;
    int64_t wanted; /* by the metrics alone; -1 where none was computed */
    size_t metric;  /* that wanted it */
    enum hpa_reason reason;
};

struct hpa_recommendation {
    int64_t replicas;
    int64_t at_ms;
};

struct hpa_change {
    int64_t replicas; /* > 0: added */
    int64_t at_ms;
};

struct hpa {
    struct hpa_recommendation *recommendations;
    size_t recommendation_count, recommendation_capacity;
    struct hpa_change *changes;
    size_t change_count, change_capacity;
};

/* `struct hpa hpa = {0};` is a new one. */
void hpa_done(struct hpa *hpa);

/* The replicas by one metric, before windows, policies and limits. */
int64_t hpa_metric_replicas(const struct hpa_metric *metric, const struct hpa_settings *settings,
                            const struct hpa_replicas *replicas, bool *ret_is_within_tolerance);

/* One sync of the controller. The decision is carried out: the caller sets spec.replicas to it. */
struct hpa_decision hpa_sync(struct hpa *hpa, const struct hpa_settings *settings,
                             const struct hpa_replicas *replicas, const struct hpa_metric *metrics,
                             size_t count, int64_t now_ms);

/* "within tolerance", for people. */
const char *hpa_reason_text(enum hpa_reason reason);

#endif
