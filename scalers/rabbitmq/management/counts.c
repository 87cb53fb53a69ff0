#include "rabbitmq/management/counts.h"

#include <math.h>

/* What is below 0 counts nothing, and would become a 0 on its way. */
static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) && json_number_value(value) >= 0 ? json_number_value(value) : NAN;
}

/* What happened never has neither a count nor a rate; a count without a rate is a broker that keeps
 * none. */
static double rate(const json_t *stats, const char *count, const char *details, bool keeps_rates)
{
    const json_t *value = json_object_get(json_object_get(stats, details), "rate");
    if (value != NULL)
        return number(json_object_get(stats, details), "rate");
    bool never = json_object_get(stats, count) == NULL;
    return never && keeps_rates ? 0 : NAN;
}

/* A queue where it never happened has no such count. */
static double total(const json_t *stats, const char *count, bool keeps_rates)
{
    bool never = json_object_get(stats, count) == NULL;
    return never && keeps_rates ? 0 : number(stats, count);
}

struct rabbitmq_counts rabbitmq_counts_of(const json_t *queue, bool keeps_rates)
{
    const json_t *stats = json_object_get(queue, "message_stats");
    double ready = number(queue, "messages_ready");
    double unacknowledged = number(queue, "messages_unacknowledged");
    double acknowledged = total(stats, "ack", keeps_rates);
    return (struct rabbitmq_counts){
        .ready = ready,
        .unacknowledged = unacknowledged,
        .messages = ready + unacknowledged,
        .publish_rate = rate(stats, "publish", "publish_details", keeps_rates),
        .deliver_get_rate = rate(stats, "deliver_get", "deliver_get_details", keeps_rates),
        .consumers = number(queue, "consumers"),
        .published = total(stats, "publish", keeps_rates),
        .delivered = total(stats, "deliver_get", keeps_rates),
        .done = acknowledged + total(stats, "deliver_no_ack", keeps_rates) +
                total(stats, "get_no_ack", keeps_rates),
    };
}

static double greater(double left, double right)
{
    return left > right || isnan(left) ? left : right;
}

void rabbitmq_aggregate_add(struct rabbitmq_aggregate *aggregate, enum rabbitmq_operation operation,
                            const struct rabbitmq_counts *counts)
{
    struct rabbitmq_counts *all = &aggregate->counts;
    aggregate->queues++;
    aggregate->empty += counts->messages == 0;
    aggregate->idle += counts->publish_rate == 0 || counts->deliver_get_rate == 0;
    if (operation == RABBITMQ_OPERATION_MAX)
        *all = (struct rabbitmq_counts){
            .ready = greater(all->ready, counts->ready),
            .messages = greater(all->messages, counts->messages),
            .publish_rate = greater(all->publish_rate, counts->publish_rate),
            .deliver_get_rate = greater(all->deliver_get_rate, counts->deliver_get_rate),
            /* The largest of several totals is one queue's now, and another's later. */
            .consumers = greater(all->consumers, counts->consumers),
            .published = NAN,
            .done = NAN,
        };
    else
        *all = (struct rabbitmq_counts){
            .ready = all->ready + counts->ready,
            .messages = all->messages + counts->messages,
            .publish_rate = all->publish_rate + counts->publish_rate,
            .deliver_get_rate = all->deliver_get_rate + counts->deliver_get_rate,
            .consumers = all->consumers + counts->consumers,
            .published = all->published + counts->published,
            .done = all->done + counts->done,
        };
}

struct reading rabbitmq_aggregate_reading(const struct rabbitmq_aggregate *aggregate,
                                          enum rabbitmq_operation operation)
{
    const struct rabbitmq_counts *all = &aggregate->counts;
    double share = operation == RABBITMQ_OPERATION_AVG && aggregate->queues > 0
                       ? (double)aggregate->queues
                       : 1;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = all->ready / share;
    /* The two add up to what is made of all messages: the queue with the most ready ones need not
     * be the queue with the most. */
    reading.in_flight = (all->messages - all->ready) / share;
    reading.consumers = all->consumers / share;
    reading.arrived = all->published / share;
    reading.consumed = all->done / share;
    reading.arrival_rate = all->publish_rate / share;
    reading.consumption_rate = all->deliver_get_rate / share;
    return reading;
}
