/*
 * RabbitMQ's options as structs, one a scope; the table over them is in rabbitmq.c.
 *
 * A connection is one virtual host of one broker, with whichever protocol: an AMQP connection is
 * bound to one, and the management API lists one.
 */
#ifndef BACKLOG_RABBITMQ_OPTIONS_H
#define BACKLOG_RABBITMQ_OPTIONS_H

#include "shared/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

enum rabbitmq_protocol { RABBITMQ_AUTO, RABBITMQ_AMQP, RABBITMQ_HTTP };
enum rabbitmq_mode { RABBITMQ_MODE_UNKNOWN, RABBITMQ_QUEUE_LENGTH };

struct rabbitmq_connection {
    const char *host; /* a URL */
    int protocol;     /* enum rabbitmq_protocol */
    const char *vhost_name;
    const char *username;
    const char *password;
    int64_t timeout_ms; /* 0: none but the measurement's deadline */
    struct tls_options tls;
};

struct rabbitmq_query {
    const char *queue_name;
};

struct rabbitmq_target {
    int mode;            /* enum rabbitmq_mode */
    double value;        /* 0: not given, as in KEDA */
    double queue_length; /* 0: not given */
    double activation_value;
    bool exclude_unacknowledged;
};

#endif
