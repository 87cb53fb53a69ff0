/* KEDA's calls, explain, the dashboard's rows, the history and the metrics: views of one report
 * that agree. */
#include "base/clock.h"
#include "base/memory.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_decide.h"
#include "web/pages.h"
#include "web/pages/explain.h"
#include "web/pages/history_page.h"
#include "web/pages/trigger_metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a view says of a trigger; NAN, NULL: nothing. */
struct view {
    const char *state; /* as the dashboard's rows name it */
    double value, replicas, active;
    bool is_superseded;
};

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
    struct trigger_metrics metrics = {.walk = walk_of_triggers(NULL),
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
    trigger_decide(trigger, &(struct answer_call){.is_stream = true}, clock_now_ms(), &answer);
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
    if (trigger->policy == NULL && text_equal(expected->state, "answered")) {
        const struct view past = view_of_history(trigger);
        assert_view(&past, expected, "the history");
    }
    struct answer answer = {0};
    trigger_decide(trigger, &(struct answer_call){.is_stream = true}, clock_now_ms(), &answer);
    trigger_answers_record(trigger, "GetMetrics", &answer, clock_now_ms());
    answer_done(&answer);
    if (expected->is_superseded) /* the page has the newest trigger's instead */
        return;
    assert_same(metric_of("backlog_trigger_value", trigger), expected->value, "metrics: value");
    assert_same(metric_of("backlog_trigger_active", trigger), expected->active, "metrics: active");
    assert_same(metric_of("backlog_trigger_target", trigger), trigger->parsed.target,
                "metrics: target");
}

static struct view unknown_because(const char *state)
{
    return (struct view){state, NAN, NAN, NAN, false};
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

/* 21 / 1.4 is more than 15, as a computer counts. */
static void a_trigger_with_a_target_that_is_no_whole_number(void **state)
{
    (void)state;
    fake_set_queue("jobs", 21);
    struct trigger *trigger = measured(
        FIND_NOW("scaler", "fake", "source", "a", "queueName", "jobs", "queueLength", "1.4"));
    assert_views(trigger, &(struct view){"answered", 21, 15, 1, false});
}

/* ... and a call was. */
static struct trigger *answered(struct trigger *trigger, double value)
{
    int64_t now_ms = clock_now_ms();
    hold_measured(&measured(trigger)->answers.hold, value, value > 0, now_ms, now_ms);
    return trigger;
}

static void what_is_held_while_measuring_fails(void **state)
{
    (void)state;
    fake_set_queue("jobs", 7);
    struct trigger *trigger = answered(FIND_NOW(JOBS), 7);
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    assert_views(trigger, &(struct view){"held", 7, 2, 1, false});
}

static void what_is_held_is_no_more_than_the_replicas_of_the_hpa(void **state)
{
    (void)state;
    fake_set_queue("jobs", 7);
    struct trigger *trigger = answered(FIND_NOW(JOBS), 7);
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    hold_failed(&trigger->answers.hold, clock_now_ms());
    trigger->kubernetes.hpa = (struct hpa_facts){-1, 1, clock_now_ms()};
    assert_views(trigger, &(struct view){"held", 5, 1, 1, false});
    trigger->kubernetes.hpa.replicas = 0; /* what is active has work for one */
    assert_views(trigger, &(struct view){"held", 5, 1, 1, false});
    trigger->kubernetes.hpa.replicas = -1; /* not known */
    assert_views(trigger, &(struct view){"held", 7, 2, 1, false});
}

/* It was not measured here: the age is that of the other replica's reading. */
static void what_another_replica_held_until_it_is_measured(void **state)
{
    (void)state;
    fake_set_queue("jobs", FAKE_MISSING);
    struct trigger *trigger = FIND_NOW(JOBS);
    query_of(trigger);
    wait_until_failed(trigger);
    const struct held other = {.value = 7, .since_ms = clock_now_ms() - 10000};
    hold_take(&trigger->answers.hold, &other, clock_now_ms());
    assert_views(trigger, &(struct view){"held", 7, 2, 1, false});
    json_t *object = page_of(trigger, explain_one, NULL);
    const char *why = json_string_value(json_object_get(object, "why"));
    const char begin[] = "held from another replica, or from before an edit: 7, at a target of 5 "
                         "per replica: 2 replicas; "
                         "active; measured there 10.";
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
    int64_t now_ms = clock_now_ms();
    const struct held other = {
        .value = 7, .since_ms = now_ms, .peaks_count = 1, .peaks = {{12, now_ms - 1000}}};
    hold_take(&trigger->answers.hold, &other, now_ms);
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
    answered(trigger, row.value);
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
    struct trigger *trigger = answered(FIND_NOW(JOBS), 17);
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

static void a_value_of_many_digits_is_explained_with_all_of_them(void **state)
{
    (void)state;
    fake_set_queue("jobs", 12345678);
    struct trigger *trigger = measured(FIND_NOW(JOBS));
    assert_why(trigger, "measured ",
               " s ago: 12345678, at a target of 5 per replica: 2469136 replicas; active");
}

static void what_is_held_was_not_decided_by_the_policy_last(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = measured(FIND_NOW(JOBS, "steps", "1=1, 10=5, 20=12"));
    static const struct answer before = {.kind = ANSWER_VALUE, .value = 12, .active = true};
    answered(trigger, 12);
    trigger_answers_begin_round(trigger, &before, clock_now_ms());
    fake_set_queue("jobs", 9);
    measure_again(trigger);
    assert_why(trigger, "measured ", " s ago: 1 replica: 9 waiting, level 1 of 3 (1=1); active");
    fake_set_queue("jobs", FAKE_MISSING);
    wait_until_failed(trigger);
    assert_why(trigger,
               "held: 12, at a target of 1 per replica: 12 replicas; active; measured last ",
               " s ago: 1 replica: 9 waiting, level 1 of 3 (1=1); held for at most 60 s while ");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trigger_that_was_never_measured),
        TEST(an_active_and_an_idle_trigger),
        TEST(a_trigger_with_a_target_that_is_no_whole_number),
        TEST(what_is_held_while_measuring_fails),
        TEST(what_is_held_is_no_more_than_the_replicas_of_the_hpa),
        TEST(what_another_replica_held_until_it_is_measured),
        TEST(what_another_replica_answered_earlier_is_held_too),
        TEST(an_idle_trigger_whose_measurement_fails),
        TEST(a_trigger_with_a_policy),
        TEST(a_held_value_is_no_reading),
        TEST(a_value_of_many_digits_is_explained_with_all_of_them),
        TEST(what_is_held_was_not_decided_by_the_policy_last),
        TEST(a_trigger_that_is_superseded),
        TEST(a_trigger_with_mistakes),
        TEST(streams_are_counted_without_calls_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
