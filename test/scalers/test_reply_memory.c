#include "shared/reply_memory.h"

#include "measure/scaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_connection_has_as_much_as_it_leaves(void **state)
{
    (void)state;
    struct reply_memory one = {0};
    struct reply_memory other = {0};
    assert_true(reply_memory_set(&one, REPLY_MEMORY_MAX / 2)); /* an agent's */
    assert_false(reply_memory_set(&one, REPLY_MEMORY_MAX / 2 + 1));
    assert_false(reply_memory_set(&one, SIZE_MAX));
    assert_int_equal(one.used, REPLY_MEMORY_MAX / 2);
    assert_true(reply_memory_set(&other, REPLY_MEMORY_MAX / 4));
    assert_false(reply_memory_set(&other, REPLY_MEMORY_MAX / 4 + 1));
    assert_true(
        reply_memory_set(&one, REPLY_MEMORY_MAX / 2 - 1)); /* fewer, though others have some now */
    assert_true(reply_memory_set(&one, 0));
    assert_true(reply_memory_set(&other, REPLY_MEMORY_MAX / 2));
    assert_true(reply_memory_set(&other, 0));
}

static void many_connections_have_no_more_together_and_each_has_a_little(void **state)
{
    (void)state;
    enum { CONNECTIONS = 64, STEP = 1024 };
    struct reply_memory memories[CONNECTIONS] = {0};
    size_t all = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        scaler_set_tenant((uint64_t)i);
        while (reply_memory_set(&memories[i], memories[i].used + STEP))
            continue;
        assert_true(memories[i].used >= REPLY_MEMORY_ALWAYS);
        all += memories[i].used;
    }
    assert_true(all <= REPLY_MEMORY_MAX + CONNECTIONS * REPLY_MEMORY_ALWAYS);
    for (int i = 0; i < CONNECTIONS; i++)
        reply_memory_set(&memories[i], 0);
    scaler_set_tenant(0);
}

static void what_is_moved_still_counts(void **state)
{
    (void)state;
    struct reply_memory fetcher = {0};
    struct reply_memory answer = {0};
    struct reply_memory other = {0};
    assert_true(reply_memory_set(&fetcher, REPLY_MEMORY_MAX / 2));
    reply_memory_move(&fetcher, REPLY_MEMORY_MAX / 2, &answer);
    assert_int_equal(fetcher.used, 0);
    assert_false(reply_memory_set(&other, REPLY_MEMORY_MAX / 2));
    assert_true(reply_memory_set(&answer, 0));
    assert_true(reply_memory_set(&other, REPLY_MEMORY_MAX / 2));
    assert_true(reply_memory_set(&other, 0));
}

static void a_tenant_has_a_third_of_what_it_leaves(void **state)
{
    (void)state;
    enum { CONNECTIONS = 64, STEP = 1 << 20, REST = REPLY_MEMORY_MAX / 4 * 3 };
    struct reply_memory memories[CONNECTIONS] = {0};
    struct reply_memory other = {0};
    size_t all = 0;
    scaler_set_tenant(1);
    for (int i = 0; i < CONNECTIONS; i++) {
        while (reply_memory_set(&memories[i], memories[i].used + STEP))
            continue;
        all += memories[i].used;
    }
    assert_int_equal(all, REPLY_MEMORY_MAX / 4);
    assert_true(reply_memory_set(&memories[CONNECTIONS - 1], REPLY_MEMORY_ALWAYS));
    assert_true(reply_memory_set(&memories[CONNECTIONS - 1], 0));

    scaler_set_tenant(2);
    assert_true(reply_memory_set(&other, REST / 4));
    assert_false(reply_memory_set(&other, REST / 4 + 1));

    scaler_set_tenant(1); /* those that are there stay their tenant's */
    assert_true(reply_memory_set(&other, 0));
    for (int i = 0; i < CONNECTIONS; i++)
        reply_memory_set(&memories[i], 0);
    assert_true(reply_memory_set(&other, REPLY_MEMORY_MAX / 4));
    assert_false(reply_memory_set(&other, REPLY_MEMORY_MAX / 4 + 1));
    assert_true(reply_memory_set(&other, 0));
    scaler_set_tenant(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_has_as_much_as_it_leaves),
        cmocka_unit_test(many_connections_have_no_more_together_and_each_has_a_little),
        cmocka_unit_test(what_is_moved_still_counts),
        cmocka_unit_test(a_tenant_has_a_third_of_what_it_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
