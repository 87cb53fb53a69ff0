#include "measure/window.h"

#include <math.h>
#include <string.h>

/* So many intervals without a measurement are a gap. */
enum { GAP_INTERVALS = 4 };

double window_waiting(const struct reading *reading)
{
    return isnan(reading->waiting) ? reading->value : reading->waiting;
}

void window_add_gap(struct window *window)
{
    window->has_gap = true;
}

/* The last one is so young that this reading takes its place: the distance to the one before it
 * stays. */
static bool joins_last(const struct window *window, int64_t at_ms)
{
    if (window->count < 2 || window->has_gap)
        return false;
    return at_ms - window->samples[window->count - 2].at_ms < window->interval_ms;
}

void window_add(struct window *window, int64_t at_ms, const struct reading *reading)
{
    const struct window_sample *last =
        window->count == 0 ? NULL : &window->samples[window->count - 1];
    struct window_sample sample = {
        .at_ms = at_ms,
        .reading = *reading,
        .max_waiting = window_waiting(reading),
        .max_in_flight = reading->in_flight,
    };
    if (last != NULL && at_ms <= last->at_ms)
        return;
    sample.is_after_gap = last == NULL || window->has_gap ||
                          at_ms - last->at_ms > GAP_INTERVALS * window->interval_ms;
    if (!sample.is_after_gap && joins_last(window, at_ms)) {
        sample.max_waiting = fmax(sample.max_waiting, last->max_waiting);
        sample.max_in_flight = fmax(sample.max_in_flight, last->max_in_flight);
        sample.is_after_gap = last->is_after_gap;
        window->count--;
    }
    if (window->count == WINDOW_MAX_SAMPLES)
        memmove(window->samples, window->samples + 1, --window->count * sizeof(*window->samples));
    window->samples[window->count++] = sample;
    window->has_gap = false;
}
