#include "rabbitmq/management/lookup.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/management/leaders.h"
#include "rabbitmq/url.h"

#include <math.h>
#include <stdlib.h>
#include <utlist.h>

enum { MAX_MATCHES = 10000 }; /* queues of a pattern */

#define TOTALS "disable_stats=true&enable_queue_totals=true&"

struct rabbitmq_lookup *rabbitmq_lookup_new(struct task *task, enum rabbitmq_source source)
{
    struct rabbitmq_lookup *lookup = memory_new(sizeof(*lookup));
    lookup->task = task;
    lookup->query = task->query;
    lookup->needs_rates =
        rabbitmq_needs_rates(lookup->query) ||
        (task->wants & (1U << READING_WANT_CONSUMERS | 1U << READING_WANT_RATES)) != 0;
    lookup->source = lookup->needs_rates ? RABBITMQ_SOURCE_STATISTICS : source;
    lookup->taken_ms = clock_now_ms();
    lookup->page = 1;
    return lookup;
}

void rabbitmq_lookup_move(struct rabbitmq_lookup *lookup, struct rabbitmq_lookup **list)
{
    if (lookup->list != NULL)
        DL_DELETE(*lookup->list, lookup);
    lookup->list = list;
    DL_APPEND(*list, lookup);
}

void rabbitmq_lookup_drop(struct rabbitmq_lookup *lookup)
{
    DL_DELETE(*lookup->list, lookup);
    free(lookup);
}

void rabbitmq_lookup_drop_all(struct rabbitmq_lookup **list)
{
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(*list, lookup, next)
        free(lookup);
    *list = NULL;
}

static const char *columns_of(const struct rabbitmq_lookup *lookup)
{
    return lookup->needs_rates ? RATES_COLUMNS : COUNTS_COLUMNS;
}

char *rabbitmq_lookup_path(const struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost)
{
    const struct rabbitmq_query *query = lookup->query;
    _cleanup_(memory_free) char *name = rabbitmq_url_escaped(query->queue_name);
    if (!query->use_regex)
        return text_format("%s/%s?columns=%s", vhost->path, name, columns_of(lookup));
    return text_format(
        "%s?page=%lld&page_size=%lld&pagination=true&use_regex=true&name=%s&%scolumns=%s",
        vhost->path, (long long)lookup->page, (long long)query->page_size, name,
        lookup->source == RABBITMQ_SOURCE_TOTALS ? TOTALS : "", columns_of(lookup));
}

char *rabbitmq_lookup_listing_path(const struct rabbitmq_vhost *vhost, enum rabbitmq_source source)
{
    return text_format("%s?%s", vhost->path,
                       source == RABBITMQ_SOURCE_TOTALS ? TOTALS "columns=" COUNTS_COLUMNS
                                                        : "columns=" RATES_COLUMNS);
}

static void begin_pages(struct rabbitmq_lookup *lookup)
{
    lookup->page = 1;
    lookup->aggregate = (struct rabbitmq_aggregate){0};
    lookup->is_doubted = false;
}

void rabbitmq_lookup_use_statistics(struct rabbitmq_lookup *lookup)
{
    lookup->source = RABBITMQ_SOURCE_STATISTICS;
    begin_pages(lookup);
}

void rabbitmq_lookup_fail_missing(const struct rabbitmq_lookup *lookup,
                                  const struct rabbitmq_vhost *vhost)
{
    const char *name = lookup->query->queue_name;
    task_failf(lookup->task, "queue '%s': NOT_FOUND - no queue '%s' in vhost '%s'", name, name,
               vhost->name);
}

void rabbitmq_lookup_fail(const struct rabbitmq_lookup *lookup, const struct error *error)
{
    task_failf(lookup->task, "%s '%s': %s",
               lookup->query->use_regex ? "the queues that match" : "queue",
               lookup->query->queue_name, error_text(error));
}

/* All that it needs was reported. */
static bool is_complete(const struct rabbitmq_lookup *lookup, const struct rabbitmq_counts *counts)
{
    return !isnan(counts->messages) &&
           (!rabbitmq_needs_rates(lookup->query) ||
            (!isnan(counts->publish_rate) && !isnan(counts->deliver_get_rate)));
}

static void fail_doubted(const struct rabbitmq_lookup *lookup, const char *queue)
{
    task_failf(lookup->task,
               "queue '%s': not known yet whether it is empty: for some seconds after a quorum "
               "queue's leader has changed, RabbitMQ's statistics have 0 whatever is in it",
               queue);
}

static void fail_incomplete(const struct rabbitmq_lookup *lookup, const char *queue)
{
    bool rates = rabbitmq_needs_rates(lookup->query);
    task_failf(lookup->task,
               "queue '%s': the management API does not report its %s: it is new or down, or the "
               "broker's statistics are disabled (management_agent.disable_metrics_collector, "
               "management.disable_stats%s",
               queue, rates ? "rates" : "messages_ready and messages_unacknowledged",
               rates ? ", management.rates_mode none)" : "); an amqp:// host needs none");
}

/* What it does not need is unknown: it would come and go with the source, and with the queues. */
static void answer(const struct rabbitmq_lookup *lookup, const struct rabbitmq_aggregate *aggregate)
{
    struct reading reading = rabbitmq_aggregate_reading(aggregate, lookup->query->operation);
    if (!lookup->needs_rates)
        reading.consumers = reading.arrived = reading.consumed = reading.arrival_rate =
            reading.consumption_rate = NAN;
    task_answer(lookup->task, &reading);
}

/* Unless statistics that are doubted have a 0, or it is a part of it. */
static void answer_undoubted(const struct rabbitmq_lookup *lookup,
                             const struct rabbitmq_aggregate *aggregate, bool is_doubted)
{
    bool has_zero =
        aggregate->empty > 0 || (rabbitmq_needs_rates(lookup->query) && aggregate->idle > 0);
    if (lookup->source == RABBITMQ_SOURCE_TOTALS || !is_doubted) {
        answer(lookup, aggregate);
        return;
    }
    if (!has_zero) {
        struct rabbitmq_aggregate counted = *aggregate;
        if (!rabbitmq_needs_rates(lookup->query)) /* those that only the task wants may be zeros */
            counted.counts.publish_rate = counted.counts.deliver_get_rate = NAN;
        answer(lookup, &counted);
        return;
    }
    task_failf(lookup->task,
               "%s '%s': the broker did not list all queues in time, or may have just started, and "
               "its statistics, which begin with zeros then, have a 0",
               lookup->query->use_regex ? "the queues that match" : "queue",
               lookup->query->queue_name);
}

/* False where the JSON lacks what the query needs, or has a 0 that may be false. */
static bool count(const struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost,
                  const json_t *queue, struct rabbitmq_counts *ret_counts)
{
    struct rabbitmq_counts counts =
        rabbitmq_counts_of(queue, lookup->needs_rates && vhost->keeps_rates);
    bool is_believed =
        rabbitmq_leaders_believe(vhost->leaders, lookup->source, queue, &counts, clock_now_ms());
    *ret_counts = counts;
    return is_believed && is_complete(lookup, &counts);
}

/* Statistics are the last to be requested. Totals could have the counts, but no rates. */
static enum rabbitmq_lookup_result lack(const struct rabbitmq_lookup *lookup, const char *queue,
                                        const struct rabbitmq_counts *counts)
{
    if (lookup->source == RABBITMQ_SOURCE_TOTALS)
        return RABBITMQ_LOOKUP_LACKING;
    /* With its task a lookup loses its query. */
    bool is_uncounted = !rabbitmq_needs_rates(lookup->query);
    if (is_complete(lookup, counts))
        fail_doubted(lookup, queue);
    else
        fail_incomplete(lookup, queue == NULL ? "" : queue);
    return is_uncounted ? RABBITMQ_LOOKUP_UNCOUNTED : RABBITMQ_LOOKUP_ENDED;
}

void rabbitmq_lookup_note_listed(struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost,
                                 const json_t *queue)
{
    lookup->is_listed = true;
    lookup->is_counted = count(lookup, vhost, queue, &lookup->listed);
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_listed(const struct rabbitmq_lookup *lookup,
                                                        bool is_doubted)
{
    if (!lookup->is_counted)
        return lack(lookup, lookup->query->queue_name, &lookup->listed);
    struct rabbitmq_aggregate one = {0};
    rabbitmq_aggregate_add(&one, RABBITMQ_OPERATION_SUM, &lookup->listed);
    answer_undoubted(lookup, &one, is_doubted);
    return RABBITMQ_LOOKUP_ENDED;
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_queue(struct rabbitmq_lookup *lookup,
                                                       const struct rabbitmq_vhost *vhost,
                                                       const json_t *queue, bool is_doubted)
{
    rabbitmq_lookup_note_listed(lookup, vhost, queue);
    return rabbitmq_lookup_take_listed(lookup, is_doubted);
}

/* NULL: no page, or one too many. The task has failed then. */
static const json_t *items_of(const struct rabbitmq_lookup *lookup, const json_t *page)
{
    const json_t *items = json_object_get(page, "items");
    const json_t *matches = json_object_get(page, "filtered_count");
    if (!json_is_array(items) || !json_is_integer(json_object_get(page, "page_count")) ||
        !json_is_integer(matches)) {
        task_failf(lookup->task, "RabbitMQ's management API: unexpected reply: no page of queues");
        return NULL;
    }
    if (json_integer_value(matches) > MAX_MATCHES || lookup->page > MAX_MATCHES) {
        task_failf(lookup->task, "queueName matches %lld queues: at most %d are counted",
                   (long long)json_integer_value(matches), MAX_MATCHES);
        return NULL;
    }
    return items;
}

enum rabbitmq_lookup_result rabbitmq_lookup_begin_again(struct rabbitmq_lookup *lookup)
{
    enum { MAX_BEGUN_AGAIN = 3 };
    if (lookup->begun_again++ == MAX_BEGUN_AGAIN) {
        task_failf(lookup->task,
                   "the queues that match '%s' changed %d times between two pages of them: set a "
                   "larger pageSize",
                   lookup->query->queue_name, MAX_BEGUN_AGAIN + 1);
        return RABBITMQ_LOOKUP_ENDED;
    }
    begin_pages(lookup);
    return RABBITMQ_LOOKUP_NEXT_PAGE;
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_page(struct rabbitmq_lookup *lookup,
                                                      const struct rabbitmq_vhost *vhost,
                                                      const json_t *page, bool is_doubted,
                                                      bool *ret_counted)
{
    const json_t *items = items_of(lookup, page);
    bool totals = lookup->source == RABBITMQ_SOURCE_TOTALS;
    *ret_counted = false;
    if (items == NULL)
        return RABBITMQ_LOOKUP_ENDED;
    if (totals && is_doubted)
        return RABBITMQ_LOOKUP_LACKING;
    json_int_t matches = json_integer_value(json_object_get(page, "filtered_count"));
    if (!totals && lookup->page == 1 && lookup->empty > 0 && matches == (json_int_t)lookup->empty) {
        answer(lookup, &(struct rabbitmq_aggregate){.queues = lookup->empty});
        return RABBITMQ_LOOKUP_ENDED;
    }
    /* Where a queue of an earlier page is gone, those behind it have moved up, and this page lacks
     * one. One that is gone while another comes is not seen: only one page has all at one time. */
    if (lookup->page > 1 && matches != lookup->matches)
        return rabbitmq_lookup_begin_again(lookup);
    lookup->matches = matches;

    size_t i;
    const json_t *queue;
    json_array_foreach(items, i, queue) {
        struct rabbitmq_counts counts;
        if (!count(lookup, vhost, queue, &counts))
            return lack(lookup, json_string_value(json_object_get(queue, "name")), &counts);
        rabbitmq_aggregate_add(&lookup->aggregate, lookup->query->operation, &counts);
        *ret_counted = true;
    }
    lookup->is_doubted |= is_doubted;
    if (lookup->page++ < json_integer_value(json_object_get(page, "page_count")))
        return RABBITMQ_LOOKUP_NEXT_PAGE;

    /* Totals pass over a quorum queue that has no leader: where they have nothing but zeros,
     * statistics say whether these were all that match. */
    if (totals && lookup->aggregate.counts.messages == 0) {
        lookup->empty = lookup->aggregate.queues;
        *ret_counted = true;
        return RABBITMQ_LOOKUP_LACKING;
    }
    answer_undoubted(lookup, &lookup->aggregate, lookup->is_doubted);
    return RABBITMQ_LOOKUP_ENDED;
}
