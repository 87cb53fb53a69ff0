/*
 * Whether a 0 of a quorum queue means that it is empty.
 *
 * RabbitMQ also has a 0 where it does not know, after the queue's leader has changed:
 *   totals      until the new leader reports, as at the queue's declaration. They are never
 *               believed;
 *   statistics  each former leader's node keeps a sample of 0, and a reply is the sum of all
 *               nodes that run (handle_deleted_queues in rabbit_mgmt_metrics_collector.erl).
 *               Until the new leader's sample comes, that sum is 0.
 *
 * A column that comes with a leader's report, but not with these samples, is `consumers`. Another
 * process than that of the samples collects it, on a timer of its own: it may come up to 5 s before
 * the sample does, and at a former leader's node stay for as long. So a 0 counts once the same
 * leader was seen to report for longer than that; a change and back between two measurements is not
 * seen.
 *
 * What is known is kept for each queue by its name, from counts above 0, too: a queue that becomes
 * empty is believed at once. So is one that is seen for the first time, with a leader that reports,
 * but for some seconds after the broker was lost: with a node of it leaders are lost.
 *
 * Threads: one at a time, that of the connection. Times are of clock_now_ms().
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_LEADERS_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_LEADERS_H

#include "rabbitmq/management/counts.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* reconnects: the broker was lost before (scaler_reconnects()), or it may have restarted. */
struct rabbitmq_leaders *rabbitmq_leaders_new(bool reconnects, int64_t now_ms);
void rabbitmq_leaders_free(struct rabbitmq_leaders *leaders);

/* Takes a queue's JSON, and the counts in it. False: it is a quorum queue, and they may be false
 * zeros. */
bool rabbitmq_leaders_believe(struct rabbitmq_leaders *leaders, enum rabbitmq_source source,
                              const json_t *queue, const struct rabbitmq_counts *counts,
                              int64_t now_ms);

#endif
