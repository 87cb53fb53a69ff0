/* All that a process may have at a time fits into its memory; and the advice to users. */
#include "kafka/memory.h"

#include "base/memory.h"
#include "kafka/selection.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* Half of what the main handle takes is its threads'. */
enum { HANDLE = 2 << 20 };

static struct kafka_memory memory_of(double mappable_bytes, size_t brokers)
{
    struct kafka_memory memory;
    kafka_memory_init(&memory, mappable_bytes);
    memory.brokers = memory.first_brokers = brokers;
    return memory;
}

static size_t max_partitions(double mappable_bytes)
{
    const struct kafka_memory memory = memory_of(mappable_bytes, 3);
    return kafka_memory_max_partitions(&memory);
}

static void a_trigger_has_as_many_partitions_as_there_is_memory_for(void **state)
{
    (void)state;
    assert_int_equal(max_partitions(INFINITY), KAFKA_SELECTION_MAX_PARTITIONS);
    assert_int_equal(max_partitions(KAFKA_MEMORY_NAMED - HANDLE), KAFKA_SELECTION_MAX_PARTITIONS);
    size_t partitions = max_partitions(KAFKA_MEMORY_OTHERS - HANDLE);
    assert_in_range(partitions, 8000, 11000); /* as docs/kafka.md has it */
    assert_true(partitions * KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_FREE + HANDLE <=
                KAFKA_MEMORY_OTHERS);
    assert_int_equal(max_partitions(KAFKA_MEMORY_FREE - 1), 0);
}

static void without_a_figure_there_is_what_any_agent_has(void **state)
{
    (void)state;
    const struct kafka_memory unknown = memory_of(NAN, 3);
    assert_in_range(max_partitions(NAN), 8000, max_partitions(KAFKA_MEMORY_OTHERS - HANDLE));
    assert_true(unknown.mappable_bytes < KAFKA_MEMORY_OTHERS - HANDLE);
    assert_int_equal(kafka_memory_most_commits(&unknown), 5000);
}

/* ---- a process that is full ---- */

static const struct {
    size_t bytes;
    size_t brokers;
} processes[] = {
    {KAFKA_MEMORY_OTHERS, 1},  {KAFKA_MEMORY_OTHERS, 3},  {KAFKA_MEMORY_OTHERS, 9},
    {KAFKA_MEMORY_OTHERS, 10}, {KAFKA_MEMORY_OTHERS, 40}, {KAFKA_MEMORY_NAMED, 3},
    {KAFKA_MEMORY_NAMED, 40},
};

/* With as many topics as have room. */
static struct kafka_memory full_of_topics(size_t process)
{
    struct kafka_memory memory =
        memory_of((double)processes[process].bytes - HANDLE, processes[process].brokers);
    memory.partitions = (size_t)kafka_memory_room(&memory);
    assert_float_equal(kafka_memory_room(&memory), 0, 1);
    return memory;
}

static void topics_leave_memory_for_another_handle(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(processes); i++) {
        const struct kafka_memory memory = full_of_topics(i);
        assert_true(kafka_memory_has_for_side_handle(&memory));
    }
}

/* All partitions are in one group, or each in some. */
static void topics_leave_memory_for_requests_of_their_commits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(processes); i++) {
        struct kafka_memory memory = full_of_topics(i);
        const double commits_bytes = (double)memory.partitions * KAFKA_MEMORY_PER_COMMIT;
        memory.bytes[KAFKA_ACCOUNT_HANDLES] =
            kafka_memory_of_handle(&memory); /* there is a second handle */
        assert_true(kafka_memory_free_bytes(&memory) - commits_bytes >= kafka_memory_kept(&memory));
    }
}

/* Both sides are full of requests, and then each of these is abandoned. */
static void requests_take_what_is_free_and_no_more(void **state)
{
    enum { SIDES = 2 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(processes); i++) {
        struct kafka_memory memory = full_of_topics(i);
        memory.bytes[KAFKA_ACCOUNT_HANDLES] = kafka_memory_of_handle(&memory);
        size_t limit = 0;
        size_t more = kafka_memory_max_commits(&memory, true);
        for (int round = 0; round < 100 && more != limit; round++) {
            limit = more;
            double bytes = (double)limit * SIDES * KAFKA_MEMORY_PER_COMMIT;
            assert_true(kafka_memory_free_bytes(&memory) - bytes >= kafka_memory_kept(&memory));
            memory.bytes[KAFKA_ACCOUNT_ABANDONED] += (double)limit / 8 * KAFKA_MEMORY_PER_ABANDONED;
            more = kafka_memory_max_commits(&memory, true);
            assert_true(more <= limit);
        }
    }
}

static void a_second_handle_that_comes_has_its_memory_before_requests(void **state)
{
    (void)state;
    struct kafka_memory memory = memory_of(8 << 20, 3);
    size_t without = kafka_memory_max_commits(&memory, false);
    memory.bytes[KAFKA_ACCOUNT_HANDLES] = kafka_memory_of_handle(&memory);
    assert_int_equal(kafka_memory_max_commits(&memory, true), without);
    assert_true(without < kafka_memory_most_commits(&memory));
}

/* At least one group of a thousand partitions, or a hundred of one. */
static void some_commits_are_requested_in_any_case(void **state)
{
    (void)state;
    enum { FEW_BYTES = 500 * KAFKA_MEMORY_PER_BEGUN_TASK };
    struct kafka_memory memory = memory_of(1, 3);
    assert_int_equal(kafka_memory_max_commits(&memory, true), 1000);
    assert_float_equal(kafka_memory_for_tasks(&memory), FEW_BYTES, 0);
    memory.bytes[KAFKA_ACCOUNT_BATCHES] = FEW_BYTES; /* there are some already */
    assert_float_equal(kafka_memory_for_tasks(&memory), 0, 0);
}

static void more_commits_are_requested_where_there_is_more_memory(void **state)
{
    enum { ALWAYS = 5000, NAMED = 50000 };
    (void)state;
    static const struct {
        double bytes;
        size_t least, most;
    } rows[] = {
        {INFINITY, ALWAYS, ALWAYS},
        {KAFKA_MEMORY_OTHERS, ALWAYS, ALWAYS},
        {KAFKA_MEMORY_NAMED - HANDLE, NAMED * 4 / 5, NAMED * 6 / 5},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct kafka_memory memory = memory_of(rows[i].bytes, 3);
        assert_in_range(kafka_memory_most_commits(&memory), rows[i].least, rows[i].most);
        assert_int_equal(kafka_memory_max_commits(&memory, false),
                         kafka_memory_most_commits(&memory));
    }
}

/* Queries stay, with what is remembered of their groups; tasks and batches come again. */
static void queries_and_tasks_take_room_from_topics(void **state)
{
    enum { QUERIES_BYTES = 6 << 20, WAITING = 1000, BATCHES_BYTES = 1 << 20 };
    enum { PER_ROOM = KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT };
    (void)state;
    struct kafka_memory memory = memory_of(KAFKA_MEMORY_OTHERS - HANDLE, 3);
    const double room = kafka_memory_room(&memory);
    const double free_bytes = kafka_memory_free_bytes(&memory);
    const double queries_bytes = QUERIES_BYTES;
    memory.bytes[KAFKA_ACCOUNT_BATCHES] = BATCHES_BYTES;
    kafka_memory_note_tasks(&memory, QUERIES_BYTES, WAITING);
    const double tasks_bytes = BATCHES_BYTES + (double)WAITING * KAFKA_MEMORY_PER_TASK;
    assert_float_equal(free_bytes - kafka_memory_free_bytes(&memory), queries_bytes + tasks_bytes,
                       1);
    memory.bytes[KAFKA_ACCOUNT_BATCHES] = 0;
    kafka_memory_note_tasks(&memory, QUERIES_BYTES, 0);
    assert_float_equal(free_bytes - kafka_memory_free_bytes(&memory), queries_bytes, 1);
    assert_float_equal((room - kafka_memory_room(&memory)) * PER_ROOM, queries_bytes + tasks_bytes,
                       1);
}

static void what_tasks_took_fades_with_the_time_that_passes(void **state)
{
    enum { BATCHES_BYTES = 1 << 20, MINUTE_MS = 60 * 1000, STEPS = 60 };
    (void)state;
    struct kafka_memory memory = memory_of(KAFKA_MEMORY_OTHERS - HANDLE, 3);
    const double room = kafka_memory_room(&memory);
    memory.bytes[KAFKA_ACCOUNT_BATCHES] = BATCHES_BYTES;
    kafka_memory_note_tasks(&memory, 0, 0);
    memory.bytes[KAFKA_ACCOUNT_BATCHES] = 0;
    struct kafka_memory often = memory;
    const double taken = room - kafka_memory_room(&memory);
    kafka_memory_fade_tasks(&memory, MINUTE_MS);
    assert_float_equal((room - kafka_memory_room(&memory)) / taken, 0.37, 0.01);
    for (int i = 0; i < STEPS; i++)
        kafka_memory_fade_tasks(&often, MINUTE_MS / STEPS);
    assert_float_equal(kafka_memory_room(&often), kafka_memory_room(&memory), 0.01);
}

/* What is in no agent has no limit. */
static void tasks_are_limited_where_memory_is(void **state)
{
    (void)state;
    const struct kafka_memory none = memory_of(INFINITY, 3);
    struct kafka_memory memory = memory_of(KAFKA_MEMORY_OTHERS - HANDLE, 3);
    assert_true(isinf(kafka_memory_for_tasks(&none)));
    double bytes = kafka_memory_for_tasks(&memory);
    assert_float_equal(bytes, memory.mappable_bytes / 10, 1);
    memory.partitions = (size_t)kafka_memory_room(&memory);
    memory.bytes[KAFKA_ACCOUNT_ABANDONED] = 10000.0 * KAFKA_MEMORY_PER_ABANDONED;
    assert_true(kafka_memory_for_tasks(&memory) < bytes);
}

/* Some of each side, beside a second handle that comes. */
static void tasks_leave_the_memory_of_some_commits(void **state)
{
    enum {
        FEW_BYTES = 500 * KAFKA_MEMORY_PER_BEGUN_TASK,
        COMMITS = 1000,
        SIDES = 2,
        MORE = 100000
    };
    (void)state;
    struct kafka_memory memory = memory_of(0, 3);
    memory.bytes[KAFKA_ACCOUNT_BATCHES] = FEW_BYTES;
    memory.mappable_bytes = MORE + FEW_BYTES + kafka_memory_kept(&memory) + KAFKA_MEMORY_HOLES +
                            kafka_memory_of_handle(&memory) +
                            (double)COMMITS * SIDES * KAFKA_MEMORY_PER_COMMIT;
    assert_float_equal(kafka_memory_for_tasks(&memory), MORE, 0);
}

static void fetchers_leave_what_topics_leave(void **state)
{
    (void)state;
    struct kafka_memory memory = memory_of(KAFKA_MEMORY_OTHERS - HANDLE, 3);
    const double most = memory.mappable_bytes - KAFKA_MEMORY_FREE;
    assert_true(kafka_memory_has_for_fetchers(&memory, most));
    assert_false(kafka_memory_has_for_fetchers(&memory, most + 1));
    memory.bytes[KAFKA_ACCOUNT_HANDLES] =
        kafka_memory_of_handle(&memory); /* has its memory, where it is there, too */
    assert_true(kafka_memory_has_for_fetchers(&memory, most));
    memory.bytes[KAFKA_ACCOUNT_HANDLES] = 0;
    /* The room of topics is beside them, and another handle has its memory in any case. */
    memory.bytes[KAFKA_ACCOUNT_FETCHERS] = most;
    memory.partitions = (size_t)fmax(kafka_memory_room(&memory), 0);
    assert_true(kafka_memory_has_for_side_handle(&memory));
}

/* As bench/push has them, each with a trigger. */
static void a_thousand_idle_topics_of_one_partition_are_read(void **state)
{
    enum {
        TOPICS = 1000,
        OF_FETCHER = 250,
        QUERY_BYTES = 1200,
        PARTITIONS = 1 + KAFKA_MEMORY_TOPIC
    };
    (void)state;
    struct kafka_memory memory = memory_of(KAFKA_MEMORY_OTHERS - HANDLE, 1);
    const double fetcher_bytes = 2.0 * KAFKA_MEMORY_PER_HANDLE + KAFKA_MEMORY_PER_BROKER +
                                 (double)OF_FETCHER * PARTITIONS * KAFKA_MEMORY_PER_PARTITION;
    memory.partitions = (size_t)TOPICS * PARTITIONS;
    kafka_memory_note_tasks(&memory, (size_t)TOPICS * QUERY_BYTES, 0);
    for (int i = 0; i < TOPICS / OF_FETCHER; i++) {
        assert_true(kafka_memory_has_for_fetchers(&memory, fetcher_bytes));
        memory.bytes[KAFKA_ACCOUNT_FETCHERS] += fetcher_bytes;
    }
}

static void a_handle_is_renewed_where_there_is_memory_for_two(void **state)
{
    enum { FEW = 3000, MANY = 6000, BROKERS = 3, MANY_BROKERS = 60 };
    (void)state;
    struct kafka_memory memory = memory_of(INFINITY, BROKERS);
    assert_true(kafka_memory_has_for_main_handle(&memory, KAFKA_SELECTION_MAX_PARTITIONS));
    memory = memory_of(KAFKA_MEMORY_OTHERS - HANDLE, BROKERS);
    memory.partitions = FEW;
    assert_true(kafka_memory_has_for_main_handle(&memory, FEW));
    memory.brokers = memory.first_brokers = MANY_BROKERS;
    assert_false(kafka_memory_has_for_main_handle(&memory, FEW));
    memory = memory_of(KAFKA_MEMORY_OTHERS - HANDLE, BROKERS);
    memory.partitions = MANY;
    assert_false(kafka_memory_has_for_main_handle(&memory, MANY));
}

/* Their copies are in the handle that is renewed, and the answers are still to come. */
static void handles_leave_the_memory_of_commits_under_way(void **state)
{
    enum { COMMITS = 2000 };
    (void)state;
    struct kafka_memory memory = memory_of(0, 3);
    memory.commits = COMMITS;
    const double commits_bytes = (double)COMMITS * KAFKA_MEMORY_PER_COMMIT;
    const double handle_bytes = kafka_memory_of_handle(&memory);
    memory.mappable_bytes = commits_bytes + handle_bytes + kafka_memory_kept(&memory);
    assert_true(kafka_memory_has_for_side_handle(&memory));
    memory.mappable_bytes--;
    assert_false(kafka_memory_has_for_side_handle(&memory));
    memory.mappable_bytes =
        commits_bytes + handle_bytes + KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_FREE;
    assert_true(kafka_memory_has_for_main_handle(&memory, 1));
    memory.mappable_bytes--;
    assert_false(kafka_memory_has_for_main_handle(&memory, 1));
}

/* Another handle has its memory, whether it is there or not. */
static void members_leave_the_memory_of_commits_and_a_handle(void **state)
{
    enum { COMMITS = 4000, BYTES = 1000 };
    (void)state;
    struct kafka_memory memory = memory_of(0, 3);
    memory.commits = COMMITS;
    memory.mappable_bytes = BYTES + (double)COMMITS * KAFKA_MEMORY_PER_COMMIT +
                            kafka_memory_of_handle(&memory) + kafka_memory_kept(&memory) +
                            KAFKA_MEMORY_HOLES;
    for (int i = 0; i < 2; i++) {
        memory.bytes[KAFKA_ACCOUNT_HANDLES] = i == 0 ? 0 : kafka_memory_of_handle(&memory);
        assert_true(kafka_memory_has_for_members(&memory, BYTES));
        assert_false(kafka_memory_has_for_members(&memory, BYTES + 1));
    }
    memory.bytes[KAFKA_ACCOUNT_MEMBERS] = BYTES; /* of another group */
    assert_false(kafka_memory_has_for_members(&memory, 1));
}

/* Else a new topic would fail its trigger, only as the consumers of another one are known. */
static void members_leave_room_for_more_topics(void **state)
{
    enum { BYTES = 1000, TOPICS = 100, PARTITIONS = TOPICS * (1 + KAFKA_MEMORY_TOPIC) };
    (void)state;
    struct kafka_memory memory = memory_of(20 << 20, 3);
    assert_false(kafka_memory_has_for_members(&memory, 20 << 20));
    while (kafka_memory_has_for_members(&memory, BYTES))
        kafka_memory_add(&memory, KAFKA_ACCOUNT_MEMBERS, BYTES);
    assert_true(memory.bytes[KAFKA_ACCOUNT_MEMBERS] > 10 << 20);
    assert_true(kafka_memory_room(&memory) >= PARTITIONS);
    kafka_memory_note_partitions(&memory, PARTITIONS); /* topics may have it */
    assert_true(kafka_memory_room(&memory) >= 0);
}

/* They have what topics leave; a connection of the connections file may have more of them. */
static void fetchers_leave_the_memory_of_commits_under_way(void **state)
{
    enum { FEW = 2000, MANY = 20000 };
    (void)state;
    struct kafka_memory memory = memory_of(0, 3);
    const double many_bytes = (double)MANY * KAFKA_MEMORY_PER_COMMIT + kafka_memory_kept(&memory) +
                              kafka_memory_of_handle(&memory);
    assert_true(many_bytes > KAFKA_MEMORY_FREE);
    for (int i = 0; i < 2; i++) {
        memory.commits = i == 0 ? FEW : MANY;
        memory.mappable_bytes = 1 + (i == 0 ? KAFKA_MEMORY_FREE : many_bytes);
        assert_true(kafka_memory_has_for_fetchers(&memory, 1));
        memory.mappable_bytes--;
        assert_false(kafka_memory_has_for_fetchers(&memory, 1));
    }
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
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct kafka_memory memory = memory_of((double)rows[i].bytes, rows[i].brokers);
        memory.mappable_bytes -= kafka_memory_of_handle(&memory);
        assert_string_equal(
            kafka_memory_advice(&memory),
            rows[i].is_named
                ? "select fewer topics, or distribute the triggers over several connections"
                : "a connection of the connections file has memory for more");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trigger_has_as_many_partitions_as_there_is_memory_for),
        cmocka_unit_test(without_a_figure_there_is_what_any_agent_has),
        cmocka_unit_test(topics_leave_memory_for_another_handle),
        cmocka_unit_test(topics_leave_memory_for_requests_of_their_commits),
        cmocka_unit_test(requests_take_what_is_free_and_no_more),
        cmocka_unit_test(a_second_handle_that_comes_has_its_memory_before_requests),
        cmocka_unit_test(some_commits_are_requested_in_any_case),
        cmocka_unit_test(more_commits_are_requested_where_there_is_more_memory),
        cmocka_unit_test(queries_and_tasks_take_room_from_topics),
        cmocka_unit_test(what_tasks_took_fades_with_the_time_that_passes),
        cmocka_unit_test(tasks_are_limited_where_memory_is),
        cmocka_unit_test(tasks_leave_the_memory_of_some_commits),
        cmocka_unit_test(fetchers_leave_what_topics_leave),
        cmocka_unit_test(a_thousand_idle_topics_of_one_partition_are_read),
        cmocka_unit_test(a_handle_is_renewed_where_there_is_memory_for_two),
        cmocka_unit_test(handles_leave_the_memory_of_commits_under_way),
        cmocka_unit_test(fetchers_leave_the_memory_of_commits_under_way),
        cmocka_unit_test(members_leave_the_memory_of_commits_and_a_handle),
        cmocka_unit_test(members_leave_room_for_more_topics),
        cmocka_unit_test(a_connection_of_a_trigger_is_advised_to_have_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
