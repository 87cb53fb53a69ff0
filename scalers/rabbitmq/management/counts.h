/*
 * The counts and rates of a queue in the management API's JSON, and of many queues combined.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_COUNTS_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_COUNTS_H

#include "measure/scaler.h"
#include "rabbitmq/options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What answers a request: management.h has more on the two. */
enum rabbitmq_source { RABBITMQ_SOURCE_TOTALS, RABBITMQ_SOURCE_STATISTICS, RABBITMQ_SOURCES };

/* What is not believed of an answer (management.h has a table). The later is the worse. */
enum rabbitmq_doubt {
    RABBITMQ_BELIEVED,
    RABBITMQ_ZEROS_DOUBTED, /* of statistics */
    RABBITMQ_CUT,           /* totals that may lack queues */
};

/* The columns that a request needs, as the value of `columns`. */
#define COUNTS_COLUMNS "name,type,leader,consumers,messages_ready,messages_unacknowledged"
#define RATES_COLUMNS                                                                              \
    COUNTS_COLUMNS ",message_stats.publish,message_stats.publish_details.rate"                     \
                   ",message_stats.deliver_get,message_stats.deliver_get_details.rate"             \
                   ",message_stats.ack,message_stats.deliver_no_ack,message_stats.get_no_ack"

struct rabbitmq_counts {
    double ready;
    double unacknowledged;
    double messages; /* both */
    double publish_rate;
    double deliver_get_rate;
    double consumers;
    double published; /* in all */
    double delivered; /* the same; of a queue only, as unacknowledged is */
    double done;      /* acknowledged, or delivered without waiting for it, in all */
};

/* Takes what a queue's JSON has; the rest is NAN. A queue where nothing was published or delivered
 * yet has no rates: they are 0 where the broker keeps rates at all. */
struct rabbitmq_counts rabbitmq_counts_of(const json_t *queue, bool keeps_rates);

/* Many queues as one. Start from {0}. */
struct rabbitmq_aggregate {
    size_t queues;
    size_t empty;                  /* of them have no message */
    size_t idle;                   /* ... and have a rate of 0 */
    struct rabbitmq_counts counts; /* the sums, or the greatest */
};

/* The counts must be complete. */
void rabbitmq_aggregate_add(struct rabbitmq_aggregate *aggregate, enum rabbitmq_operation operation,
                            const struct rabbitmq_counts *counts);

/* No queue at all counts 0. */
struct reading rabbitmq_aggregate_reading(const struct rabbitmq_aggregate *aggregate,
                                          enum rabbitmq_operation operation);

#endif
