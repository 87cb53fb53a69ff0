#include "web/content/trigger_fields.h"

#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

/* Of a double, and of a word: the offset of a member of another type does not compile. */
#define MEMBER(member) (((struct trigger_figures *)NULL)->member)
#define OF(member)                                                                                 \
    .offset = offsetof(struct trigger_figures, member) + _Generic(MEMBER(member), double: 0)
#define OF_WORD(member)                                                                            \
    .offset =                                                                                      \
        offsetof(struct trigger_figures, member) + _Generic(MEMBER(member), const char *: 0),      \
    .kind = FIELD_WORD

static const struct trigger_field fields[] = {
    {OF(arrivals), .views = VIEW_RATES | VIEW_ROW | VIEW_HISTORY | VIEW_CSV, .key = "arrivals",
     .column = "arrivals"},
    {OF(consumption), .views = VIEW_RATES | VIEW_ROW, .key = "consumption"},
    {OF(reading.waiting), .views = VIEW_READING | VIEW_ROW | VIEW_HISTORY | VIEW_CSV,
     .key = "waiting", .column = "waiting"},
    {OF(reading.waiting_for_activation), .views = VIEW_READING, .key = "waitingForActivation"},
    {OF(reading.in_flight), .views = VIEW_READING | VIEW_ROW | VIEW_HISTORY | VIEW_CSV,
     .key = "inFlight", .column = "in_flight"},
    {OF(reading.consumers), .views = VIEW_READING, .key = "consumers"},
    {OF(reading.partitions), .views = VIEW_READING, .key = "partitions"},
    {OF(reading.partitions_with_lag), .views = VIEW_READING, .key = "partitionsWithLag"},
    {OF(reading.arrived), .views = VIEW_READING, .key = "arrived"},
    {OF(reading.consumed), .views = VIEW_READING, .key = "consumed"},
    {OF(reading.value), .views = VIEW_READING, .key = "value"},
    {OF(reading.value), .views = VIEW_HISTORY, .key = "sourceValue"},
    {OF(value), .views = VIEW_ROW | VIEW_HISTORY | VIEW_CSV, .key = "value", .column = "value"},
    {OF(replicas), .views = VIEW_ROW | VIEW_HISTORY, .key = "replicas"},
    {OF(last.value), .views = VIEW_METRICS, .metric = "backlog_trigger_value",
     .help = "The trigger's value in its last answer."},
    {OF(target), .views = VIEW_CSV | VIEW_METRICS, .column = "target",
     .metric = "backlog_trigger_target", .help = "The trigger's target per replica."},
    {OF(last.active), .views = VIEW_METRICS, .metric = "backlog_trigger_active",
     .help = "1: the trigger was active in its last answer."},
    {OF(last.age_seconds), .views = VIEW_METRICS, .metric = "backlog_trigger_reading_age_seconds",
     .help = "Age of the reading behind the trigger's last value."},
    {OF(active), .kind = FIELD_BOOLEAN, .views = VIEW_ROW | VIEW_HISTORY | VIEW_CSV,
     .key = "active", .column = "active"},
    {OF_WORD(state), .views = VIEW_ROW | VIEW_HISTORY | VIEW_CSV, .key = "state",
     .column = "state"},
    {OF(reading.arrival_rate), .views = VIEW_READING | VIEW_HISTORY | VIEW_CSV,
     .key = "arrivalRate", .column = "arrival_rate"},
    {OF(reading.consumption_rate), .views = VIEW_READING | VIEW_HISTORY | VIEW_CSV,
     .key = "consumptionRate", .column = "consumption_rate"},
    {OF_WORD(bound_by), .views = VIEW_ROW, .key = "boundBy"},
};

const struct trigger_field *trigger_field_next(const struct trigger_field *field,
                                               enum trigger_view view)
{
    field = field == NULL ? fields : field + 1;
    for (; field < fields + ARRAY_LENGTH(fields); field++)
        if (field->views & view)
            return field;
    return NULL;
}

double trigger_field_number(const struct trigger_field *field,
                            const struct trigger_figures *figures)
{
    assert(field->kind != FIELD_WORD);
    return *(const double *)((const char *)figures + field->offset);
}

const char *trigger_field_text(const struct trigger_field *field,
                               const struct trigger_figures *figures, int digits,
                               const char *word_quote, char buffer[TRIGGER_FIELD_BYTES])
{
    if (field->kind == FIELD_WORD) {
        const char *word = *(const char *const *)((const char *)figures + field->offset);
        if (word == NULL)
            return NULL;
        snprintf(buffer, TRIGGER_FIELD_BYTES, "%s%s%s", word_quote, word, word_quote);
        return buffer;
    }
    double number = trigger_field_number(field, figures);
    if (!isfinite(number))
        return NULL;
    if (field->kind == FIELD_BOOLEAN)
        return number > 0 ? "true" : "false";
    snprintf(buffer, TRIGGER_FIELD_BYTES, "%.*g", digits, number);
    return buffer;
}

void trigger_fields_add_head(json_t *object, const struct trigger *trigger,
                             web_json_make_text *make_text)
{
    web_json_set(object, "scaler", web_json_text(trigger_scaler_name(trigger)));
    web_json_set(object, "metricName", make_text(trigger->parsed.metric_name));
    web_json_set(object, "target", web_json_number(trigger->parsed.target));
}
