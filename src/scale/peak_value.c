#include "scale/peak_value.h"

#include <string.h>

static int64_t bucket_of(const struct peak_value *peak, int64_t at_ms)
{
    return (at_ms - peak->failed_ms) / PEAK_VALUE_BUCKET_MS;
}

/* Half minutes without a value have none of a former round of the ring either. */
static void advance(struct peak_value *peak, int64_t bucket)
{
    if (bucket - peak->newest >= PEAK_VALUE_BUCKETS)
        memset(peak->values, 0, sizeof(peak->values));
    else
        for (int64_t i = peak->newest + 1; i <= bucket; i++)
            peak->values[i % PEAK_VALUE_BUCKETS] = 0;
    peak->newest = bucket;
}

void peak_value_add(struct peak_value *peak, double value, int64_t now_ms)
{
    if (peak->failing_since_ms > 0)
        peak->failed_ms += now_ms - peak->failing_since_ms;
    peak->failing_since_ms = 0;
    peak->last_ms = now_ms;
    int64_t bucket = bucket_of(peak, now_ms);
    if (bucket > peak->newest)
        advance(peak, bucket);
    double *largest = &peak->values[peak->newest % PEAK_VALUE_BUCKETS];
    if (value > *largest)
        *largest = value;
}

/* A failure that began before the last answer was none for it. */
void peak_value_fail(struct peak_value *peak, int64_t since_ms)
{
    if (peak->failing_since_ms == 0)
        peak->failing_since_ms = since_ms > peak->last_ms ? since_ms : peak->last_ms;
}

/* Where measuring worked for a moment and nobody called, only held values were answered since the first failure. */
double peak_value_before(const struct peak_value *peak, int64_t since_ms)
{
    double largest = 0;
    if (peak->failing_since_ms > 0 && peak->failing_since_ms < since_ms)
        since_ms = peak->failing_since_ms;
    int64_t first = bucket_of(peak, since_ms) - (PEAK_VALUE_BUCKETS - 1);
    if (first <= peak->newest - PEAK_VALUE_BUCKETS)
        first = peak->newest - PEAK_VALUE_BUCKETS + 1;
    for (int64_t i = first < 0 ? 0 : first; i <= peak->newest; i++)
        if (peak->values[i % PEAK_VALUE_BUCKETS] > largest)
            largest = peak->values[i % PEAK_VALUE_BUCKETS];
    return largest;
}
