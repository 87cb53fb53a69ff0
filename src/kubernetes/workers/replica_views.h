/*
 * How many replicas the HPAs of ScaledObjects count, while somebody views them: the informer reads
 * an HPA every three seconds if it was asked for within the last ten.
 *
 * Threads: replica_views_view() may be called from any, and does not wait; the rest is the
 * informer's thread's.
 */
#ifndef BACKLOG_KUBERNETES_WORKERS_REPLICA_VIEWS_H
#define BACKLOG_KUBERNETES_WORKERS_REPLICA_VIEWS_H

#include "base/error.h"
#include "kubernetes/informer/informer.h"

#include <stdbool.h>
#include <stdint.h>

enum { REPLICA_VIEWS_MAX = 200 };

struct replica_views;

/* What is known of one object. */
struct replica_view {
    const char *hpa;           /* its name; NULL: not known yet */
    int64_t replicas, read_ms; /* of clock_now_ms(), when they were requested; 0: never */
    const struct error *error; /* why they could not be read last; they are older ones then */
};

/* The informer is borrowed; it is not started yet, and stopped before this is freed. */
struct replica_views *replica_views_new(struct informer *informer);
void replica_views_free(struct replica_views *views); /* NULL is harmless */

/* Somebody views the object, whose names are valid: calls `visit` with what is known, under a lock,
 * so that it must be quick. False: more than REPLICA_VIEWS_MAX objects are viewed. */
bool replica_views_view(struct replica_views *views, const char *namespace, const char *name,
                        void (*visit)(void *context, const struct replica_view *view),
                        void *context);

#endif
