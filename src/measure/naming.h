/*
 * The name of a connection in logs, metrics and pages, which it keeps. One of the connections file
 * is `connection "orders"`. An inline one is named by its scaler, its host and the trigger that it
 * was made for: `redis at redis.shop:6379 (first used by shop/mails)`.
 *
 * Threads: whoever has the connection's lock.
 */
#ifndef BACKLOG_MEASURE_NAMING_H
#define BACKLOG_MEASURE_NAMING_H

#include "base/error.h"
#include "base/log.h"
#include "measure/scaler.h"

/* The trigger that a connection is made for. NULL: unknown, as in tests. */
struct connection_user {
    const char *connection; /* its name in the connections file; NULL: it is inline */
    const char *namespace;
    const char *name; /* of the ScaledObject */
};

struct naming {
    const struct scaler *scaler;
    char *name;                         /* in the connections file; NULL: it is inline */
    char *title;                        /* `redis at redis.shop:6379` */
    char *label;                        /* the title, and for an inline connection its first user */
    char *first_namespace, *first_name; /* of an inline one; NULL: of a named one */
};

/* Takes the address; NULL: it is unknown, or not to be shown. */
void naming_init(struct naming *naming, const struct scaler *scaler, char *address,
                 const struct connection_user *user);
void naming_done(struct naming *naming);

/* The fields of a log line about it. The error may be NULL. The strings are borrowed. */
struct log_fields naming_fields(const struct naming *naming, const struct error *error);

/* Logs a warning that begins with the label. */
void naming_warn(const struct naming *naming, const struct error *error, const char *what);

#endif
