/* What is due first, of many. */
#include "kubernetes/informer/due_queue.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { ITEMS = 500, STEPS = 20 * 1000 };

/* As a walk over all items finds it; CLOCK_NEVER: none is there. */
static int64_t first_of(const struct due_item *items)
{
    int64_t first_ms = CLOCK_NEVER;
    for (int i = 0; i < ITEMS; i++)
        if (items[i].place != 0)
            first_ms = clock_earlier(first_ms, items[i].due_ms);
    return first_ms;
}

static void the_first_is_the_earliest_whatever_was_set_and_removed(void **state)
{
    (void)state;
    static struct due_item items[ITEMS];
    struct due_queue queue = {0};
    for (int i = 0; i < STEPS; i++) {
        struct due_item *item = &items[clock_jitter(ITEMS)];
        if (clock_jitter(3) == 0)
            due_queue_remove(&queue, item);
        else
            due_queue_set(&queue, item, clock_jitter(1000));
        const struct due_item *first = due_queue_first(&queue);
        assert_true((first == NULL ? CLOCK_NEVER : first->due_ms) == first_of(items));
    }
    due_queue_done(&queue);
}

static void they_come_in_the_order_of_their_times(void **state)
{
    (void)state;
    static struct due_item items[ITEMS];
    struct due_queue queue = {0};
    struct due_item *first;
    int64_t before_ms = 0;
    size_t count = 0;
    for (int i = 0; i < ITEMS; i++)
        due_queue_set(&queue, &items[i], clock_jitter(1000));
    for (; (first = due_queue_first(&queue)) != NULL; count++) {
        assert_true(first->due_ms >= before_ms);
        before_ms = first->due_ms;
        due_queue_remove(&queue, first);
        assert_int_equal(first->place, 0);
    }
    assert_int_equal(count, ITEMS);
    due_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_the_earliest_whatever_was_set_and_removed),
        cmocka_unit_test(they_come_in_the_order_of_their_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
