#include "stall.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "lag.h"

#include <string.h>

enum { FORGET_MS = 10 * 60 * 1000 };

struct stalled_partition {
    int64_t committed;
    int64_t since_ms; /* 0: not seen */
    int64_t looked_ms;
};

struct stall {
    char *key; /* group and topic */
    int64_t used_ms;
    struct stalled_partition *partitions;
    int32_t count;
    UT_hash_handle hh;
};

static void forget(struct kafka_client *client, struct stall *stall)
{
    HASH_DEL(client->stalls, stall);
    free(stall->partitions);
    free(stall->key);
    free(stall);
}

void stalls_forget(struct kafka_client *client)
{
    stalls_forget_old(client, CLOCK_NEVER);
}

void stalls_forget_old(struct kafka_client *client, int64_t now_ms)
{
    struct stall *stall;
    struct stall *next;
    HASH_ITER(hh, client->stalls, stall, next)
    if (now_ms - stall->used_ms > FORGET_MS)
        forget(client, stall);
}

struct stall *stall_use(struct kafka_client *client, const char *group, const char *topic,
                        int32_t partitions)
{
    /* A topic's name has no slash. */
    _cleanup_(memory_free) char *key = text_format("%s/%s", topic, group);
    struct stall *stall;
    HASH_FIND_STR(client->stalls, key, stall);
    if (stall != NULL && stall->count != partitions) {
        forget(client, stall);
        stall = NULL;
    }
    if (stall == NULL) {
        stall = memory_new(sizeof(*stall));
        stall->key = TAKE(key);
        stall->count = partitions;
        stall->partitions = memory_array((size_t)partitions, sizeof(*stall->partitions));
        HASH_ADD_KEYPTR(hh, client->stalls, stall->key, strlen(stall->key), stall);
    }
    stall->used_ms = clock_now_ms();
    return stall;
}

int64_t stall_look(struct stall *stall, int32_t partition, int64_t committed, int64_t latest,
                   int64_t now_ms)
{
    struct stalled_partition *seen = &stall->partitions[partition];
    bool has_lag = !lag_is_invalid(committed, latest) && committed < latest;
    if (!has_lag || seen->since_ms == 0 || seen->committed != committed)
        seen->since_ms = now_ms;
    seen->committed = committed;
    seen->looked_ms = now_ms;
    return now_ms - seen->since_ms;
}

void stall_settle(struct stall *stall, int32_t partition, int64_t began_ms)
{
    struct stalled_partition *seen = &stall->partitions[partition];
    if (seen->looked_ms < began_ms)
        seen->since_ms = 0;
}
