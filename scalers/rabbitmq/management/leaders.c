#include "rabbitmq/management/leaders.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"

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
    uint64_t node;      /* a hash of its name; 0: none, or it has not reported */
    int64_t settled_ms; /* from then on zeros are believed */
    int64_t seen_ms;
    size_t bytes; /* of memory, with the name */
    UT_hash_handle hh;
    char queue[];
};

struct rabbitmq_leaders {
    struct queue_leader *by_queue;
    int64_t believed_from_ms; /* what is seen for the first time */
    int64_t drop_ms;
    size_t bytes; /* of all */
};

struct rabbitmq_leaders *rabbitmq_leaders_new(bool reconnects, int64_t now_ms)
{
    struct rabbitmq_leaders *leaders = memory_new(sizeof(*leaders));
    leaders->believed_from_ms = reconnects ? now_ms + COLLECT_MS + REPORT_MS : now_ms;
    return leaders;
}

static void drop(struct rabbitmq_leaders *leaders, struct queue_leader *leader)
{
    /* The analyzer takes two elements of the table for the same.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    HASH_DEL(leaders->by_queue, leader);
    leaders->bytes -= leader->bytes;
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

/* NULL: there are too many. */
static struct queue_leader *add(struct rabbitmq_leaders *leaders, const json_t *name,
                                int64_t now_ms)
{
    size_t length = json_string_length(name);
    size_t bytes = memory_heap_bytes(sizeof(struct queue_leader) + length);
    if (now_ms >= leaders->drop_ms) {
        drop_before(leaders, now_ms - KEPT_MS);
        leaders->drop_ms = now_ms + KEPT_MS;
    }
    if (leaders->bytes + bytes > MAX_BYTES)
        return NULL;
    leaders->bytes += bytes;
    struct queue_leader *leader = memory_new(sizeof(*leader) + length);
    leader->bytes = bytes;
    memcpy(leader->queue, json_string_value(name), length);
    /* As above.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
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
    if (leader == NULL) {
        if ((leader = add(leaders, name, now_ms)) == NULL)
            return false;
        leader->node = hash;
        leader->settled_ms = leaders->believed_from_ms;
    } else if (leader->node != hash) {
        leader->settled_ms = now_ms + COLLECT_MS + (leader->node == 0 ? 0 : REPORT_MS);
        leader->node = hash;
    }
    if (source == RABBITMQ_SOURCE_TOTALS && leader->settled_ms > now_ms + COLLECT_MS)
        leader->settled_ms = now_ms + COLLECT_MS;
    leader->seen_ms = now_ms;
    return now_ms >= leader->settled_ms;
}

/* It has no leader, or one that has not reported. */
static void note_none(struct rabbitmq_leaders *leaders, const json_t *name, int64_t now_ms)
{
    struct queue_leader *leader = find(leaders, name);
    if (leader == NULL && (leader = add(leaders, name, now_ms)) == NULL)
        return;
    leader->node = 0;
    leader->seen_ms = now_ms;
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
    if (!totals) /* a 0 of the totals implies nothing */
        note_none(leaders, name, now_ms);
    return !is_zero;
}
