/*
 * The client: one connection to one Redis server, logged in, with limits on what could block or grow.
 *
 * Threads: one at a time. hiredis only keeps the buffers and reads the protocol; the socket never
 * blocks, and every wait has a deadline.
 */
#ifndef BACKLOG_SCALERS_REDIS_CLIENT_H
#define BACKLOG_SCALERS_REDIS_CLIENT_H

#include "base/error.h"
#include "redis/options.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of an array's elements, as hiredis has it. */
#if HIREDIS_MAJOR >= 1
typedef size_t redis_element_count;
#else
typedef int redis_element_count;
#endif

struct redis_client {
    const struct redis_connection *options;
    char *address; /* host:port, for errors */
    char *version; /* what the server calls it; NULL where it does not tell */
    redisContext *context;
    struct redis_arms *arms;             /* arm.c's; NULL: none was ever wanted */
    struct redis_known_key *known_keys;  /* kind.c's */
    redisReplyObjectFunctions functions; /* hiredis's own, but for: */
    void *(*create_array)(const redisReadTask *task, redis_element_count elements);
};

/*
 * As struct scaler has them. Returns once the server has answered and let us in: connecting to a stopped one
 * "succeeds".
 */
bool redis_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                          struct error *error);
void redis_client_disconnect(void *client);

/* To be called before a measurement: connects again where the server has hung up, as it does with
 * those that were silent for its `timeout`. */
bool redis_client_refresh(struct redis_client *client, int64_t deadline_ms, struct error *error);

/* An error that the server answered, in words; it may be a Redis server's or a proxy's. */
bool redis_client_explain(const struct redis_client *client, const redisReply *reply,
                          struct error *error);

/* Whether the reply is an error that begins so: its code, or more of it. */
bool redis_reply_is_error(const redisReply *reply, const char *beginning);

#endif
