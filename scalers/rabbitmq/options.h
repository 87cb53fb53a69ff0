/*
 * RabbitMQ's options as structs, one per scope, and the table over them.
 *
 * A connection is one virtual host of one broker, by either protocol: an AMQP connection is
 * bound to one, and the management API lists one.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_OPTIONS_H
#define BACKLOG_SCALERS_RABBITMQ_OPTIONS_H

#include "base/error.h"
#include "config/option.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

enum rabbitmq_protocol { RABBITMQ_PROTOCOL_AUTO, RABBITMQ_PROTOCOL_AMQP, RABBITMQ_PROTOCOL_HTTP };

/* Unknown, which is what KEDA calls an absent one, means QueueLength. */
enum rabbitmq_mode {
    RABBITMQ_MODE_UNKNOWN,
    RABBITMQ_MODE_QUEUE_LENGTH,
    /* These need rates, which only the management API reports. */
    RABBITMQ_MODE_MESSAGE_RATE,
    RABBITMQ_MODE_DELIVER_GET_RATE,
    RABBITMQ_MODE_PUBLISHED_TO_DELIVERED_RATIO,
    RABBITMQ_MODE_EXPECTED_QUEUE_CONSUMPTION_TIME,
};

enum rabbitmq_operation { RABBITMQ_OPERATION_SUM, RABBITMQ_OPERATION_AVG, RABBITMQ_OPERATION_MAX };

struct rabbitmq_connection_options {
    const char *host; /* a URL */
    int protocol;     /* enum rabbitmq_protocol */
    const char *vhost_name;
    const char *username;
    const char *password;
    int64_t timeout_ms; /* 0: the default */
    struct tls_options tls;

    /* Of the management API: a token instead of user and password. */
    const char *oauth_token_uri; /* NULL: none */
    const char *client_id;
    const char *client_secret;
    struct option_list scopes;
    const char *endpoint_params;
};

/* The mode is part of a query because rates cost the broker more than counts. */
struct rabbitmq_query {
    const char *queue_name;
    bool use_regex;
    int64_t page_size;
    int operation; /* enum rabbitmq_operation: how the queues that a pattern matches are combined */
    int mode;      /* enum rabbitmq_mode */
};

struct rabbitmq_target {
    double value;        /* 0: not set, as in KEDA */
    double queue_length; /* 0: not set */
    double activation_value;
    bool exclude_unacknowledged;
};

extern const struct option rabbitmq_options[];
extern const char *const rabbitmq_modes[]; /* their names, by enum rabbitmq_mode */

/* Of a host that was checked. Cheap: every call comes through here. */
bool rabbitmq_is_http(const struct rabbitmq_connection_options *connection);

bool rabbitmq_needs_rates(const struct rabbitmq_query *query);

#endif
