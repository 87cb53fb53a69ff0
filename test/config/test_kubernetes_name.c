/* What may become a part of a path of the Kubernetes API. */
#include "config/kubernetes_name.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void an_object_has_a_subdomain_for_a_name(void **state)
{
    (void)state;
    static const char *const others[] = {"",    "..", "a/b", "A",    ".a",   "a.",    "a..b",
                                         "a?b", "-a", "a-",  "a.-b", "a-.b", "a%2fb", NULL};
    char longest[255];
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_false(kubernetes_name_is_valid(others[i]));
    assert_true(kubernetes_name_is_valid("orders-1.shop"));
    assert_true(kubernetes_name_is_valid("1"));
    memset(longest, 'a', sizeof(longest));
    longest[254] = '\0';
    assert_false(kubernetes_name_is_valid(longest));
    longest[253] = '\0';
    assert_true(kubernetes_name_is_valid(longest));
}

static void a_namespace_has_a_label_for_a_name(void **state)
{
    (void)state;
    static const char *const others[] = {"", "a.b", "..", "a/b", "A", "-a", "a-", "a?b", NULL};
    char longest[65];
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_false(kubernetes_name_is_namespace(others[i]));
    assert_true(kubernetes_name_is_namespace("shop-1"));
    memset(longest, 'a', sizeof(longest));
    longest[64] = '\0';
    assert_false(kubernetes_name_is_namespace(longest));
    longest[63] = '\0';
    assert_true(kubernetes_name_is_namespace(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_has_a_subdomain_for_a_name),
        cmocka_unit_test(a_namespace_has_a_label_for_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
