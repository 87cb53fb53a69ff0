/* librabbitmq's headers, which moved into a folder of their own in 0.12: Debian 12 has the old
 * places. */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_LIBRARY_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_LIBRARY_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

#endif
