#include "commands/watch_form.h"

#include "base/memory.h"
#include "cli/console.h"

#include <stdio.h>
#include <stdlib.h>

void watch_content_done(struct watch_content *content)
{
    watch_rows_done(&content->rows);
    watch_workers_done(&content->workers);
}

/* ---- triggers ---- */

static bool fetch_triggers(struct http_client *client, struct watch_content *ret_content,
                           struct error *error)
{
    return watch_rows_fetch(client, &ret_content->rows, error);
}

static bool triggers_are_complete(const struct watch_content *content)
{
    (void)content;
    return true;
}

static void compare_triggers(struct watch_content *content, const struct watch_content *before)
{
    watch_rows_compare(&content->rows, &before->rows);
}

static void sum_triggers(const struct watch_content *content, struct text *ret_line)
{
    watch_rows_sum(&content->rows, ret_line);
}

static const void **list_triggers(const struct watch_view *view,
                                  const struct watch_content *content, size_t *ret_count)
{
    _cleanup_(memory_free) const struct watch_row **rows =
        watch_view_rows(view, &content->rows, ret_count);
    const void **items = memory_array(*ret_count + 1, sizeof(*items));
    for (size_t i = 0; i < *ret_count; i++)
        items[i] = rows[i];
    return items;
}

static size_t label_width_of_triggers(const void *const *items, size_t count, size_t width)
{
    _cleanup_(memory_free) const struct watch_row **rows = memory_array(count + 1, sizeof(*rows));
    for (size_t i = 0; i < count; i++)
        rows[i] = items[i];
    return watch_label_width(rows, count, width);
}

static void write_trigger(const void *item, size_t label_width, size_t width, struct text *ret_line)
{
    watch_row_write(item, label_width, width, ret_line);
}

static const char *color_of_trigger(const void *item)
{
    const struct watch_row *row = item;
    return text_equal(row->state, "refused") ? console_begin(stdout, CONSOLE_RED)
           : text_equal(row->state, "held")  ? console_begin(stdout, CONSOLE_YELLOW)
           : row->is_active                  ? console_begin(stdout, CONSOLE_GREEN)
                                             : "";
}

static json_t *json_of_trigger(const void *item)
{
    return watch_row_json(item);
}

const struct watch_form watch_triggers_form = {
    .sort_keys = "  1-9 sort  r reverse",
    .failing_keys = "  f failing",
    .fetch = fetch_triggers,
    .is_complete = triggers_are_complete,
    .compare = compare_triggers,
    .sum = sum_triggers,
    .list = list_triggers,
    .label_width = label_width_of_triggers,
    .write = write_trigger,
    .color = color_of_trigger,
    .json = json_of_trigger,
};

/* ---- workers ---- */

static bool fetch_workers(struct http_client *client, struct watch_content *ret_content,
                          struct error *error)
{
    return watch_workers_fetch(client, &ret_content->workers, error);
}

/* The server begins to read them when somebody asks. */
static bool workers_are_complete(const struct watch_content *content)
{
    return content->workers.is_read;
}

static void compare_workers(struct watch_content *content, const struct watch_content *before)
{
    (void)content;
    (void)before;
}

static void sum_workers(const struct watch_content *content, struct text *ret_line)
{
    watch_workers_sum(&content->workers, ret_line);
}

static const void **list_workers(const struct watch_view *view, const struct watch_content *content,
                                 size_t *ret_count)
{
    const struct watch_workers *workers = &content->workers;
    const void **items = memory_array(workers->count + 1, sizeof(*items));
    *ret_count = 0;
    for (size_t i = 0; i < workers->count; i++)
        if (watch_worker_has(&workers->items[i], view->filter))
            items[(*ret_count)++] = &workers->items[i];
    return items;
}

static size_t label_width_of_workers(const void *const *items, size_t count, size_t width)
{
    (void)width;
    return watch_pod_width(items, count);
}

static void write_worker(const void *item, size_t label_width, size_t width, struct text *ret_line)
{
    watch_worker_write(item, label_width, width, ret_line);
}

static const char *color_of_worker(const void *item)
{
    const struct watch_worker *worker = item;
    return worker->is_wrong                       ? console_begin(stdout, CONSOLE_RED)
           : text_equal(worker->state, "Pending") ? console_begin(stdout, CONSOLE_YELLOW)
           : text_equal(worker->state, "Running") ? console_begin(stdout, CONSOLE_GREEN)
                                                  : "";
}

static json_t *json_of_worker(const void *item)
{
    return watch_worker_json(item);
}

const struct watch_form watch_workers_form = {
    .sort_keys = "",
    .failing_keys = "",
    .unread = "the workers were not read within --timeout",
    .fetch = fetch_workers,
    .is_complete = workers_are_complete,
    .compare = compare_workers,
    .sum = sum_workers,
    .list = list_workers,
    .label_width = label_width_of_workers,
    .write = write_worker,
    .color = color_of_worker,
    .json = json_of_worker,
};
