#include "shared/source_memory.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t all; /* under the lock */

bool source_memory_set(struct source_memory *memory, size_t bytes)
{
    pthread_mutex_lock(&lock);
    size_t others = all - memory->used;
    bool may = bytes <= memory->used || bytes <= SOURCE_MEMORY_ALWAYS ||
               (others < SOURCE_MEMORY_MAX && bytes <= (SOURCE_MEMORY_MAX - others) / 2);
    if (may) {
        all = others + bytes;
        memory->used = bytes;
    }
    pthread_mutex_unlock(&lock);
    return may;
}
