/*
 * The data that the modules of the nghttp2 transport share.
 *
 * The modules of serve/h2/; each uses only those above it:
 *
 *   call/framing      gRPC's bytes; pure
 *   limits            what clients may do, counted
 *   peer              the addresses that clients come from, and what each has
 *   call/request      a call's headers while they arrive
 *   call/status       gRPC's status as headers
 *   state             server, connection and call: the data
 *   tls_bio           the socket as OpenSSL has it, and a limit of what a handshake announces
 *   socket            a connection's bytes, through TLS where that is spoken
 *   call/limits       a call's deadline, and the client's part in time
 *   call/call_answer  what a call answers: messages and a status
 *   call/call         its messages in, its beginning and its end
 *   connection        its life, its time limits, its end
 *   output            what it writes
 *   call/refusal      the answer to what is no gRPC
 *   session           HTTP/2: nghttp2's callbacks, and limits on frames
 *   io                the connection's first bytes, what it reads and when it writes
 *   listener          the address, new connections, and those that there is no place for
 *   server            the loop and its thread, turns, wakes, the drain
 *
 * Threads: one runs the loop, the sessions and the service's hooks, so the turn lock is this
 * thread. Others only write to wake_fd, and wait for the thread's end.
 *
 * A turn is: what has arrived is read, of one connection of each address in turn, and hooks order
 * answers of nghttp2; then messages that had to wait are delivered, one of each address in turn;
 * then the service has its turn; and only then each connection that has something to send writes,
 * once and all of it. The first and the last take two milliseconds each, and the first two deliver
 * messages for one each, so that requests which cost much hold up nobody else's. Whoever the last
 * turn had no time to write for is not read: what was read is answered and freed first. Where many
 * calls end at once, as when a client hangs up or their deadlines pass, each turn ends a part.
 */
#ifndef BACKLOG_SERVE_H2_STATE_H
#define BACKLOG_SERVE_H2_STATE_H

#include "base/system/trim.h"
#include "serve/h2/call/framing.h"
#include "serve/h2/call/request.h"
#include "serve/h2/limits.h"
#include "serve/h2/peer.h"
#include "serve/transport/client_names.h"
#include "serve/transport/tls.h"
#include "serve/transport/transport.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* Read of a connection in one turn: a TLS record. More would let one client hold up the others. */
enum { H2_INPUT_BYTES = 16 * 1024 };
/* Written at once. A connection keeps at most this much that its client does not read. */
enum { H2_OUTPUT_BYTES = 64 * 1024 };

enum { H2_NO_PING = -1 };

struct h2_call {
    struct call call;
    struct h2_connection *connection;
    LIST_ENTRY(h2_call) of_connection;
    TAILQ_ENTRY(h2_call) expected; /* in server->expected, while is_expected */
    TAILQ_ENTRY(h2_call) unread;   /* in its peer's, while is_unread */
    TAILQ_ENTRY(h2_call) late;     /* in server->late, while is_late */
    int64_t expected_ms;           /* when the client must have done its part */
    struct event *deadline;        /* NULL: the client set none */
    nghttp2_rcbuf *path; /* shared by all calls of it where the client has HPACK index it */

    /* What has come of messages that are not whole, or that call_read() has not requested yet. */
    uint8_t *held;
    size_t held_length;
    size_t held_capacity;
    size_t unconsumed; /* by the stream's flow control */

    /* What is being sent; NULL: nothing. */
    uint8_t *message;
    size_t message_length;
    size_t message_sent;
    char *status_text; /* encoded; NULL: none */
    size_t text_bytes; /* of it; nghttp2 has a copy until the call ends */

    int32_t stream_id;
    uint8_t status;
    bool is_compressed : 1; /* messages may be, by its headers */
    bool is_expected : 1;
    bool is_unread : 1;
    bool is_late : 1;   /* its deadline has passed, and it is not finished */
    bool is_stream : 1; /* call_exclude_from_limit(): it has a stream's place */
    bool read_wanted : 1;
    bool delivering : 1;
    bool half_closed : 1; /* by the client */
    bool headers_sent : 1;
    bool finished : 1;
    bool status_sent : 1; /* else its client knows of none */
};

enum h2_phase {
    H2_TLS_HANDSHAKE, /* TLS comes first */
    H2_AWAIT_PREFACE, /* no session yet: the client's HTTP/2 preface has not arrived */
    H2_SERVING,
    H2_GOAWAY_SENT,         /* GOAWAY was sent, and calls that were on the way are still served */
    H2_GOAWAY_ACKNOWLEDGED, /* the client has read it, or had the time to: the last one is due */
    H2_LEAVING,             /* new calls are no longer served; those it has go on */
    H2_TERMINATING,         /* it exceeded a limit: what it sends is ignored */
    H2_LINGERING /* everything is sent, and the session gone: its last bytes are waited for, or they
                    would reset the connection, and discard what we sent */
};

struct h2_connection {
    struct h2_server *server;
    TAILQ_ENTRY(h2_connection) all;
    TAILQ_ENTRY(h2_connection) touched; /* in server->touched, while is_touched */
    TAILQ_ENTRY(h2_connection) ready;   /* in its peer's readable ones, while is_ready */
    TAILQ_ENTRY(h2_connection) ending;  /* in server->ending, while is_ending */
    LIST_HEAD(, h2_call) calls;
    size_t call_count;   /* but for streams */
    size_t unread_calls; /* nothing is read while there are any */
    bool is_touched;
    uint64_t touched_before; /* the server's `flushes` when it was touched */
    bool is_ready;
    bool is_ending;    /* its session has ended, and more calls are left than the turn may end */
    bool is_closed;    /* only its calls are left of it: it is freed with the last one */
    bool has_settings; /* the client's SETTINGS have come */
    enum h2_phase phase;
    int fd;
    SSL *tls;            /* NULL: plain text */
    bool tls_must_write; /* before it can read on */
    struct h2_peer *peer;
    struct client_names *names; /* NULL: no certificate was requested */
    char *refusal;              /* why its calls are not served; NULL: they are */
    struct event readable;
    struct event writable;
    nghttp2_session *session; /* NULL: none yet, or it has ended, and its calls send nothing more */
    size_t preface_received;  /* bytes of the client's preface so far */
    struct h2_request request;

    uint8_t *unsent; /* what the socket did not take */
    size_t unsent_length;
    size_t unsent_offset;

    int64_t opened_ms;
    int64_t received_ms;
    int64_t reads_since_ms; /* without a pause, such as while it has something unsent */
    int64_t pinged_ms;      /* when the ping was written that nothing has come after; H2_NO_PING;
                          CLOCK_NEVER: it is queued */
    int64_t wrote_ms;       /* when the socket last took something of `unsent` */
    int64_t busy_ms;        /* when it last had a call */
    int64_t phase_ms;       /* when the phase began */
    int64_t retire_ms;
    struct h2_bucket buckets[H2_FRAMES_QUEUED - H2_RESETS + 1];
};

struct h2_server {
    struct server server;

    /* Not changed after the start. */
    const struct call_handler *handler;
    size_t max_message_bytes;
    size_t max_streams;
    int64_t ping_interval_ms;
    int64_t max_age_ms; /* CLOCK_NEVER: none */
    struct event_base *base;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *session_options;
    pthread_t thread;
    bool stopped; /* it has ended, or never began; only drain and free read it */

    /* Any thread. */
    int wake_fd;
    atomic_bool woken;
    atomic_llong drain_by_ms; /* CLOCK_NEVER: nobody wants a drain */

    struct h2_limits limits; /* its counts: any thread */
    _Atomic uint64_t failed_handshakes;

    const struct client_rule *client_rule;
    pthread_mutex_t tls_lock;
    struct tls *tls; /* for new connections, under tls_lock; NULL: plain text */

    /* The loop's. */
    int64_t now_ms;    /* of this turn */
    int64_t polled_ms; /* when this turn began to look for what can be read */
    int listen_fd;
    int spare_fd;   /* given up for a moment to accept and refuse with, when there are no others */
    bool is_paused; /* new connections wait until a descriptor is free */
    struct event *listening;
    struct event *waking;
    struct event *timer;
    int64_t timer_ms;                              /* when it will go off */
    int64_t due_ms;                                /* when the service wants its turn */
    int64_t sweep_ms;                              /* when time limits are checked next */
    TAILQ_HEAD(, h2_connection) connections;       /* the oldest first */
    TAILQ_HEAD(h2_touched, h2_connection) touched; /* those that may have something to write */
    TAILQ_HEAD(, h2_peer) readable;     /* with connections to read: each gets one read, in turn */
    TAILQ_HEAD(, h2_call) expected;     /* of which the client has to do its part in time */
    TAILQ_HEAD(, h2_peer) unread;       /* with messages to deliver: each gets one, in turn */
    TAILQ_HEAD(, h2_call) late;         /* to be finished, as their deadlines have passed */
    TAILQ_HEAD(, h2_connection) ending; /* with calls to end, although their session has ended */
    int64_t delivers_until_us;   /* ... in this part of the turn; 0: none was delivered yet */
    size_t connection_count;     /* but for closed ones, whose calls are ending */
    int64_t handshakes_until_us; /* of this turn; 0: there was none */
    int64_t writes_until_us;     /* of this turn */
    uint64_t flushes;            /* so many turns have written */
    size_t ends_left; /* of calls that run out of time, or of their session, in this turn */
    int64_t handshake_warned_ms; /* when a failed one was last logged */
    int64_t name_warned_ms;      /* ... and a client whose name is refused */
    int64_t channel_warned_ms;   /* ... and one with TLS where there is none, or without it */
    struct h2_peer *peers;       /* uthash */
    size_t call_count;
    size_t stream_count; /* of them */
    size_t ended_count;  /* of these: finished, and the client has not taken the answer */
    size_t held_bytes;   /* by all calls, but for small answers */
    struct trim trim;
    bool draining;
    size_t cancelled;
    uint8_t input[H2_INPUT_BYTES];
    uint8_t output[H2_OUTPUT_BYTES + 16384 + 9]; /* the last frame may be a whole one */
};

/* It has something to write at the end of the turn, while it has a session. */
void h2_connection_touch(struct h2_connection *connection);

#endif
