/*
 * Access tokens for client credentials (OAuth 2.0, RFC 6749, section 4.4), as Go's client requests
 * them.
 *
 * Threads: one at a time per request. No error repeats a secret, or what the endpoint says beyond
 * its error's code.
 */
#ifndef BACKLOG_SCALERS_SHARED_TOKEN_H
#define BACKLOG_SCALERS_SHARED_TOKEN_H

#include "base/error.h"
#include "shared/fetch_pool.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

/* The endpoint, and the client that it knows. Borrowed. */
struct token_source {
    const char *endpoint; /* http:// or https:// */
    const char *client_id;
    const char *client_secret;
    const char *scope;             /* with spaces between several, or NULL */
    const char *parameters;        /* more fields, as a URL's query has them, or NULL */
    const struct tls_options *tls; /* but its certificate, which is for the source alone to see */
};

/* Adds to the mistakes what is wrong with an endpoint that was given as this key. */
void token_check_endpoint(const char *key, const char *endpoint, struct error *mistakes);

struct token {
    char *text;          /* printable ASCII without spaces */
    int64_t lifetime_ms; /* at least a second */
};

void token_done(struct token *token);

/* Blocks until there is a token, it failed, or the deadline. Nothing else may be in flight in the
 * pool. */
bool token_get(const struct token_source *source, struct fetch_pool *pool, int64_t deadline_ms,
               struct token *ret_token, struct error *error);

/*
 * The same without blocking, beside the GETs of a pool:
 *
 *     request = token_request_new(&source, pool, deadline_ms);
 *     while (fetch_pool_take(pool, &ended))
 *         if (ended.owner == request)
 *             ... token_request_take(request, &ended, &token, &error)
 *
 * The source's strings and the pool must outlive the request. It may be freed at any time.
 */
struct token_request;

struct token_request *token_request_new(const struct token_source *source, struct fetch_pool *pool,
                                        int64_t deadline_ms);
void token_request_free(struct token_request *request);

enum token_outcome {
    TOKEN_GOT,
    TOKEN_FAILED,  /* the error says why */
    TOKEN_PENDING, /* it was sent once more, with the credentials in another place */
};

enum token_outcome token_request_take(struct token_request *request,
                                      const struct fetch_ended *ended, struct token *ret_token,
                                      struct error *error);

#endif
