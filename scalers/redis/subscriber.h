/*
 * The subscriber: a link of its own, to the address of the one that measures, on which Redis
 * reports keys that were changed since they were read (CLIENT TRACKING), each key once. Only the
 * keys of queries with a notifier are tracked (OPTIN): each take from a list is a change, too, and
 * a busy list would be reported all the time.
 *
 * What no command changes is not reported: entries of a stream that a group is given (XREADGROUP)
 * become pending without a report, so pending entries cannot be subscribed to.
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_SUBSCRIBER_H
#define BACKLOG_SCALERS_REDIS_SUBSCRIBER_H

#include "base/error.h"
#include "measure/task.h"
#include "redis/link/link.h"
#include "redis/link/server.h"
#include "redis/subscriptions.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_subscriber {
    struct redis_server *server;
    struct redis_link *link; /* NULL: none */
    struct redis_subscriptions subscriptions;
    /* Why there is no link; none where it was lost: it is opened again soon. */
    struct error refusal;
    char id[24]; /* CLIENT ID of the link */
    struct redis_reopening reopening;
    int64_t retry_ms; /* after a refusal */
};

void redis_subscriber_init(struct redis_subscriber *subscriber, struct redis_server *server);
void redis_subscriber_done(struct redis_subscriber *subscriber); /* notifies nobody */

/* Before tasks are sent on a link that measures, of which one wants a subscription: opens the
 * subscriber's link where there is none, and has the other's reads tracked once it is there. */
void redis_subscriber_prepare(struct redis_subscriber *subscriber, struct redis_link *link);

/* Sends a request that reads the key, and subscribes those of the tasks that want it; they are the
 * command's from here on. */
struct redis_command *redis_subscriber_read(struct redis_subscriber *subscriber,
                                            struct redis_link *link, struct redis_request request,
                                            const char *key, struct task *const *tasks,
                                            size_t count);

/* The same of a request that reads several keys, which end with NULL. */
struct redis_command *redis_subscriber_read_keys(struct redis_subscriber *subscriber,
                                                 struct redis_link *link,
                                                 struct redis_request request,
                                                 const char *const *keys, struct task *const *tasks,
                                                 size_t count);

/* A link that measures is about to be closed: what was read on it is not reported any more, and is
 * subscribed to again by one measurement each. */
void redis_subscriber_forget_link(struct redis_subscriber *subscriber,
                                  const struct redis_link *link);

/* The server is another from now on: notifies all. */
void redis_subscriber_reset(struct redis_subscriber *subscriber);

void redis_subscriber_unsubscribe(struct redis_subscriber *subscriber, uint64_t notifier_id);

/* Somebody may be notified, or soon: somebody must wait for its link. */
bool redis_subscriber_is_needed(const struct redis_subscriber *subscriber);

/* The loop's: after poll(), and whenever the time has come. Returns when that is. */
void redis_subscriber_step(struct redis_subscriber *subscriber, short revents);
int64_t redis_subscriber_check(struct redis_subscriber *subscriber, int64_t now_ms);

#endif
