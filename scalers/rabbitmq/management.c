#include "rabbitmq/management.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/http.h"
#include "rabbitmq/lookup.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    TIMEOUT_MS = 10 * 1000, /* of a task; the option `timeout` overrides it */
    TOTALS_MS = 1200,       /* the most that totals may take of it: they hang where a queue does */
    SLOW_MS = 1000,         /* a request that takes longer while others wait is isolated */
    MAX_ISOLATED = 2,

    /* Totals of a vhost of this many queues are cheap; beyond, twenty queues cost as much as a GET. */
    CHEAP_QUEUES = 1000,
    QUEUES_PER_GET = 20,
    MAX_GETS = 20,           /* queues requested one by one where they may be listed, too */
    REST_MS = 60 * 1000,     /* after totals hung or lacked the counts */
    SIZE_MS = 5 * 60 * 1000, /* how long the size of the vhost is believed */
};

/* A listing of the vhost, which answers many lookups. */
struct listing {
    bool in_flight;
    struct rabbitmq_lookup *lookups;
};

struct rabbitmq_management {
    struct rabbitmq_http *http;
    struct rabbitmq_vhost vhost;
    int64_t timeout_ms;
    size_t queues; /* of the vhost when it was listed last; 0: not known */
    int64_t queues_until_ms;
    int64_t totals_rest_until_ms;
    int64_t totals_counted_ms;     /* the last time that totals had a count */
    int64_t listing_rest_until_ms; /* after it was too large */

    /* Of a measurement. Each lookup is in one of these lists. */
    struct rabbitmq_lookup *waiting;
    struct rabbitmq_lookup *requested; /* one by one, and pages */
    struct listing listings[RABBITMQ_SOURCES];
};

/* ---- connecting ---- */

static void release_client(struct rabbitmq_management **client)
{
    if (*client != NULL)
        rabbitmq_management_disconnect(*client);
}

/* Whether a broker that answers keeps rates: with statistics disabled, or with rates_mode none, it has
 * none for any queue. */
static bool get_overview(struct rabbitmq_management *client, int64_t deadline_ms,
                         struct error *error)
{
    _cleanup_(http_answer_done) struct http_answer answer = {0};
    int64_t timeout_ms = clock_now_ms() + client->timeout_ms;
    rabbitmq_http_get(client->http, "/api/overview?columns=rates_mode,disable_stats", NULL,
                      timeout_ms < deadline_ms ? timeout_ms : deadline_ms);
    rabbitmq_http_wait_one(client->http, &answer);
    if (answer.outcome != HTTP_GOT) {
        error_move(error, &answer.error);
        return false;
    }
    const char *mode = json_string_value(json_object_get(answer.json, "rates_mode"));
    client->vhost.keeps_rates = mode != NULL && !text_equal(mode, "none") &&
                                !json_is_true(json_object_get(answer.json, "disable_stats"));
    return true;
}

bool rabbitmq_management_connect(const struct rabbitmq_connection *options,
                                 const struct rabbitmq_url *url, int64_t deadline_ms,
                                 struct rabbitmq_management **ret_client, struct error *error)
{
    _cleanup_(release_client) struct rabbitmq_management *client = memory_new(sizeof(*client));
    _cleanup_(memory_free) char *vhost = rabbitmq_url_escaped(url->vhost);
    client->vhost.name = text_copy(url->vhost);
    client->vhost.path = text_format("/api/queues/%s", vhost);
    client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    client->http = rabbitmq_http_new(options, url);
    if (!rabbitmq_http_log_in(client->http, deadline_ms, error) ||
        !get_overview(client, deadline_ms, error))
        return false;
    *ret_client = TAKE(client);
    return true;
}

void rabbitmq_management_disconnect(struct rabbitmq_management *client)
{
    rabbitmq_http_free(client->http);
    free(client->vhost.name);
    free(client->vhost.path);
    free(client);
}

/* ---- lists of lookups ---- */

static void move(struct rabbitmq_lookup *lookup, struct rabbitmq_lookup **list)
{
    if (lookup->list != NULL)
        DL_DELETE(*lookup->list, lookup);
    lookup->list = list;
    DL_APPEND(*list, lookup);
}

/* Its task has ended. */
static void drop(struct rabbitmq_lookup *lookup)
{
    DL_DELETE(*lookup->list, lookup);
    free(lookup);
}

static void drop_all(struct rabbitmq_lookup **list)
{
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(*list, lookup, next)
    drop(lookup);
}

static void use_statistics(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup)
{
    rabbitmq_lookup_use_statistics(lookup);
    move(lookup, &client->waiting);
}

/* ---- requests ---- */

static int64_t deadline_of(const struct rabbitmq_management *client,
                           const struct rabbitmq_lookup *lookup)
{
    return lookup->sent_ms + client->timeout_ms;
}

/* Totals in a part of the time, so that statistics have the rest where totals hang. */
static int64_t totals_ms(const struct rabbitmq_management *client)
{
    int64_t part_ms = client->timeout_ms * 3 / 5;
    return part_ms < TOTALS_MS ? part_ms : TOTALS_MS;
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
    int64_t deadline_ms = lookup->source == RABBITMQ_TOTALS ? lookup->sent_ms + totals_ms(client)
                                                            : deadline_of(client, lookup);
    move(lookup, &client->requested);
    rabbitmq_http_get(client->http, path, lookup, deadline_ms);
}

/* Of all that wait for this source, and are not requested one by one. */
static void request_listing(struct rabbitmq_management *client, enum rabbitmq_source source)
{
    struct listing *listing = &client->listings[source];
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    int64_t now_ms = clock_now_ms();
    int64_t deadline_ms = now_ms + totals_ms(client);
    DL_FOREACH_SAFE(client->waiting, lookup, next)
    {
        if (lookup->query->use_regex || lookup->single || lookup->source != source)
            continue;
        note_sent(lookup);
        lookup->found = false;
        move(lookup, &listing->lookups);
        if (source == RABBITMQ_STATISTICS && deadline_of(client, lookup) > deadline_ms)
            deadline_ms = deadline_of(client, lookup);
    }
    _cleanup_(memory_free) char *path = rabbitmq_lookup_listing_path(&client->vhost, source);
    listing->in_flight = true;
    rabbitmq_http_get(client->http, path, listing, deadline_ms);
}

/* The queues (not patterns) that wait for this source. */
static size_t count_waiting(const struct rabbitmq_management *client, enum rabbitmq_source source)
{
    const struct rabbitmq_lookup *lookup;
    size_t count = 0;
    DL_FOREACH(client->waiting, lookup)
    count += !lookup->query->use_regex && !lookup->single && lookup->source == source;
    return count;
}

static bool worth_totals(const struct rabbitmq_management *client, size_t queues)
{
    int64_t now_ms = clock_now_ms();
    if (now_ms < client->listing_rest_until_ms || now_ms < client->totals_rest_until_ms)
        return false;
    return queues > MAX_GETS || now_ms >= client->queues_until_ms ||
           client->queues <= CHEAP_QUEUES + QUEUES_PER_GET * queues;
}

static void choose_totals(struct rabbitmq_management *client)
{
    size_t count = count_waiting(client, RABBITMQ_TOTALS);
    if (count == 0)
        return;
    if (worth_totals(client, count)) {
        if (!client->listings[RABBITMQ_TOTALS].in_flight && rabbitmq_http_has_room(client->http))
            request_listing(client, RABBITMQ_TOTALS);
        return;
    }
    struct rabbitmq_lookup *lookup;
    DL_FOREACH(client->waiting, lookup)
    if (!lookup->query->use_regex && lookup->source == RABBITMQ_TOTALS)
        rabbitmq_lookup_use_statistics(lookup);
}

/* Where they are listed, a few are requested one by one as well: the listing may take too long. */
static void choose_statistics(struct rabbitmq_management *client)
{
    size_t count = count_waiting(client, RABBITMQ_STATISTICS);
    bool listed = count > MAX_GETS + client->queues / QUEUES_PER_GET &&
                  clock_now_ms() >= client->listing_rest_until_ms;
    bool in_flight = client->listings[RABBITMQ_STATISTICS].in_flight;
    size_t singles = !listed ? count : in_flight ? 0 : MAX_GETS;
    struct rabbitmq_lookup *lookup;
    DL_FOREACH(client->waiting, lookup)
    {
        if (singles == 0)
            break;
        if (lookup->query->use_regex || lookup->single || lookup->source != RABBITMQ_STATISTICS)
            continue;
        lookup->single = true;
        singles--;
    }
    if (listed && !in_flight && rabbitmq_http_has_room(client->http))
        request_listing(client, RABBITMQ_STATISTICS);
}

static void begin_requests(struct rabbitmq_management *client)
{
    choose_totals(client);
    choose_statistics(client);
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(client->waiting, lookup, next)
    {
        if (!rabbitmq_http_has_room(client->http))
            return;
        if (lookup->query->use_regex || lookup->single)
            request_one(client, lookup);
    }
}

/* ---- answers ---- */

static void note_lacking(struct rabbitmq_management *client)
{
    int64_t now_ms = clock_now_ms();
    /* Of streams they report nothing, which says nothing of the other queues. */
    if (client->totals_counted_ms == 0 || now_ms - client->totals_counted_ms >= REST_MS)
        client->totals_rest_until_ms = now_ms + REST_MS;
}

/* Returns whether the totals hung; else the statistics did, and totals may do better. */
static bool note_timeout(struct rabbitmq_management *client, enum rabbitmq_source source)
{
    bool totals = source == RABBITMQ_TOTALS;
    client->totals_rest_until_ms = totals ? clock_now_ms() + REST_MS : 0;
    return totals;
}

static void take_result(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup,
                        enum rabbitmq_lookup_result result)
{
    if (result == RABBITMQ_ENDED)
        drop(lookup);
    else if (result == RABBITMQ_LACKING)
        use_statistics(client, lookup);
    else
        move(lookup, &client->waiting); /* for its next page */
}

static int compare(const void *left, const void *right)
{
    const struct rabbitmq_lookup *const *one = left;
    const struct rabbitmq_lookup *const *other = right;
    return strcmp((*one)->query->queue_name, (*other)->query->queue_name);
}

/* The lookups of a listing by name, ended by NULL; the caller frees the array. */
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

/* Those that want this queue; returns whether all of them got what they need. */
static bool take_listed(struct rabbitmq_management *client, struct rabbitmq_lookup **sorted,
                        size_t count, const json_t *queue)
{
    const struct rabbitmq_query query = {.queue_name =
                                             json_string_value(json_object_get(queue, "name"))};
    const struct rabbitmq_lookup key = {.query = &query}, *key_pointer = &key;
    if (query.queue_name == NULL)
        return true;
    struct rabbitmq_lookup **found =
        bsearch(&key_pointer, sorted, count, sizeof(key_pointer), compare);
    while (found != NULL && found > sorted && compare(found - 1, &key_pointer) == 0)
        found--;
    bool complete = true;
    for (; found != NULL && found < sorted + count && compare(found, &key_pointer) == 0; found++) {
        enum rabbitmq_lookup_result result = RABBITMQ_ENDED;
        if (!(*found)->found)
            result = rabbitmq_lookup_take_queue(*found, &client->vhost, queue);
        (*found)->found = true;
        complete = complete && result == RABBITMQ_ENDED;
        if (result == RABBITMQ_LACKING)
            rabbitmq_lookup_use_statistics(*found);
    }
    return complete;
}

static void take_listing(struct rabbitmq_management *client, struct listing *listing,
                         const json_t *queues)
{
    size_t count;
    _cleanup_(memory_free) struct rabbitmq_lookup **sorted = sort(listing->lookups, &count);
    bool totals = listing == &client->listings[RABBITMQ_TOTALS];
    bool complete = true;
    size_t i;
    const json_t *queue;
    client->queues = json_array_size(queues);
    client->queues_until_ms = client->queues > 0 ? clock_now_ms() + SIZE_MS : 0;
    json_array_foreach(queues, i, queue)
    {
        complete = take_listed(client, sorted, count, queue) && complete;
        if (totals && json_object_get(queue, "messages_ready") != NULL)
            client->totals_counted_ms = clock_now_ms();
    }
    if (totals && !complete)
        note_lacking(client);
    for (i = 0; i < count; i++) {
        bool lacks = totals && sorted[i]->source == RABBITMQ_STATISTICS;
        if (!sorted[i]->found)
            rabbitmq_lookup_fail_missing(sorted[i], &client->vhost);
        take_result(client, sorted[i], lacks ? RABBITMQ_LACKING : RABBITMQ_ENDED);
    }
}

/* The listing did not come: it was too large or too late. */
static void give_up_listing(struct rabbitmq_management *client, struct listing *listing,
                            bool is_late)
{
    enum rabbitmq_source source = (enum rabbitmq_source)(listing - client->listings);
    bool late_statistics = is_late && !note_timeout(client, source);
    if (!is_late)
        client->listing_rest_until_ms = clock_now_ms() + SIZE_MS;
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(listing->lookups, lookup, next)
    {
        if (late_statistics) {
            task_time_out(lookup->task);
            drop(lookup);
        } else
            use_statistics(client, lookup);
    }
}

static bool fail_client(const struct rabbitmq_management *client, struct http_answer *answer,
                        struct error *error)
{
    error_move(error, &answer->error);
    return answer->outcome == HTTP_NOT_FOUND ? error_prefix(error, "vhost '%s'", client->vhost.name)
                                             : false;
}

/* Returns false where the client is of no further use. */
static bool take_listing_answer(struct rabbitmq_management *client, struct listing *listing,
                                struct http_answer *answer, struct error *error)
{
    listing->in_flight = false;
    if (answer->outcome == HTTP_TIMED_OUT || answer->outcome == HTTP_TOO_LARGE) {
        give_up_listing(client, listing, answer->outcome == HTTP_TIMED_OUT);
        return true;
    }
    if (answer->outcome != HTTP_GOT)
        return fail_client(client, answer, error);
    if (!json_is_array(answer->json))
        return error_unavailable(error, "%s: unexpected reply: no list of queues",
                                 rabbitmq_http_name(client->http));
    take_listing(client, listing, answer->json);
    return true;
}

static void take_page(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup,
                      const json_t *page)
{
    bool counted;
    bool totals = lookup->source == RABBITMQ_TOTALS;
    enum rabbitmq_lookup_result result =
        rabbitmq_lookup_take_page(lookup, &client->vhost, page, &counted);
    if (totals && counted)
        client->totals_counted_ms = clock_now_ms();
    else if (result == RABBITMQ_LACKING)
        note_lacking(client);
    take_result(client, lookup, result);
}

/* What concerns nobody else: a name or a pattern that the broker does not take, a time-out. */
static void fail_alone(struct rabbitmq_management *client, struct rabbitmq_lookup *lookup,
                       const struct http_answer *answer)
{
    bool is_late = answer->outcome == HTTP_TIMED_OUT;
    if (is_late && note_timeout(client, lookup->source)) {
        use_statistics(client, lookup);
        return;
    }
    if (is_late)
        task_time_out(lookup->task);
    else
        rabbitmq_lookup_fail(lookup, &answer->error);
    drop(lookup);
}

/* Returns false where the client is of no further use. */
static bool take_answer(struct rabbitmq_management *client, struct http_answer *answer,
                        struct error *error)
{
    for (size_t i = 0; i < RABBITMQ_SOURCES; i++)
        if (answer->owner == &client->listings[i])
            return take_listing_answer(client, &client->listings[i], answer, error);

    struct rabbitmq_lookup *lookup = answer->owner;
    bool is_pattern = lookup->query->use_regex;
    if (answer->outcome == HTTP_FAILED || (answer->outcome == HTTP_NOT_FOUND && is_pattern))
        return fail_client(client, answer, error);
    if (answer->outcome == HTTP_NOT_FOUND) {
        rabbitmq_lookup_fail_missing(lookup, &client->vhost);
        drop(lookup);
    } else if (answer->outcome != HTTP_GOT)
        fail_alone(client, lookup, answer);
    else if (is_pattern)
        take_page(client, lookup, answer->json);
    else
        take_result(client, lookup,
                    rabbitmq_lookup_take_queue(lookup, &client->vhost, answer->json));
    return true;
}

static bool take_answers(struct rabbitmq_management *client, struct error *error)
{
    bool usable = true;
    while (usable) {
        _cleanup_(http_answer_done) struct http_answer answer = {0};
        if (!rabbitmq_http_take(client->http, &answer))
            break;
        usable = take_answer(client, &answer, error);
    }
    return usable;
}

/* ---- the loop ---- */

static void take_tasks(struct rabbitmq_management *client, struct feed *feed)
{
    for (struct task *task; (task = feed_next_cancelled(feed)) != NULL;) {
        struct rabbitmq_lookup *lookup = task->data;
        if (lookup->list == &client->requested)
            rabbitmq_http_cancel(client->http, lookup);
        drop(lookup);
        task_return(task, true);
    }
    bool rest = clock_now_ms() < client->totals_rest_until_ms;
    for (struct task *task; (task = feed_take(feed)) != NULL;) {
        task->timeout_ms = client->timeout_ms;
        enum rabbitmq_source source = rest || task->isolate ? RABBITMQ_STATISTICS : RABBITMQ_TOTALS;
        struct rabbitmq_lookup *lookup = rabbitmq_lookup_new(task, source);
        lookup->single = task->isolate;
        move(lookup, &client->waiting);
    }
}

/* A listing may be waited for longer than some of its lookups have time. */
static void time_out_listed(struct rabbitmq_management *client, int64_t now_ms, int64_t *next_ms)
{
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(client->listings[RABBITMQ_STATISTICS].lookups, lookup, next)
    {
        int64_t deadline_ms = deadline_of(client, lookup);
        if (now_ms >= deadline_ms) {
            task_time_out(lookup->task);
            drop(lookup);
        } else if (deadline_ms < *next_ms)
            *next_ms = deadline_ms;
    }
}

/* Slow requests make room for those that wait. */
static void isolate_slow(struct rabbitmq_management *client, int64_t now_ms, int64_t *next_ms)
{
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    if (client->waiting == NULL || rabbitmq_http_has_room(client->http))
        return;
    DL_FOREACH_SAFE(client->requested, lookup, next)
    {
        int64_t slow_ms = lookup->request_ms + SLOW_MS;
        if (lookup->task->isolate)
            continue;
        if (now_ms >= slow_ms) {
            struct task *task = lookup->task;
            rabbitmq_http_cancel(client->http, lookup);
            drop(lookup);
            task_return(task, true);
            *next_ms = now_ms;
        } else if (slow_ms < *next_ms)
            *next_ms = slow_ms;
    }
}

static void abandon(struct rabbitmq_management *client)
{
    rabbitmq_http_stop(client->http);
    drop_all(&client->waiting);
    drop_all(&client->requested);
    for (size_t i = 0; i < RABBITMQ_SOURCES; i++) {
        drop_all(&client->listings[i].lookups);
        client->listings[i].in_flight = false;
    }
}

bool rabbitmq_management_measure(struct rabbitmq_management *client, struct feed *feed,
                                 struct error *error)
{
    bool usable = true;
    feed_set_window(feed, SIZE_MAX, MAX_ISOLATED);
    while (usable && !feed_is_stopping(feed)) {
        take_tasks(client, feed);
        usable = rabbitmq_http_renew_token(client->http, clock_now_ms(), error);
        if (!usable)
            break;
        begin_requests(client);
        if (rabbitmq_http_is_idle(client->http))
            break;
        int64_t now_ms = clock_now_ms();
        int64_t next_ms = CLOCK_NEVER;
        time_out_listed(client, now_ms, &next_ms);
        isolate_slow(client, now_ms, &next_ms);
        rabbitmq_http_wait(client->http, feed, next_ms);
        usable = take_answers(client, error);
    }
    abandon(client);
    return usable;
}
