/*
 * The server's side of an agent process: a client of a source that lives in a process of its own,
 * so that a client library that aborts costs one connection one retry, and nobody else anything.
 *
 * How it is started is in agent_launch.h; the end of its socket ends it. The messages are in
 * agent.proto. Options travel over the socket, never in argv: secrets are among them. What an agent
 * sends is not trusted: it reads what a broker sent.
 *
 * Notifications come over a pipe beside the socket, AGENT_NOTIFICATIONS, each an id of 8 bytes: so
 * any thread of the agent can write one without a lock. AGENT_LOST in it says that the subscription
 * has ended without a message. None is dropped, or the server would take its query for a subscribed
 * one for ever: while the pipe is full (of 8,192), a thread that writes one waits until the server
 * has read some. agent_client_measure() reads them in each turn, whatever else it waits for.
 *
 * An agent with tasks in flight that ends none of them and answers no ping within a task's time-out
 * and a second is killed.
 *
 * Threads: one at a time per agent.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_CLIENT_H
#define BACKLOG_MEASURE_AGENT_AGENT_CLIENT_H

#include "measure/scaler.h"

#include <stdbool.h>
#include <stdint.h>

struct agent_client;

/* Whom an agent measures for, and what it runs. */
struct agent_origin {
    const char *program; /* that agents run; as agent_launch() has it */
    uint64_t tenant;
    bool is_named;     /* a connection of the connections file */
    struct feed *feed; /* when it is stopping, nobody waits until the agent runs; NULL: none is */
};

/* Starts the process, and has it connect, for which it has `timeout_ms` from when it runs. The
 * caller ends it with agent_client_close(). The source was not tried where the error is an
 * ERROR_NOT_STARTED or, as the feed was stopping before the process ran, an ERROR_CANCELLED. */
bool agent_client_open(const struct scaler *scaler, const struct option_values *connection_values,
                       const struct agent_origin *origin, int64_t timeout_ms,
                       struct agent_client **ret_client, struct error *error);

/* These do what the hooks of struct scaler do. */
bool agent_client_measure(struct agent_client *client, struct feed *feed, struct error *error);
void agent_client_close(struct agent_client *client);

#endif
