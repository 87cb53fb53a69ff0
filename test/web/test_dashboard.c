/* The dashboard's figures and updates, also where the server's loop is busy. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "web/content/live_tables.h"
#include "web/http/page.h"
#include "web/pages.h"
#include "web/pages/dashboard.h"
#include "web/pages/server_figures.h"

#include <math.h>
#include <string.h>

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
    void *reader = live_tables_stream.opened(tables, false);
    live_tables_stream.update(tables);
    assert_true(isnan(figure_of_server(dashboard, "triggers")));
    loop.is_busy = false;
    assert_true(figure_of_server(dashboard, "triggers") == 1);
    live_tables_stream.closed(tables, reader);
    dashboard_free(dashboard);
}

static json_t *count_workers(void *context)
{
    const bool *is_busy = context;
    return *is_busy ? NULL : json_pack("{s:i}", "running", 3);
}

/* Without it they would be taken for those of a server that lists no workers. */
static void figures_have_the_number_of_workers_or_are_not_given(void **state)
{
    (void)state;
    bool is_busy = true;
    struct dashboard *dashboard =
        dashboard_new(&(struct dashboard_settings){.walk = walk_of_triggers(NULL),
                                                   .engine = engine,
                                                   .hello = "{}",
                                                   .count_calls = no_calls,
                                                   .count_workers = count_workers,
                                                   .context = &is_busy});
    struct live_tables *tables = dashboard_tables(dashboard);
    void *reader = live_tables_stream.opened(tables, false);
    _cleanup_(text_done) struct text piece = {0};
    assert_true(live_tables_stream.update(tables) >= 5000);
    assert_false(live_tables_stream.write(tables, reader, &piece));
    assert_int_equal(piece.length, 0);
    assert_true(isnan(figure_of_server(dashboard, "triggers")));
    is_busy = false;
    assert_in_range(live_tables_stream.update(tables), 1000, 4999);
    live_tables_stream.write(tables, reader, &piece);
    assert_non_null(strstr(piece.bytes, "\"workers\":{\"running\":3}"));
    assert_true(figure_of_server(dashboard, "triggers") == 0);
    live_tables_stream.closed(tables, reader);
    dashboard_free(dashboard);
}

/* A busy loop takes seconds for the turns of a walk: what the first one counted is as old. */
static void no_figure_is_taken_before_their_time(void **state)
{
    (void)state;
    enum { TURN_MS = 200, ROUNDING_MS = 10 };
    FIND_NOW(JOBS);
    struct fake_loop loop = {.wait_us = TURN_MS * 1000};
    struct dashboard *dashboard = dashboard_new(&(struct dashboard_settings){
        .walk = walk_of_triggers(&loop), .engine = engine, .hello = "{}", .count_calls = no_calls});
    double time = figure_of_server(dashboard, "time");
    assert_true(time <= clock_unix_s(clock_now_ms() - TURN_MS + ROUNDING_MS));

    struct live_tables *tables = dashboard_tables(dashboard);
    void *reader = live_tables_stream.opened(tables, false);
    live_tables_stream.update(tables);
    double updated = clock_unix_s(clock_now_ms());
    usleep(TURN_MS * 1000);
    assert_true(figure_of_server(dashboard, "time") <= updated); /* the totals are of then */
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
    void *reader = live_tables_stream.opened(tables, false);
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
    const int64_t began_ms = clock_now_ms();
    struct trigger_totals totals = {.at_ms = began_ms};
    uint64_t calls = 0;
    struct server_figures *figures = server_figures_new(engine, many_calls, &calls);
    json_decref(server_figures_json(figures, &totals));
    totals.at_ms += 10000;
    usleep(1000 * 1000);
    json_t *later = server_figures_json(figures, &totals);
    assert_true(number_of(later, "callsPerSecond") > 100);
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
        int64_t now_ms = began_ms + i * (int64_t)EVERY_MS;
        const struct trigger_totals totals = {.at_ms = now_ms, .active = (size_t)i};
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

/* The time of a point of the trend. */
static double time_of_point(const json_t *trend, size_t index)
{
    const json_t *columns = json_object_get(trend, "columns");
    const json_t *row = json_array_get(json_object_get(trend, "rows"), index);
    size_t column = 0;
    while (!text_equal(json_string_value(json_array_get(columns, column)), "time"))
        column++;
    return json_number_value(json_array_get(row, column));
}

/* Where the tables of many triggers are updated more rarely than a point is due, it is due twice
 * with the same totals. */
static void no_two_points_of_the_trend_have_the_same_time(void **state)
{
    (void)state;
    enum { EVERY_MS = 15000, TICK_MS = 1000, UPDATE_MS = 20000 };
    const int64_t began_ms = clock_now_ms();
    struct trigger_totals totals = {.at_ms = began_ms};
    struct server_figures *figures = server_figures_new(engine, no_calls, NULL);
    server_figures_add_point(figures, &totals, began_ms);
    server_figures_add_point(figures, &totals, began_ms + EVERY_MS);
    assert_true(server_figures_is_point_due(figures, began_ms + EVERY_MS + TICK_MS));
    totals.at_ms += UPDATE_MS;
    server_figures_add_point(figures, &totals, began_ms + UPDATE_MS + TICK_MS);
    assert_false(server_figures_is_point_due(figures, began_ms + UPDATE_MS + EVERY_MS));
    json_t *trend = server_figures_trend_json(figures);
    assert_int_equal(json_array_size(json_object_get(trend, "rows")), 2);
    assert_true(time_of_point(trend, 1) > time_of_point(trend, 0));
    json_decref(trend);
    server_figures_free(figures);
}

/* ---- what is new ---- */

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
    void *reader = live_tables_stream.opened(tables, false);
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

int main(void)
{
    recent_log_start();
    const struct CMUnitTest tests[] = {
        TEST(figures_are_of_all_triggers_or_not_given),
        TEST(figures_have_the_number_of_workers_or_are_not_given),
        TEST(no_figure_is_taken_before_their_time),
        TEST(calls_are_counted_at_most_about_once_per_second),
        TEST(a_point_that_cannot_be_counted_is_missing_in_the_trend),
        TEST(an_update_that_failed_is_tried_again_after_seconds),
        TEST(rates_are_of_the_time_since_they_were_taken_not_since_the_totals_began),
        TEST(the_trend_has_the_points_of_the_last_hour),
        TEST(no_two_points_of_the_trend_have_the_same_time),
        TEST(a_row_whose_time_is_nearly_the_next_tenth_is_sent_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
