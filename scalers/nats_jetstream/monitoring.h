/*
 * KEDA's way to ask: one GET of /jsz from a monitoring port tells all consumers of an account. It is
 * there so that a trigger of KEDA's works as it is; `servers` is the better way, as any node of a cluster
 * answers with what the consumer's leader knows.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_H

#include "base/error.h"
#include "measure/scaler.h"
#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_monitoring;

/* Returns once the port has told of JetStream. The options must outlive it. */
bool nats_monitoring_connect(const struct nats_connection_options *options, int64_t deadline_ms,
                             struct nats_monitoring **ret_monitoring, struct error *error);
void nats_monitoring_disconnect(struct nats_monitoring *monitoring);

/* As the hook of struct scaler. */
bool nats_monitoring_measure(struct nats_monitoring *monitoring, struct probe *const *probes,
                             size_t count, int64_t deadline_ms, struct error *error);

#endif
