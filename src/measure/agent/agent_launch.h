/*
 * Starting an agent process, and ending it.
 *
 * The agent is this program, started as `PROGRAM agent`. It gets one end of a socket pair as
 * descriptor AGENT_SOCKET, and the writing end of a pipe as AGENT_NOTIFICATIONS; no other
 * descriptor.
 *
 * Threads: any; one at a time per process.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_LAUNCH_H
#define BACKLOG_MEASURE_AGENT_AGENT_LAUNCH_H

#include "base/error.h"
#include "measure/agent/agent_process.h"

enum { AGENT_SOCKET = 3, AGENT_NOTIFICATIONS = 4 };

/* The caller closes both descriptors, also after a failure, an ERROR_NOT_STARTED: one that was not
 * made is left as it was. `scaler` is a name for errors. */
bool agent_launch(struct agent_process *process, const char *program, const char *scaler,
                  int *ret_socket, int *ret_notifications, struct error *error);

/* Makes sure that the process is gone, and extends the error (why it was given up) with how it
 * ended. Returns false. */
bool agent_launch_end(struct agent_process *process, const char *scaler, struct error *error);

#endif
