/*
 * The table of `backlog watch --workers`: pods, as a server with --workers lists them.
 */
#include "commands/watch_form.h"

#include "base/json_cleanup.h"
#include "base/memory.h"
#include "cli/console.h"
#include "commands/http_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    LABEL_WIDTH = 28,
    MIN_POD_WIDTH = 12,
    MAX_POD_WIDTH = 40,
    OTHER_COLUMNS = 52, /* of the numbers and the state */
};

struct watch_worker {
    char *label; /* namespace/name of the object */
    char *pod;   /* "": none; the row is what is to be said of the object */
    char *state;
    char *reason; /* "": none */
    bool is_wrong;
    double restarts, age_s, done, cpu_cores, memory_bytes; /* NAN: not known */
};

struct watch_workers {
    struct watch_worker *items; /* by object and pod */
    size_t count, capacity;
    bool is_read; /* false: the server is still reading some */
};

static struct watch_worker *add(struct watch_workers *workers, const char *label)
{
    workers->items = memory_grow(workers->items, &workers->capacity, workers->count + 1,
                                 sizeof(*workers->items));
    struct watch_worker *worker = &workers->items[workers->count++];
    *worker = (struct watch_worker){.label = text_copy(label),
                                    .restarts = NAN,
                                    .age_s = NAN,
                                    .done = NAN,
                                    .cpu_cores = NAN,
                                    .memory_bytes = NAN};
    return worker;
}

static void add_worker(struct watch_workers *workers, const char *label, const json_t *pod)
{
    struct watch_worker *worker = add(workers, label);
    worker->pod = http_json_text(pod, "pod");
    worker->state = http_json_text(pod, "state");
    worker->reason = http_json_text(pod, "reason");
    worker->restarts = http_json_number(pod, "restarts");
    worker->age_s = (double)time(NULL) - http_json_number(pod, "created");
    worker->done = http_json_number(pod, "done");
    worker->cpu_cores = http_json_number(pod, "cpu");
    worker->memory_bytes = http_json_number(pod, "memory");
    worker->is_wrong = text_equal(worker->state, "Failed") ||
                       (worker->reason[0] != '\0' && !json_is_true(json_object_get(pod, "ready")));
}

static void add_note(struct watch_workers *workers, const char *label, char *reason)
{
    struct watch_worker *note = add(workers, label);
    note->pod = text_copy("");
    note->state = text_copy("error");
    note->reason = reason;
    note->is_wrong = true;
}

static void add_object(struct watch_workers *workers, const json_t *object)
{
    _cleanup_(memory_free) char *namespace = http_json_text(object, "namespace");
    _cleanup_(memory_free) char *name = http_json_text(object, "name");
    _cleanup_(memory_free) char *label = text_format("%s/%s", namespace, name);
    const json_t *pod;
    size_t i;
    bool has_error = json_is_string(json_object_get(object, "error"));
    if (has_error)
        add_note(workers, label, http_json_text(object, "error"));
    else if (isnan(http_json_number(object, "secondsAgo")))
        workers->is_read = false;
    json_array_foreach(json_object_get(object, "workers"), i, pod)
        add_worker(workers, label, pod);
    if (json_is_true(json_object_get(object, "hasMore")))
        add_note(workers, label, text_copy("more pods than are listed"));
}

static void *fetch_workers(struct http_client *client, struct error *error)
{
    _cleanup_(json_done) json_t *page = http_json_get(client, "/api/workers", "objects", error);
    const json_t *object;
    size_t i;
    if (page == NULL)
        return NULL;
    struct watch_workers *workers = memory_new(sizeof(*workers));
    workers->is_read = true;
    json_array_foreach(json_object_get(page, "objects"), i, object)
        add_object(workers, object);
    return workers;
}

/* The server begins to read them when somebody asks. */
static bool is_complete(const void *content)
{
    const struct watch_workers *workers = content;
    return workers->is_read;
}

static void free_workers(void *content)
{
    struct watch_workers *workers = content;
    if (workers == NULL)
        return;
    for (size_t i = 0; i < workers->count; i++) {
        free(workers->items[i].label);
        free(workers->items[i].pod);
        free(workers->items[i].state);
        free(workers->items[i].reason);
    }
    free(workers->items);
    free(workers);
}

/* "" is in all. */
static bool has_text(const struct watch_worker *worker, const char *text)
{
    return strcasestr(worker->label, text) != NULL || strcasestr(worker->pod, text) != NULL ||
           strcasestr(worker->state, text) != NULL || strcasestr(worker->reason, text) != NULL;
}

static const void **list_workers(const struct watch_view *view, const void *content,
                                 size_t *ret_count)
{
    const struct watch_workers *workers = content;
    const void **items = memory_array(workers->count + 1, sizeof(*items));
    *ret_count = 0;
    for (size_t i = 0; i < workers->count; i++)
        if (has_text(&workers->items[i], view->filter))
            items[(*ret_count)++] = &workers->items[i];
    return items;
}

/* ---- lines ---- */

/* As kubectl writes it: 45s, 12m, 3h, 2d. */
static void add_age(struct text *line, double seconds)
{
    char text[32] = "-";
    if (seconds >= 2 * 86400.0)
        snprintf(text, sizeof(text), "%.0fd", floor(seconds / 86400));
    else if (seconds >= 2 * 3600.0)
        snprintf(text, sizeof(text), "%.0fh", floor(seconds / 3600));
    else if (seconds >= 2 * 60.0)
        snprintf(text, sizeof(text), "%.0fm", floor(seconds / 60));
    else if (!isnan(seconds))
        snprintf(text, sizeof(text), "%.0fs", fmax(seconds, 0));
    text_addf(line, " %6s", text);
}

static bool shows_object(size_t pod_width, size_t width)
{
    return width >= LABEL_WIDTH + 1 + pod_width + OTHER_COLUMNS;
}

/* A row without a pod has its object there, where that has no column. */
static const char *pod_of(const struct watch_worker *worker, bool has_object)
{
    return worker->pod[0] != '\0' ? worker->pod : has_object ? "-" : worker->label;
}

static size_t widest_pod(const void *const *items, size_t count, bool has_object)
{
    size_t widest = MIN_POD_WIDTH;
    for (size_t i = 0; i < count; i++) {
        size_t own = strlen(pod_of(items[i], has_object));
        widest = own > widest ? own : widest;
    }
    return widest < MAX_POD_WIDTH ? widest : MAX_POD_WIDTH;
}

static size_t pod_width_of(const void *const *items, size_t count, size_t width)
{
    size_t own = widest_pod(items, count, true);
    return shows_object(own, width) ? own : widest_pod(items, count, false);
}

/* A terminal may have no room for the object beside its pods, whose names begin like its own. */
static void write_worker(const void *item, size_t pod_width, size_t width, struct text *ret_line)
{
    const struct watch_worker *worker = item;
    _cleanup_(text_done) struct text line = {0};
    bool has_object = shows_object(pod_width, width);
    if (has_object)
        text_addf(&line, "%-*s ", LABEL_WIDTH, worker == NULL ? "SCALEDOBJECT" : worker->label);
    if (worker == NULL)
        text_addf(&line, "%-*s %8s %6s %9s %6s %7s  %s", (int)pod_width, "POD", "RESTARTS", "AGE",
                  "JOBS DONE", "CPU", "MEMORY", "STATE");
    else {
        text_addf(&line, "%-*s", (int)pod_width, pod_of(worker, has_object));
        watch_add_number(&line, worker->restarts, 8, "%.0f");
        add_age(&line, worker->age_s);
        watch_add_number(&line, worker->done, 9, "%.0f");
        watch_add_number(&line, worker->cpu_cores * 1000, 6, "%.0fm");
        watch_add_number(&line, worker->memory_bytes / 0x1p20, 7, "%.0fMi");
        text_addf(&line, "  %s%s%s", worker->state, worker->reason[0] == '\0' ? "" : ": ",
                  worker->reason);
    }
    text_add_bytes(ret_line, line.bytes, text_cut(line.bytes, width));
}

static void sum_workers(const void *content, struct text *ret_line)
{
    const struct watch_workers *workers = content;
    size_t count = 0, pending = 0;
    for (size_t i = 0; i < workers->count; i++) {
        count += workers->items[i].pod[0] != '\0';
        pending += text_equal(workers->items[i].state, "Pending");
    }
    text_addf(ret_line, "%zu worker%s, %zu pending%s", count, text_plural(count), pending,
              workers->is_read ? "" : ", more are being read");
}

static const char *color_of(const void *item)
{
    const struct watch_worker *worker = item;
    return worker->is_wrong                       ? console_begin(stdout, CONSOLE_RED)
           : text_equal(worker->state, "Pending") ? console_begin(stdout, CONSOLE_YELLOW)
           : text_equal(worker->state, "Running") ? console_begin(stdout, CONSOLE_GREEN)
                                                  : "";
}

static json_t *json_of(const void *item)
{
    const struct watch_worker *worker = item;
    json_t *object = json_pack("{s:s, s:s, s:s}", "object", worker->label, "pod", worker->pod,
                               "state", worker->state);
    json_object_set_new(object, "reason",
                        worker->reason[0] == '\0' ? json_null() : json_string(worker->reason));
    json_object_set_new(object, "restarts", console_json_number(worker->restarts));
    json_object_set_new(object, "ageSeconds", console_json_number(worker->age_s));
    json_object_set_new(object, "done", console_json_number(worker->done));
    json_object_set_new(object, "cpu", console_json_number(worker->cpu_cores));
    json_object_set_new(object, "memory", console_json_number(worker->memory_bytes));
    return object;
}

const struct watch_form watch_workers = {
    .sort_keys = "",
    .failing_keys = "",
    .unread = "the workers were not read within --timeout",
    .fetch = fetch_workers,
    .free = free_workers,
    .is_complete = is_complete,
    .sum = sum_workers,
    .list = list_workers,
    .label_width = pod_width_of,
    .write = write_worker,
    .color = color_of,
    .json = json_of,
};
