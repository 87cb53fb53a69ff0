/* What a connection promises, one event after the other. Time is a number that the test moves, and
 * the test is the scaler. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"
#include "measure/connection/connection.h"
#include "measure/connection/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BEGAN_MS = 100000, HOUR_MS = 3600000 };

struct item_options {
    const char *name;
};

static const struct option options[] = {
    {.key = "item",
     .scope = OPTION_QUERY,
     .type = OPTION_STRING,
     OPTION_FIELD(struct item_options, name)},
    {0},
};

static const struct scaler scaler = {
    .name = "test",
    .options = options,
    .sizes = {0, sizeof(struct item_options), 0},
    .subscribes = true,
};

static uint32_t no_jitter(uint32_t below)
{
    return below - 1;
}

static int news;

static void count_news(void *context, struct watcher *watcher)
{
    (void)context;
    (void)watcher;
    news++;
}

static const struct connection_settings settings = {.interval_ms = 5000,
                                                    .timeout_ms = 2000,
                                                    .backoff_min_ms = 250,
                                                    .backoff_max_ms = 5000,
                                                    .jitter = no_jitter,
                                                    .ready = count_news};

static struct connection connection;
static int64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    now_ms = BEGAN_MS;
    news = 0;
    memset(&connection, 0, sizeof(connection));
    connection_init(&connection, &settings, &scaler, now_ms);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    connection_done(&connection);
    return 0;
}

/* ---- what happens ---- */

static struct query *hold_each(const char *item, int64_t interval_ms)
{
    const char *texts[] = {item};
    struct option_values *values =
        option_values_new(options, sizeof(struct item_options), OPTION_QUERY, texts);
    struct query *query = connection_query(&connection, values, NULL);
    option_values_free(values);
    connection_hold(query, interval_ms, now_ms);
    return query;
}

static struct query *hold(const char *item)
{
    return hold_each(item, 0);
}

static void demand(struct query *query)
{
    connection_demand(query, now_ms, now_ms);
}

static void connect_now(void)
{
    assert_true(connection_wants_client(&connection, now_ms));
    connection_connecting(&connection);
    connection_connected(&connection, now_ms);
}

static struct query *take(void)
{
    return connection_take(&connection, now_ms * 1000);
}

static void answer(struct query *query, double value)
{
    struct reading reading = READING_UNKNOWN;
    reading.value = value;
    query->task.has_ended = true;
    connection_end(query, TASK_ANSWERED, &reading, NULL, now_ms * 1000);
}

static void end_with(struct query *query, enum task_outcome outcome, const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "%s", words);
    query->task.has_ended = true;
    connection_end(query, outcome, NULL, &error, now_ms * 1000);
}

static void lose(const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "%s", words);
    connection_lost(&connection, &error, now_ms);
}

static void refuse(void)
{
    _cleanup_(error_done) struct error error = {0};
    assert_true(connection_wants_client(&connection, now_ms));
    connection_connecting(&connection);
    error_unavailable(&error, "refused");
    connection_refused(&connection, &error, now_ms);
}

/* Demanded, sent and answered, on a client that is made where there is none. */
static void measure(struct query *query, double value)
{
    demand(query);
    if (connection.state != CONNECTED)
        connect_now();
    assert_ptr_equal(take(), query);
    answer(query, value);
}

static bool fails(const struct query *query, const char *words)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    connection_snapshot(query, now_ms, &snapshot);
    return snapshot.last_attempt == ATTEMPT_FAILED &&
           strstr(error_text(&snapshot.error), words) != NULL;
}

static double value_of(const struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    connection_snapshot(query, now_ms, &snapshot);
    return snapshot.last_attempt == ATTEMPT_GOOD ? snapshot.reading.value : NAN;
}

/* How many warnings have these words, since recent_log_start(). */
static size_t count_warnings(const char *words)
{
    struct recent_line lines[RECENT_LOG_LINES];
    size_t count = recent_log_read(0, lines, RECENT_LOG_LINES);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += lines[i].level == LOG_LEVEL_WARNING && strstr(lines[i].text, words) != NULL;
        recent_line_done(&lines[i]);
    }
    return found;
}

/* ---- what is promised ---- */

static void equal_values_share_a_query(void **state)
{
    (void)state;
    struct query *query = hold("a");
    assert_ptr_equal(query, hold("a"));
    assert_ptr_not_equal(query, hold("b"));
    connection_release(query, 0, now_ms);
    assert_int_equal(connection.stats.counts.queries, 2);
    connection_release(query, 0, now_ms);
    assert_int_equal(connection.stats.counts.queries, 1);
}

static void without_a_stream_queries_are_measured_when_a_call_comes(void **state)
{
    (void)state;
    struct query *query = hold("a");
    assert_int_equal(connection_next_ms(&connection, now_ms), CLOCK_NEVER);
    assert_false(connection_wants_client(&connection, now_ms));
    measure(query, 7);
    assert_true(value_of(query) == 7);
    now_ms += HOUR_MS;
    assert_null(take());
}

static char *bundle_all(const void *connection_options, const void *query_options)
{
    (void)connection_options;
    (void)query_options;
    return text_copy("all");
}

static void queries_of_one_listing_are_measured_together_from_then_on(void **state)
{
    (void)state;
    enum { DURATION_MS = 100, SPREAD_MS = 700 }; /* a reading is fresh for 1,000 */
    struct scaler listing = scaler;
    listing.bundle = bundle_all;
    listing.bundle_costs_the_same = true;
    connection.scaler = &listing;
    struct query *query = hold("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    now_ms += DURATION_MS;
    answer(query, 1);
    now_ms += SPREAD_MS; /* it is fresh still, and measured with the other one */
    struct query *other = hold("b");
    demand(other);
    assert_ptr_equal(take(), other);
    assert_ptr_equal(take(), query);
    now_ms += DURATION_MS;
    answer(query, 1);
    answer(other, 2);

    demand(query);
    assert_ptr_equal(take(), query);
    assert_null(take()); /* so soon the other is not needed */
    answer(query, 1);
    connection.scaler = &scaler;
}

static void a_listing_that_takes_long_makes_none_of_its_queries_slow(void **state)
{
    (void)state;
    struct scaler listing = scaler;
    listing.bundle = bundle_all;
    connection.scaler = &listing;
    struct query *alone = hold("alone");
    listing.bundle_costs_the_same = true;
    struct query *listed = hold("listed");
    demand(alone);
    connect_now();
    assert_ptr_equal(take(), alone);
    assert_ptr_equal(take(), listed);
    now_ms += 1500;
    answer(alone, 1);
    answer(listed, 1);
    now_ms += 500;
    demand(alone);
    demand(listed);
    assert_ptr_equal(take(), listed);
    assert_false(listed->task.isolate);
    assert_ptr_equal(take(), alone);
    assert_true(alone->task.isolate);
    answer(alone, 1);
    answer(listed, 1);
    connection.scaler = &scaler;
}

static void an_interval_that_a_user_set_is_measured_at(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 1000);
    measure(query, 1);
    now_ms += 999;
    assert_null(take());
    now_ms += 1;
    assert_ptr_equal(take(), query);
    answer(query, 2);
}

static void the_shortest_interval_of_its_holders_counts(void **state)
{
    (void)state;
    struct query *query = hold_each("a", HOUR_MS);
    hold_each("a", 1000);
    assert_int_equal(query_interval_ms(query), 1000);
    connection_release(query, 1000, now_ms);
    assert_int_equal(query_interval_ms(query), HOUR_MS);
}

static void an_error_does_not_last_as_long_as_a_long_interval(void **state)
{
    (void)state;
    struct query *query = hold_each("a", HOUR_MS);
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    now_ms += 5000;
    assert_ptr_equal(take(), query);
}

static void a_failed_query_fails_alone(void **state)
{
    (void)state;
    struct query *missing = hold("missing");
    struct query *good = hold("good");
    measure(good, 4);
    demand(missing);
    assert_ptr_equal(take(), missing);
    end_with(missing, TASK_FAILED, "there is none");
    assert_true(fails(missing, "there is none"));
    assert_true(value_of(good) == 4);
    assert_int_equal(connection.stats.counts.failing_queries, 1);
}

/* Callers were unanswered before the failure was known: an active reading is held from there on. */
static void a_failure_counts_from_the_first_unanswered_call(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *query = hold("a");
    measure(query, 7);
    now_ms += 30000;
    int64_t first_call_ms = now_ms;
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 700;
    demand(query); /* another call */
    now_ms += 1300;
    end_with(query, TASK_FAILED, "there is none");
    connection_snapshot(query, now_ms, &snapshot);
    assert_int_equal(snapshot.failing_since_ms, first_call_ms);
    assert_int_equal(snapshot.failed_at_ms, now_ms);
    snapshot_done(&snapshot);

    /* And a connection that breaks before anything was answered. */
    now_ms += 30000;
    measure(query, 8);
    now_ms += 30000;
    first_call_ms = now_ms;
    demand(query);
    connection_snapshot(query, now_ms, &snapshot);
    assert_int_equal(snapshot.unanswered_since_ms, first_call_ms);
    snapshot_done(&snapshot);
    assert_ptr_equal(take(), query);
    now_ms += 400;
    query->was_resent = true; /* not once more by another client */
    lose("connection reset");
    connection_snapshot(query, now_ms, &snapshot);
    assert_int_equal(snapshot.failing_since_ms, first_call_ms);
}

static int64_t failing_since_ms(const struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    connection_snapshot(query, now_ms, &snapshot);
    return snapshot.last_attempt == ATTEMPT_FAILED ? snapshot.failing_since_ms : 0;
}

static void an_outage_goes_on_until_something_is_measured(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *query = hold("a");
    struct query *other = hold("b");
    measure(query, 7);
    measure(other, 1);
    now_ms += 1000;
    int64_t broken_ms = now_ms;
    demand(other);
    assert_ptr_equal(take(), other);
    lose("restarting");
    assert_int_equal(failing_since_ms(query), broken_ms);

    /* The connection is back for a moment, in which nothing is measured. */
    now_ms += 600000;
    connect_now();
    connection_snapshot(query, now_ms, &snapshot);
    assert_int_equal(snapshot.unanswered_since_ms, broken_ms);
    assert_ptr_equal(take(), other);
    lose("restarting");
    assert_int_equal(failing_since_ms(query), broken_ms);

    /* Then others are measured, and this one fails. */
    now_ms += 600000;
    connect_now();
    assert_ptr_equal(take(), other);
    answer(other, 2);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "starting up");
    assert_int_equal(failing_since_ms(query), broken_ms);
    assert_int_equal(failing_since_ms(other), 0);

    now_ms += 1000;
    measure(query, 8);
    now_ms += 1000;
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    assert_int_equal(failing_since_ms(query), now_ms);
}

static void a_broken_connection_fails_all_and_backs_off(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500, 1000, 2000, 4000, 5000, 5000};
    struct query *query = hold("a");
    demand(query);
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        refuse();
        assert_true(fails(query, "refused"));
        demand(query); /* hastens nothing */
        assert_int_equal(connection_next_ms(&connection, now_ms), now_ms + waits_ms[i]);
        assert_int_equal(connection_wants_client(&connection, now_ms), waits_ms[i] == 0);
        now_ms += waits_ms[i];
    }
    assert_true(fails(hold("joiner"), "refused"));
}

static void what_cost_much_is_not_tried_again_soon(void **state)
{
    (void)state;
    const int64_t minute_ms = 60000;
    struct error costly = {0};
    struct query *query = hold("a");
    demand(query);
    connection_connecting(&connection);
    error_set(&costly, ERROR_COSTLY, "took too much CPU time");
    connection_refused(&connection, &costly, now_ms);
    error_done(&costly);
    assert_true(fails(query, "took too much CPU time"));
    assert_false(connection_wants_client(&connection, now_ms + 3 * minute_ms));
    now_ms += 5 * minute_ms;
    assert_true(connection_wants_client(&connection, now_ms));
}

static void queries_that_failed_with_a_connection_are_measured_after_it(void **state)
{
    (void)state;
    struct query *query = hold("a");
    measure(query, 1);
    demand(query);
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_true(fails(query, "broken pipe"));
    connect_now();
    assert_ptr_equal(take(), query); /* nobody has asked again */
    answer(query, 2);
    assert_true(value_of(query) == 2);
}

static void a_client_that_is_lost_after_it_answered_all_costs_no_reading(void **state)
{
    (void)state;
    struct query *query = hold("a");
    measure(query, 1);
    lose("broken pipe");
    assert_true(value_of(query) == 1);
}

static void a_client_that_died_in_a_pause_is_replaced_before_anything_fails(void **state)
{
    (void)state;
    struct query *query = hold("a");
    measure(query, 1);
    now_ms += CONNECTION_PAUSE_MS;
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 2000;
    end_with(query, TASK_TIMED_OUT, "no answer");
    assert_true(value_of(query) == 1);
    assert_null(take());
    connection_lost(&connection, NULL, now_ms);
    connect_now();
    assert_ptr_equal(take(), query);
    now_ms += 2000;
    end_with(query, TASK_TIMED_OUT, "no answer"); /* once */
    assert_true(fails(query, "no answer"));
}

static void a_client_that_is_replaced_for_its_silence_is_logged_once(void **state)
{
    (void)state;
    struct query *queries[] = {hold("a"), hold("b")};
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    measure(queries[0], 1);
    now_ms += CONNECTION_PAUSE_MS;
    for (int round = 0; round < 2; round++) {
        if (round > 0) {
            connection_lost(&connection, NULL, now_ms);
            connect_now();
            now_ms++;
        }
        for (size_t i = 0; i < 2; i++) {
            demand(queries[i]);
            assert_ptr_equal(take(), queries[i]);
        }
        now_ms += 2000;
        for (size_t i = 0; i < 2; i++)
            end_with(queries[i], TASK_TIMED_OUT, "no answer");
        assert_int_equal(count_warnings("the client may have died in a pause: reconnecting"), 1);
        assert_int_equal(count_warnings("nothing is answered: reconnecting"), round);
    }
    log_set_level(LOG_LEVEL_ERROR);
}

static void a_query_that_timed_out_is_not_resent_by_another_client(void **state)
{
    (void)state;
    struct query *hanging = hold("a");
    hold("b");
    demand(hanging);
    connect_now();
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(take(), hanging);
        now_ms += 2000;
        end_with(hanging, TASK_TIMED_OUT, "no answer");
        assert_true(fails(hanging, "no answer"));
        assert_null(take());
        if (connection.must_replace_client) {
            connection_lost(&connection, NULL, now_ms);
            now_ms += 30000;
            connect_now();
        }
        now_ms += 30000;
    }
}

static void a_query_that_hangs_does_not_break_its_neighbours_clients(void **state)
{
    (void)state;
    struct query *hanging = hold("a");
    struct query *good = hold("b");
    measure(good, 1);
    demand(hanging);
    assert_ptr_equal(take(), hanging);
    now_ms += 2000;
    end_with(hanging, TASK_TIMED_OUT, "no answer");
    now_ms += CONNECTION_PAUSE_MS;
    demand(good);
    assert_non_null(take());
    assert_non_null(take()); /* both: the hanging one is due, too */
    lose("broken pipe");
    assert_true(value_of(good) == 1);
    connect_now();
    assert_ptr_equal(take(), good);
}

static void one_query_that_hangs_does_not_make_its_source_stuck(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *hanging = hold("a");
    struct query *good = hold("b");
    demand(hanging);
    connect_now();
    assert_ptr_equal(take(), hanging);
    now_ms += CONNECTION_STUCK_MS;
    connection_snapshot(good, now_ms, &snapshot);
    assert_int_equal(snapshot.stuck_for_ms, 0);
    connection_snapshot(hanging, now_ms, &snapshot);
    assert_int_equal(snapshot.stuck_for_ms, CONNECTION_STUCK_MS);
}

static void a_query_that_breaks_its_clients_is_spaced_out(void **state)
{
    (void)state;
    struct query *breaking = hold("a");
    struct query *good = hold("b");
    demand(breaking);
    for (int i = 0; i < 2; i++) {
        connect_now();
        assert_ptr_equal(take(), breaking);
        lose("broken pipe");
        now_ms += 250 * (int64_t)i; /* the connection's back-off */
    }
    connect_now();
    demand(good);
    demand(breaking);
    assert_ptr_equal(take(), good);
    assert_null(take());
    now_ms +=
        2 * (int64_t)
                SCHEDULE_RETRY_MIN_MS; /* with jitter, so that those that were lost together part */
    assert_ptr_equal(take(), breaking);
}

static void a_released_query_in_flight_is_freed_when_it_ends(void **state)
{
    (void)state;
    struct query *query = hold("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    connection_release(query, 0, now_ms);
    assert_true(connection_is_unused(&connection));
    answer(query, 1);
    assert_int_equal(connection.stats.counts.queries, 0);
}

static void watchers_are_notified_of_each_attempt(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = hold("a");
    connection_watch(query, &watcher, false, now_ms);
    measure(query, 1);
    measure(query, 2);
    assert_int_equal(news, 2);
    connection_unwatch(&watcher, now_ms);
    measure(query, 3);
    assert_int_equal(news, 2);
}

/* Subscribed to, by a stream that waits for the first message. */
static struct query *subscribe(struct watcher *watcher)
{
    struct query *query = hold_each("a", HOUR_MS);
    measure(query, 0);
    connection_watch(query, watcher, true, now_ms);
    connection_set_idle(watcher, 200, now_ms);
    now_ms += PUSH_GATHER_MS;
    assert_ptr_equal(take(), query);
    assert_true(task_wants_subscription(&query->task));
    task_subscribed(&query->task);
    answer(query, 0);
    assert_int_equal(connection.stats.counts.subscribed_queries, 1);
    return query;
}

static void a_notification_has_its_query_measured_at_once(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    now_ms += 100;
    connection_notify(&connection, query->subscription_id, now_ms * 1000);
    connection_notify(&connection, 999, now_ms * 1000); /* nobody's */
    connection_snapshot(query, now_ms, &snapshot);
    assert_true(snapshot.is_outdated);
    assert_int_equal(connection.stats.counts.notifications, 1);
    assert_ptr_equal(take(), query);
    answer(query, 1);
    connection_unwatch(&watcher, now_ms);
}

static void a_notification_while_a_request_is_in_flight_has_it_sent_once_more(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    demand(query);
    assert_ptr_equal(take(), query);
    connection_notify(&connection, query->subscription_id, now_ms * 1000 + 1);
    now_ms += 5;
    answer(query, 0);
    assert_true(query->known.is_outdated);
    assert_ptr_equal(take(), query);
    answer(query, 1);
    assert_false(query->known.is_outdated);
    connection_unwatch(&watcher, now_ms);
}

static void the_last_watcher_that_leaves_unsubscribes(void **state)
{
    (void)state;
    uint64_t id = 0;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    uint64_t subscription = query->subscription_id;
    connection_unwatch(&watcher, now_ms);
    assert_true(connection_next_unsubscribe(&connection, &id));
    assert_int_equal(id, subscription);
    assert_false(connection_next_unsubscribe(&connection, &id));
}

static void an_inherited_reading_is_used_until_there_is_a_newer_one(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot former = {0};
    struct query *query = hold("a");
    struct query *heir = hold("b");
    measure(query, 7);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    connection_snapshot(query, now_ms, &former);
    demand(heir);
    assert_ptr_equal(take(), heir);
    end_with(heir, TASK_FAILED, "not yet");
    query_inherit(heir, &former);
    assert_true(fails(heir, "there is none"));
    assert_int_equal(connection.stats.counts.failing_queries, 2);
    now_ms += 1000;
    measure(heir, 8);
    query_inherit(heir, &former);
    assert_true(value_of(heir) == 8);
    assert_int_equal(connection.stats.counts.failing_queries, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- followers ---- */

struct steps {
    struct follower follower; /* first */
    int count;
    double last;
};

static void count_step(struct follower *follower, const struct recent_samples *recent)
{
    struct steps *steps = (struct steps *)follower;
    steps->count++;
    steps->last = recent->samples[recent->count - 1].reading.value;
}

/* Those that come close upon one another become one sample, and are followed all the same. */
static void a_follower_gets_each_reading_once(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.step = count_step}};
    struct steps late = steps;
    struct query *query = hold_each("a", 5000);
    query_keep_recent_samples(query, 5000);
    connection_follow(query, &steps.follower);
    assert_int_equal(steps.count, 0);
    connect_now();
    for (int i = 1; i <= 4; i++) {
        now_ms += 100;
        demand(query);
        answer(take(), i);
        assert_int_equal(steps.count, i);
        assert_true(steps.last == i);
    }
    connection_follow(query, &late.follower);
    assert_true(late.count == 1 && late.last == 4);
    connection_unfollow(&steps.follower);
    connection_follow(query, &steps.follower);
    assert_int_equal(steps.count, 4); /* it had that one */
    demand(query);
    end_with(take(), TASK_FAILED, "no");
    assert_int_equal(steps.count, 4);
    connection_unfollow(&steps.follower);
    connection_unfollow(&late.follower);
}

static void a_reading_of_before_the_samples_is_followed(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.step = count_step}};
    struct query *query = hold("a");
    demand(query);
    connect_now();
    answer(take(), 7);
    query_keep_recent_samples(query, 5000);
    connection_follow(query, &steps.follower);
    assert_true(steps.count == 1 && steps.last == 7);
    connection_unfollow(&steps.follower);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(equal_values_share_a_query),
        TEST(without_a_stream_queries_are_measured_when_a_call_comes),
        TEST(queries_of_one_listing_are_measured_together_from_then_on),
        TEST(a_listing_that_takes_long_makes_none_of_its_queries_slow),
        TEST(an_interval_that_a_user_set_is_measured_at),
        TEST(the_shortest_interval_of_its_holders_counts),
        TEST(an_error_does_not_last_as_long_as_a_long_interval),
        TEST(a_failed_query_fails_alone),
        TEST(a_failure_counts_from_the_first_unanswered_call),
        TEST(an_outage_goes_on_until_something_is_measured),
        TEST(a_broken_connection_fails_all_and_backs_off),
        TEST(what_cost_much_is_not_tried_again_soon),
        TEST(queries_that_failed_with_a_connection_are_measured_after_it),
        TEST(a_client_that_is_lost_after_it_answered_all_costs_no_reading),
        TEST(a_client_that_died_in_a_pause_is_replaced_before_anything_fails),
        TEST(a_client_that_is_replaced_for_its_silence_is_logged_once),
        TEST(a_query_that_timed_out_is_not_resent_by_another_client),
        TEST(a_query_that_hangs_does_not_break_its_neighbours_clients),
        TEST(one_query_that_hangs_does_not_make_its_source_stuck),
        TEST(a_query_that_breaks_its_clients_is_spaced_out),
        TEST(a_released_query_in_flight_is_freed_when_it_ends),
        TEST(watchers_are_notified_of_each_attempt),
        TEST(a_notification_has_its_query_measured_at_once),
        TEST(a_notification_while_a_request_is_in_flight_has_it_sent_once_more),
        TEST(the_last_watcher_that_leaves_unsubscribes),
        TEST(an_inherited_reading_is_used_until_there_is_a_newer_one),
        TEST(a_follower_gets_each_reading_once),
        TEST(a_reading_of_before_the_samples_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
