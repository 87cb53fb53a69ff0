/*
 * The agent's side of agent_client.h: a process that runs one client of one scaler.
 *
 * Threads: one, which calls the scaler. Those of a client library may notify.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_H
#define BACKLOG_MEASURE_AGENT_AGENT_H

#include "measure/scaler.h"

/* Serves one connection of one of the scalers until the server closes AGENT_SOCKET
 * (agent_launch.h). Returns the exit code. */
int agent_run(const struct scaler *const *scalers);

#endif
