#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void mistakes_are_joined(void **state)
{
    (void)state;
    struct error error = {0};
    error_add(&error, "one");
    error_add(&error, "two: %d", 2);
    assert_int_equal(error.code, ERROR_INVALID);
    assert_string_equal(error_text(&error), "one; two: 2");
    error_done(&error);
}

/* A source's bytes that are none, also where two mistakes meet. */
static void each_mistake_is_utf8(void **state)
{
    (void)state;
    struct error error = {0};
    error_add(&error, "%s", "gr\xc3\xbc\xc3");
    error_add(&error, "%s", "\xbc\xc3\xa4");
    assert_string_equal(error_text(&error), "gr\xc3\xbc?; ?\xc3\xa4");
    error_done(&error);
}

static void a_mistake_may_repeat_those_before_it(void **state)
{
    (void)state;
    struct error error = {0};
    error_set(&error, ERROR_UNAVAILABLE, "one");
    error_add(&error, "(%s)", error_text(&error));
    error_add(&error, "%s", "");
    assert_string_equal(error_text(&error), "one; (one); ");
    assert_int_equal(error.code, ERROR_INVALID);
    error_done(&error);
}

/* Ten thousand invalid addresses in the metadata of one trigger must not hold up the server. */
static void a_list_of_mistakes_has_an_end(void **state)
{
    (void)state;
    struct error error = {0};
    for (int i = 0; i < 100 * 1000; i++)
        error_add(&error, "mistake %d", i);
    assert_true(strlen(error_text(&error)) < 17 << 10);
    assert_ptr_equal(strstr(error_text(&error), "mistake 0; mistake 1; "), error_text(&error));
    assert_string_equal(error_text(&error) + strlen(error_text(&error)) - 10, "; and more");
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_joined),
        cmocka_unit_test(each_mistake_is_utf8),
        cmocka_unit_test(a_mistake_may_repeat_those_before_it),
        cmocka_unit_test(a_list_of_mistakes_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
