/*
 * A gRPC client for tests in C, on the C core: it can do what a client with stubs hides (calls
 * without a message, streams by the thousand, cancellations at any moment).
 *
 * Threads: one a client. Whatever takes longer than ten seconds fails the test.
 */
#ifndef BACKLOG_TEST_CORE_CLIENT_H
#define BACKLOG_TEST_CORE_CLIENT_H

#include <grpc/grpc.h>

#include <stdbool.h>
#include <stdint.h>

struct core_client {
    grpc_channel *channel;
    grpc_completion_queue *queue;
};

struct client_call {
    struct core_client *client;
    grpc_call *handle;
    grpc_metadata_array headers;
    grpc_metadata_array trailers;
    grpc_status_code status;
    grpc_slice status_text;
    grpc_byte_buffer *received;
    bool is_over;
    char tags[4];
};

struct certificate;

/* Clients that are made from now on speak TLS, trust this certificate, and show it; NULL: plain
 * text. */
void core_client_secure(const struct certificate *certificate);

/* gRPC must be initialised. `compression` of what it sends. */
void core_client_init(struct core_client *client, int port, grpc_compression_algorithm compression);

/* Connects now, and again while that fails, for at most ten seconds. The core (1.51) looks at the
 * `errno` of connect() only after it has allocated memory, which may change it; a connection that
 * is under way then counts as failed. */
void core_client_connect(struct core_client *client);

void core_client_done(struct core_client *client);

/* Reads what the server sends, for so long: gRPC does so only while somebody waits, and a server
 * that cannot write does not read. */
void core_client_read(struct core_client *client, long ms);

/* Sends the message (NULL: none) and half-closes; deadline_ms 0: none. */
struct client_call *client_call_open(struct core_client *client, const char *path,
                                     const char *message, int64_t deadline_ms);

/* The next message as text, which the caller frees; NULL when no more come. */
char *client_call_receive(struct client_call *call);

void client_call_cancel(struct client_call *call);

/* Waits for the end of the call. */
grpc_status_code client_call_status(struct client_call *call);

/* After client_call_status(); the caller frees it. */
char *client_call_text(const struct client_call *call);

void client_call_free(struct client_call *call);

#endif
