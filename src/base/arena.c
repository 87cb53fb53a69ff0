#include "base/arena.h"

#include "base/memory.h"

#include <stdlib.h>

/* Under the address sanitizer each piece is a block of its own, so that it sees who writes beyond
 * one. */
#ifdef __SANITIZE_ADDRESS__
enum { FIRST_BYTES = 0, BLOCK_BYTES = 0 };
#else
enum { FIRST_BYTES = ARENA_FIRST_BYTES, BLOCK_BYTES = 16384 };
#endif

struct arena_block {
    struct arena_block *next;
    max_align_t bytes[];
};

void arena_init(struct arena *arena)
{
    arena->next = arena->first;
    arena->left = FIRST_BYTES;
    arena->blocks = NULL;
}

void arena_done(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena_init(arena);
}

static void add_block(struct arena *arena, size_t size)
{
    struct arena_block *block = memory_new(sizeof(*block) + size);
    block->next = arena->blocks;
    arena->blocks = block;
    arena->next = (uint8_t *)block->bytes;
    arena->left = size;
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t step = _Alignof(max_align_t);
    size_t rounded = (size + step - 1) / step * step;
    if (rounded > arena->left)
        add_block(arena, rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES);
    void *piece = arena->next;
    arena->next += rounded;
    arena->left -= rounded;
    return piece;
}
