#include "rabbitmq/management/listing.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { MAX_QUEUE_BYTES = 64 * 1024 }; /* of a tree; usually 2 KB */

static int compare(const void *left, const void *right)
{
    const struct rabbitmq_lookup *const *one = left;
    const struct rabbitmq_lookup *const *other = right;
    return strcmp((*one)->query->queue_name, (*other)->query->queue_name);
}

/* The lookups by name; the caller frees the array. */
static struct rabbitmq_lookup **sort(struct rabbitmq_lookup *lookups, size_t *ret_count)
{
    struct rabbitmq_lookup *lookup;
    size_t count = 0;
    DL_FOREACH(lookups, lookup)
        count++;
    struct rabbitmq_lookup **sorted = memory_array(count + 1, sizeof(struct rabbitmq_lookup *));
    *ret_count = 0;
    DL_FOREACH(lookups, lookup)
        sorted[(*ret_count)++] = lookup;
    qsort(sorted, count, sizeof(struct rabbitmq_lookup *), compare);
    return sorted;
}

/* Notes the queue in its lookups. A name with a NUL, which RabbitMQ allows, is no trigger's. */
static void find(struct rabbitmq_lookup **sorted, size_t count, const struct rabbitmq_vhost *vhost,
                 const json_t *queue)
{
    const json_t *name = json_object_get(queue, "name");
    const struct rabbitmq_query query = {.queue_name = json_string_value(name)};
    const struct rabbitmq_lookup key = {.query = &query}, *key_pointer = &key;
    if (query.queue_name == NULL || strlen(query.queue_name) != json_string_length(name))
        return;
    struct rabbitmq_lookup **found = bsearch(&key_pointer, sorted, count, sizeof(*sorted), compare);
    while (found != NULL && found > sorted && compare(found - 1, &key_pointer) == 0)
        found--;
    for (; found != NULL && found < sorted + count && compare(found, &key_pointer) == 0; found++)
        if ((*found)->listed == RABBITMQ_UNLISTED)
            rabbitmq_lookup_note_listed(*found, vhost, queue);
}

struct summary {
    size_t queues;
    size_t unreadable; /* of them */
    bool is_counted;   /* one of them is */
};

/* One queue of the list at a time is a tree. */
static bool find_all(struct rabbitmq_lookup **sorted, size_t count, struct json_text queues,
                     const struct rabbitmq_vhost *vhost, struct summary *ret_summary)
{
    struct json_walk walk;
    struct json_text unused;
    struct json_text text;
    *ret_summary = (struct summary){0};
    json_walk_begin(&walk, queues);
    while (json_walk_next(&walk, &unused, &text)) {
        json_t *queue = json_text_tree(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, MAX_QUEUE_BYTES);
        find(sorted, count, vhost, queue);
        ret_summary->queues++;
        ret_summary->unreadable += queue == NULL;
        ret_summary->is_counted |= json_object_get(queue, "messages_ready") != NULL;
        json_decref(queue);
    }
    return !walk.is_broken;
}

/* All are found before the first is taken: with its task, a lookup loses its query, by whose name
 * it is found. */
bool rabbitmq_listing_take(struct rabbitmq_listing *listing, struct json_text queues,
                           const struct rabbitmq_vhost *vhost,
                           struct rabbitmq_preference *preference)
{
    size_t count;
    struct summary listed;
    _cleanup_(memory_free) struct rabbitmq_lookup **sorted = sort(listing->lookups, &count);
    int64_t now_ms = clock_now_ms();
    bool totals = listing->source == RABBITMQ_SOURCE_TOTALS;
    bool complete = true;
    for (size_t i = 0; i < count; i++)
        sorted[i]->listed = RABBITMQ_UNLISTED;
    if (!find_all(sorted, count, queues, vhost, &listed))
        return false;
    enum rabbitmq_doubt doubt =
        rabbitmq_preference_note_answer(preference, listing->source, listing->sent_ms, now_ms);
    bool is_cut = doubt == RABBITMQ_CUT;
    if (!is_cut || listed.queues > preference->queues) /* there are at least so many */
        rabbitmq_preference_note_size(preference, listed.queues, now_ms);
    if (totals && listed.is_counted)
        rabbitmq_preference_note_counted(preference, now_ms);
    for (size_t i = 0; i < count; i++) {
        bool may_be_unreadable = sorted[i]->listed == RABBITMQ_UNLISTED && listed.unreadable > 0;
        if (may_be_unreadable) {
            rabbitmq_lookup_use_statistics(sorted[i]);
            sorted[i]->is_single = true;
            continue;
        }
        enum rabbitmq_lookup_result result = rabbitmq_lookup_take_listed(sorted[i], vhost, doubt);
        if (result == RABBITMQ_LOOKUP_LACKING) {
            rabbitmq_lookup_use_statistics(sorted[i]);
            complete = false;
            continue;
        }
        if (result == RABBITMQ_LOOKUP_UNCOUNTED)
            rabbitmq_preference_note_uncounted(preference, now_ms);
        rabbitmq_lookup_drop(sorted[i]);
    }
    if (totals && !complete && !is_cut)
        rabbitmq_preference_note_lacking(preference, now_ms);
    return true;
}
