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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t all;
static struct share *shares;

static struct share *find_share(uint64_t tenant)
{
    struct share *share;
    HASH_FIND(hh, shares, &tenant, sizeof(tenant), share);
    return share;
}

/* Is it at most this part of what others leave? */
static bool leaves_the_rest(size_t bytes, size_t others, size_t part)
{
    return others < SOURCE_MEMORY_MAX && bytes <= (SOURCE_MEMORY_MAX - others) / part;
}

static void change_share(uint64_t tenant, size_t before, size_t bytes)
{
    struct share *share = find_share(tenant);
    if (share == NULL) {
        share = memory_new(sizeof(*share));
        share->tenant = tenant;
        HASH_ADD(hh, shares, tenant, sizeof(share->tenant), share);
    }
    share->used = share->used - before + bytes;
    if (share->used > 0)
        return;
    HASH_DEL(shares, share);
    free(share);
}

/* A connection's tenant changes with those who use it: what it has is the new one's at once, or a
 * connection that always has some would count for one that is long gone. */
static void take_over(struct source_memory *memory)
{
    uint64_t tenant = scaler_tenant();
    if (memory->used > 0 && memory->tenant != tenant) {
        change_share(memory->tenant, memory->used, 0);
        change_share(tenant, 0, memory->used);
    }
    memory->tenant = tenant;
}

bool source_memory_set(struct source_memory *memory, size_t bytes)
{
    pthread_mutex_lock(&lock);
    take_over(memory);
    const struct share *share = find_share(memory->tenant);
    size_t tenants = share == NULL ? 0 : share->used;
    bool is_agents = memory->tenant == 0;
    bool may = bytes <= memory->used || bytes <= SOURCE_MEMORY_ALWAYS ||
               (leaves_the_rest(bytes, all - memory->used, 2) &&
                (is_agents || leaves_the_rest(tenants - memory->used + bytes, all - tenants,
                                              SOURCE_MEMORY_TENANT_PART)));
    if (may) {
        all = all - memory->used + bytes;
        change_share(memory->tenant, memory->used, bytes);
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
