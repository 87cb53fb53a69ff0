/*
 * What scaler_tenant() and scaler_reconnects() of scaler.h return, for who calls a scaler's hooks:
 * a connection of the engine (poller.c), an agent process (agent/agent.c), a test.
 *
 * Threads: any; each sets its own, before it calls `connect` and `measure`.
 */
#ifndef BACKLOG_MEASURE_SCALER_INTERNAL_H
#define BACKLOG_MEASURE_SCALER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

void scaler_set_tenant(uint64_t tenant, bool is_named);
void scaler_set_reconnects(bool reconnects);

#endif
