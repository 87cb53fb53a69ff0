/*
 * The OAuth token of a management API, instead of user and password: the first one, and its
 * renewals, which run beside the GETs of the pool and delay none of them while the old token is
 * valid.
 *
 * Threads: one at a time. Times are of clock_now_ms(). Without the option oauthTokenURI all of it
 * does nothing.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_ACCESS_TOKEN_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_ACCESS_TOKEN_H

#include "base/error.h"
#include "rabbitmq/options.h"
#include "shared/fetch_pool.h"
#include "shared/token.h"

#include <stdbool.h>
#include <stdint.h>

struct rabbitmq_access_token {
    struct token_source source;
    char *scope; /* NULL: none */
    struct fetch_pool *pool;
    struct token_request *request; /* a renewal that is in flight; NULL: none */
    struct error error;            /* of a renewal that has just failed */
    int64_t requested_ms;
    int64_t renewal_ms; /* when it is due */
    int64_t end_ms;     /* of the token's validity */
    bool is_new;        /* it has just come */
    bool is_missing;    /* none is valid: nothing can be sent until there is one */
};

/* The options and the pool must outlive it. */
void rabbitmq_access_token_init(struct rabbitmq_access_token *token,
                                const struct rabbitmq_connection_options *options,
                                struct fetch_pool *pool);
void rabbitmq_access_token_done(struct rabbitmq_access_token *token);

/* The first one: blocks. */
bool rabbitmq_access_token_get(struct rabbitmq_access_token *token, int64_t deadline_ms,
                               struct error *error);

/* Begins a renewal where one is due. False: no token is valid, and there was none to get. */
bool rabbitmq_access_token_renew(struct rabbitmq_access_token *token, int64_t now_ms,
                                 struct error *error);

/* Takes the end of a transfer; false: it is none of this. */
bool rabbitmq_access_token_take(struct rabbitmq_access_token *token,
                                const struct fetch_ended *ended);

/* Gives up the renewal that is in flight. */
void rabbitmq_access_token_stop(struct rabbitmq_access_token *token);

#endif
