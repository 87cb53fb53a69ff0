#include "commands/watch_table.h"

#include "base/clock.h"
#include "base/json_cleanup.h"
#include "base/memory.h"
#include "cli/console.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    PAGE = 1000,
    MAX_ROWS = 200 * 1000,
    MIN_LABEL = 16,
    NARROW = 110, /* a terminal of fewer columns: without the scaler and the change */
    OTHER_COLUMNS = 80,
    OTHER_NARROW_COLUMNS = 60,
};

/* ---- fetching ---- */

static char *clean(const json_t *value)
{
    char *text = text_copy(json_is_string(value) ? json_string_value(value) : "");
    console_clean(text);
    return text;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void add_row(struct watch_rows *rows, const json_t *trigger)
{
    const json_t *now = json_object_get(trigger, "now");
    _cleanup_(memory_free) char *namespace = clean(json_object_get(trigger, "namespace"));
    _cleanup_(memory_free) char *name = clean(json_object_get(trigger, "name"));
    rows->items = memory_grow(rows->items, &rows->capacity, rows->count + 1, sizeof(*rows->items));
    rows->items[rows->count++] = (struct watch_row){
        .label = text_format("%s/%s", namespace, name),
        .scaler = clean(json_object_get(trigger, "scaler")),
        .metric = clean(json_object_get(trigger, "metricName")),
        .state = clean(json_object_get(now, "state")),
        .error = clean(json_object_get(now, "error")),
        .status = clean(json_object_get(trigger, "status")),
        .bound_by = clean(json_object_get(trigger, "boundBy")),
        .value = number(now, "value"),
        .target = number(trigger, "target"),
        .replicas = number(now, "replicas"),
        .change = NAN,
        .called_s_ago = number(trigger, "lastCallSecondsAgo"),
        .is_active = json_is_true(json_object_get(now, "active")),
    };
}

/* `after`: the id of the last row, 0 before the first page. False with the error, or with `ret_all`
 * where there are no more. */
static bool fetch_page(struct http_client *client, struct watch_rows *rows, json_int_t *after,
                       bool *ret_all, struct error *error)
{
    _cleanup_(text_done) struct text body = {0};
    _cleanup_(memory_free) char *path =
        text_format("/api/triggers?limit=%d&after=%lld", PAGE, (long long)*after);
    if (!http_client_get(client, path, &body, error))
        return false;
    _cleanup_(json_done) json_t *page =
        body.bytes == NULL ? NULL : json_loadb(body.bytes, body.length, 0, NULL);
    const json_t *list = json_object_get(page, "triggers");
    const json_t *trigger;
    size_t i;
    if (!json_is_array(list))
        return error_unavailable(error,
                                 "%s: unexpected reply: is this the --http port of backlog serve?",
                                 http_client_url(client));
    json_int_t before = *after;
    json_array_foreach(list, i, trigger) {
        add_row(rows, trigger);
        *after = json_integer_value(json_object_get(trigger, "id"));
    }
    /* A page may end before its limit. */
    *ret_all = !json_is_true(json_object_get(page, "hasMore")) || *after <= before ||
               rows->count >= MAX_ROWS;
    return true;
}

bool watch_rows_fetch(struct http_client *client, struct watch_rows *ret_rows, struct error *error)
{
    struct watch_rows rows = {.at_ms = clock_now_ms()};
    json_int_t after = 0;
    for (bool is_all = false; !is_all;)
        if (!fetch_page(client, &rows, &after, &is_all, error)) {
            watch_rows_done(&rows);
            return false;
        }
    *ret_rows = rows;
    return true;
}

void watch_rows_done(struct watch_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->items[i].label);
        free(rows->items[i].scaler);
        free(rows->items[i].metric);
        free(rows->items[i].state);
        free(rows->items[i].error);
        free(rows->items[i].status);
        free(rows->items[i].bound_by);
    }
    free(rows->items);
    *rows = (struct watch_rows){0};
}

/* ---- changes ---- */

static int compare_identity(const void *left, const void *right)
{
    const struct watch_row *one = *(const struct watch_row *const *)left;
    const struct watch_row *other = *(const struct watch_row *const *)right;
    int order = strcmp(one->label, other->label);
    return order != 0 ? order : strcmp(one->metric, other->metric);
}

void watch_rows_compare(struct watch_rows *rows, const struct watch_rows *before)
{
    double seconds = (double)(rows->at_ms - before->at_ms) / 1000;
    if (before->count == 0 || seconds <= 0)
        return;
    _cleanup_(memory_free) const struct watch_row **sorted =
        memory_array(before->count, sizeof(*sorted));
    for (size_t i = 0; i < before->count; i++)
        sorted[i] = &before->items[i];
    qsort(sorted, before->count, sizeof(*sorted), compare_identity);
    for (size_t i = 0; i < rows->count; i++) {
        const struct watch_row *row = &rows->items[i];
        const struct watch_row **found =
            bsearch(&row, sorted, before->count, sizeof(*sorted), compare_identity);
        if (found != NULL)
            rows->items[i].change = (row->value - (*found)->value) / seconds;
    }
}

/* ---- the view ---- */

static bool is_failing(const struct watch_row *row)
{
    return text_equal(row->state, "refused") || text_equal(row->state, "held");
}

static bool is_shown(const struct watch_view *view, const struct watch_row *row)
{
    if (view->only_failing && !is_failing(row))
        return false;
    return view->filter[0] == '\0' || strcasestr(row->label, view->filter) != NULL ||
           strcasestr(row->scaler, view->filter) != NULL ||
           strcasestr(row->metric, view->filter) != NULL ||
           strcasestr(row->status, view->filter) != NULL ||
           strcasestr(row->state, view->filter) != NULL;
}

static double number_of(const struct watch_row *row, enum watch_column column)
{
    double value = column == WATCH_VALUE      ? row->value
                   : column == WATCH_CHANGE   ? row->change
                   : column == WATCH_TARGET   ? row->target
                   : column == WATCH_ACTIVE   ? row->is_active
                   : column == WATCH_REPLICAS ? row->replicas
                                              : row->called_s_ago;
    return isnan(value) ? -INFINITY : value;
}

/* Numbers from the largest on, names from A on; equal ones by name. */
static int compare_rows(const void *left, const void *right, void *context)
{
    const struct watch_view *view = context;
    const struct watch_row *one = *(const struct watch_row *const *)left;
    const struct watch_row *other = *(const struct watch_row *const *)right;
    int order;
    if (view->sort == WATCH_SCALER)
        order = strcmp(one->scaler, other->scaler);
    else if (view->sort == WATCH_STATE)
        order = strcmp(other->state, one->state);
    else if (view->sort == WATCH_LABEL)
        order = strcmp(one->label, other->label);
    else {
        double first = number_of(one, view->sort), second = number_of(other, view->sort);
        order = first > second ? -1 : first < second;
    }
    if (view->is_reversed)
        order = -order;
    return order != 0 ? order : compare_identity(left, right);
}

const struct watch_row **watch_view_rows(const struct watch_view *view,
                                         const struct watch_rows *rows, size_t *ret_count)
{
    const struct watch_row **shown = memory_array(rows->count + 1, sizeof(*shown));
    *ret_count = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (is_shown(view, &rows->items[i]))
            shown[(*ret_count)++] = &rows->items[i];
    qsort_r(shown, *ret_count, sizeof(*shown), compare_rows, (void *)view);
    return shown;
}

/* ---- lines ---- */

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* The bytes of the first characters. */
static size_t bytes_of(const char *text, size_t count)
{
    size_t at = 0;
    while (text[at] != '\0') {
        if (((unsigned char)text[at] & 0xC0) != 0x80 && count-- == 0)
            break;
        at++;
    }
    return at;
}

static void add_left(struct text *line, const char *text, size_t width)
{
    size_t bytes = bytes_of(text, width);
    size_t shown = characters(text) < width ? characters(text) : width;
    text_addf(line, "%.*s%*s ", (int)bytes, text, (int)(width - shown), "");
}

static void add_number(struct text *line, double value, int width, const char *format)
{
    char text[32] = "-";
    if (!isnan(value))
        snprintf(text, sizeof(text), format, value);
    text_addf(line, " %*s", width, text);
}

size_t watch_label_width(const struct watch_row *const *rows, size_t count, size_t width)
{
    size_t widest = MIN_LABEL;
    for (size_t i = 0; i < count; i++) {
        size_t own = characters(rows[i]->label);
        widest = own > widest ? own : widest;
    }
    size_t others = width < NARROW ? OTHER_NARROW_COLUMNS : OTHER_COLUMNS;
    size_t room = width > others + MIN_LABEL ? width - others : MIN_LABEL;
    return widest < room ? widest : room;
}

void watch_row_write(const struct watch_row *row, size_t label_width, size_t width,
                     struct text *ret_line)
{
    struct text line = {0};
    bool is_narrow = width < NARROW;
    add_left(&line, row == NULL ? "SCALEDOBJECT" : row->label, label_width);
    if (!is_narrow)
        add_left(&line, row == NULL ? "SCALER" : row->scaler[0] == '\0' ? "-" : row->scaler, 15);
    line.length--; /* the numbers begin with a blank */
    if (row == NULL) {
        text_addf(&line, " %12s", "VALUE");
        if (!is_narrow)
            text_addf(&line, " %10s", "CHANGE/S");
        text_addf(&line, " %10s %6s %8s %7s  %s", "TARGET", "ACTIVE", "REPLICAS", "CALLED",
                  "STATE");
    } else {
        add_number(&line, row->value, 12, "%.10g");
        if (!is_narrow)
            add_number(&line, row->change, 10, "%+.3g");
        add_number(&line, row->target, 10, "%.10g");
        text_addf(&line, " %6s", isnan(row->value) ? "-" : row->is_active ? "yes" : "no");
        add_number(&line, row->replicas, 8, "%.0f");
        add_number(&line, row->called_s_ago, 6, "%.0f");
        text_addf(&line, "%s  %s", isnan(row->called_s_ago) ? " " : "s", row->state);
        if (row->error[0] != '\0')
            text_addf(&line, ": %s", row->error);
        if (row->status[0] != '\0')
            text_addf(&line, ", by %s, consumers %s", row->bound_by, row->status);
    }
    text_add_bytes(ret_line, line.bytes, bytes_of(line.bytes, width));
    text_done(&line);
}

void watch_rows_sum(const struct watch_rows *rows, struct text *ret_line)
{
    size_t active = 0, failing = 0;
    double replicas = 0;
    for (size_t i = 0; i < rows->count; i++) {
        active += rows->items[i].is_active;
        failing += is_failing(&rows->items[i]);
        replicas += isnan(rows->items[i].replicas) ? 0 : rows->items[i].replicas;
    }
    text_addf(ret_line, "%zu trigger%s, %zu active, %zu failing, %.0f replica%s wanted",
              rows->count, text_plural(rows->count), active, failing, replicas,
              replicas == 1 ? "" : "s");
}

static json_t *json_number_of(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *watch_row_json(const struct watch_row *row)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:b}", "object", row->label, "scaler", row->scaler,
                  "metric", row->metric, "state", row->state, "active", row->is_active);
    json_object_set_new(object, "value", json_number_of(row->value));
    json_object_set_new(object, "changePerSecond", json_number_of(row->change));
    json_object_set_new(object, "target", json_number_of(row->target));
    json_object_set_new(object, "replicas", json_number_of(row->replicas));
    json_object_set_new(object, "lastCallSecondsAgo", json_number_of(row->called_s_ago));
    json_object_set_new(object, "status",
                        row->status[0] == '\0' ? json_null() : json_string(row->status));
    json_object_set_new(object, "boundBy",
                        row->status[0] == '\0' ? json_null() : json_string(row->bound_by));
    json_object_set_new(object, "error",
                        row->error[0] == '\0' ? json_null() : json_string(row->error));
    return object;
}
