/* What an agent process sends: it has read a broker's bytes, and is not trusted. */
#include "measure/agent/agent_messages.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const double hostile[] = {-1,  -0x1p-1074, -INFINITY, INFINITY, NAN,  1e15,  1e300,
                                 0.5, 1e7 + 1,    1e7 - 0.5, 0x1p63,   3e19, 0x1p65};

/* Whoever counts up to one of these must come to an end. */
static bool is_part_count(double number)
{
    return isnan(number) || (number >= 0 && number <= AGENT_MAX_PARTS && number == floor(number));
}

static bool is_message_count(double number)
{
    return isnan(number) || (number >= 0 && number <= 0x1p64);
}

static void counts_that_cannot_be_are_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        double number = hostile[i];
        Agent__Reading message = AGENT__READING__INIT;
        message.waiting = message.waiting_for_activation = message.in_flight = number;
        message.arrived = message.consumed = number;
        message.arrival_rate = message.consumption_rate = number;
        message.consumers = message.partitions = message.partitions_with_lag = number;
        struct reading reading = agent_reading_read(&message);
        assert_true(is_message_count(reading.waiting));
        assert_true(is_message_count(reading.waiting_for_activation));
        assert_true(is_message_count(reading.in_flight));
        assert_true(is_message_count(reading.arrived));
        assert_true(is_message_count(reading.consumed));
        assert_true(is_message_count(reading.arrival_rate));
        assert_true(is_message_count(reading.consumption_rate));
        assert_true(is_part_count(reading.consumers));
        assert_true(is_part_count(reading.partitions));
        assert_true(is_part_count(reading.partitions_with_lag));
    }
}

static void no_more_partitions_have_lag_than_there_are(void **state)
{
    (void)state;
    Agent__Reading message = AGENT__READING__INIT;
    message.partitions = 3;
    message.partitions_with_lag = 4;
    assert_true(isnan(agent_reading_read(&message).partitions_with_lag));
    message.partitions_with_lag = 3;
    assert_true(agent_reading_read(&message).partitions_with_lag == 3);
}

static void what_can_be_is_as_it_was_written(void **state)
{
    (void)state;
    const struct reading reading = {
        .waiting = 12,
        .waiting_for_activation = 13,
        .in_flight = 14,
        .consumers = 15,
        .partitions = AGENT_MAX_PARTS,
        .partitions_with_lag = 16,
        .arrived = 0x1p63,
        .consumed = 17,
        .arrival_rate = 0.5,
        .consumption_rate = 1.5,
        .value = -2,
    };
    Agent__Reading message;
    agent_reading_write(&reading, &message);
    struct reading read = agent_reading_read(&message);
    assert_memory_equal(&read, &reading, sizeof(read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_that_cannot_be_are_unknown),
        cmocka_unit_test(no_more_partitions_have_lag_than_there_are),
        cmocka_unit_test(what_can_be_is_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
