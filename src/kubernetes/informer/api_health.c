#include "kubernetes/informer/api_health.h"

#include "base/clock.h"

enum {
    FIRST_BACKOFF_MS = 1000,
    LONGEST_BACKOFF_MS = 8000,
    FORBIDDEN_MS = 6000,
    FORBIDDEN_MS_EACH = 20, /* of a kind 50 requests per second */
    LONGEST_FORBIDDEN_MS = 60 * 1000,
};

void api_health_init(struct api_health *health)
{
    *health = (struct api_health){.backoff_ms = FIRST_BACKOFF_MS};
}

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
    health->backoff_ms = FIRST_BACKOFF_MS;
    health->answered_ms = now_ms;
    error_done(&health->failure);
    return had_failed;
}

void api_health_grow_backoff(int64_t *backoff_ms, int64_t longest_ms)
{
    *backoff_ms = *backoff_ms * 2 > longest_ms ? longest_ms : *backoff_ms * 2;
}

bool api_health_fail(struct api_health *health, const struct error *error, int64_t retry_after_ms,
                     int64_t now_ms)
{
    bool is_known = api_health_is_failing(health) && now_ms < health->resume_ms;
    error_copy(&health->failure, error);
    if (!is_known) {
        health->resume_ms =
            now_ms + health->backoff_ms + clock_jitter((uint32_t)health->backoff_ms / 2);
        api_health_grow_backoff(&health->backoff_ms, LONGEST_BACKOFF_MS);
    }
    if (health->resume_ms < now_ms + retry_after_ms)
        health->resume_ms = now_ms + retry_after_ms;
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

int64_t api_health_forbidden_ms(size_t forbidden)
{
    if (forbidden >= LONGEST_FORBIDDEN_MS / FORBIDDEN_MS_EACH)
        return LONGEST_FORBIDDEN_MS;
    int64_t all_ms = (int64_t)forbidden * FORBIDDEN_MS_EACH;
    return all_ms < FORBIDDEN_MS ? FORBIDDEN_MS : all_ms;
}
