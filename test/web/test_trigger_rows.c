/* The dashboard's rows of triggers, and their sums. */
#include "base/clock.h"
#include "base/memory.h"
#include "web/pages.h"

#include <stdlib.h>
#include <string.h>

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
    triggers = table_of(MORE_THAN_A_TURN + 2);
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
    triggers = table_of(MORE_THAN_A_TURN + 1);
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
    const struct CMUnitTest tests[] = {
        TEST(the_fixed_part_of_a_row_is_that_without_a_connection),
        TEST(a_query_counts_once_while_its_credentials_are_rotated),
        TEST(an_object_counts_once_though_it_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
