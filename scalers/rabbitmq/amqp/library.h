/* librabbitmq's headers, which moved into a folder of their own in 0.12: Debian 12 has the old
 * places. */
#ifndef BACKLOG_RABBITMQ_AMQP_LIBRARY_H
#define BACKLOG_RABBITMQ_AMQP_LIBRARY_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

#endif
