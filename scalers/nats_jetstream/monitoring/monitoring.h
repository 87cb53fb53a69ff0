/*
 * KEDA's way to measure: one GET of /jsz from a monitoring port has all consumers of an account. It
 * is there so that a trigger of KEDA's works as it is; `servers` is the better way, as any node of
 * a cluster answers with what the consumer's leader knows. jsz.h finds a consumer in the reply.
 *
 * For consumers that the port's node does not lead, the other nodes (nodes.h) are asked one after
 * the other, until one leads them: those that timed out the last time come last. They get no
 * user and no password: where there is one, they are not asked.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_MONITORING_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_MONITORING_H

#include "base/error.h"
#include "measure/task.h"
#include "nats_jetstream/options.h"

#include <stdbool.h>
#include <stdint.h>

struct nats_monitoring;

/* Returns once the port has reported that there is JetStream. The options must outlive it. */
bool nats_monitoring_connect(const struct nats_connection_options *options, int64_t deadline_ms,
                             struct nats_monitoring **ret_monitoring, struct error *error);
void nats_monitoring_disconnect(struct nats_monitoring *monitoring);

/* As the hook of struct scaler. */
bool nats_monitoring_measure(struct nats_monitoring *monitoring, struct feed *feed,
                             struct error *error);

#endif
