/*
 * What happens to a connection, queued for the thread of the client: messages, what the user has no
 * right to, and that it was closed. nats.c reports these on threads of its own.
 *
 * Threads: those of nats.c add, one takes. Owner: who made it; what nats.c still refers to is freed
 * with the last reference.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_EVENTS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_EVENTS_H

#include "nats_jetstream/client/refusal.h"

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>

struct nats_events;

struct nats_event {
    natsMsg *message; /* NULL: */
    struct nats_refusal refusal;
};

/* NULL: no descriptor could be had. */
struct nats_events *nats_events_new(void);
void nats_events_free(struct nats_events *events);

/* From now on, that of the connection that is made with these options. Where none is made of them:
 * nats_events_ignore_options(). */
natsStatus nats_events_of_options(struct nats_events *events, natsOptions *options);
void nats_events_ignore_options(struct nats_events *events);

/* Messages of this subject are queued. The caller destroys the subscription. */
natsStatus nats_events_subscribe(struct nats_events *events, natsConnection *connection,
                                 const char *subject, natsSubscription **ret_subscription);

/* Readable while something may be queued, or the connection is closed. */
int nats_events_descriptor(const struct nats_events *events);

/* Takes all that is queued; the caller ends it with nats_events_done(). */
struct nats_event *nats_events_take(struct nats_events *events, size_t *ret_count);
void nats_events_done(struct nats_event *taken, size_t count);

#endif
