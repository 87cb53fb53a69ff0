/*
 * What logs in beyond a user and a password (struct http_endpoint): headers that users set, and
 * access tokens for client credentials (OAuth 2.0, RFC 6749, section 4.4), as Go's client requests
 * them. There is one token for whoever asks, or those of an http client, renewed beside its GETs.
 *
 * Threads: one at a time. Times are of clock_now_ms(). No error repeats a secret, or what the
 * endpoint says beyond its error's code.
 */
#ifndef BACKLOG_SCALERS_KIT_AUTH_H
#define BACKLOG_SCALERS_KIT_AUTH_H

#include "base/error.h"
#include "kit/http.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether users may set such a header: a token of RFC 9110, and a line. */
bool auth_is_header_name(const char *name);
bool auth_is_header_value(const char *value);

/* It is of the connection, not of the request. A gateway would choose another backend by Host;
 * KEDA's built-in scalers send none of them. */
bool auth_is_header_of_connection(const char *name);

/* The endpoint, and the client that it knows. Borrowed. */
struct auth_client {
    const char *endpoint; /* http:// or https:// */
    const char *client_id;
    const char *client_secret;
    const char *scope;             /* with spaces between several, or NULL */
    const char *parameters;        /* more fields, as a URL's query has them, or NULL */
    const struct tls_options *tls; /* but its certificate, which is for the source alone to see */
};

/* Adds to the mistakes what is wrong with an endpoint that was given as this key. */
void auth_check_endpoint(const char *key, const char *endpoint, struct error *mistakes);

struct auth_token {
    char *text;          /* printable ASCII without spaces */
    int64_t lifetime_ms; /* at least a second */
};

void auth_token_done(struct auth_token *token);

/* Blocks until there is a token, it failed, or the deadline. */
bool auth_get_token(const struct auth_client *client, int64_t deadline_ms,
                    struct auth_token *ret_token, struct error *error);

/*
 * The tokens of an http client. A renewal delays no GET while the old token is valid:
 *
 *     connect:  auth_log_in(&auth, deadline_ms, error)
 *     measure:  auth_renew(&auth, now_ms, error); no GET while auth.is_missing;
 *               while (http_take(http, &ended)) if (!auth_take(&auth, &ended)) it is a GET's;
 *               at its end auth_stop(&auth)
 *
 * A struct auth stays where it is, and ends before the http client.
 */
struct auth {
    struct auth_client client;
    struct tls_options tls; /* of the endpoint */
    struct http *http;
    bool is_in_body;     /* the credentials, as some endpoints insist on; else in a header */
    bool is_in_flight;   /* a request for a token */
    int64_t deadline_ms; /* ... */
    int64_t requested_ms;
    int64_t renewal_ms; /* when it is due */
    int64_t end_ms;     /* of the token's validity */
    struct error error; /* of a renewal that has just failed */
    bool is_new;        /* the token has just come */
    bool is_missing;    /* none is valid: nothing can be sent until there is one */
};

void auth_init(struct auth *auth, const struct auth_client *client, struct http *http);
void auth_done(struct auth *auth);

/* The first one: blocks. Nothing else may be in flight. */
bool auth_log_in(struct auth *auth, int64_t deadline_ms, struct error *error);

/* Begins a renewal if one is due. False: no token is valid, and there was none to get. */
bool auth_renew(struct auth *auth, int64_t now_ms, struct error *error);

/* Takes the end of a request; false: it is none of this. */
bool auth_take(struct auth *auth, struct http_ended *ended);

/* Gives up the renewal that is in flight. */
void auth_stop(struct auth *auth);

#endif
