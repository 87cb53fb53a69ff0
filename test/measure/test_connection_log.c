/* What is logged of a connection, and how often. */
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/param.h>
#include <cmocka.h>

static void a_source_that_hung_up_and_refuses_is_logged_as_failed(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 1000);
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    measure(query, 1);
    size_t before = count_warnings("connection failed");
    lose("closed");
    for (int i = 0; i < 3; i++) {
        now_ms += 10000;
        refuse();
        assert_int_equal(count_warnings("connection failed"), before + 1);
    }
    log_set_level(LOG_LEVEL_ERROR);
}

static void hang_up(struct query *query)
{
    (void)query;
    lose("closed");
}

static void fail_in_flight(struct query *query)
{
    demand(query);
    assert_ptr_equal(take(), query);
    lose("closed");
}

static void it_is_back_when_the_source_answers(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    size_t before = count_lines(LOG_LEVEL_INFO, "reconnected");
    demand(query);
    refuse();
    connect_now();
    demand(query);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), before);
    assert_ptr_equal(take(), query);
    answer(query, 1);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), before + 1);
    connection_lost(&connection, NULL, now_ms); /* which is no failure */
    measure(query, 1);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), before + 1);
    log_set_level(LOG_LEVEL_ERROR);
}

/* Not how often it was tried again. */
static void a_line_says_how_often_the_source_failed_since_the_last_one(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 1000);
    int64_t began_ms = now_ms;
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    size_t before = count_warnings("connection failed");
    for (int i = 0; i < 3; i++) {
        measure(query, 1);
        fail_in_flight(query);
        for (int64_t until_ms = now_ms + 10000; now_ms < until_ms;) {
            now_ms = connection_next_ms(&connection, now_ms + 1000);
            refuse();
        }
        now_ms += 5000;
    }
    assert_int_equal(count_warnings("connection failed"), before + 1);
    now_ms = MAX(now_ms, began_ms + 61000); /* the last one was less than a minute ago */
    measure(query, 1);
    fail_in_flight(query);
    assert_int_equal(count_warnings("connection failed (2 more times since"), 1);
    log_set_level(LOG_LEVEL_ERROR);
}

/* As behind a proxy that closes after each reply, for days. */
static void a_source_that_comes_and_goes_is_logged_each_minute(void **state)
{
    (void)state;
    static const struct {
        void (*end)(struct query *query);
        const char *words;
    } kinds[] = {{hang_up, "reconnecting"}, {fail_in_flight, "connection failed"}};
    struct query *query = hold_each("a", 1000);
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    for (size_t kind = 0; kind < ARRAY_LENGTH(kinds); kind++) {
        size_t before = count_warnings(kinds[kind].words);
        size_t repeated = count_warnings("more times since the last such line");
        size_t back = count_lines(LOG_LEVEL_INFO, "reconnected");
        for (int64_t began_ms = now_ms; now_ms < began_ms + 170000;) {
            measure(query, 1);
            kinds[kind].end(query);
            now_ms = connection_next_ms(&connection, now_ms + 1000);
        }
        measure(query, 1);
        assert_int_equal(count_warnings(kinds[kind].words), before + 3);
        assert_int_equal(count_warnings("more times since the last such line"), repeated + 2);
        assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), back + 3);
    }
    log_set_level(LOG_LEVEL_ERROR);
}

/* Though it failed a moment ago, and was back. */
static void an_outage_that_goes_on_is_logged(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    size_t before = count_warnings("connection failed");
    size_t more = count_warnings("more time");
    measure(query, 1);
    fail_in_flight(query);
    measure(query, 1);
    fail_in_flight(query);
    assert_int_equal(count_warnings("connection failed"), before + 1);
    for (int i = 0; i < 30; i++) {
        now_ms += 5000;
        refuse();
    }
    assert_int_equal(count_warnings("connection failed"), before + 2);
    assert_int_equal(count_warnings("more time"), more);
    log_set_level(LOG_LEVEL_ERROR);
}

/* It began within a minute after the last line, and ended before the next one was due. */
static void an_outage_that_was_left_out_is_logged_when_none_came_for_a_minute(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    size_t before = count_warnings("connection failed");
    for (int i = 0; i < 3; i++) {
        measure(query, 1);
        fail_in_flight(query);
        now_ms += 10000;
        refuse();
        now_ms += 10000;
    }
    measure(query, 1);
    assert_int_equal(count_warnings("connection failed"), before + 1);
    now_ms += 30000;
    measure(query, 1);
    assert_int_equal(count_warnings("connection failed"), before + 1);
    now_ms += 10000;
    for (int i = 0; i < 2; i++)
        measure(query, 1);
    assert_int_equal(count_warnings("connection failed"), before + 2);
    assert_int_equal(count_warnings("and is back (2 more times since the last such line)"), 1);
    log_set_level(LOG_LEVEL_ERROR);
}

static const char is_held[] = "measuring fails, so the last answers of active triggers are held";

/* As of a source that fails and is back ten times per second. */
static void holds_are_logged_once_per_minute(void **state)
{
    (void)state;
    enum { MINUTES = 3, PER_MINUTE = 600 };
    struct query *query = acquire("a");
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    size_t begun = count_warnings(is_held);
    size_t ended = count_lines(LOG_LEVEL_INFO, "no answers are held any more: measured again");
    for (int i = 0; i < MINUTES * PER_MINUTE; i++) {
        query_count_held(query, 1, 0, "");
        query_count_held(query, 1, 0, "");
        query_count_held(query, -1, 0, "measured again");
        query_count_held(query, -1, 0, "measured again");
        now_ms += 60000 / PER_MINUTE;
    }
    assert_int_equal(count_warnings(is_held), begun + MINUTES);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "no answers are held any more: measured again"),
                     ended + MINUTES);
    assert_int_equal(count_warnings("are held (599 more times since the last such line)"),
                     MINUTES - 1);
    log_set_level(LOG_LEVEL_ERROR);
}

static void fail_alone(struct query *query)
{
    demand(query);
    if (connection.state != CONNECTION_CONNECTED)
        connect_now();
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
}

static void fail_with_the_connection(struct query *query)
{
    demand(query);
    if (connection.state == CONNECTION_CONNECTED)
        connection_lost(&connection, NULL, now_ms);
    refuse();
}

/* It began within a minute after another one. */
static void a_hold_that_goes_on_is_logged(void **state)
{
    (void)state;
    static void (*const failures[])(struct query *query) = {fail_alone, fail_with_the_connection};
    struct query *query = acquire("a");
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    for (size_t i = 0; i < ARRAY_LENGTH(failures); i++) {
        size_t before = count_warnings(is_held);
        query_count_held(query, 1, 0, "");
        query_count_held(query, -1, 0, "measured again");
        query_count_held(query, 1, 0, "");
        now_ms += 59000;
        failures[i](query);
        assert_int_equal(count_warnings(is_held), before + 1);
        now_ms += 1000;
        for (int again = 0; again < 2; again++) {
            failures[i](query);
            assert_int_equal(count_warnings(is_held), before + 2);
            now_ms += 10000;
        }
        query_count_held(query, -1, 0, "measured again");
        now_ms += 60000;
    }
    log_set_level(LOG_LEVEL_ERROR);
}

/* Not the failure of another query, which nobody holds; and without any, that nothing came. */
static void a_hold_is_logged_with_its_failure(void **state)
{
    (void)state;
    struct query *held = acquire("a");
    struct query *other = acquire("b");
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    size_t before = count_warnings(is_held);
    size_t wrong = count_warnings("are held: there is none");
    measure(held, 1);
    fail_alone(other);
    query_count_held(held, 1, 0, "no reply");
    assert_int_equal(count_warnings("are held: no reply"), 1);
    query_count_held(held, -1, 0, "measured again");
    query_count_held(held, 1, 0, "no reply");
    now_ms += 60000;
    fail_alone(other);
    query_count_held(other, 0, 1, "the hold is over");
    assert_int_equal(count_warnings(is_held), before + 1);
    assert_int_equal(count_warnings("are held: there is none"), wrong);
    fail_alone(held);
    assert_int_equal(count_warnings("are held: there is none"), wrong + 1);
    log_set_level(LOG_LEVEL_ERROR);
}

/* Nor that it is back, by a reply of the client that is replaced. */
static void after_a_failure_no_silence_is_logged_until_the_source_answers(void **state)
{
    (void)state;
    struct query *silent[] = {acquire("a"), acquire("b")};
    struct query *good = acquire("c");
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    size_t replaced = count_warnings("nothing is answered: reconnecting");
    size_t back = count_lines(LOG_LEVEL_INFO, "reconnected");
    demand(good);
    refuse();
    connect_now();
    demand(good);
    demand(silent[0]);
    demand(silent[1]);
    for (int i = 0; i < 3; i++)
        assert_non_null(take());
    now_ms += 2000;
    for (int i = 0; i < 2; i++)
        end_with(silent[i], TASK_TIMED_OUT, "no answer");
    assert_true(connection.must_replace_client);
    answer(good, 1);
    assert_int_equal(count_warnings("nothing is answered: reconnecting"), replaced);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), back);
    connection_lost(&connection, NULL, now_ms);
    measure(good, 1);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), back + 1);
    log_set_level(LOG_LEVEL_ERROR);
}

static void a_client_that_is_replaced_for_its_silence_is_logged_once(void **state)
{
    (void)state;
    struct query *queries[] = {acquire("a"), acquire("b")};
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

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_source_that_hung_up_and_refuses_is_logged_as_failed),
        TEST(it_is_back_when_the_source_answers),
        TEST(a_line_says_how_often_the_source_failed_since_the_last_one),
        TEST(a_source_that_comes_and_goes_is_logged_each_minute),
        TEST(an_outage_that_goes_on_is_logged),
        TEST(an_outage_that_was_left_out_is_logged_when_none_came_for_a_minute),
        TEST(holds_are_logged_once_per_minute),
        TEST(a_hold_that_goes_on_is_logged),
        TEST(a_hold_is_logged_with_its_failure),
        TEST(after_a_failure_no_silence_is_logged_until_the_source_answers),
        TEST(a_client_that_is_replaced_for_its_silence_is_logged_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
