/*
 * The answer to /jsz with the consumers of one account: JSON in, readings or errors for the user
 * out. It is kept as text, with an index of where each consumer is.
 *
 * Only the server that leads a consumer knows its counts: a follower's pending messages are those
 * since it last led, or more. So an answer counts where the server that gave it leads the consumer.
 * In a cluster it has the configuration (config=true), too: of how many replicas a consumer has.
 *
 * Threads: any.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_JSZ_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_JSZ_H

#include "base/error.h"
#include "base/json_text.h"
#include "measure/task.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_jsz_account {
    const char *name; /* NULL: only the id is known */
    const char *id;
};

struct nats_jsz {
    const char *server; /* "NATS monitoring at host:port", for errors */
    const char *account;
    bool is_clustered;              /* other servers may have what this one has not */
    char *cluster;                  /* its name, or NULL */
    bool is_known;                  /* the account */
    struct nats_jsz_entry *entries; /* sorted by key: of a stream, or of a stream and a consumer */
    size_t count;
    size_t capacity;
};

/* Borrows the answer and the names. False with the error set: it is not what /jsz answers, or too
 * much. Either way nats_jsz_done() ends it. */
bool nats_jsz_init(struct nats_jsz *jsz, struct json_text answer,
                   const struct nats_jsz_account *account, const char *server, struct error *error);
void nats_jsz_done(struct nats_jsz *jsz);

enum nats_jsz_found {
    NATS_JSZ_COUNTED,
    NATS_JSZ_ELSEWHERE, /* another server of the cluster may lead it; the error is for where none
                         * can be asked */
    NATS_JSZ_FAILED,    /* with the error */
};

/* Finds a consumer. */
enum nats_jsz_found nats_jsz_find(const struct nats_jsz *jsz, const struct nats_query *query,
                                  struct reading *ret_reading,
                                  struct nats_consumer_origin *ret_origin, struct error *error);

/* The error of a consumer that this server does not lead, where there is no other to ask. Returns
 * false. */
bool nats_jsz_explain_elsewhere(const char *server, const struct nats_query *query,
                                struct error *error);

#endif
