/*
 * Triggers of kafka, whose keys are given over the usual ones. A NULL value takes a key away.
 */
#ifndef BACKLOG_TEST_SCALERS_KAFKA_TRIGGER_H
#define BACKLOG_TEST_SCALERS_KAFKA_TRIGGER_H

#include "base/memory.h"
#include "scalers/trigger.h"

extern const struct scaler scaler_kafka;
extern const struct scaler scaler_apache_kafka;

struct trigger kafka_trigger_of(const struct scaler *scaler, const struct option_entry *entries,
                                size_t count);

/* Declares a trigger of this name. */
#define TRIGGER_OF(scaler, name, ...)                                                              \
    const struct option_entry name##_entries[] = {__VA_ARGS__};                                    \
    _cleanup_(trigger_done) struct trigger name =                                                  \
        kafka_trigger_of(scaler, name##_entries, ARRAY_LENGTH(name##_entries))

#define TRIGGER(name, ...) TRIGGER_OF(&scaler_kafka, name, __VA_ARGS__)

#endif
