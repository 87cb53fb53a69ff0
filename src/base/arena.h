/*
 * An arena: many small pieces of memory, which are freed together. The first few KiB lie within it,
 * so one on the stack mostly does not use the heap.
 *
 * Threads: none are involved; an arena belongs to whoever declared it, and must not be moved.
 */
#ifndef BACKLOG_BASE_ARENA_H
#define BACKLOG_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

enum { ARENA_FIRST_BYTES = 4096 };

struct arena {
    uint8_t *next;
    size_t left; /* behind `next` */
    struct arena_block *blocks;
    _Alignas(max_align_t) uint8_t first[ARENA_FIRST_BYTES];
};

void arena_init(struct arena *arena);
void arena_done(struct arena *arena);

/* Aligned for anything, not zeroed. Never NULL. */
void *arena_take(struct arena *arena, size_t size);

#endif
