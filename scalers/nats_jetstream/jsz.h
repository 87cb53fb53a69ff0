/*
 * The answer to /jsz with the consumers of one account: JSON in, readings or errors for the user out.
 *
 * Only the server that leads a consumer knows its counts: a follower's pending messages are those since it
 * last led, or more. So an answer counts where the server that gave it leads the consumer.
 *
 * Threads: any.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_JSZ_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_JSZ_H

#include "base/error.h"
#include "measure/task.h"
#include "options.h"

#include <jansson.h>
#include <stdbool.h>

struct jsz_account {
    const char *name; /* NULL: only the id is known */
    const char *id;
};

struct jsz {
    const char *server; /* "NATS monitoring at host:port", for errors */
    const char *account;
    bool clustered;  /* other servers may have what this one has not */
    bool known;      /* the account */
    json_t *streams; /* by name: an object of its consumers, by name */
};

/* Borrows the answer and the names. */
void jsz_init(struct jsz *jsz, const json_t *answer, const struct jsz_account *account,
              const char *server);
void jsz_done(struct jsz *jsz);

bool jsz_find(const struct jsz *jsz, const struct nats_query_options *query,
              struct reading *ret_reading, struct error *error);

#endif
