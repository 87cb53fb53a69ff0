/* The memory that triggers take, with their rows of the dashboard, is at most what counts for the
 * budget of their namespace. */
#include "scale/table/budget.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/connections/named_connections.h"
#include "scale/table/triggers_internal.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_decide.h"
#include "scale/trigger/trigger_report.h"
#include "support/connections_text.h"
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
    static struct scaler other;
    static const struct scaler *const scalers[] = {&full_scaler, &other, NULL};
    other = full_scaler;
    other.name = "other";
    memset(quotes, '"', LONG_BYTES);
    is_failing = false;
    log_set_level(LOG_LEVEL_ERROR);
    struct engine_settings settings = ENGINE_DEFAULTS;
    engine = engine_new(&settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = scalers,
        .engine = engine,
        .rules = {.interval_ms = 60000, .hold_ms = 60000, .hold_window_ms = 60000},
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

/* As the engine has one connection for each. */
static void connections_of_two_scalers_to_one_address_both_count(void **state)
{
    (void)state;
    enum { CONNECTION_BYTES = 128 << 10 };
    struct option_entry entries[] = {{"scaler", "other"}, {"source", "a"}, {"queueName", "jobs"}};
    begin_plain(0);
    size_t before = all[0]->budget->bytes;
    find(1, entries, 3);
    assert_true(all[0]->budget->bytes - before > CONNECTION_BYTES);
    assert_non_null(all[1]->shared);
    assert_ptr_not_equal(all[1]->shared, all[0]->shared);
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
    void *reader = live_tables_stream.opened(tables, false);
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

/* ---- what a client keeps of a query ---- */

enum { CLIENT_BYTES = 1 << 20 };

static size_t times_asked;

static size_t client_bytes(const void *query_options)
{
    const struct query *query = query_options;
    assert_string_not_equal(query->queue, ""); /* which stands for one that is missing */
    times_asked++;
    return CLIENT_BYTES;
}

static void check_connection(const void *connection_options, struct error *mistakes)
{
    const struct connection *connection = connection_options;
    if (strcmp(connection->source, "wrong") == 0)
        error_add(mistakes, "source must not be wrong");
}

static void ignore_add(void *context, const struct identity *identity,
                       const struct trigger_ref *ref, const struct option *options)
{
    (void)context;
    (void)identity;
    (void)ref;
    (void)options;
}

static void ignore(void *context, const struct identity *identity)
{
    (void)context;
    (void)identity;
}

static struct connections *connections_of(const char *yaml, const struct scaler *const *scalers)
{
    _cleanup_(error_done) struct error error = {0};
    struct connections *connections = NULL;
    if (!connections_from_text(yaml, strlen(yaml), "test", ".", &connections, &error))
        fail_msg("%s", error_text(&error));
    named_connections_check(connections, scalers);
    return connections;
}

static struct scaler keeping_scaler; /* whose client keeps much */
static const struct scaler *const keeping_scalers[] = {&keeping_scaler, NULL};

static int set_up_client(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    keeping_scaler = full_scaler;
    keeping_scaler.check_connection = check_connection;
    keeping_scaler.client_bytes = client_bytes;
    is_failing = false;
    times_asked = 0;
    log_set_level(LOG_LEVEL_ERROR);
    engine = engine_new(&settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = keeping_scalers,
        .connections = connections_of("connections: {}\n", keeping_scalers),
        .engine = engine,
        .own = {.add = ignore_add, .remove = ignore, .refresh = ignore},
        .rules = {.interval_ms = 60000, .hold_ms = 60000},
        .forget_ms = 1,
        .max = 1,
        .max_bytes = SIZE_MAX,
    });
    return 0;
}

static int tear_down_client(void **state)
{
    triggers_expire(triggers, clock_now_ms() + 1); /* as forget_ms */
    assert_int_equal(triggers->lifecycle.budgets.bytes, 0);
    return tear_down(state);
}

static void assert_client_counts(enum trigger_phase phase)
{
    assert_int_equal(all[0]->phase, phase);
    assert_true(times_asked > 0);
    assert_true(all[0]->bytes >= CLIENT_BYTES);
    times_asked = 0;
}

static void assert_client_does_not_count(void)
{
    assert_int_equal(all[0]->phase, TRIGGER_INVALID);
    assert_int_equal(times_asked, 0);
    assert_true(all[0]->bytes < CLIENT_BYTES);
}

/* The trigger's authentication has this address. */
static void know_source(const char *source)
{
    struct credentials *credentials = credentials_new();
    credentials->state = CREDENTIALS_VERIFIED;
    credentials->authentication = text_copy("TriggerAuthentication shop/a");
    credentials_add(credentials, "source", source);
    triggers_set_credentials(triggers, all[0]->identity.bytes, all[0]->identity.length, credentials,
                             &HPA_FACTS_UNKNOWN, 0);
}

static void a_client_counts_but_where_its_trigger_has_mistakes(void **state)
{
    (void)state;
    struct option_entry entries[] = {{"scaler", "full"}, {"queueName", "jobs"}};
    find(0, entries, 2);
    assert_client_counts(TRIGGER_PENDING);
    know_source("wrong");
    assert_client_does_not_count();
    know_source("right");
    assert_client_counts(TRIGGER_READY);
    measure_one(all[0]);
    know_source("wrong");
    assert_client_does_not_count();
    know_source("other");
    assert_client_counts(TRIGGER_READY);
}

static void a_client_counts_before_its_connection_is_known(void **state)
{
    (void)state;
    static const char yaml[] = "connections: {orders: {scaler: full, source: a}}\n";
    struct option_entry entries[] = {
        {"scaler", "full"}, {"connectionName", "orders"}, {"queueName", "jobs"}};
    find(0, entries, 3);
    assert_client_counts(TRIGGER_UNCONNECTED);
    triggers_set_connections(triggers, connections_of(yaml, keeping_scalers));
    assert_false(triggers_renew(triggers, 1));
    assert_client_counts(TRIGGER_READY);
}

static void a_client_of_a_query_with_mistakes_does_not_count(void **state)
{
    (void)state;
    struct option_entry entries[] = {{"scaler", "full"}, {"connectionName", "orders"}};
    find(0, entries, 2);
    assert_client_does_not_count();
}

static void no_client_counts_where_no_scaler_is_known(void **state)
{
    (void)state;
    struct option_entry entries[] = {{"scaler", "unknown"}};
    find(0, entries, 1);
    assert_client_does_not_count();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_CLIENT(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(triggers_that_are_answered_take_no_more_than_counts),
        TEST(triggers_with_a_policy_take_no_more_than_counts),
        TEST(triggers_with_long_mistakes_take_no_more_than_counts),
        TEST(connections_of_two_scalers_to_one_address_both_count),
        TEST(rows_take_no_more_than_counts),
        TEST(rows_with_long_mistakes_take_no_more_than_counts),
        TEST_CLIENT(a_client_counts_but_where_its_trigger_has_mistakes),
        TEST_CLIENT(a_client_counts_before_its_connection_is_known),
        TEST_CLIENT(a_client_of_a_query_with_mistakes_does_not_count),
        TEST_CLIENT(no_client_counts_where_no_scaler_is_known),
    };
    install_hooks();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
