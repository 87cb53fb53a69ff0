/*
 * An HTTP/2 client for tests in C, on nghttp2: it can say what a gRPC client never would, byte by
 * byte where need be.
 *
 * Threads: one a client. Whatever takes longer than ten seconds fails the test.
 */
#ifndef BACKLOG_TEST_H2_CLIENT_H
#define BACKLOG_TEST_H2_CLIENT_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_stream {
    int32_t id;
    const uint8_t *body; /* borrowed; what is still to be sent of it */
    size_t body_length;
    size_t max_frame_bytes;
    bool stays_open; /* does not half-close */
    bool lacks_te;
    bool is_counted; /* no more than that: nothing is kept of what it receives */
    char http_status[4];
    char grpc_status[4];
    char grpc_message[128];
    char accepted[64]; /* grpc-accept-encoding */
    uint8_t received[4096];
    size_t received_length;
    size_t answer_length; /* that the test waits for */
    bool is_closed;
    uint32_t code; /* that it was closed with */
};

struct h2_client {
    int fd;
    SSL *tls; /* NULL: plain text */
    nghttp2_session *session;
    size_t goaways;
    int32_t last_stream_id; /* of the last GOAWAY */
    uint32_t goaway_code;
    bool is_gone; /* the server has closed the connection */
    bool holds_pings;
};

int h2_connect(int port);
void h2_client_init(struct h2_client *client, int port);
/* From another address than all the others: 127.0.0.2. */
void h2_client_init_elsewhere(struct h2_client *client, int port);
void h2_client_init_tls(struct h2_client *client, int port);
void h2_client_done(struct h2_client *client);

/* A gRPC request; `headers` (name, value, ..., NULL) replace or join its own. */
void h2_client_open(struct h2_client *client, struct h2_stream *stream, const char *path,
                    const char *const *headers);

/* More of the body of a stream that stays open, and whose body has been sent. */
void h2_client_send(struct h2_client *client, struct h2_stream *stream, const uint8_t *body,
                    size_t length);

/* Sends what is to be sent. */
void h2_client_flush(struct h2_client *client);

/* While it is corked, what is sent waits, and goes out in one piece. */
void h2_client_cork(const struct h2_client *client, bool is_corked);

/* Sends what is to be sent, and reads, until the condition holds; false: it never did. */
bool h2_client_run(struct h2_client *client, bool (*is_met)(const void *what), const void *what);

/* Until the stream is closed, or the connection is. */
void h2_client_finish(struct h2_client *client, const struct h2_stream *stream);

/* Until the server has closed the connection. */
void h2_client_await_end(struct h2_client *client);

/* Whatever happens in this time. */
void h2_client_run_ms(struct h2_client *client, int64_t ms);

#endif
