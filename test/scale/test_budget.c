/* The memory that triggers take, with their rows of the dashboard, is at most what counts for the
 * budget of their namespace. */
#include "scale/table/budget.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/table/triggers.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_decide.h"
#include "scale/trigger/trigger_report.h"
#include "web/content/live_tables.h"
#include "web/pages/trigger_rows.h"

#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { TRIGGERS = 500, LONG_BYTES = 350 }; /* a row cuts texts */

/* ---- a source that reports all there is, or fails with a long text ---- */

struct connection {
    const char *source;
};
struct query {
    const char *queue;
};
struct target {
    double length;
};

static const struct option table[] = {
    {"source", NULL, OPTION_CONNECTION, OPTION_STRING, OPTION_FIELD(struct connection, source),
     .flags = OPTION_REQUIRED, .doc = "the source"},
    {"queueName", NULL, OPTION_QUERY, OPTION_STRING, OPTION_FIELD(struct query, queue),
     .flags = OPTION_REQUIRED, .doc = "the queue"},
    {"queueLength", NULL, OPTION_TARGET, OPTION_FLOAT, OPTION_FIELD(struct target, length),
     .flags = OPTION_THRESHOLD, .default_value = "5", .limits = {1, INFINITY}},
    {0},
};

static atomic_bool is_failing;
static char quotes[LONG_BYTES + 1]; /* JSON escapes each */

static unsigned reports(const struct options *options, const char **ret_advice)
{
    (void)options;
    (void)ret_advice;
    return READING_WANT_IN_FLIGHT | READING_WANT_CONSUMERS | READING_WANT_RATES;
}

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct query *query = options->query;
    const struct target *target = options->target;
    ret_spec->metric_name = text_format("full-%s", query->queue);
    ret_spec->target = target->length;
}

static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    (void)options;
    (void)error;
    *ret_evaluation = (struct evaluation){reading->waiting, true};
    return true;
}

static bool connect_client(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    (void)deadline_ms;
    (void)error;
    *ret_client = (void *)connection_options;
    return true;
}

static bool measure(void *client, struct feed *feed, struct error *error)
{
    (void)client;
    (void)error;
    static const double number = 1.234567891e15; /* the most characters that a row has of one */
    struct reading all;
    double *fields = (double *)&all;
    for (size_t i = 0; i < sizeof(all) / sizeof(*fields); i++)
        fields[i] = number;
    for (struct task *task; (task = feed_take(feed)) != NULL;)
        if (is_failing)
            task_failf(task, "%s", quotes);
        else
            task_answer(task, &all);
    return true;
}

static void disconnect(void *client)
{
    (void)client;
}

static const struct scaler full_scaler = {
    .name = "full",
    .summary = "reports every field",
    .options = table,
    .sizes = {sizeof(struct connection), sizeof(struct query), sizeof(struct target)},
    .reports = reports,
    .metric_spec = metric_spec,
    .evaluate = evaluate,
    .connect = connect_client,
    .measure = measure,
    .disconnect = disconnect,
};

/* ---- what malloc() gives ---- */

size_t __sanitizer_get_allocated_size(const volatile void *memory) __attribute__((weak));
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *))
    __attribute__((weak));

static bool has_hooks;
static atomic_size_t hooked_bytes;

static void on_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    hooked_bytes += memory_heap_bytes(size);
}

static void on_free(const volatile void *memory)
{
    if (memory != NULL)
        hooked_bytes -= memory_heap_bytes(__sanitizer_get_allocated_size(memory));
}

/* A sanitizer's malloc() counts nothing for mallinfo2(). */
static void install_hooks(void)
{
    if (__sanitizer_install_malloc_and_free_hooks != NULL)
        has_hooks = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return has_hooks ? hooked_bytes : info.uordblks + info.hblkhd;
}

/* ---- the triggers ---- */

static struct engine *engine;
static struct triggers *triggers;
static struct trigger *all[1 + TRIGGERS]; /* the first one makes what all of them share */

static int set_up(void **state)
{
    (void)state;
    static const struct scaler *const scalers[] = {&full_scaler, NULL};
    memset(quotes, '"', LONG_BYTES);
    is_failing = false;
    log_set_level(LOG_LEVEL_ERROR);
    struct engine_settings settings = ENGINE_DEFAULTS;
    engine = engine_new(&settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = scalers,
        .engine = engine,
        .rules = {.interval_ms = 60000, .hold_ms = 60000, .hold_window_ms = 60000},
        .max_inline = 1,
        .max = 1 + TRIGGERS,
        .max_bytes = SIZE_MAX,
    });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    triggers_free(triggers);
    engine_free(engine);
    return 0;
}

static void find(size_t number, struct option_entry *entries, size_t count)
{
    _cleanup_(memory_free) char *name = text_format("worker-%zu", number);
    _cleanup_(error_done) struct error error = {0};
    struct trigger_ref ref = {name, "shop", entries, count};
    if (!triggers_find(triggers, &ref, clock_now_ms(), &all[number], &error))
        fail_msg("%s", error_text(&error));
}

/* Its row is cut where texts are. */
static void find_good(size_t number, bool has_policy)
{
    _cleanup_(memory_free) char *queue = text_format("%zu %s", number, quotes);
    struct option_entry entries[] = {{"scaler", "full"},
                                     {"source", "a"},
                                     {"queueName", queue},
                                     {"maxWait", "60s"},
                                     {"ratePerReplica", "measured"},
                                     {"scaleDownWhenIdle", "60s"}};
    find(number, entries, has_policy ? 6 : 3);
}

/* The mistakes are longer than TRIGGER_MAX_MISTAKES. */
static void find_wrong(size_t number)
{
    enum { UNKNOWN = 40 };
    char keys[UNKNOWN][64];
    struct option_entry entries[2 + UNKNOWN] = {{"scaler", "full"}, {"source", "a"}};
    for (size_t i = 0; i < UNKNOWN; i++) {
        snprintf(keys[i], sizeof(keys[i]), "a\"key\"that\"nobody\"has\"written\"down\"%zu", i);
        entries[2 + i] = (struct option_entry){keys[i], quotes};
    }
    find(number, entries, 2 + UNKNOWN);
}

static void measure_one(struct trigger *trigger)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    struct snapshot snapshot = {0};
    unsigned expected = is_failing ? ATTEMPT_FAILED : ATTEMPT_GOOD;
    if (!triggers_acquire_query(triggers, trigger, clock_now_ms(), &query, &error))
        fail_msg("%s", error_text(&error));
    query_demand(query, clock_now_ms());
    for (int i = 0; i < 5000 && snapshot.known.last_attempt != expected; i++) {
        snapshot_done(&snapshot);
        usleep(200);
        query_snapshot(query, &snapshot);
    }
    assert_int_equal(snapshot.known.last_attempt, expected);
    snapshot_done(&snapshot);
}

/* As a call of GetMetrics is. */
static void answer(struct trigger *trigger)
{
    _cleanup_(answer_done) struct answer answered = {0};
    int64_t now_ms = clock_now_ms();
    const struct answer_call call = {.arrived_ms = now_ms, .out_of_time = true};
    trigger_decide(trigger, &call, now_ms, &answered);
    trigger_answers_begin_round(trigger, &answered, now_ms);
    trigger_answers_record(trigger, "GetMetrics", &answered, now_ms);
}

static void begin_good(size_t number, bool has_policy)
{
    find_good(number, has_policy);
    assert_string_equal(error_text(&all[number]->parsed.mistakes), "");
    measure_one(all[number]);
    answer(all[number]);
}

static void begin_plain(size_t number)
{
    begin_good(number, false);
}

static void begin_with_policy(size_t number)
{
    begin_good(number, true);
}

static void begin_wrong(size_t number)
{
    find_wrong(number);
    assert_int_equal(all[number]->phase, TRIGGER_INVALID);
    trigger_answers_refuse(all[number], "GetMetrics", &all[number]->parsed.mistakes, 0);
}

static void assert_at_most(const char *what, size_t bytes, size_t counted)
{
    print_message("%s: %zu bytes of each, %zu count\n", what, bytes / TRIGGERS, counted / TRIGGERS);
    if (bytes > counted)
        fail_msg("%s take more than what counts", what);
}

/* ---- triggers ---- */

static void assert_growth(const char *what, void (*begin)(size_t number))
{
    begin(0);
    size_t before = allocated();
    size_t counted_before = all[0]->budget->bytes;
    for (size_t i = 1; i <= TRIGGERS; i++)
        begin(i);
    size_t after = allocated();
    assert_at_most(what, after - before, all[0]->budget->bytes - counted_before);
}

static void triggers_that_are_answered_take_no_more_than_counts(void **state)
{
    (void)state;
    assert_growth("triggers", begin_plain);
}

static void triggers_with_a_policy_take_no_more_than_counts(void **state)
{
    (void)state;
    assert_growth("triggers with a policy", begin_with_policy);
}

static void triggers_with_long_mistakes_take_no_more_than_counts(void **state)
{
    (void)state;
    assert_growth("triggers with mistakes", begin_wrong);
}

/* ---- rows of the dashboard ---- */

static bool run_at_once(void *context, void (*call)(void *call_context), void *call_context)
{
    (void)context;
    call(call_context);
    return true;
}

static int64_t update(void *context, struct live_tables *tables)
{
    struct trigger_rows **rows = context;
    struct trigger_walk walk = {.triggers = triggers, .run = run_at_once};
    (void)tables;
    assert_true(trigger_rows_update(*rows, &walk));
    return 1000;
}

static void assert_growth_of_rows(const char *what)
{
    struct trigger_rows *rows = NULL;
    struct live_tables *tables = live_tables_new(
        &(struct live_tables_settings){.hello = "{}", .update = update, .context = &rows});
    rows = trigger_rows_new(tables);
    void *reader = live_tables_stream.opened(tables);
    size_t counted = 0;
    for (size_t i = 0; i <= TRIGGERS; i++)
        counted += budget_of(&(struct budgets){.has_rows = true}, all[i]) -
                   budget_of(&(struct budgets){0}, all[i]);
    size_t before = allocated();
    live_tables_stream.update(tables);
    size_t after = allocated();
    live_tables_stream.closed(tables, reader);
    trigger_rows_free(rows);
    live_tables_free(tables);
    assert_at_most(what, after - before, counted);
}

static void rows_take_no_more_than_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TRIGGERS; i++)
        begin_with_policy(i);
    assert_growth_of_rows("rows of a good answer");
    is_failing = true;
    for (size_t i = 0; i <= TRIGGERS; i++) {
        measure_one(all[i]);
        answer(all[i]);
    }
    assert_growth_of_rows("rows of a value that is held");
}

static void rows_with_long_mistakes_take_no_more_than_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TRIGGERS; i++)
        begin_wrong(i);
    assert_growth_of_rows("rows with mistakes");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(triggers_that_are_answered_take_no_more_than_counts),
        TEST(triggers_with_a_policy_take_no_more_than_counts),
        TEST(triggers_with_long_mistakes_take_no_more_than_counts),
        TEST(rows_take_no_more_than_counts),
        TEST(rows_with_long_mistakes_take_no_more_than_counts),
    };
    install_hooks();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
