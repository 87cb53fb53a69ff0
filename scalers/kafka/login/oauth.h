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

/* Gives the library a token. False: there is none, and it was given the reason. */
bool kafka_oauth_refresh(const struct kafka_connection_options *connection, rd_kafka_t *rk);

#endif
