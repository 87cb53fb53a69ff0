/*
 * The login of a connection over AMQP, frame by frame: amqp_login() keeps each frame that it does
 * not wait for, and 8 KiB for each channel that the broker names, of which there are 65,535. Here
 * the first frame that is not due ends it.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_CONNECTION_LOGIN_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_CONNECTION_LOGIN_H

#include "rabbitmq/amqp/connection.h"

/* Until the broker has opened the virtual host: then max_channels is set. The socket is connected.
 */
bool rabbitmq_amqp_connection_log_in(struct rabbitmq_amqp_connection *connection,
                                     const struct rabbitmq_url *url, int64_t deadline_ms,
                                     struct error *error);

#endif
