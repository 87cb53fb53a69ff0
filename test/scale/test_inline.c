#include "base/memory.h"
#include "scale/inline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct inline_connections *connections;

static int set_up(void **state)
{
    (void)state;
    connections = inline_connections_new(2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    inline_connections_free(connections);
    return 0;
}

static bool may_use(const char *namespace, const char *scaler, const char *identity)
{
    _cleanup_(error_done) struct error error = {0};
    bool may = inline_connections_acquire(connections, namespace, scaler, identity, &error);
    assert_int_equal(error.code, may ? ERROR_NONE : ERROR_LIMIT);
    return may;
}

static void each_namespace_has_so_many_and_equal_ones_are_one(void **state)
{
    (void)state;
    assert_true(may_use("shop", "redis", "a"));
    assert_true(may_use("shop", "redis", "a"));
    assert_true(may_use("shop", "kafka", "a"));
    assert_false(may_use("shop", "redis", "b"));
    assert_true(may_use("shop", "redis", "a"));
    assert_true(may_use("kitchen", "redis", "a"));
    assert_true(may_use("kitchen", "redis", "b"));
    assert_false(may_use("kitchen", "redis", "c"));
}

static void a_connection_without_triggers_frees_its_place(void **state)
{
    (void)state;
    assert_true(may_use("shop", "redis", "a"));
    assert_true(may_use("shop", "redis", "a"));
    assert_true(may_use("shop", "redis", "b"));
    inline_connections_release(connections, "shop", "redis", "a");
    assert_false(may_use("shop", "redis", "c"));
    inline_connections_release(connections, "shop", "redis", "a");
    assert_true(may_use("shop", "redis", "c"));
    inline_connections_release(connections, "shop", "redis", "b");
    inline_connections_release(connections, "shop", "redis", "c");
    inline_connections_release(connections, "shop", "redis", "never used");
    assert_true(may_use("shop", "redis", "d"));
}

static void the_limit_says_whose_it_is_and_which_flag(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    assert_true(may_use("shop", "redis", "a"));
    assert_true(may_use("shop", "redis", "b"));
    assert_false(inline_connections_acquire(connections, "shop", "redis", "c", &error));
    assert_non_null(strstr(error_text(&error), "all 2 inline connections of namespace \"shop\""));
    assert_non_null(strstr(error_text(&error), "--max-inline"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_namespace_has_so_many_and_equal_ones_are_one),
        TEST(a_connection_without_triggers_frees_its_place),
        TEST(the_limit_says_whose_it_is_and_which_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
