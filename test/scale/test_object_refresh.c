#include "scale/trigger/object_refresh.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOW = 1000000, SECOND = 1000, MINUTE = 60 * 1000 };

/* ---- whether it may help ---- */

struct row {
    const char *name;
    struct object_refresh_facts facts;
    bool is_due;
};

#define HELD .is_held = true, .failing_since_ms = NOW - MINUTE
#define OLD_REPLICAS .has_replicas = true, .replicas_at_ms = NOW - MINUTE - 1
#define NEW_REPLICAS .has_replicas = true, .replicas_at_ms = NOW - MINUTE
#define OWN .has_own_credentials = true

static const struct row table[] = {
    {"measured", {OWN, OLD_REPLICAS}, false},

    {"mistakes, own credentials", {.has_mistakes = true, OWN}, true},
    {"mistakes, a named connection", {.has_mistakes = true}, false},
    {"mistakes, no replicas were read", {.has_mistakes = true, .has_replicas = true}, false},

    {"refused, own credentials", {.is_refused = true, OWN}, true},
    {"refused, a named connection", {.is_refused = true, OLD_REPLICAS}, false},

    {"held, own credentials", {HELD, OWN}, true},
    {"held, own credentials, new replicas", {HELD, OWN, NEW_REPLICAS}, true},
    {"held, own credentials, old replicas", {HELD, OWN, OLD_REPLICAS}, true},
    {"held, a named connection", {HELD}, false},
    {"held, a named connection, new replicas", {HELD, NEW_REPLICAS}, false},
    {"held, a named connection, old replicas", {HELD, OLD_REPLICAS}, true},
    {"held, replicas are never read", {HELD, .replicas_at_ms = NOW - 2 * MINUTE}, false},

    {"its credentials are being read", {.is_pending = true, .has_mistakes = true, OWN}, false},
    {"... and it is held",
     {.is_pending = true, .has_mistakes = true, HELD, OWN, OLD_REPLICAS},
     false},
};

static void what_may_help_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct object_refresh refresh = {0};
        if (object_refresh_is_due(&refresh, &table[i].facts, NOW) != table[i].is_due)
            fail_msg("%s", table[i].name);
        assert_int_equal(refresh.at_ms, table[i].is_due ? NOW : 0);
    }
}

/* ---- when ---- */

static const struct object_refresh_facts good = {OWN};
static const struct object_refresh_facts refused = {OWN, .is_refused = true};

/* Calls each second; returns how many seconds after `from_ms` it is read. */
static int64_t seconds_to_next(struct object_refresh *refresh, int64_t from_ms)
{
    int64_t seconds = 1;
    while (!object_refresh_is_due(refresh, &refused, from_ms + seconds * SECOND))
        seconds++;
    return seconds;
}

static void it_is_read_less_and_less_often_while_it_fails(void **state)
{
    (void)state;
    static const int64_t expected[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct object_refresh refresh = {0};
    assert_true(object_refresh_is_due(&refresh, &refused, NOW));
    assert_false(object_refresh_is_due(&refresh, &refused, NOW + SECOND - 1));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        assert_int_equal(seconds_to_next(&refresh, refresh.at_ms), expected[i]);
}

/* Reads it until a minute passes between two. */
static struct object_refresh long_failure(void)
{
    struct object_refresh refresh = {0};
    object_refresh_is_due(&refresh, &refused, NOW);
    while (seconds_to_next(&refresh, refresh.at_ms) < MINUTE / SECOND)
        ;
    return refresh;
}

static void the_next_failure_begins_with_a_second_again(void **state)
{
    (void)state;
    struct object_refresh refresh = long_failure();
    assert_false(object_refresh_is_due(&refresh, &good, refresh.at_ms + 1));
    assert_false(object_refresh_is_due(&refresh, &refused, refresh.at_ms + SECOND - 1));
    assert_int_equal(seconds_to_next(&refresh, refresh.at_ms), 1);
    assert_int_equal(seconds_to_next(&refresh, refresh.at_ms), 1);
    assert_int_equal(seconds_to_next(&refresh, refresh.at_ms), 2);
}

/* No call came while it was measured. */
static void so_does_one_whose_outage_began_since(void **state)
{
    (void)state;
    struct object_refresh refresh = long_failure();
    int64_t at_ms = refresh.at_ms;
    struct object_refresh_facts held = {OWN, .is_held = true, .failing_since_ms = at_ms};
    assert_false(object_refresh_is_due(&refresh, &held, at_ms + SECOND));
    held.failing_since_ms = at_ms + 1;
    assert_true(object_refresh_is_due(&refresh, &held, at_ms + SECOND));
}

static void the_first_is_read_at_once(void **state)
{
    (void)state;
    struct object_refresh refresh = {0};
    assert_true(object_refresh_is_due(&refresh, &refused, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_help_is_read),
        cmocka_unit_test(it_is_read_less_and_less_often_while_it_fails),
        cmocka_unit_test(the_next_failure_begins_with_a_second_again),
        cmocka_unit_test(so_does_one_whose_outage_began_since),
        cmocka_unit_test(the_first_is_read_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
