/*
 * The Sentinels of a connection: which server is the master, as those say that have the highest
 * config-epoch. All that are listed are asked, and one that answers is enough; a dead one is tried
 * again each second. Each has one connection, which is subscribed to +switch-master. It is made
 * again to ask once that comes, or the master fails, and each minute, as SENTINEL REMOVE and
 * MONITOR are not reported.
 *
 * What a Sentinel has said counts until it says something else: a master of an older epoch is not
 * believed. Where it has been lost for three minutes, and others answer, it counts no more: with
 * SENTINEL MONITOR the epochs begin at 0. Whether the server itself agrees its ROLE says
 * (redis/link/setup.h).
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_SENTINEL_H
#define BACKLOG_SCALERS_REDIS_SENTINEL_H

#include "base/error.h"
#include "redis/link/link.h"
#include "redis/options.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_sentinels;

/* The options must outlive it. */
struct redis_sentinels *redis_sentinels_new(const struct redis_connection_options *options,
                                            SSL_CTX *tls);
void redis_sentinels_free(struct redis_sentinels *sentinels); /* of NULL, too */

/* The places of the links that there are, at most REDIS_MAX_SENTINELS; a place is NULL once its
 * link is closed. Returns how many. */
size_t redis_sentinels_list(const struct redis_sentinels *sentinels,
                            struct redis_link *const **ret_places);

/* After poll(). False: the link is none of theirs. */
bool redis_sentinels_step(struct redis_sentinels *sentinels, const struct redis_link *link,
                          short revents);

/* Handles what was received meanwhile, without waiting. */
void redis_sentinels_receive(struct redis_sentinels *sentinels);

/* Connects, again where it is time, and pings. Returns when to call it again. */
int64_t redis_sentinels_check(struct redis_sentinels *sentinels, int64_t now_ms);

/* One at least did the last time. */
bool redis_sentinels_answer(const struct redis_sentinels *sentinels);

/* The master that they named has failed. */
void redis_sentinels_ask_again(struct redis_sentinels *sentinels);

/* False: one is being asked whose answer may be another master; never for long. */
bool redis_sentinels_are_settled(const struct redis_sentinels *sentinels, int64_t now_ms);

/* False: none knows the master; the error says why. */
bool redis_sentinels_master(const struct redis_sentinels *sentinels, const char **ret_host,
                            int *ret_port, struct error *error);

/* So may the master be (redis_server_check_peer()). */
bool redis_sentinels_are_local(const struct redis_sentinels *sentinels);

#endif
