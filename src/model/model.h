/*
 * What KEDA and the HPA do with one ScaledObject: a model of KEDA's scale loop (pkg/scaling,
 * pkg/fallback; 2.21) around that of the HPA (hpa.h).
 *
 * It is driven from outside: where a poll or a sync is due, the caller reads every trigger as KEDA
 * would and hands the answers over. Time is a parameter; nothing here waits, reads a clock or does
 * I/O, so the same code runs in real time, ten times as fast, or two hours in a few milliseconds.
 *
 * Threads: any; a model belongs to whoever declared it.
 */
#ifndef BACKLOG_MODEL_MODEL_H
#define BACKLOG_MODEL_MODEL_H

#include "model/hpa.h"

enum { MODEL_MAX_TRIGGERS = 32, MODEL_NO_IDLE = -1 };

enum model_fallback {
    MODEL_FALLBACK_NONE,
    MODEL_FALLBACK_STATIC,
    MODEL_FALLBACK_CURRENT,           /* currentReplicas */
    MODEL_FALLBACK_CURRENT_IF_HIGHER, /* than fallback.replicas */
    MODEL_FALLBACK_CURRENT_IF_LOWER,
};

/* Of a ScaledObject's spec. */
struct model_settings {
    int64_t polling_ms;          /* pollingInterval */
    int64_t cooldown_ms;         /* cooldownPeriod */
    int64_t initial_cooldown_ms; /* initialCooldownPeriod */
    int64_t idle_replicas;       /* idleReplicaCount, or MODEL_NO_IDLE */
    int64_t min_replicas;        /* minReplicaCount; that of the HPA follows from it */
    struct {
        enum model_fallback behavior;
        int64_t failure_threshold;
        int64_t replicas;
    } fallback;
    enum hpa_target_type types[MODEL_MAX_TRIGGERS]; /* metricType of each trigger */
    size_t trigger_count;
    int64_t sync_ms; /* of the HPA */
    struct hpa_settings hpa;
};

/* KEDA's and Kubernetes' defaults, and one trigger. */
struct model_settings model_default_settings(void);

/* What the calls for one trigger returned. */
struct model_answer {
    bool has_target; /* GetMetricSpec succeeded: without it fallback never engages (KEDA #8056) */
    double target;
    bool is_failed; /* GetMetrics or IsActive failed */
    double value;
    bool is_active;
};

enum model_reason {
    MODEL_NOTHING_DUE,
    MODEL_ACTIVATED,         /* KEDA: from zero or idle */
    MODEL_PUSHED,            /* the same by StreamIsActive */
    MODEL_ACTIVE,            /* KEDA: active, and nothing to be done */
    MODEL_ACTIVE_WITH_ERROR, /* the same, but the cooldown is not put off */
    MODEL_HELD,              /* an error and no active trigger: as it is */
    MODEL_COOLING_DOWN,
    MODEL_DEACTIVATED, /* KEDA: to idle or zero */
    MODEL_TO_MIN,      /* KEDA: up to minReplicaCount */
    MODEL_IDLE,        /* KEDA: inactive, and nothing to be done */
    MODEL_HPA,         /* the HPA's own reason is in `hpa` */
};

struct model_decision {
    enum model_reason reason;
    int64_t before, replicas;
    int64_t cooldown_left_ms; /* for MODEL_COOLING_DOWN */
    struct hpa_decision hpa;  /* for MODEL_HPA */
    bool is_fallback;         /* a trigger's value is that of fallback */
};

/* The fields are for answer, but for the pods: the caller knows how many of them exist and are
 * ready. */
struct model {
    struct model_settings settings;
    int64_t replicas;   /* spec.replicas of the workload */
    int64_t pods;       /* that exist; follows `replicas` with each decision */
    int64_t ready_pods; /* the caller's; matters where a trigger is of type Value */
    int64_t created_ms;
    int64_t last_active_ms; /* status.lastActiveTime, or -1 */
    int64_t next_poll_ms;
    int64_t next_sync_ms;
    int64_t failures[MODEL_MAX_TRIGGERS]; /* status.health: in a row */
    struct hpa hpa;
};

/* The ScaledObject is created now; the first poll and the first sync are due at once. */
void model_init(struct model *model, const struct model_settings *settings, int64_t replicas,
                int64_t now_ms);
void model_done(struct model *model);

/* A poll of KEDA. `answers` has one for each trigger. The next one is due an interval after this.
 */
struct model_decision model_poll(struct model *model, const struct model_answer *answers,
                                 int64_t now_ms);

/* StreamIsActive sent `true`. */
struct model_decision model_push(struct model *model, int64_t now_ms);

/* A sync of the HPA. At zero replicas it requests no metric: `answers` may be NULL then. */
struct model_decision model_sync(struct model *model, const struct model_answer *answers,
                                 int64_t now_ms);

/* "KEDA: cooling down, 12 s left", "HPA: 37 / 5 wants 8, limited by policy"; the caller frees it.
 */
char *model_decision_text(const struct model_decision *decision,
                          const struct model_answer *answers);

#endif
