#include "kafka/measure/persistence.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/lag.h"

#include <string.h>

enum { FORGET_MS = 10 * 60 * 1000 };

#define ALL_TOPICS "" /* of a group */

struct partition {
    int64_t committed;
    int64_t since_ms; /* 0: not known */
    int64_t updated_ms;
};

/* Of a group on a topic; or of all of the group, without partitions. */
struct kafka_persistence {
    char *key;         /* see key_new() */
    const char *group; /* its end */
    int64_t used_ms;
    int64_t settled_ms; /* of a partition that was not updated since then the time starts again */
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

/* A topic's name has no slash, and is not empty: that is for all of the group. The caller frees it.
 */
static char *key_new(const char *group, const char *topic)
{
    return text_format("%s/%s", topic, group);
}

static struct kafka_persistence *find(struct kafka_persistence *all, const char *group,
                                      const char *topic)
{
    _cleanup_(memory_free) char *key = key_new(group, topic);
    struct kafka_persistence *persistence;
    HASH_FIND_STR(all, key, persistence);
    return persistence;
}

static struct kafka_persistence *add(struct kafka_persistence **all, const char *group,
                                     const char *topic, int32_t partitions)
{
    struct kafka_persistence *persistence = memory_new(sizeof(*persistence));
    persistence->key = key_new(group, topic);
    persistence->group = persistence->key + strlen(topic) + 1;
    persistence->count = partitions;
    persistence->partitions = memory_array((size_t)partitions, sizeof(*persistence->partitions));
    HASH_ADD_KEYPTR(hh, *all, persistence->key, strlen(persistence->key), persistence);
    return persistence;
}

struct kafka_persistence *kafka_persistence_use(struct kafka_persistence **all, const char *group,
                                                const char *topic, int32_t partitions)
{
    struct kafka_persistence *persistence = find(*all, group, topic);
    struct kafka_persistence *of_group = find(*all, group, ALL_TOPICS);
    if (persistence != NULL && persistence->count != partitions) {
        forget(all, persistence);
        persistence = NULL;
    }
    if (persistence == NULL)
        persistence = add(all, group, topic, partitions);
    persistence->used_ms = clock_now_ms();
    if (of_group != NULL) {
        persistence->settled_ms = of_group->settled_ms;
        of_group->used_ms = persistence->used_ms; /* as long as it has topics */
    }
    return persistence;
}

static bool is_settled(const struct kafka_persistence *persistence, const struct partition *entry)
{
    return entry->since_ms == 0 || entry->updated_ms < persistence->settled_ms;
}

void kafka_persistence_update(struct kafka_persistence *persistence, int32_t partition,
                              int64_t committed, int64_t latest, int64_t now_ms)
{
    struct partition *entry = &persistence->partitions[partition];
    bool has_lag = !kafka_lag_is_invalid(committed, latest) && committed < latest;
    if (!has_lag || is_settled(persistence, entry) || entry->committed != committed)
        entry->since_ms = now_ms;
    entry->committed = committed;
    entry->updated_ms = now_ms;
}

int64_t kafka_persistence_ms(const struct kafka_persistence *persistence, int32_t partition,
                             int64_t now_ms)
{
    const struct partition *entry = &persistence->partitions[partition];
    return is_settled(persistence, entry) ? 0 : now_ms - entry->since_ms;
}

void kafka_persistence_settle(struct kafka_persistence *persistence, int32_t partition,
                              int64_t began_ms)
{
    struct partition *entry = &persistence->partitions[partition];
    if (entry->updated_ms < began_ms)
        entry->since_ms = 0;
}

static void settle_partitions(struct kafka_persistence *persistence,
                              const struct kafka_query *query, int64_t began_ms)
{
    for (int32_t i = 0; i < persistence->count; i++)
        if (kafka_query_has_partition(query, i))
            kafka_persistence_settle(persistence, i, began_ms);
}

void kafka_persistence_settle_topic(struct kafka_persistence *all, const struct kafka_query *query,
                                    const char *topic, int64_t began_ms)
{
    struct kafka_persistence *persistence = find(all, query->consumer_group, topic);
    if (persistence != NULL)
        settle_partitions(persistence, query, began_ms);
}

/* Whether the time of any partition has begun, and is not known to go on. */
static bool is_behind(const struct kafka_persistence *persistence, int64_t began_ms)
{
    for (int32_t i = 0; i < persistence->count; i++)
        if (persistence->partitions[i].since_ms != 0 &&
            persistence->partitions[i].updated_ms < began_ms)
            return true;
    return false;
}

/* Matching takes long beside the rest: only few topics are behind. */
void kafka_persistence_settle_pattern(struct kafka_persistence *all,
                                      const struct kafka_query *query, struct regex *regex,
                                      int64_t began_ms)
{
    for (struct kafka_persistence *each = all; each != NULL; each = each->hh.next) {
        if (!text_equal(each->group, query->consumer_group) || !is_behind(each, began_ms))
            continue;
        _cleanup_(memory_free) char *topic =
            text_copy_bytes(each->key, (size_t)(each->group - each->key) - 1);
        if (regex_matches(regex, topic))
            settle_partitions(each, query, began_ms);
    }
}

void kafka_persistence_settle_group(struct kafka_persistence **all, const char *group,
                                    int64_t began_ms)
{
    struct kafka_persistence *of_group = find(*all, group, ALL_TOPICS);
    if (of_group == NULL)
        of_group = add(all, group, ALL_TOPICS, 0);
    of_group->used_ms = clock_now_ms();
    if (began_ms > of_group->settled_ms)
        of_group->settled_ms = began_ms;
}
