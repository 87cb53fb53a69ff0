#include "rabbitmq/management/leaders.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "shared/source_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLLECT_MS = 6 * 1000,    /* a node collects what its queues report every 5 s */
    REPORT_MS = 5 * 1000,     /* a leader reports as often */
    KEPT_MS = 60 * 60 * 1000, /* after that a queue is gone, or measured by nobody */

    MAX_BYTES = 8 * 1024 * 1024, /* of about 60,000 queues; zeros of others are not believed */
};

/* Of a queue. */
struct queue_leader {
    uint64_t node;      /* a hash of its name */
    int64_t settled_ms; /* from then on zeros are believed */
    int64_t seen_ms;
    size_t bytes; /* of memory, with the name */
    UT_hash_handle hh;
    char queue[];
};

struct rabbitmq_leaders {
    struct queue_leader *by_queue;
    int64_t drop_ms;
    struct source_memory memory;
};

struct rabbitmq_leaders *rabbitmq_leaders_new(void)
{
    return memory_new(sizeof(struct rabbitmq_leaders));
}

static void drop(struct rabbitmq_leaders *leaders, struct queue_leader *leader)
{
    HASH_DEL(leaders->by_queue, leader);
    source_memory_set(&leaders->memory, leaders->memory.used - leader->bytes);
    free(leader);
}

/* Those that were not seen since then. */
static void drop_before(struct rabbitmq_leaders *leaders, int64_t seen_ms)
{
    struct queue_leader *leader;
    struct queue_leader *next;
    HASH_ITER(hh, leaders->by_queue, leader, next)
        if (leader->seen_ms < seen_ms)
            drop(leaders, leader);
}

void rabbitmq_leaders_free(struct rabbitmq_leaders *leaders)
{
    drop_before(leaders, INT64_MAX);
    free(leaders);
}

static struct queue_leader *find(const struct rabbitmq_leaders *leaders, const json_t *name)
{
    struct queue_leader *leader;
    HASH_FIND(hh, leaders->by_queue, json_string_value(name), json_string_length(name), leader);
    return leader;
}

/* NULL: there is no memory for it. */
static struct queue_leader *add(struct rabbitmq_leaders *leaders, const json_t *name,
                                int64_t now_ms)
{
    size_t length = json_string_length(name);
    size_t bytes = memory_heap_bytes(sizeof(struct queue_leader) + length);
    if (now_ms >= leaders->drop_ms) {
        drop_before(leaders, now_ms - KEPT_MS);
        leaders->drop_ms = now_ms + KEPT_MS;
    }
    if (leaders->memory.used + bytes > MAX_BYTES ||
        !source_memory_set(&leaders->memory, leaders->memory.used + bytes))
        return NULL;
    struct queue_leader *leader = memory_new(sizeof(*leader) + length);
    leader->bytes = bytes;
    memcpy(leader->queue, json_string_value(name), length);
    HASH_ADD(hh, leaders->by_queue, queue[0], length, leader);
    return leader;
}

/* A leader has reported. Where that is known from the statistics and it is another one than before,
 * it may still be the former one that did. Returns whether zeros are believed. */
static bool note(struct rabbitmq_leaders *leaders, enum rabbitmq_source source, const json_t *name,
                 const char *node, int64_t now_ms)
{
    struct queue_leader *leader = find(leaders, name);
    uint64_t hash = hash_bytes(node, strlen(node));
    bool is_first = leader == NULL;
    if (is_first && (leader = add(leaders, name, now_ms)) == NULL)
        return false;
    if (is_first || leader->node != hash) {
        leader->node = hash;
        leader->settled_ms = now_ms + COLLECT_MS + (is_first ? 0 : REPORT_MS);
    }
    if (source == RABBITMQ_SOURCE_TOTALS && leader->settled_ms > now_ms + COLLECT_MS)
        leader->settled_ms = now_ms + COLLECT_MS;
    leader->seen_ms = now_ms;
    return now_ms >= leader->settled_ms;
}

bool rabbitmq_leaders_believe(struct rabbitmq_leaders *leaders, enum rabbitmq_source source,
                              const json_t *queue, const struct rabbitmq_counts *counts,
                              int64_t now_ms)
{
    const json_t *name = json_object_get(queue, "name");
    const char *node = json_string_value(json_object_get(queue, "leader"));
    const char *type = json_string_value(json_object_get(queue, "type"));
    bool is_zero = counts->messages == 0;
    bool totals = source == RABBITMQ_SOURCE_TOTALS;
    if (!text_equal(type, "quorum") || !json_is_string(name))
        return true;
    bool has_leader = node != NULL && node[0] != '\0';
    bool reports = totals ? counts->messages > 0 : !isnan(counts->consumers);
    if (has_leader && reports)
        return note(leaders, source, name, node, now_ms) || !is_zero;
    struct queue_leader *leader = find(leaders, name);
    if (leader != NULL && !totals) /* a 0 of the totals implies nothing */
        drop(leaders, leader);
    return !is_zero;
}
