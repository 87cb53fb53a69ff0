#include "cli/rehearsal_http.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/recent_log.h"
#include "web/assets.h"
#include "web/feed.h"
#include "web/http.h"
#include "web/json.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVERY_MS = 1000, MAX_PAGES = 6 /* the last is empty */ };

/* A row of a table, as JSON. */
struct row {
    enum feed_table table;
    uint64_t id;
    char *fixed, *live;
};

struct rows {
    struct row *items;
    size_t count, capacity;
};

/* What a process had used, from which its usage per second is computed. */
struct usage {
    pid_t pid;
    int64_t at_ms;
    double cpu_seconds;
};

struct rehearsal_http {
    struct worker_logs *logs;
    struct feed *feed;
    struct web_page pages[MAX_PAGES];
    struct web *web;
    int64_t updated_ms;
    int64_t began_ms;
    struct usage *usages; /* by job id, of the rehearsal's thread */
    size_t usages_capacity, usages_count;

    pthread_mutex_t lock; /* of what the rehearsal left for the pages */
    struct rows rows;
    char *server;
};

static void rows_done(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->items[i].fixed);
        free(rows->items[i].live);
    }
    free(rows->items);
    *rows = (struct rows){0};
}

/* Takes the objects. */
static void add_row(struct rows *rows, enum feed_table table, uint64_t id, json_t *fixed,
                    json_t *live)
{
    rows->items = memory_grow(rows->items, &rows->capacity, rows->count + 1, sizeof(*rows->items));
    rows->items[rows->count++] =
        (struct row){.table = table,
                     .id = id,
                     .fixed = json_dumps(fixed, JSON_COMPACT | JSON_REAL_PRECISION(13)),
                     .live = json_dumps(live, JSON_COMPACT | JSON_REAL_PRECISION(13))};
    json_decref(fixed);
    json_decref(live);
}

/* ---- what the rehearsal leaves ---- */

static void add_trigger(struct rows *rows, const struct rehearsal_object *one, size_t index,
                        uint64_t id, int64_t now_ms)
{
    const struct scaled_object_trigger *source = one->triggers[index].trigger;
    const struct model_reading *reading = &one->readings[index];
    const struct scaler_client_reading *answer = &one->triggers[index].reading;
    const char *scaler = scaled_object_metadata(source, "scaler");
    json_t *fixed = json_object();
    json_t *live = json_object();
    json_set(fixed, "namespace", json_text(one->object->namespace));
    json_set(fixed, "name", json_text(one->object->name));
    json_set(fixed, "scaler", json_text(scaler == NULL ? source->type : scaler));
    json_set(live, "target", json_number(reading->has_target ? reading->target : (double)NAN));
    json_set(live, "state",
             json_text(reading->is_failed    ? "error"
                       : reading->has_target ? "ok"
                                             : "waiting"));
    if (reading->is_failed)
        json_set(live, "error", json_text(error_text(&answer->error)));
    else if (reading->has_target) {
        json_set(live, "waiting", json_number(reading->value));
        json_set(live, "value", json_number(reading->value));
        json_set(live, "active", json_boolean(reading->is_active));
        json_set(live, "time", json_number(clock_unix_s(now_ms)));
    }
    json_set(live, "inFlight", json_number(one->triggers[index].in_flight));
    json_set(live, "replicas", json_integer((json_int_t)one->model.replicas));
    add_row(rows, FEED_TRIGGERS, id, fixed, live);
}

/* Of the core that a worker used since it was looked at last; NAN: not known yet. */
static double cpu_of(struct rehearsal_http *http, const struct replica_info *info,
                     const struct process_stat *stat, int64_t now_ms)
{
    http->usages =
        memory_grow(http->usages, &http->usages_capacity, info->id + 1, sizeof(*http->usages));
    while (http->usages_count <= info->id)
        http->usages[http->usages_count++] = (struct usage){0};
    struct usage *usage = &http->usages[info->id];
    double cores = NAN;
    if (usage->pid == info->pid && now_ms > usage->at_ms)
        cores = (stat->cpu_seconds - usage->cpu_seconds) * 1000 / (double)(now_ms - usage->at_ms);
    *usage = (struct usage){info->pid, now_ms, stat->cpu_seconds};
    return cores;
}

struct job_context {
    struct rehearsal_http *http;
    struct rows *rows;
    const char *object;
    int64_t now_ms;
    size_t running;
};

static void add_job(void *context, const struct replica_info *info)
{
    struct job_context *job = context;
    struct process_stat stat;
    json_t *fixed = json_object();
    json_t *live = json_object();
    bool is_alive = info->pid != 0 && process_stat(info->pid, &stat);
    json_set(fixed, "object", json_text(job->object));
    json_set(fixed, "number", json_integer((json_int_t)info->number));
    json_set(live, "state", json_text(info->state));
    json_set(live, "done", json_number(worker_logs_done(job->http->logs, info->id)));
    if (is_alive) {
        json_set(live, "pid", json_integer(info->pid));
        json_set(live, "started", json_number(clock_unix_s(info->started_ms)));
        json_set(live, "cpu", json_number(cpu_of(job->http, info, &stat, job->now_ms)));
        json_set(live, "memory", json_number(stat.resident_bytes));
    }
    job->running += is_alive;
    add_row(job->rows, FEED_JOBS, info->id, fixed, live);
}

static char *server_text(const struct rehearsal_http *http, const struct rehearsal *rehearsal,
                         size_t running, int64_t now_ms)
{
    struct process_stat stat = {.resident_bytes = NAN};
    double waiting = 0, in_flight = NAN, replicas = 0, active = 0, triggers = 0, unread = 0;
    for (size_t i = 0; i < rehearsal->count; i++) {
        const struct rehearsal_object *one = &rehearsal->items[i];
        replicas += (double)one->model.replicas;
        for (size_t t = 0; t < one->object->trigger_count; t++) {
            triggers++;
            if (!isnan(one->triggers[t].in_flight))
                in_flight = fmax(0, in_flight) + one->triggers[t].in_flight;
            bool is_read = one->readings[t].has_target && !one->readings[t].is_failed;
            waiting += is_read ? one->readings[t].value : (double)NAN; /* then the sum is unknown */
            unread += !is_read;
            active += !one->readings[t].is_failed && one->readings[t].is_active;
        }
    }
    process_stat(getpid(), &stat);
    _cleanup_(json_done) json_t *server = json_object();
    json_set(server, "time", json_number(clock_unix_s(now_ms)));
    json_set(server, "uptime", json_seconds(now_ms - http->began_ms));
    json_set(server, "memory", json_number(stat.resident_bytes));
    json_set(server, "triggers", json_number(triggers));
    json_set(server, "unread", json_number(unread));
    json_set(server, "active", json_number(active));
    json_set(server, "waiting", json_number(waiting));
    json_set(server, "inFlight", json_number(in_flight));
    json_set(server, "replicas", json_number(replicas));
    json_set(server, "workers", json_integer((json_int_t)running));
    return json_dumps(server, JSON_COMPACT | JSON_REAL_PRECISION(13));
}

void rehearsal_http_update(struct rehearsal_http *http, const struct rehearsal *rehearsal,
                           int64_t now_ms)
{
    if (http == NULL || now_ms - http->updated_ms < EVERY_MS)
        return;
    struct rows rows = {0};
    struct job_context job = {.http = http, .rows = &rows, .now_ms = now_ms};
    uint64_t id = 0;
    http->updated_ms = now_ms;
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++)
            add_trigger(&rows, &rehearsal->items[i], t, ++id, now_ms);
    for (size_t i = 0; i < rehearsal->count; i++) {
        job.object = rehearsal->items[i].label;
        if (rehearsal->items[i].replicas != NULL)
            replicas_visit(rehearsal->items[i].replicas, now_ms, add_job, &job);
    }
    char *server = server_text(http, rehearsal, job.running, now_ms);
    pthread_mutex_lock(&http->lock);
    struct rows before = http->rows;
    http->rows = rows;
    free(http->server);
    http->server = server;
    pthread_mutex_unlock(&http->lock);
    rows_done(&before);
}

/* ---- the pages ---- */

static int by_id(const void *left, const void *right)
{
    const struct row *one = left;
    const struct row *other = right;
    return one->id < other->id ? -1 : one->id > other->id;
}

static int64_t update(void *context, struct feed *feed)
{
    struct rehearsal_http *http = context;
    pthread_mutex_lock(&http->lock);
    if (http->rows.count > 0)
        qsort(http->rows.items, http->rows.count, sizeof(*http->rows.items), by_id);
    for (int table = 0; table < FEED_TABLES; table++) {
        feed_begin(feed, table);
        for (size_t i = 0; i < http->rows.count; i++) {
            const struct row *row = &http->rows.items[i];
            if ((int)row->table == table)
                feed_row(feed, table, row->id, row->fixed, row->live);
        }
        feed_end(feed, table);
    }
    if (http->server != NULL)
        feed_server(feed, http->server);
    pthread_mutex_unlock(&http->lock);
    return EVERY_MS;
}

/* /api/jobs/ID/log */
static void write_log(void *context, const struct web_request *request, struct web_answer *answer)
{
    struct rehearsal_http *http = context;
    char *end = NULL;
    if (request->below_count == 2 && text_equal(request->below[1], "log")) {
        uint64_t id = strtoull(request->below[0], &end, 10);
        if (*end == '\0' && worker_logs_read(http->logs, id, &answer->body))
            return;
    }
    answer->code = 404;
    text_add(&answer->body, "there is no such worker\n");
}

bool rehearsal_http_begin(const char *listen, struct worker_logs *logs,
                          struct rehearsal_http **ret_http, struct error *error)
{
    struct rehearsal_http *http = memory_new(sizeof(*http));
    pthread_mutex_init(&http->lock, NULL);
    http->logs = logs;
    http->began_ms = clock_now_ms();
    http->feed = feed_new(&(struct feed_settings){
        .hello = "{\"mode\":\"rehearse\",\"version\":\"" BACKLOG_VERSION "\"}",
        .update = update,
        .context = http});
    http->pages[0] = (struct web_page){"/assets/", assets_file, NULL, NULL};
    http->pages[1] = (struct web_page){"/api/events", NULL, http->feed, &feed_hooks};
    http->pages[2] = (struct web_page){"/api/jobs/", write_log, http, NULL};
    http->pages[3] = (struct web_page){"/", assets_index, NULL, NULL};
    if (!web_start(listen, http->pages, &http->web, error)) {
        rehearsal_http_end(http);
        return false;
    }
    recent_log_start();
    log_info("dashboard on http://%.*s:%d/", (int)(strrchr(listen, ':') - listen), listen,
             web_port(http->web));
    *ret_http = http;
    return true;
}

void rehearsal_http_end(struct rehearsal_http *http)
{
    if (http == NULL)
        return;
    web_stop(http->web);
    feed_free(http->feed);
    rows_done(&http->rows);
    pthread_mutex_destroy(&http->lock);
    free(http->server);
    free(http->usages);
    free(http);
}
