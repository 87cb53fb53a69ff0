#include "rabbitmq/management/management_internal.h"

#include "base/clock.h"
#include "base/memory.h"

#include <utlist.h>

/* The most that totals may take of a task's time: they hang where a queue does. */
enum {
    TOTALS_MS = 2000,  /* one that was cut short takes half of it */
    QUEUES_PER_MS = 5, /* that a busy broker lists; a quiet one 13 to 28 */
};

enum { MAX_PATTERNS = 64 }; /* of a listing: each may take 64 KiB while it is matched */

int64_t rabbitmq_management_deadline_ms(const struct rabbitmq_management *client,
                                        const struct rabbitmq_lookup *lookup)
{
    return lookup->sent_ms + client->timeout_ms;
}

/* Totals in a part of the time, so that statistics have the rest where totals hang. */
static int64_t totals_ms(const struct rabbitmq_management *client)
{
    int64_t part_ms = client->timeout_ms * 3 / 5;
    size_t queues = client->preference.queues > 0 ? client->preference.queues : client->queues;
    int64_t needed_ms = TOTALS_MS + (int64_t)(queues / QUEUES_PER_MS);
    return part_ms < needed_ms ? part_ms : needed_ms;
}

/* The task's time begins with its first request. */
static void note_sent(struct rabbitmq_lookup *lookup)
{
    lookup->request_ms = clock_now_ms();
    if (lookup->sent_ms != 0)
        return;
    lookup->sent_ms = lookup->request_ms;
    if (lookup->sent_ms > lookup->taken_ms)
        task_started(lookup->task);
}

static void request_one(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    note_sent(lookup);
    _cleanup_(memory_free) char *path = rabbitmq_lookup_path(lookup, &client->vhost);
    int64_t deadline_ms = lookup->source == RABBITMQ_SOURCE_TOTALS
                              ? lookup->sent_ms + totals_ms(client)
                              : rabbitmq_management_deadline_ms(client, lookup);
    rabbitmq_lookup_move(lookup, &client->requested);
    rabbitmq_http_get(client->http, path, RABBITMQ_HTTP_REPLY_BYTES, lookup, deadline_ms);
}

/* What has begun comes first: few patterns have names of new queues in memory then. */
void rabbitmq_management_wait(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    struct rabbitmq_listing *listing = &client->listings[lookup->source];
    bool is_listed = rabbitmq_lookup_is_listable(lookup);
    rabbitmq_lookup_move(lookup, is_listed ? &listing->waiting : &client->waiting);
    listing->waiting_count += is_listed;
    listing->waiting_patterns += is_listed && lookup->query->use_regex;
    if (!is_listed && lookup->alone_count > 0) {
        DL_DELETE(client->waiting, lookup);
        DL_PREPEND(client->waiting, lookup);
    }
}

static void stop_waiting(struct rabbitmq_listing *listing, const struct rabbitmq_lookup *lookup)
{
    listing->waiting_count--;
    listing->waiting_patterns -= lookup->query->use_regex;
}

static void request_alone(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    stop_waiting(&client->listings[lookup->source], lookup);
    lookup->is_single = true;
    rabbitmq_management_wait(client, lookup);
}

static void request_statistics(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    stop_waiting(&client->listings[lookup->source], lookup);
    rabbitmq_lookup_use_statistics(lookup);
    rabbitmq_management_wait(client, lookup);
}

static void request_listing(struct rabbitmq_management *client, struct rabbitmq_listing *listing)
{
    int64_t last_ms = 0;
    size_t patterns = 0;
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    listing->next_ms = CLOCK_NEVER;
    DL_FOREACH_SAFE(listing->waiting, lookup, next) {
        if (lookup->query->use_regex && patterns++ >= MAX_PATTERNS)
            continue; /* by the next one */
        note_sent(lookup);
        stop_waiting(listing, lookup);
        rabbitmq_lookup_move(lookup, &listing->lookups);
        int64_t deadline_ms = rabbitmq_management_deadline_ms(client, lookup);
        listing->next_ms = clock_earlier(listing->next_ms, deadline_ms);
        if (deadline_ms > last_ms)
            last_ms = deadline_ms;
    }
    listing->sent_ms = clock_now_ms();
    int64_t deadline_ms =
        listing->source == RABBITMQ_SOURCE_TOTALS ? listing->sent_ms + totals_ms(client) : last_ms;
    _cleanup_(memory_free) char *path =
        rabbitmq_lookup_listing_path(&client->vhost, listing->source);
    listing->is_in_flight = true;
    rabbitmq_http_get(client->http, path, RABBITMQ_HTTP_LISTING_BYTES, listing, deadline_ms);
}

/* Whether to list the patterns that wait, beside so many queues that are listed. */
static bool lists_patterns(const struct rabbitmq_management *client,
                           const struct rabbitmq_listing *listing, size_t queues)
{
    bool has_pages = false;
    const struct rabbitmq_lookup *lookup;
    if (listing->waiting_patterns == 0)
        return false;
    DL_FOREACH(listing->waiting, lookup)
        has_pages |= lookup->has_pages;
    return rabbitmq_preference_lists_patterns(&client->preference, listing->source,
                                              listing->waiting_patterns, queues, has_pages,
                                              clock_now_ms());
}

static void choose_totals(struct rabbitmq_management *client)
{
    struct rabbitmq_listing *listing = &client->listings[RABBITMQ_SOURCE_TOTALS];
    const struct rabbitmq_preference *preference = &client->preference;
    size_t queues = listing->waiting_count - listing->waiting_patterns;
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    int64_t now_ms = clock_now_ms();
    if (listing->waiting == NULL)
        return;
    bool lists_queues = queues > 0 && rabbitmq_preference_lists_totals(preference, queues, now_ms);
    bool lists_all = lists_patterns(client, listing, lists_queues ? queues : 0);
    DL_FOREACH_SAFE(listing->waiting, lookup, next) {
        bool is_pattern = lookup->query->use_regex;
        if (is_pattern && !lists_all && !lookup->has_pages)
            request_alone(client, lookup);
        else if (!lists_all && (is_pattern || !lists_queues))
            request_statistics(client, lookup);
    }
    if (listing->waiting != NULL && !listing->is_in_flight &&
        rabbitmq_http_has_capacity(client->http))
        request_listing(client, listing);
}

/* Where they are listed, a few are requested one by one as well: the listing may take too long. */
static void choose_statistics(struct rabbitmq_management *client)
{
    struct rabbitmq_listing *listing = &client->listings[RABBITMQ_SOURCE_STATISTICS];
    const struct rabbitmq_preference *preference = &client->preference;
    size_t queues = listing->waiting_count - listing->waiting_patterns;
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    int64_t now_ms = clock_now_ms();
    bool lists_all = lists_patterns(client, listing, queues);
    bool listed = lists_all || rabbitmq_preference_lists_statistics(preference, queues, now_ms);
    if (listed && (listing->is_in_flight || !rabbitmq_http_has_capacity(client->http)))
        return; /* by the next listing */
    size_t singles = listed ? RABBITMQ_MAX_GETS : queues;
    DL_FOREACH_SAFE(listing->waiting, lookup, next) {
        bool is_pattern = lookup->query->use_regex;
        if (is_pattern ? !lists_all : singles > 0) {
            singles -= !is_pattern;
            request_alone(client, lookup);
        }
    }
    if (listing->waiting != NULL)
        request_listing(client, listing);
}

void rabbitmq_management_request(struct rabbitmq_management *client)
{
    choose_totals(client);
    choose_statistics(client);
    while (client->waiting != NULL && rabbitmq_http_has_capacity(client->http))
        request_one(client, client->waiting);
}
