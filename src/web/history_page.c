#include "web/history_page.h"

#include "base/clock.h"
#include "base/memory.h"
#include "scale/policy_words.h"
#include "web/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Hundreds of rows are usual. A source that fails at every other measurement has thousands, as each change is kept; a
 * row takes 700 bytes until it is sent. */
enum { MAX_TRIGGERS_PER_OBJECT = 100, MAX_ROWS_PER_TRIGGER = 1500, MAX_ROWS = 30 * 1000 };

/* What a sample was for one trigger. */
struct row {
    int64_t at_ms;
    struct reading reading;
    double arrivals; /* per second, from now to the next reading */
    double value;
    bool is_active;
    const char *state; /* static */
    const char *status,
        *bound_by; /* static; NULL: no policy decided, or it is not known any more */
};

/* One trigger with its rows. */
struct series {
    uint64_t id;
    char *metric_name;
    const char *scaler; /* static */
    double target;
    struct row *rows;
    size_t count;
};

struct found {
    const char *namespace;
    const char *name;
    struct series items[MAX_TRIGGERS_PER_OBJECT];
    size_t count;
    size_t rows; /* of all */
};

static void found_done(struct found **found)
{
    for (size_t i = 0; i < (*found)->count; i++) {
        free((*found)->items[i].metric_name);
        free((*found)->items[i].rows);
    }
    free(*found);
}

/* ---- what a sample meant ---- */

/* What was known before a sample; it learns of the sample. */
struct past {
    const struct trigger *trigger;
    const struct trigger_state *now; /* what its policy found since */
    struct snapshot snapshot;
    struct peak_value peak;
};

/* What would have been answered at that moment. */
static void evaluate(struct past *past, const struct history_sample *sample, struct row *row)
{
    _cleanup_(answer_done) struct answer answer = {0};
    struct snapshot *snapshot = &past->snapshot;
    if (!sample->is_failed) {
        error_done(&snapshot->error);
        snapshot->last_attempt = ATTEMPT_GOOD;
        snapshot->is_measured = true;
        snapshot->reading = sample->reading;
        snapshot->sent_ms = sample->at_ms;
    } else if (snapshot->last_attempt != ATTEMPT_FAILED) {
        snapshot->last_attempt = ATTEMPT_FAILED;
        snapshot->failing_since_ms = sample->at_ms;
        error_unavailable(&snapshot->error, "measuring failed");
    }
    snapshot->failed_at_ms = sample->at_ms;
    trigger_past_answer(past->trigger, snapshot, &past->peak, sample->at_ms, &answer);
    if (answer.kind == ANSWER_VALUE && answer.held)
        peak_value_hold(&past->peak, answer.failing_since_ms, sample->at_ms);
    else if (answer.kind == ANSWER_VALUE)
        peak_value_add(&past->peak, answer.value, past->trigger->rules.hold_window_ms,
                       sample->at_ms);
    const struct trigger_policy_change *decision =
        sample->is_failed ? NULL : trigger_policy_at(&past->now->policy, sample->at_ms);
    *row = (struct row){.at_ms = sample->at_ms,
                        .reading = sample->reading,
                        .arrivals = NAN,
                        .status = decision == NULL ? NULL : flow_status_text(decision->status),
                        .bound_by = decision == NULL ? NULL : policy_term_text(decision->term),
                        .value = answer.kind == ANSWER_VALUE ? answer.value : NAN,
                        .is_active = answer.kind == ANSWER_VALUE && answer.active,
                        .state = answer.kind != ANSWER_VALUE ? "error"
                                 : answer.held               ? "held"
                                                             : "ok"};
}

static double or_zero(double value)
{
    return isnan(value) ? 0 : value;
}

/* What arrived until the next reading, where the source does not say: what waiting grew by, and what was consumed
 * meanwhile where that is known. So it is a lower bound where workers are busy and no rate is known. */
static void derive_arrivals(struct row *rows, size_t count)
{
    struct row *before = NULL;
    for (size_t i = 0; i < count; i++) {
        struct row *row = &rows[i];
        if (isnan(row->reading.waiting) && isnan(row->reading.arrival_rate))
            continue;
        row->arrivals = row->reading.arrival_rate;
        if (before != NULL && isnan(before->arrivals) && row->at_ms > before->at_ms) {
            double seconds = (double)(row->at_ms - before->at_ms) / 1000;
            double grown = row->reading.waiting - before->reading.waiting;
            double arrivals = grown / seconds + or_zero(before->reading.consumption_rate);
            before->arrivals = isnan(arrivals) ? NAN : fmax(arrivals, 0);
        }
        before = row;
    }
}

static enum walk_step visit(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct found *found = context;
    if (!walk_is_of(trigger, found->namespace, found->name) ||
        found->count == MAX_TRIGGERS_PER_OBJECT)
        return WALK_ON;
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    _cleanup_(trigger_state_done) struct trigger_state now;
    struct past past = {.trigger = trigger, .now = &now};
    struct series *series = &found->items[found->count++];
    series->id = trigger->id;
    series->metric_name = text_copy(trigger->metric_name);
    series->scaler = trigger->scaler == NULL ? NULL : trigger->scaler->name;
    series->target = trigger->target;
    trigger_state(trigger, now_ms, &now);
    if (trigger->query == NULL)
        return WALK_ON;
    size_t count = query_history(trigger->query, now_ms - HISTORY_SPAN_MS, &samples);
    size_t room = MAX_ROWS - found->rows;
    series->count = count;
    if (series->count > MAX_ROWS_PER_TRIGGER)
        series->count = MAX_ROWS_PER_TRIGGER;
    if (series->count > room)
        series->count = room;
    found->rows += series->count;
    series->rows = memory_array(series->count + 1, sizeof(*series->rows));
    for (size_t i = 0; i < series->count; i++) /* the newest */
        evaluate(&past, &samples[count - series->count + i], &series->rows[i]);
    snapshot_done(&past.snapshot);
    peak_value_done(&past.peak);
    derive_arrivals(series->rows, series->count);
    return WALK_PAUSE;
}

/* ---- as JSON ---- */

/* Columns and not objects: there are hundreds of rows. */
static const char *const columns[] = {"time",   "arrivals", "waiting",     "inFlight",
                                      "value",  "replicas", "arrivalRate", "consumptionRate",
                                      "active", "state",    "status",      "boundBy"};

static json_t *row_json(const struct series *series, const struct row *row, double unix_offset_ms)
{
    json_t *array = json_array();
    const double numbers[] = {
        ((double)row->at_ms + unix_offset_ms) / 1000,
        row->arrivals,
        row->reading.waiting,
        row->reading.in_flight,
        row->value,
        ceil(row->value / series->target),
        row->reading.arrival_rate,
        row->reading.consumption_rate,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        json_array_append_new(array, json_number(numbers[i]));
    json_array_append_new(array, isnan(row->value) ? json_null() : json_boolean(row->is_active));
    json_array_append_new(array, json_string(row->state));
    json_array_append_new(array, json_text(row->status));
    json_array_append_new(array, json_text(row->bound_by));
    return array;
}

static void write_json(const struct found *found, struct web_answer *answer)
{
    _cleanup_(json_done) json_t *page = json_object();
    json_t *triggers = json_array();
    double offset_ms = clock_unix_offset_ms();
    for (size_t t = 0; t < found->count; t++) {
        const struct series *series = &found->items[t];
        json_t *object = json_object();
        json_t *names = json_array();
        json_t *rows = json_array();
        for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
            json_array_append_new(names, json_string(columns[i]));
        for (size_t i = 0; i < series->count; i++)
            json_array_append_new(rows, row_json(series, &series->rows[i], offset_ms));
        json_set(object, "id", json_integer((json_int_t)series->id));
        json_set(object, "metricName", json_text(series->metric_name));
        json_set(object, "scaler", json_text(series->scaler));
        json_set(object, "target", json_number(series->target));
        json_set(object, "columns", names);
        json_set(object, "rows", rows);
        json_array_append_new(triggers, object);
    }
    json_set(page, "namespace", json_text(found->namespace));
    json_set(page, "name", json_text(found->name));
    json_set(page, "triggers", triggers);
    _cleanup_(memory_free) char *text = json_dumps(page, JSON_COMPACT | JSON_REAL_PRECISION(15));
    answer->type = "application/json";
    text_add(&answer->body, text);
    text_add(&answer->body, "\n");
}

/* ---- as CSV ---- */

static void add_number(struct text *text, double value)
{
    text_add(text, ",");
    if (isfinite(value))
        text_addf(text, "%.15g", value);
}

static void write_csv(const struct series *series, struct web_answer *answer)
{
    struct text *text = &answer->body;
    double offset_ms = clock_unix_offset_ms();
    answer->type = "text/csv; charset=utf-8";
    text_add(text, "time,arrivals,waiting,in_flight,value,target,active,state,arrival_rate,"
                   "consumption_rate,status,bound_by\n");
    for (size_t i = 0; i < series->count; i++) {
        const struct row *row = &series->rows[i];
        char date[32];
        clock_format_date((int64_t)((double)row->at_ms + offset_ms), date, sizeof(date));
        text_add(text, date);
        add_number(text, row->arrivals);
        add_number(text, row->reading.waiting);
        add_number(text, row->reading.in_flight);
        add_number(text, row->value);
        add_number(text, series->target);
        text_addf(text, ",%s,%s",
                  isnan(row->value) ? ""
                  : row->is_active  ? "true"
                                    : "false",
                  row->state);
        add_number(text, row->reading.arrival_rate);
        add_number(text, row->reading.consumption_rate);
        text_addf(text, ",%s,%s\n", row->status == NULL ? "" : row->status,
                  row->bound_by == NULL ? "" : row->bound_by);
    }
}

/* ---- the page ---- */

/* Which of the triggers CSV is of; false: it was refused. */
static bool pick(const struct found *found, const char *number, struct web_answer *answer,
                 size_t *ret_index)
{
    char *end = NULL;
    if (number == NULL && found->count == 1) {
        *ret_index = 0;
        return true;
    }
    unsigned long index = number == NULL ? found->count : strtoul(number, &end, 10);
    if (number != NULL && *number >= '0' && *number <= '9' && *end == '\0' &&
        index < found->count) {
        *ret_index = index;
        return true;
    }
    _cleanup_(memory_free) char *why =
        text_format("CSV is of one trigger, and this ScaledObject has %zu: add &trigger=0 to "
                    "&trigger=%zu",
                    found->count, found->count - 1);
    web_refuse(answer, 400, why);
    return false;
}

void history_page(void *context, const struct web_request *request, struct web_answer *answer)
{
    const char *format = web_parameter(request, "format");
    bool is_csv = format != NULL && text_equal(format, "csv");
    size_t index = 0;
    if (request->below_count != 2) {
        web_refuse(answer, 404, "not found: the path is /api/history/NAMESPACE/NAME");
        return;
    }
    if (format != NULL && !is_csv && !text_equal(format, "json")) {
        web_refuse(answer, 400, "format must be json or csv");
        return;
    }
    _cleanup_(found_done) struct found *found = memory_new(sizeof(*found));
    found->namespace = request->below[0];
    found->name = request->below[1];
    if (!walk(context, visit, found))
        web_refuse(answer, 503, "the event loop is busy or shutting down: try again");
    else if (found->count == 0)
        web_refuse(answer, 404,
                   "no trigger of this ScaledObject: KEDA has not called for one recently");
    else if (!is_csv)
        write_json(found, answer);
    else if (pick(found, web_parameter(request, "trigger"), answer, &index))
        write_csv(&found->items[index], answer);
}
