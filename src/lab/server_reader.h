/*
 * A thread of its own that reads a server's HTTP port until it is stopped, for what a
 * rehearsal shows of that server.
 *
 * Threads: as each function says.
 * Owner:   who begins it; it is a part of a larger struct.
 */
#ifndef BACKLOG_LAB_SERVER_READER_H
#define BACKLOG_LAB_SERVER_READER_H

#include "base/error.h"
#include "client/http_client.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct server_reader {
    struct http_client *client; /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock; /* guards is_stopping, and what the owner has it guard */
    pthread_cond_t wake;  /* by CLOCK_MONOTONIC; signalled when the thread must stop */
    bool is_stopping;
};

/* Starts a thread with run(context), which returns once is_stopping is set. `server` is borrowed.
 * False: the machine has no thread left, and nothing is to be ended. Any thread. */
bool server_reader_begin(struct server_reader *reader, const struct http_server *server,
                         int64_t timeout_ms, void *(*run)(void *context), void *context,
                         struct error *error);

/* Stops the thread, waits for its end, and frees what the reader has. Any thread but its own. */
void server_reader_end(struct server_reader *reader);

#endif
