/*
 * A small gRPC client for the command line: one connection, unary calls and server streams, several
 * at a time. No compression, no retries, no balancing: who lost the connection makes another.
 *
 * SIGPIPE must be ignored where TLS is used.
 *
 * Threads: one at a time.
 * Owner:   the caller frees its calls before the client.
 */
#ifndef BACKLOG_CLIENT_GRPC_CLIENT_H
#define BACKLOG_CLIENT_GRPC_CLIENT_H

#include "base/error.h"
#include "client/grpc_socket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GRPC_CLIENT_OK = 0, GRPC_CLIENT_MAX_REPLY_BYTES = 4 << 20 };

struct grpc_client;
struct grpc_client_call;

/* Blocks until it is connected, or the deadline. */
bool grpc_client_connect(const char *address, const struct grpc_socket_tls *tls,
                         int64_t deadline_ms, struct grpc_client **ret_client, struct error *error);
void grpc_client_free(struct grpc_client *client); /* NULL is none */

/* For a poll loop of the caller's: the descriptor, what to wait for (POLLIN, POLLOUT). */
int grpc_client_fd(const struct grpc_client *client);
short grpc_client_events(const struct grpc_client *client);

/* When a call's deadline comes. For tests, too. */
int64_t grpc_client_due_ms(const struct grpc_client *client);

/* Sends and reads what can be moved at once, and ends the calls whose deadline has come. False: the
 * connection is gone, and every call is done (UNAVAILABLE). */
bool grpc_client_process(struct grpc_client *client);

/* The same; where nothing has come, waits until something does, or until `until_ms`. */
bool grpc_client_wait(struct grpc_client *client, int64_t until_ms);

/* Begins a call with its only request, which is copied. `deadline_ms` may be CLOCK_NEVER. */
struct grpc_client_call *grpc_client_call_start(struct grpc_client *client, const char *path,
                                                const void *request, size_t length,
                                                int64_t deadline_ms);

/* The next message of the server, which the caller frees. False: none is there now. */
bool grpc_client_call_take(struct grpc_client_call *call, uint8_t **ret_message,
                           size_t *ret_length);

/* Has the server ended it, or has it failed here? Messages may still be there to take. */
bool grpc_client_call_is_done(const struct grpc_client_call *call);

/* Of a call that is done; the text is "" where there is none. */
int grpc_client_call_status(const struct grpc_client_call *call);
const char *grpc_client_call_text(const struct grpc_client_call *call);

/* Cancels it where it is not done. */
void grpc_client_call_free(struct grpc_client_call *call);

#endif
