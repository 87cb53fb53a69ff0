#include "measure/connection/zero.h"

#include "base/clock.h"

#include <stddef.h>

enum { WAITING = 1 << 0, IN_FLIGHT = 1 << 1, ALL = WAITING | IN_FLIGHT };

/* Also a count that the source did not report. */
static unsigned not_above_0(const struct reading *reading)
{
    return (reading->waiting > 0 ? 0 : WAITING) | (reading->in_flight > 0 ? 0 : IN_FLIGHT);
}

static unsigned in_doubt(const struct zero *zero, const struct zero_facts *facts)
{
    unsigned zeros = not_above_0(facts->reading);
    unsigned zeros_before = facts->before == NULL ? ALL : not_above_0(facts->before);
    unsigned fallen = zeros & ~zeros_before;
    bool may_be_false = facts->has_failed || zero->since_ms > 0 ||
                        facts->sent_ms - facts->client_since_ms < facts->settles_ms;
    return zeros == ALL && (may_be_false || fallen != 0) ? ALL : fallen;
}

bool zero_counts(struct zero *zero, const struct zero_facts *facts)
{
    unsigned counts = facts->settles_ms == 0 ? 0 : in_doubt(zero, facts);
    bool is_of_another_client = zero->since_ms < facts->client_since_ms;
    bool is_first = (counts & ~zero->counts) != 0 || is_of_another_client;
    *zero = (struct zero){counts, is_first ? facts->now_ms : zero->since_ms};
    if (counts != 0 && facts->sent_ms - zero->since_ms < facts->settles_ms)
        return false;
    zero_end(zero);
    return true;
}

void zero_end(struct zero *zero)
{
    *zero = (struct zero){0};
}

int64_t zero_due_ms(const struct zero *zero, int64_t settles_ms)
{
    return zero->since_ms == 0 ? CLOCK_NEVER : zero->since_ms + settles_ms;
}
