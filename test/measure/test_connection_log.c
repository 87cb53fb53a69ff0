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
    demand(query);
    connect_now();
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
    now_ms = MAX(now_ms, began_ms + 100000);
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
        TEST(a_client_that_is_replaced_for_its_silence_is_logged_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
