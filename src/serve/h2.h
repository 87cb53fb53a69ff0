/*
 * What the rooms of the nghttp2 transport share:
 *
 *   h2_server.c      the loop and its thread, turns, wakes, the drain
 *   h2_listener.c    the address, new connections, and those that there is no place for
 *   h2_peer.c        the addresses that clients come from, and what each has
 *   h2_connection.c  a connection: its first bytes, what it reads, its time limits, its end
 *   h2_output.c      what it writes
 *   h2_socket.c      its bytes, through TLS where that is spoken
 *   h2_session.c     HTTP/2: nghttp2's callbacks, and limits on frames
 *   h2_call.c        a call: messages in, and the client's part in time
 *   h2_answer.c      what it answers: messages, metadata and a status
 *   h2_request.c     a call's headers, and what is no gRPC
 *   h2_framing.c     gRPC's bytes; pure
 *   h2_limits.c      what clients may do, counted
 *
 * Threads: one runs the loop, the sessions and the service's hooks, so the turn lock is this thread.
 * Others only write to wake_fd, and wait for the thread's end.
 *
 * A turn is: everything that has arrived is read, and hooks order answers of nghttp2; then the service
 * has its turn; and only then each connection that has something to say writes, once and all of it.
 */
#ifndef BACKLOG_SERVE_H2_H
#define BACKLOG_SERVE_H2_H

#include "serve/crowd.h"
#include "serve/h2_framing.h"
#include "serve/h2_limits.h"
#include "serve/peer.h"
#include "serve/tls.h"
#include "serve/transport.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <nghttp2/nghttp2.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <uthash.h>

/* Read of a connection in one turn; more would let one client hold up all the others. */
enum { H2_INPUT_BYTES = 32 * 1024 };
/* The longest of IPv6 with an interface, and NUL. */
enum { H2_ADDRESS_BYTES = 64 };
/* Written at once. A connection keeps at most this much that its client does not read. */
enum { H2_OUTPUT_BYTES = 64 * 1024 };

/* An address, while it has connections: how much it has of what all clients share. */
struct h2_peer {
    char address[H2_ADDRESS_BYTES];
    size_t connections;
    size_t calls; /* but for streams */
    size_t held_bytes;
    UT_hash_handle hh; /* in server->peers, by address */
};

struct h2_call {
    struct call call;
    struct h2_connection *connection;
    LIST_ENTRY(h2_call) of_connection;
    TAILQ_ENTRY(h2_call) expected; /* in server->expected, while is_expected */
    STAILQ_ENTRY(h2_call) unread;  /* in server->unread, while is_unread */
    int64_t expected_ms;           /* when the client must have done its part */
    struct event *deadline;        /* NULL: the client set none */
    nghttp2_rcbuf *path; /* shared by all calls of it where the client has HPACK index it */

    /* What has come of messages that are not whole, or that nobody has asked for yet. */
    uint8_t *held;
    size_t held_length;
    size_t held_capacity;
    size_t unconsumed; /* by the stream's flow control */

    /* What is being sent; NULL: nothing. */
    uint8_t *message;
    size_t message_length;
    size_t message_sent;
    char *status_text; /* encoded; NULL: none */

    int32_t stream_id;
    uint8_t status;
    bool is_compressed : 1; /* messages may be, by its headers */
    bool is_expected : 1;
    bool is_unread : 1;
    bool is_stream : 1; /* call_stays(), and not finished */
    bool read_wanted : 1;
    bool delivering : 1;
    bool half_closed : 1; /* by the client */
    bool headers_sent : 1;
    bool finished : 1;
    bool status_sent : 1; /* else its client knows of none */
};

struct h2_header {
    nghttp2_rcbuf *name;
    nghttp2_rcbuf *value;
};

/* A call's headers while they arrive. They come in one piece, so a connection has one of them. */
struct h2_request {
    size_t bytes;
    nghttp2_rcbuf *path;
    int64_t timeout_ms; /* CLOCK_NEVER: none */
    enum encoding encoding;
    bool is_post;
    bool is_grpc;
    bool takes_trailers;
    bool has_wrong_timeout;
    bool has_long_path;

    /* What is not the protocol's. No more than H2_HEADER_BYTES allow; the room is kept for the next call. */
    struct h2_header *metadata;
    size_t metadata_count;
    size_t metadata_capacity;
};

enum h2_phase {
    H2_SHAKING,  /* TLS' greeting comes before all */
    H2_GREETING, /* no session yet: the client has not said that it speaks HTTP/2 */
    H2_SERVING,
    H2_LEAVING,  /* the client was told to go, and what it had on the way by then is served */
    H2_LEFT,     /* what it opens from now on is not; its calls go on */
    H2_DOOMED,   /* it went too far: nothing that it says counts any more */
    H2_LINGERING /* all is said, and the session gone: its last bytes are waited for, or they would
                    reset the connection, and what we said with it */
};

struct h2_connection {
    struct h2_server *server;
    TAILQ_ENTRY(h2_connection) all;
    TAILQ_ENTRY(h2_connection) touched; /* in server->touched, while is_touched */
    LIST_HEAD(, h2_call) calls;
    bool is_touched;
    bool has_settled; /* the client's SETTINGS have come */
    enum h2_phase phase;
    int fd;
    SSL *tls;            /* NULL: plain text */
    bool tls_must_write; /* before it can read on */
    struct h2_peer *peer;
    struct peer *names; /* NULL: it was not asked for any */
    char *refusal;      /* why its calls are not served; NULL: they are */
    struct event readable;
    struct event writable;
    nghttp2_session *session;
    size_t greeted; /* bytes of the client's preface so far */
    struct h2_request request;

    uint8_t *unsent; /* what the socket did not take */
    size_t unsent_length;
    size_t unsent_offset;

    int64_t opened_ms;
    int64_t heard_ms;
    int64_t pinged_ms;
    int64_t wrote_ms; /* when the socket last took something of `unsent` */
    int64_t busy_ms;  /* when it last had a call */
    int64_t phase_ms; /* when the phase began */
    int64_t retire_ms;
    struct h2_bucket buckets[H2_INVALID_FRAMES - H2_RESETS + 1];
};

struct h2_server {
    struct server server;

    /* Not changed after the start. */
    const struct service *service;
    size_t max_message_bytes;
    size_t max_streams;
    int64_t ping_interval_ms;
    int64_t max_age_ms; /* CLOCK_NEVER: none */
    struct event_base *base;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *session_options;
    pthread_t thread;
    bool stopped; /* it has ended, or never began; only drain and free look at it */

    /* Any thread. */
    int wake_fd;
    atomic_bool woken;
    atomic_llong drain_by_ms; /* CLOCK_NEVER: nobody wants a drain */

    struct h2_limits limits; /* its counts: any thread */
    _Atomic uint64_t failed_handshakes;

    const struct peer_rule *client_rule;
    pthread_mutex_t tls_lock;
    struct tls *tls; /* for new connections, under tls_lock; NULL: plain text */

    /* The loop's. */
    int64_t now_ms; /* of this turn */
    int listen_fd;
    int spare_fd;   /* given up for a moment to accept and refuse with, when there are no others */
    bool is_paused; /* new connections wait until a descriptor is free */
    struct event *listening;
    struct event *waking;
    struct event *timer;
    int64_t timer_ms;                              /* when it will go off */
    int64_t due_ms;                                /* when the service wants its turn */
    int64_t sweep_ms;                              /* when time limits are looked at next */
    TAILQ_HEAD(, h2_connection) connections;       /* the oldest first */
    TAILQ_HEAD(h2_touched, h2_connection) touched; /* those that may have something to write */
    TAILQ_HEAD(, h2_call) expected; /* of which the client has to do its part in time */
    STAILQ_HEAD(, h2_call) unread;  /* of which messages can be delivered */
    size_t connection_count;
    size_t shakes_left;      /* of this turn */
    int64_t shake_failed_ms; /* when the log was last told of one */
    struct h2_peer *peers;   /* uthash */
    size_t call_count;
    size_t stream_count; /* of them */
    size_t held_bytes;   /* by all calls */
    struct crowd crowd;
    bool draining;
    size_t cancelled;
    uint8_t input[H2_INPUT_BYTES];
    uint8_t output[H2_OUTPUT_BYTES + 16384 + 9]; /* the last frame may be a whole one */
};

/* ---- h2_server.c ---- */

/* A server that neither listens nor has a thread yet. Whoever wants none (a fuzzer) gives it connections
 * and turns of its own; server_free() frees it. */
bool h2_server_new(const struct server_options *options, const struct service *service,
                   struct h2_server **ret_server, struct error *error);
/* Waits for events unless `flags` (of event_base_loop) say otherwise, and does all that follows. */
void h2_server_turn(struct h2_server *server, int flags);

/* ---- h2_listener.c ---- */

/* "host:port". */
bool h2_listener_open(struct h2_server *server, const char *address, struct error *error);
/* Again, after it had to stop for want of descriptors. */
void h2_listener_resume(struct h2_server *server);
void h2_listener_close(struct h2_server *server);

/* ---- h2_peer.c ---- */

/* NULL: it has no connection. */
struct h2_peer *h2_peer_find(const struct h2_server *server, const char *address);
/* One connection more, and one less, of an address. */
struct h2_peer *h2_peer_join(struct h2_server *server, const char *address);
void h2_peer_leave(struct h2_server *server, struct h2_peer *peer);

/* ---- h2_connection.c ---- */

/* Takes the socket. */
void h2_connection_new(struct h2_server *server, int fd, const char *address);
/* At once; its calls end. */
void h2_connection_free(struct h2_connection *connection);
/* It has something to write at the end of the turn. */
void h2_connection_touch(struct h2_connection *connection);
/* All is said: waits for the client to close. */
void h2_connection_linger(struct h2_connection *connection);
/* Closes it in order: GOAWAY, and its calls go on. */
void h2_connection_leave(struct h2_connection *connection);
/* The client has seen that it is to leave. */
void h2_connection_left(struct h2_connection *connection);
/* Closes it for good reason: GOAWAY, and its calls end. */
void h2_connection_doom(struct h2_connection *connection, enum h2_limit limit);
/* The grace is over: says GOAWAY if the socket takes it, and is gone. */
void h2_connection_cut(struct h2_connection *connection);
/* Looks at its time limits; may free it. */
void h2_connection_check(struct h2_connection *connection);

/* ---- h2_output.c ---- */

/* At the end of a turn; may free it. Stays touched while it writes, so that what its own hooks order now
 * waits for the next turn. */
void h2_output_flush(struct h2_connection *connection);
/* What the socket takes now. False: the connection is broken. */
bool h2_output_write(struct h2_connection *connection);
/* Which events are waited for. */
void h2_output_await(struct h2_connection *connection, bool readable, bool writable);

/* ---- h2_socket.c ---- */

/* Whether the connection begins with a handshake. */
bool h2_socket_wrap(struct h2_connection *connection);

enum h2_shake {
    H2_SHAKE_READS,  /* more is to come */
    H2_SHAKE_WRITES, /* the socket takes no more now */
    H2_SHAKE_DONE,
    H2_SHAKE_FAILED,
};

enum h2_shake h2_socket_shake(struct h2_connection *connection);

/* Return how many bytes there were: 0 where there can be none now, -1 where none ever will. */
ssize_t h2_socket_receive(struct h2_connection *connection, uint8_t *buffer, size_t size);
ssize_t h2_socket_send(struct h2_connection *connection, const uint8_t *data, size_t length);

/* Ends TLS in order; what still arrives is of no interest. */
void h2_socket_unwrap(struct h2_connection *connection);
void h2_socket_close(struct h2_connection *connection);

/* ---- h2_session.c ---- */

void h2_session_prepare(struct h2_server *server);
/* Begins HTTP/2: our SETTINGS. */
nghttp2_session *h2_session_new(struct h2_connection *connection);
void h2_session_ping(struct h2_connection *connection);

/* ---- h2_request.c ---- */

/* As before the first header. */
void h2_request_clear(struct h2_request *request);
void h2_request_done(struct h2_request *request);
/* False: it goes beyond all limits. */
bool h2_request_add(struct h2_request *request, const struct h2_limits *limits, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value);
/* As call_metadata(). */
bool h2_request_metadata(const struct h2_request *request, const char *key, size_t index,
                         struct text *value);
/* Answers what is no call that could be served; true: it is one. */
bool h2_request_judge(struct h2_connection *connection, int32_t stream_id);
/* Tells the service of one that was refused. */
void h2_request_refused(const struct h2_connection *connection, enum status status);

/* ---- h2_call.c ---- */

/* Takes the path out of the request. */
void h2_call_begin(struct h2_connection *connection, int32_t stream_id, struct h2_request *request);
void h2_call_receive(struct h2_call *call, struct bytes bytes);
void h2_call_half_close(struct h2_call *call);
/* Delivers what had to wait for the service to ask. */
void h2_call_deliver(struct h2_call *call);
/* The client did not do its part in time. */
void h2_call_expire(struct h2_call *call);
/* Its deadline is met, and the client is to take the answer in time; until then it takes a call's place. */
void h2_call_is_answered(struct h2_call *call);
/* Its stream is closed: the last thing that happens to it. */
void h2_call_end(struct h2_call *call);

/* The transport's. */
bool h2_call_metadata(const struct call *call, const char *key, size_t index, struct text *value);
void h2_call_read(struct call *call);
void h2_call_stays(struct call *call);

/* ---- h2_answer.c ---- */

/* A DATA frame of it has left. */
void h2_call_sent(struct h2_call *call);

/* The transport's. */
bool h2_call_send(struct call *call, struct bytes message);
void h2_call_finish(struct call *call, enum status status, const char *text);

/* A header of ours: of constants, which nghttp2 need not copy. */
#define H2_HEADER(key, text)                                                                       \
    {.name = (uint8_t *)(key),                                                                     \
     .value = (uint8_t *)(text),                                                                   \
     .namelen = sizeof(key) - 1,                                                                   \
     .valuelen = sizeof(text) - 1,                                                                 \
     .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

/* grpc-status; and grpc-message, whose text nghttp2 copies. */
nghttp2_nv h2_status_header(enum status status);
nghttp2_nv h2_text_header(const char *encoded);

#endif
