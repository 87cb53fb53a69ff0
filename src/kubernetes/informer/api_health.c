#include "kubernetes/informer/api_health.h"

#include <sys/param.h>

enum { LONGEST_BACKOFF_MS = 8000 };

void api_health_done(struct api_health *health)
{
    error_done(&health->failure);
}

bool api_health_is_failing(const struct api_health *health)
{
    return error_is_set(&health->failure);
}

bool api_health_answer(struct api_health *health, int64_t now_ms)
{
    bool had_failed = api_health_is_failing(health);
    health->backoff = (struct api_backoff){0};
    health->answered_ms = now_ms;
    error_done(&health->failure);
    return had_failed;
}

bool api_health_fail(struct api_health *health, const struct error *error, int64_t retry_after_ms,
                     int64_t now_ms)
{
    bool is_known = api_health_is_failing(health) && now_ms < health->resume_ms;
    error_copy(&health->failure, error);
    if (is_known)
        health->resume_ms = MAX(health->resume_ms, now_ms + retry_after_ms);
    else
        health->resume_ms =
            api_backoff_fail(&health->backoff, LONGEST_BACKOFF_MS, retry_after_ms, now_ms);
    return !is_known;
}

bool api_health_is_refused_alone(const struct api_health *health, int64_t *refused_ms,
                                 int64_t now_ms)
{
    if (*refused_ms != 0 && health->answered_ms > *refused_ms)
        return true;
    *refused_ms = now_ms;
    return false;
}
