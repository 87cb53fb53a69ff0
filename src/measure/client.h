/*
 * A client of a source, in this process or in an agent process.
 *
 * Threads: one per client, as scaler.h has it.
 */
#ifndef BACKLOG_MEASURE_CLIENT_H
#define BACKLOG_MEASURE_CLIENT_H

#include "measure/agent/agent_process.h"
#include "measure/scaler.h"

struct client;

/* `agent` is the process that has the client; NULL: the client is in this process. */
bool client_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const struct agent_origin *agent, int64_t deadline_ms, struct client **ret_client,
                 struct error *error);
bool client_measure(struct client *client, struct feed *feed, struct error *error);
void client_close(struct client *client);

#endif
