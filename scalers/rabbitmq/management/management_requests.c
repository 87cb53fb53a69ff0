#include "rabbitmq/management/management_internal.h"

#include "base/clock.h"
#include "base/memory.h"

#include <utlist.h>

/* The most that totals may take of a task's time: they hang where a queue does. */
enum {
    TOTALS_MS = 2000,  /* one that was cut short takes half of it */
    QUEUES_PER_MS = 5, /* that a busy broker lists; a quiet one 13 to 28 */
};

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
    rabbitmq_http_get(client->http, path, lookup, deadline_ms);
}

void rabbitmq_management_wait(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    struct rabbitmq_listing *listing = &client->listings[lookup->source];
    bool is_listed = !lookup->query->use_regex && !lookup->is_single;
    rabbitmq_lookup_move(lookup, is_listed ? &listing->waiting : &client->waiting);
    listing->waiting_count += is_listed;
}

static void request_listing(struct rabbitmq_management *client, struct rabbitmq_listing *listing)
{
    int64_t last_ms = 0;
    listing->next_ms = CLOCK_NEVER;
    while (listing->waiting != NULL) {
        struct rabbitmq_lookup *lookup = listing->waiting;
        note_sent(lookup);
        rabbitmq_lookup_move(lookup, &listing->lookups);
        int64_t deadline_ms = rabbitmq_management_deadline_ms(client, lookup);
        listing->next_ms = clock_earlier(listing->next_ms, deadline_ms);
        if (deadline_ms > last_ms)
            last_ms = deadline_ms;
    }
    listing->waiting_count = 0;
    listing->sent_ms = clock_now_ms();
    int64_t deadline_ms =
        listing->source == RABBITMQ_SOURCE_TOTALS ? listing->sent_ms + totals_ms(client) : last_ms;
    _cleanup_(memory_free) char *path =
        rabbitmq_lookup_listing_path(&client->vhost, listing->source);
    listing->is_in_flight = true;
    rabbitmq_http_get(client->http, path, listing, deadline_ms);
}

static void choose_totals(struct rabbitmq_management *client)
{
    struct rabbitmq_listing *listing = &client->listings[RABBITMQ_SOURCE_TOTALS];
    size_t count = listing->waiting_count;
    if (count == 0)
        return;
    if (rabbitmq_preference_lists_totals(&client->preference, count, clock_now_ms())) {
        if (!listing->is_in_flight && rabbitmq_http_has_capacity(client->http))
            request_listing(client, listing);
        return;
    }
    while (listing->waiting != NULL) {
        rabbitmq_lookup_use_statistics(listing->waiting);
        rabbitmq_management_wait(client, listing->waiting);
    }
    listing->waiting_count = 0;
}

/* Where they are listed, a few are requested one by one as well: the listing may take too long. */
static void choose_statistics(struct rabbitmq_management *client)
{
    struct rabbitmq_listing *listing = &client->listings[RABBITMQ_SOURCE_STATISTICS];
    size_t count = listing->waiting_count;
    bool listed = rabbitmq_preference_lists_statistics(&client->preference, count, clock_now_ms());
    if (listed && (listing->is_in_flight || !rabbitmq_http_has_capacity(client->http)))
        return; /* by the next listing */
    size_t singles = listed ? RABBITMQ_MAX_GETS : count;
    for (; singles > 0 && listing->waiting != NULL; singles--) {
        listing->waiting->is_single = true;
        listing->waiting_count--;
        rabbitmq_management_wait(client, listing->waiting);
    }
    if (listed)
        request_listing(client, listing);
}

void rabbitmq_management_request(struct rabbitmq_management *client)
{
    choose_totals(client);
    choose_statistics(client);
    while (client->waiting != NULL && rabbitmq_http_has_capacity(client->http))
        request_one(client, client->waiting);
}
