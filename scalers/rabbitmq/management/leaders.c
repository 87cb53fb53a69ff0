#include "rabbitmq/management/leaders.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <uthash.h>

enum {
    COLLECT_MS = 6 * 1000,    /* a node collects what its queues report every 5 s */
    REPORT_MS = 5 * 1000,     /* a leader reports as often */
    KEPT_MS = 60 * 60 * 1000, /* after that a queue is gone, or measured by nobody */
};

/* Of a queue. */
struct leader {
    char *node;
    int64_t settled_ms; /* from then on zeros are believed */
    int64_t seen_ms;
    UT_hash_handle hh;
    char queue[];
};

struct rabbitmq_leaders {
    struct leader *by_queue;
    int64_t drop_ms;
};

struct rabbitmq_leaders *rabbitmq_leaders_new(void)
{
    return memory_new(sizeof(struct rabbitmq_leaders));
}

static void drop(struct rabbitmq_leaders *leaders, struct leader *leader)
{
    HASH_DEL(leaders->by_queue, leader);
    free(leader->node);
    free(leader);
}

/* Those that were not seen since then. */
static void drop_before(struct rabbitmq_leaders *leaders, int64_t seen_ms)
{
    struct leader *leader;
    struct leader *next;
    HASH_ITER(hh, leaders->by_queue, leader, next)
        if (leader->seen_ms < seen_ms)
            drop(leaders, leader);
}

void rabbitmq_leaders_free(struct rabbitmq_leaders *leaders)
{
    drop_before(leaders, INT64_MAX);
    free(leaders);
}

static struct leader *find(const struct rabbitmq_leaders *leaders, const json_t *name)
{
    struct leader *leader;
    HASH_FIND(hh, leaders->by_queue, json_string_value(name), json_string_length(name), leader);
    return leader;
}

static struct leader *add(struct rabbitmq_leaders *leaders, const json_t *name, int64_t now_ms)
{
    size_t length = json_string_length(name);
    struct leader *leader = memory_new(sizeof(*leader) + length);
    if (now_ms >= leaders->drop_ms) {
        drop_before(leaders, now_ms - KEPT_MS);
        leaders->drop_ms = now_ms + KEPT_MS;
    }
    memcpy(leader->queue, json_string_value(name), length);
    HASH_ADD(hh, leaders->by_queue, queue[0], length, leader);
    return leader;
}

/* A leader has reported. Where that is known from the statistics and it is another one than before,
 * it may still be the former one that did. Returns whether zeros are believed. */
static bool note(struct rabbitmq_leaders *leaders, enum rabbitmq_source source, const json_t *name,
                 const char *node, int64_t now_ms)
{
    struct leader *leader = find(leaders, name);
    bool is_first = leader == NULL;
    if (is_first)
        leader = add(leaders, name, now_ms);
    if (!text_equal(leader->node, node)) {
        free(leader->node);
        leader->node = text_copy(node);
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
    struct leader *leader = find(leaders, name);
    if (leader != NULL && !totals) /* a 0 of the totals implies nothing */
        drop(leaders, leader);
    return !is_zero;
}
