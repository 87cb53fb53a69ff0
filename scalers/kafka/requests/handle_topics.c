#include "kafka/requests/handle_topics.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <string.h>
#include <sys/param.h>

/* The handle is renewed when it has more than twice the topics in use, and so many more. Example:
 * with 50 in use, when it has 201. */
enum { SPARE_TOPICS = 100 };

/* What a typical topic counts for: as long as fewer than two topics are known, and at least. */
enum { TYPICAL_FIRST = 50, TYPICAL_MIN = 4 };

static struct kafka_handle_topic *find(const struct kafka_handle_topics *topics, const char *name)
{
    struct kafka_handle_topic *topic;
    HASH_FIND_STR(topics->all, name, topic);
    return topic;
}

/* Without those that has_room() leaves memory for. */
static void note_memory(const struct kafka_handle_topics *topics)
{
    size_t counted = HASH_COUNT(topics->all) - topics->unsized;
    kafka_memory_note_partitions(topics->memory, topics->partitions + counted * KAFKA_MEMORY_TOPIC);
}

struct kafka_handle_topic *kafka_handle_topics_use(struct kafka_handle_topics *topics,
                                                   const char *name)
{
    struct kafka_handle_topic *topic = find(topics, name);
    if (topic == NULL) {
        topic = memory_new(sizeof(*topic));
        topic->name = text_copy(name);
        HASH_ADD_KEYPTR(hh, topics->all, topic->name, strlen(topic->name), topic);
    }
    topic->is_used = true;
    topics->used++;
    topics->unsized += !topic->is_sized;
    note_memory(topics);
    return topic;
}

static void count(struct kafka_handle_topics *topics, struct kafka_handle_topic *topic,
                  size_t partitions)
{
    topics->populated += topic->partitions == 0;
    topics->partitions += partitions - topic->partitions;
    topics->largest = MAX(topics->largest, partitions);
    topic->partitions = partitions;
}

void kafka_handle_topics_size(struct kafka_handle_topics *topics, struct kafka_handle_topic *topic,
                              size_t partitions)
{
    topics->unsized -= !topic->is_sized;
    topic->is_sized = true;
    topic->answered = partitions;
    if (partitions > topic->partitions)
        count(topics, topic, partitions);
    note_memory(topics);
}

void kafka_handle_topics_leave(struct kafka_handle_topics *topics, struct kafka_handle_topic *topic)
{
    topic->is_used = false;
    topics->used--;
    topics->unsized -= !topic->is_sized;
    note_memory(topics);
}

void kafka_handle_topics_renew(struct kafka_handle_topics *topics)
{
    struct kafka_handle_topic *topic;
    struct kafka_handle_topic *next;
    topics->populated = topics->partitions = topics->largest = 0;
    HASH_ITER(hh, topics->all, topic, next) {
        if (topic->is_used) {
            topic->partitions = 0;
            if (topic->answered > 0)
                count(topics, topic, topic->answered);
        } else {
            HASH_DEL(topics->all, topic);
            free(topic->name);
            free(topic);
        }
    }
    note_memory(topics);
}

/* The largest topic is left out: beside one of thousands of partitions the others may be small. */
static double typical_size(const struct kafka_handle_topics *topics)
{
    if (topics->populated < 2)
        return TYPICAL_FIRST;
    double partitions = (double)(topics->partitions - topics->largest);
    return fmax(TYPICAL_MIN, partitions / (double)(topics->populated - 1) + KAFKA_MEMORY_TOPIC);
}

static double unsized_size(const struct kafka_handle_topics *topics)
{
    return (double)topics->unsized * 2 * typical_size(topics);
}

/* The first topic has room in any case, or a limit below TYPICAL_FIRST would refuse all. */
bool kafka_handle_topics_has_room(const struct kafka_handle_topics *topics, const char *name,
                                  size_t partitions)
{
    if (topics->all == NULL || find(topics, name) != NULL)
        return true;
    double needed =
        partitions == 0 ? typical_size(topics) : (double)(partitions + KAFKA_MEMORY_TOPIC);
    return kafka_memory_room(topics->memory) - unsized_size(topics) >= needed;
}

size_t kafka_handle_topics_of_renewed(const struct kafka_handle_topics *topics)
{
    size_t size = (size_t)ceil(unsized_size(topics));
    for (const struct kafka_handle_topic *topic = topics->all; topic != NULL;
         topic = topic->hh.next)
        if (topic->is_used && topic->is_sized)
            size += topic->answered + KAFKA_MEMORY_TOPIC;
    return size;
}

bool kafka_handle_topics_has_too_many(const struct kafka_handle_topics *topics)
{
    return HASH_COUNT(topics->all) > 2 * topics->used + SPARE_TOPICS;
}
