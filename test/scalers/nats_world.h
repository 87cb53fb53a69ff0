/*
 * A client of a NATS server with a script (nats_peer.h), and tasks for its consumers.
 *
 * Threads: one; notifications come on any.
 */
#ifndef BACKLOG_TEST_SCALERS_NATS_WORLD_H
#define BACKLOG_TEST_SCALERS_NATS_WORLD_H

#include "base/error.h"
#include "scalers/nats_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const struct scaler scaler_nats_jetstream;

enum { MAX_CONSUMERS = 8, TIMEOUT_MS = 400, LONG_MS = 20 * 1000 };

/* A client of a server with a script, and a task for each of these consumers of the stream
 * "orders". */
struct nats_world {
    struct nats_peer peer;
    struct trigger triggers[MAX_CONSUMERS];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
    bool usable;
    pthread_mutex_t lock;
    size_t notified;
    bool was_first_notified; /* that with the id 1 */
};

/* For a notifier, with the world as its context. */
void nats_world_on_notify(void *context, uint64_t id);
size_t nats_world_notifications(struct nats_world *world);

void nats_world_start(struct nats_world *world, const struct nats_line *script,
                      const char *const *consumers);
void nats_world_run(struct nats_world *world);
void nats_world_stop(struct nats_world *world);

/* Of the consumer "nobody", with one more key. */
void nats_world_add_task(struct nats_world *world, const char *key, const char *value);

#define SCRIPT(...) ((const struct nats_line[]){__VA_ARGS__, {.subject = NULL}})
/* Of a server in no cluster; it has a pull request, or 0 messages would be defaults. */
#define STANDALONE ",\"num_waiting\":1"
#define INFO(pending) "{\"num_pending\":" pending ",\"num_ack_pending\":0" STANDALONE "}"
#define DEFAULTS                                                                                   \
    "{\"config\":{},\"delivered\":{\"consumer_seq\":0,\"stream_seq\":0},"                          \
    "\"ack_floor\":{\"consumer_seq\":0,\"stream_seq\":0},\"num_ack_pending\":0,"                   \
    "\"num_redelivered\":0,\"num_waiting\":0,\"num_pending\":0}"
#define OF(consumer) "$JS.API.CONSUMER.INFO.orders." consumer
#define STREAM(config) {"$JS.API.STREAM.INFO.orders", "{\"config\":{" config "}}"}
#define SUBJECTS STREAM("\"subjects\":[\"new\"]")
#define CONSUMER "{\"config\":{},\"num_pending\":0,\"num_ack_pending\":0" STANDALONE "}"

#endif
