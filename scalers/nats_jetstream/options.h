/*
 * NATS JetStream's options as structs, one per scope, and the table over them.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_OPTIONS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_OPTIONS_H

#include "base/text.h"
#include "config/option.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

struct nats_connection_options {
    struct option_list servers;
    const char *user;
    const char *password;
    const char *token;
    const char *credentials;
    const char *nkey_seed;
    struct tls_options tls;
    /* KEDA's way instead: requests to a monitoring port, and no client connection. */
    const char *monitoring_endpoint;
    const char *account;
    const char *account_id; /* NULL: the account's name is its id */
    bool use_https;
};

struct nats_query {
    const char *stream;
    const char *consumer;
    const char *domain;
    const char *api_prefix;
};

struct nats_target {
    int64_t lag_threshold;
    int64_t activation_lag_threshold;
};

extern const struct option nats_options[];

/* The URL of the monitoring endpoint; the caller frees it. */
char *nats_monitoring_url(const struct nats_connection_options *connection);

/* Adds the subject below which JetStream's API for the query's stream is. */
void nats_add_api(struct text *subject, const struct nats_query *query);

/* The host:port of one of `servers`, without scheme and user info: fit to be shown. It points into
 * `server`; NULL where the text is no address of a NATS server. */
const char *nats_server_address(const char *server);

#endif
