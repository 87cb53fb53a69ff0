/*
 * Flow: how fast messages arrive and are consumed, and what one consumer does per second; from
 * recent samples.
 *
 * Rates come from totals where the source has them, else from the rates that it reports, and one of
 * the two from the other and the change of what is there. What cannot be known is NAN.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_POLICY_FLOW_H
#define BACKLOG_SCALE_POLICY_FLOW_H

#include "measure/history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow {
    double arrival_rate;     /* per second, over the last FLOW_SPAN_MS */
    double consumption_rate; /* per second, over the last FLOW_RECENT_MS */
    int64_t span_ms;         /* the time that the rates are of; 0: there are none */
};

enum { FLOW_SPAN_MS = 60 * 1000, FLOW_RECENT_MS = 15 * 1000 };

struct flow flow_of(const struct recent_samples *recent);

/*
 * What one consumer does per second, from times in which messages waited throughout: all consumers
 * were busy then. The median of the last observations, so that a single odd one counts nothing; two
 * in a row that are far off and agree are a change of the speed, and replace the others.
 */
enum { FLOW_OBSERVATIONS = 9 };

struct flow_rate {
    double observations[FLOW_OBSERVATIONS]; /* the oldest first */
    size_t count;
    int64_t observed_at_ms;  /* the last */
    int64_t busy_ms;         /* how long messages have waited since the last observation */
    double consumed;         /* how many were consumed in busy_ms */
    double consumer_ms;      /* the time of all consumers in busy_ms: three for a second are 3000 */
    int64_t quiet_ms;        /* how long nothing has been consumed since: long jobs, or a stall */
    int64_t folded_until_ms; /* the samples until here are in it */
};

/* Takes the samples that are new. */
void flow_rate_update(struct flow_rate *rate, const struct recent_samples *recent);
double flow_rate_median(const struct flow_rate *rate); /* NAN: none yet */
double flow_rate_now(const struct flow_rate *rate);    /* since the last observation */

/* Whether consumers do far less than `expected` now, in spite of chance: before observations say
 * so. */
bool flow_rate_is_slower(const struct flow_rate *rate, double expected);

double flow_rate_spread(const struct flow_rate *rate); /* between the smallest and the largest, as a
                                                          share of the median */

#endif
