#include "kafka/memory.h"

#include "base/memory.h"
#include "kafka/selection.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Half of what the main handle takes is its threads'. */
enum { HANDLE = 2 << 20 };

static void a_trigger_has_as_many_partitions_as_there_is_memory_for(void **state)
{
    (void)state;
    assert_int_equal(kafka_memory_max_partitions(INFINITY), KAFKA_SELECTION_MAX_PARTITIONS);
    assert_int_equal(kafka_memory_max_partitions(KAFKA_MEMORY_NAMED - HANDLE),
                     KAFKA_SELECTION_MAX_PARTITIONS);
    size_t partitions = kafka_memory_max_partitions(KAFKA_MEMORY_OTHERS - HANDLE);
    assert_in_range(partitions, 8000, 11000); /* as docs/kafka.md has it */
    assert_true(partitions * KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_FREE + HANDLE <=
                KAFKA_MEMORY_OTHERS);
    assert_int_equal(kafka_memory_max_partitions(KAFKA_MEMORY_FREE - 1), 0);
}

static void without_a_figure_there_is_what_any_agent_has(void **state)
{
    (void)state;
    assert_in_range(kafka_memory_max_partitions(NAN), 8000,
                    kafka_memory_max_partitions(KAFKA_MEMORY_OTHERS - HANDLE));
    assert_int_equal(kafka_memory_max_commits(NAN), kafka_memory_max_commits(1));
    assert_false(kafka_memory_has_for_handle(NAN, 0, 0));
    assert_true(kafka_memory_known(NAN) < KAFKA_MEMORY_OTHERS - HANDLE);
    assert_float_equal(kafka_memory_known(1), 1, 0);
}

static void more_commits_are_requested_where_there_is_more_memory(void **state)
{
    enum { ALWAYS = 5000, NAMED = 50000 };
    (void)state;
    assert_int_equal(kafka_memory_max_commits(INFINITY), ALWAYS);
    assert_int_equal(kafka_memory_max_commits(1), ALWAYS);
    assert_int_equal(kafka_memory_max_commits(KAFKA_MEMORY_OTHERS), ALWAYS);
    assert_true(ALWAYS * KAFKA_MEMORY_PER_COMMIT < KAFKA_MEMORY_OTHERS / 8);
    assert_in_range(kafka_memory_max_commits(KAFKA_MEMORY_NAMED - HANDLE), NAMED, NAMED * 6 / 5);
}

static void a_handle_is_renewed_where_there_is_memory_for_two(void **state)
{
    enum { FEW = 3000, MANY = 6000, BROKERS = 3, MANY_BROKERS = 60 };
    (void)state;
    const double others = KAFKA_MEMORY_OTHERS - HANDLE;
    const double beside_few = others - FEW * KAFKA_MEMORY_PER_PARTITION;
    assert_true(kafka_memory_has_for_handle(INFINITY, KAFKA_SELECTION_MAX_PARTITIONS, BROKERS));
    assert_true(kafka_memory_has_for_handle(beside_few, FEW, BROKERS));
    assert_false(kafka_memory_has_for_handle(beside_few, FEW, MANY_BROKERS));
    assert_false(
        kafka_memory_has_for_handle(others - MANY * KAFKA_MEMORY_PER_PARTITION, MANY, BROKERS));
}

/* As topics leave it free. */
static void a_usual_cluster_has_another_handle_beside_any_topics(void **state)
{
    enum { BROKERS = 8 };
    (void)state;
    assert_true(kafka_memory_of_handle(BROKERS) + KAFKA_MEMORY_ANSWERS <= KAFKA_MEMORY_FREE);
}

static void a_connection_of_a_trigger_is_advised_to_have_a_name(void **state)
{
    (void)state;
    enum { FEW = 3, MANY = 130, VERY_MANY = 450 };
    static const struct {
        size_t bytes;
        size_t brokers;
        bool is_named;
    } rows[] = {
        {KAFKA_MEMORY_OTHERS, FEW, false},
        {KAFKA_MEMORY_OTHERS, MANY, false},
        {KAFKA_MEMORY_NAMED, FEW, true},
        {KAFKA_MEMORY_NAMED, VERY_MANY, true}, /* less is left than others have at first */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_string_equal(
            kafka_memory_advice((double)rows[i].bytes - kafka_memory_of_handle(rows[i].brokers),
                                rows[i].brokers),
            rows[i].is_named
                ? "select fewer topics, or distribute the triggers over several connections"
                : "a connection of the connections file has memory for more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trigger_has_as_many_partitions_as_there_is_memory_for),
        cmocka_unit_test(without_a_figure_there_is_what_any_agent_has),
        cmocka_unit_test(more_commits_are_requested_where_there_is_more_memory),
        cmocka_unit_test(a_handle_is_renewed_where_there_is_memory_for_two),
        cmocka_unit_test(a_usual_cluster_has_another_handle_beside_any_topics),
        cmocka_unit_test(a_connection_of_a_trigger_is_advised_to_have_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
