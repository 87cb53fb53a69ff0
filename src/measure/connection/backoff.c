#include "measure/connection/backoff.h"

#include <sys/param.h>

enum {
    /* The login took seconds of CPU time. */
    COSTLY_BACKOFF_MS = 5 * 60 * 1000,
    /* A client that lives for so long works, and is replaced at once when it ends. */
    STEADY_MS = 10 * 1000,
    /* A proxy may close what is idle after less than STEADY_MS. Calls are willing to wait for more
     * than this. */
    MAX_HANG_UP_BACKOFF_MS = 1000,
};

void backoff_refused(struct backoff *backoff)
{
    backoff->has_answered = false;
    backoff->reconnects = true;
}

void backoff_connected(struct backoff *backoff, int64_t now_ms)
{
    backoff->has_answered = false;
    backoff->connected_at_ms = now_ms;
}

void backoff_answered(struct backoff *backoff)
{
    backoff->has_answered = true;
}

void backoff_lost(struct backoff *backoff, int64_t now_ms)
{
    backoff->reconnects = true;
    backoff->retry_at_ms = now_ms;
    if (!backoff->has_answered)
        return;
    backoff->failures = 0;
    if (now_ms - backoff->connected_at_ms >= STEADY_MS)
        backoff->losses = backoff->hang_ups = 0;
}

static void wait_at_most(struct backoff *backoff, const struct backoff_settings *settings,
                         const struct error *error, unsigned in_a_row, int64_t max_ms,
                         int64_t now_ms)
{
    int64_t wait_ms = 0;
    for (unsigned i = 1; i < in_a_row && wait_ms < max_ms; i++)
        wait_ms = wait_ms == 0 ? settings->min_ms : 2 * wait_ms;
    wait_ms = error->code == ERROR_COSTLY ? COSTLY_BACKOFF_MS : MIN(wait_ms, max_ms);
    if (wait_ms > 0)
        wait_ms = wait_ms - wait_ms / 4 + settings->jitter((uint32_t)(wait_ms / 4 + 1));
    backoff->retry_at_ms = now_ms + wait_ms;
}

void backoff_failed(struct backoff *backoff, const struct backoff_settings *settings,
                    const struct error *error, int64_t now_ms)
{
    unsigned in_a_row = backoff->has_answered ? ++backoff->losses : ++backoff->failures;
    wait_at_most(backoff, settings, error, in_a_row, settings->max_ms, now_ms);
}

void backoff_hung_up(struct backoff *backoff, const struct backoff_settings *settings,
                     const struct error *error, int64_t now_ms)
{
    if (backoff->has_answered)
        wait_at_most(backoff, settings, error, ++backoff->hang_ups,
                     MIN(settings->max_ms, MAX_HANG_UP_BACKOFF_MS), now_ms);
    else
        backoff_failed(backoff, settings, error, now_ms);
}
