#include "rabbitmq/listing.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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

/* Notes the queue in its lookups. */
static void find(struct rabbitmq_lookup **sorted, size_t count, const json_t *queue)
{
    const struct rabbitmq_query query = {.queue_name =
                                             json_string_value(json_object_get(queue, "name"))};
    const struct rabbitmq_lookup key = {.query = &query}, *key_pointer = &key;
    if (query.queue_name == NULL)
        return;
    struct rabbitmq_lookup **found = bsearch(&key_pointer, sorted, count, sizeof(*sorted), compare);
    while (found != NULL && found > sorted && compare(found - 1, &key_pointer) == 0)
        found--;
    for (; found != NULL && found < sorted + count && compare(found, &key_pointer) == 0; found++)
        if ((*found)->listed == NULL)
            (*found)->listed = queue;
}

static enum rabbitmq_lookup_result take(struct rabbitmq_lookup *lookup,
                                        const struct rabbitmq_vhost *vhost)
{
    if (lookup->listed != NULL)
        return rabbitmq_lookup_take_queue(lookup, vhost, lookup->listed);
    rabbitmq_lookup_fail_missing(lookup, vhost);
    return RABBITMQ_ENDED;
}

/* All are found before the first is taken: with its task, a lookup loses its query, by whose name it is found. */
void rabbitmq_listing_take(struct rabbitmq_listing *listing, const json_t *queues,
                           const struct rabbitmq_vhost *vhost,
                           struct rabbitmq_preference *preference)
{
    size_t count;
    _cleanup_(memory_free) struct rabbitmq_lookup **sorted = sort(listing->lookups, &count);
    int64_t now_ms = clock_now_ms();
    bool totals = listing->source == RABBITMQ_TOTALS;
    bool complete = true;
    size_t i;
    const json_t *queue;
    rabbitmq_preference_note_size(preference, json_array_size(queues), now_ms);
    json_array_foreach(queues, i, queue)
    {
        find(sorted, count, queue);
        if (totals && json_object_get(queue, "messages_ready") != NULL)
            rabbitmq_preference_note_counted(preference, now_ms);
    }
    for (i = 0; i < count; i++) {
        if (take(sorted[i], vhost) == RABBITMQ_ENDED) {
            rabbitmq_lookup_drop(sorted[i]);
            continue;
        }
        rabbitmq_lookup_use_statistics(sorted[i]);
        sorted[i]->listed = NULL;
        complete = false;
    }
    if (totals && !complete)
        rabbitmq_preference_note_lacking(preference, now_ms);
}
