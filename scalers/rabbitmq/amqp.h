/*
 * A client over AMQP: one connection, on which queues are asked for by passive declares, which tell
 * the messages that are ready (AMQP cannot tell the unacknowledged ones) and the consumers.
 *
 * Threads: one at a time. amqp.c opens and closes the connection, declare.c asks.
 */
#ifndef BACKLOG_RABBITMQ_AMQP_H
#define BACKLOG_RABBITMQ_AMQP_H

#include "base/error.h"
#include "measure/scaler.h"
#include "rabbitmq/library.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

enum {
    /* The broker answers each channel in order, so what hangs holds up only its own. */
    SHARED_LANES = 24,
    /* For the queues that were missing or hanging last time: one question at a time. */
    LONE_LANES = 8,
    LANES = SHARED_LANES + LONE_LANES,
    WINDOW_MOST = 64, /* questions in flight on one channel */

    /* So that the broker notices when we are gone. Heartbeats are sent while measuring only, and the
     * broker cuts a connection that was silent for two of them. */
    HEARTBEAT_SECONDS = 60,
    RABBITMQ_AMQP_IDLE_MS_MOST = HEARTBEAT_SECONDS * 1000,
};

struct request;

/* A channel, and the questions sent on it that are not answered yet, as a ring. */
struct lane {
    enum lane_state {
        LANE_CLOSED,
        LANE_OPENING,
        LANE_OPEN,
        LANE_STALLED, /* its first question hangs: nothing more is sent, an answer may still come */
    } state;
    amqp_channel_t channel; /* 0: none yet */
    size_t window; /* how many it may have in flight; shrinks when a missing queue closes it */
    struct request *sent[WINDOW_MOST];
    size_t first;
    size_t count;
    int64_t
        since_ms; /* when it answered last, or was asked or opened while it had nothing to answer */
    bool behind;  /* its first question was sent behind another: no round trip began at since_ms */
};

struct rabbitmq_amqp {
    amqp_connection_state_t state;
    bool open;     /* logged in, and not told to go */
    char *address; /* host:port, for errors */
    int channels_most;
    /* The numbers up to this one were used. One that is left with unanswered questions is not used
     * again, so that a late answer is never taken for another. */
    int channels_used;
    int64_t round_trip_ms; /* the quickest, of openings and of questions behind no other */
    struct lane lanes[LANES];
    struct suspect *suspects;
};

bool rabbitmq_amqp_connect(const struct rabbitmq_connection *options,
                           const struct rabbitmq_url *url, int64_t deadline_ms,
                           struct rabbitmq_amqp **ret_client, struct error *error);
void rabbitmq_amqp_disconnect(struct rabbitmq_amqp *client);

/* declare.c: the scaler's measure. */
bool rabbitmq_amqp_measure(struct rabbitmq_amqp *client, struct probe *const *probes, size_t count,
                           int64_t deadline_ms, struct error *error);

/* Whether something can be sent without waiting: sending has no deadline in librabbitmq, and blocks
 * once the kernel's buffer is full because a stopped broker reads nothing. */
bool rabbitmq_amqp_can_send(const struct rabbitmq_amqp *client);

/* What librabbitmq says of a connection that broke. */
bool rabbitmq_amqp_broke(const struct rabbitmq_amqp *client, int status, struct error *error);

#endif
