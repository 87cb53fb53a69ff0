#include "kafka/persistence.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/client.h"

#include <string.h>
#include <sys/param.h>

struct partition {
    int64_t committed;
    int64_t since_ms;   /* the clock counts from here; 0: it does not run, as without lag */
    int64_t updated_ms; /* when a measurement last found the partition */
    int64_t kept_ms;    /* when a task last ended before it was answered (_keep) */
};

struct kafka_persistence {
    const struct kafka_persistence_group *group;
    char *topic;
    int64_t used_ms;
    struct partition *partitions;
    int32_t count;
    UT_hash_handle hh;
};

struct kafka_persistence_group {
    struct kafka_memory *memory; /* in which its histories count */
    char *name;
    int64_t restarted_ms; /* clocks that were not updated or kept since then do not run */
    struct kafka_persistence *topics;
    UT_hash_handle hh;
};

void kafka_persistence_forget_all(struct kafka_persistence_group **all)
{
    kafka_persistence_forget_old(all, CLOCK_NEVER);
}

static double history_bytes(const char *topic, int32_t partitions)
{
    return (double)(sizeof(struct kafka_persistence) + strlen(topic) +
                    ((size_t)partitions + 1) * sizeof(struct partition));
}

static void forget_topic(struct kafka_persistence_group *group,
                         struct kafka_persistence *persistence)
{
    kafka_memory_add(group->memory, KAFKA_ACCOUNT_CLOCKS,
                     -history_bytes(persistence->topic, persistence->count));
    HASH_DEL(group->topics, persistence);
    free(persistence->partitions);
    free(persistence->topic);
    free(persistence);
}

static void forget_old_topics(struct kafka_persistence_group *group, int64_t now_ms)
{
    struct kafka_persistence *persistence;
    struct kafka_persistence *next;
    HASH_ITER(hh, group->topics, persistence, next)
        if (now_ms - persistence->used_ms > KAFKA_FORGET_MS)
            forget_topic(group, persistence);
}

void kafka_persistence_forget_old(struct kafka_persistence_group **all, int64_t now_ms)
{
    struct kafka_persistence_group *group;
    struct kafka_persistence_group *next;
    HASH_ITER(hh, *all, group, next) {
        forget_old_topics(group, now_ms);
        if (group->topics != NULL)
            continue;
        HASH_DEL(*all, group);
        free(group->name);
        free(group);
    }
}

static struct kafka_persistence_group *find_group(struct kafka_persistence_group *all,
                                                  const char *name)
{
    struct kafka_persistence_group *group;
    HASH_FIND_STR(all, name, group);
    return group;
}

static struct kafka_persistence_group *group_for(struct kafka_persistence_group **all,
                                                 struct kafka_memory *memory, const char *name)
{
    struct kafka_persistence_group *group = find_group(*all, name);
    if (group != NULL)
        return group;
    group = memory_new(sizeof(*group));
    group->memory = memory;
    group->name = text_copy(name);
    HASH_ADD_KEYPTR(hh, *all, group->name, strlen(group->name), group);
    return group;
}

/* NULL: there is no memory for it. */
static struct kafka_persistence *make(struct kafka_persistence_group *group, const char *topic,
                                      int32_t partitions)
{
    double bytes = history_bytes(topic, partitions);
    if (!kafka_memory_has_beside_topics(group->memory, bytes))
        return NULL;
    kafka_memory_add(group->memory, KAFKA_ACCOUNT_CLOCKS, bytes);
    struct kafka_persistence *persistence = memory_new(sizeof(*persistence));
    persistence->group = group;
    persistence->topic = text_copy(topic);
    persistence->partitions =
        memory_array((size_t)partitions + 1, sizeof(*persistence->partitions));
    persistence->count = partitions;
    HASH_ADD_KEYPTR(hh, group->topics, persistence->topic, strlen(topic), persistence);
    return persistence;
}

struct kafka_persistence *kafka_persistence_for(struct kafka_persistence_group **all,
                                                struct kafka_memory *memory, const char *group_name,
                                                const char *topic, int32_t partitions,
                                                int64_t now_ms)
{
    struct kafka_persistence_group *group = group_for(all, memory, group_name);
    struct kafka_persistence *persistence;
    HASH_FIND_STR(group->topics, topic, persistence);
    if (persistence != NULL && persistence->count != partitions)
        forget_topic(group, TAKE(persistence));
    if (persistence == NULL)
        persistence = make(group, topic, partitions);
    if (persistence != NULL)
        persistence->used_ms = now_ms;
    return persistence;
}

static int64_t updated_or_kept_ms(const struct partition *entry)
{
    return MAX(entry->updated_ms, entry->kept_ms);
}

/* Whether the clock does not run. */
static bool is_stopped(const struct kafka_persistence *persistence, const struct partition *entry)
{
    return entry->since_ms == 0 || updated_or_kept_ms(entry) < persistence->group->restarted_ms;
}

void kafka_persistence_update(struct kafka_persistence *persistence, int32_t partition,
                              int64_t committed, bool has_lag, int64_t now_ms)
{
    struct partition *entry = &persistence->partitions[partition];
    if (!has_lag)
        entry->since_ms = 0;
    else if (is_stopped(persistence, entry) || entry->committed != committed)
        entry->since_ms = now_ms;
    entry->committed = committed;
    entry->updated_ms = now_ms;
}

void kafka_persistence_keep(struct kafka_persistence *persistence, int32_t partition,
                            int64_t now_ms)
{
    struct partition *entry = &persistence->partitions[partition];
    if (!is_stopped(persistence, entry))
        entry->kept_ms = now_ms;
}

int64_t kafka_persistence_ms(const struct kafka_persistence *persistence, int32_t partition,
                             int64_t now_ms)
{
    const struct partition *entry = &persistence->partitions[partition];
    return is_stopped(persistence, entry) ? 0 : now_ms - entry->since_ms;
}

void kafka_persistence_restart(struct kafka_persistence *persistence, int32_t partition,
                               int64_t began_ms)
{
    struct partition *entry = &persistence->partitions[partition];
    if (entry->updated_ms < began_ms)
        entry->since_ms = 0;
}

static void restart_partitions(struct kafka_persistence *persistence,
                               const struct kafka_query *query, int64_t began_ms)
{
    for (int32_t i = 0; i < persistence->count; i++)
        if (kafka_query_has_partition(query, i) && persistence->partitions[i].kept_ms < began_ms)
            kafka_persistence_restart(persistence, i, began_ms);
}

void kafka_persistence_restart_topic(struct kafka_persistence_group *all,
                                     const struct kafka_query *query, const char *topic,
                                     int64_t began_ms)
{
    struct kafka_persistence_group *group = find_group(all, query->consumer_group);
    struct kafka_persistence *persistence = NULL;
    if (group != NULL)
        HASH_FIND_STR(group->topics, topic, persistence);
    if (persistence != NULL)
        restart_partitions(persistence, query, began_ms);
}

/* Whether a clock runs, and the measurement that began at `began_ms` would restart it. */
static bool has_clock_to_restart(const struct kafka_persistence *persistence, int64_t began_ms)
{
    for (int32_t i = 0; i < persistence->count; i++)
        if (persistence->partitions[i].since_ms != 0 &&
            updated_or_kept_ms(&persistence->partitions[i]) < began_ms)
            return true;
    return false;
}

/* Matching is slow, so it comes last: most topics have nothing to restart. */
void kafka_persistence_restart_pattern(struct kafka_persistence_group *all,
                                       const struct kafka_query *query, struct regex *regex,
                                       int64_t began_ms)
{
    struct kafka_persistence_group *group = find_group(all, query->consumer_group);
    struct kafka_persistence *each = group == NULL ? NULL : group->topics;
    for (; each != NULL; each = each->hh.next)
        if (has_clock_to_restart(each, began_ms) && regex_matches(regex, each->topic))
            restart_partitions(each, query, began_ms);
}

void kafka_persistence_restart_group(struct kafka_persistence_group *all, const char *name,
                                     int64_t began_ms)
{
    struct kafka_persistence_group *group = find_group(all, name);
    if (group != NULL && began_ms > group->restarted_ms)
        group->restarted_ms = began_ms;
}
