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
    lookup->needs_rates = rabbitmq_needs_rates(lookup->query) ||
                          (task->wants & (READING_WANT_CONSUMERS | READING_WANT_RATES)) != 0;
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
    lookup->doubt = RABBITMQ_BELIEVED;
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

static void fail_unsettled(const struct rabbitmq_lookup *lookup, const char *queue)
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

static void fail_doubted(const struct rabbitmq_lookup *lookup)
{
    task_failf(lookup->task,
               "%s '%s': the broker did not list all queues in time, or may have just started, and "
               "its statistics, which begin with zeros then, have a 0",
               lookup->query->use_regex ? "the queues that match" : "queue",
               lookup->query->queue_name);
}

/* What it does not need is unknown: it would come and go with the source, and with the queues. So
 * are rates that only the task wants, where their zeros are doubted. */
static void answer(const struct rabbitmq_lookup *lookup, const struct rabbitmq_aggregate *aggregate)
{
    struct reading reading = rabbitmq_aggregate_reading(aggregate, lookup->query->operation);
    if (!lookup->needs_rates)
        reading.consumers = reading.arrived = reading.consumed = NAN;
    if (!lookup->needs_rates ||
        (lookup->doubt == RABBITMQ_ZEROS_DOUBTED && !rabbitmq_needs_rates(lookup->query)))
        reading.arrival_rate = reading.consumption_rate = NAN;
    task_answer(lookup->task, &reading);
}

/* Takes the counts of a queue. */
static enum rabbitmq_listed count(const struct rabbitmq_lookup *lookup,
                                  const struct rabbitmq_vhost *vhost, const json_t *queue,
                                  struct rabbitmq_counts *ret_counts)
{
    *ret_counts = rabbitmq_counts_of(queue, lookup->needs_rates && vhost->keeps_rates);
    bool is_believed =
        rabbitmq_leaders_believe(vhost->leaders, lookup->source, queue, ret_counts, clock_now_ms());
    if (!is_complete(lookup, ret_counts))
        return RABBITMQ_LISTED_INCOMPLETE;
    return is_believed ? RABBITMQ_LISTED_COUNTED : RABBITMQ_LISTED_UNSETTLED;
}

/* ---- what an answer comes to ---- */

/* Whether the statistics are to say more than these totals. Of a pattern they pass over a quorum
 * queue that has no leader: where they have nothing but zeros, statistics say whether these were
 * all that match. */
static bool are_totals_lacking(const struct rabbitmq_lookup *lookup, enum rabbitmq_listed listed,
                               const struct rabbitmq_aggregate *aggregate)
{
    bool is_cut = lookup->doubt == RABBITMQ_CUT;
    if (listed == RABBITMQ_UNLISTED)
        return is_cut;
    return listed != RABBITMQ_LISTED_COUNTED ||
           (lookup->query->use_regex && (is_cut || aggregate->counts.messages == 0));
}

static bool has_zero(const struct rabbitmq_lookup *lookup,
                     const struct rabbitmq_aggregate *aggregate)
{
    return aggregate->empty > 0 || (rabbitmq_needs_rates(lookup->query) && aggregate->idle > 0);
}

/*
 * Decides by all doubts that there are: management.h has them in a table. The aggregate has the
 * queues of all pages, unless one of them, `queue`, was not RABBITMQ_LISTED_COUNTED.
 *
 * Statistics are the last to be requested. Totals could have the counts, but no rates.
 */
static enum rabbitmq_lookup_result conclude(const struct rabbitmq_lookup *lookup,
                                            const struct rabbitmq_vhost *vhost,
                                            enum rabbitmq_listed listed, const char *queue,
                                            const struct rabbitmq_aggregate *aggregate)
{
    /* With its task a lookup loses its query. */
    bool needs_rates = rabbitmq_needs_rates(lookup->query);
    enum rabbitmq_lookup_result lacking =
        needs_rates ? RABBITMQ_LOOKUP_ENDED : RABBITMQ_LOOKUP_UNCOUNTED;
    if (lookup->source == RABBITMQ_SOURCE_TOTALS && are_totals_lacking(lookup, listed, aggregate))
        return RABBITMQ_LOOKUP_LACKING;
    switch (listed) {
    case RABBITMQ_UNLISTED:
        rabbitmq_lookup_fail_missing(lookup, vhost);
        return RABBITMQ_LOOKUP_ENDED;
    case RABBITMQ_LISTED_INCOMPLETE:
        fail_incomplete(lookup, queue == NULL ? "" : queue);
        return lacking;
    case RABBITMQ_LISTED_UNSETTLED:
        fail_unsettled(lookup, queue);
        return lacking;
    case RABBITMQ_LISTED_COUNTED:
        break;
    }
    if (lookup->doubt == RABBITMQ_ZEROS_DOUBTED && has_zero(lookup, aggregate))
        fail_doubted(lookup);
    else
        answer(lookup, aggregate);
    return RABBITMQ_LOOKUP_ENDED;
}

static void note_doubt(struct rabbitmq_lookup *lookup, enum rabbitmq_doubt doubt)
{
    if (doubt > lookup->doubt)
        lookup->doubt = doubt;
}

void rabbitmq_lookup_note_listed(struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost,
                                 const json_t *queue)
{
    lookup->listed = count(lookup, vhost, queue, &lookup->counts);
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_listed(struct rabbitmq_lookup *lookup,
                                                        const struct rabbitmq_vhost *vhost,
                                                        enum rabbitmq_doubt doubt)
{
    struct rabbitmq_aggregate one = {0};
    note_doubt(lookup, doubt);
    if (lookup->listed == RABBITMQ_LISTED_COUNTED)
        rabbitmq_aggregate_add(&one, RABBITMQ_OPERATION_SUM, &lookup->counts);
    return conclude(lookup, vhost, lookup->listed, lookup->query->queue_name, &one);
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_queue(struct rabbitmq_lookup *lookup,
                                                       const struct rabbitmq_vhost *vhost,
                                                       const json_t *queue,
                                                       enum rabbitmq_doubt doubt)
{
    rabbitmq_lookup_note_listed(lookup, vhost, queue);
    return rabbitmq_lookup_take_listed(lookup, vhost, doubt);
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
                                                      const json_t *page, enum rabbitmq_doubt doubt,
                                                      bool *ret_counted)
{
    const json_t *items = items_of(lookup, page);
    struct rabbitmq_aggregate *all = &lookup->aggregate;
    bool totals = lookup->source == RABBITMQ_SOURCE_TOTALS;
    *ret_counted = false;
    if (items == NULL)
        return RABBITMQ_LOOKUP_ENDED;
    note_doubt(lookup, doubt);
    if (lookup->doubt == RABBITMQ_CUT)
        return conclude(lookup, vhost, RABBITMQ_LISTED_COUNTED, NULL, all);
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
        enum rabbitmq_listed listed = count(lookup, vhost, queue, &counts);
        if (listed != RABBITMQ_LISTED_COUNTED)
            return conclude(lookup, vhost, listed,
                            json_string_value(json_object_get(queue, "name")), all);
        rabbitmq_aggregate_add(all, lookup->query->operation, &counts);
        *ret_counted = true;
    }
    if (lookup->page++ < json_integer_value(json_object_get(page, "page_count")))
        return RABBITMQ_LOOKUP_NEXT_PAGE;
    /* Totals may lack some: where others have messages, these are the answer all the same. */
    if (!totals && (json_int_t)all->queues < matches) {
        task_failf(lookup->task,
                   "the queues that match '%s': RabbitMQ's management API lists %zu of the %lld",
                   lookup->query->queue_name, all->queues, (long long)matches);
        return RABBITMQ_LOOKUP_ENDED;
    }
    if (totals && all->counts.messages == 0) {
        lookup->empty = all->queues;
        *ret_counted = true;
    }
    return conclude(lookup, vhost, RABBITMQ_LISTED_COUNTED, NULL, all);
}
