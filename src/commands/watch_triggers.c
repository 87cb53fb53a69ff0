/*
 * The table of `backlog watch`: the triggers of a server, sorted and filtered.
 */
#include "commands/watch_form.h"

#include "base/clock.h"
#include "base/json_cleanup.h"
#include "base/memory.h"
#include "cli/console.h"
#include "commands/http_json.h"

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

struct watch_row {
    json_int_t id;
    char *label; /* namespace/name */
    char *scaler;
    char *metric;
    char *state;                    /* answered, held, waiting, refused */
    char *error;                    /* "" : none */
    char *bound_by;                 /* what bound the replicas of a policy; "": none */
    double value, target, replicas; /* NAN: not known */
    double change;                  /* of the value per second since the last reading; NAN */
    double called_s_ago;
    bool is_active;
};

struct watch_rows {
    struct watch_row *items;
    size_t count, capacity;
    double replicas; /* that are wanted in all, of each object the most of a trigger */
    int64_t at_ms;
};

/* ---- sorted ---- */

static int compare_identity(const void *left, const void *right)
{
    const struct watch_row *one = *(const struct watch_row *const *)left;
    const struct watch_row *other = *(const struct watch_row *const *)right;
    int order = strcmp(one->label, other->label);
    if (order == 0)
        order = strcmp(one->metric, other->metric);
    return order != 0 ? order : (one->id > other->id) - (one->id < other->id);
}

/* All rows, by object, metric and id: triggers of one object may have one metric, and a server that
 * was restarted gives ids again. The caller frees the array. */
static const struct watch_row **sort_rows(const struct watch_rows *rows)
{
    const struct watch_row **sorted = memory_array(rows->count, sizeof(*sorted));
    for (size_t i = 0; i < rows->count; i++)
        sorted[i] = &rows->items[i];
    if (rows->count > 0)
        qsort(sorted, rows->count, sizeof(*sorted), compare_identity);
    return sorted;
}

/* As /api/server. */
static double sum_replicas(const struct watch_rows *rows)
{
    _cleanup_(memory_free) const struct watch_row **sorted = sort_rows(rows);
    double sum = 0;
    for (size_t first = 0, next; first < rows->count; first = next) {
        double most = 0;
        for (next = first; next < rows->count; next++) {
            if (!text_equal(sorted[next]->label, sorted[first]->label))
                break;
            most = fmax(most, sorted[next]->replicas); /* of NAN, too */
        }
        sum += most;
    }
    return sum;
}

/* ---- fetching ---- */

static void add_row(struct watch_rows *rows, const json_t *trigger)
{
    const json_t *now = json_object_get(trigger, "now");
    _cleanup_(memory_free) char *namespace = http_json_text(trigger, "namespace");
    _cleanup_(memory_free) char *name = http_json_text(trigger, "name");
    rows->items = memory_grow(rows->items, &rows->capacity, rows->count + 1, sizeof(*rows->items));
    rows->items[rows->count++] = (struct watch_row){
        .id = json_integer_value(json_object_get(trigger, "id")),
        .label = text_format("%s/%s", namespace, name),
        .scaler = http_json_text(trigger, "scaler"),
        .metric = http_json_text(trigger, "metricName"),
        .state = http_json_text(now, "state"),
        .error = http_json_text(now, "error"),
        .bound_by = http_json_text(trigger, "boundBy"),
        .value = http_json_number(now, "value"),
        .target = http_json_number(trigger, "target"),
        .replicas = http_json_number(now, "replicas"),
        .change = NAN,
        .called_s_ago = http_json_number(trigger, "lastCallSecondsAgo"),
        .is_active = json_is_true(json_object_get(now, "active")),
    };
}

/* `after`: the id of the last row, 0 before the first page. False with the error, or with `ret_all`
 * where there are no more. */
static bool fetch_page(struct http_client *client, struct watch_rows *rows, json_int_t *after,
                       bool *ret_all, struct error *error)
{
    _cleanup_(memory_free) char *path =
        text_format("/api/triggers?limit=%d&after=%lld", PAGE, (long long)*after);
    _cleanup_(json_done) json_t *page = http_json_get(client, path, "triggers", error);
    if (page == NULL)
        return false;
    const json_t *trigger;
    size_t i;
    json_int_t before = *after;
    json_array_foreach(json_object_get(page, "triggers"), i, trigger) {
        if (!json_is_true(json_object_get(trigger, "superseded"))) /* metadata of before an edit */
            add_row(rows, trigger);
        *after = json_integer_value(json_object_get(trigger, "id"));
    }
    /* A page may end before its limit. */
    *ret_all = !json_is_true(json_object_get(page, "hasMore")) || *after <= before ||
               rows->count >= MAX_ROWS;
    return true;
}

static void free_rows(void *content)
{
    struct watch_rows *rows = content;
    if (rows == NULL)
        return;
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->items[i].label);
        free(rows->items[i].scaler);
        free(rows->items[i].metric);
        free(rows->items[i].state);
        free(rows->items[i].error);
        free(rows->items[i].bound_by);
    }
    free(rows->items);
    free(rows);
}

static void *fetch_rows(struct http_client *client, struct error *error)
{
    struct watch_rows *rows = memory_new(sizeof(*rows));
    json_int_t after = 0;
    rows->at_ms = clock_now_ms();
    for (bool is_all = false; !is_all;)
        if (!fetch_page(client, rows, &after, &is_all, error)) {
            free_rows(rows);
            return NULL;
        }
    rows->replicas = sum_replicas(rows);
    return rows;
}

/* ---- changes ---- */

static void note_changes(void *content, const void *former)
{
    struct watch_rows *rows = content;
    const struct watch_rows *before = former;
    double seconds = (double)(rows->at_ms - before->at_ms) / 1000;
    if (before->count == 0 || seconds <= 0)
        return;
    _cleanup_(memory_free) const struct watch_row **sorted = sort_rows(before);
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

static const void **list_rows(const struct watch_view *view, const void *content, size_t *ret_count)
{
    const struct watch_rows *rows = content;
    const void **shown = memory_array(rows->count + 1, sizeof(*shown));
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

static size_t label_width_of(const void *const *items, size_t count, size_t width)
{
    size_t widest = MIN_LABEL;
    for (size_t i = 0; i < count; i++) {
        size_t own = characters(((const struct watch_row *)items[i])->label);
        widest = own > widest ? own : widest;
    }
    size_t others = width < NARROW ? OTHER_NARROW_COLUMNS : OTHER_COLUMNS;
    size_t room = width > others + MIN_LABEL ? width - others : MIN_LABEL;
    return widest < room ? widest : room;
}

static void write_row(const void *item, size_t label_width, size_t width, struct text *ret_line)
{
    const struct watch_row *row = item;
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
        text_addf(&line, " %10s %6s %8s %7s  %s", "TARGET", "ACTIVE", "WANTED", "CALLED", "STATE");
    } else {
        watch_add_number(&line, row->value, 12, "%.10g");
        if (!is_narrow)
            watch_add_number(&line, row->change, 10, "%+.3g");
        watch_add_number(&line, row->target, 10, "%.10g");
        text_addf(&line, " %6s", isnan(row->value) ? "-" : row->is_active ? "yes" : "no");
        watch_add_number(&line, row->replicas, 8, "%.0f");
        watch_add_number(&line, row->called_s_ago, 6, "%.0f");
        text_addf(&line, "%s  %s", isnan(row->called_s_ago) ? " " : "s", row->state);
        if (row->error[0] != '\0')
            text_addf(&line, ": %s", row->error);
        if (row->bound_by[0] != '\0')
            text_addf(&line, ", by %s", row->bound_by);
    }
    text_add_bytes(ret_line, line.bytes, bytes_of(line.bytes, width));
    text_done(&line);
}

static void sum_rows(const void *content, struct text *ret_line)
{
    const struct watch_rows *rows = content;
    size_t active = 0, failing = 0;
    for (size_t i = 0; i < rows->count; i++) {
        active += rows->items[i].is_active;
        failing += is_failing(&rows->items[i]);
    }
    text_addf(ret_line, "%zu trigger%s, %zu active, %zu failing, %.0f replica%s wanted",
              rows->count, text_plural(rows->count), active, failing, rows->replicas,
              rows->replicas == 1 ? "" : "s");
}

static const char *color_of(const void *item)
{
    const struct watch_row *row = item;
    return text_equal(row->state, "refused") ? console_begin(stdout, CONSOLE_RED)
           : text_equal(row->state, "held")  ? console_begin(stdout, CONSOLE_YELLOW)
           : row->is_active                  ? console_begin(stdout, CONSOLE_GREEN)
                                             : "";
}

static json_t *json_of(const void *item)
{
    const struct watch_row *row = item;
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:b}", "object", row->label, "scaler", row->scaler,
                  "metricName", row->metric, "state", row->state, "active", row->is_active);
    json_object_set_new(object, "value", console_json_number(row->value));
    json_object_set_new(object, "changePerSecond", console_json_number(row->change));
    json_object_set_new(object, "target", console_json_number(row->target));
    json_object_set_new(object, "replicas", console_json_number(row->replicas));
    json_object_set_new(object, "lastCallSecondsAgo", console_json_number(row->called_s_ago));
    json_object_set_new(object, "boundBy",
                        row->bound_by[0] == '\0' ? json_null() : json_string(row->bound_by));
    json_object_set_new(object, "error",
                        row->error[0] == '\0' ? json_null() : json_string(row->error));
    return object;
}

const struct watch_form watch_triggers = {
    .sort_keys = "  1-9 sort  r reverse",
    .failing_keys = "  f failing",
    .fetch = fetch_rows,
    .free = free_rows,
    .compare = note_changes,
    .sum = sum_rows,
    .list = list_rows,
    .label_width = label_width_of,
    .write = write_row,
    .color = color_of,
    .json = json_of,
};
