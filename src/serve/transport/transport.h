/*
 * The contract between the services (ExternalScaler, Health, Reflection, Peers) and what carries
 * them: a call is a path, request messages, reply messages and one status. A service never learns
 * which transport is under it.
 *
 * Threads: a server has a turn lock. Every hook of a service runs under it, one at a time, and
 * every function below that takes a call must be called under it, which means: from within a hook.
 * So a cancellation races with nothing. Those that take a server may be called from any thread,
 * until server_free(); but server_drain() not from the server's own. Wakes coalesce.
 *
 * A call lives from begin() to ended(), which comes exactly once for each begin(), and is the last
 * use of the call.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_TRANSPORT_H
#define BACKLOG_SERVE_TRANSPORT_TRANSPORT_H

#include "base/error.h"
#include "base/text.h"
#include "serve/transport/bytes.h"
#include "serve/transport/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_names; /* transport/client_names.h */
struct client_rule;

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
enum status {
    STATUS_OK = 0,
    STATUS_CANCELLED = 1,
    STATUS_UNKNOWN = 2,
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_NOT_FOUND = 5,
    STATUS_PERMISSION_DENIED = 7,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
    STATUS_UNAVAILABLE = 14,
    STATUS_UNAUTHENTICATED = 16,
};

/* The head of a call; a transport's own structure begins with it. */
struct call {
    const struct transport *transport;
    const char *path;    /* "/package.Service/Method" */
    int64_t deadline_ms; /* the client's, of clock_now_ms(); CLOCK_NEVER where it set none */
    void *context;       /* the service's */
    const struct client_names
        *names; /* the names in the client's certificate; NULL: none was requested */
};

struct call_handler {
    void *context; /* given to every hook */

    /* A call has arrived. The service reads (call_read) or finishes it. */
    void (*begin)(void *context, struct call *call);
    /* A whole message, decompressed; valid during the hook. One for each call_read(). */
    void (*message)(void *context, struct call *call, struct bytes message);
    /* After a call_read(): the client sends no more. A call of which no message came ends up here.
     */
    void (*half_closed)(void *context, struct call *call);
    /* The last message sent has left; another may be sent. */
    void (*writable)(void *context, struct call *call);
    /* Finished, cancelled by the client, or its connection is gone. `status` is what the client
     * got, be it of the service or of the transport; or made of it itself. */
    void (*ended)(void *context, struct call *call, enum status status);
    /* The transport has refused what could have become a call: no other hook is called for it.
     * `path` is NULL where it was not fit to be kept. May be NULL. */
    void (*refused)(void *context, const char *path, enum status status);
    /* After events, after a wake, and when the time it returned last has come. Returns when it is
     * next due, of clock_now_ms(); CLOCK_NEVER: when something happens. */
    int64_t (*turn)(void *context, int64_t now_ms);
    /* The server drains: streams are to be finished with STATUS_OK now; a waiting unary call goes
     * on. */
    void (*drain)(void *context);
    /* The same for one call, whose connection has come of age. */
    void (*retire)(void *context, struct call *call);
};

/* Requests one more message. One that was not requested waits, and flow control stops the client.
 */
void call_read(struct call *call);

/* Copies the message and sends it. False: one is in flight still, wait for writable(). */
bool call_send(struct call *call, struct bytes message);

/* Of a stream whose number the service bounds itself: until it has ended it does not count for the
 * transport's own limit on calls. False: too many are finished, and their clients do not take the
 * answer; the service refuses this one. */
bool call_exclude_from_limit(struct call *call);

/* Ends the call; what was sent before goes out first. A status that gRPC does not know is
 * UNKNOWN. `text` may be NULL, and is cut to what a header can carry. */
void call_finish(struct call *call, enum status status, const char *text);

/* What became of a call that ends, and that nobody has finished. */
enum status call_unfinished(const struct call *call);

struct server_options {
    const char *listen;          /* "host:port"; "[::]:9090"; port 0 takes a free one */
    size_t max_message_bytes;    /* a larger request is RESOURCE_EXHAUSTED */
    int64_t ping_interval_ms;    /* keepalive pings to clients; a dead peer is noticed after two */
    const struct tls_files *tls; /* NULL: plain text */
    const struct client_rule
        *client_rule; /* NULL: all that client_ca vouches for; outlives the server */

    /* 0: as the transport sees fit. One that cannot hold a limit refuses to start with it. */
    size_t max_connections;
    size_t max_peer_connections; /* of one address */
    size_t max_streams; /* that stay, call_exclude_from_limit(), of each of two kinds: no connection
                           is kept from them */
    int64_t max_connection_age_ms; /* then it is closed gracefully, and clients reconnect */
    const char *const *limits;     /* other numbers than the transport's: "resets=1000" */
    size_t limit_count;
};

/* What a client may do on the wire. */
struct limit {
    const char *name;   /* in server_options, in the log and in the metric */
    int64_t max;        /* at once */
    int64_t per_second; /* of a rate: how fast it comes back; 0: it is none */
    const char *reason;
    const char
        *set_by; /* a flag, which is the only way to change it; NULL: server_options.limits */
};

/* How often a limit was reached. */
struct limit_hits {
    const char *name;
    uint64_t hits;
};

struct server;

struct transport {
    const char *name;           /* for --transport */
    const struct limit *limits; /* ends with one without a name; NULL: it has none */

    /* Whether it can hold what the options ask for. Pure; names the flags. start() does the same
     * first. */
    bool (*check)(const struct server_options *options, struct error *error);
    /* Listens and serves, on threads of its own. The service must live until the drain is over. */
    /* `tls` is what options->tls came to, or NULL; the server takes it where this returns true. */
    bool (*start)(const struct server_options *options, const struct call_handler *handler,
                  struct tls *tls, struct server **ret_server, struct error *error);
    /* For handshakes from now on; takes it. Any thread. */
    void (*use_tls)(struct server *server, struct tls *tls);
    void (*wake)(struct server *server);
    /* Readiness has gone down already. GOAWAY, drain hook, then waits until the calls have ended,
     * at most `grace_ms`; cancels what is left. Returns how many calls had to be cancelled. From
     * any thread but the server's own. After it no hook is called, and wake() does nothing: so
     * whoever wakes can be ended between drain and free. */
    size_t (*drain)(struct server *server, int64_t grace_ms);
    void (*free)(struct server *server); /* after drain */
    /* Any thread. Returns how many there are, at most `max`; NULL where the transport counts none.
     */
    size_t (*limit_hits)(const struct server *server, struct limit_hits *ret_limits, size_t max);
    /* Any thread. Failed TLS handshakes; NULL where the transport counts none. */
    uint64_t (*failed_handshakes)(const struct server *server);

    /* Adds the libraries that it is made of, as this process has loaded them: "nghttp2 1.52.0". */
    void (*libraries)(struct text *text);

    void (*read)(struct call *call);
    bool (*send)(struct call *call, struct bytes message);
    bool (*exclude_from_limit)(
        struct call *call); /* NULL: it does not bound the calls in progress */
    void (*finish)(struct call *call, enum status status, const char *text);
};

/* The head of a server; a transport's own structure begins with it. */
struct server {
    const struct transport *transport;
    int port;                           /* that it listens on */
    _Atomic int64_t certificate_ends_s; /* 0: plain text; see server_certificate_ends_s() */
};

bool server_start(const struct transport *transport, const struct server_options *options,
                  const struct call_handler *handler, struct server **ret_server,
                  struct error *error);
/* Reads the files again. Handshakes from now on use them, and open connections live on. False: a
 * file is invalid, and nothing has changed. For a server that was started with such (and with a
 * client_ca, or without one); any thread. */
bool server_reload_tls(struct server *server, const struct tls_files *files, struct error *error);
void server_wake(struct server *server);
size_t server_drain(struct server *server, int64_t grace_ms);
size_t server_limit_hits(const struct server *server, struct limit_hits *ret_limits, size_t max);
/* Unix time: until when what is shown now is valid. 0: plain text. Any thread. */
int64_t server_certificate_ends_s(const struct server *server);
/* False: they are not counted, or there are none in plain text. Any thread. */
bool server_failed_handshakes(const struct server *server, uint64_t *ret_count);
void server_free(struct server *server); /* NULL is none */

/* Those of this build (list.c), and NULL; the first is the default. */
extern const struct transport *const transport_list[];
extern const char *const transport_names[];

/* NULL: there is none of this name, or it was left out of the build. */
const struct transport *transport_find(const char *name);

extern const struct transport transport_grpc_core; /* grpc_core/server.c */
extern const struct transport transport_nghttp2;   /* h2/server.c */

#endif
