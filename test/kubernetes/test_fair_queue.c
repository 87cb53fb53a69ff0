/* Whose credentials are resolved next: no namespace waits for all of another one. */
#include "kubernetes/credentials/fair_queue.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void add(struct fair_queue *queue, struct fair_queue_item *place, const char *namespace)
{
    fair_queue_join(queue, place, namespace);
    fair_queue_add(queue, place);
}

static void a_namespace_has_its_turn_for_a_while(void **state)
{
    struct fair_queue queue = {0};
    struct fair_queue_item noisy[3], quiet;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(noisy); i++)
        add(&queue, &noisy[i], "noisy");
    add(&queue, &quiet, "quiet");
    assert_ptr_equal(fair_queue_take(&queue, 0), &noisy[0]);
    assert_ptr_equal(fair_queue_take(&queue, 1999), &noisy[1]);
    fair_queue_add(&queue, &noisy[0]);
    assert_ptr_equal(fair_queue_take(&queue, 2000), &quiet);
    assert_ptr_equal(fair_queue_take(&queue, 2001), &noisy[2]);
    assert_ptr_equal(fair_queue_take(&queue, 2002), &noisy[0]);
    assert_null(fair_queue_take(&queue, 2003));
    for (size_t i = 0; i < ARRAY_LENGTH(noisy); i++)
        fair_queue_leave(&queue, &noisy[i]);
    fair_queue_leave(&queue, &quiet);
}

static void what_leaves_during_its_turn_is_not_taken(void **state)
{
    struct fair_queue queue = {0};
    struct fair_queue_item first, second, other;
    (void)state;
    add(&queue, &first, "shop");
    add(&queue, &second, "shop");
    add(&queue, &other, "other");
    fair_queue_add(&queue, &other); /* once is enough */
    assert_ptr_equal(fair_queue_take(&queue, 0), &first);
    fair_queue_leave(&queue, &first);
    fair_queue_leave(&queue, &second);
    assert_ptr_equal(fair_queue_take(&queue, 1), &other);
    assert_null(fair_queue_take(&queue, 2));
    fair_queue_leave(&queue, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_namespace_has_its_turn_for_a_while),
        cmocka_unit_test(what_leaves_during_its_turn_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
