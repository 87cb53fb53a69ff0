#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("backlog: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *memory_new(size_t size)
{
    return checked(calloc(1, size == 0 ? 1 : size));
}

void *memory_array(size_t count, size_t size)
{
    return checked(calloc(count == 0 ? 1 : count, size));
}

void *memory_grow(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count <= *capacity)
        return array;

    size_t grown = *capacity < 8 ? 8 : *capacity * 2;
    if (grown < count)
        grown = count;
    *capacity = grown;
    return checked(reallocarray(array, grown, size));
}

void *memory_resize(void *memory, size_t size)
{
    return checked(realloc(memory, size == 0 ? 1 : size));
}

/* A size of 8 bytes before it, all in units of 16, at least two. */
size_t memory_heap_bytes(size_t size)
{
    size_t whole = (size + 8 + 15) / 16 * 16;
    return whole < 32 ? 32 : whole;
}

void memory_free(void *pointer_to_pointer)
{
    void **pointer = pointer_to_pointer;
    free(*pointer);
    *pointer = NULL;
}
