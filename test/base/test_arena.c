#include "base/arena.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Sizes on both sides of what an arena has within itself, and of a block. */
static void pieces_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 16, 0, 4000, 33, 4096, 16383, 16384, 16385, 100000, 5};
    unsigned char *pieces[100];
    _cleanup_(arena_done) struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
        size_t size = sizes[i % ARRAY_LENGTH(sizes)];
        pieces[i] = arena_take(&arena, size);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)i, size);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++)
        for (size_t k = 0; k < sizes[i % ARRAY_LENGTH(sizes)]; k++)
            assert_int_equal(pieces[i][k], i);
}

static void an_arena_can_be_used_again(void **state)
{
    (void)state;
    _cleanup_(arena_done) struct arena arena;
    arena_init(&arena);
    for (int round = 0; round < 3; round++) {
        memset(arena_take(&arena, 50000), round, 50000);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(an_arena_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
