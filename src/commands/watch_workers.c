#include "commands/watch_workers.h"

#include "base/json_cleanup.h"
#include "base/memory.h"
#include "cli/console.h"

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

/* A terminal that has no room for the object beside its pods, whose names begin like its own. */
static bool is_narrow(size_t pod_width, size_t width)
{
    return width < LABEL_WIDTH + 1 + pod_width + OTHER_COLUMNS;
}

static char *clean(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    char *text = text_copy(value == NULL ? "" : value);
    console_clean(text);
    return text;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

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
    worker->pod = clean(pod, "pod");
    worker->state = clean(pod, "state");
    worker->reason = clean(pod, "reason");
    worker->restarts = number(pod, "restarts");
    worker->age_s = (double)time(NULL) - number(pod, "created");
    worker->done = number(pod, "done");
    worker->cpu_cores = number(pod, "cpu");
    worker->memory_bytes = number(pod, "memory");
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
    _cleanup_(memory_free) char *namespace = clean(object, "namespace");
    _cleanup_(memory_free) char *name = clean(object, "name");
    _cleanup_(memory_free) char *label = text_format("%s/%s", namespace, name);
    const json_t *pod;
    size_t i;
    bool has_error = json_is_string(json_object_get(object, "error"));
    if (has_error)
        add_note(workers, label, clean(object, "error"));
    else if (isnan(number(object, "secondsAgo")))
        workers->is_read = false;
    json_array_foreach(json_object_get(object, "workers"), i, pod)
        add_worker(workers, label, pod);
    if (json_is_true(json_object_get(object, "hasMore")))
        add_note(workers, label, text_copy("more pods than are listed"));
}

bool watch_workers_fetch(struct http_client *client, struct watch_workers *ret_workers,
                         struct error *error)
{
    _cleanup_(text_done) struct text body = {0};
    struct watch_workers workers = {.is_read = true};
    if (!http_client_get(client, "/api/workers", &body, error))
        return false;
    _cleanup_(json_done) json_t *page =
        body.bytes == NULL ? NULL : json_loadb(body.bytes, body.length, 0, NULL);
    const json_t *list = json_object_get(page, "objects");
    const json_t *object;
    size_t i;
    if (!json_is_array(list))
        return error_unavailable(error,
                                 "%s: unexpected reply: is this the --http port of backlog serve?",
                                 http_client_url(client));
    json_array_foreach(list, i, object)
        add_object(&workers, object);
    *ret_workers = workers;
    return true;
}

void watch_workers_done(struct watch_workers *workers)
{
    for (size_t i = 0; i < workers->count; i++) {
        free(workers->items[i].label);
        free(workers->items[i].pod);
        free(workers->items[i].state);
        free(workers->items[i].reason);
    }
    free(workers->items);
    *workers = (struct watch_workers){0};
}

bool watch_worker_has(const struct watch_worker *worker, const char *text)
{
    return strcasestr(worker->label, text) != NULL || strcasestr(worker->pod, text) != NULL ||
           strcasestr(worker->state, text) != NULL || strcasestr(worker->reason, text) != NULL;
}

/* ---- lines ---- */

static void add_number(struct text *line, double value, int width, const char *format)
{
    char text[32] = "-";
    if (!isnan(value))
        snprintf(text, sizeof(text), format, value);
    text_addf(line, " %*s", width, text);
}

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

size_t watch_pod_width(const void *const *workers, size_t count)
{
    size_t widest = MIN_POD_WIDTH;
    for (size_t i = 0; i < count; i++) {
        const struct watch_worker *worker = workers[i];
        size_t own = strlen(worker->pod);
        widest = own > widest ? own : widest;
    }
    return widest < MAX_POD_WIDTH ? widest : MAX_POD_WIDTH;
}

void watch_worker_write(const struct watch_worker *worker, size_t pod_width, size_t width,
                        struct text *ret_line)
{
    _cleanup_(text_done) struct text line = {0};
    if (!is_narrow(pod_width, width))
        text_addf(&line, "%-*s ", LABEL_WIDTH, worker == NULL ? "SCALEDOBJECT" : worker->label);
    if (worker == NULL)
        text_addf(&line, "%-*s %8s %6s %9s %6s %7s  %s", (int)pod_width, "POD", "RESTARTS", "AGE",
                  "JOBS DONE", "CPU", "MEMORY", "STATE");
    else {
        text_addf(&line, "%-*s", (int)pod_width,
                  worker->pod[0] == '\0' ? worker->label : worker->pod);
        add_number(&line, worker->restarts, 8, "%.0f");
        add_age(&line, worker->age_s);
        add_number(&line, worker->done, 9, "%.0f");
        add_number(&line, worker->cpu_cores * 1000, 6, "%.0fm");
        add_number(&line, worker->memory_bytes / 0x1p20, 7, "%.0fMi");
        text_addf(&line, "  %s%s%s", worker->state, worker->reason[0] == '\0' ? "" : ": ",
                  worker->reason);
    }
    text_add_bytes(ret_line, line.bytes, text_cut(line.bytes, width));
}

void watch_workers_sum(const struct watch_workers *workers, struct text *ret_line)
{
    size_t count = 0, pending = 0;
    for (size_t i = 0; i < workers->count; i++) {
        count += workers->items[i].pod[0] != '\0';
        pending += text_equal(workers->items[i].state, "Pending");
    }
    text_addf(ret_line, "%zu worker%s, %zu pending%s", count, text_plural(count), pending,
              workers->is_read ? "" : ", more are being read");
}

static json_t *json_number_of(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *watch_worker_json(const struct watch_worker *worker)
{
    json_t *object = json_pack("{s:s, s:s, s:s}", "object", worker->label, "pod", worker->pod,
                               "state", worker->state);
    json_object_set_new(object, "reason",
                        worker->reason[0] == '\0' ? json_null() : json_string(worker->reason));
    json_object_set_new(object, "restarts", json_number_of(worker->restarts));
    json_object_set_new(object, "ageSeconds", json_number_of(worker->age_s));
    json_object_set_new(object, "done", json_number_of(worker->done));
    json_object_set_new(object, "cpu", json_number_of(worker->cpu_cores));
    json_object_set_new(object, "memory", json_number_of(worker->memory_bytes));
    return object;
}
