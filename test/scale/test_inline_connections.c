#include "base/memory.h"
#include "base/text.h"
#include "scale/connections/inline_connections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_CONNECTIONS = 16, MAX_AGENTS = 8 };

static struct inline_connections *connections;

static int set_up(void **state)
{
    (void)state;
    connections = inline_connections_new(2, MAX_CONNECTIONS, MAX_AGENTS);
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
    const struct inline_connection connection = {
        .namespace = namespace, .scaler = scaler, .identity = identity};
    bool may = inline_connections_acquire(connections, &connection, &error) != NULL;
    assert_int_equal(error.code, may ? ERROR_NONE : ERROR_LIMIT);
    return may;
}

/* One of its triggers; true: it was the last. */
static bool release(const char *namespace, const char *scaler, const char *identity)
{
    const struct inline_connection connection = {
        .namespace = namespace, .scaler = scaler, .identity = identity};
    struct inline_use *used =
        inline_connections_acquire(connections, &connection, &(struct error){0});
    assert_false(inline_connections_release(connections, used));
    return inline_connections_release(connections, used);
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
    release("shop", "redis", "a");
    assert_false(may_use("shop", "redis", "c"));
    release("shop", "redis", "a");
    assert_true(may_use("shop", "redis", "c"));
    release("shop", "redis", "b");
    release("shop", "redis", "c");
    assert_true(may_use("shop", "redis", "d"));
}

static void the_limit_says_whose_it_is_and_which_flag(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    assert_true(may_use("shop", "redis", "a"));
    assert_true(may_use("shop", "redis", "b"));
    const struct inline_connection third = {
        .namespace = "shop", .scaler = "redis", .identity = "c"};
    assert_null(inline_connections_acquire(connections, &third, &error));
    assert_non_null(strstr(error_text(&error), "all 2 inline connections of namespace \"shop\""));
    assert_non_null(strstr(error_text(&error), "--max-inline"));
}

/* How many connections of its own with an agent the namespace can have beside those that there are.
 */
static size_t take_agents(const char *namespace, char **ret_words)
{
    _cleanup_(error_done) struct error error = {0};
    size_t count = 0;
    for (;; count++) {
        _cleanup_(memory_free) char *identity = text_format("%s %zu", namespace, count);
        const struct inline_connection connection = {
            .namespace = namespace, .scaler = "kafka", .identity = identity, .in_agent = true};
        if (!inline_connections_acquire(connections, &connection, &error))
            break;
    }
    assert_int_equal(error.code, ERROR_LIMIT);
    if (ret_words != NULL)
        *ret_words = text_copy(error_text(&error));
    return count;
}

static void restart_with_more(void)
{
    inline_connections_free(connections);
    connections = inline_connections_new(64, 1024, MAX_AGENTS);
}

static void a_namespace_leaves_agents_to_the_others(void **state)
{
    (void)state;
    restart_with_more();
    _cleanup_(memory_free) char *words = NULL;
    assert_int_equal(take_agents("shop", &words), 4);
    assert_non_null(strstr(words,
                           "namespace \"shop\" has 4 inline connections with an agent process "
                           "(kafka), and the 4 that are left are for other namespaces "
                           "(--max-agents)"));
    assert_int_equal(take_agents("kitchen", NULL), 2);
    assert_int_equal(take_agents("cellar", NULL), 1);
    assert_true(may_use("shop", "redis", "needs no agent"));
    release("shop", "kafka", "shop 0");
    release("shop", "kafka", "shop 1");
    assert_int_equal(take_agents("attic", NULL), 2);
}

static void a_namespace_has_as_many_agents_again_as_it_released(void **state)
{
    (void)state;
    restart_with_more();
    assert_int_equal(take_agents("shop", NULL), 4);
    release("shop", "kafka", "shop 0");
    release("shop", "kafka", "shop 1");
    assert_int_equal(take_agents("shop", NULL), 4);
}

static void agents_of_the_file_are_kept_for_it(void **state)
{
    (void)state;
    restart_with_more();
    _cleanup_(memory_free) char *words = NULL;
    inline_connections_reserve(connections, 0, MAX_AGENTS - 2);
    assert_int_equal(take_agents("shop", NULL), 1);
    assert_int_equal(take_agents("kitchen", NULL), 1);
    assert_int_equal(take_agents("cellar", &words), 0);
    assert_string_equal(words,
                        "all 8 connections with an agent process are in use, or kept for the "
                        "connections file (--max-agents)");
    inline_connections_reserve(connections, 0, MAX_AGENTS + 1); /* what is in use stays */
    release("shop", "kafka", "shop 0");
    assert_int_equal(take_agents("shop", NULL), 0);
}

/* One agent, and one place: as many namespaces have it as want it. */
static void a_connection_that_namespaces_share_is_one(void **state)
{
    (void)state;
    enum { NAMESPACES = 2000 };
    struct inline_use *used[NAMESPACES];
    _cleanup_(error_done) struct error error = {0};
    restart_with_more();
    inline_connections_reserve(connections, 0, MAX_AGENTS - 2);
    for (size_t i = 0; i < NAMESPACES; i++) {
        _cleanup_(memory_free) char *namespace = text_format("shared-%zu", i);
        const struct inline_connection connection = {
            .namespace = namespace, .scaler = "kafka", .identity = "a", .in_agent = true};
        used[i] = inline_connections_acquire(connections, &connection, &error);
        assert_non_null(used[i]);
    }
    assert_int_equal(take_agents("shop", NULL), 1);

    /* Its place is free when nobody has it any more. */
    for (size_t i = 0; i + 1 < NAMESPACES; i++)
        assert_true(inline_connections_release(connections, used[i]));
    assert_int_equal(take_agents("cellar", NULL), 0);
    assert_true(inline_connections_release(connections, used[NAMESPACES - 1]));
    assert_int_equal(take_agents("cellar", NULL), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void namespaces_that_are_only_claimed_leave_the_file_and_a_newcomer_theirs(void **state)
{
    (void)state;
    enum { OF_FILE = 100, CLAIMED = 16 };
    _cleanup_(error_done) struct error error = {0};
    size_t taken = 0;
    restart_with_more();
    inline_connections_reserve(connections, OF_FILE, 0);
    for (size_t i = 0; i < CLAIMED; i++) {
        _cleanup_(memory_free) char *namespace = text_format("claimed-%zu", i);
        for (size_t n = 0;; n++, taken++) {
            _cleanup_(memory_free) char *identity = text_format("%zu %zu", i, n);
            const struct inline_connection connection = {
                .namespace = namespace, .scaler = "redis", .identity = identity};
            error_done(&error);
            if (!inline_connections_acquire(connections, &connection, &error))
                break;
        }
    }
    assert_true(taken < 1024 - OF_FILE);
    assert_non_null(strstr(error_text(&error), "are left are for other namespaces "
                                               "(--max-connections)"));
    assert_true(may_use("shop", "redis", "a"));
}

static void what_takes_the_place_of_another_needs_no_share(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    restart_with_more();
    assert_int_equal(take_agents("shop", NULL), 4);
    assert_int_equal(take_agents("kitchen", NULL), 2);
    assert_true(release("shop", "kafka", "shop 0"));
    struct inline_connection changed = {
        .namespace = "shop", .scaler = "kafka", .identity = "new", .in_agent = true};
    assert_null(inline_connections_acquire(connections, &changed, &error));
    changed.replaces = true;
    assert_non_null(inline_connections_acquire(connections, &changed, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_namespace_has_so_many_and_equal_ones_are_one),
        TEST(a_connection_without_triggers_frees_its_place),
        TEST(the_limit_says_whose_it_is_and_which_flag),
        TEST(a_namespace_leaves_agents_to_the_others),
        TEST(a_namespace_has_as_many_agents_again_as_it_released),
        TEST(agents_of_the_file_are_kept_for_it),
        TEST(namespaces_that_are_only_claimed_leave_the_file_and_a_newcomer_theirs),
        TEST(what_takes_the_place_of_another_needs_no_share),
        TEST(a_connection_that_namespaces_share_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
