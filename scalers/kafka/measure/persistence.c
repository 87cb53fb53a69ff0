#include "kafka/measure/persistence.h"

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

struct kafka_persistence {
    char *key; /* group and topic */
    int64_t used_ms;
    struct partition *partitions;
    int32_t count;
    UT_hash_handle hh;
};

static void forget(struct kafka_persistence **all, struct kafka_persistence *persistence)
{
    HASH_DEL(*all, persistence);
    free(persistence->partitions);
    free(persistence->key);
    free(persistence);
}

void kafka_persistence_forget_all(struct kafka_persistence **all)
{
    kafka_persistence_forget_old(all, CLOCK_NEVER);
}

void kafka_persistence_forget_old(struct kafka_persistence **all, int64_t now_ms)
{
    struct kafka_persistence *persistence;
    struct kafka_persistence *next;
    HASH_ITER(hh, *all, persistence, next)
        if (now_ms - persistence->used_ms > FORGET_MS)
            forget(all, persistence);
}

struct kafka_persistence *kafka_persistence_use(struct kafka_persistence **all, const char *group,
                                                const char *topic, int32_t partitions)
{
    /* A topic's name has no slash. */
    _cleanup_(memory_free) char *key = text_format("%s/%s", topic, group);
    struct kafka_persistence *persistence;
    HASH_FIND_STR(*all, key, persistence);
    if (persistence != NULL && persistence->count != partitions) {
        forget(all, persistence);
        persistence = NULL;
    }
    if (persistence == NULL) {
        persistence = memory_new(sizeof(*persistence));
        persistence->key = TAKE(key);
        persistence->count = partitions;
        persistence->partitions =
            memory_array((size_t)partitions, sizeof(*persistence->partitions));
        HASH_ADD_KEYPTR(hh, *all, persistence->key, strlen(persistence->key), persistence);
    }
    persistence->used_ms = clock_now_ms();
    return persistence;
}

void kafka_persistence_update(struct kafka_persistence *persistence, int32_t partition,
                              int64_t committed, int64_t latest, int64_t now_ms)
{
    struct partition *entry = &persistence->partitions[partition];
    bool has_lag = !kafka_lag_is_invalid(committed, latest) && committed < latest;
    if (!has_lag || entry->since_ms == 0 || entry->committed != committed)
        entry->since_ms = now_ms;
    entry->committed = committed;
    entry->updated_ms = now_ms;
}

int64_t kafka_persistence_ms(const struct kafka_persistence *persistence, int32_t partition,
                             int64_t now_ms)
{
    int64_t since_ms = persistence->partitions[partition].since_ms;
    return since_ms == 0 ? 0 : now_ms - since_ms;
}

void kafka_persistence_settle(struct kafka_persistence *persistence, int32_t partition,
                              int64_t began_ms)
{
    struct partition *entry = &persistence->partitions[partition];
    if (entry->updated_ms < began_ms)
        entry->since_ms = 0;
}
