/*
 * The client of an agent process, for its two parts: agent_client.c measures and reads what the
 * agent sends; agent_client_send.c sends. And for a fuzzer, which plays the agent.
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

/* A task that the agent has. */
struct sent_task {
    uint64_t number;
    struct task *task;
    UT_hash_handle hh;
};

struct agent_client {
    const struct scaler *scaler;
    struct agent_process process;
    int socket;
    int notifications;        /* the reading end of the pipe; -1: none */
    struct notifier notifier; /* of the last task that had one: they differ in the id alone */
    struct agent_queries queries;
    struct sent_task *tasks; /* by number */
    uint64_t last_task;
    struct text outbox; /* frames that the socket has not taken yet */
    size_t outbox_sent;
    int64_t received_at_ms;  /* when it sent something last */
    int64_t pinged_at_ms;    /* last, or when it got a task while it had none */
    int64_t awaited_from_ms; /* the first ping since it sent something; 0: there was none */
};

/* Owns both descriptors, which may be -1. No process yet. The caller ends it with
 * agent_client_close(). For a fuzzer, too. */
struct agent_client *agent_client_new(const struct scaler *scaler, int socket, int notifications);

/* Has the agent connect to the source, and waits for it. For a fuzzer, too. */
bool agent_client_connect(struct agent_client *client,
                          const struct option_values *connection_values, int64_t deadline_ms,
                          struct error *error);

/* ---- agent_client_send.c ---- */

bool agent_client_send_connect(struct agent_client *client, const struct option_values *values,
                               int64_t deadline_ms, struct error *error);

/* When it is time for a ping; CLOCK_NEVER: the agent has no tasks. */
int64_t agent_client_next_ping_ms(const struct agent_client *client);

/* These fill the outbox: tasks that the feed has, ids of subscriptions to end and of cancelled
 * tasks, and a ping where it is time for one. */
bool agent_client_send_tasks(struct agent_client *client, struct feed *feed, struct error *error);
bool agent_client_send_ids(struct agent_client *client, struct feed *feed, struct error *error);
bool agent_client_ping(struct agent_client *client, struct feed *feed, struct error *error);

/* Sends what the socket takes of the outbox: nothing waits for the agent to read, since it may not
 * while it sends. */
bool agent_client_flush(struct agent_client *client, struct error *error);

#endif
