#include "shared/reply_memory.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t all;

bool reply_memory_set(struct reply_memory *memory, size_t bytes)
{
    pthread_mutex_lock(&lock);
    size_t others = all - memory->used;
    bool may = bytes <= memory->used || bytes <= REPLY_MEMORY_ALWAYS ||
               (others < REPLY_MEMORY_MAX && bytes <= (REPLY_MEMORY_MAX - others) / 2);
    if (may) {
        memory->used = bytes;
        all = others + bytes;
    }
    pthread_mutex_unlock(&lock);
    return may;
}

void reply_memory_move(struct reply_memory *from, size_t bytes, struct reply_memory *to)
{
    from->used -= bytes;
    to->used += bytes;
}
