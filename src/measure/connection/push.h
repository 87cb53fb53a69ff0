/*
 * Push: how a query whose first message somebody waits for is subscribed to, and what a
 * notification does.
 *
 *     idle          subscribe_at_ms has come  -> measured with a notifier -> subscribed, or polled
 *                                                every idle_interval_ms, or spacing_ms where that
 *                                                is more
 *     subscribed    a notification            -> measured at once, and alert
 *                   it is lost                -> idle again: measured at once, with a notifier
 *     alert         still idle                -> measured after 5 ms (and subscribed to again),
 *                                                10, 20 ... idle_interval_ms
 *
 * By its fields: nobody waits while idle_interval_ms is 0; then it is alert while alert_ms is set,
 * subscribed while id is, and else idle. An alert one may have an id, too.
 *
 * An alert query is measured again because a notification may come before its message is counted:
 * NATS hands a message to its subscribers before the stream has stored it. More notifications while
 * it is alert hasten nothing, so that a query whose messages come and go below its activation costs
 * no more than one that is polled.
 *
 * Threads: as connection.h has it; time is passed in. Owner: its query, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_PUSH_H
#define BACKLOG_MEASURE_CONNECTION_PUSH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PUSH_GATHER_MS = 10,     /* queries that become idle together are subscribed to together */
    PUSH_FIRST_ALERT_MS = 5, /* then doubling */
    /* A source that refused is tried again: somebody may grant the right. */
    PUSH_REFUSED_MS = 60 * 1000,
};

struct push {
    int64_t idle_interval_ms; /* 0: nobody waits for the first message */
    uint64_t id;              /* of its subscription, or of the one that is being made; 0: none */
    int64_t subscribe_at_ms;  /* when it will be, where it is not subscribed to */
    int64_t resubscribe_ms;   /* between two attempts that are not confirmed; 0: none was */
    int64_t alert_ms; /* between two measurements after a notification; 0: it is not alert */
    int64_t alert_due_ms;
    bool can_subscribe;
    bool is_notified;       /* a notification came since it was sent last */
    bool is_notified_again; /* another one came while it is alert */
};

/* Somebody begins to wait for the first message, or waits with another interval (0: nobody does any
 * more). Returns the id of a subscription to end; 0: none. */
uint64_t push_set_idle(struct push *push, int64_t interval_ms, bool can_subscribe, int64_t now_ms);

/* When it is to be measured for its first message; 0: now; CLOCK_NEVER: only at its usual interval.
 * `spacing_ms` is the least interval of those that are polled, as there are so many. */
int64_t push_due_ms(const struct push *push, int64_t sent_ms, int64_t spacing_ms);

/* The query is being sent. Returns whether it is to be subscribed to, by this id. */
bool push_sent(struct push *push, uint64_t id, int64_t now_ms);

enum push_result {
    PUSH_SUBSCRIBED,
    PUSH_REFUSED,     /* tried again after PUSH_REFUSED_MS */
    PUSH_UNCONFIRMED, /* neither: tried again after idle_interval_ms, doubling up to spacing_ms */
    PUSH_RETURNED,    /* the task was given back: the next one tries, and this one does not count */
};

/* Returns the id of a subscription to end; 0: none. */
uint64_t push_measured(struct push *push, uint64_t id, enum push_result result, int64_t spacing_ms,
                       int64_t now_ms);

/* A notification came, with which its subscription is over. */
void push_notify(struct push *push);

/* The client is lost, and its subscriptions with it. */
void push_forget(struct push *push, int64_t now_ms);

#endif
