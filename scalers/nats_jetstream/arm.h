/*
 * Arming: a subscription to the subjects that a consumer waits for, on a connection of its own, so that
 * nothing that goes wrong with it (a right that is missing, a limit on subscriptions) disturbs the
 * measuring.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_ARM_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_ARM_H

#include "client.h"
#include "measure/scaler.h"

#include <stddef.h>
#include <stdint.h>

/* Before a measurement: arms the probes that want it. */
void nats_arm_probes(struct nats_client *client, struct probe *const *probes, size_t count,
                     int64_t deadline_ms);

void nats_arm_free(struct nats_client *client);

/* The hook of struct scaler. */
void nats_arm_disarm(void *client, uint64_t waker_id);

#endif
