/*
 * Push: how a query whose first message a stream waits for is subscribed to, and what a
 * notification does. The first row whose fields match is the state of the query:
 *
 *     state        fields                  measured for its first message
 *     not idle     idle_interval_ms == 0   never
 *     notified     is_notified             now, without subscribing: it is likely to be active
 *     alert        alert_ms > 0            at alert_due_ms
 *     subscribed   id != 0                 never
 *     polled       all other               every idle_interval_ms (spacing_ms if that is longer),
 *                                          and at subscribe_at_ms, with a notifier
 *
 *     a stream begins to wait              not idle -> polled; subscribed to PUSH_GATHER_MS later
 *     no stream waits any more             any -> not idle
 *     sent with a notifier                 polled -> subscribed, before the source confirms it
 *     the source did not confirm it        subscribed -> polled (enum push_result)
 *     the subscription or client is lost   subscribed -> polled; measured now, with a notifier
 *     a notification                       subscribed -> notified; the subscription is over
 *     sent                                 notified -> alert
 *
 * A notification may come before its message is counted: NATS hands a message to its subscribers
 * before the stream has stored it. So an alert query is measured again after 5, 10, 20 ms ...; once
 * that would be idle_interval_ms, it is polled or subscribed. The measurement after 5 ms subscribes
 * again. Notifications to an alert query hasten nothing: a query whose messages come and go below
 * its activation costs no more than one that is polled.
 *
 * Threads: as connection.h has it; time is passed in. Owner: its query, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_PUSH_H
#define BACKLOG_MEASURE_CONNECTION_PUSH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PUSH_GATHER_MS = 10, /* queries that become idle together are subscribed to together */
    PUSH_FIRST_ALERT_MS = 5,
    PUSH_REFUSED_MS = 60 * 1000, /* until the next attempt: the missing right may be granted */
};

struct push {
    int64_t idle_interval_ms; /* 0: no stream waits for the first message */
    uint64_t id;              /* of its subscription, or of the one being made; 0: none */
    int64_t subscribe_at_ms;  /* without a subscription: a measurement from then on subscribes */
    int64_t resubscribe_ms;   /* the wait after an unconfirmed attempt; 0: the last was confirmed */
    int64_t alert_ms;         /* the wait after the next measurement; 0: it is not alert */
    int64_t alert_due_ms;     /* while it is alert: when it is measured next */
    bool can_subscribe;       /* its scaler can; otherwise it is only polled */
    bool is_notified;         /* a notification came, and nothing was sent since */
    bool is_notified_again;   /* one more came while it was alert */
};

/* A stream begins to wait for the first message, or waits with another interval; 0: none waits any
 * more. Returns the id of a subscription to end; 0: none. */
uint64_t push_set_idle(struct push *push, int64_t interval_ms, bool can_subscribe, int64_t now_ms);

/* When the query is to be measured for its first message; 0: now; CLOCK_NEVER: only at its usual
 * interval. `sent_ms` is when it was measured last. `spacing_ms` is subscription_spacing_ms(). */
int64_t push_due_ms(const struct push *push, int64_t sent_ms, int64_t spacing_ms);

/* The query is being sent. Returns whether it is to be subscribed to, with this id. */
bool push_sent(struct push *push, uint64_t id, int64_t now_ms);

enum push_result {
    PUSH_SUBSCRIBED,
    PUSH_REFUSED,     /* tried again after PUSH_REFUSED_MS */
    PUSH_UNCONFIRMED, /* neither: tried again after idle_interval_ms, doubling up to spacing_ms */
    PUSH_RETURNED,    /* the task was not measured: tried again at once, or resubscribe_ms later */
};

/* The measurement that push_sent() had subscribe with this id has ended. Returns the id of a
 * subscription to end; 0: none. */
uint64_t push_measured(struct push *push, uint64_t id, enum push_result result, int64_t spacing_ms,
                       int64_t now_ms);

/* A notification came. Its subscription is over. */
void push_notify(struct push *push);

/* The subscription is lost, alone or with its client. */
void push_forget(struct push *push, int64_t now_ms);

#endif
