#include "web/trigger_fields.h"

#include "base/memory.h"

#define OFFSET(member) offsetof(struct trigger_figures, member)

static const struct trigger_field fields[] = {
    {"arrivals", "arrivals", NULL, NULL, FIELD_NUMBER, VIEW_ROW | VIEW_HISTORY | VIEW_CSV,
     OFFSET(arrivals)},
    {"consumption", NULL, NULL, NULL, FIELD_NUMBER, VIEW_ROW, OFFSET(consumption)},
    {"consumed", NULL, NULL, NULL, FIELD_NUMBER, VIEW_ROW, OFFSET(consumed)},
    {"waiting", "waiting", NULL, NULL, FIELD_NUMBER,
     VIEW_READING | VIEW_ROW | VIEW_HISTORY | VIEW_CSV, OFFSET(reading.waiting)},
    {"waitingForActivation", NULL, NULL, NULL, FIELD_NUMBER, VIEW_READING,
     OFFSET(reading.waiting_for_activation)},
    {"inFlight", "in_flight", NULL, NULL, FIELD_NUMBER,
     VIEW_READING | VIEW_ROW | VIEW_HISTORY | VIEW_CSV, OFFSET(reading.in_flight)},
    {"consumers", NULL, NULL, NULL, FIELD_NUMBER, VIEW_READING, OFFSET(reading.consumers)},
    {"partitions", NULL, NULL, NULL, FIELD_NUMBER, VIEW_READING, OFFSET(reading.partitions)},
    {"partitionsWithLag", NULL, NULL, NULL, FIELD_NUMBER, VIEW_READING,
     OFFSET(reading.partitions_with_lag)},
    {"arrived", NULL, NULL, NULL, FIELD_NUMBER, VIEW_READING, OFFSET(reading.arrived)},
    {"consumed", NULL, NULL, NULL, FIELD_NUMBER, VIEW_READING, OFFSET(reading.consumed)},
    {"value", NULL, NULL, NULL, FIELD_NUMBER, VIEW_READING, OFFSET(reading.value)},
    {"value", "value", NULL, NULL, FIELD_NUMBER, VIEW_ROW | VIEW_HISTORY | VIEW_CSV, OFFSET(value)},
    {"replicas", NULL, NULL, NULL, FIELD_NUMBER, VIEW_ROW | VIEW_HISTORY, OFFSET(replicas)},
    {NULL, NULL, "backlog_trigger_value", "The trigger's value in its last answer.", FIELD_NUMBER,
     VIEW_METRICS, OFFSET(last.value)},
    {NULL, "target", "backlog_trigger_target", "The trigger's target per replica.", FIELD_NUMBER,
     VIEW_CSV | VIEW_METRICS, OFFSET(target)},
    {NULL, NULL, "backlog_trigger_active", "1: the trigger was active in its last answer.",
     FIELD_NUMBER, VIEW_METRICS, OFFSET(last.active)},
    {NULL, NULL, "backlog_trigger_reading_age_seconds",
     "Age of the reading behind the trigger's last value.", FIELD_NUMBER, VIEW_METRICS,
     OFFSET(last.age_seconds)},
    {"active", "active", NULL, NULL, FIELD_BOOLEAN, VIEW_ROW | VIEW_HISTORY | VIEW_CSV,
     OFFSET(active)},
    {"state", "state", NULL, NULL, FIELD_WORD, VIEW_ROW | VIEW_HISTORY | VIEW_CSV, OFFSET(state)},
    {"arrivalRate", "arrival_rate", NULL, NULL, FIELD_NUMBER,
     VIEW_READING | VIEW_HISTORY | VIEW_CSV, OFFSET(reading.arrival_rate)},
    {"consumptionRate", "consumption_rate", NULL, NULL, FIELD_NUMBER,
     VIEW_READING | VIEW_HISTORY | VIEW_CSV, OFFSET(reading.consumption_rate)},
    {"status", "status", NULL, NULL, FIELD_WORD, VIEW_ROW | VIEW_HISTORY | VIEW_CSV,
     OFFSET(status)},
    {"boundBy", "bound_by", NULL, NULL, FIELD_WORD, VIEW_ROW | VIEW_HISTORY | VIEW_CSV,
     OFFSET(bound_by)},
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
    return *(const double *)((const char *)figures + field->offset);
}

const char *trigger_field_word(const struct trigger_field *field,
                               const struct trigger_figures *figures)
{
    return *(const char *const *)((const char *)figures + field->offset);
}
