/*
 * Queues that were missing, hung or answered late last time: they are declared where they delay no
 * others.
 *
 * Threads: one at a time. Owner: whoever has the pointer to them, which is NULL while there are
 * none.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_QUARANTINE_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_QUARANTINE_H

#include <stdbool.h>

struct rabbitmq_quarantined;

bool rabbitmq_quarantine_has(const struct rabbitmq_quarantined *quarantine, const char *queue);
void rabbitmq_quarantine_add(struct rabbitmq_quarantined **quarantine, const char *queue);
void rabbitmq_quarantine_remove(struct rabbitmq_quarantined **quarantine, const char *queue);
void rabbitmq_quarantine_free(struct rabbitmq_quarantined **quarantine);

#endif
