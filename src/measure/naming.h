/*
 * The name of a connection in logs, metrics and pages. A connection of the connections file is
 * `connection "orders"`. An inline one is named by its scaler, its host and its users: `redis at
 * redis.shop:6379 (used by shop/mails)`.
 *
 * Threads: whoever has the connection's lock.
 */
#ifndef BACKLOG_MEASURE_NAMING_H
#define BACKLOG_MEASURE_NAMING_H

#include "base/error.h"
#include "base/log.h"
#include "measure/query_user.h"
#include "measure/scaler.h"

#include <stddef.h>

struct naming {
    const struct scaler *scaler;
    char *address; /* NULL: unknown, or not to be shown */
    /* In the connections file; it stays when nobody uses the connection. NULL: it is inline. */
    char *name;
    char *title;              /* `redis at redis.shop:6379` */
    char *label;              /* the title, and for an inline connection its users */
    struct query_user *users; /* utlist: those that use the connection by its name come first */
    size_t count;             /* of users */
};

/* Takes the address. */
void naming_init(struct naming *naming, const struct scaler *scaler, char *address);
void naming_done(struct naming *naming);

/* The user is borrowed until naming_remove(). */
void naming_add(struct naming *naming, struct query_user *user);
void naming_remove(struct naming *naming, struct query_user *user);

/* The fields of a log line about the connection. They name its first user if the connection is
 * inline, or has no other user. The error may be NULL. The strings are borrowed. */
struct log_fields naming_fields(const struct naming *naming, const struct error *error);

/* Logs a warning that begins with the label. */
void naming_warn(const struct naming *naming, const struct error *error, const char *what);

#endif
