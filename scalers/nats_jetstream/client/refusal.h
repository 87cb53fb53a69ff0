/*
 * A right that the user lacks. The server does not reply to the request, but reports this to the
 * connection, once for each: "Permissions Violation for Publish to "$JS.API..."".
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_REFUSAL_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_REFUSAL_H

#include <stdbool.h>

struct nats_refusal {
    char *words;   /* the server's */
    char *subject; /* of them; NULL: they name none */
    bool is_cut;   /* nats.c has 255 bytes of the words: it is the beginning of a subject */
    bool is_of_subscription;
};

/* It has copies; the caller ends it. */
struct nats_refusal nats_refusal_parse(const char *words);
void nats_refusal_done(struct nats_refusal *refusal);

bool nats_refusal_is_of(const struct nats_refusal *refusal, const char *subject);

#endif
