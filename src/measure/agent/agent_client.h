/*
 * The server's side of an agent process, in which the client of one source lives. A client library
 * that aborts there costs its own connection one retry, and no other connection anything.
 *
 * agent_launch.h starts the process; it ends when its socket is closed. agent.proto has the
 * messages. Options travel over the socket, not in argv, as secrets are among them. An agent's
 * messages are not trusted, as it reads what a broker sent.
 *
 * Notifications come over a pipe beside the socket, AGENT_NOTIFICATIONS. Each one is an id of 8
 * bytes, so that any thread of the agent can write it without a lock. An id with AGENT_LOST says
 * that the subscription has ended without a message. No notification is dropped: the server would
 * take the query for a subscribed one for ever. While the pipe is full (8,192 of them), a thread of
 * the agent waits until the server has read some. agent_client_measure() reads the pipe in each
 * turn.
 *
 * An agent that has tasks in flight and sends nothing gets a ping after 500 ms. It is killed if it
 * still sends nothing for the time-out of a task and a second: with a time-out of 2 s, after 3 s.
 *
 * Threads: one at a time per agent.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_CLIENT_H
#define BACKLOG_MEASURE_AGENT_AGENT_CLIENT_H

#include "measure/scaler.h"

#include <stdbool.h>
#include <stdint.h>

struct agent_client;

/* What an agent runs, and for whom. */
struct agent_origin {
    const char *program; /* as in agent_launch() */
    bool is_named;       /* for a connection of the connections file */
    struct feed *feed;   /* if it is stopping, the start of the process is given up; or NULL */
};

/* Starts the process, and then connects to the source within `timeout_ms`. The caller ends the
 * client with agent_client_close(). Two errors are not the source's: ERROR_NOT_STARTED, and
 * ERROR_CANCELLED, if the feed was stopping before the process ran. */
bool agent_client_open(const struct scaler *scaler, const struct option_values *connection_values,
                       const struct agent_origin *origin, int64_t timeout_ms,
                       struct agent_client **ret_client, struct error *error);

/* These do what the hooks of struct scaler do. */
bool agent_client_measure(struct agent_client *client, struct feed *feed, struct error *error);
void agent_client_close(struct agent_client *client);

#endif
