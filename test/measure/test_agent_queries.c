#include "measure/agent/agent_queries.h"

#include "base/memory.h"
#include "base/text.h"
#include "measure/agent/agent_messages.h"
#include "measure/fake_scaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MINUTE_MS = 60 * 1000, EXPIRE_MS = 20 * MINUTE_MS };

/* Begins a task of this queue. */
static struct agent_query *begin(struct agent_queries *queries, const char *queue, bool is_new)
{
    struct fake_values values = fake_values("a", queue);
    bool was_new = false;
    struct agent_query *query =
        agent_queries_begin_task(queries, values.scopes[OPTION_QUERY], &was_new);
    assert_int_equal(was_new, is_new);
    fake_values_done(&values);
    return query;
}

/* A task of this queue that takes no time. Returns the query's number. */
static uint64_t measure(struct agent_queries *queries, const char *queue, bool is_new,
                        int64_t now_ms)
{
    struct agent_query *query = begin(queries, queue, is_new);
    uint64_t number = agent_query_number(query);
    agent_queries_end_task(queries, query, now_ms);
    return number;
}

static size_t bytes_of(const char *queue)
{
    struct fake_values values = fake_values("a", queue);
    size_t bytes = agent_query_bytes(values.scopes[OPTION_QUERY]);
    fake_values_done(&values);
    return bytes;
}

static void assert_forgotten(struct agent_queries *queries, size_t max_bytes, int64_t now_ms,
                             uint64_t number)
{
    uint64_t forgotten = 0;
    assert_true(agent_queries_next_forgotten(queries, max_bytes, now_ms, &forgotten));
    assert_int_equal(forgotten, number);
}

static void assert_none_forgotten(struct agent_queries *queries, size_t max_bytes, int64_t now_ms)
{
    uint64_t forgotten = 0;
    assert_false(agent_queries_next_forgotten(queries, max_bytes, now_ms, &forgotten));
}

static void a_query_has_one_number_while_the_agent_has_it(void **state)
{
    (void)state;
    struct agent_queries queries = {0};
    assert_int_equal(measure(&queries, "a", true, 0), 1);
    assert_int_equal(measure(&queries, "b", true, 0), 2);
    assert_int_equal(measure(&queries, "a", false, 0), 1);
    assert_forgotten(&queries, SIZE_MAX, EXPIRE_MS, 2);
    assert_forgotten(&queries, SIZE_MAX, EXPIRE_MS, 1);
    assert_int_equal(queries.bytes, 0);
    assert_int_equal(measure(&queries, "a", true, 0), 3);
    agent_queries_done(&queries);
}

/* However few there are. */
static void a_query_without_a_task_for_20_minutes_is_forgotten(void **state)
{
    (void)state;
    struct agent_queries queries = {0};
    measure(&queries, "former", true, 0);
    measure(&queries, "jobs", true, 0);
    measure(&queries, "jobs", false, 5 * (int64_t)MINUTE_MS);
    assert_none_forgotten(&queries, SIZE_MAX, EXPIRE_MS - 1);
    assert_forgotten(&queries, SIZE_MAX, EXPIRE_MS, 1);
    assert_none_forgotten(&queries, SIZE_MAX, EXPIRE_MS + 5 * MINUTE_MS - 1);
    assert_forgotten(&queries, SIZE_MAX, EXPIRE_MS + 5 * MINUTE_MS, 2);
    agent_queries_done(&queries);
}

/* Each edit of a trigger is another query. */
static void queries_of_former_triggers_do_not_stay(void **state)
{
    (void)state;
    enum { VERSIONS = 4, TRIGGERS = 1500, EVERY_MS = 5 * MINUTE_MS };
    struct agent_queries queries = {0};
    size_t forgotten = 0;
    size_t known = 0;
    for (int i = 0; i < VERSIONS * TRIGGERS; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        measure(&queries, queue, true, i / TRIGGERS * (int64_t)EVERY_MS);
    }
    const int64_t edited_ms = VERSIONS * (int64_t)EVERY_MS;
    for (int64_t now_ms = edited_ms; now_ms <= EXPIRE_MS + edited_ms; now_ms += EVERY_MS) {
        uint64_t number;
        for (int i = (VERSIONS - 1) * TRIGGERS; i < VERSIONS * TRIGGERS; i++) {
            _cleanup_(memory_free) char *queue = text_format("%d", i);
            measure(&queries, queue, false, now_ms);
            known += now_ms == edited_ms ? bytes_of(queue) : 0;
        }
        while (agent_queries_next_forgotten(&queries, SIZE_MAX, now_ms, &number))
            forgotten++;
    }
    assert_int_equal(forgotten, (VERSIONS - 1) * TRIGGERS);
    assert_int_equal(queries.bytes, known);
    agent_queries_done(&queries);
}

static void without_memory_the_longest_unused_queries_are_forgotten(void **state)
{
    (void)state;
    struct agent_queries queries = {0};
    size_t each = bytes_of("a");
    measure(&queries, "a", true, 0);
    measure(&queries, "b", true, 0);
    measure(&queries, "c", true, 0);
    measure(&queries, "a", false, 1);
    assert_int_equal(queries.bytes, 3 * each);
    assert_none_forgotten(&queries, 3 * each, 1);
    assert_forgotten(&queries, 2 * each, 1, 2);
    assert_none_forgotten(&queries, 2 * each, 1);
    assert_forgotten(&queries, 0, 1, 3);
    assert_forgotten(&queries, 0, 1, 1);
    assert_none_forgotten(&queries, 0, 1);
    agent_queries_done(&queries);
}

/* The agent keeps it until then in any case, and a second copy would take more. */
static void a_query_stays_until_its_tasks_have_ended(void **state)
{
    (void)state;
    struct agent_queries queries = {0};
    struct agent_query *query = begin(&queries, "a", true);
    assert_ptr_equal(begin(&queries, "a", false), query);
    assert_none_forgotten(&queries, 0, EXPIRE_MS);
    agent_queries_end_task(&queries, query, EXPIRE_MS);
    assert_none_forgotten(&queries, 0, EXPIRE_MS);
    agent_queries_end_task(&queries, query, EXPIRE_MS);
    assert_none_forgotten(&queries, SIZE_MAX, EXPIRE_MS);
    assert_forgotten(&queries, 0, EXPIRE_MS, 1);
    agent_queries_done(&queries);
}

/* Of a SQL statement, say, whose identity has a hash. */
static void a_long_text_counts_in_full(void **state)
{
    (void)state;
    enum { LENGTH = 8000 };
    _cleanup_(memory_free) char *queue = text_format("%0*d", LENGTH, 1);
    assert_in_range(bytes_of(queue), LENGTH, LENGTH + LENGTH / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_has_one_number_while_the_agent_has_it),
        cmocka_unit_test(a_query_without_a_task_for_20_minutes_is_forgotten),
        cmocka_unit_test(queries_of_former_triggers_do_not_stay),
        cmocka_unit_test(without_memory_the_longest_unused_queries_are_forgotten),
        cmocka_unit_test(a_query_stays_until_its_tasks_have_ended),
        cmocka_unit_test(a_long_text_counts_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
