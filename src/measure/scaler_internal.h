/*
 * Sets what scaler_reconnects() and scaler_allows_local() of scaler.h return. Whoever calls a
 * scaler's hooks sets it: a connection of the engine (poller.c), an agent process (agent/agent.c),
 * a test.
 *
 * Threads: any. Each thread has a value of its own, and sets it before it calls `connect` and
 *          `measure`.
 */
#ifndef BACKLOG_MEASURE_SCALER_INTERNAL_H
#define BACKLOG_MEASURE_SCALER_INTERNAL_H

#include <stdbool.h>

void scaler_set_reconnects(bool reconnects);
void scaler_set_allows_local(bool allows_local);

#endif
