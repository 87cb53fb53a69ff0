#include "web/pages/trigger_rows.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "config/source_address.h"
#include "scale/trigger/trigger_objects.h"
#include "web/content/trigger_fields.h"
#include "web/content/web_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a visited trigger adds to the sums. Triggers may share a query, or an object, which then
 * counts once. The key is no address: during the walk a query or an object may be freed, and
 * another one may get its address. */
struct visited {
    uint64_t key; /* the number of the query; the hash of the object's name */
    double waiting, in_flight, consumption; /* of a query */
    double replicas;                        /* of an object */
};

struct visited_list {
    struct visited *items;
    size_t count, capacity;
};

struct trigger_rows {
    struct live_tables *tables;
    bool is_counting;      /* the walk writes no rows */
    double date_offset_ms; /* from clock_now_ms() to the times in rows, to 10 ms */
    struct trigger_totals totals;
    bool has_totals; /* the last walk has finished: the totals are of all triggers */
    struct visited_list queries, objects;
};

/* ---- sums ---- */

static void add_visited(struct visited_list *list, const struct visited *visited)
{
    list->items = memory_grow(list->items, &list->capacity, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = *visited;
}

static int by_key(const void *left, const void *right)
{
    const struct visited *one = left;
    const struct visited *other = right;
    return one->key < other->key ? -1 : one->key > other->key;
}

/* A superseded trigger does not count: KEDA no longer calls for it. */
static void count_trigger(struct trigger_rows *rows, const struct trigger *trigger,
                          const struct trigger_report *report)
{
    struct trigger_totals *totals = &rows->totals;
    const struct answer *answer = &report->answer;
    bool has_value = answer->kind == ANSWER_VALUE;
    if (report->is_superseded)
        return;
    totals->triggers++;
    totals->failing += report->state == ANSWER_STATE_REFUSED;
    totals->unmeasured += report->state == ANSWER_STATE_WAITING;
    totals->held += report->state == ANSWER_STATE_HELD;
    totals->active += has_value && answer->active;
    if (has_value)
        add_visited(&rows->objects, &(struct visited){.key = hash_text(trigger->object->key),
                                                      .replicas = answer->replicas});
    const struct reading *reading = &report->snapshot.known.reading;
    if (trigger->bound.query != NULL && report->snapshot.known.is_measured && has_value)
        add_visited(&rows->queries,
                    &(struct visited){.key = report->source.number,
                                      .waiting = reading->waiting,
                                      .in_flight = reading->in_flight,
                                      .consumption = isnan(reading->consumption_rate)
                                                         ? report->rates.consumption
                                                         : reading->consumption_rate});
}

static void sort_by_key(struct visited_list *list)
{
    if (list->count > 0)
        qsort(list->items, list->count, sizeof(*list->items), by_key);
}

/* A query of several triggers counts once. */
static void add_up_queries(struct visited_list *queries, struct trigger_totals *totals)
{
    sort_by_key(queries);
    for (size_t i = 0; i < queries->count; i++) {
        const struct visited *visited = &queries->items[i];
        if (i > 0 && visited->key == visited[-1].key)
            continue;
        totals->has_waiting |= isfinite(visited->waiting);
        totals->has_in_flight |= isfinite(visited->in_flight);
        totals->waiting += isfinite(visited->waiting) ? visited->waiting : 0;
        totals->in_flight += isfinite(visited->in_flight) ? visited->in_flight : 0;
        totals->has_consumption |= isfinite(visited->consumption);
        totals->consumption += isfinite(visited->consumption) ? visited->consumption : 0;
    }
}

/* KEDA takes the largest of an object's triggers. */
static void add_up_objects(struct visited_list *objects, struct trigger_totals *totals)
{
    sort_by_key(objects);
    totals->has_replicas = totals->triggers == 0 || objects->count > 0;
    for (size_t i = 0; i < objects->count;) {
        double replicas = 0;
        uint64_t key = objects->items[i].key;
        for (; i < objects->count && objects->items[i].key == key; i++)
            replicas = fmax(replicas, objects->items[i].replicas);
        totals->replicas += replicas;
    }
}

static void add_up(struct trigger_rows *rows)
{
    add_up_queries(&rows->queries, &rows->totals);
    add_up_objects(&rows->objects, &rows->totals);
    rows->has_totals = true;
}

/* ---- JSON by hand: thousands of rows are written under the turn lock ---- */

static void add_string(struct text *text, const char *key, const char *value)
{
    if (value == NULL)
        return;
    text_addf(text, ",\"%s\":", key);
    web_json_add(text, web_json_short(value), JSON_COMPACT);
}

static void add_field(const struct trigger_field *field, const struct trigger_figures *figures,
                      struct text *live)
{
    char buffer[TRIGGER_FIELD_BYTES];
    const char *value = trigger_field_text(field, figures, WEB_JSON_ROW_DIGITS, "\"", buffer);
    if (value != NULL)
        text_addf(live, ",\"%s\":%s", field->key, value);
}

static void write_live(const struct trigger *trigger, const struct trigger_report *report,
                       double date_offset_ms, struct text *live)
{
    struct trigger_figures figures;
    trigger_figures(trigger, report, &figures);
    text_addf(live, "{\"superseded\":%s", report->is_superseded ? "true" : "false");
    if (trigger->bound.query != NULL) {
        add_string(live, "connection", report->source.connection);
        text_addf(live, ",\"connectionId\":%" PRIu64, report->source.connection_number);
    }
    if (report->snapshot.known.is_measured)
        text_addf(live, ",\"time\":%.1f",
                  floor(((double)report->snapshot.known.sent_ms + date_offset_ms) / 100) / 10);
    if (figures.rates_are_bounds)
        text_add(live, ",\"ratesAreBounds\":true");
    TRIGGER_FIELD_FOREACH(field, VIEW_ROW)
        add_field(field, &figures, live);
    if (report->error != NULL)
        add_string(live, "error", error_text(report->error));
    text_add(live, "}");
}

/* What the trigger measures, as its metadata says: by that a reader tells triggers of one object
 * apart whose metric has the same name. */
static void add_query(const struct option_values *values, struct text *fixed)
{
    _cleanup_(text_done) struct text query = {0};
    for (size_t row = 0; values != NULL && row < values->options; row++) {
        if (values->texts[row] == NULL || !option_is_given(values, values->table[row].key))
            continue;
        _cleanup_(memory_free) char *shown = source_address_shown(values, row);
        text_addf(&query, "%s%s=%s", query.length > 0 ? ", " : "", values->table[row].key, shown);
    }
    add_string(fixed, "query", query.bytes);
}

/* Only what follows from the metadata, which a trigger keeps. Its connection may be another one
 * after a reload. */
static void write_fixed(const struct trigger *trigger, struct text *fixed)
{
    text_addf(fixed, "{\"target\":%.*g", WEB_JSON_ROW_DIGITS, trigger->parsed.target);
    add_string(fixed, "namespace", trigger->namespace);
    add_string(fixed, "name", trigger->name);
    add_string(fixed, "scaler", trigger_scaler_name(trigger));
    add_string(fixed, "metricName", trigger->parsed.metric_name);
    add_query(trigger->parsed.values[OPTION_QUERY], fixed);
    add_string(fixed, "connectionName", trigger->parsed.connection_name);
    text_add(fixed, "}");
}

/* ---- the walk ---- */

static void visit_for_row(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct trigger_rows *rows = context;
    _cleanup_(trigger_report_done) struct trigger_report report;
    _cleanup_(text_done) struct text fixed = {0};
    _cleanup_(text_done) struct text live = {0};
    trigger_report(trigger, now_ms, &report);
    count_trigger(rows, trigger, &report);
    if (rows->is_counting)
        return;
    write_live(trigger, &report, rows->date_offset_ms, &live);
    if (!live_tables_seek(rows->tables, LIVE_TRIGGERS, trigger->id))
        write_fixed(trigger, &fixed);
    live_tables_row(rows->tables, LIVE_TRIGGERS, trigger->id, fixed.bytes, live.bytes);
}

struct trigger_rows *trigger_rows_new(struct live_tables *tables)
{
    struct trigger_rows *rows = memory_new(sizeof(*rows));
    rows->tables = tables;
    return rows;
}

void trigger_rows_free(struct trigger_rows *rows)
{
    free(rows->queries.items);
    free(rows->objects.items);
    free(rows);
}

/* The offset is the difference of two clocks of whole milliseconds, so it jumps by one. It is kept
 * until the date is set: otherwise rows would change, and be sent again, without a measurement. */
static void take_date_offset(struct trigger_rows *rows)
{
    enum { ERROR_MS = 10 };
    double offset_ms = clock_unix_offset_ms();
    if (fabs(offset_ms - rows->date_offset_ms) > ERROR_MS)
        rows->date_offset_ms = offset_ms;
}

static bool visit_all(struct trigger_rows *rows, bool is_counting, struct trigger_walk *walk)
{
    rows->totals = (struct trigger_totals){.at_ms = clock_now_ms()};
    rows->has_totals = false;
    rows->queries.count = rows->objects.count = 0;
    rows->is_counting = is_counting;
    return trigger_walk_all(walk, visit_for_row, rows);
}

bool trigger_rows_count(struct trigger_rows *rows, struct trigger_walk *walk)
{
    if (!visit_all(rows, true, walk))
        return false;
    add_up(rows);
    return true;
}

bool trigger_rows_update(struct trigger_rows *rows, struct trigger_walk *walk)
{
    take_date_offset(rows);
    live_tables_begin(rows->tables, LIVE_TRIGGERS);
    if (!visit_all(rows, false, walk))
        return false;
    live_tables_end(rows->tables, LIVE_TRIGGERS);
    add_up(rows);
    return true;
}

const struct trigger_totals *trigger_rows_totals(const struct trigger_rows *rows)
{
    return rows->has_totals ? &rows->totals : NULL;
}
