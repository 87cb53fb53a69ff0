/* What the namespaces of the objects that the informer reads may take of it. */
#include "kubernetes/shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct turn *take_next(struct shares *shares)
{
    struct turn *turn = shares_next_unread(shares);
    if (turn != NULL)
        shares_end_unread(shares, turn);
    return turn;
}

static void each_namespace_has_its_turn(void **state)
{
    (void)state;
    struct shares shares = {0};
    struct turn many[3];
    struct turn one;
    for (int i = 0; i < 3; i++)
        shares_enter(&shares, &many[i], "many");
    shares_enter(&shares, &one, "one");
    assert_ptr_equal(take_next(&shares), &many[0]);
    assert_ptr_equal(take_next(&shares), &one);
    assert_ptr_equal(take_next(&shares), &many[1]);
    assert_ptr_equal(take_next(&shares), &many[2]);
    assert_null(take_next(&shares));
    for (int i = 0; i < 3; i++)
        shares_leave(&shares, &many[i]);
    shares_leave(&shares, &one);
    assert_null(shares.by_namespace);
}

/* Whoever may call can invent namespaces without number. */
static void every_second_turn_is_of_a_namespace_that_has_objects(void **state)
{
    (void)state;
    enum { INVENTED = 4 };
    static const char *const names[INVENTED] = {"a", "b", "c", "d"};
    struct shares shares = {0};
    struct turn first;
    struct turn known[2];
    struct turn invented[INVENTED];
    shares_enter(&shares, &first, "known");
    assert_ptr_equal(take_next(&shares), &first);
    shares_keep(&shares, &first, 100);
    for (int i = 0; i < INVENTED; i++)
        shares_enter(&shares, &invented[i], names[i]);
    for (int i = 0; i < 2; i++)
        shares_enter(&shares, &known[i], "known");
    int place_of_last_known = 0;
    for (int place = 1; place <= INVENTED + 2; place++)
        if (take_next(&shares) == &known[1])
            place_of_last_known = place;
    assert_in_range(place_of_last_known, 3, 4);
    for (int i = 0; i < INVENTED; i++)
        shares_leave(&shares, &invented[i]);
    for (int i = 0; i < 2; i++)
        shares_leave(&shares, &known[i]);
    shares_leave(&shares, &first);
}

static void a_namespace_with_all_its_requests_is_passed_over(void **state)
{
    (void)state;
    struct shares shares = {0};
    struct turn busy;
    struct turn other;
    shares_enter(&shares, &busy, "busy");
    shares_enter(&shares, &other, NULL);
    busy.share->requests = SHARE_MAX_REQUESTS;
    assert_ptr_equal(take_next(&shares), &other);
    assert_null(take_next(&shares));
    busy.share->requests--;
    assert_ptr_equal(take_next(&shares), &busy);
    shares_leave(&shares, &busy);
    shares_leave(&shares, &other);
}

static void a_namespace_may_have_as_much_as_it_leaves_to_others(void **state)
{
    (void)state;
    struct shares shares = {0};
    struct turn large;
    struct turn other;
    shares_enter(&shares, &large, "large");
    shares_enter(&shares, &other, "other");
    assert_false(shares_have_room(&shares, &large, SHARES_MAX_BYTES / 2 + 1));
    assert_true(shares_have_room(&shares, &large, SHARES_MAX_BYTES / 2));
    shares_keep(&shares, &large, SHARES_MAX_BYTES / 2);
    assert_false(shares_have_room(&shares, &large, SHARES_MAX_BYTES / 2 + 1));
    assert_true(shares_have_room(&shares, &other, SHARES_MAX_BYTES / 4));
    assert_false(shares_have_room(&shares, &other, SHARES_MAX_BYTES / 4 + 1));
    shares_keep(&shares, &other, SHARES_MAX_BYTES / 4);
    assert_true(shares_have_room(&shares, &large, SHARES_MAX_BYTES / 2)); /* it has this much */
    shares_leave(&shares, &large);
    assert_int_equal(shares.bytes, SHARES_MAX_BYTES / 4);
    shares_leave(&shares, &other);
    assert_int_equal(shares.bytes, 0);
}

static void a_namespace_has_as_many_watches_as_it_leaves_to_others(void **state)
{
    (void)state;
    static struct turn many[SHARES_MAX_WATCHES];
    struct shares shares = {0};
    struct turn other;
    size_t watches = 0;
    for (size_t i = 0; i < SHARES_MAX_WATCHES; i++) {
        shares_enter(&shares, &many[i], "many");
        watches += shares_watch(&shares, &many[i]);
    }
    assert_int_equal(watches, SHARES_MAX_WATCHES / 2);
    shares_enter(&shares, &other, "other");
    assert_true(shares_watch(&shares, &other));
    shares_leave(&shares, &other);
    for (size_t i = 0; i < SHARES_MAX_WATCHES; i++)
        shares_leave(&shares, &many[i]);
    assert_int_equal(shares.watches, 0);
    assert_null(shares.by_namespace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_namespace_has_its_turn),
        cmocka_unit_test(every_second_turn_is_of_a_namespace_that_has_objects),
        cmocka_unit_test(a_namespace_with_all_its_requests_is_passed_over),
        cmocka_unit_test(a_namespace_may_have_as_much_as_it_leaves_to_others),
        cmocka_unit_test(a_namespace_has_as_many_watches_as_it_leaves_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
