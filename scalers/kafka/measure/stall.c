#include "kafka/measure/stall.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/lag.h"

#include <string.h>

enum { FORGET_MS = 10 * 60 * 1000 };

struct partition {
    int64_t committed;
    int64_t since_ms; /* 0: not known */
    int64_t updated_ms;
};

struct kafka_stall {
    char *key; /* group and topic */
    int64_t used_ms;
    struct partition *partitions;
    int32_t count;
    UT_hash_handle hh;
};

static void forget(struct kafka_stall **all, struct kafka_stall *stall)
{
    HASH_DEL(*all, stall);
    free(stall->partitions);
    free(stall->key);
    free(stall);
}

void kafka_stall_forget_all(struct kafka_stall **all)
{
    kafka_stall_forget_old(all, CLOCK_NEVER);
}

void kafka_stall_forget_old(struct kafka_stall **all, int64_t now_ms)
{
    struct kafka_stall *stall;
    struct kafka_stall *next;
    HASH_ITER(hh, *all, stall, next)
        if (now_ms - stall->used_ms > FORGET_MS)
            forget(all, stall);
}

struct kafka_stall *kafka_stall_use(struct kafka_stall **all, const char *group, const char *topic,
                                    int32_t partitions)
{
    /* A topic's name has no slash. */
    _cleanup_(memory_free) char *key = text_format("%s/%s", topic, group);
    struct kafka_stall *stall;
    HASH_FIND_STR(*all, key, stall);
    if (stall != NULL && stall->count != partitions) {
        forget(all, stall);
        stall = NULL;
    }
    if (stall == NULL) {
        stall = memory_new(sizeof(*stall));
        stall->key = TAKE(key);
        stall->count = partitions;
        stall->partitions = memory_array((size_t)partitions, sizeof(*stall->partitions));
        HASH_ADD_KEYPTR(hh, *all, stall->key, strlen(stall->key), stall);
    }
    stall->used_ms = clock_now_ms();
    return stall;
}

void kafka_stall_update(struct kafka_stall *stall, int32_t partition, int64_t committed,
                        int64_t latest, int64_t now_ms)
{
    struct partition *entry = &stall->partitions[partition];
    bool has_lag = !kafka_lag_is_invalid(committed, latest) && committed < latest;
    if (!has_lag || entry->since_ms == 0 || entry->committed != committed)
        entry->since_ms = now_ms;
    entry->committed = committed;
    entry->updated_ms = now_ms;
}

int64_t kafka_stall_age_ms(const struct kafka_stall *stall, int32_t partition, int64_t now_ms)
{
    int64_t since_ms = stall->partitions[partition].since_ms;
    return since_ms == 0 ? 0 : now_ms - since_ms;
}

void kafka_stall_settle(struct kafka_stall *stall, int32_t partition, int64_t began_ms)
{
    struct partition *entry = &stall->partitions[partition];
    if (entry->updated_ms < began_ms)
        entry->since_ms = 0;
}
