#include "web/explain.h"

#include "base/clock.h"
#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { USUAL_LIMIT = 100, MAX_LIMIT = 1000, MAX_TRIGGERS_PER_OBJECT = 100 };

static void free_json(json_t **json)
{
    json_decref(*json);
}

/* What is unknown is null, as NAN has no place in JSON. */
static json_t *number(double value)
{
    if (!isfinite(value))
        return json_null();
    return value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value)
                                                       : json_real(value);
}

static json_t *seconds(int64_t time_ms)
{
    return number((double)time_ms / 1000);
}

/* Whatever the caller sent: what is not UTF-8 was refused when it came. */
static json_t *string(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value == NULL ? json_null() : value);
}

/* ---- the metadata as understood ---- */

static json_t *explain_options(const struct option_values *values)
{
    json_t *object = json_object();
    for (size_t row = 0; values != NULL && row < values->options; row++) {
        if (values->texts[row] == NULL)
            continue;
        bool shows = option_shows(values, row);
        set(object, values->table[row].key,
            shows ? string(values->texts[row]) : string("(hidden)"));
    }
    return object;
}

static json_t *explain_metadata(const struct trigger *trigger)
{
    static const char *const names[OPTION_SCOPES] = {
        [OPTION_CONNECTION] = "connection", [OPTION_QUERY] = "query", [OPTION_TARGET] = "target"};
    json_t *object = json_object();
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        set(object, names[scope], explain_options(trigger->values[scope]));
    return object;
}

/* ---- what was measured ---- */

static json_t *explain_reading(const struct snapshot *snapshot, int64_t now_ms)
{
    const struct reading *reading = &snapshot->reading;
    const struct {
        const char *key;
        double value;
    } fields[] = {
        {"waiting", reading->waiting},
        {"waitingForActivation", reading->waiting_for_activation},
        {"inFlight", reading->in_flight},
        {"consumers", reading->consumers},
        {"partitions", reading->partitions},
        {"partitionsWithLag", reading->partitions_with_lag},
        {"arrivalRate", reading->arrival_rate},
        {"consumptionRate", reading->consumption_rate},
        {"value", reading->value},
    };
    if (!snapshot->is_measured)
        return json_null();
    json_t *object = json_object();
    set(object, "ageSeconds", seconds(now_ms - snapshot->sent_ms));
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        if (!isnan(fields[i].value))
            set(object, fields[i].key, number(fields[i].value));
    return object;
}

static json_t *explain_source(struct query *query)
{
    static const char *const states[] = {[CLIENT_DISCONNECTED] = "not connected",
                                         [CLIENT_CONNECTED] = "connected",
                                         [CLIENT_BROKEN] = "broken"};
    struct query_state state;
    query_state(query, &state);
    json_t *object = json_object();
    set(object, "name", string(state.connection));
    set(object, "state", string(states[state.client]));
    set(object, "intervalSeconds", state.interval_ms == 0 ? NULL : seconds(state.interval_ms));
    set(object, "effectiveIntervalSeconds", seconds(state.effective_interval_ms));
    set(object, "isolated", json_boolean(state.is_isolated));
    set(object, "subscribed", json_boolean(state.is_subscribed));
    return object;
}

static json_t *explain_failure(const struct snapshot *snapshot, int64_t now_ms)
{
    if (snapshot->last_attempt != ATTEMPT_FAILED)
        return json_null();
    json_t *object = json_object();
    set(object, "error", string(error_text(&snapshot->error)));
    set(object, "sinceSeconds", seconds(now_ms - snapshot->failing_since_ms));
    return object;
}

/* ---- what is answered ---- */

/* What the HPA makes of it with AverageValue, before its own limits, steps and tolerance. */
static double replicas(const struct trigger *trigger, double value)
{
    return ceil(value / trigger->target);
}

static const char *name_of(const struct answer *answer)
{
    static const char *const names[] = {
        [ANSWER_WAIT] = "waiting", [ANSWER_VALUE] = "answered", [ANSWER_REFUSED] = "refused"};
    return answer->kind == ANSWER_VALUE && answer->held ? "held" : names[answer->kind];
}

static json_t *explain_answer(const struct trigger *trigger, const struct answer *answer)
{
    json_t *object = json_object();
    set(object, "state", string(name_of(answer)));
    if (answer->kind == ANSWER_VALUE) {
        set(object, "value", number(answer->value));
        set(object, "active", json_boolean(answer->active));
        set(object, "replicas", number(replicas(trigger, answer->value)));
    }
    if (answer->kind == ANSWER_REFUSED)
        set(object, "error", string(error_text(&answer->error)));
    return object;
}

static json_t *explain_last_answer(const struct trigger *trigger, int64_t now_ms)
{
    const struct last_answer *last = &trigger->last_answer;
    if (last->call == NULL)
        return json_null();
    json_t *object = explain_answer(trigger, &last->answer);
    set(object, "call", string(last->call));
    set(object, "agoSeconds", seconds(now_ms - last->at_ms));
    return object;
}

static void add_reason(const struct trigger *trigger, const struct snapshot *snapshot,
                       const struct answer *answer, int64_t now_ms, struct text *text)
{
    double age = (double)(now_ms - snapshot->sent_ms) / 1000;
    if (answer->kind == ANSWER_WAIT)
        text_add(text, "no fresh reading yet: a call waits for the next measurement");
    else if (answer->kind == ANSWER_REFUSED)
        text_addf(text, "KEDA holds the replicas: %s", error_text(&answer->error));
    else {
        text_addf(text, "measured %.1f s ago: %g, at a target of %g per replica: %g replicas; %s",
                  age, answer->value, trigger->target, replicas(trigger, answer->value),
                  answer->active ? "active" : "not active: KEDA may scale to zero");
        if (answer->held)
            text_addf(text, "; held for at most %g s while measuring fails: %s",
                      (double)trigger->rules.hold_ms / 1000, error_text(&snapshot->error));
    }
}

/* ---- a trigger ---- */

static json_t *begin_trigger(const struct trigger *trigger)
{
    json_t *object = json_object();
    set(object, "namespace", string(trigger->namespace));
    set(object, "name", string(trigger->name));
    set(object, "scaler", string(trigger->scaler == NULL ? NULL : trigger->scaler->name));
    set(object, "metricName", string(trigger->metric_name));
    set(object, "target", number(trigger->target));
    return object;
}

static void refuse_with(struct answer *answer, const struct error *error)
{
    answer->kind = ANSWER_REFUSED;
    error_copy(&answer->error, error);
}

/* Without a query nothing can be evaluated, but a limit may have refused it before. */
static bool is_beyond_limit(const struct last_answer *last)
{
    return last->call != NULL && last->answer.kind == ANSWER_REFUSED &&
           last->answer.error.code == ERROR_LIMIT;
}

static void decide(const struct trigger *trigger, int64_t now_ms, struct answer *ret_answer)
{
    *ret_answer = (struct answer){.kind = ANSWER_WAIT};
    if (error_is_set(&trigger->mistakes))
        refuse_with(ret_answer, &trigger->mistakes);
    else if (trigger->query != NULL)
        trigger_answer(trigger, &(struct answer_call){.is_stream = true}, now_ms, ret_answer);
    else if (is_beyond_limit(&trigger->last_answer))
        refuse_with(ret_answer, &trigger->last_answer.answer.error);
}

static json_t *summarise(const struct trigger *trigger, int64_t now_ms)
{
    _cleanup_(answer_done) struct answer answer;
    decide(trigger, now_ms, &answer);
    json_t *object = begin_trigger(trigger);
    set(object, "now", explain_answer(trigger, &answer));
    set(object, "lastCallSecondsAgo", seconds(now_ms - trigger->last_call_ms));
    return object;
}

static json_t *explain(struct trigger *trigger, int64_t now_ms)
{
    _cleanup_(answer_done) struct answer answer;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    _cleanup_(text_done) struct text why = {0};
    decide(trigger, now_ms, &answer);
    if (trigger->query != NULL)
        query_snapshot(trigger->query, &snapshot);
    add_reason(trigger, &snapshot, &answer, now_ms, &why);

    json_t *object = begin_trigger(trigger);
    set(object, "why", string(why.bytes));
    set(object, "now", explain_answer(trigger, &answer));
    set(object, "lastAnswer", explain_last_answer(trigger, now_ms));
    set(object, "reading", explain_reading(&snapshot, now_ms));
    set(object, "failing", explain_failure(&snapshot, now_ms));
    set(object, "source", trigger->query == NULL ? NULL : explain_source(trigger->query));
    set(object, "holdSeconds", seconds(trigger->rules.hold_ms));
    set(object, "connectionName", string(trigger->connection_name));
    set(object, "metadata", explain_metadata(trigger));
    set(object, "streams", json_integer((json_int_t)trigger->pins));
    set(object, "lastCallSecondsAgo", seconds(now_ms - trigger->last_call_ms));
    return object;
}

/* ---- the pages ---- */

/* What a page wants to know, and what it finds under the turn lock. */
struct search {
    struct triggers *triggers;
    const char *namespace; /* NULL: of all */
    const char *name;      /* NULL: a list */
    size_t offset;
    size_t limit;
    size_t count; /* of all that fit */
    json_t *found;
    bool has_begun;
    bool is_done;
};

static bool fits(const struct search *search, const struct trigger *trigger)
{
    return (search->namespace == NULL || text_equal(search->namespace, trigger->namespace)) &&
           (search->name == NULL || text_equal(search->name, trigger->name));
}

/* A bounded number of triggers at a time: calls wait meanwhile. */
static void search_some(void *context)
{
    enum { TRIGGERS_PER_TURN = 1000 };
    struct search *search = context;
    int64_t now_ms = clock_now_ms();
    struct trigger *trigger = NULL;
    for (int i = 0; i < TRIGGERS_PER_TURN; i++) {
        trigger =
            search->has_begun ? triggers_next(search->triggers) : triggers_first(search->triggers);
        search->has_begun = true;
        if (trigger == NULL)
            break;
        if (!fits(search, trigger))
            continue;
        if (search->count >= search->offset && json_array_size(search->found) < search->limit)
            json_array_append_new(search->found, search->name == NULL ? summarise(trigger, now_ms)
                                                                      : explain(trigger, now_ms));
        search->count++;
    }
    search->is_done = trigger == NULL;
}

static void answer_json(struct web_answer *answer, const json_t *json)
{
    _cleanup_(memory_free) char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    answer->type = "application/json";
    text_add(&answer->body, text);
    text_add(&answer->body, "\n");
}

static void refuse(struct web_answer *answer, int code, const char *why)
{
    _cleanup_(free_json) json_t *object = json_object();
    set(object, "error", string(why));
    answer->code = code;
    answer_json(answer, object);
}

static bool run(const struct explain *explain, struct search *search, struct web_answer *answer)
{
    while (!search->is_done)
        if (!explain->run(explain->run_context, search_some, search)) {
            refuse(answer, 503, "the event loop is busy or shutting down: try again");
            return false;
        }
    return true;
}

/* False: it is no count. */
static bool parse_count(const char *text, size_t usual, size_t max, size_t *ret_count)
{
    char *end = NULL;
    *ret_count = usual;
    if (text == NULL)
        return true;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long count = strtoull(text, &end, 10);
    *ret_count = count < max ? (size_t)count : max;
    return *end == '\0';
}

void explain_list(void *context, const struct web_request *request, struct web_answer *answer)
{
    const struct explain *explain = context;
    _cleanup_(free_json) json_t *page = json_object();
    struct search search = {.triggers = explain->triggers,
                            .namespace = web_parameter(request, "namespace")};
    if (!parse_count(web_parameter(request, "offset"), 0, SIZE_MAX, &search.offset) ||
        !parse_count(web_parameter(request, "limit"), USUAL_LIMIT, MAX_LIMIT, &search.limit)) {
        refuse(answer, 400, "offset and limit must be numbers, such as ?offset=0&limit=100");
        return;
    }
    search.found = json_array();
    set(page, "triggers", search.found);
    if (!run(explain, &search, answer))
        return;
    set(page, "count", json_integer((json_int_t)search.count));
    answer_json(answer, page);
}

void explain_one(void *context, const struct web_request *request, struct web_answer *answer)
{
    const struct explain *explain = context;
    if (request->below_count != 2) {
        refuse(answer, 404, "not found: the path is /api/triggers/NAMESPACE/NAME");
        return;
    }
    struct search search = {.triggers = explain->triggers,
                            .namespace = request->below[0],
                            .name = request->below[1],
                            .limit = MAX_TRIGGERS_PER_OBJECT};
    _cleanup_(free_json) json_t *found = json_array();
    search.found = found;
    if (!run(explain, &search, answer))
        return;
    if (search.count == 0)
        refuse(answer, 404,
               "no trigger of this ScaledObject: KEDA has not called for one recently");
    else
        answer_json(answer, found);
}
