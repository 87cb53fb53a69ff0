/* Queries by the ids of their subscriptions. */
#include "measure/connection/subscription_table.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* The table does not look into them. */
static struct query *query_number(size_t number)
{
    static char queries[64];
    return (struct query *)&queries[number];
}

static uint64_t add(struct subscription_table *table, size_t number)
{
    uint64_t id = subscription_table_next_id(table);
    subscription_table_add(table, query_number(number));
    return id;
}

static void each_query_is_found_by_its_id(void **state)
{
    (void)state;
    struct subscription_table table = {0};
    uint64_t ids[64];
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        ids[i] = add(&table, i);
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        assert_ptr_equal(subscription_table_find(&table, ids[i]), query_number(i));
    assert_int_equal(table.used, ARRAY_LENGTH(ids));
    free(table.places);
}

static void an_id_that_was_never_given_finds_nothing(void **state)
{
    (void)state;
    struct subscription_table table = {0};
    assert_null(subscription_table_find(&table, 1));
    uint64_t id = add(&table, 0);
    assert_null(subscription_table_find(&table, 0));
    assert_null(subscription_table_find(&table, id + 1));
    assert_null(subscription_table_find(&table, subscription_table_next_id(&table)));
    assert_null(subscription_table_find(&table, UINT64_MAX));
    free(table.places);
}

/* A notification may come late, when another query has the place. */
static void an_id_is_over_though_its_place_is_taken_again(void **state)
{
    (void)state;
    struct subscription_table table = {0};
    add(&table, 0);
    uint64_t over = add(&table, 1);
    subscription_table_remove(&table, over);
    assert_null(subscription_table_find(&table, over));
    uint64_t id = add(&table, 2);
    assert_int_not_equal(id, over);
    assert_null(subscription_table_find(&table, over));
    assert_ptr_equal(subscription_table_find(&table, id), query_number(2));
    free(table.places);
}

/* A free place keeps the number of another one where an id was. */
static void a_free_place_is_found_by_no_id(void **state)
{
    (void)state;
    struct subscription_table table = {0};
    uint64_t ids[] = {add(&table, 0), add(&table, 1), add(&table, 2)};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        subscription_table_remove(&table, ids[i]);
    for (uint64_t id = 0; id < 8; id++)
        assert_null(subscription_table_find(&table, id));
    free(table.places);
}

static void places_are_used_again(void **state)
{
    (void)state;
    struct subscription_table table = {0};
    for (int round = 0; round < 100; round++) {
        uint64_t ids[] = {add(&table, 0), add(&table, 1), add(&table, 2)};
        subscription_table_remove(&table, ids[1]);
        subscription_table_remove(&table, ids[0]);
        subscription_table_remove(&table, ids[2]);
    }
    assert_int_equal(table.count, 3);
    assert_int_equal(table.used, 0);
    free(table.places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_query_is_found_by_its_id),
        cmocka_unit_test(an_id_that_was_never_given_finds_nothing),
        cmocka_unit_test(an_id_is_over_though_its_place_is_taken_again),
        cmocka_unit_test(a_free_place_is_found_by_no_id),
        cmocka_unit_test(places_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
