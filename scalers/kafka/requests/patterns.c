#include "kafka/requests/patterns.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/selection.h"

#include <string.h>
#include <sys/param.h>

static void count_bytes(const struct kafka_patterns *patterns, double bytes)
{
    kafka_memory_add(&patterns->topics->client->memory, KAFKA_ACCOUNT_PATTERNS, bytes);
}

static void forget_pattern(struct kafka_patterns *patterns, struct kafka_pattern *pattern)
{
    /* The analyzer takes two elements of the table for the same.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    HASH_DEL(patterns->table, pattern);
    regex_free(&pattern->regex);
    count_bytes(patterns, -(double)(pattern->capacity * sizeof(struct kafka_topic *)));
    free(pattern->topics);
    free(pattern->text);
    free(pattern);
}

/* It has no topics until the next listing. */
static void forget_matches(struct kafka_pattern *pattern)
{
    pattern->received_ms = 0;
    pattern->count = pattern->partition_count = 0;
    pattern->lacks_room = pattern->has_no_memory = false;
}

/* Topics that match count as used when the listing comes. So a pattern whose listing is older than
 * KAFKA_FORGET_MS may point to topics that are forgotten now: it drops them first. */
void kafka_patterns_forget_old(struct kafka_patterns *patterns, int64_t now_ms)
{
    int64_t before_ms = now_ms - KAFKA_FORGET_MS;
    struct kafka_pattern *pattern;
    struct kafka_pattern *next;
    HASH_ITER(hh, patterns->table, pattern, next)
        if (pattern->used_ms < before_ms)
            forget_pattern(patterns, pattern);
        else if (pattern->received_ms < before_ms)
            forget_matches(pattern);
}

struct kafka_pattern *kafka_patterns_find(const struct kafka_patterns *patterns, const char *text)
{
    struct kafka_pattern *pattern;
    HASH_FIND_STR(patterns->table, text, pattern);
    return pattern;
}

struct kafka_pattern *kafka_patterns_for(struct kafka_patterns *patterns, const char *text,
                                         int64_t now_ms)
{
    struct kafka_pattern *pattern;
    HASH_FIND_STR(patterns->table, text, pattern);
    if (pattern == NULL) {
        _cleanup_(error_done) struct error reported_already = {0};
        pattern = memory_new(sizeof(*pattern));
        if (!regex_compile(text, &pattern->regex, &reported_already)) {
            free(pattern);
            return NULL;
        }
        pattern->text = text_copy(text);
        pattern->first_request = patterns->topics->next_number;
        pattern->max_partitions = patterns->topics->client->max_partitions;
        HASH_ADD_KEYPTR(hh, patterns->table, pattern->text, strlen(pattern->text), pattern);
    }
    pattern->used_ms = MAX(pattern->used_ms, now_ms);
    return pattern;
}

bool kafka_patterns_has_all_topics(const struct kafka_pattern *pattern)
{
    return pattern->count <= KAFKA_SELECTION_MAX_TOPICS &&
           pattern->partition_count <= pattern->max_partitions && !pattern->lacks_room;
}

bool kafka_patterns_awaits_room(const struct kafka_pattern *pattern)
{
    return pattern->lacks_room && pattern->is_outdated;
}

bool kafka_patterns_is_listed(const struct kafka_pattern *pattern, int64_t now_ms)
{
    return pattern->received_ms > 0 && !pattern->is_outdated &&
           now_ms - pattern->received_ms <= KAFKA_TOPICS_FRESH_MS;
}

/* Kafka's own topics. A consumer's pattern does not match them either. */
static bool is_internal(const char *name)
{
    return text_equal(name, "__consumer_offsets") || text_equal(name, "__transaction_state") ||
           text_equal(name, "__share_group_state");
}

size_t kafka_patterns_list_bytes(const struct kafka_pattern *pattern)
{
    return 2 * MIN(pattern->count, KAFKA_SELECTION_MAX_TOPICS) * sizeof(struct kafka_topic *);
}

/* False: there is no memory. */
static bool make_place(const struct kafka_patterns *patterns, struct kafka_pattern *pattern)
{
    const size_t before = pattern->capacity;
    if (pattern->count > before &&
        !kafka_memory_has_beside_topics(&patterns->topics->client->memory,
                                        (double)kafka_patterns_list_bytes(pattern)))
        return false;
    pattern->topics = memory_grow(pattern->topics, &pattern->capacity, pattern->count,
                                  sizeof(struct kafka_topic *));
    count_bytes(patterns, (double)((pattern->capacity - before) * sizeof(struct kafka_topic *)));
    return true;
}

/* Topics beyond the limits are counted, but not made (workaround 6). */
static void pattern_match(struct kafka_patterns *patterns, struct kafka_pattern *pattern,
                          const rd_kafka_metadata_topic_t *topic, int64_t now_ms)
{
    if (!regex_matches(pattern->regex, topic->topic))
        return;
    pattern->partition_count += (size_t)topic->partition_cnt;
    if (pattern->count++ >= KAFKA_SELECTION_MAX_TOPICS ||
        pattern->partition_count > pattern->max_partitions)
        return;
    if (pattern->has_no_memory || !make_place(patterns, pattern)) {
        pattern->has_no_memory = pattern->lacks_room = true;
        return;
    }
    struct kafka_topic *known = kafka_topics_for_listed(patterns->topics, topic, now_ms);
    pattern->topics[pattern->count - 1] = known;
    if (known == NULL && !kafka_handle_topics_has_room(&patterns->topics->in_handle, topic->topic,
                                                       (size_t)topic->partition_cnt)) {
        pattern->lacks_room = true;
        pattern->is_outdated = kafka_topics_await_sizes(patterns->topics);
    }
}

static bool is_answered_by(const struct kafka_pattern *pattern, uint64_t number)
{
    return pattern->first_request <= number;
}

/* A broker may name a topic twice (workaround 13): its messages would count twice. */
static void match_listed(struct kafka_patterns *patterns, uint64_t number,
                         const rd_kafka_metadata_topic_t *listed, int64_t now_ms)
{
    struct kafka_topic *topic = kafka_topics_find(patterns->topics, listed->topic);
    if (is_internal(listed->topic) || (topic != NULL && !kafka_topics_note_listed(topic, number)))
        return;
    for (struct kafka_pattern *pattern = patterns->table; pattern != NULL;
         pattern = pattern->hh.next)
        if (is_answered_by(pattern, number))
            pattern_match(patterns, pattern, listed, now_ms);
    if (topic == NULL && (topic = kafka_topics_find(patterns->topics, listed->topic)) != NULL)
        kafka_topics_note_listed(topic, number);
}

void kafka_patterns_take(struct kafka_patterns *patterns, uint64_t number,
                         const rd_kafka_metadata_t *listing, int64_t now_ms)
{
    for (struct kafka_pattern *pattern = patterns->table; pattern != NULL;
         pattern = pattern->hh.next)
        if (is_answered_by(pattern, number)) {
            forget_matches(pattern);
            pattern->is_outdated = false;
            pattern->received_ms = now_ms;
        }
    kafka_topics_count_listed(patterns->topics, number, listing);
    for (int i = 0; i < listing->topic_cnt; i++)
        match_listed(patterns, number, &listing->topics[i], now_ms);
}

/* The topic is not dropped here: if only that broker does not know it yet, its lag must count. So a
 * task whose pattern matched a topic that was deleted fails up to two times before the next listing
 * leaves the topic out: its offsets are not found, and then, requested by name, the topic itself.
 */
void kafka_patterns_outdate(struct kafka_patterns *patterns)
{
    for (struct kafka_pattern *pattern = patterns->table; pattern != NULL;
         pattern = pattern->hh.next)
        for (size_t i = 0; kafka_patterns_has_all_topics(pattern) && i < pattern->count; i++) {
            const struct kafka_topic *topic = pattern->topics[i];
            pattern->is_outdated =
                pattern->is_outdated || (topic != NULL && kafka_topics_is_gone_since_listed(topic));
        }
}
