/*
 * A client of Redis's Sentinels with scripts, and masters that they may name, in fast time.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_SCALERS_REDIS_SENTINEL_WORLD_H
#define BACKLOG_TEST_SCALERS_REDIS_SENTINEL_WORLD_H

#include "base/error.h"
#include "measure/scaler.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/fast_time.h"
#include "support/feed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const struct scaler scaler_redis_sentinel;

enum {
    SENTINELS = 2,
    MASTERS = 2,
    LINES = 8,
    TEXTS = 32,
    LONG_MS = 20 * 1000,

    /* Of redis/sentinel.c. */
    CONNECT_MS = 1500,
    RETRY_MS = 1000,
    PING_MS = 2000,
    GRACE_MS = 200,
    REFRESH_MS = 60 * 1000,
    SILENT_MS = 3 * REFRESH_MS,
};

/* A client of two Sentinels, or of one, and two masters that they may name. */
struct world {
    struct redis_peer masters[MASTERS];
    struct redis_line master_lines[MASTERS][4];
    struct redis_peer sentinels[SENTINELS];
    struct redis_line sentinel_lines[SENTINELS][LINES + 1];
    size_t sentinels_count;
    bool is_stopped[SENTINELS];
    bool is_master_stopped[MASTERS];
    char *texts[TEXTS];
    size_t texts_count;
    struct fast_time_peer time;
    void (*on_time)(struct world *world); /* at `at_ms`; NULL: nothing */
    int64_t at_ms;
    struct trigger trigger;
    struct test_feed *feed;
    void *client;
    struct error error;
};

/* ---- what they reply ---- */

/* Behind the lines that the Sentinel has already. */
void add_line(struct world *world, size_t sentinel, struct redis_line line);

/* Replies that the world frees. */
const char *epoch_reply(struct world *world, int epoch);
const char *address_reply(struct world *world, const char *host, const char *port);

/* On this of its connections, from 1 on; 0: on all. */
void names_master(struct world *world, size_t sentinel, size_t connection, int epoch,
                  size_t master);

void replies_to_pings(struct world *world, size_t sentinel);
void is_silent(struct world *world, size_t sentinel, size_t connection);

/* The master replies so late. */
void is_busy(struct world *world, size_t master, int ms);

#define MESSAGE(content) "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n" content
#define SWITCH MESSAGE("$32\r\nshop 127.0.0.1 6379 127.0.0.1 81\r\n")

void push(struct world *world, size_t sentinel, const char *text); /* it has arrived */

/* ---- the world ---- */

/* With so many Sentinels, of which none has a line. */
void world_init(struct world *world, size_t sentinels);
void stop_sentinel(struct world *world, size_t sentinel);
void stop_master(struct world *world, size_t master);
bool connects(struct world *world);       /* false: it failed */
void connect_client(struct world *world); /* the test fails where it does */

/* Whether the client is still of use. */
bool run_feed(struct world *world);

/* How long the list is, at whichever master: 1 or 2, as its number. */
double measure(struct world *world);

/* The first master, so that something is done meanwhile: with nothing to measure, nothing is
 * received. */
void measure_for(struct world *world, int ms);

void world_stop(struct world *world);

#endif
