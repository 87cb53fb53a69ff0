#include "shared/source_memory.h"

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
    assert_true(source_memory_set(&one, SOURCE_MEMORY_MAX / 2));
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
        while (source_memory_set(&memories[i], memories[i].used + STEP))
            continue;
        assert_true(memories[i].used >= SOURCE_MEMORY_ALWAYS);
        all += memories[i].used;
    }
    assert_true(all <= SOURCE_MEMORY_MAX + CONNECTIONS * SOURCE_MEMORY_ALWAYS);
    for (int i = 0; i < CONNECTIONS; i++)
        source_memory_set(&memories[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_has_as_much_as_it_leaves),
        cmocka_unit_test(many_connections_have_no_more_together_and_each_has_a_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
