#include "shared/source_memory.h"

#include "measure/scaler_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_connection_has_as_much_as_it_leaves(void **state)
{
    (void)state;
    struct source_memory one = {0};
    struct source_memory other = {0};
    assert_true(source_memory_set(&one, SOURCE_MEMORY_MAX / 2)); /* an agent's */
    assert_false(source_memory_set(&one, SOURCE_MEMORY_MAX / 2 + 1));
    assert_false(source_memory_set(&one, SIZE_MAX));
    assert_int_equal(one.used, SOURCE_MEMORY_MAX / 2);
    assert_true(source_memory_set(&other, SOURCE_MEMORY_MAX / 4));
    assert_false(source_memory_set(&other, SOURCE_MEMORY_MAX / 4 + 1));
    assert_true(source_memory_set(&one, SOURCE_MEMORY_MAX / 2 -
                                            1)); /* fewer, though others have some now */
    assert_true(source_memory_set(&one, 0));
    assert_true(source_memory_set(&other, SOURCE_MEMORY_MAX / 2));
    assert_true(source_memory_set(&other, 0));
}

static void many_connections_have_no_more_together_and_each_has_a_little(void **state)
{
    (void)state;
    enum { CONNECTIONS = 64, STEP = 1024 };
    struct source_memory memories[CONNECTIONS] = {0};
    size_t all = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        scaler_set_tenant((uint64_t)i, false);
        while (source_memory_set(&memories[i], memories[i].used + STEP))
            continue;
        assert_true(memories[i].used >= SOURCE_MEMORY_ALWAYS);
        all += memories[i].used;
    }
    assert_true(all <= SOURCE_MEMORY_MAX + CONNECTIONS * SOURCE_MEMORY_ALWAYS);
    for (int i = 0; i < CONNECTIONS; i++)
        source_memory_set(&memories[i], 0);
    scaler_set_tenant(0, false);
}

static void what_is_moved_still_counts(void **state)
{
    (void)state;
    struct source_memory fetcher = {0};
    struct source_memory answer = {0};
    struct source_memory other = {0};
    assert_true(source_memory_set(&fetcher, SOURCE_MEMORY_MAX / 2));
    source_memory_move(&fetcher, SOURCE_MEMORY_MAX / 2, &answer);
    assert_int_equal(fetcher.used, 0);
    assert_false(source_memory_set(&other, SOURCE_MEMORY_MAX / 2));
    assert_true(source_memory_set(&answer, 0));
    assert_true(source_memory_set(&other, SOURCE_MEMORY_MAX / 2));
    assert_true(source_memory_set(&other, 0));
}

static void a_tenant_has_a_third_of_what_it_leaves(void **state)
{
    (void)state;
    enum { CONNECTIONS = 64, STEP = 1 << 20, REST = SOURCE_MEMORY_MAX / 4 * 3 };
    struct source_memory memories[CONNECTIONS] = {0};
    struct source_memory other = {0};
    size_t all = 0;
    scaler_set_tenant(1, false);
    for (int i = 0; i < CONNECTIONS; i++) {
        while (source_memory_set(&memories[i], memories[i].used + STEP))
            continue;
        all += memories[i].used;
    }
    assert_int_equal(all, SOURCE_MEMORY_MAX / 4);
    assert_true(source_memory_set(&memories[CONNECTIONS - 1], SOURCE_MEMORY_ALWAYS));
    assert_true(source_memory_set(&memories[CONNECTIONS - 1], 0));

    scaler_set_tenant(2, false);
    assert_true(source_memory_set(&other, REST / 4));
    assert_false(source_memory_set(&other, REST / 4 + 1));

    scaler_set_tenant(1, false);
    assert_true(source_memory_set(&other, 0));
    for (int i = 0; i < CONNECTIONS; i++)
        source_memory_set(&memories[i], 0);
    assert_true(source_memory_set(&other, SOURCE_MEMORY_MAX / 4));
    assert_false(source_memory_set(&other, SOURCE_MEMORY_MAX / 4 + 1));
    assert_true(source_memory_set(&other, 0));
    scaler_set_tenant(0, false);
}

/* One that always has some, as a Cluster's sockets or known types do, would stay that of who held
 * it first: with whatever he has then, and nothing of whose it is. */
static void what_a_connection_has_is_its_present_tenants(void **state)
{
    (void)state;
    enum { PART = SOURCE_MEMORY_MAX / 4 };
    struct source_memory kept = {0};
    struct source_memory other = {0};
    scaler_set_tenant(1, false);
    assert_true(source_memory_set(&kept, PART));

    scaler_set_tenant(2, false);
    assert_true(source_memory_set(&kept, PART - 1));
    assert_int_equal(kept.tenant, 2);
    assert_false(source_memory_set(&other, PART / 2)); /* it has it all */
    scaler_set_tenant(1, false);                       /* ... and who had it, nothing */
    assert_true(source_memory_set(&other, PART / 2));
    assert_true(source_memory_set(&other, 0));

    scaler_set_tenant(3, false);
    assert_false(source_memory_set(&kept, PART + 1)); /* his also where he may not have more */
    assert_int_equal(kept.tenant, 3);
    assert_false(source_memory_set(&other, PART / 2));
    assert_true(source_memory_set(&kept, 0));
    assert_true(source_memory_set(&other, PART));
    assert_true(source_memory_set(&other, 0));
    scaler_set_tenant(0, false);
}

/* Both sides of a move, one of which may have had some of another tenant's. */
static void what_is_moved_is_the_present_tenants(void **state)
{
    (void)state;
    enum { PART = SOURCE_MEMORY_MAX / 4, HALF = PART / 2 };
    struct source_memory from = {0};
    struct source_memory to = {0};
    struct source_memory other = {0};
    scaler_set_tenant(1, false);
    assert_true(source_memory_set(&to, HALF));
    scaler_set_tenant(2, false);
    assert_true(source_memory_set(&from, HALF));

    scaler_set_tenant(3, false);
    source_memory_move(&from, HALF / 2, &to);
    assert_int_equal(to.used, HALF + HALF / 2);
    assert_false(source_memory_set(&other, HALF));
    for (uint64_t tenant = 1; tenant <= 2; tenant++) {
        scaler_set_tenant(tenant, false);
        assert_true(source_memory_set(&other, HALF));
        assert_true(source_memory_set(&other, 0));
    }

    scaler_set_tenant(3, false);
    assert_true(source_memory_set(&from, 0));
    assert_true(source_memory_set(&to, 0));
    for (uint64_t tenant = 1; tenant <= 3; tenant++) {
        scaler_set_tenant(tenant, false);
        assert_true(source_memory_set(&other, PART));
        assert_true(source_memory_set(&other, 0));
    }
    scaler_set_tenant(0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_has_as_much_as_it_leaves),
        cmocka_unit_test(many_connections_have_no_more_together_and_each_has_a_little),
        cmocka_unit_test(what_is_moved_still_counts),
        cmocka_unit_test(a_tenant_has_a_third_of_what_it_leaves),
        cmocka_unit_test(what_a_connection_has_is_its_present_tenants),
        cmocka_unit_test(what_is_moved_is_the_present_tenants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
