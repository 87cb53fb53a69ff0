#include "measure/agent/agent_messages.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

Agent__Option **agent_options(const struct option_values *values, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < values->options; i++)
        count += values->texts[i] != NULL;

    Agent__Option **options = memory_new(count * (sizeof(void *) + sizeof(Agent__Option)) + 1);
    Agent__Option *storage = (Agent__Option *)(options + count);
    *ret_count = 0;
    for (size_t i = 0; i < values->options; i++) {
        if (values->texts[i] == NULL)
            continue;
        Agent__Option *option = &storage[*ret_count];
        agent__option__init(option);
        option->row = (uint32_t)i;
        option->text = values->texts[i];
        options[(*ret_count)++] = option;
    }
    return options;
}

struct option_values *agent_values(const struct scaler *scaler, enum option_scope scope,
                                   Agent__Option *const *options, size_t count)
{
    size_t rows = option_count(scaler->options);
    _cleanup_(memory_free) const char **texts = memory_array(rows, sizeof(*texts));
    for (size_t i = 0; i < count; i++)
        if (options[i]->row < rows)
            texts[options[i]->row] = options[i]->text;
    return option_values_new(scaler->options, scaler->sizes[scope], scope, texts);
}

size_t agent_query_bytes(const struct option_values *values)
{
    /* 130 were measured with PostgreSQL: struct received_query, and its places in tables. Of Kafka,
     * which counts on this number (kafka/memory.h), a query takes 1,200 bytes with its values. */
    enum { BESIDE_VALUES = 450 };
    return BESIDE_VALUES + values->bytes;
}

void agent_reading_write(const struct reading *reading, Agent__Reading *ret_message)
{
    agent__reading__init(ret_message);
    ret_message->waiting = reading->waiting;
    ret_message->waiting_for_activation = reading->waiting_for_activation;
    ret_message->in_flight = reading->in_flight;
    ret_message->consumers = reading->consumers;
    ret_message->partitions = reading->partitions;
    ret_message->partitions_with_lag = reading->partitions_with_lag;
    ret_message->arrival_rate = reading->arrival_rate;
    ret_message->consumption_rate = reading->consumption_rate;
    ret_message->value = reading->value;
    ret_message->arrived = reading->arrived;
    ret_message->consumed = reading->consumed;
}

/* A number that cannot be true is unknown. Messages are counted in 64 bits. Loops run up to the
 * other numbers, and must end: librdkafka, too, refuses topics of more than 100,000 partitions. */
static double known_within(double number, double max)
{
    return number >= 0 && number <= max ? number : NAN;
}

static double messages_of(double number)
{
    return known_within(number, 0x1p64);
}

static double parts_of(double number)
{
    return number == floor(number) ? known_within(number, AGENT_MAX_PARTS) : NAN;
}

struct reading agent_reading_read(const Agent__Reading *message)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = messages_of(message->waiting);
    reading.waiting_for_activation = messages_of(message->waiting_for_activation);
    reading.in_flight = messages_of(message->in_flight);
    reading.consumers = parts_of(message->consumers);
    reading.partitions = parts_of(message->partitions);
    reading.partitions_with_lag = parts_of(message->partitions_with_lag);
    reading.arrived = messages_of(message->arrived);
    reading.consumed = messages_of(message->consumed);
    reading.arrival_rate = messages_of(message->arrival_rate);
    reading.consumption_rate = messages_of(message->consumption_rate);
    reading.value = isinf(message->value) ? NAN : message->value;
    if (reading.partitions_with_lag > reading.partitions)
        reading.partitions_with_lag = NAN;
    return reading;
}

Agent__Error *agent_error_write(struct error *error, Agent__Error *storage)
{
    if (!error_is_set(error))
        return NULL;
    error_shorten(error, AGENT_MAX_ERROR_BYTES);
    agent__error__init(storage);
    storage->code = error->code;
    storage->text = error->text;
    return storage;
}

void agent_error_read(const Agent__Error *message, struct error *error)
{
    bool known = message->code > ERROR_NONE && message->code <= ERROR_INTERNAL;
    error_set(error, known ? (enum error_code)message->code : ERROR_INTERNAL, "%s", message->text);
}
