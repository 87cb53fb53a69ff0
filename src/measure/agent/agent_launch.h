/*
 * Starts and ends agent processes.
 *
 * An agent is this program, started as `PROGRAM agent`. It gets two descriptors: one end of a
 * socket pair as AGENT_SOCKET, and the writing end of a pipe as AGENT_NOTIFICATIONS.
 *
 * Threads: any; one at a time per process.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_LAUNCH_H
#define BACKLOG_MEASURE_AGENT_AGENT_LAUNCH_H

#include "base/error.h"
#include "measure/agent/agent_process.h"

enum { AGENT_SOCKET = 3, AGENT_NOTIFICATIONS = 4 };

/* The caller closes both descriptors, also after a failure, which is an ERROR_NOT_STARTED. A
 * descriptor that was not made keeps its value. `scaler` is a name for errors. */
bool agent_launch(struct agent_process *process, const char *program, const char *scaler,
                  int *ret_socket, int *ret_notifications, struct error *error);

/* Makes sure that the process is gone. `error` says why it was given up, and says then how the
 * process ended. Returns false. */
bool agent_launch_end(struct agent_process *process, const char *scaler, struct error *error);

#endif
