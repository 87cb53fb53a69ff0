/*
 * The data that the modules of the C core transport share: server.c has the server, its threads and
 * their turns; call.c has what becomes of one call; tls.c has certificates, and who a client is.
 *
 * Threads: the server's two wait on one completion queue, and the turn lock is held from an event's
 * arrival until all that it led to has been ordered of the core. Everything here is under that
 * lock, except where core_server says otherwise. Nothing is waited for under it: starting a batch
 * does not block.
 */
#ifndef BACKLOG_SERVE_GRPC_CORE_STATE_H
#define BACKLOG_SERVE_GRPC_CORE_STATE_H

#include "base/system/trim.h"
#include "serve/grpc_core/library.h"
#include "serve/transport/client_names.h"
#include "serve/transport/tls.h"
#include "serve/transport/transport.h"

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
    const struct call_handler *handler;
    const struct client_rule *client_rule;
    bool requests_client_names; /* of clients, by a certificate */
    grpc_server *handle;
    grpc_completion_queue *queue;
    grpc_channel *lame; /* a wake is an empty batch on a call that leads nowhere */
    grpc_call *waker;
    struct operation wake;
    struct operation shut;
    pthread_t threads[2]; /* with one, a single abusive connection starves all the others */
    size_t thread_count;
    bool stopped;         /* they have ended; only drain and free read it */
    pthread_mutex_t lock; /* the turn lock */

    pthread_mutex_t tls_lock; /* any thread of the core; never held together with the turn lock */
    struct tls *tls;          /* NULL: plain text */
    bool tls_is_new;          /* the core has not fetched it yet */

    atomic_bool woken; /* an empty batch is under way; any thread */

    struct core_call_list
        touched;    /* calls that an event or an order changed since the last settling */
    size_t live;    /* calls between begin() and ended() */
    int64_t due_ms; /* when turn() wants to be called next */
    bool draining;
    bool shut_down;         /* the core has closed every connection */
    pthread_cond_t changed; /* for drain: `live` or `shut_down` may have changed */
    struct trim trim;       /* a call takes some 12 KiB of the core */
};

#endif
