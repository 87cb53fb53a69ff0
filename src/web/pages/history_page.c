#include "web/pages/history_page.h"

#include "base/clock.h"
#include "base/memory.h"
#include "measure/connection/query.h"
#include "scale/trigger/trigger_history.h"
#include "scale/trigger/trigger_objects.h"
#include "web/content/trigger_fields.h"
#include "web/content/web_json.h"
#include "web/http/page.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of all triggers; a trigger has at most HISTORY_MAX_SAMPLES. A row takes 700 bytes until it is
 * sent, and then at most 250. */
enum { MAX_ROWS = 4000 };

/* One trigger with its rows. */
struct series {
    uint64_t id;
    json_t *head;                 /* the members before its rows; NULL: the trigger is not wanted */
    struct trigger_figures *rows; /* what each sample means for the trigger */
    size_t count;
    bool has_more; /* older rows are beyond the limit of the page */
};

struct history_search {
    const char *namespace;
    const char *name;
    uint64_t only; /* the id of the trigger whose rows are wanted; 0: of all */
    struct series items[TRIGGER_WALK_PER_OBJECT];
    size_t count;
    size_t rows; /* of all items */
};

static void search_free(struct history_search **search)
{
    for (size_t i = 0; i < (*search)->count; i++) {
        json_decref((*search)->items[i].head);
        free((*search)->items[i].rows);
    }
    free(*search);
}

/* ---- the rows ---- */

static void describe_series(struct series *series, const struct trigger *trigger, int64_t now_ms)
{
    series->head = json_object();
    web_json_set(series->head, "id", json_integer((json_int_t)trigger->id));
    trigger_fields_add_head(series->head, trigger, web_json_short);
    web_json_set(series->head, "superseded",
                 json_boolean(trigger_objects_superseded(trigger, now_ms)));
}

static void visit_for_history(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct history_search *search = context;
    struct series *series = &search->items[search->count++];
    series->id = trigger->id;
    if (search->only != 0 && search->only != trigger->id)
        return;
    describe_series(series, trigger, now_ms);
    if (trigger->bound.query == NULL)
        return;
    query_look(trigger->bound.query); /* the next request has a row of now */
    series->count =
        trigger_history(trigger, now_ms, MAX_ROWS - search->rows, &series->rows, &series->has_more);
    search->rows += series->count;
}

/* ---- as JSON ---- */

/* Columns and not objects: there are hundreds of rows. */
static json_t *columns_json(void)
{
    json_t *names = json_array();
    json_array_append_new(names, json_string("time"));
    TRIGGER_FIELD_FOREACH(field, VIEW_HISTORY)
        json_array_append_new(names, json_string(field->key));
    return names;
}

/* Without jansson, as there are thousands of rows. */
static void add_row(const struct trigger_figures *row, double unix_offset_ms, struct text *body)
{
    char buffer[TRIGGER_FIELD_BYTES];
    text_addf(body, "[%.*g", WEB_JSON_DIGITS, ((double)row->at_ms + unix_offset_ms) / 1000);
    TRIGGER_FIELD_FOREACH(field, VIEW_HISTORY) {
        const char *value = trigger_field_text(field, row, WEB_JSON_DIGITS, "\"", buffer);
        text_add(body, ",");
        text_add(body, value == NULL ? "null" : value);
    }
    text_add(body, "]");
}

static void write_series(const struct series *series, double offset_ms, struct text *body)
{
    web_json_set(series->head, "hasMore", json_boolean(series->has_more));
    web_json_set(series->head, "columns", columns_json());
    web_json_add(body, json_incref(series->head),
                 JSON_COMPACT | JSON_EMBED | JSON_REAL_PRECISION(WEB_JSON_DIGITS));
    text_add(body, ",\"rows\":[");
    for (size_t i = 0; i < series->count; i++) {
        text_add(body, i > 0 ? "," : "");
        add_row(&series->rows[i], offset_ms, body);
    }
    text_add(body, "]");
}

static void write_json(const struct history_search *search, struct page_response *response)
{
    struct text *body = &response->body;
    double offset_ms = clock_unix_offset_ms();
    response->type = page_response_type_json;
    json_t *page = json_object();
    web_json_set(page, "namespace", web_json_text(search->namespace));
    web_json_set(page, "name", web_json_text(search->name));
    text_add(body, "{");
    web_json_add(body, page, JSON_COMPACT | JSON_EMBED);
    text_add(body, ",\"triggers\":[");
    for (size_t t = 0, written = 0; t < search->count; t++) {
        if (search->only != 0 && search->only != search->items[t].id)
            continue;
        text_add(body, written++ > 0 ? ",{" : "{");
        write_series(&search->items[t], offset_ms, body);
        text_add(body, "}");
    }
    text_add(body, "]}\n");
}

/* ---- as CSV ---- */

static void write_csv(const struct series *series, struct page_response *response)
{
    struct text *text = &response->body;
    double offset_ms = clock_unix_offset_ms();
    char buffer[TRIGGER_FIELD_BYTES];
    response->type = "text/csv; charset=utf-8";
    text_add(text, "time");
    TRIGGER_FIELD_FOREACH(field, VIEW_CSV)
        text_addf(text, ",%s", field->column);
    text_add(text, "\n");
    for (size_t i = 0; i < series->count; i++) {
        char date[32];
        clock_format_date((int64_t)((double)series->rows[i].at_ms + offset_ms), date, sizeof(date));
        text_add(text, date);
        TRIGGER_FIELD_FOREACH(field, VIEW_CSV) {
            const char *value =
                trigger_field_text(field, &series->rows[i], WEB_JSON_DIGITS, "", buffer);
            text_add(text, ",");
            text_add(text, value == NULL ? "" : value);
        }
        text_add(text, "\n");
    }
}

/* ---- the page ---- */

static const struct series *find_series(const struct history_search *search, uint64_t id)
{
    for (size_t i = 0; i < search->count; i++)
        if (search->items[i].id == id)
            return &search->items[i];
    return NULL;
}

/* Whether the object has the trigger that is wanted. CSV is of one trigger. */
static bool check_trigger(const struct history_search *search, bool is_csv,
                          struct page_response *response)
{
    _cleanup_(text_done) struct text why = {0};
    bool is_any = search->only == 0 && (!is_csv || search->count == 1);
    if (is_any || find_series(search, search->only) != NULL)
        return true;
    text_addf(&why, "%s, and this ScaledObject has %zu: add &trigger=",
              is_csv ? "CSV is of one trigger" : "trigger is the id of one", search->count);
    for (size_t i = 0; i < search->count; i++)
        text_addf(&why, "%s%" PRIu64, i > 0 ? " or " : "", search->items[i].id);
    web_json_refuse(response, 400, why.bytes);
    return false;
}

void history_page(void *context, const struct page_request *request, struct page_response *response)
{
    const char *format = page_request_parameter(request, "format");
    const char *id = page_request_parameter(request, "trigger");
    bool is_csv = format != NULL && text_equal(format, "csv");
    if (request->below_count != 2) {
        web_json_refuse_path(response, "/api/history/NAMESPACE/NAME");
        return;
    }
    if (format != NULL && !is_csv && !text_equal(format, "json")) {
        web_json_refuse(response, 400, "format must be json or csv");
        return;
    }
    _cleanup_(search_free) struct history_search *search = memory_new(sizeof(*search));
    search->namespace = request->below[0];
    search->name = request->below[1];
    if (id != NULL && (!page_request_parse_number(id, &search->only) || search->only == 0))
        search->only = UINT64_MAX; /* nobody's */
    if (!trigger_walk_object(context, search->namespace, search->name, visit_for_history, search))
        trigger_walk_refuse_busy(response);
    else if (search->count == 0)
        trigger_walk_refuse_unknown_object(response);
    else if (!check_trigger(search, is_csv, response))
        return;
    else if (is_csv)
        write_csv(search->only == 0 ? search->items : find_series(search, search->only), response);
    else
        write_json(search, response);
}
