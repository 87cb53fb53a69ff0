/* What the namespaces of the objects that the informer reads may take of it. */
#include "kubernetes/informer/namespace_shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct share_turn *take_next(struct namespace_shares *shares)
{
    struct share_turn *turn = namespace_shares_next_unread(shares);
    if (turn != NULL)
        namespace_shares_end_unread(shares, turn);
    return turn;
}

static void each_namespace_has_its_turn(void **state)
{
    (void)state;
    struct namespace_shares shares = {0};
    struct share_turn many[3];
    struct share_turn one;
    for (int i = 0; i < 3; i++)
        namespace_shares_enter(&shares, &many[i], "many");
    namespace_shares_enter(&shares, &one, "one");
    assert_ptr_equal(take_next(&shares), &many[0]);
    assert_ptr_equal(take_next(&shares), &one);
    assert_ptr_equal(take_next(&shares), &many[1]);
    assert_ptr_equal(take_next(&shares), &many[2]);
    assert_null(take_next(&shares));
    for (int i = 0; i < 3; i++)
        namespace_shares_leave(&shares, &many[i]);
    namespace_shares_leave(&shares, &one);
    assert_null(shares.by_namespace);
}

/* Whoever may call can invent namespaces without number. */
static void every_second_turn_is_of_a_namespace_that_has_objects(void **state)
{
    (void)state;
    enum { INVENTED = 4 };
    static const char *const names[INVENTED] = {"a", "b", "c", "d"};
    struct namespace_shares shares = {0};
    struct share_turn first;
    struct share_turn known[2];
    struct share_turn invented[INVENTED];
    namespace_shares_enter(&shares, &first, "known");
    assert_ptr_equal(take_next(&shares), &first);
    namespace_shares_keep(&shares, &first, 100);
    for (int i = 0; i < INVENTED; i++)
        namespace_shares_enter(&shares, &invented[i], names[i]);
    for (int i = 0; i < 2; i++)
        namespace_shares_enter(&shares, &known[i], "known");
    int place_of_last_known = 0;
    for (int place = 1; place <= INVENTED + 2; place++)
        if (take_next(&shares) == &known[1])
            place_of_last_known = place;
    assert_in_range(place_of_last_known, 3, 4);
    for (int i = 0; i < INVENTED; i++)
        namespace_shares_leave(&shares, &invented[i]);
    for (int i = 0; i < 2; i++)
        namespace_shares_leave(&shares, &known[i]);
    namespace_shares_leave(&shares, &first);
}

static void a_namespace_with_all_its_requests_is_passed_over(void **state)
{
    (void)state;
    struct namespace_shares shares = {0};
    struct share_turn busy;
    struct share_turn other;
    namespace_shares_enter(&shares, &busy, "busy");
    namespace_shares_enter(&shares, &other, NULL);
    busy.share->requests = NAMESPACE_SHARE_MAX_REQUESTS;
    assert_ptr_equal(take_next(&shares), &other);
    assert_null(take_next(&shares));
    busy.share->requests--;
    assert_ptr_equal(take_next(&shares), &busy);
    namespace_shares_leave(&shares, &busy);
    namespace_shares_leave(&shares, &other);
}

static void a_namespace_may_have_as_much_as_it_leaves_to_others(void **state)
{
    (void)state;
    struct namespace_shares shares = {0};
    struct share_turn large;
    struct share_turn other;
    namespace_shares_enter(&shares, &large, "large");
    namespace_shares_enter(&shares, &other, "other");
    assert_false(namespace_shares_have_room(&shares, &large, NAMESPACE_SHARES_MAX_BYTES / 2 + 1));
    assert_true(namespace_shares_have_room(&shares, &large, NAMESPACE_SHARES_MAX_BYTES / 2));
    namespace_shares_keep(&shares, &large, NAMESPACE_SHARES_MAX_BYTES / 2);
    assert_false(namespace_shares_have_room(&shares, &large, NAMESPACE_SHARES_MAX_BYTES / 2 + 1));
    assert_true(namespace_shares_have_room(&shares, &other, NAMESPACE_SHARES_MAX_BYTES / 4));
    assert_false(namespace_shares_have_room(&shares, &other, NAMESPACE_SHARES_MAX_BYTES / 4 + 1));
    namespace_shares_keep(&shares, &other, NAMESPACE_SHARES_MAX_BYTES / 4);
    assert_true(namespace_shares_have_room(&shares, &large,
                                           NAMESPACE_SHARES_MAX_BYTES / 2)); /* it has this much */
    namespace_shares_leave(&shares, &large);
    assert_int_equal(shares.bytes, NAMESPACE_SHARES_MAX_BYTES / 4);
    namespace_shares_leave(&shares, &other);
    assert_int_equal(shares.bytes, 0);
}

static void a_namespace_has_as_many_watches_as_it_leaves_to_others(void **state)
{
    (void)state;
    static struct share_turn many[NAMESPACE_SHARES_MAX_WATCHES];
    struct namespace_shares shares = {0};
    struct share_turn other;
    size_t watches = 0;
    for (size_t i = 0; i < NAMESPACE_SHARES_MAX_WATCHES; i++) {
        namespace_shares_enter(&shares, &many[i], "many");
        watches += namespace_shares_watch(&shares, &many[i]);
    }
    assert_int_equal(watches, NAMESPACE_SHARES_MAX_WATCHES / 2);
    namespace_shares_enter(&shares, &other, "other");
    assert_true(namespace_shares_watch(&shares, &other));
    namespace_shares_leave(&shares, &other);
    for (size_t i = 0; i < NAMESPACE_SHARES_MAX_WATCHES; i++)
        namespace_shares_leave(&shares, &many[i]);
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
