/* Whose credentials are resolved next: no namespace waits for all of another one. */
#include "kubernetes/credentials/need_queue.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void add(struct need_queue *queue, struct need_place *place, const char *namespace)
{
    need_queue_join(queue, place, namespace);
    need_queue_add(queue, place);
}

static void a_namespace_has_its_turn_for_a_while(void **state)
{
    struct need_queue queue = {0};
    struct need_place noisy[3], quiet;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(noisy); i++)
        add(&queue, &noisy[i], "noisy");
    add(&queue, &quiet, "quiet");
    assert_ptr_equal(need_queue_take(&queue, 0), &noisy[0]);
    assert_ptr_equal(need_queue_take(&queue, 1999), &noisy[1]);
    need_queue_add(&queue, &noisy[0]);
    assert_ptr_equal(need_queue_take(&queue, 2000), &quiet);
    assert_ptr_equal(need_queue_take(&queue, 2001), &noisy[2]);
    assert_ptr_equal(need_queue_take(&queue, 2002), &noisy[0]);
    assert_null(need_queue_take(&queue, 2003));
    for (size_t i = 0; i < ARRAY_LENGTH(noisy); i++)
        need_queue_leave(&queue, &noisy[i]);
    need_queue_leave(&queue, &quiet);
}

static void what_leaves_during_its_turn_is_not_taken(void **state)
{
    struct need_queue queue = {0};
    struct need_place first, second, other;
    (void)state;
    add(&queue, &first, "shop");
    add(&queue, &second, "shop");
    add(&queue, &other, "other");
    need_queue_add(&queue, &other); /* once is enough */
    assert_ptr_equal(need_queue_take(&queue, 0), &first);
    need_queue_leave(&queue, &first);
    need_queue_leave(&queue, &second);
    assert_ptr_equal(need_queue_take(&queue, 1), &other);
    assert_null(need_queue_take(&queue, 2));
    need_queue_leave(&queue, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_namespace_has_its_turn_for_a_while),
        cmocka_unit_test(what_leaves_during_its_turn_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
