/*
 * GETs of JSON side by side from one server, over a few connections that are kept.
 *
 *     while (fetch_pool_has_room(pool) && more to ask)
 *         fetch_pool_ask(pool, url, owner, deadline_ms);
 *     while (fetch_pool_take(pool, deadline_ms, &ended)) ... and ask the next one
 *     fetch_pool_stop(pool);
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_SHARED_FETCH_POOL_H
#define BACKLOG_SCALERS_SHARED_FETCH_POOL_H

#include "base/error.h"
#include "shared/fetch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch_pool;

/* A GET that came to an end. */
struct fetch_ended {
    void *owner; /* as it was given to fetch_pool_ask() */
    enum fetch_outcome outcome;
    struct fetch_answer answer; /* of FETCH_ANSWERED */
    struct error error;         /* of every other outcome */
};

struct fetch_pool *fetch_pool_new(const struct fetch_source *source, size_t side_by_side);
void fetch_pool_free(struct fetch_pool *pool);

/* As fetch_set_bearer(), for every GET that is begun from now on. */
void fetch_pool_set_bearer(const struct fetch_pool *pool, const char *token);

bool fetch_pool_has_room(const struct fetch_pool *pool);

/* Begins a GET; there must be room. Past the deadline it is not begun, and never ends. */
void fetch_pool_ask(struct fetch_pool *pool, const char *url, void *owner, int64_t deadline_ms);

/* Waits for the next GET to end. False where none is under way, or the deadline is over. The caller ends
 * what it was given with fetch_ended_done(). */
bool fetch_pool_take(struct fetch_pool *pool, int64_t deadline_ms, struct fetch_ended *ret_ended);
void fetch_ended_done(struct fetch_ended *ended);

/* Gives up the GETs that are under way; their connections are closed. */
void fetch_pool_stop(struct fetch_pool *pool);

#endif
