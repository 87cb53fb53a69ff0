#include "web/pages/explain.h"

#include "base/memory.h"
#include "scale/policy/policy_words.h"
#include "web/content/list_part.h"
#include "web/content/trigger_fields.h"
#include "web/content/web_json.h"
#include "web/http/page.h"

#include <math.h>

enum { USUAL_LIMIT = 100, MAX_LIMIT = 1000 };

/* ---- the metadata as understood ---- */

static json_t *explain_metadata(const struct trigger *trigger)
{
    static const char *const names[OPTION_SCOPES] = {
        [OPTION_CONNECTION] = "connection", [OPTION_QUERY] = "query", [OPTION_TARGET] = "target"};
    json_t *object = json_object();
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        web_json_set(object, names[scope],
                     web_json_options(trigger->parsed.values[scope], web_json_text));
    return object;
}

/* ---- what was measured ---- */

static json_t *explain_reading(const struct trigger_report *report,
                               const struct trigger_figures *figures)
{
    if (!report->snapshot.known.is_measured)
        return json_null();
    json_t *object = json_object();
    web_json_set(object, "ageSeconds", web_json_number(figures->age_seconds));
    TRIGGER_FIELD_FOREACH(field, VIEW_READING)
        if (!isnan(trigger_field_number(field, figures)))
            web_json_set(object, field->key, web_json_number(trigger_field_number(field, figures)));
    return object;
}

static json_t *explain_rates(const struct trigger_figures *figures)
{
    json_t *object = json_object();
    TRIGGER_FIELD_FOREACH(field, VIEW_RATES)
        web_json_set(object, field->key, web_json_number(trigger_field_number(field, figures)));
    web_json_set(object, "areBounds", json_boolean(figures->rates_are_bounds));
    return object;
}

static json_t *explain_source(const struct query_state *source, web_json_make_text *make_text)
{
    json_t *object = json_object();
    web_json_set(object, "name", make_text(source->connection));
    web_json_set(object, "state", web_json_text(client_state_name(source->client)));
    web_json_set(object, "intervalSeconds",
                 source->interval_ms == 0 ? NULL : web_json_seconds(source->interval_ms));
    web_json_set(object, "effectiveIntervalSeconds",
                 web_json_seconds(source->effective_interval_ms));
    web_json_set(object, "isolated", json_boolean(source->is_isolated));
    web_json_set(object, "subscribed", json_boolean(source->is_subscribed));
    return object;
}

static json_t *explain_failure(const struct trigger *trigger, const struct snapshot *snapshot,
                               int64_t now_ms)
{
    /* What is held from elsewhere is so as long as there; before any call, since the attempt. */
    int64_t since_ms = hold_since_ms(&trigger->answers.hold, snapshot->known.failed_at_ms);
    if (snapshot->known.last_attempt != ATTEMPT_FAILED)
        return json_null();
    json_t *object = json_object();
    web_json_set(object, "error", web_json_text(error_text(&snapshot->known.error)));
    web_json_set(object, "sinceSeconds", web_json_seconds(now_ms - since_ms));
    return object;
}

/* ---- what is answered ---- */

static json_t *explain_answer(const struct answer *answer, web_json_make_text *make_text)
{
    json_t *object = json_object();
    web_json_set(object, "state", web_json_text(answer_state_name(answer_state(answer))));
    if (answer->kind == ANSWER_VALUE) {
        web_json_set(object, "value", web_json_number(answer->value));
        web_json_set(object, "active", json_boolean(answer->active));
        web_json_set(object, "replicas", web_json_number(answer->replicas));
    }
    if (answer->kind == ANSWER_REFUSED)
        web_json_set(object, "error", make_text(error_text(&answer->error)));
    return object;
}

static json_t *explain_last_answer(const struct trigger *trigger, int64_t now_ms)
{
    const struct trigger_last_answer *last = &trigger->answers.last;
    if (last->call == NULL)
        return json_null();
    json_t *object = explain_answer(&last->answer, web_json_text);
    web_json_set(object, "call", web_json_text(last->call));
    web_json_set(object, "agoSeconds", web_json_seconds(now_ms - last->at_ms));
    return object;
}

enum { WHY_DIGITS = 10 }; /* millions of messages are usual: each of them counts */

static void add_value(const struct trigger *trigger, const struct answer *answer, struct text *text)
{
    text_addf(text, "%.*g, at a target of %.*g per replica: %.*g replicas", WHY_DIGITS,
              answer->value, WHY_DIGITS, trigger->parsed.target, WHY_DIGITS, answer->replicas);
}

static void add_activity(const struct answer *answer, struct text *text)
{
    text_addf(text, "; %s", answer->active ? "active" : "not active: KEDA may scale to zero");
}

/* Adds what the last reading means: a held value is mostly that of an earlier one. */
static void add_last_measurement(const struct trigger *trigger, const struct trigger_report *report,
                                 const struct trigger_figures *figures, struct text *text)
{
    struct evaluation_result evaluated = {0};
    text_addf(text, "; measured last %.1f s ago: ", figures->age_seconds);
    if (report->policy.has_decided) {
        text_add(text, report->policy.words.bytes);
        return;
    }
    trigger_evaluate(trigger, &report->snapshot.known.reading, &evaluated);
    if (evaluated.is_good)
        text_addf(text, "%.*g", WHY_DIGITS, evaluated.evaluation.value);
    else
        text_add(text, error_text(&evaluated.error));
    error_done(&evaluated.error);
}

static void add_held(const struct trigger *trigger, const struct trigger_report *report,
                     const struct trigger_figures *figures, struct text *text)
{
    bool is_measured = report->snapshot.known.is_measured;
    bool is_own = trigger->answers.hold.is_own;
    text_add(text, is_own || is_measured ? "held: "
                                         : "held from another replica, or from before an edit: ");
    add_value(trigger, &report->answer, text);
    add_activity(&report->answer, text);
    if (is_measured)
        add_last_measurement(trigger, report, figures, text);
    else
        text_addf(text, "; measured %s%.1f s ago or earlier", is_own ? "" : "there ",
                  (double)report->answer.age_ms / 1000);
    text_addf(text, "; held for at most %g s while measuring fails: %s",
              (double)trigger->parsed.rules.hold_ms / 1000, error_text(report->error));
}

static void add_reason(const struct trigger *trigger, const struct trigger_report *report,
                       const struct trigger_figures *figures, struct text *text)
{
    switch (report->state) {
    case ANSWER_STATE_WAITING:
        text_add(text, "nothing was measured yet: a call waits for the next measurement");
        break;
    case ANSWER_STATE_REFUSED:
        text_addf(text, "KEDA gets an error: %s", error_text(report->error));
        break;
    case ANSWER_STATE_HELD:
        add_held(trigger, report, figures, text);
        break;
    case ANSWER_STATE_ANSWERED:
        text_addf(text, "measured %.1f s ago: ", figures->age_seconds);
        if (report->has_decision)
            text_add(text, report->policy.words.bytes);
        else
            add_value(trigger, &report->answer, text);
        add_activity(&report->answer, text);
        if (report->snapshot.known.note != NULL)
            text_addf(text, "; %s", report->snapshot.known.note);
        break;
    }
}

/* ---- how many replicas, and why ---- */

/* NULL: there is none, or it has decided nothing yet. */
static json_t *explain_policy(const struct trigger_policy_copy *policy, int64_t now_ms,
                              web_json_make_text *make_text)
{
    const struct policy_result *result = &policy->result;
    if (!policy->has_decided)
        return NULL;
    json_t *object = json_object();
    web_json_set(object, "replicas", json_integer(result->replicas));
    web_json_set(object, "active", json_boolean(result->active));
    web_json_set(object, "sentence", make_text(policy->words.bytes));
    web_json_set(object, "boundBy", web_json_text(policy_term_text(result->term)));
    web_json_set(object, "ratePerReplica", web_json_number(result->rate));
    if (result->rate_at_ms >= 0) {
        web_json_set(object, "rateMeasuredSecondsAgo",
                     web_json_seconds(now_ms - result->rate_at_ms));
        web_json_set(object, "rateSpread", web_json_number(result->rate_spread));
    }
    return object;
}

/* ---- a trigger ---- */

static json_t *begin_trigger(const struct trigger *trigger, web_json_make_text *make_text)
{
    json_t *object = json_object();
    web_json_set(object, "id", json_integer((json_int_t)trigger->id));
    web_json_set(object, "namespace", make_text(trigger->namespace));
    web_json_set(object, "name", make_text(trigger->name));
    trigger_fields_add_head(object, trigger, make_text);
    return object;
}

static json_t *summarise(const struct trigger *trigger, int64_t now_ms)
{
    _cleanup_(trigger_report_done) struct trigger_report report;
    trigger_report(trigger, now_ms, &report);
    json_t *object = begin_trigger(trigger, web_json_short);
    json_t *now = explain_answer(&report.answer, web_json_short);
    if (report.error != NULL)
        web_json_set(now, "error", web_json_short(error_text(report.error)));
    web_json_set(object, "now", now);
    if (report.has_decision) {
        web_json_set(object, "boundBy", web_json_text(policy_term_text(report.bound_by)));
    }
    web_json_set(object, "superseded", json_boolean(report.is_superseded));
    web_json_set(object, "lastCallSecondsAgo", web_json_seconds(now_ms - trigger->last_call_ms));
    return object;
}

/* Short: without metadata, and with names that are cut. Errors are whole: each has at most 2 KiB
 * (TRIGGER_MAX_MISTAKES), and is why somebody reads the page. */
static json_t *explain_trigger(const struct trigger *trigger, int64_t now_ms, bool is_short)
{
    web_json_make_text *make_text = is_short ? web_json_short : web_json_text;
    _cleanup_(trigger_report_done) struct trigger_report report;
    _cleanup_(text_done) struct text why = {0};
    struct trigger_figures figures;
    trigger_report(trigger, now_ms, &report);
    trigger_figures(trigger, &report, &figures);
    add_reason(trigger, &report, &figures, &why);

    json_t *object = begin_trigger(trigger, make_text);
    web_json_set(object, "why", web_json_text(why.bytes));
    web_json_set(object, "now", explain_answer(&report.answer, web_json_text));
    web_json_set(object, "lastAnswer", explain_last_answer(trigger, now_ms));
    web_json_set(object, "reading", explain_reading(&report, &figures));
    web_json_set(object, "rates", explain_rates(&figures));
    web_json_set(object, "failing", explain_failure(trigger, &report.snapshot, now_ms));
    web_json_set(object, "source",
                 trigger->bound.query == NULL ? NULL : explain_source(&report.source, make_text));
    web_json_set(object, "policy", explain_policy(&report.policy, now_ms, make_text));
    web_json_set(object, "holdSeconds", web_json_seconds(trigger->parsed.rules.hold_ms));
    web_json_set(object, "connectionName", make_text(trigger->parsed.connection_name));
    web_json_set(object, "metadata", is_short ? NULL : explain_metadata(trigger));
    web_json_set(object, "superseded", json_boolean(report.is_superseded));
    web_json_set(object, "streams", json_integer((json_int_t)trigger->streams));
    web_json_set(object, "lastCallSecondsAgo", web_json_seconds(now_ms - trigger->last_call_ms));
    return object;
}

/* ---- the pages ---- */

/* The page of one ScaledObject, as far as it is written. A ScaledObject that was edited has its
 * former triggers, too, until they are forgotten. */
struct object_page {
    struct text *body;
    size_t count;
};

static void add_to_page(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct object_page *page = context;
    bool is_short = page->body->length >= LIST_PART_BYTES;
    text_add(page->body, page->count++ > 0 ? ",\n" : "[");
    web_json_add(page->body, explain_trigger(trigger, now_ms, is_short),
                 JSON_INDENT(2) | JSON_REAL_PRECISION(WEB_JSON_DIGITS));
}

/* The list of one namespace or (NULL) of all. */
struct listed_triggers {
    const char *namespace;
    struct list_part rows;
};

static void add_to_list(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct listed_triggers *list = context;
    if (trigger_walk_is_of(trigger, list->namespace, NULL) &&
        list_part_next(&list->rows, trigger->id))
        list_part_add(&list->rows, summarise(trigger, now_ms));
}

void explain_list(void *context, const struct page_request *request, struct page_response *response)
{
    struct trigger_walk *walk = context;
    struct listed_triggers list = {.namespace = page_request_parameter(request, "namespace")};
    if (!list_part_begin(&list.rows, "triggers", request, USUAL_LIMIT, MAX_LIMIT, response))
        return;
    if (trigger_walk_all(walk, add_to_list, &list))
        list_part_end(&list.rows);
    else
        trigger_walk_refuse_busy(response);
}

void explain_one(void *context, const struct page_request *request, struct page_response *response)
{
    struct trigger_walk *walk = context;
    if (request->below_count != 2) {
        web_json_refuse_path(response, "/api/triggers/NAMESPACE/NAME");
        return;
    }
    struct object_page page = {.body = &response->body};
    if (!trigger_walk_object(walk, request->below[0], request->below[1], add_to_page, &page)) {
        trigger_walk_refuse_busy(response);
        return;
    }
    if (page.count == 0) {
        trigger_walk_refuse_unknown_object(response);
        return;
    }
    response->type = page_response_type_json;
    text_add(&response->body, "]\n");
}
