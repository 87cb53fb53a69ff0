/*
 * The nodes of a cluster, as one of them lists them in its reply to /varz.
 *
 * Their monitoring ports are looked for as KEDA does: at the endpoint's own port, under the hosts
 * that are advertised to clients; or, where none is, under the first label of each route before the
 * endpoint's own host, as a headless Service names its pods (nats-1.nats.shop.svc).
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_NODES_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_MONITORING_NODES_H

#include "base/json_text.h"
#include "kit/http_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_nodes {
    char **bases; /* of URLs, as http_url has one */
    size_t count;
};

/* Without the endpoint itself, as far as its name says so. None where the reply is not of /varz. */
struct nats_nodes nats_nodes_parse(struct json_text reply, const struct http_url *endpoint);
void nats_nodes_done(struct nats_nodes *nodes);

enum { NATS_MAX_NODES = 16 };

/* The nodes that timed out when they were asked last, by the hashes of their URLs. {0} has none. */
struct nats_silent_nodes {
    uint64_t hashes[NATS_MAX_NODES]; /* 0: a free place */
    size_t next;                     /* which place is overwritten next, where none is free */
};

void nats_silent_nodes_note(struct nats_silent_nodes *silent, const char *base, bool is_silent);

/* Each node that is silent takes a share of the time: the others come first. */
void nats_silent_nodes_put_last(const struct nats_silent_nodes *silent, struct nats_nodes *nodes);

#endif
