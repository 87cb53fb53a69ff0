#include "metadata.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "selection.h"

#include <string.h>

/*
 * A source that is idle and watched is measured several times a second. New partitions and leaders may
 * wait a little longer, as one request asks for all topics of the client.
 */
enum { FRESH_MS = 2000 };

/* For the one measurement that a message hastens, what is known may be older: it is right for that one. */
enum { CONFIRMED_MS = 100, CONFIRMED_FRESH_MS = 30 * 1000 };

/* A topic that nobody measures any more; above the slowest interval of a probe that is asked for apart. */
enum { FORGET_MS = 10 * 60 * 1000 };

/*
 * librdkafka never lets go of a topic once it has partitions, destroyed or not, and asks for all it has
 * with every request: a handle that has many more than are used is to be replaced.
 */
enum { SPARE_TOPICS = 100 };

/* The broker that is asked first may hang: leave time to ask another one. */
enum { TRIES = 2 };

static void forget(struct kafka_client *client, struct known_topic *topic)
{
    HASH_DEL(client->topics, topic);
    rd_kafka_topic_destroy(topic->handle);
    free(topic->leaders);
    free(topic->name);
    free(topic);
}

void topics_forget(struct kafka_client *client)
{
    struct known_topic *topic;
    struct known_topic *next;
    HASH_ITER(hh, client->topics, topic, next)
    forget(client, topic);
}

struct known_topic *topic_use(struct kafka_client *client, const char *name)
{
    struct known_topic *topic;
    HASH_FIND_STR(client->topics, name, topic);
    if (topic == NULL) {
        rd_kafka_topic_t *handle = rd_kafka_topic_new(client->rk, name, NULL);
        if (handle == NULL)
            return NULL;
        topic = memory_new(sizeof(*topic));
        topic->name = text_copy(name);
        topic->handle = handle;
        HASH_ADD_KEYPTR(hh, client->topics, topic->name, strlen(topic->name), topic);
    }
    topic->used_ms = clock_now_ms();
    return topic;
}

static void pattern_forget(struct kafka_client *client, struct known_pattern *pattern)
{
    HASH_DEL(client->patterns, pattern);
    regfree(&pattern->regex);
    free(pattern->topics);
    free(pattern->text);
    free(pattern);
}

void patterns_forget(struct kafka_client *client)
{
    struct known_pattern *pattern;
    struct known_pattern *next;
    HASH_ITER(hh, client->patterns, pattern, next)
    pattern_forget(client, pattern);
}

struct known_pattern *pattern_use(struct kafka_client *client, const char *text)
{
    struct known_pattern *pattern;
    HASH_FIND_STR(client->patterns, text, pattern);
    if (pattern == NULL) {
        _cleanup_(error_done) struct error told_already = {0};
        pattern = memory_new(sizeof(*pattern));
        if (!selection_compile(text, &pattern->regex, &told_already)) {
            free(pattern);
            return NULL;
        }
        pattern->text = text_copy(text);
        HASH_ADD_KEYPTR(hh, client->patterns, pattern->text, strlen(pattern->text), pattern);
    }
    pattern->used_ms = clock_now_ms();
    return pattern;
}

void topic_doubt(struct known_topic *topic)
{
    topic->heard_ms = 0;
}

void topic_confirm(struct kafka_client *client, const char *name)
{
    struct known_topic *topic;
    HASH_FIND_STR(client->topics, name, topic);
    if (topic != NULL)
        topic->confirmed_ms = clock_now_ms();
}

static bool is_fresh(const struct known_topic *topic, int64_t now_ms)
{
    bool is_confirmed = now_ms - topic->confirmed_ms <= CONFIRMED_MS;
    int64_t fresh_ms = is_confirmed ? CONFIRMED_FRESH_MS : FRESH_MS;
    return topic->heard_ms > 0 && now_ms - topic->heard_ms <= fresh_ms;
}

bool topic_is_fresh(const struct known_topic *topic)
{
    return is_fresh(topic, clock_now_ms());
}

int32_t topic_leader(const struct known_topic *topic, int32_t partition)
{
    return partition < topic->partitions ? topic->leaders[partition] : -1;
}

/*
 * Forgets what is not used, and says whether all that this measurement uses is known well enough, and
 * whether a pattern is among it. The patterns go first: they point to topics, which were used with them.
 */
static bool look_around(struct kafka_client *client, int64_t now_ms, bool *ret_patterns)
{
    bool fresh = true;
    struct known_pattern *pattern;
    struct known_pattern *next_pattern;
    *ret_patterns = false;
    HASH_ITER(hh, client->patterns, pattern, next_pattern)
    {
        if (now_ms - pattern->used_ms > FORGET_MS)
            pattern_forget(client, pattern);
        else if (pattern->used_ms >= client->batch_ms) {
            *ret_patterns = true;
            fresh = fresh && now_ms - pattern->heard_ms <= FRESH_MS;
        }
    }
    struct known_topic *topic;
    struct known_topic *next;
    HASH_ITER(hh, client->topics, topic, next)
    {
        if (now_ms - topic->used_ms > FORGET_MS)
            forget(client, topic);
        else if (topic->used_ms >= client->batch_ms)
            fresh = fresh && is_fresh(topic, now_ms);
    }
    return fresh;
}

static void hear(struct known_topic *topic, const rd_kafka_metadata_topic_t *told, int64_t now_ms)
{
    topic->heard_ms = now_ms;
    topic->error = told->err;
    topic->partitions = told->partition_cnt;
    free(topic->leaders);
    topic->leaders = memory_array((size_t)told->partition_cnt + 1, sizeof(*topic->leaders));
    for (int32_t i = 0; i < told->partition_cnt; i++)
        topic->leaders[i] = -1;
    /* Kafka numbers a topic's partitions from 0 on, and names them in any order. */
    for (int i = 0; i < told->partition_cnt; i++) {
        const rd_kafka_metadata_partition_t *partition = &told->partitions[i];
        if (partition->id >= 0 && partition->id < topic->partitions)
            topic->leaders[partition->id] = partition->leader;
    }
}

/* Kafka's own topics are no work; a consumer's pattern passes over them, too. */
static bool is_internal(const char *name)
{
    return text_equal(name, "__consumer_offsets") || text_equal(name, "__transaction_state");
}

static void pattern_match(struct kafka_client *client, struct known_pattern *pattern,
                          const char *name)
{
    if (is_internal(name) || regexec(&pattern->regex, name, 0, NULL, 0) != 0)
        return;
    if (pattern->count++ >= SELECTION_TOPICS_MOST)
        return;
    pattern->topics = memory_grow(pattern->topics, &pattern->capacity, pattern->count,
                                  sizeof(struct known_topic *));
    pattern->topics[pattern->count - 1] = topic_use(client, name);
}

static rd_kafka_resp_err_t ask(struct kafka_client *client, bool all, int64_t deadline_ms,
                               const rd_kafka_metadata_t **ret_metadata)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int tries = TRIES; tries > 0 && code != RD_KAFKA_RESP_ERR_NO_ERROR; tries--) {
        int left_ms = clock_left_ms(deadline_ms, INT32_MAX);
        if (left_ms == 0)
            break;
        code = rd_kafka_metadata(client->rk, all, NULL, ret_metadata, left_ms / tries);
    }
    return code;
}

static void hear_all(struct kafka_client *client, const rd_kafka_metadata_t *metadata, bool all,
                     int64_t now_ms)
{
    for (struct known_topic *topic = client->topics; topic != NULL; topic = topic->hh.next)
        topic_doubt(topic);
    for (struct known_pattern *pattern = all ? client->patterns : NULL; pattern != NULL;
         pattern = pattern->hh.next) {
        pattern->count = 0;
        pattern->heard_ms = now_ms;
        for (int i = 0; i < metadata->topic_cnt; i++)
            pattern_match(client, pattern, metadata->topics[i].topic);
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        struct known_topic *topic;
        HASH_FIND_STR(client->topics, metadata->topics[i].topic, topic);
        if (topic != NULL)
            hear(topic, &metadata->topics[i], now_ms);
    }
    if (!all)
        client->is_crowded =
            metadata->topic_cnt > 2 * (int)HASH_COUNT(client->topics) + SPARE_TOPICS;
}

bool topics_refresh(struct kafka_client *client, int64_t deadline_ms, struct error *error)
{
    /* With no topic at all the library would ask for all of the cluster, and create by the way. */
    bool all;
    int64_t now_ms = clock_now_ms();
    if (look_around(client, now_ms, &all) || (client->topics == NULL && !all))
        return true;

    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_resp_err_t code = ask(client, all, deadline_ms, &metadata);
    client_listen(client);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        _cleanup_(memory_free) char *what =
            text_format("no broker tells the partitions: %s", rd_kafka_err2str(code));
        return client_fail(client, error, what);
    }
    hear_all(client, metadata, all, now_ms);
    rd_kafka_metadata_destroy(metadata);
    error_done(&client->trouble);
    client->all_down_ms = 0;
    return true;
}
