/* Pages of many triggers: lists, sums and rows, and what bounds them. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "web/content/live_tables.h"
#include "web/http/page.h"
#include "web/pages.h"
#include "web/pages/dashboard.h"
#include "web/pages/explain.h"
#include "web/pages/history_page.h"
#include "web/pages/server_figures.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

/* What a list's request with these parameters returns; the caller frees it. NULL: it was refused.
 */
static json_t *list_of(const char *parameters)
{
    struct page_response response = {0};
    struct evkeyvalq parsed = {0};
    evhttp_parse_query_str(parameters, &parsed);
    const struct page_request request = {.parameters = &parsed};
    explain_list((void *)walk_of_triggers(NULL), &request, &response);
    evhttp_clear_headers(&parsed);
    json_t *page = response.code >= 400 ? NULL : json_loads(response.body.bytes, 0, NULL);
    assert_true(response.code >= 400 || page != NULL);
    text_done(&response.body);
    return page;
}

/* The only trigger of the page; 0: it has none. */
static uint64_t id_on(const char *parameters, bool *ret_has_more)
{
    json_t *page = list_of(parameters);
    const json_t *list = json_object_get(page, "triggers");
    assert_in_range(json_array_size(list), 0, 1);
    json_int_t id = json_integer_value(json_object_get(json_array_get(list, 0), "id"));
    *ret_has_more = json_is_true(json_object_get(page, "hasMore"));
    json_decref(page);
    return (uint64_t)id;
}

/* The table holds three. */
static void a_page_goes_on_behind_the_last_row_where_earlier_ones_are_gone(void **state)
{
    (void)state;
    uint64_t ids[4];
    bool has_more = false;
    for (int i = 0; i < 3; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        ids[i] = find_in("shop", i,
                         (const char *const[]){"scaler", "fake", "source", "a", "queueName", queue,
                                               NULL})
                     ->id;
    }
    assert_int_equal(id_on("limit=1", &has_more), ids[0]);
    assert_true(has_more);
    const int64_t hour_ms = 3600000;
    ids[3] = find_in("shop", hour_ms, (const char *const[]){GOOD, NULL})->id;
    for (size_t i = 1; i < 4; i++) {
        _cleanup_(memory_free) char *next =
            text_format("limit=1&after=%llu", (unsigned long long)ids[i - 1]);
        assert_int_equal(id_on(next, &has_more), ids[i]);
        assert_int_equal(has_more, i < 3);
    }
}

static void a_page_without_rows_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"limit=0",  "limit=",   "limit=all",
                                        "after=-1", "after=7x", "limit=99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_null(list_of(wrong[i]));
}

/* ---- sums ---- */

static int times_counted;

static uint64_t no_calls(void *context)
{
    (void)context;
    times_counted++;
    return 0;
}

/* NAN: it was refused, or has no such figure. */
static double figure_of_server(struct dashboard *dashboard, const char *name)
{
    const struct page_request request = {0};
    struct page_response response = {0};
    dashboard_server(dashboard, &request, &response);
    json_t *object = response.code >= 400 ? NULL : json_loads(response.body.bytes, 0, NULL);
    assert_true(response.code >= 400 || object != NULL);
    double figure = number_of(object, name);
    json_decref(object);
    text_done(&response.body);
    return figure;
}

/* A sum over some triggers would be taken for that over all. */
static void figures_are_of_all_triggers_or_not_given(void **state)
{
    (void)state;
    FIND_NOW(JOBS);
    struct fake_loop loop = {.is_busy = true};
    struct dashboard *dashboard = dashboard_new(&(struct dashboard_settings){
        .walk = walk_of_triggers(&loop), .engine = engine, .hello = "{}", .count_calls = no_calls});
    struct live_tables *tables = dashboard_tables(dashboard);
    void *reader = live_tables_stream.opened(tables);
    live_tables_stream.update(tables);
    assert_true(isnan(figure_of_server(dashboard, "triggers")));
    loop.is_busy = false;
    assert_true(figure_of_server(dashboard, "triggers") == 1);
    live_tables_stream.closed(tables, reader);
    dashboard_free(dashboard);
}

/* Counting them takes a turn of the loop, and over a short time a rate says little. */
static void calls_are_counted_at_most_about_once_per_second(void **state)
{
    (void)state;
    struct dashboard *dashboard = dashboard_new(&(struct dashboard_settings){
        .walk = walk_of_triggers(NULL), .engine = engine, .hello = "{}", .count_calls = no_calls});
    int64_t began_ms = clock_now_ms();
    times_counted = 0;
    for (int i = 0; i < 10; i++)
        figure_of_server(dashboard, "callsPerSecond");
    assert_in_range(times_counted, 1, 1 + (clock_now_ms() - began_ms) / 900);
    dashboard_free(dashboard);
}

/* ---- a walk that fails ---- */

/* No other page is written while it waits for turns: not in each second. */
static void a_point_that_cannot_be_counted_is_missing_in_the_trend(void **state)
{
    (void)state;
    struct fake_loop loop = {.is_busy = true};
    struct dashboard *dashboard = dashboard_new(&(struct dashboard_settings){
        .walk = walk_of_triggers(&loop), .engine = engine, .hello = "{}", .count_calls = no_calls});
    dashboard_tick(dashboard);
    assert_int_equal(loop.turns, 1);
    dashboard_tick(dashboard);
    assert_int_equal(loop.turns, 1);
    dashboard_free(dashboard);
}

static void an_update_that_failed_is_tried_again_after_seconds(void **state)
{
    (void)state;
    struct fake_loop loop = {.is_busy = true};
    struct dashboard *dashboard = dashboard_new(&(struct dashboard_settings){
        .walk = walk_of_triggers(&loop), .engine = engine, .hello = "{}", .count_calls = no_calls});
    struct live_tables *tables = dashboard_tables(dashboard);
    void *reader = live_tables_stream.opened(tables);
    assert_true(live_tables_stream.update(tables) >= 5000);
    loop.is_busy = false;
    assert_in_range(live_tables_stream.update(tables), 1000, 4999);
    live_tables_stream.closed(tables, reader);
    dashboard_free(dashboard);
}

/* ---- the trend ---- */

static uint64_t many_calls(void *context)
{
    return *(uint64_t *)context += 1000;
}

/* Which may have been ten seconds ago, where the server's loop is busy. */
static void rates_are_of_the_time_since_they_were_taken_not_since_the_totals_began(void **state)
{
    (void)state;
    const struct trigger_totals totals = {0};
    const int64_t began_ms = clock_now_ms();
    uint64_t calls = 0;
    struct server_figures *figures = server_figures_new(engine, many_calls, &calls);
    json_decref(server_figures_json(figures, &totals, began_ms));
    json_t *later = server_figures_json(figures, &totals, began_ms + 10000);
    const json_t *rate = json_object_get(later, "callsPerSecond");
    assert_true(json_is_null(rate) || json_number_value(rate) > 100);
    json_decref(later);
    server_figures_free(figures);
}

/* Which starts with the oldest, and has a point less where one was skipped. */
static void the_trend_has_the_points_of_the_last_hour(void **state)
{
    (void)state;
    enum { EVERY_MS = 15000, POINTS = 240, ALL = POINTS + 3, SKIPPED = ALL - 2 };
    const int64_t began_ms = clock_now_ms();
    struct server_figures *figures = server_figures_new(engine, no_calls, NULL);
    for (int i = 0; i <= ALL; i++) {
        const struct trigger_totals totals = {.active = (size_t)i};
        int64_t now_ms = began_ms + i * (int64_t)EVERY_MS;
        assert_true(server_figures_is_point_due(figures, now_ms));
        if (i == SKIPPED)
            server_figures_skip_point(figures, now_ms);
        else
            server_figures_add_point(figures, &totals, now_ms);
        assert_false(server_figures_is_point_due(figures, now_ms + EVERY_MS - 1));
    }
    json_t *trend = server_figures_trend_json(figures);
    const json_t *columns = json_object_get(trend, "columns");
    const json_t *rows = json_object_get(trend, "rows");
    assert_int_equal(json_array_size(rows), POINTS);
    for (size_t column = 0; column < json_array_size(columns); column++) {
        if (!text_equal(json_string_value(json_array_get(columns, column)), "active"))
            continue;
        for (int row = 0; row < POINTS; row++) {
            int added = row + ALL - POINTS + (row + ALL - POINTS >= SKIPPED);
            const json_t *active = json_array_get(json_array_get(rows, (size_t)row), column);
            assert_true(json_number_value(active) == added);
        }
    }
    json_decref(trend);
    server_figures_free(figures);
}

/* ---- rows ---- */

/* Of the only trigger; the caller frees it. */
static char *fixed_part(void)
{
    static const char key[] = "\"fixed\":";
    struct trigger_totals totals;
    _cleanup_(text_done) struct text rows = read_rows(&totals);
    const char *begin = strstr(rows.bytes, key);
    assert_non_null(begin);
    json_t *fixed = json_loads(begin + strlen(key), JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(fixed);
    char *text = json_dumps(fixed, JSON_SORT_KEYS);
    json_decref(fixed);
    return text;
}

/* Readers have it from before: it is not sent again when the trigger is parsed again. */
static void the_fixed_part_of_a_row_is_that_without_a_connection(void **state)
{
    (void)state;
    static const char *const triggers_of[][12] = {
        {ORDERS, NULL},
        {ORDERS, "steps", "1=1, 10=5", NULL},
        {ORDERS, "queueLength", "none", "misspelt", "1", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(triggers_of); i++) {
        set_connections("connections: {}\n");
        triggers_expire(triggers, clock_now_ms() + 5000);
        const struct trigger *trigger = find_now(triggers_of[i]);
        assert_true(error_is_set(&trigger->parsed.mistakes));
        _cleanup_(memory_free) char *before = fixed_part();
        set_connections(connections_yaml);
        assert_int_equal(error_is_set(&trigger->parsed.mistakes), i == 2);
        _cleanup_(memory_free) char *after = fixed_part();
        assert_string_equal(before, after);
    }
}

static double date_offset_ms; /* 0: that of the machine */

double __real_clock_unix_offset_ms(void);
double __wrap_clock_unix_offset_ms(void);
double __wrap_clock_unix_offset_ms(void)
{
    return date_offset_ms > 0 ? date_offset_ms : __real_clock_unix_offset_ms();
}

/* What the reader is sent after an update. The caller ends it. */
static struct text next_piece(struct live_tables *tables, void *reader)
{
    struct text piece = {0};
    live_tables_stream.update(tables);
    while (live_tables_stream.write(tables, reader, &piece))
        ;
    return piece;
}

/* A row has tenths of a second, and the offset of the date is not the same to a millisecond. */
static void a_row_whose_time_is_nearly_the_next_tenth_is_sent_once(void **state)
{
    (void)state;
    static const struct {
        int later_ms;
        bool is_sent;
    } offsets[] = {{0, true}, {1, false}, {-1, false}, {2, false}, {5000, true}, {4999, false}};
    struct trigger *trigger = FIND_NOW(GOOD);
    query_of(trigger);
    wait_until_measured(trigger);
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(trigger->bound.query, &now);
    struct dashboard *dashboard = dashboard_new(&(struct dashboard_settings){
        .walk = walk_of_triggers(NULL), .engine = engine, .hello = "{}", .count_calls = no_calls});
    struct live_tables *tables = dashboard_tables(dashboard);
    void *reader = live_tables_stream.opened(tables);
    for (size_t i = 0; i < ARRAY_LENGTH(offsets); i++) {
        const int64_t last_of_a_tenth_ms = 1790000000099;
        date_offset_ms = (double)(last_of_a_tenth_ms - now.known.sent_ms + offsets[i].later_ms);
        _cleanup_(text_done) struct text piece = next_piece(tables, reader);
        bool is_sent = strstr(piece.bytes, "\"table\":\"triggers\"") != NULL;
        if (is_sent != offsets[i].is_sent)
            fail_msg("an offset of %d ms more: %s", offsets[i].later_ms, piece.bytes);
    }
    date_offset_ms = 0;
    live_tables_stream.closed(tables, reader);
    dashboard_free(dashboard);
}

/* ---- what bounds them ---- */

static struct triggers *table_of(size_t max, bool has_rows)
{
    return triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                    .engine = engine,
                                                    .forget_ms = 1000,
                                                    .max_inline = 1,
                                                    .max = max,
                                                    .max_bytes = 8 << 20,
                                                    .has_rows = has_rows});
}

/* Of one object three times as many as a page of it shows, in a table of their own. Returns the one
 * that came last. */
static const struct trigger *find_many(void)
{
    enum { TRIGGERS = 3 * TRIGGER_WALK_PER_OBJECT };
    const struct trigger *last = NULL;
    triggers = table_of(TRIGGERS, false);
    for (int i = 1; i <= TRIGGERS; i++) {
        _cleanup_(memory_free) char *length = text_format("%d", i);
        last = FIND_NOW(JOBS, "queueLength", length);
    }
    return last;
}

/* An edit makes a new trigger, and one that is reverted an old one again. */
static void the_pages_of_an_object_show_what_keda_calls_for_now(void **state)
{
    (void)state;
    struct triggers *usual = triggers;
    const struct trigger *edited = find_many();
    json_decref(page_of(edited, explain_one, NULL));
    json_decref(page_of(edited, history_page, "triggers"));
    const struct trigger *reverted = FIND_NOW(JOBS, "queueLength", "1");
    assert_true(reverted->id < edited->id);
    json_decref(page_of(reverted, explain_one, NULL));
    json_decref(page_of(reverted, history_page, "triggers"));
    triggers_free(triggers);
    triggers = usual;
}

/* The page of the object is requested, while the loop is so. */
static void explain_worker(struct fake_loop *loop, struct page_response *response)
{
    char namespace[] = "shop";
    char name[] = "worker";
    struct evkeyvalq none = {0};
    const struct page_request request = {
        .below = {namespace, name}, .below_count = 2, .parameters = &none};
    explain_one((void *)walk_of_triggers(loop), &request, response);
}

/* Anybody can call with other metadata: what the page does not show costs no turn of the loop. */
static void a_page_of_one_object_takes_turns_for_what_it_shows(void **state)
{
    (void)state;
    struct triggers *usual = triggers;
    struct fake_loop loop = {0};
    struct page_response response = {.code = 200};
    find_many();
    explain_worker(&loop, &response);
    assert_int_equal(response.code, 200);
    assert_in_range(loop.turns, TRIGGER_WALK_PER_OBJECT, 2 * TRIGGER_WALK_PER_OBJECT);
    text_done(&response.body);
    triggers_free(triggers);
    triggers = usual;
}

/* Each turn comes in time, but no other page is written until all have come. */
static void a_page_does_not_wait_for_many_late_turns(void **state)
{
    (void)state;
    enum { LATE_US = 1100000, TRIGGERS = 5, TURNS = 3 }; /* of 5 */
    struct fake_loop loop = {.wait_us = LATE_US};
    struct page_response response = {0};
    struct triggers *usual = triggers;
    triggers = table_of(TRIGGERS, false);
    for (int i = 1; i <= TRIGGERS; i++) {
        _cleanup_(memory_free) char *length = text_format("%d", i);
        FIND_NOW(JOBS, "queueLength", length);
    }
    explain_worker(&loop, &response);
    assert_int_equal(response.code, 503);
    assert_true(loop.turns <= TURNS);
    text_done(&response.body);
    triggers_free(triggers);
    triggers = usual;
}

/* What a table of its own takes for the trigger, with rows and without. */
static size_t bytes_of(bool has_rows, const char *const *pairs, const char *namespace)
{
    struct triggers *usual = triggers;
    triggers = table_of(3, has_rows);
    size_t bytes = find_in(namespace, 0, pairs)->bytes;
    triggers_free(triggers);
    triggers = usual;
    return bytes;
}

/* The memory of rows is bounded as the triggers' is. */
static void rows_count_as_memory_of_their_triggers(void **state)
{
    (void)state;
    enum {
        LONG = 1000,
        LONGEST_NAME = 253,
        PLACE = 80 + 2 * 16 /* in the table, and two pieces of the heap */
    };
    char text[LONG + 1] = {0};
    char name[LONGEST_NAME + 1] = {0};
    struct trigger_totals totals;
    memset(text, '"', LONG);
    memset(name, 'n', LONGEST_NAME);
    const char *const pairs[][10] = {
        {GOOD, NULL},
        {"scaler", "fake", "source", "down", "queueName", text, NULL},
        {"scaler", "fake", "source", "a", "queueName", text, "queueLength", text, NULL},
        {"scaler", "fake", "connectionName", text, "queueName", text, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        const char *namespace = i == 0 ? "shop" : name;
        struct trigger *trigger = find_in(namespace, (int64_t)i * 10000, pairs[i]);
        if (i == 0)
            query_of(trigger), wait_until_measured(trigger);
        _cleanup_(text_done) struct text with = read_rows(&totals);
        triggers_expire(triggers, (int64_t)i * 10000 + 5000);
        _cleanup_(text_done) struct text without = read_rows(&totals);
        size_t row = with.length - without.length;
        size_t counted = bytes_of(true, pairs[i], namespace) - bytes_of(false, pairs[i], namespace);
        if (row + PLACE > counted || counted > row + 2048)
            fail_msg("trigger %zu: a row of %zu bytes counts as %zu", i, row, counted);
    }
}

/* ---- sums while triggers change ---- */

enum { MORE_THAN_A_TURN = 600 };

/* More triggers than a walk visits in one turn: they have mistakes, and count for no sum. */
static void fill_a_turn(int64_t now_ms)
{
    for (int i = 0; i < MORE_THAN_A_TURN; i++) {
        _cleanup_(memory_free) char *number = text_format("%d", i);
        find_in("other", now_ms, (const char *const[]){"scaler", "none", "number", number, NULL});
    }
}

static void (*after_turn)(void); /* is called once, in a walk; NULL: it was */

static bool run_and_change(void *context, void (*call)(void *call_context), void *call_context)
{
    (void)context;
    call(call_context);
    void (*change)(void) = TAKE(after_turn);
    if (change != NULL)
        change();
    return true;
}

/* The sums of a walk after whose first turn this happens. */
static struct trigger_totals count_with(void (*change)(void))
{
    struct trigger_walk walk = {.triggers = triggers, .run = run_and_change};
    struct trigger_rows *rows = trigger_rows_new(NULL);
    after_turn = change;
    assert_true(trigger_rows_count(rows, &walk));
    assert_null(after_turn);
    struct trigger_totals totals = *trigger_rows_totals(rows);
    trigger_rows_free(rows);
    return totals;
}

static void no_change(void)
{
}

static void rotate_credentials(void)
{
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
}

/* One of its triggers was visited before, the other one is after. */
static void a_query_counts_once_while_its_credentials_are_rotated(void **state)
{
    (void)state;
    const char *const pairs[] = {ORDERS, NULL};
    struct triggers *usual = triggers;
    triggers = table_of(MORE_THAN_A_TURN + 2, false);
    set_connections(connections_yaml);
    struct trigger *first = find_now(pairs);
    const struct query *former = query_of(first);
    wait_until_measured(first);
    fill_a_turn(clock_now_ms());
    struct trigger *last = find_in("billing-a", clock_now_ms(), pairs);
    assert_ptr_equal(query_of(last), former);
    struct trigger_totals totals = count_with(rotate_credentials);
    assert_ptr_not_equal(last->bound.query, former);
    assert_true(totals.has_waiting && totals.waiting == 7);
    triggers_free(triggers);
    triggers = usual;
}

/* The only trigger of an object is dropped, and the object is there again with other metadata. */
static void replace_first(void)
{
    size_t count = triggers_count(triggers);
    int64_t now_ms = clock_now_ms();
    triggers_expire(triggers, now_ms);
    assert_int_equal(triggers_count(triggers), count - 1);
    struct trigger *again =
        find_in("shop", now_ms, (const char *const[]){ORDERS, "queueLength", "2", NULL});
    query_of(again);
    wait_until_measured(again);
}

static void an_object_counts_once_though_it_is_made_again(void **state)
{
    (void)state;
    enum { LONG_AGO_MS = 5000, FAR_MS = 3600 * 1000 };
    int64_t now_ms = clock_now_ms();
    struct triggers *usual = triggers;
    triggers = table_of(MORE_THAN_A_TURN + 1, false);
    set_connections(connections_yaml);
    struct trigger *first =
        find_in("shop", now_ms - LONG_AGO_MS, (const char *const[]){ORDERS, NULL});
    query_of(first);
    wait_until_measured(first);
    fill_a_turn(now_ms + FAR_MS);
    double replicas = count_with(replace_first).replicas;
    assert_true(replicas > 0 && replicas == count_with(no_change).replicas);
    triggers_free(triggers);
    triggers = usual;
}

int main(void)
{
    recent_log_start();
    const struct CMUnitTest tests[] = {
        TEST(a_page_goes_on_behind_the_last_row_where_earlier_ones_are_gone),
        TEST(a_page_without_rows_is_refused),
        TEST(figures_are_of_all_triggers_or_not_given),
        TEST(calls_are_counted_at_most_about_once_per_second),
        TEST(a_point_that_cannot_be_counted_is_missing_in_the_trend),
        TEST(an_update_that_failed_is_tried_again_after_seconds),
        TEST(rates_are_of_the_time_since_they_were_taken_not_since_the_totals_began),
        TEST(the_trend_has_the_points_of_the_last_hour),
        TEST(the_fixed_part_of_a_row_is_that_without_a_connection),
        TEST(a_row_whose_time_is_nearly_the_next_tenth_is_sent_once),
        TEST(a_page_does_not_wait_for_many_late_turns),
        TEST(the_pages_of_an_object_show_what_keda_calls_for_now),
        TEST(a_page_of_one_object_takes_turns_for_what_it_shows),
        TEST(rows_count_as_memory_of_their_triggers),
        TEST(a_query_counts_once_while_its_credentials_are_rotated),
        TEST(an_object_counts_once_though_it_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
