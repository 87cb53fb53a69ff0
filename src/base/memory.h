/*
 * Memory: allocation that never returns NULL, and cleanup that cannot be forgotten.
 *
 * Running out of memory ends the process: a scaler that has lost a reading must not guess it, and
 * Kubernetes starts a new one in milliseconds.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_MEMORY_H
#define BACKLOG_BASE_MEMORY_H

#include <stddef.h>

/* Calls function with a pointer to the variable when the variable's scope ends. */
#define _cleanup_(function) __attribute__((cleanup(function)))

/* Moves a pointer out of a variable, and leaves NULL behind. */
#define TAKE(pointer)                                                                              \
    __extension__({                                                                                \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The memory is zeroed. The caller frees it with free(). */
void *memory_new(size_t size);
void *memory_array(size_t count, size_t size);

/* Grows an array to hold at least `count` items of `size` bytes, doubling; what is new is not
 * zeroed. */
void *memory_grow(void *array, size_t *capacity, size_t count, size_t size);

/* Moves it to memory of another size. */
void *memory_resize(void *memory, size_t size);

/* What an allocation of so many bytes takes of the heap (glibc, 64 bits), for limits. */
size_t memory_heap_bytes(size_t size);

/* For _cleanup_(memory_free): frees what the variable points to. */
void memory_free(void *pointer_to_pointer);

#endif
