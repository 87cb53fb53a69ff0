/* What is remembered of the types of keys. */
#include "base/memory.h"
#include "base/text.h"
#include "redis/requests/key_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* A tenant edits a trigger again and again, and each time its key is another set. */
static void types_of_keys_that_are_gone_take_a_bounded_memory(void **state)
{
    enum { NAMES = 600, LONG = 15000 };
    (void)state;
    struct redis_key_types types = {0};
    for (int i = 0; i < NAMES; i++) {
        _cleanup_(memory_free) char *name = text_format("%0*d", LONG, i);
        assert_true(redis_key_types_learn(&types, name, "set", NULL));
        assert_string_equal(redis_key_types_find(&types, name)->name, "set");
        assert_in_range(types.memory.used, LONG, 4 << 20);
    }
    redis_key_types_done(&types);
    assert_int_equal(types.memory.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_of_keys_that_are_gone_take_a_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
