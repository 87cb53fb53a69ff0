/*
 * A client of a peer, and a feed with queries for it. The test has started the peer, or opened it.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_SCALERS_POSTGRESQL_SETTING_H
#define BACKLOG_TEST_SCALERS_POSTGRESQL_SETTING_H

#include "measure/scaler.h"
#include "postgresql/options.h"
#include "scalers/postgresql_peer.h"
#include "support/feed.h"

#include <stddef.h>
#include <stdint.h>

extern const struct scaler scaler_postgresql;

enum { ENOUGH_MS = 30000 };

struct setting {
    struct postgresql_peer peer;
    struct postgresql_connection_options options;
    struct postgresql_query queries[1024];
    struct test_feed *feed;
    size_t count;
    void *client;
};

/* The test fails where it cannot connect. */
void setting_connect(struct setting *setting, int max_sessions);
void setting_disconnect(struct setting *setting);

void add(struct setting *setting, const char *query, size_t times);

/* Of a known duration. */
void add_known(struct setting *setting, const char *query, size_t times, int64_t duration_ms);

/* The test fails where the client is of no further use. */
void measure_all(struct setting *setting);

#endif
