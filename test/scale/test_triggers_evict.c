/* How many triggers fit: who expires, is dropped or refused. */
#include "base/memory.h"
#include "base/text.h"
#include "scale/fixture.h"
#include "scale/table/triggers_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>

static void restart_with(size_t max)
{
    triggers_free(triggers);
    triggers = triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                        .engine = engine,
                                                        .rules = {.interval_ms = 5000},
                                                        .forget_ms = 1000,
                                                        .max = max});
}

static void a_trigger_without_calls_expires(void **state)
{
    (void)state;
    const char *const first[] = {GOOD, NULL};
    const char *const second[] = {GOOD, "queueLength", "1", NULL};
    const char *const third[] = {GOOD, "queueLength", "2", NULL};
    find_in("shop", 0, first);
    struct trigger *kept = find_in("shop", 100, second);
    find_in("shop", 600, third);
    find_in("shop", 700, first);

    triggers_pin(triggers, kept);
    assert_int_equal(triggers_expire(triggers, 1600), 1700); /* the third goes, the first is next */
    assert_int_equal(triggers_count(triggers), 2);
    triggers_unpin(triggers, kept, 0);
    triggers_expire(triggers, 5000);
    assert_int_equal(triggers_count(triggers), 0);
}

/* Calls wait meanwhile. */
static void many_triggers_without_calls_expire_some_at_a_time(void **state)
{
    (void)state;
    enum { MANY = 2 * TRIGGERS_EXPIRED_AT_ONCE + 1 };
    restart_with(MANY);
    for (int i = 0; i < MANY; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i + 1);
        const char *const metadata[] = {GOOD, "queueLength", text, NULL};
        find_in("shop", 0, metadata);
    }
    assert_int_equal(triggers_count(triggers), MANY);
    assert_int_equal(triggers_expire(triggers, 5000), 5000);
    assert_int_equal(triggers_count(triggers), MANY - TRIGGERS_EXPIRED_AT_ONCE);
    assert_int_equal(triggers_expire(triggers, 5000), 5000);
    assert_true(triggers_expire(triggers, 5000) > 5000);
    assert_int_equal(triggers_count(triggers), 0);
}

static void assert_full(const char *namespace, int64_t now_ms, const char *const *metadata)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_entry entries[8];
    struct trigger_ref ref = {"one too many", namespace, entries, 0};
    struct trigger *trigger = NULL;
    for (; metadata[2 * ref.count] != NULL; ref.count++)
        entries[ref.count] =
            (struct option_entry){metadata[2 * ref.count], metadata[2 * ref.count + 1]};
    assert_false(triggers_find(triggers, &ref, now_ms, &trigger, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_string_equal(error_text(&error), "all 3 triggers are in use (--max-triggers)");
}

static void a_full_table_drops_what_had_no_call_for_longest(void **state)
{
    (void)state;
    enum { UNUSED_MS = 100 + TRIGGERS_IN_USE_MS };
    const char *const first[] = {GOOD, NULL};
    const char *const second[] = {GOOD, "queueLength", "1", NULL};
    const char *const third[] = {GOOD, "queueLength", "2", NULL};
    const char *const fourth[] = {GOOD, "queueLength", "3", NULL};
    struct trigger *oldest = find_in("other", 0, first);
    find_in("shop", 100, second);
    find_in("shop", 200, third);
    assert_full("shop", 300, fourth);
    assert_ptr_equal(find_in("other", UNUSED_MS - 1, first), oldest);
    assert_full("shop", UNUSED_MS - 1, fourth);

    find_in("new", UNUSED_MS, fourth); /* the second goes */
    assert_int_equal(triggers_count(triggers), 3);
    assert_full("shop", UNUSED_MS, second);
}

/* What is held in the table is needed most then. */
static void after_a_pause_of_the_host_nothing_is_dropped_that_may_be_in_use(void **state)
{
    (void)state;
    enum { RESUMED_MS = 20 * TRIGGERS_IN_USE_MS };
    const char *const first[] = {GOOD, NULL};
    const char *const second[] = {GOOD, "queueLength", "1", NULL};
    const char *const third[] = {GOOD, "queueLength", "2", NULL};
    struct trigger *held = find_in("small", 0, first);
    find_in("large", 0, first);
    find_in("large", 0, second);
    triggers_resume(triggers, RESUMED_MS);
    assert_full("large", RESUMED_MS, third);
    assert_full("new", RESUMED_MS + TRIGGERS_IN_USE_MS - 1, third);
    assert_ptr_equal(find_in("small", RESUMED_MS + TRIGGERS_IN_USE_MS - 1, first), held);
}

static void a_full_table_fails_where_all_are_pinned(void **state)
{
    (void)state;
    const char *const first[] = {GOOD, NULL};
    const char *const second[] = {GOOD, "queueLength", "1", NULL};
    const char *const third[] = {GOOD, "queueLength", "2", NULL};
    const char *const fourth[] = {GOOD, "queueLength", "3", NULL};
    struct trigger *pinned[] = {find_in("shop", 0, first), find_in("shop", 0, second),
                                find_in("shop", 0, third)};
    for (size_t i = 0; i < ARRAY_LENGTH(pinned); i++)
        triggers_pin(triggers, pinned[i]);
    assert_full("shop", TRIGGERS_IN_USE_MS, fourth);
    for (size_t i = 0; i < ARRAY_LENGTH(pinned); i++)
        triggers_unpin(triggers, pinned[i], 0);
}

/* Of the fake scaler, with so much metadata. */
static bool find_large(const char *namespace, const char *target, size_t bytes, int64_t now_ms,
                       struct trigger **ret_trigger, struct error *error)
{
    _cleanup_(memory_free) char *queue = memory_new(bytes + 1);
    struct option_entry entries[] = {
        {"scaler", "fake"}, {"source", namespace}, {"queueName", queue}, {"queueLength", target}};
    struct trigger_ref ref = {"large", namespace, entries, ARRAY_LENGTH(entries)};
    memset(queue, 'x', bytes);
    return triggers_find(triggers, &ref, now_ms, ret_trigger, error);
}

/* So that a limit on triggers is one on their memory. */
static void a_trigger_with_much_metadata_counts_as_several(void **state)
{
    (void)state;
    const size_t kib = 1 << 10;
    _cleanup_(error_done) struct error error = {0};
    struct trigger *trigger = NULL;
    restart_with(5);
    assert_true(find_large("shop", "1", 6 * kib, 0, &trigger, &error)); /* it takes four */
    assert_false(find_large("shop", "2", 2 * kib, 0, &trigger, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    error_done(&error);
    assert_true(find_large("shop", "2", kib, 0, &trigger, &error));
    assert_true(find_large("shop", "3", 2 * kib, TRIGGERS_IN_USE_MS, &trigger, &error));
    assert_int_equal(triggers_count(triggers), 2);
}

static void metadata_that_is_too_large_is_an_error(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct trigger *trigger = NULL;
    restart_with(10);
    assert_true(find_large("shop", "1", OPTION_MAX_METADATA - 100, 0, &trigger, &error));
    assert_false(find_large("shop", "1", OPTION_MAX_METADATA, 0, &trigger, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_non_null(strstr(error_text(&error), "at most 16384 are allowed"));
}

static void mistakes_of_a_trigger_are_bounded(void **state)
{
    (void)state;
    struct option_entry entries[OPTION_MAX_KEYS] = {{"scaler", "fake"}, {"source", "a"}};
    char keys[OPTION_MAX_KEYS][80];
    _cleanup_(error_done) struct error error = {0};
    struct trigger *trigger = NULL;
    restart_with(20);
    for (size_t i = 2; i < OPTION_MAX_KEYS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%zu%s", i, "unknown, and so long that it is cut short");
        entries[i] = (struct option_entry){keys[i], "x"};
    }
    struct trigger_ref ref = {"worker", "shop", entries, OPTION_MAX_KEYS};
    assert_true(triggers_find(triggers, &ref, 0, &trigger, &error));
    assert_in_range(strlen(error_text(&trigger->parsed.mistakes)), 1000, TRIGGER_MAX_MISTAKES);
}

static void triggers_of_one_connection_hold_its_values_once(void **state)
{
    (void)state;
    struct trigger *one = find_in("shop", 0, (const char *const[]){GOOD, NULL});
    struct trigger *other =
        find_in("billing-eu", 0, (const char *const[]){GOOD, "queueLength", "1", NULL});
    assert_ptr_not_equal(one->parsed.values[OPTION_CONNECTION],
                         other->parsed.values[OPTION_CONNECTION]);
    query_of(one);
    query_of(other);
    assert_ptr_equal(one->parsed.values[OPTION_CONNECTION],
                     other->parsed.values[OPTION_CONNECTION]);
}

/* Each call would otherwise pass all of them, while all other calls wait. */
static void an_unused_trigger_is_found_without_passing_the_pinned_ones(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct option_entry entries[] = {{"scaler", "fake"}};
    struct trigger_ref ref = {"one too many", "shop", entries, 1};
    struct trigger *pinned[3];
    struct trigger *trigger = NULL;
    for (int i = 0; i < 3; i++) {
        const char *const metadata[] = {GOOD, "queueLength",
                                        i == 0   ? "1"
                                        : i == 1 ? "2"
                                                 : "3",
                                        NULL};
        pinned[i] = find_in("shop", 100, metadata);
        triggers_pin(triggers, pinned[i]);
    }
    assert_false(triggers_find(triggers, &ref, 800, &trigger, &error));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pinned[i]->last_call_ms, 100);
    assert_true(triggers_expire(triggers, 100000) > 100000);
    assert_int_equal(triggers_count(triggers), 3);
    triggers_unpin(triggers, pinned[1], 200000);
    assert_int_equal(pinned[1]->last_call_ms, 200000);
    error_done(&error);
    assert_true(triggers_find(triggers, &ref, 200000 + TRIGGERS_IN_USE_MS, &trigger, &error));
    assert_int_equal(triggers_count(triggers), 3);
    triggers_unpin(triggers, pinned[0], 200000);
    triggers_unpin(triggers, pinned[2], 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trigger_without_calls_expires),
        TEST(many_triggers_without_calls_expire_some_at_a_time),
        TEST(a_full_table_drops_what_had_no_call_for_longest),
        TEST(after_a_pause_of_the_host_nothing_is_dropped_that_may_be_in_use),
        TEST(a_full_table_fails_where_all_are_pinned),
        TEST(a_trigger_with_much_metadata_counts_as_several),
        TEST(metadata_that_is_too_large_is_an_error),
        TEST(mistakes_of_a_trigger_are_bounded),
        TEST(triggers_of_one_connection_hold_its_values_once),
        TEST(an_unused_trigger_is_found_without_passing_the_pinned_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
