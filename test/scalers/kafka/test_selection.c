#include "kafka/selection.h"

#include "scalers/kafka/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static void a_list_of_topics_is_each_of_them_once(void **state)
{
    (void)state;
    struct kafka_selection selection;
    kafka_selection_init(&selection, " b, a ,b,c");
    assert_int_equal(selection.kind, KAFKA_SELECTION_OF_NAMES);
    assert_int_equal(selection.count, 3);
    assert_string_equal(selection.names[0], "a");
    assert_string_equal(selection.names[1], "b");
    assert_string_equal(selection.names[2], "c");
    kafka_selection_done(&selection);
}

static void a_topic_is_no_longer_than_kafka_has_them(void **state)
{
    (void)state;
    char longest[250 + 1] = {0};
    memset(longest, 'x', sizeof(longest) - 1);
    TRIGGER(too_long, {"topic", longest});
    assert_says(&too_long, "topic: number 1 is not a name");
    longest[249] = '\0';
    TRIGGER(long_enough, {"topic", longest});
    assert_true(long_enough.good);
}

static void a_pattern_has_no_more_than_256_characters(void **state)
{
    (void)state;
    char longest[257 + 1] = "^";
    memset(longest + 1, 'x', sizeof(longest) - 2);
    TRIGGER(too_long, {"topic", longest});
    assert_says(&too_long, "at most 256 characters");
    longest[256] = '\0';
    TRIGGER(long_enough, {"topic", longest});
    assert_true(long_enough.good);
}

/* The C library copies what is in a + at each level: this takes 99 MiB there, and four levels
 * more 1.8 GB. */
static void a_pattern_costs_little_however_it_is_nested(void **state)
{
    (void)state;
    struct timespec began;
    struct timespec ended;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
    TRIGGER(nested, {"topic", "^(((((((((((((((((a)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+"});
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    assert_true(nested.good);
    double ms =
        (double)(ended.tv_sec - began.tv_sec) * 1e3 + (double)(ended.tv_nsec - began.tv_nsec) / 1e6;
    print_message("%.3f ms\n", ms);
    assert_true(ms < 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_topics_is_each_of_them_once),
        cmocka_unit_test(a_topic_is_no_longer_than_kafka_has_them),
        cmocka_unit_test(a_pattern_has_no_more_than_256_characters),
        cmocka_unit_test(a_pattern_costs_little_however_it_is_nested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
