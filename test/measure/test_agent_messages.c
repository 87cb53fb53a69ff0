/* What an agent process sends: it has read a broker's bytes, and is not trusted. */
#include "measure/agent/agent_messages.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
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

/* By place and not by name: a new field that the messages do not have is found, too. */
static void each_field_is_as_it_was_written(void **state)
{
    (void)state;
    enum { FIELDS = sizeof(struct reading) / sizeof(double) };
    double fields[FIELDS];
    double read_fields[FIELDS];
    struct reading reading;
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = (double)(FIELDS - i); /* so that no more partitions have lag than there are */
    memcpy(&reading, fields, sizeof(fields));
    Agent__Reading message;
    agent_reading_write(&reading, &message);
    struct reading read = agent_reading_read(&message);
    memcpy(read_fields, &read, sizeof(read));
    for (size_t i = 0; i < FIELDS; i++)
        if (!(read_fields[i] == fields[i]))
            fail_msg("field %zu: %g became %g", i, fields[i], read_fields[i]);
}

static void what_can_be_is_as_it_was_written(void **state)
{
    (void)state;
    struct reading reading = READING_UNKNOWN;
    reading.partitions = AGENT_MAX_PARTS;
    reading.arrived = 0x1p63;
    reading.arrival_rate = 0.5;
    reading.value = -2;
    Agent__Reading message;
    agent_reading_write(&reading, &message);
    struct reading read = agent_reading_read(&message);
    assert_true(read.partitions == AGENT_MAX_PARTS);
    assert_true(read.arrived == 0x1p63);
    assert_true(read.arrival_rate == 0.5);
    assert_true(read.value == -2);
    assert_true(isnan(read.waiting));
}

/* A source that has cancelled an attempt would be connected to at once, again and again. */
static void an_error_has_a_code_of_a_scaler(void **state)
{
    (void)state;
    static const struct {
        uint32_t sent;
        enum error_code read;
    } codes[] = {
        {ERROR_NONE, ERROR_INTERNAL},        {ERROR_UNAVAILABLE, ERROR_UNAVAILABLE},
        {ERROR_COSTLY, ERROR_COSTLY},        {ERROR_INTERNAL, ERROR_INTERNAL},
        {ERROR_NOT_STARTED, ERROR_INTERNAL}, {ERROR_CANCELLED, ERROR_INTERNAL},
        {UINT32_MAX, ERROR_INTERNAL},
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct error error = {0};
        Agent__Error message = AGENT__ERROR__INIT;
        message.code = codes[i].sent;
        message.text = (char[]){"closed"};
        agent_error_read(&message, &error);
        assert_int_equal(error.code, codes[i].read);
        assert_string_equal(error_text(&error), "closed");
        error_done(&error);
    }
}

static void a_long_text_of_an_error_is_cut(void **state)
{
    (void)state;
    struct error error = {0};
    Agent__Error message;
    error_unavailable(&error, "%0*d", 2 * AGENT_MAX_ERROR_BYTES, 0);
    assert_ptr_equal(agent_error_write(&error, &message), &message);
    assert_true(strlen(message.text) <= AGENT_MAX_ERROR_BYTES);
    assert_int_equal(message.code, ERROR_UNAVAILABLE);
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_that_cannot_be_are_unknown),
        cmocka_unit_test(no_more_partitions_have_lag_than_there_are),
        cmocka_unit_test(each_field_is_as_it_was_written),
        cmocka_unit_test(what_can_be_is_as_it_was_written),
        cmocka_unit_test(an_error_has_a_code_of_a_scaler),
        cmocka_unit_test(a_long_text_of_an_error_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
