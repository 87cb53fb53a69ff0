/*
 * The client of an agent process, for its two parts: agent_client.c, which measures and receives,
 * and agent_client_send.c, which sends. And for a fuzzer, which plays the agent.
 *
 * Threads: one at a time per agent.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_CLIENT_INTERNAL_H
#define BACKLOG_MEASURE_AGENT_AGENT_CLIENT_INTERNAL_H

#include "base/hash_table.h"
#include "base/text.h"
#include "measure/agent/agent_client.h"
#include "measure/agent/agent_process.h"
#include "measure/agent/agent_queries.h"

/* A task that the agent is measuring. */
struct sent_task {
    uint64_t number;
    struct task *task;
    struct agent_query *query;
    UT_hash_handle hh;
};

struct agent_client {
    const struct scaler *scaler;
    struct agent_process process;
    int socket;
    int notifications;        /* the reading end of the pipe; -1: none */
    struct notifier notifier; /* of the last task that had one; all differ in the id alone */
    struct agent_queries queries;
    struct sent_task *tasks; /* by number */
    uint64_t last_task;
    struct text outbox; /* frames that the socket has not taken yet */
    size_t outbox_sent;
    int64_t received_at_ms;  /* when the agent's last message came */
    int64_t pinged_at_ms;    /* of the last ping or, if later, of the first task after a pause */
    int64_t awaited_from_ms; /* the first ping since the agent's last message; 0: none */
};

/* Owns both descriptors, which may be -1. There is no process yet. The caller ends the client with
 * agent_client_close(). For a fuzzer, too. */
struct agent_client *agent_client_new(const struct scaler *scaler, int socket, int notifications);

/* Asks the agent to connect to the source, and waits for the result. For a fuzzer, too. */
bool agent_client_connect(struct agent_client *client,
                          const struct option_values *connection_values, int64_t deadline_ms,
                          struct error *error);

/* ---- agent_client_send.c ---- */

bool agent_client_send_connect(struct agent_client *client, const struct option_values *values,
                               int64_t deadline_ms, struct error *error);

/* When the next ping is due; CLOCK_NEVER: the agent has no tasks. */
int64_t agent_client_next_ping_ms(const struct agent_client *client);

/* These add to the outbox: the tasks of the feed; the ids of subscriptions to end; and a ping if
 * one is due. */
bool agent_client_send_tasks(struct agent_client *client, struct feed *feed, struct error *error);
bool agent_client_send_ids(struct agent_client *client, struct feed *feed, struct error *error);
bool agent_client_ping(struct agent_client *client, struct feed *feed, struct error *error);

/* Sends as much of the outbox as the socket takes. It does not wait for the agent to read, as an
 * agent that is sending reads nothing. */
bool agent_client_flush(struct agent_client *client, struct error *error);

#endif
