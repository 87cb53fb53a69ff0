/*
 * Which wakers wait for which key.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_ARMED_H
#define BACKLOG_SCALERS_REDIS_ARMED_H

#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {0} is an empty one. */
struct redis_armed {
    struct armed_key *keys; /* by name */
    struct armed *wakers;   /* by id */
};

/* The name is copied. A waker that waits already still waits for the key that it came with. */
void redis_armed_add(struct redis_armed *armed, const char *key, const struct waker *waker);
void redis_armed_remove(struct redis_armed *armed, uint64_t waker_id); /* where it is there */

/* Those that are woken are removed. */
void redis_armed_wake(struct redis_armed *armed, const char *key, size_t length);
void redis_armed_wake_all(struct redis_armed *armed);

void redis_armed_done(struct redis_armed *armed);

#endif
