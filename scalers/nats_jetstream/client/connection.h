/*
 * A connection to NATS, with limits on all that could block, and the requests in flight on it.
 * nats.c does not reconnect: a connection that broke is thrown away.
 *
 * Each request has a reply subject of its own, which is never used again, so what comes late is
 * never taken for the reply to another request.
 *
 * Threads: nats.c reads the socket on a thread of its own and queues what it receives (events.h);
 * everything here is called on one thread, never two at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONNECTION_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONNECTION_H

#include "base/error.h"
#include "base/hash_table.h"
#include "measure/task.h"
#include "nats_jetstream/client/events.h"
#include "nats_jetstream/options.h"

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a task's request waits for. */
enum nats_request_state {
    NATS_REQUEST_SENT,      /* its reply */
    NATS_REQUEST_UNSETTLED, /* whether the reading of its reply, defaults, counts (configs.h) */
};

struct nats_request {
    struct nats_client_connection *connection;
    uint64_t number;
    struct task *task; /* its data is this request */
    int64_t sent_ms;
    enum nats_request_state state;
    struct reading reading;           /* UNSETTLED */
    struct nats_request *prev, *next; /* utlist, in the order of sending */
    UT_hash_handle hh;                /* by number */
    char subject[];
};

struct nats_client_connection {
    natsConnection *handle;
    struct nats_events *events;
    char *servers; /* for errors: host:port, without user info */
    natsInbox *inbox;
    natsSubscription *replies; /* to `inbox`.NUMBER */
    uint64_t last_number;
    struct nats_request *requests;  /* utlist: the oldest first */
    struct nats_request *by_number; /* the same */
    int64_t next_due_ms;            /* no request times out before it */
    int64_t received_ms;            /* the last message, or reply to a ping */
    int64_t round_trip_ms;          /* when it was made */
};

/* Returns once the server has let us receive replies. NULL: it failed. */
struct nats_client_connection *
nats_client_connection_open(const struct nats_connection_options *from, int64_t deadline_ms,
                            struct error *error);
void nats_client_connection_close(struct nats_client_connection *connection);

/* Sends a request without a body. The reply's number is *ret_number. */
natsStatus nats_client_connection_send(struct nats_client_connection *connection,
                                       const char *subject, uint64_t *ret_number);

/* The same, for a task. */
natsStatus nats_client_connection_send_task(struct nats_client_connection *connection,
                                            const char *subject, struct task *task);

/* The tasks stay. */
void nats_request_free(struct nats_request *request);
void nats_client_connection_abandon(struct nats_client_connection *connection);

struct nats_request *nats_client_connection_find(const struct nats_client_connection *connection,
                                                 uint64_t number);

/* Which request a message is the reply to; 0: none. */
uint64_t nats_client_connection_number(const struct nats_client_connection *connection,
                                       const natsMsg *message);

/* Waits for the reply to a ping, about as long as that usually takes. */
natsStatus nats_client_connection_ping(struct nats_client_connection *connection, int64_t now_ms);

/* Since when nothing has come of what was requested from this request on. */
int64_t nats_client_connection_silent_since_ms(const struct nats_client_connection *connection,
                                               const struct nats_request *oldest);

bool nats_client_connection_is_closed(const struct nats_client_connection *connection);

/* Sets the error that says why the connection is of no further use. Returns false. */
bool nats_client_connection_broken(const struct nats_client_connection *connection,
                                   natsStatus status, struct error *error);

#endif
