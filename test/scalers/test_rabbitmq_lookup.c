/* What becomes of each answer: of both sources, for a queue and for a pattern, by what is doubted
 * of it. The table of management.h. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "rabbitmq/management/leaders.h"
#include "rabbitmq/management/lookup.h"
#include "rabbitmq/management/pattern.h"
#include "rabbitmq/management/rates.h"
#include "scalers/ended.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

#define TOTALS RABBITMQ_SOURCE_TOTALS
#define STATISTICS RABBITMQ_SOURCE_STATISTICS
#define BELIEVED RABBITMQ_BELIEVED
#define ZEROS RABBITMQ_ZEROS_DOUBTED
#define CUT RABBITMQ_CUT

#define QUEUE(type, more, messages)                                                                \
    "{\"name\":\"q\",\"type\":\"" type "\"" more ",\"messages_ready\":" messages                   \
    ",\"messages_unacknowledged\":0}"
#define CLASSIC(messages) QUEUE("classic", "", messages)
#define QUORUM(messages) QUEUE("quorum", ",\"leader\":\"a\"", messages) /* it has not reported */
#define REPORTED(messages) QUEUE("quorum", ",\"leader\":\"a\",\"consumers\":0", messages)
#define OTHER "{\"name\":\"other\",\"messages_ready\":100,\"messages_unacknowledged\":0}"
#define UNCOUNTED "{\"name\":\"q\",\"type\":\"classic\"}"

#define LACKING "to be asked of the statistics"
#define ALONE "to be asked alone"
#define LISTED "to be listed"
#define MISSING "NOT_FOUND"
#define INCOMPLETE "the management API does not report its messages_ready"
#define RATELESS "the management API does not report its rates"
#define UNSETTLED "not known yet whether it is empty"
#define UNLISTED "RabbitMQ's management API lists "
#define DOUBTED "may have just started"
#define PAGES "queueName matches 501 queues: a page of them has 500, and the list of all queues"

enum { MAX_QUEUES = 3 };

struct row {
    enum rabbitmq_source source;
    enum rabbitmq_doubt doubt;
    const char *queues[MAX_QUEUES]; /* of the page, or the queue; NULL: it is not listed */
    const char *error;              /* words of it; NULL: none, and so many: */
    double messages;
    size_t unlisted;     /* queues that match, and are not on the page */
    bool keeps_no_rates; /* the broker, of any queue */
    bool can_be_listed;
    bool is_listing;   /* of all queues, in place of the page */
    const char *alone; /* what a GET of an uncounted queue has; "": it is gone; NULL: no GET */
};

static void take_one(const struct row *row, struct rabbitmq_lookup *lookup,
                     const struct rabbitmq_vhost *vhost)
{
    enum rabbitmq_lookup_result result;
    if (row->queues[0] == NULL)
        result = rabbitmq_lookup_take_listed(lookup, vhost, row->doubt);
    else {
        json_t *queue = json_loads(row->queues[0], 0, NULL);
        assert_non_null(queue);
        result = rabbitmq_lookup_take_queue(lookup, vhost, queue, row->doubt);
        json_decref(queue);
    }
    if (result == RABBITMQ_LOOKUP_LACKING)
        task_failf(lookup->task, LACKING);
}

/* "q", as the next is another queue. */
static char *name_queue(const char *queue, size_t number)
{
    static const char name[] = "\"name\":\"q\"";
    const char *found = strstr(queue, name);
    return found == NULL ? text_copy(queue)
                         : text_format("%.*s\"name\":\"q%zu\"%s", (int)(found - queue), queue,
                                       number, found + strlen(name));
}

static char *make_page(const struct row *row)
{
    struct text items = {0};
    size_t matches = row->unlisted;
    for (size_t i = 0; i < MAX_QUEUES && row->queues[i] != NULL; i++) {
        _cleanup_(memory_free) char *queue = name_queue(row->queues[i], i);
        matches += queue[0] != '\0';
        text_addf(&items, "%s%s", items.length > 0 ? "," : "", queue);
    }
    char *text = text_format("{\"filtered_count\":%zu,\"page_count\":%zu,\"items\":[%s]}", matches,
                             (matches + 499) / 500, items.length > 0 ? items.bytes : "");
    text_done(&items);
    return text;
}

static enum rabbitmq_lookup_result take_alone(const struct row *row, struct rabbitmq_lookup *lookup,
                                              const struct rabbitmq_vhost *vhost)
{
    if (row->alone == NULL) {
        task_failf(lookup->task, ALONE);
        return RABBITMQ_LOOKUP_ENDED;
    }
    json_t *queue = json_loads(row->alone, 0, NULL);
    enum rabbitmq_lookup_result result = rabbitmq_lookup_take_alone(lookup, vhost, queue);
    json_decref(queue);
    return result;
}

static void take_pattern(const struct row *row, struct rabbitmq_lookup *lookup,
                         const struct rabbitmq_vhost *vhost, bool is_listing)
{
    bool counted;
    _cleanup_(memory_free) char *text = make_page(row);
    _cleanup_(rabbitmq_matcher_free) struct rabbitmq_matcher *matcher = rabbitmq_matcher_new();
    enum rabbitmq_lookup_result result;
    json_t *page = json_loads(text, 0, NULL);
    json_t *other = json_loads(OTHER, 0, NULL);
    const json_t *queue;
    size_t i;
    assert_non_null(page);
    if (is_listing) {
        rabbitmq_lookup_begin_listing(lookup);
        json_array_foreach(json_object_get(page, "items"), i, queue)
            rabbitmq_lookup_match(lookup, matcher, vhost, queue);
        rabbitmq_lookup_match(lookup, matcher, vhost, other);
        result = rabbitmq_lookup_take_matched(lookup, vhost, row->doubt);
    } else
        result = rabbitmq_lookup_take_page(lookup, vhost, page, row->doubt, row->can_be_listed,
                                           &counted);
    json_decref(other);
    json_decref(page);
    while (result == RABBITMQ_LOOKUP_NEXT && lookup->is_alone)
        result = take_alone(row, lookup, vhost);
    if (result == RABBITMQ_LOOKUP_NEXT)
        task_failf(lookup->task, LISTED);
    if (result == RABBITMQ_LOOKUP_LACKING)
        task_failf(lookup->task, LACKING);
}

/* In place of the scaler's own: its client is a row. */
static bool take_answers(void *client, struct feed *feed, struct error *error)
{
    (void)error;
    const struct row *row = client;
    char name[] = "/";
    struct rabbitmq_vhost vhost = {.name = name, .keeps_rates = !row->keeps_no_rates};
    struct rabbitmq_lookup *list = NULL;
    struct rabbitmq_lookup *lookup = rabbitmq_lookup_new(feed_take(feed), row->source);
    bool is_pattern = lookup->query->use_regex;
    vhost.leaders = rabbitmq_leaders_new(false, clock_now_ms());
    vhost.rates = rabbitmq_rates_new();
    rabbitmq_lookup_move(lookup, &list);
    assert_int_equal(lookup->source, row->source);
    if (is_pattern)
        take_pattern(row, lookup, &vhost, row->is_listing);
    else
        take_one(row, lookup, &vhost);
    rabbitmq_lookup_drop(lookup);
    rabbitmq_leaders_free(vhost.leaders);
    rabbitmq_rates_free(vhost.rates);
    return true;
}

static void assert_answer(const struct row *row, const char *mode, bool is_pattern)
{
    struct scaler scaler = scaler_rabbitmq;
    struct error error = {0};
    struct trigger trigger =
        trigger_of(&scaler_rabbitmq,
                   PAIRS("host", "http://a:b@127.0.0.1:1/", "queueName", is_pattern ? "(?=q)" : "q",
                         "mode", mode, "value", "5", "useRegex", is_pattern ? "true" : "false"));
    scaler.measure = take_answers;
    assert_true(trigger.good);
    struct test_feed *feed = test_feed_new(&scaler);
    test_feed_add(feed, trigger.options.query, (struct notifier){0});
    assert_true(test_feed_run(feed, (void *)row, 1000, &error));
    if (row->error != NULL)
        assert_ended_with(feed, 0, TASK_FAILED, row->error);
    else
        assert_waiting(feed, 0, row->messages);
    test_feed_free(feed);
    trigger_done(&trigger);
}

/* A pattern is answered alike by a page and by a listing, but for queues that are not there. */
static void assert_row(const struct row *row, const char *mode, bool is_pattern)
{
    struct row listing = *row;
    listing.is_listing = true;
    assert_answer(row, mode, is_pattern);
    if (is_pattern && row->unlisted == 0)
        assert_answer(&listing, mode, true);
}

static void an_error_names_the_field_that_is_missing(void **state)
{
    (void)state;
#define FIELDS(more) "{\"name\":\"q\",\"type\":\"classic\"" more "}"
#define COUNTS ",\"messages_ready\":1,\"messages_unacknowledged\":1"
    static const struct {
        const char *mode, *queue, *words;
    } table[] = {
        {"QueueLength", FIELDS(""), "its messages_ready and messages_unacknowledged: it"},
        {"QueueLength", FIELDS(",\"messages_ready\":1"), "its messages_unacknowledged: it"},
        {"QueueLength", FIELDS(",\"messages_unacknowledged\":1"), "its messages_ready: it"},
        {"QueueLength", FIELDS(",\"messages_ready\":-1"), "its messages_ready and messages_un"},
        {"MessageRate", FIELDS(",\"messages_ready\":1"), "its messages_unacknowledged: it"},
        {"MessageRate", FIELDS(COUNTS ",\"message_stats\":{\"publish\":1}"),
         "its rates (message_stats.publish_details.rate): it"},
        {"MessageRate", FIELDS(COUNTS ",\"message_stats\":{\"deliver_get\":1}"),
         "its rates (message_stats.deliver_get_details.rate): it"},
    };
#undef FIELDS
#undef COUNTS
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct row row = {STATISTICS, BELIEVED, {table[i].queue}, table[i].words, 0};
        assert_row(&row, table[i].mode, false);
    }
}

static void a_queue_is_answered_by_what_is_known_of_its_zeros(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TOTALS, BELIEVED, {CLASSIC("0")}, NULL, 0},
        {TOTALS, CUT, {CLASSIC("0")}, NULL, 0}, /* others are missing */
        {TOTALS, BELIEVED, {NULL}, MISSING, 0},
        {TOTALS, CUT, {NULL}, LACKING, 0},
        {TOTALS, BELIEVED, {UNCOUNTED}, LACKING, 0},
        {TOTALS, BELIEVED, {QUORUM("0")}, LACKING, 0},
        {TOTALS, CUT, {QUORUM("3")}, NULL, 3},
        {STATISTICS, BELIEVED, {CLASSIC("0")}, NULL, 0},
        {STATISTICS, ZEROS, {CLASSIC("0")}, DOUBTED, 0},
        {STATISTICS, ZEROS, {CLASSIC("3")}, NULL, 3},
        {STATISTICS, BELIEVED, {NULL}, MISSING, 0},
        {STATISTICS, ZEROS, {NULL}, MISSING, 0},
        {STATISTICS, BELIEVED, {UNCOUNTED}, INCOMPLETE, 0},
        {STATISTICS, ZEROS, {UNCOUNTED}, INCOMPLETE, 0},
        {STATISTICS, BELIEVED, {QUORUM("0")}, UNSETTLED, 0},
        {STATISTICS, ZEROS, {QUORUM("0")}, UNSETTLED, 0},
        {STATISTICS, BELIEVED, {REPORTED("0")}, NULL, 0},
        {STATISTICS, ZEROS, {REPORTED("0")}, DOUBTED, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_row(&rows[i], "QueueLength", false);
}

/* They are 0, as it has none. */
static void rates_are_doubted_too(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {STATISTICS, BELIEVED, {CLASSIC("3")}, NULL, 3},
        {STATISTICS, ZEROS, {CLASSIC("3")}, DOUBTED, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (int is_pattern = 0; is_pattern <= 1; is_pattern++)
            assert_row(&rows[i], "MessageRate", is_pattern == 1);
}

static void rates_that_the_broker_does_not_keep_are_unknown(void **state)
{
    (void)state;
    static const struct row row = {STATISTICS, BELIEVED, {CLASSIC("3")},
                                   RATELESS,   0,        .keeps_no_rates = true};
    for (int is_pattern = 0; is_pattern <= 1; is_pattern++)
        assert_row(&row, "MessageRate", is_pattern == 1);
}

/* Its statistics lack it for seconds. */
static void a_new_queue_of_a_pattern_has_a_get_of_its_own(void **state)
{
    (void)state;
#define NEW                                                                                        \
    STATISTICS, BELIEVED,                                                                          \
    {                                                                                              \
        CLASSIC("3"), UNCOUNTED                                                                    \
    }
    static const struct row rows[] = {
        {NEW, NULL, 7, .alone = CLASSIC("4")},
        {NEW, NULL, 3, .alone = CLASSIC("0")},
        {NEW, NULL, 3, .alone = ""},
        {NEW, "queue 'q1': " INCOMPLETE, 0, .alone = UNCOUNTED},
        {NEW, "queue 'q1': " INCOMPLETE, 0, .alone = QUORUM("0")},
        {STATISTICS, BELIEVED, {UNCOUNTED}, NULL, 0, .alone = CLASSIC("0")},
        {STATISTICS, BELIEVED, {UNCOUNTED, UNCOUNTED}, NULL, 8, .alone = CLASSIC("4")},
    };
#undef NEW
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_row(&rows[i], "QueueLength", true);
        assert_row(&rows[i], "MessageRate", true);
    }
}

static void a_pattern_is_answered_by_the_worst_of_its_queues(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TOTALS, BELIEVED, {CLASSIC("3"), CLASSIC("0")}, NULL, 3},
        {TOTALS, BELIEVED, {CLASSIC("0"), CLASSIC("0")}, LACKING, 0},
        {TOTALS, CUT, {CLASSIC("3"), CLASSIC("3")}, LACKING, 0},
        {TOTALS, BELIEVED, {CLASSIC("3"), UNCOUNTED}, LACKING, 0},
        {TOTALS, BELIEVED, {CLASSIC("3"), QUORUM("0")}, LACKING, 0},
        {STATISTICS, BELIEVED, {CLASSIC("0"), CLASSIC("3")}, NULL, 3},
        {STATISTICS, ZEROS, {CLASSIC("2"), CLASSIC("3")}, NULL, 5},
        {STATISTICS, ZEROS, {CLASSIC("0"), CLASSIC("3")}, DOUBTED, 0},
        {STATISTICS, ZEROS, {CLASSIC("3"), CLASSIC("0")}, DOUBTED, 0},
        {STATISTICS, BELIEVED, {CLASSIC("3"), UNCOUNTED}, ALONE, 0},
        {STATISTICS, BELIEVED, {CLASSIC("3"), QUORUM("0")}, UNSETTLED, 0},
        {STATISTICS, BELIEVED, {CLASSIC("3"), REPORTED("0")}, NULL, 3},
        {STATISTICS, BELIEVED, {""}, NULL, 0}, /* nothing matches */
        {STATISTICS, ZEROS, {""}, NULL, 0},
        {TOTALS, BELIEVED, {""}, LACKING, 0},
        {TOTALS, BELIEVED, {CLASSIC("3")}, NULL, 3, .unlisted = 1},
        {TOTALS, BELIEVED, {CLASSIC("0")}, LACKING, 0, .unlisted = 1},
        {STATISTICS, BELIEVED, {""}, UNLISTED "0 of the 5", 0, .unlisted = 5},
        {STATISTICS, BELIEVED, {CLASSIC("0")}, UNLISTED "1 of the 2", 0, .unlisted = 1},
        {STATISTICS, BELIEVED, {CLASSIC("3")}, UNLISTED "1 of the 500", 0, .unlisted = 499},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_row(&rows[i], "QueueLength", true);
}

static void more_queues_than_a_page_has_are_listed_where_that_can_be(void **state)
{
    (void)state;
    static const char too_many[] = "10001 queues: at most 10000";
    static const struct row rows[] = {
        {TOTALS, BELIEVED, {CLASSIC("3")}, LISTED, 0, .unlisted = 500, .can_be_listed = true},
        {STATISTICS, BELIEVED, {CLASSIC("3")}, LISTED, 0, .unlisted = 500, .can_be_listed = true},
        {STATISTICS, BELIEVED, {CLASSIC("3")}, PAGES, 0, .unlisted = 500},
        {STATISTICS, BELIEVED, {CLASSIC("3")}, too_many, 0, .unlisted = 10000},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_row(&rows[i], "QueueLength", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_names_the_field_that_is_missing),
        cmocka_unit_test(a_queue_is_answered_by_what_is_known_of_its_zeros),
        cmocka_unit_test(rates_are_doubted_too),
        cmocka_unit_test(rates_that_the_broker_does_not_keep_are_unknown),
        cmocka_unit_test(a_pattern_is_answered_by_the_worst_of_its_queues),
        cmocka_unit_test(more_queues_than_a_page_has_are_listed_where_that_can_be),
        cmocka_unit_test(a_new_queue_of_a_pattern_has_a_get_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
