/*
 * Sets what scaler_tenant() and scaler_reconnects() of scaler.h return. Whoever calls a scaler's
 * hooks sets it: a connection of the engine (poller.c), an agent process (agent/agent.c), a test.
 *
 * Threads: any. Each thread has values of its own, and sets them before it calls `connect` and
 *          `measure`.
 */
#ifndef BACKLOG_MEASURE_SCALER_INTERNAL_H
#define BACKLOG_MEASURE_SCALER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

void scaler_set_tenant(uint64_t tenant, bool is_named);
void scaler_set_reconnects(bool reconnects);

#endif
