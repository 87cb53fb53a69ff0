/* Which of many has the least key. */
#include "base/heap.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ITEMS = 500, STEPS = 20 * 1000 };

/* As a walk over all keys finds it. */
static int64_t least_of(const int64_t *keys)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < ITEMS; i++)
        least = keys[i] < least ? keys[i] : least;
    return least;
}

static void the_first_has_the_least_key_whatever_was_set_and_removed(void **state)
{
    (void)state;
    static struct heap_item items[ITEMS];
    static int64_t keys[ITEMS]; /* INT64_MAX: it is not in the heap */
    struct heap heap = {0};
    for (int i = 0; i < ITEMS; i++)
        keys[i] = INT64_MAX;
    for (int i = 0; i < STEPS; i++) {
        uint32_t which = clock_jitter(ITEMS);
        keys[which] = clock_jitter(3) == 0 ? INT64_MAX : clock_jitter(1000);
        if (keys[which] == INT64_MAX)
            heap_remove(&items[which]);
        else
            heap_set(&heap, &items[which], keys[which]);
        assert_true(heap_first_key(&heap) == least_of(keys));
        assert_true(heap.count == 0 || keys[heap_first(&heap) - items] == least_of(keys));
    }
    free(heap.entries);
}

static void they_come_in_the_order_of_their_keys(void **state)
{
    (void)state;
    static struct heap_item items[ITEMS];
    struct heap heap = {0};
    struct heap_item *first;
    int64_t before = 0;
    size_t count = 0;
    for (int i = 0; i < ITEMS; i++)
        heap_set(&heap, &items[i], clock_jitter(1000));
    for (; (first = heap_first(&heap)) != NULL; count++) {
        assert_true(heap_key(first) >= before);
        before = heap_key(first);
        heap_remove(first);
        assert_null(first->heap);
    }
    assert_int_equal(count, ITEMS);
    free(heap.entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_has_the_least_key_whatever_was_set_and_removed),
        cmocka_unit_test(they_come_in_the_order_of_their_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
