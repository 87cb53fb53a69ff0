/*
 * Does the Kubernetes API answer, as a whole? While it does not, nothing is sent for a while that
 * grows, and then one request, which is to show it.
 *
 * Threads: one at a time; pure.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_API_HEALTH_H
#define BACKLOG_KUBERNETES_INFORMER_API_HEALTH_H

#include "base/error.h"
#include "kubernetes/api/api.h"

#include <stdbool.h>
#include <stdint.h>

/* Start from {0}. */
struct api_health {
    struct error failure; /* why it fails; not set while it does not */
    int64_t resume_ms;    /* ... and when the next request may be sent */
    struct api_backoff backoff;
    int64_t answered_ms; /* last; 0: never */
};

void api_health_done(struct api_health *health);

bool api_health_is_failing(const struct api_health *health);

/* It has answered. True: it had failed. */
bool api_health_answer(struct api_health *health, int64_t now_ms);

/* It did not answer, or not us; it wants to be left alone for so long. False: that was known
 * already, by another request that was sent at the same time. */
bool api_health_fail(struct api_health *health, const struct error *error, int64_t retry_after_ms,
                     int64_t now_ms);

/* One request is refused. Were others answered since it was first (`*refused_ms`; 0: it was not)?
 * Then it is not the API that fails: a Secret whose encryption key is lost is a 500 each time. */
bool api_health_is_refused_alone(const struct api_health *health, int64_t *refused_ms,
                                 int64_t now_ms);

#endif
