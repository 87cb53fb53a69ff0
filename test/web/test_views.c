/* KEDA's calls, explain, the dashboard's rows, the history and the metrics: views of one report
 * that agree. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"
#include "web/json.h"
#include "web/live_tables.h"
#include "web/pages/dashboard.h"
#include "web/pages/explain.h"
#include "web/pages/history_page.h"
#include "web/pages/trigger_metrics.h"
#include "web/pages/trigger_rows.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a view says of a trigger; NAN, NULL: nothing. */
struct view {
    const char *state; /* as the dashboard's rows name it */
    double value, replicas, active;
    bool is_superseded;
};

static bool loop_is_busy;
static int turns; /* that were asked for */

static bool run_at_once(void *context, void (*call)(void *call_context), void *call_context)
{
    (void)context;
    turns++;
    if (!loop_is_busy)
        call(call_context);
    return !loop_is_busy;
}

static const struct walk_source *source(void)
{
    static struct walk_source walk;
    walk = (struct walk_source){.triggers = triggers, .run = run_at_once};
    return &walk;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value)    ? json_number_value(value)
           : json_is_boolean(value) ? (double)json_is_true(value)
                                    : (double)NAN;
}

/* Of the trigger, from the page of its ScaledObject; the caller frees it. */
static json_t *page_of(const struct trigger *trigger,
                       void (*get)(void *context, const struct web_request *request,
                                   struct web_answer *answer),
                       const char *list)
{
    struct web_answer answer = {0};
    struct evkeyvalq none = {0};
    char namespace[] = "shop";
    char name[] = "worker";
    const struct web_request request = {
        .below = {namespace, name}, .below_count = 2, .parameters = &none};
    get((void *)source(), &request, &answer);
    json_t *page = json_loads(answer.body.bytes, 0, NULL);
    text_done(&answer.body);
    const json_t *triggers_of_page = list == NULL ? page : json_object_get(page, list);
    size_t index;
    json_t *one;
    json_t *found = NULL;
    json_array_foreach(triggers_of_page, index, one)
        if (json_integer_value(json_object_get(one, "id")) == (json_int_t)trigger->id)
            found = json_incref(one);
    json_decref(page);
    assert_non_null(found);
    return found;
}

/* The answer to a list's request with these parameters; the caller frees it. NULL: it was refused.
 */
static json_t *list_of(const char *parameters)
{
    struct web_answer answer = {0};
    struct evkeyvalq parsed = {0};
    evhttp_parse_query_str(parameters, &parsed);
    const struct web_request request = {.parameters = &parsed};
    explain_list((void *)source(), &request, &answer);
    evhttp_clear_headers(&parsed);
    json_t *page = answer.code >= 400 ? NULL : json_loads(answer.body.bytes, 0, NULL);
    assert_true(answer.code >= 400 || page != NULL);
    text_done(&answer.body);
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

/* The table has room for three. */
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

static const char *kept_word(const json_t *value)
{
    static const char *const words[] = {"answered", "held", "refused", "waiting"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (text_equal(words[i], json_string_value(value)))
            return words[i];
    return NULL;
}

static struct view view_of_explain(const struct trigger *trigger)
{
    json_t *object = page_of(trigger, explain_one, NULL);
    const json_t *now = json_object_get(object, "now");
    const struct view view = {
        .state = kept_word(json_object_get(now, "state")),
        .value = number_of(now, "value"),
        .replicas = number_of(now, "replicas"),
        .active = number_of(now, "active"),
        .is_superseded = json_is_true(json_object_get(object, "superseded")),
    };
    json_decref(object);
    return view;
}

static int64_t update(void *context, struct live_tables *tables)
{
    struct trigger_rows **rows = context;
    assert_true(trigger_rows_update(*rows, source()));
    live_tables_server(tables, "{}");
    return 1000;
}

/* The rows of all triggers, as a reader gets them. */
static struct text read_rows(struct trigger_totals *ret_totals)
{
    struct trigger_rows *rows = NULL;
    struct live_tables *tables = live_tables_new(
        &(struct live_tables_settings){.hello = "{}", .update = update, .context = &rows});
    rows = trigger_rows_new(tables);
    void *reader = live_tables_stream.opened(tables);
    live_tables_stream.tick(tables);
    struct text piece = {0};
    while (live_tables_stream.write(tables, reader, &piece))
        ;
    *ret_totals = *trigger_rows_totals(rows);
    live_tables_stream.closed(tables, reader);
    trigger_rows_free(rows);
    live_tables_free(tables);
    return piece;
}

static json_t *part_of_row(const char *row, const char *key)
{
    json_t *part = json_loads(strstr(row, key) + strlen(key), JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(part);
    return part;
}

static struct view view_of_rows(const struct trigger *trigger, struct trigger_totals *ret_totals)
{
    _cleanup_(text_done) struct text piece = read_rows(ret_totals);
    char id[32];
    snprintf(id, sizeof(id), "\"id\":%llu,", (unsigned long long)trigger->id);
    json_t *fixed = part_of_row(strstr(piece.bytes, id), "\"fixed\":");
    json_t *row = part_of_row(strstr(piece.bytes, id), "\"live\":");
    assert_string_equal(json_string_value(json_object_get(fixed, "metricName")),
                        trigger->parsed.metric_name);
    json_decref(fixed);
    const struct view view = {
        .state = kept_word(json_object_get(row, "state")),
        .value = number_of(row, "value"),
        .replicas = number_of(row, "replicas"),
        .active = number_of(row, "active"),
        .is_superseded = json_is_true(json_object_get(row, "superseded")),
    };
    json_decref(row);
    return view;
}

/* The last row; where there is none it says what it says of no sample. */
static struct view view_of_history(const struct trigger *trigger)
{
    json_t *object = page_of(trigger, history_page, "triggers");
    const json_t *columns = json_object_get(object, "columns");
    const json_t *rows = json_object_get(object, "rows");
    const json_t *last = json_array_get(rows, json_array_size(rows) - 1);
    json_t *row = json_object();
    for (size_t i = 0; i < json_array_size(last); i++)
        json_object_set(row, json_string_value(json_array_get(columns, i)),
                        json_array_get(last, i));
    const struct view view = {
        .state = last == NULL ? NULL : kept_word(json_object_get(row, "state")),
        .value = number_of(row, "value"),
        .replicas = number_of(row, "replicas"),
        .active = number_of(row, "active"),
        .is_superseded = json_is_true(json_object_get(object, "superseded")),
    };
    json_decref(row);
    json_decref(object);
    return view;
}

/* NAN: the page has no such line. */
static double metric_of(const char *name, const struct trigger *trigger)
{
    struct trigger_metrics metrics = {.source = source(),
                                      .max = 1}; /* a former one takes no place */
    _cleanup_(text_done) struct text page = {0};
    assert_true(trigger_metrics_write(&metrics, &page));
    _cleanup_(memory_free) char *begin =
        text_format("\n%s{namespace=\"shop\",name=\"worker\",scaler=\"%s\",metric=\"%s\"} ", name,
                    trigger->parsed.scaler == NULL ? "" : trigger->parsed.scaler->name,
                    trigger->parsed.metric_name);
    const char *line = strstr(page.bytes, begin);
    return line == NULL ? (double)NAN : strtod(line + strlen(begin), NULL);
}

static void assert_same(double one, double other, const char *what)
{
    if (isnan(one) != isnan(other) || (!isnan(one) && one != other))
        fail_msg("%s: %g, and elsewhere %g", what, one, other);
}

static void assert_view(const struct view *view, const struct view *expected, const char *where)
{
    if (!text_equal(view->state, expected->state))
        fail_msg("%s: state %s, expected %s", where, view->state, expected->state);
    assert_same(view->value, expected->value, where);
    assert_same(view->replicas, expected->replicas, where);
    assert_same(view->active, expected->active, where);
    assert_int_equal(view->is_superseded, expected->is_superseded);
}

/* As a stream of KEDA is answered now. */
static struct view view_of_keda(const struct trigger *trigger)
{
    struct answer answer = {0};
    trigger_report_answer(trigger, &(struct answer_call){.is_stream = true}, clock_now_ms(),
                          &answer);
    bool has_value = answer.kind == ANSWER_VALUE;
    const struct view view = {
        .state = has_value                       ? (answer.held ? "held" : "answered")
                 : answer.kind == ANSWER_REFUSED ? "refused"
                                                 : "waiting",
        .value = has_value ? answer.value : (double)NAN,
        .replicas = has_value ? answer.replicas : (double)NAN,
        .active = has_value ? (double)answer.active : (double)NAN,
    };
    answer_done(&answer);
    return view;
}

/* All views say this, and the metrics what GetMetrics was answered. */
static void assert_views(struct trigger *trigger, const struct view *expected)
{
    struct trigger_totals totals;
    struct view keda = view_of_keda(trigger);
    const struct view explained = view_of_explain(trigger);
    const struct view row = view_of_rows(trigger, &totals);
    keda.is_superseded = expected->is_superseded; /* KEDA does not say */
    assert_view(&keda, expected, "KEDA's call");
    assert_view(&explained, expected, "explain");
    assert_view(&row, expected, "the dashboard's row");
    if (trigger->bound.query != NULL && !text_equal(expected->state, "waiting")) {
        const struct view past = view_of_history(trigger);
        assert_view(&past, expected, "the history");
    }
    struct answer answer = {0};
    trigger_report_answer(trigger, &(struct answer_call){.is_stream = true}, clock_now_ms(),
                          &answer);
    trigger_answers_record(trigger, "GetMetrics", &answer, clock_now_ms());
    answer_done(&answer);
    if (expected->is_superseded) /* the page has the newest trigger's instead */
        return;
    assert_same(metric_of("backlog_trigger_value", trigger), expected->value, "metrics: value");
    assert_same(metric_of("backlog_trigger_active", trigger), expected->active, "metrics: active");
    assert_same(metric_of("backlog_trigger_target", trigger), trigger->parsed.target,
                "metrics: target");
}

/* Each call is now: what came before it is of the past. */
static struct trigger *find_now(const char *const *pairs)
{
    return find_in("shop", clock_now_ms(), pairs);
}

#define FIND_NOW(...) find_now((const char *const[]){__VA_ARGS__, NULL})
#define JOBS "scaler", "fake", "source", "a", "queueName", "jobs"

static struct view unknown_because(const char *state)
{
    return (struct view){state, NAN, NAN, NAN, false};
}

static bool has_failed(const struct trigger *trigger)
{
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(trigger->bound.query, &now);
    return now.last_attempt == ATTEMPT_FAILED;
}

static void wait_until_failed(const struct trigger *trigger)
{
    for (int i = 0; i < 5000 && !has_failed(trigger); i++) {
        query_demand(trigger->bound.query, clock_now_ms());
        usleep(2000);
    }
    assert_true(has_failed(trigger));
}

static struct trigger *measured(struct trigger *trigger)
{
    query_of(trigger);
    wait_until_measured(trigger);
    return trigger;
}

static void a_trigger_that_was_never_measured(void **state)
{
    (void)state;
    struct trigger *trigger =
        FIND_NOW("scaler", "fake", "source", "a", "queueName", "jobs", "queueLength", "2");
    fake_set_queue("jobs", FAKE_HANGS);
    query_of(trigger);
    const struct view expected = unknown_because("waiting");
    assert_views(trigger, &expected);
}

static void an_active_and_an_idle_trigger(void **state)
{
    (void)state;
    fake_set_queue("jobs", 7);
    struct trigger *trigger = measured(FIND_NOW(JOBS));
    assert_views(trigger, &(struct view){"answered", 7, 2, 1, false});
    fake_set_queue("jobs", 0);
    measure_again(trigger);
    assert_views(trigger, &(struct view){"answered", 0, 0, 0, false});
}

static void what_is_held_while_measuring_fails(void **state)
{
    (void)state;
    fake_set_queue("jobs", 7);
    struct trigger *trigger = measured(FIND_NOW(JOBS));
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    assert_views(trigger, &(struct view){"held", 7, 2, 1, false});
}

static void what_is_held_is_no_more_than_the_replicas_of_the_hpa(void **state)
{
    (void)state;
    fake_set_queue("jobs", 7);
    struct trigger *trigger = measured(FIND_NOW(JOBS));
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(trigger->bound.query, &now);
    trigger->kubernetes.hpa = (struct hpa_facts){-1, 1, now.failing_since_ms};
    assert_views(trigger, &(struct view){"held", 5, 1, 1, false});
    trigger->kubernetes.hpa.replicas = 0; /* what is active has work for one */
    assert_views(trigger, &(struct view){"held", 5, 1, 1, false});
    trigger->kubernetes.hpa.replicas = -1; /* not known */
    assert_views(trigger, &(struct view){"held", 7, 2, 1, false});
}

/* It was not measured here: the sentence names no age. */
static void what_another_replica_held_until_it_is_measured(void **state)
{
    (void)state;
    fake_set_queue("jobs", FAKE_MISSING);
    struct trigger *trigger = FIND_NOW(JOBS);
    query_of(trigger);
    wait_until_failed(trigger);
    struct peer_value *of_peers = memory_new(sizeof(*of_peers));
    of_peers->value = 7;
    of_peers->since_ms = clock_now_ms();
    trigger_answers_adopt(trigger, of_peers, 1, clock_now_ms());
    assert_views(trigger, &(struct view){"held", 7, 2, 1, false});
    json_t *object = page_of(trigger, explain_one, NULL);
    const char *why = json_string_value(json_object_get(object, "why"));
    const char begin[] = "held from another replica: 7, at a target of 5 per replica: 2 replicas; "
                         "active; held for at most ";
    if (!text_starts_with(why, begin))
        fail_msg("%s", why);
    json_decref(object);
}

/* It held the largest of those for the HPA's window. */
static void what_another_replica_answered_earlier_is_held_too(void **state)
{
    (void)state;
    fake_set_queue("jobs", FAKE_MISSING);
    struct trigger *trigger = FIND_NOW(JOBS);
    query_of(trigger);
    wait_until_failed(trigger);
    struct peer_value *of_peers = memory_new(sizeof(*of_peers));
    int64_t now_ms = clock_now_ms();
    *of_peers = (struct peer_value){
        .value = 7, .since_ms = now_ms, .earlier_count = 1, .earlier = {{12, now_ms - 1000}}};
    trigger_answers_adopt(trigger, of_peers, 1, now_ms);
    assert_views(trigger, &(struct view){"held", 12, 3, 1, false});
}

static void an_idle_trigger_whose_measurement_fails(void **state)
{
    (void)state;
    fake_set_queue("jobs", 0);
    struct trigger *trigger = measured(FIND_NOW(JOBS));
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    const struct view expected = unknown_because("refused");
    assert_views(trigger, &expected);
    struct trigger_totals totals;
    view_of_rows(trigger, &totals);
    assert_true(totals.triggers == 1 && !totals.has_replicas); /* unknown is not 0 */
}

static void a_trigger_with_a_policy(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = measured(FIND_NOW(JOBS, "steps", "1=1, 10=5"));
    assert_true(trigger->policy != NULL);
    struct trigger_totals totals;
    const struct view row = view_of_rows(trigger, &totals);
    assert_true(row.replicas == 5 && row.active == 1);
    assert_views(trigger, &row);
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    const struct view held = {"held", row.value, 5, 1, false};
    assert_views(trigger, &held);
}

/* The sentence of explain says it with this beginning, and this somewhere after it. */
static void assert_why(const struct trigger *trigger, const char *begin, const char *then)
{
    json_t *object = page_of(trigger, explain_one, NULL);
    const char *why = json_string_value(json_object_get(object, "why"));
    if (!text_starts_with(why, begin) || strstr(why, then) == NULL)
        fail_msg("%s", why);
    json_decref(object);
}

/* What is held is the largest of the last minutes, and not what was measured last. */
static void a_held_value_is_no_reading(void **state)
{
    (void)state;
    fake_set_queue("jobs", 17);
    struct trigger *trigger = measured(FIND_NOW(JOBS));
    static const struct answer before = {.kind = ANSWER_VALUE, .value = 17, .active = true};
    trigger_answers_begin_round(trigger, &before, clock_now_ms());
    fake_set_queue("jobs", 7);
    measure_again(trigger);
    assert_why(trigger, "measured ", " s ago: 7, at a target of 5 per replica: 2 replicas; active");
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    assert_why(trigger,
               "held: 17, at a target of 5 per replica: 4 replicas; active; measured last ",
               " s ago: 7; held for at most 60 s while measuring fails: ");
}

static void what_is_held_was_not_decided_by_the_policy_last(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = measured(FIND_NOW(JOBS, "steps", "1=1, 10=5, 20=12"));
    static const struct answer before = {.kind = ANSWER_VALUE, .value = 12, .active = true};
    trigger_answers_begin_round(trigger, &before, clock_now_ms());
    fake_set_queue("jobs", 9);
    measure_again(trigger);
    assert_why(trigger, "measured ", " s ago: 1 replica: 9 waiting, level 1 of 3; active");
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    assert_why(trigger,
               "held: 12, at a target of 1 per replica: 12 replicas; active; measured last ",
               " s ago: 1 replica: 9 waiting, level 1 of 3; held for at most 60 s while ");
}

static void a_trigger_that_is_superseded(void **state)
{
    (void)state;
    fake_set_queue("jobs", 7);
    struct trigger *former = find_in("shop", 0, (const char *const[]){JOBS, NULL});
    measured(former);
    struct trigger *newest = measured(FIND_NOW(JOBS, "queueLength", "1"));
    assert_views(former, &(struct view){"answered", 7, 2, 1, true});
    assert_views(newest, &(struct view){"answered", 7, 7, 1, false});
    struct trigger_totals totals;
    view_of_rows(newest, &totals);
    assert_int_equal(totals.triggers, 1);
    assert_int_equal(totals.active, 1);
    assert_true(totals.replicas == 7 && totals.waiting == 7);
    assert_true(metric_of("backlog_trigger_target", newest) == 1);
}

static void a_trigger_with_mistakes(void **state)
{
    (void)state;
    struct trigger *trigger = FIND_NOW("scaler", "fake", "queueNam", "jobs");
    const struct view expected = unknown_because("refused");
    assert_views(trigger, &expected);
}

static double streams_of(const struct trigger *trigger)
{
    json_t *object = page_of(trigger, explain_one, NULL);
    double streams = number_of(object, "streams");
    json_decref(object);
    return streams;
}

static void streams_are_counted_without_calls_that_wait(void **state)
{
    (void)state;
    struct watcher call = {0};
    struct watcher stream = {0};
    struct trigger *trigger = FIND_NOW(JOBS);
    triggers_pin(triggers, trigger);
    trigger_watch(trigger, &call, false);
    assert_true(streams_of(trigger) == 0);
    trigger_watch(trigger, &stream, true);
    query_of(trigger);
    assert_true(streams_of(trigger) == 1);
    trigger_unwatch(trigger, &call);
    assert_true(streams_of(trigger) == 1);
    trigger_unwatch(trigger, &stream);
    assert_true(streams_of(trigger) == 0);
    triggers_unpin(triggers, trigger, clock_now_ms());
}

static uint64_t no_calls(void *context)
{
    (void)context;
    return 0;
}

/* NAN: it was refused, or has no such figure. */
static double figure_of_server(struct dashboard *dashboard, const char *name)
{
    const struct web_request request = {0};
    struct web_answer answer = {0};
    dashboard_server(dashboard, &request, &answer);
    json_t *object = answer.code >= 400 ? NULL : json_loads(answer.body.bytes, 0, NULL);
    assert_true(answer.code >= 400 || object != NULL);
    double figure = number_of(object, name);
    json_decref(object);
    text_done(&answer.body);
    return figure;
}

/* A sum over some triggers would be taken for that over all. */
static void figures_are_of_all_triggers_or_not_given(void **state)
{
    (void)state;
    FIND_NOW(JOBS);
    struct dashboard *dashboard = dashboard_new(&(struct dashboard_settings){
        .triggers = source(), .engine = engine, .hello = "{}", .calls = no_calls});
    struct live_tables *tables = dashboard_tables(dashboard);
    void *reader = live_tables_stream.opened(tables);
    loop_is_busy = true;
    live_tables_stream.tick(tables);
    assert_true(isnan(figure_of_server(dashboard, "triggers")));
    loop_is_busy = false;
    assert_true(figure_of_server(dashboard, "triggers") == 1);
    live_tables_stream.closed(tables, reader);
    dashboard_free(dashboard);
}

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

/* Anybody can call with other metadata: what the page has no room for costs no turn of the loop. */
static void a_page_of_one_object_takes_turns_for_what_it_shows(void **state)
{
    (void)state;
    enum { TRIGGERS = 3 * WALK_TRIGGERS_PER_OBJECT };
    struct triggers *usual = triggers;
    triggers = table_of(TRIGGERS, false);
    struct trigger *first = FIND_NOW(JOBS, "queueLength", "1");
    for (int i = 2; i <= TRIGGERS; i++) {
        _cleanup_(memory_free) char *length = text_format("%d", i);
        FIND_NOW(JOBS, "queueLength", length);
    }
    turns = 0;
    json_decref(page_of(first, explain_one, NULL));
    assert_in_range(turns, WALK_TRIGGERS_PER_OBJECT, 2 * WALK_TRIGGERS_PER_OBJECT);
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

int main(void)
{
    recent_log_start();
    const struct CMUnitTest tests[] = {
        TEST(a_trigger_that_was_never_measured),
        TEST(an_active_and_an_idle_trigger),
        TEST(what_is_held_while_measuring_fails),
        TEST(what_is_held_is_no_more_than_the_replicas_of_the_hpa),
        TEST(what_another_replica_held_until_it_is_measured),
        TEST(what_another_replica_answered_earlier_is_held_too),
        TEST(an_idle_trigger_whose_measurement_fails),
        TEST(a_trigger_with_a_policy),
        TEST(a_held_value_is_no_reading),
        TEST(what_is_held_was_not_decided_by_the_policy_last),
        TEST(a_trigger_that_is_superseded),
        TEST(a_trigger_with_mistakes),
        TEST(streams_are_counted_without_calls_that_wait),
        TEST(figures_are_of_all_triggers_or_not_given),
        TEST(a_page_goes_on_behind_the_last_row_where_earlier_ones_are_gone),
        TEST(a_page_without_rows_is_refused),
        TEST(a_page_of_one_object_takes_turns_for_what_it_shows),
        TEST(rows_count_as_memory_of_their_triggers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
