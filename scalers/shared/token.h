/*
 * Access tokens for client credentials (OAuth 2.0, RFC 6749, section 4.4), as Go's client asks for them.
 *
 * Threads: any; nothing is kept. Asking blocks, at most until the deadline. No error repeats a secret, or
 * what the endpoint says beyond its error's code.
 */
#ifndef BACKLOG_SCALERS_SHARED_TOKEN_H
#define BACKLOG_SCALERS_SHARED_TOKEN_H

#include "base/error.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

/* Whom to ask, and as whom. Borrowed. */
struct token_source {
    const char *endpoint; /* http:// or https:// */
    const char *client_id;
    const char *client_secret;
    const char *scope;             /* with spaces between several, or NULL */
    const char *parameters;        /* more fields, as a URL's query has them, or NULL */
    const struct tls_options *tls; /* but its certificate, which is for the source alone to see */
};

struct token {
    char *text; /* printable ASCII without spaces */
    int64_t lifetime_ms;
};

bool token_get(const struct token_source *source, int64_t deadline_ms, struct token *ret_token,
               struct error *error);

/* Overwrites and frees the text. */
void token_done(struct token *token);

#endif
