/*
 * What the rooms of the C core transport share: grpc_core.c has the server, its threads and their turns;
 * grpc_core_call.c has what becomes of one call; grpc_core_metadata.c has what goes beside its messages;
 * grpc_core_tls.c has certificates, and who a client is.
 *
 * Threads: the server's two wait on one completion queue, and the turn lock is held from an event's
 * arrival until all that it led to has been ordered of the core. Everything here is under that lock,
 * but for what core_server says. Nothing is waited for under it: starting a batch does not block.
 */
#ifndef BACKLOG_SERVE_GRPC_CORE_H
#define BACKLOG_SERVE_GRPC_CORE_H

#include "serve/crowd.h"
#include "serve/metadata.h"
#include "serve/peer.h"
#include "serve/tls.h"
#include "serve/transport.h"

#include <grpc/grpc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* A tag on the completion queue: whom an operation belongs to, and what is to be done after it. */
struct operation {
    void *owner;
    void (*done)(void *owner, bool success);
};

struct core_call;
STAILQ_HEAD(core_call_list, core_call);

struct core_server {
    struct server server;

    /* Not changed after the start. */
    const struct service *service;
    const struct peer_rule *client_rule;
    bool asks_names; /* of clients, by a certificate */
    grpc_server *handle;
    grpc_completion_queue *queue;
    grpc_channel *lame; /* a wake is an empty batch on a call that leads nowhere */
    grpc_call *waker;
    struct operation wake;
    struct operation shut;
    pthread_t threads[2]; /* with one, a single abusive connection starves all the others */
    size_t thread_count;
    bool stopped;         /* they have ended; only drain and free look at it */
    pthread_mutex_t lock; /* the turn lock */

    pthread_mutex_t tls_lock; /* any thread of the core; never held together with the turn lock */
    struct tls *tls;          /* NULL: plain text */
    bool tls_is_new;          /* the core has not asked for it yet */

    atomic_bool woken; /* an empty batch is under way; any thread */

    struct core_call_list
        touched;    /* calls that an event or an order changed since the last settling */
    size_t live;    /* calls between begin() and ended() */
    int64_t due_ms; /* when turn() wants to be called next */
    bool draining;
    bool shut_down;         /* the core has let go of every connection */
    pthread_cond_t changed; /* for drain: `live` or `shut_down` may have changed */
    struct crowd crowd;     /* a call takes some 12 KiB of the core */
};

/* ---- grpc_core_tls.c ---- */

/* For the port; the caller releases them. */
grpc_server_credentials *core_tls_credentials(struct core_server *server);
void core_tls_use(struct server *server, struct tls *tls);
/* Whose certificate the core has verified; NULL: it asked for none. The caller frees it. */
struct peer *core_tls_peer(grpc_call *call);

/* ---- grpc_core_metadata.c ---- */

/* As call_metadata(). */
bool core_metadata_find(const grpc_metadata_array *metadata, const char *key, size_t index,
                        struct text *value);
/* For a batch; returns how many there are, at most METADATA_MOST. The core holds on to what they hold, and looks
 * at them no more once the batch has been started: then they are dropped. */
size_t core_metadata_put(const struct metadata *metadata, enum metadata_place place,
                         grpc_metadata *pairs);
void core_metadata_drop(const grpc_metadata *pairs, size_t count);

/* ---- grpc_core_call.c ---- */

/* Has the core hand us one more call, when one arrives. */
void core_call_request(struct core_server *server);

/* Orders of the core what the call needs next; ends the call, and frees it, once all is over. */
void core_call_advance(struct core_call *call);

/* Takes the next call off the list of touched ones; NULL when there is none. */
struct core_call *core_call_touched(struct core_server *server);

/* The transport's. */
bool core_call_metadata(const struct call *call, const char *key, size_t index, struct text *value);
void core_call_read(struct call *call);
bool core_call_send(struct call *call, struct bytes message);
void core_call_finish(struct call *call, enum status status, const char *text);

#endif
