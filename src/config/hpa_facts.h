/*
 * What the Kubernetes API says about the HPA of a trigger's ScaledObject: what is held while
 * measuring fails follows from it, and nothing is authenticated by it.
 *
 * Threads: any; a copy.
 */
#ifndef BACKLOG_CONFIG_HPA_FACTS_H
#define BACKLOG_CONFIG_HPA_FACTS_H

#include <stdbool.h>
#include <stdint.h>

struct hpa_facts {
    int64_t down_window_ms; /* scaleDown.stabilizationWindowSeconds; -1: it is not set */
    int64_t replicas;       /* that it has or wants; -1: not known */
    int64_t replicas_at_ms; /* when they were requested, of clock_now_ms() */
};

#define HPA_FACTS_UNKNOWN (struct hpa_facts){.down_window_ms = -1, .replicas = -1}

static inline bool hpa_facts_equal(const struct hpa_facts *one, const struct hpa_facts *other)
{
    return one->down_window_ms == other->down_window_ms && one->replicas == other->replicas &&
           one->replicas_at_ms == other->replicas_at_ms;
}

#endif
