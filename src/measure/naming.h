/*
 * What people call a connection, in logs, metrics and pages: `connection "orders"` where the
 * connections file has it, and otherwise its scaler, its host and who uses it: `redis at
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
    char *address; /* NULL: it is not known, or not to be shown */
    char *name; /* in the connections file, also when nobody uses it any more; NULL: it is inline */
    char *title; /* without who uses it */
    char *label;
    struct query_user *users; /* utlist: those that have a name for it come first */
    size_t count;
};

/* Takes the address. */
void naming_init(struct naming *naming, const struct scaler *scaler, char *address);
void naming_done(struct naming *naming);

/* The user is borrowed until naming_remove(). */
void naming_add(struct naming *naming, struct query_user *user);
void naming_remove(struct naming *naming, struct query_user *user);

/* The fields of a log line about the connection: with the first user where it is inline, or has no
 * other one. The error may be NULL. All is borrowed. */
struct log_fields naming_fields(const struct naming *naming, const struct error *error);

/* Logs a warning that begins with the label of the connection. */
void naming_warn(const struct naming *naming, const struct error *error, const char *what);

#endif
