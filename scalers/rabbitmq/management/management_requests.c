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

/* Whether a listing of this source answers it. */
static bool is_listed_by(const struct rabbitmq_lookup *lookup, enum rabbitmq_source source)
{
    return !lookup->query->use_regex && !lookup->is_single && lookup->source == source;
}

static void request_listing(struct rabbitmq_management *client, enum rabbitmq_source source)
{
    struct rabbitmq_listing *listing = &client->listings[source];
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    int64_t last_ms = 0;
    DL_FOREACH_SAFE(client->waiting, lookup, next) {
        if (!is_listed_by(lookup, source))
            continue;
        note_sent(lookup);
        rabbitmq_lookup_move(lookup, &listing->lookups);
        if (rabbitmq_management_deadline_ms(client, lookup) > last_ms)
            last_ms = rabbitmq_management_deadline_ms(client, lookup);
    }
    listing->sent_ms = clock_now_ms();
    int64_t deadline_ms =
        source == RABBITMQ_SOURCE_TOTALS ? listing->sent_ms + totals_ms(client) : last_ms;
    _cleanup_(memory_free) char *path = rabbitmq_lookup_listing_path(&client->vhost, source);
    listing->is_in_flight = true;
    rabbitmq_http_get(client->http, path, listing, deadline_ms);
}

static size_t count_listed_by(const struct rabbitmq_management *client, enum rabbitmq_source source)
{
    const struct rabbitmq_lookup *lookup;
    size_t count = 0;
    DL_FOREACH(client->waiting, lookup)
        count += is_listed_by(lookup, source);
    return count;
}

static void choose_totals(struct rabbitmq_management *client)
{
    size_t count = count_listed_by(client, RABBITMQ_SOURCE_TOTALS);
    if (count == 0)
        return;
    if (rabbitmq_preference_lists_totals(&client->preference, count, clock_now_ms())) {
        if (!client->listings[RABBITMQ_SOURCE_TOTALS].is_in_flight &&
            rabbitmq_http_has_capacity(client->http))
            request_listing(client, RABBITMQ_SOURCE_TOTALS);
        return;
    }
    struct rabbitmq_lookup *lookup;
    DL_FOREACH(client->waiting, lookup)
        if (is_listed_by(lookup, RABBITMQ_SOURCE_TOTALS))
            rabbitmq_lookup_use_statistics(lookup);
}

/* Where they are listed, a few are requested one by one as well: the listing may take too long. */
static void choose_statistics(struct rabbitmq_management *client)
{
    size_t count = count_listed_by(client, RABBITMQ_SOURCE_STATISTICS);
    bool listed = rabbitmq_preference_lists_statistics(&client->preference, count, clock_now_ms());
    bool in_flight = client->listings[RABBITMQ_SOURCE_STATISTICS].is_in_flight;
    if (listed && (in_flight || !rabbitmq_http_has_capacity(client->http)))
        return; /* by the next listing */
    size_t singles = listed ? RABBITMQ_MAX_GETS : count;
    struct rabbitmq_lookup *lookup;
    DL_FOREACH(client->waiting, lookup) {
        if (singles == 0)
            break;
        if (!is_listed_by(lookup, RABBITMQ_SOURCE_STATISTICS))
            continue;
        lookup->is_single = true;
        singles--;
    }
    if (listed)
        request_listing(client, RABBITMQ_SOURCE_STATISTICS);
}

void rabbitmq_management_request(struct rabbitmq_management *client)
{
    choose_totals(client);
    choose_statistics(client);
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(client->waiting, lookup, next) {
        if (!rabbitmq_http_has_capacity(client->http))
            return;
        if (lookup->query->use_regex || lookup->is_single)
            request_one(client, lookup);
    }
}
