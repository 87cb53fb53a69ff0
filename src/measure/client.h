/*
 * A client of a source, in this process or in an agent process.
 *
 * Threads: one per client, as scaler.h has it.
 */
#ifndef BACKLOG_MEASURE_CLIENT_H
#define BACKLOG_MEASURE_CLIENT_H

#include "measure/scaler.h"

struct agent_origin;
struct client;

/* These do what the hooks of struct scaler do. The caller ends the client with client_close(). The
 * client lives in an agent process as `agent` says, or in this process if that is NULL.
 * `timeout_ms` is for connecting, and begins when the process runs. */
bool client_open(const struct scaler *scaler, const struct option_values *connection_values,
                 const struct agent_origin *agent, int64_t timeout_ms, struct client **ret_client,
                 struct error *error);
bool client_measure(struct client *client, struct feed *feed, struct error *error);
void client_close(struct client *client);

/* The state of a connection's client, for people. */
enum client_state { CLIENT_DISCONNECTED, CLIENT_CONNECTED, CLIENT_FAILED };

const char *client_state_name(enum client_state state); /* "connected", in all JSON */

#endif
