/*
 * Rates of queues, bounded by what their counters grew by: RabbitMQ has reported hundreds of
 * messages per second for a sample while a counter went from 1 to 2, and would get as many workers.
 *
 * A counter that is seen for the first time bounds its rate as if all of it came within a second.
 * From then on the growth between two looks is divided by the time between them, but at most by the
 * 5 s of a sample, as the broker's rate is of the last one only. The statistics of a queue are of
 * several looks: while a counter stands still, its last bound holds, for the longest interval of
 * statistics that is usual.
 *
 * Threads: one at a time, that of the connection. Times are of clock_now_ms().
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_RATES_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_RATES_H

#include "rabbitmq/management/counts.h"

#include <jansson.h>
#include <stdint.h>

struct rabbitmq_rates *rabbitmq_rates_new(void);
void rabbitmq_rates_free(struct rabbitmq_rates *rates);

/* Bounds the rates in the counts of the queue of this name. */
void rabbitmq_rates_bound(struct rabbitmq_rates *rates, const json_t *name,
                          struct rabbitmq_counts *counts, int64_t now_ms);

#endif
