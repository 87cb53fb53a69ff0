#include "rabbitmq/round.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/counts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MATCHES_MOST = 10000, /* queues of a pattern */
    ROUNDING_MS = 50,     /* libcurl's time-out may come a little before our deadline */
};

#define TOTALS "disable_stats=true&enable_queue_totals=true&"

static void fail_missing(const struct round *round, const struct asked *asked)
{
    const char *name = asked->query->queue_name;
    probe_failf(asked->probe, "queue '%s': NOT_FOUND - no queue '%s' in vhost '%s'", name, name,
                round->vhost);
}

static void fail_incomplete(const struct asked *asked, const char *queue)
{
    bool rates = rabbitmq_needs_rates(asked->query);
    probe_failf(asked->probe,
                "queue '%s': the management API does not tell its %s: it is new or down, or the "
                "broker's statistics are disabled (management_agent.disable_metrics_collector, "
                "management.disable_stats%s",
                queue, rates ? "rates" : "messages_ready and messages_unacknowledged",
                rates ? ", management.rates_mode none)" : "); an amqp:// host needs none");
}

/* False where the JSON lacks what the query needs. */
static bool count(const struct round *round, const struct asked *asked, const json_t *queue,
                  struct rabbitmq_counts *ret_counts)
{
    struct rabbitmq_counts counts = rabbitmq_counts_of(queue, round->keeps_rates);
    *ret_counts = counts;
    return !isnan(counts.messages) &&
           !(round->totals && rabbitmq_counts_are_guessed(queue, &counts)) &&
           (!rabbitmq_needs_rates(asked->query) ||
            (!isnan(counts.publish_rate) && !isnan(counts.deliver_get_rate)));
}

static void answer(const struct asked *asked, const struct rabbitmq_tally *tally)
{
    struct reading reading = rabbitmq_tally_reading(tally, asked->query->operation);
    probe_answer(asked->probe, &reading);
}

/* The JSON of one queue. Statistics are the last to be asked, so what they lack nobody tells. */
static void take_queue(struct round *round, const struct asked *asked, const json_t *queue)
{
    struct rabbitmq_tally tally = {.queues = 1};
    if (count(round, asked, queue, &tally.counts)) {
        answer(asked, &tally);
        return;
    }
    round->lacking = true;
    if (!round->totals)
        fail_incomplete(asked, asked->query->queue_name);
}

int asked_compare(const void *left, const void *right)
{
    const struct rabbitmq_query *one = ((const struct asked *)left)->query;
    const struct rabbitmq_query *other = ((const struct asked *)right)->query;
    if (one->use_regex != other->use_regex)
        return one->use_regex ? 1 : -1;
    return strcmp(one->queue_name, other->queue_name);
}

/* The first of those that ask for this queue. */
static struct asked *find(const struct round *round, const char *name)
{
    const struct rabbitmq_query query = {.queue_name = name};
    const struct asked key = {.query = &query};
    struct asked *found = bsearch(&key, round->asked, round->queues, sizeof(key), asked_compare);
    while (found != NULL && found > round->asked && asked_compare(found - 1, &key) == 0)
        found--;
    return found;
}

static void take_listed(struct round *round, const json_t *queue)
{
    const char *name = json_string_value(json_object_get(queue, "name"));
    struct asked *asked = name == NULL ? NULL : find(round, name);
    round->counted = round->counted || json_object_get(queue, "messages_ready") != NULL;
    if (asked == NULL)
        return;
    const struct asked *end = round->asked + round->queues;
    for (; asked < end && text_equal(asked->query->queue_name, name); asked++) {
        asked->listed = true;
        if (!round->totals || !rabbitmq_needs_rates(asked->query))
            take_queue(round, asked, queue);
    }
}

static bool take_listing(struct round *round, const json_t *listing, struct error *error)
{
    if (!json_is_array(listing))
        return error_unavailable(error, "RabbitMQ's management API answered no list of queues");
    round->listed = json_array_size(listing);
    for (size_t i = 0; i < round->queues; i++)
        round->asked[i].listed = false;
    size_t i;
    const json_t *queue;
    json_array_foreach(listing, i, queue) take_listed(round, queue);
    for (i = 0; i < round->queues; i++)
        if (!round->asked[i].listed)
            fail_missing(round, &round->asked[i]);
    return true;
}

static void ask_listing(const struct round *round)
{
    _cleanup_(memory_free) char *path =
        text_format("%s?%s", round->listing,
                    round->totals ? TOTALS "columns=" COUNTS_COLUMNS : "columns=" RATES_COLUMNS);
    rabbitmq_http_ask(round->http, path, NULL, round->deadline_ms);
}

static const char *columns_of(const struct asked *asked)
{
    return rabbitmq_needs_rates(asked->query) ? RATES_COLUMNS : COUNTS_COLUMNS;
}

static void ask_queue(const struct round *round, struct asked *asked)
{
    _cleanup_(memory_free) char *name = rabbitmq_url_escaped(asked->query->queue_name);
    _cleanup_(memory_free) char *path =
        text_format("%s/%s?columns=%s", round->listing, name, columns_of(asked));
    rabbitmq_http_ask(round->http, path, asked, round->deadline_ms);
}

static void ask_page(const struct round *round, struct asked *asked)
{
    _cleanup_(memory_free) char *pattern = rabbitmq_url_escaped(asked->query->queue_name);
    _cleanup_(memory_free) char *path = text_format(
        "%s?page=%lld&page_size=%lld&pagination=true&use_regex=true&name=%s&%scolumns=%s",
        round->listing, (long long)asked->page, (long long)asked->query->page_size, pattern,
        round->totals ? TOTALS : "", columns_of(asked));
    rabbitmq_http_ask(round->http, path, asked, round->deadline_ms);
}

/* Returns whether all queues of the page were counted. */
static bool take_matches(struct round *round, struct asked *asked, const json_t *items)
{
    size_t i;
    const json_t *queue;
    json_array_foreach(items, i, queue)
    {
        struct rabbitmq_counts counts;
        if (count(round, asked, queue, &counts)) {
            rabbitmq_tally_add(&asked->tally, asked->query->operation, &counts);
            round->counted = true;
            continue;
        }
        const char *name = json_string_value(json_object_get(queue, "name"));
        round->lacking = true;
        if (!round->totals)
            fail_incomplete(asked, name == NULL ? "" : name);
        return false;
    }
    return true;
}

static void take_page(struct round *round, struct asked *asked, const json_t *page)
{
    const json_t *items = json_object_get(page, "items");
    const json_t *pages = json_object_get(page, "page_count");
    const json_t *matches = json_object_get(page, "filtered_count");
    if (!json_is_array(items) || !json_is_integer(pages) || !json_is_integer(matches)) {
        probe_failf(asked->probe, "RabbitMQ's management API answered no page of queues");
        return;
    }
    if (json_integer_value(matches) > MATCHES_MOST || asked->page > MATCHES_MOST) {
        probe_failf(asked->probe, "queueName matches %lld queues: at most %d are counted",
                    (long long)json_integer_value(matches), MATCHES_MOST);
        return;
    }
    if (!round->totals && asked->empty > 0 &&
        json_integer_value(matches) == (json_int_t)asked->empty) {
        answer(asked, &(struct rabbitmq_tally){.queues = asked->empty});
        return;
    }
    if (!take_matches(round, asked, items))
        return;
    /* Totals pass over a quorum queue that has no leader: where they have nothing but zeros, statistics
     * tell whether these were all that match. */
    if (asked->page++ < json_integer_value(pages))
        ask_page(round, asked);
    else if (round->totals && asked->tally.counts.messages == 0)
        asked->empty = asked->tally.queues;
    else
        answer(asked, &asked->tally);
}

bool round_wants(const struct round *round, const struct asked *asked)
{
    return !asked->probe->ended && !(round->totals && rabbitmq_needs_rates(asked->query));
}

static void ask_more(struct round *round)
{
    while (round->next < round->count && rabbitmq_http_has_room(round->http)) {
        struct asked *asked = &round->asked[round->next++];
        if (!round_wants(round, asked))
            continue;
        if (asked->query->use_regex) {
            asked->page = 1;
            asked->tally = (struct rabbitmq_tally){0};
            ask_page(round, asked);
        } else if (round->gets > 0) {
            round->gets--;
            ask_queue(round, asked);
        }
    }
}

/* What concerns nobody else: a name or a pattern that it does not take, a time-out of the user's own. What
 * ran into the deadline stays unanswered, and totals that hang may be had from the statistics. */
static void fail_alone(const struct round *round, const struct asked *asked,
                       const struct http_answer *answer)
{
    bool over = clock_left_ms(round->deadline_ms, ROUNDING_MS) < ROUNDING_MS;
    if (answer->outcome == HTTP_TIMED_OUT && (over || round->totals))
        return;
    probe_failf(asked->probe, "%s '%s': %s",
                asked->query->use_regex ? "the queues that match" : "queue",
                asked->query->queue_name, error_text(&answer->error));
}

/* Returns false where the client is of no further use. */
static bool take(struct round *round, struct http_answer *answer, struct error *error)
{
    struct asked *asked = answer->owner;
    round->timed_out = round->timed_out || answer->outcome == HTTP_TIMED_OUT;
    if (answer->outcome == HTTP_GOT && asked == NULL)
        return take_listing(round, answer->json, error);
    if (answer->outcome == HTTP_GOT && asked->query->use_regex)
        take_page(round, asked, answer->json);
    else if (answer->outcome == HTTP_GOT)
        take_queue(round, asked, answer->json);
    else if (answer->outcome == HTTP_NOT_FOUND && asked != NULL && !asked->query->use_regex)
        fail_missing(round, asked);
    else if (answer->outcome == HTTP_NOT_FOUND) {
        error_move(error, &answer->error);
        return error_prefix(error, "vhost '%s'", round->vhost);
    } else if (answer->outcome != HTTP_FAILED && asked != NULL)
        fail_alone(round, asked, answer);
    else if (answer->outcome == HTTP_TOO_LARGE)
        round->too_large = true;
    else if (answer->outcome != HTTP_TIMED_OUT) {
        error_move(error, &answer->error);
        return false;
    }
    return true;
}

bool round_run(struct round *round, struct error *error)
{
    bool usable = true;
    bool ended = true;
    round->next = 0;
    round->counted = round->lacking = round->timed_out = round->too_large = false;
    round->listed = 0;
    if (round->list)
        ask_listing(round);
    while (usable && ended) {
        _cleanup_(http_answer_done) struct http_answer answer = {0};
        ask_more(round);
        ended = rabbitmq_http_take(round->http, round->deadline_ms, &answer);
        usable = !ended || take(round, &answer, error);
    }
    round->timed_out = round->timed_out || clock_now_ms() >= round->deadline_ms;
    rabbitmq_http_stop(round->http);
    return usable;
}
