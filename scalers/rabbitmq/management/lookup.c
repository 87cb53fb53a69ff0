#include "rabbitmq/management/lookup.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/management/leaders.h"
#include "rabbitmq/management/pattern.h"
#include "rabbitmq/management/rates.h"
#include "rabbitmq/url.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    MAX_MATCHES = 10000, /* queues of a pattern */
    PAGE_SIZE = 500,     /* the largest that RabbitMQ takes */
    MAX_ALONE = 100,     /* GETs of a pattern's new queues */
};

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
    return lookup;
}

void rabbitmq_lookup_move(struct rabbitmq_lookup *lookup, struct rabbitmq_lookup **list)
{
    if (lookup->list != NULL)
        DL_DELETE(*lookup->list, lookup);
    lookup->list = list;
    DL_APPEND(*list, lookup);
}

static void drop_last_alone(struct rabbitmq_lookup *lookup)
{
    free(lookup->alone[--lookup->alone_count].name);
}

static void drop_alone(struct rabbitmq_lookup *lookup)
{
    while (lookup->alone_count > 0)
        drop_last_alone(lookup);
    free(TAKE(lookup->alone));
    lookup->alone_capacity = 0;
}

static void free_lookup(struct rabbitmq_lookup *lookup)
{
    drop_alone(lookup);
    rabbitmq_pattern_free(&lookup->pattern);
    error_done(&lookup->unmatched);
    free(lookup->uncounted);
    free(lookup);
}

void rabbitmq_lookup_drop(struct rabbitmq_lookup *lookup)
{
    DL_DELETE(*lookup->list, lookup);
    free_lookup(lookup);
}

void rabbitmq_lookup_drop_all(struct rabbitmq_lookup **list)
{
    struct rabbitmq_lookup *lookup;
    struct rabbitmq_lookup *next;
    DL_FOREACH_SAFE(*list, lookup, next)
        free_lookup(lookup);
    *list = NULL;
}

static const char *columns_of(const struct rabbitmq_lookup *lookup)
{
    return lookup->needs_rates ? RATES_COLUMNS : COUNTS_COLUMNS;
}

/* Of that which is requested alone. */
static const char *name_of_alone(const struct rabbitmq_lookup *lookup)
{
    return lookup->alone[lookup->alone_count - 1].name;
}

char *rabbitmq_lookup_path(const struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost)
{
    const struct rabbitmq_query *query = lookup->query;
    _cleanup_(memory_free) char *name =
        rabbitmq_url_escaped(lookup->is_alone ? name_of_alone(lookup) : query->queue_name);
    if (lookup->is_alone)
        return text_format("%s/%s?" TOTALS "columns=" COUNTS_COLUMNS, vhost->path, name);
    if (!query->use_regex)
        return text_format("%s/%s?columns=%s", vhost->path, name, columns_of(lookup));
    return text_format("%s?page=1&page_size=%d&pagination=true&use_regex=true&name=%s&%scolumns=%s",
                       vhost->path, PAGE_SIZE, name,
                       lookup->source == RABBITMQ_SOURCE_TOTALS ? TOTALS : "", columns_of(lookup));
}

char *rabbitmq_lookup_listing_path(const struct rabbitmq_vhost *vhost, enum rabbitmq_source source)
{
    return text_format("%s?%s", vhost->path,
                       source == RABBITMQ_SOURCE_TOTALS ? TOTALS "columns=" COUNTS_COLUMNS
                                                        : "columns=" RATES_COLUMNS);
}

static void begin_pattern(struct rabbitmq_lookup *lookup)
{
    drop_alone(lookup);
    free(TAKE(lookup->uncounted));
    lookup->matches = (struct rabbitmq_matches){0};
    lookup->aggregate = (struct rabbitmq_aggregate){0};
    lookup->doubt = RABBITMQ_BELIEVED;
    lookup->is_alone = lookup->is_again = false;
}

void rabbitmq_lookup_use_statistics(struct rabbitmq_lookup *lookup)
{
    lookup->source = RABBITMQ_SOURCE_STATISTICS;
    begin_pattern(lookup);
}

bool rabbitmq_lookup_is_listable(const struct rabbitmq_lookup *lookup)
{
    return !lookup->is_single && !lookup->is_alone;
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
    const char *name = lookup->query->queue_name;
    if (lookup->is_alone)
        task_failf(lookup->task, "the queues that match '%s': queue '%s': %s", name,
                   name_of_alone(lookup), error_text(error));
    else
        task_failf(lookup->task, "%s '%s': %s",
                   lookup->query->use_regex ? "the queues that match" : "queue", name,
                   error_text(error));
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

static void add_missing(struct text *fields, double value, const char *field)
{
    if (isnan(value))
        text_addf(fields, "%s%s", fields->length > 0 ? " and " : "", field);
}

/* Names what the counts of the lookup lack. */
static void fail_incomplete(const struct rabbitmq_lookup *lookup, const char *queue)
{
    const struct rabbitmq_counts *counts = &lookup->counts;
    bool needs_rates = rabbitmq_needs_rates(lookup->query);
    bool rates = needs_rates && (isnan(counts->publish_rate) || isnan(counts->deliver_get_rate));
    struct text fields = {0};
    add_missing(&fields, counts->ready, "messages_ready");
    add_missing(&fields, counts->unacknowledged, "messages_unacknowledged");
    add_missing(&fields, rates ? counts->publish_rate : 0, "message_stats.publish_details.rate");
    add_missing(&fields, rates ? counts->deliver_get_rate : 0,
                "message_stats.deliver_get_details.rate");
    task_failf(lookup->task,
               "queue '%s': the management API does not report its %s%s%s: it is new or down, or "
               "the broker's statistics are disabled "
               "(management_agent.disable_metrics_collector, management.disable_stats%s",
               queue, rates ? "rates (" : "", fields.length > 0 ? fields.bytes : "counts",
               rates ? ")" : "",
               needs_rates ? ", management.rates_mode none)" : "); an amqp:// host needs none");
    text_done(&fields);
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
    int64_t now_ms = clock_now_ms();
    if (lookup->needs_rates)
        rabbitmq_rates_bound(vhost->rates, json_object_get(queue, "name"), ret_counts, now_ms);
    bool is_believed =
        rabbitmq_leaders_believe(vhost->leaders, lookup->source, queue, ret_counts, now_ms);
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
 * queues, unless one of them, `queue`, was not RABBITMQ_LISTED_COUNTED.
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

/* ---- of a pattern ---- */

/* Keeps the queue for a GET of its own. False: there are too many of them. */
static bool add_alone(struct rabbitmq_lookup *lookup, const char *name,
                      const struct rabbitmq_counts *counts)
{
    if (lookup->alone_count == MAX_ALONE)
        return false;
    lookup->alone = memory_grow(lookup->alone, &lookup->alone_capacity, lookup->alone_count + 1,
                                sizeof(struct rabbitmq_alone));
    lookup->alone[lookup->alone_count++] = (struct rabbitmq_alone){text_copy(name), *counts};
    return true;
}

static void add_match(struct rabbitmq_lookup *lookup, const struct rabbitmq_vhost *vhost,
                      const json_t *queue)
{
    struct rabbitmq_counts counts;
    enum rabbitmq_listed listed = count(lookup, vhost, queue, &counts);
    const json_t *name = json_object_get(queue, "name");
    const char *text = json_is_string(name) ? json_string_value(name) : "";
    bool is_new = lookup->source == RABBITMQ_SOURCE_STATISTICS && isnan(counts.messages) &&
                  (!rabbitmq_needs_rates(lookup->query) || !isnan(counts.publish_rate));
    lookup->matches.count++;
    lookup->matches.names += hash_bytes(text, json_string_length(name));
    if (listed == RABBITMQ_LISTED_COUNTED)
        rabbitmq_aggregate_add(&lookup->aggregate, lookup->query->operation, &counts);
    else if (lookup->uncounted == NULL && !(is_new && add_alone(lookup, text, &counts))) {
        lookup->listed = listed;
        lookup->counts = counts;
        lookup->uncounted = text_copy(text);
    }
}

/* The queues are known; some may need a GET of their own. */
static enum rabbitmq_lookup_result conclude_pattern(struct rabbitmq_lookup *lookup,
                                                    const struct rabbitmq_vhost *vhost)
{
    const char *uncounted = lookup->uncounted;
    lookup->is_again = false;
    lookup->is_alone = uncounted == NULL && lookup->alone_count > 0;
    if (lookup->is_alone)
        return RABBITMQ_LOOKUP_NEXT;
    return conclude(lookup, vhost, uncounted != NULL ? lookup->listed : RABBITMQ_LISTED_COUNTED,
                    uncounted, &lookup->aggregate);
}

static bool are_too_many(const struct rabbitmq_lookup *lookup, json_int_t matches)
{
    if (matches <= MAX_MATCHES)
        return false;
    task_failf(lookup->task, "queueName matches %lld queues: at most %d are counted",
               (long long)matches, MAX_MATCHES);
    return true;
}

/* NULL: no page, or one of too many. The task has failed then. */
static const json_t *items_of(const struct rabbitmq_lookup *lookup, const json_t *page)
{
    const json_t *items = json_object_get(page, "items");
    const json_t *matches = json_object_get(page, "filtered_count");
    if (json_is_array(items) && json_is_integer(json_object_get(page, "page_count")) &&
        json_is_integer(matches))
        return are_too_many(lookup, json_integer_value(matches)) ? NULL : items;
    task_failf(lookup->task, "RabbitMQ's management API: unexpected reply: no page of queues");
    return NULL;
}

/* Where their totals were all 0, and statistics have just these queues, they are empty. */
static bool answer_empty(const struct rabbitmq_lookup *lookup)
{
    if (lookup->source == RABBITMQ_SOURCE_TOTALS || lookup->empty.count == 0 ||
        lookup->matches.count != lookup->empty.count ||
        lookup->matches.names != lookup->empty.names)
        return false;
    answer(lookup, &(struct rabbitmq_aggregate){.queues = lookup->empty.count});
    return true;
}

/* Has all queues, at one moment. */
static enum rabbitmq_lookup_result take_all(struct rabbitmq_lookup *lookup,
                                            const struct rabbitmq_vhost *vhost)
{
    if (answer_empty(lookup))
        return RABBITMQ_LOOKUP_ENDED;
    if (lookup->source == RABBITMQ_SOURCE_TOTALS && lookup->uncounted == NULL &&
        lookup->aggregate.counts.messages == 0)
        lookup->empty = lookup->matches;
    return conclude_pattern(lookup, vhost);
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_page(struct rabbitmq_lookup *lookup,
                                                      const struct rabbitmq_vhost *vhost,
                                                      const json_t *page, enum rabbitmq_doubt doubt,
                                                      bool can_be_listed, bool *ret_counted)
{
    const json_t *items = items_of(lookup, page);
    *ret_counted = false;
    if (items == NULL)
        return RABBITMQ_LOOKUP_ENDED;
    note_doubt(lookup, doubt);
    if (lookup->doubt == RABBITMQ_CUT)
        return RABBITMQ_LOOKUP_LACKING;
    size_t matches = (size_t)json_integer_value(json_object_get(page, "filtered_count"));
    if (json_integer_value(json_object_get(page, "page_count")) > 1) {
        if (!can_be_listed || lookup->has_pages) {
            task_failf(lookup->task,
                       "queueName matches %zu queues: a page of them has %d, and the list of all "
                       "queues of the virtual host is too large, or refused: match fewer, or keep "
                       "them in a virtual host of their own",
                       matches, PAGE_SIZE);
            return RABBITMQ_LOOKUP_ENDED;
        }
        lookup->has_pages = *ret_counted = true;
        lookup->is_single = false;
        begin_pattern(lookup);
        return RABBITMQ_LOOKUP_NEXT;
    }

    size_t i;
    const json_t *queue;
    json_array_foreach(items, i, queue)
        add_match(lookup, vhost, queue);
    *ret_counted = lookup->aggregate.queues > 0 || lookup->uncounted == NULL;
    /* Totals may lack some: where others have messages, these are the answer all the same. */
    if (lookup->source == RABBITMQ_SOURCE_STATISTICS && lookup->matches.count < matches) {
        task_failf(lookup->task,
                   "the queues that match '%s': RabbitMQ's management API lists %zu of the %zu",
                   lookup->query->queue_name, lookup->matches.count, matches);
        return RABBITMQ_LOOKUP_ENDED;
    }
    return take_all(lookup, vhost);
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_alone(struct rabbitmq_lookup *lookup,
                                                       const struct rabbitmq_vhost *vhost,
                                                       const json_t *queue)
{
    struct rabbitmq_alone *alone = &lookup->alone[lookup->alone_count - 1];
    if (queue != NULL) {
        struct rabbitmq_counts counts = rabbitmq_counts_of(queue, false);
        struct rabbitmq_aggregate none = {0};
        lookup->counts = alone->counts;
        /* A 0 that is not believed is as good as none. */
        if (isnan(counts.messages) ||
            !rabbitmq_leaders_believe(vhost->leaders, RABBITMQ_SOURCE_TOTALS, queue, &counts,
                                      clock_now_ms()))
            return conclude(lookup, vhost, RABBITMQ_LISTED_INCOMPLETE, alone->name, &none);
        alone->counts.ready = counts.ready;
        alone->counts.messages = counts.messages;
        rabbitmq_aggregate_add(&lookup->aggregate, lookup->query->operation, &alone->counts);
    }
    drop_last_alone(lookup);
    return conclude_pattern(lookup, vhost);
}

void rabbitmq_lookup_begin_listing(struct rabbitmq_lookup *lookup)
{
    begin_pattern(lookup);
    error_done(&lookup->unmatched);
    rabbitmq_pattern_free(&lookup->pattern);
    rabbitmq_pattern_compile(lookup->query->queue_name, &lookup->pattern, &lookup->unmatched);
}

void rabbitmq_lookup_match(struct rabbitmq_lookup *lookup, struct rabbitmq_matcher *matcher,
                           const struct rabbitmq_vhost *vhost, const json_t *queue)
{
    bool matches;
    const json_t *name = json_object_get(queue, "name");
    if (lookup->pattern == NULL)
        return;
    if (!rabbitmq_pattern_match(lookup->pattern, matcher, json_string_value(name),
                                json_string_length(name), &matches, &lookup->unmatched)) {
        error_prefix(&lookup->unmatched, "queue '%s'", json_string_value(name));
        rabbitmq_pattern_free(&lookup->pattern);
    } else if (matches)
        add_match(lookup, vhost, queue);
}

void rabbitmq_lookup_stop_matching(struct rabbitmq_lookup *lookup)
{
    if (lookup->pattern == NULL)
        return;
    error_unavailable(&lookup->unmatched,
                      "matching the names of all queues of the virtual host takes too long, with "
                      "all patterns together: write them with fewer repetitions");
    rabbitmq_pattern_free(&lookup->pattern);
}

enum rabbitmq_lookup_result rabbitmq_lookup_take_matched(struct rabbitmq_lookup *lookup,
                                                         const struct rabbitmq_vhost *vhost,
                                                         enum rabbitmq_doubt doubt)
{
    rabbitmq_pattern_free(&lookup->pattern);
    note_doubt(lookup, doubt);
    if (error_is_set(&lookup->unmatched)) {
        rabbitmq_lookup_fail(lookup, &lookup->unmatched);
        return RABBITMQ_LOOKUP_ENDED;
    }
    if (are_too_many(lookup, (json_int_t)lookup->matches.count))
        return RABBITMQ_LOOKUP_ENDED;
    return take_all(lookup, vhost);
}
