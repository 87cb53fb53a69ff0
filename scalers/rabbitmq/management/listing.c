#include "rabbitmq/management/listing.h"

#include "base/clock.h"
#include "base/memory.h"
#include "rabbitmq/management/pattern.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

enum {
    MAX_QUEUE_BYTES = 64 * 1024, /* of a tree; usually 2 KB */
    MAX_MATCH_MS = 2000, /* of CPU time for the patterns: 64 usual ones over 9,000 queues take 90 */
};

/* Of this thread. */
static int64_t cpu_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static int compare(const void *left, const void *right)
{
    const struct rabbitmq_lookup *const *one = left;
    const struct rabbitmq_lookup *const *other = right;
    int kind = (*one)->query->use_regex - (*other)->query->use_regex;
    return kind != 0 ? kind : strcmp((*one)->query->queue_name, (*other)->query->queue_name);
}

/* The lookups of single queues by name, and then those of patterns; the caller frees the array. */
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
    if (strlen(query.queue_name) != json_string_length(name))
        return;
    struct rabbitmq_lookup **found = bsearch(&key_pointer, sorted, count, sizeof(*sorted), compare);
    while (found != NULL && found > sorted && compare(found - 1, &key_pointer) == 0)
        found--;
    for (; found != NULL && found < sorted + count && compare(found, &key_pointer) == 0; found++)
        if ((*found)->listed == RABBITMQ_UNLISTED)
            rabbitmq_lookup_note_listed(*found, vhost, queue);
}

static void match(struct rabbitmq_lookup **patterns, size_t count, struct rabbitmq_matcher *matcher,
                  const struct rabbitmq_vhost *vhost, const json_t *queue, int64_t until_ms)
{
    bool is_late = count > 0 && cpu_ms() >= until_ms;
    for (size_t i = 0; i < count; i++)
        if (is_late)
            rabbitmq_lookup_stop_matching(patterns[i]);
        else
            rabbitmq_lookup_match(patterns[i], matcher, vhost, queue);
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
    size_t names = 0;
    *ret_summary = (struct summary){0};
    while (names < count && !sorted[names]->query->use_regex)
        names++;
    _cleanup_(rabbitmq_matcher_free) struct rabbitmq_matcher *matcher = rabbitmq_matcher_new();
    int64_t until_ms = cpu_ms() + MAX_MATCH_MS;
    json_walk_begin(&walk, queues);
    while (json_walk_next(&walk, &unused, &text)) {
        json_t *queue = json_text_tree(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, MAX_QUEUE_BYTES);
        bool has_name = json_is_string(json_object_get(queue, "name"));
        if (has_name) {
            find(sorted, names, vhost, queue);
            match(sorted + names, count - names, matcher, vhost, queue, until_ms);
        }
        ret_summary->queues++;
        ret_summary->unreadable += !has_name;
        ret_summary->is_counted |= json_object_get(queue, "messages_ready") != NULL;
        json_decref(queue);
    }
    return !walk.is_broken;
}

/* What becomes of a lookup. False: it needs a request of its own, as a queue that may be its was
 * not understood. */
static bool is_understood(const struct rabbitmq_lookup *lookup, const struct summary *listed)
{
    return listed->unreadable == 0 ||
           (!lookup->query->use_regex && lookup->listed != RABBITMQ_UNLISTED);
}

static enum rabbitmq_lookup_result
take(struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost, enum rabbitmq_doubt doubt)
{
    return lookup->query->use_regex ? rabbitmq_lookup_take_matched(lookup, vhost, doubt)
                                    : rabbitmq_lookup_take_listed(lookup, vhost, doubt);
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
    for (size_t i = 0; i < count; i++) {
        sorted[i]->listed = RABBITMQ_UNLISTED;
        if (sorted[i]->query->use_regex)
            rabbitmq_lookup_begin_listing(sorted[i]);
    }
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
        struct rabbitmq_lookup *lookup = sorted[i];
        if (!is_understood(lookup, &listed)) {
            rabbitmq_lookup_use_statistics(lookup);
            lookup->is_single = lookup->has_pages = true;
            continue;
        }
        bool lacks_count = !lookup->query->use_regex || lookup->uncounted != NULL;
        enum rabbitmq_lookup_result result = take(lookup, vhost, doubt);
        if (result == RABBITMQ_LOOKUP_LACKING) {
            rabbitmq_lookup_use_statistics(lookup);
            complete &= !lacks_count;
        } else if (result != RABBITMQ_LOOKUP_NEXT) {
            if (result == RABBITMQ_LOOKUP_UNCOUNTED)
                rabbitmq_preference_note_uncounted(preference, now_ms);
            rabbitmq_lookup_drop(lookup);
        }
    }
    if (totals && !complete && !is_cut)
        rabbitmq_preference_note_lacking(preference, now_ms);
    return true;
}
