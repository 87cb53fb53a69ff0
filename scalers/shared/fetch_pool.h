/*
 * GETs of JSON side by side from one server, over a few connections that are kept.
 *
 *     for (;;) {
 *         while (fetch_pool_has_capacity(pool) && (task = feed_take(feed)) != NULL)
 *             fetch_pool_get(pool, url, task, clock_now_ms() + task->timeout_ms);
 *         while (fetch_pool_take(pool, &ended))
 *             ... ended.owner is the task; fetch_ended_done()
 *         fetch_pool_wait(pool, feed, CLOCK_NEVER);
 *     }
 *
 * Each GET has a deadline of its own, and ends exactly once: by fetch_pool_take() or
 * fetch_pool_wait_one(), or by fetch_pool_cancel() or fetch_pool_stop(), after which nothing of it
 * comes any more.
 *
 * A GET that needs a new connection begins only while fewer than two others look up the server's
 * name: libcurl has a thread for each of them, and resolv.conf says how long it lives. The others
 * wait within their deadlines. So does all but the first of a connection while other connections
 * have the memory for its link or its reply's head (source_memory.h).
 *
 * A GET that ends before its lookup does, by its deadline or by fetch_pool_cancel(), waits for that
 * thread, and the pool with it: by daemon/serve.c up to two seconds for each nameserver.
 * CURLOPT_QUICK_EXIT would leave the thread alone, of which nobody would know how many there are;
 * and before libcurl 8.14 it reads memory that the thread may have freed.
 *
 * A fetcher of another server can be added for one transfer: it waits beside the GETs and delays
 * none of them.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_SHARED_FETCH_POOL_H
#define BACKLOG_SCALERS_SHARED_FETCH_POOL_H

#include "base/error.h"
#include "measure/task.h"
#include "shared/fetch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch_pool;

/* A GET that ended. */
struct fetch_ended {
    void *owner; /* as it was given to fetch_pool_get() or fetch_pool_add() */
    enum fetch_outcome outcome;
    struct fetch_answer answer; /* of FETCH_ANSWERED */
    struct error error;         /* of every other outcome */
};

/* At most `size` GETs at a time; the source is copied, what it points to is not. */
struct fetch_pool *fetch_pool_new(const struct fetch_source *source, size_t size);
void fetch_pool_free(struct fetch_pool *pool);

/* From now on so many at a time. Those in flight go on, be they more. */
void fetch_pool_resize(struct fetch_pool *pool, size_t size);

/* As fetch_set_bearer(), for every GET that begins from now on. It is copied. */
void fetch_pool_set_bearer(struct fetch_pool *pool, const char *token);

/* Added ones included, which take no capacity. */
size_t fetch_pool_in_flight(const struct fetch_pool *pool);
bool fetch_pool_has_capacity(const struct fetch_pool *pool);

/* Begins a GET; there must be capacity. Whatever happens to it is reported by fetch_pool_take():
 * past the deadline, FETCH_TIMED_OUT. */
void fetch_pool_get(struct fetch_pool *pool, const char *url, void *owner, int64_t deadline_ms);

/* The same of a URL that is made when the GET begins, which the pool frees: many that wait have
 * none. Context and owner must live until then. */
typedef char *fetch_pool_make_url(const void *context, const void *owner);
void fetch_pool_get_made(struct fetch_pool *pool, fetch_pool_make_url *make_url,
                         const void *context, void *owner, int64_t deadline_ms);

/* Begins a transfer of this fetcher, which is borrowed until it has ended, as a GET does. */
void fetch_pool_add(struct fetch_pool *pool, struct fetcher *fetcher, const char *url, void *owner,
                    int64_t deadline_ms);

/* The next GET that has ended, without waiting; false: none. The caller ends it with
 * fetch_ended_done(). */
bool fetch_pool_take(struct fetch_pool *pool, struct fetch_ended *ret_ended);
void fetch_ended_done(struct fetch_ended *ended);

/* Waits until a GET has made progress or is late, the feed has something, or the deadline. */
void fetch_pool_wait(struct fetch_pool *pool, struct feed *feed, int64_t deadline_ms);

/* Waits for the next GET to end, without a feed: in connect. False where none is in flight. */
bool fetch_pool_wait_one(struct fetch_pool *pool, struct fetch_ended *ret_ended);

/* Gives up the GET of this owner; its connection is closed. False where it has none. */
bool fetch_pool_cancel(struct fetch_pool *pool, const void *owner);

/* Gives up all that are in flight. */
void fetch_pool_stop(struct fetch_pool *pool);

#endif
