#include "shared/source_memory.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "measure/scaler.h"

#include <pthread.h>
#include <stdlib.h>

/* Of one tenant, as long as it has some. */
struct share {
    uint64_t tenant;
    size_t used;
    UT_hash_handle hh;
};

/* Of the connections of the file, or of all others. */
struct half {
    size_t all;
    struct share *shares;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct half named;
static struct half inline_ones;

static struct half *half_of(const struct source_memory *memory)
{
    return memory->is_named ? &named : &inline_ones;
}

static struct share *find_share(const struct half *half, uint64_t tenant)
{
    struct share *share;
    HASH_FIND(hh, half->shares, &tenant, sizeof(tenant), share);
    return share;
}

/* Is it at most this part of what others leave? */
static bool leaves_the_rest(size_t bytes, size_t others, size_t part)
{
    return others < SOURCE_MEMORY_MAX && bytes <= (SOURCE_MEMORY_MAX - others) / part;
}

static void change_share(const struct source_memory *memory, size_t before, size_t bytes)
{
    struct half *half = half_of(memory);
    struct share *share = find_share(half, memory->tenant);
    if (share == NULL) {
        share = memory_new(sizeof(*share));
        share->tenant = memory->tenant;
        HASH_ADD(hh, half->shares, tenant, sizeof(share->tenant), share);
    }
    half->all = half->all - before + bytes;
    share->used = share->used - before + bytes;
    if (share->used > 0)
        return;
    HASH_DEL(half->shares, share);
    free(share);
}

/* A connection's tenant changes with those who use it: what it has is the new one's at once, or a
 * connection that always has some would count for one that is long gone. */
static void take_over(struct source_memory *memory)
{
    uint64_t tenant = scaler_tenant();
    bool is_named = scaler_tenant_is_named();
    bool changes = memory->tenant != tenant || memory->is_named != is_named;
    if (memory->used > 0 && changes)
        change_share(memory, memory->used, 0);
    memory->tenant = tenant;
    memory->is_named = is_named;
    if (memory->used > 0 && changes)
        change_share(memory, 0, memory->used);
}

bool source_memory_set(struct source_memory *memory, size_t bytes)
{
    pthread_mutex_lock(&lock);
    take_over(memory);
    const struct half *half = half_of(memory);
    const struct share *share = find_share(half, memory->tenant);
    size_t used_by_tenant = share == NULL ? 0 : share->used;
    bool is_agents = memory->tenant == 0;
    bool may =
        bytes <= memory->used || bytes <= SOURCE_MEMORY_ALWAYS ||
        (leaves_the_rest(bytes, half->all - memory->used, 2) &&
         (is_agents || leaves_the_rest(used_by_tenant - memory->used + bytes,
                                       half->all - used_by_tenant, SOURCE_MEMORY_TENANT_PART)));
    if (may) {
        change_share(memory, memory->used, bytes);
        memory->used = bytes;
    }
    pthread_mutex_unlock(&lock);
    return may;
}

void source_memory_move(struct source_memory *from, size_t bytes, struct source_memory *to)
{
    pthread_mutex_lock(&lock);
    take_over(from);
    take_over(to);
    from->used -= bytes;
    to->used += bytes;
    pthread_mutex_unlock(&lock);
}
