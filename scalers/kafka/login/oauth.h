/*
 * Tokens for SASL OAUTHBEARER, from an endpoint that gives them for client credentials.
 *
 * Threads: kafka_oauth_refresh() blocks, and runs on librdkafka's background thread, so that an
 * endpoint that hangs delays no measurement while the old token is still good.
 */
#ifndef BACKLOG_SCALERS_KAFKA_LOGIN_OAUTH_H
#define BACKLOG_SCALERS_KAFKA_LOGIN_OAUTH_H

#include "kafka/options.h"

#include <librdkafka/rdkafka.h>

void kafka_oauth_check(const struct kafka_connection_options *connection, struct error *mistakes);

/* Gives the library a token. False: there is none, and it was given the reason, by the deadline. */
bool kafka_oauth_refresh(const struct kafka_connection_options *connection, rd_kafka_t *rk,
                         int64_t deadline_ms);

/* The words of a list of extensions (NULL: it is empty), name and value in turn. The caller frees
 * them with kafka_oauth_extensions_free(). NULL: a piece is no extension, or there are too many.
 * The header has it for tests. */
const char **kafka_oauth_extensions(const char *list, size_t *ret_words);
void kafka_oauth_extensions_free(const char **words, size_t count);

/* The scope for the endpoint, which the caller frees. NULL: there is none. The header has it for
 * tests. */
char *kafka_oauth_scope(const char *scopes);

#endif
