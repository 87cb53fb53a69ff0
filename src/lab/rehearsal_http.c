#include "lab/rehearsal_http.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/system/process.h"
#include "client/http_client.h"
#include "lab/server_tables.h"
#include "web/assets.h"
#include "web/http/http.h"
#include "web/json.h"
#include "web/live_tables.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EVERY_MS = 1000,
    MAX_PAGES = 16,         /* the last is empty */
    RELAY_MS = 5000,        /* for the server to answer what is passed on; pages wait meanwhile */
    ENDED_SHOWN = 20,       /* workers that have ended, the last ones */
    FIRST_OWN_ID = 1 << 30, /* of triggers, where the server's are unknown: theirs begin with 1 */
};

/* A row of a table, as JSON. */
struct row {
    enum live_table table;
    uint64_t id;
    char *fixed, *live;
};

struct rows {
    struct row *items;
    size_t count, capacity;
};

/* A worker, of which there is a row also when it has ended. */
struct job {
    uint64_t update; /* the last in which it was there; 0: this id is none */
    int64_t number;
    const char *object; /* borrowed of the rehearsal */
    pid_t pid;          /* and what it had used then */
    int64_t at_ms;
    double cpu_seconds;
};

/* What a ScaledObject has now: "namespace/name". */
struct object_replicas {
    char *label;
    int64_t replicas, ready;
};

struct rehearsal_http {
    struct worker_logs *logs;
    struct server_tables *server_tables; /* NULL: no --server-http */
    struct http_client *relay; /* to the server, of the HTTP server's thread; NULL as well */
    struct live_tables *tables;
    struct login *login; /* NULL: every page is open */
    struct web_page pages[MAX_PAGES];
    struct web *web;
    int64_t updated_ms;
    int64_t began_ms;
    struct job *jobs; /* by id, of the rehearsal's thread */
    size_t jobs_capacity, jobs_count;
    uint64_t updates;

    pthread_mutex_t lock; /* of what the rehearsal left for the pages */
    struct rows rows;
    struct object_replicas *objects;
    size_t objects_count;
    json_t *figures;
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
static void add_row(struct rows *rows, enum live_table table, uint64_t id, json_t *fixed,
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
    const struct model_answer *answer = &one->answers[index];
    const struct scaler_client_answer *received = &one->triggers[index].answer;
    const char *scaler = scaled_object_metadata(source, "scaler");
    json_t *fixed = json_object();
    json_t *live = json_object();
    json_set(fixed, "namespace", json_text(one->object->namespace));
    json_set(fixed, "name", json_text(one->object->name));
    json_set(fixed, "scaler", json_text(scaler == NULL ? source->type : scaler));
    json_set(live, "metric", json_text(received->metric_name));
    json_set(live, "target", json_number(answer->has_target ? answer->target : (double)NAN));
    json_set(live, "state",
             json_text(answer->is_failed    ? "refused"
                       : answer->has_target ? "answered"
                                            : "waiting"));
    if (answer->is_failed)
        json_set(live, "error", json_text(error_text(&received->error)));
    else if (answer->has_target) {
        json_set(live, "value", json_number(answer->value));
        json_set(live, "replicas", json_number(ceil(answer->value / answer->target)));
        json_set(live, "active", json_boolean(answer->is_active));
        json_set(live, "time", json_number(clock_unix_s(now_ms)));
    }
    json_set(live, "inFlight", json_number(one->triggers[index].in_flight));
    json_set(live, "current", json_integer((json_int_t)one->model.replicas));
    add_row(rows, LIVE_TRIGGERS, id, fixed, live);
}

static struct job *job_of(struct rehearsal_http *http, uint64_t id)
{
    http->jobs = memory_grow(http->jobs, &http->jobs_capacity, id + 1, sizeof(*http->jobs));
    while (http->jobs_count <= id)
        http->jobs[http->jobs_count++] = (struct job){0};
    return &http->jobs[id];
}

/* Of the core that a worker used since the update before; NAN: not known yet. */
static double cpu_of(struct job *job, const struct replica_info *info,
                     const struct process_stat *stat, int64_t now_ms)
{
    double cores = NAN;
    if (job->pid == info->pid && now_ms > job->at_ms)
        cores = (stat->cpu_seconds - job->cpu_seconds) * 1000 / (double)(now_ms - job->at_ms);
    job->pid = info->pid;
    job->at_ms = now_ms;
    job->cpu_seconds = stat->cpu_seconds;
    return cores;
}

static void add_job_row(struct rehearsal_http *http, struct rows *rows, uint64_t id,
                        const char *state, json_t *live)
{
    json_t *fixed = json_object();
    json_set(fixed, "object", json_text(http->jobs[id].object));
    json_set(fixed, "number", json_integer((json_int_t)http->jobs[id].number));
    json_set(live, "state", json_text(state));
    json_set(live, "done", json_number(worker_logs_done(http->logs, id)));
    add_row(rows, LIVE_JOBS, id, fixed, live);
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
    struct job_context *all = context;
    struct job *job = job_of(all->http, info->id);
    struct process_stat stat;
    json_t *live = json_object();
    bool is_alive = info->pid != 0 && process_stat(info->pid, &stat);
    job->update = all->http->updates;
    job->object = all->object;
    job->number = info->number;
    if (is_alive) {
        json_set(live, "pid", json_integer(info->pid));
        json_set(live, "started", json_number(clock_unix_s(info->started_ms)));
        json_set(live, "cpu", json_number(cpu_of(job, info, &stat, all->now_ms)));
        json_set(live, "memory", json_number(stat.resident_bytes));
    }
    all->running += is_alive;
    add_job_row(all->http, all->rows, info->id, info->state, live);
}

static void add_ended_jobs(struct rehearsal_http *http, struct rows *rows)
{
    size_t shown = 0;
    for (size_t id = http->jobs_count; id-- > 0 && shown < ENDED_SHOWN;)
        if (http->jobs[id].update != 0 && http->jobs[id].update != http->updates) {
            add_job_row(http, rows, id, "ended", json_object());
            shown++;
        }
}

/* What all workers say that they have done; NAN: none says anything. */
static double jobs_done(const struct rehearsal_http *http)
{
    double sum = NAN;
    for (size_t id = 0; id < http->jobs_count; id++) {
        double done = worker_logs_done(http->logs, id);
        if (!isnan(done))
            sum = isnan(sum) ? done : sum + done;
    }
    return sum;
}

/* Of the rehearsal; the server's are put beside them. */
static json_t *figures_of(const struct rehearsal_http *http, const struct rehearsal *rehearsal,
                          size_t running)
{
    double replicas = 0;
    json_t *figures = json_object();
    for (size_t i = 0; i < rehearsal->count; i++)
        replicas += (double)rehearsal->items[i].model.replicas;
    json_set(figures, "jobs", json_integer((json_int_t)running));
    json_set(figures, "jobsDone", json_number(jobs_done(http)));
    json_set(figures, "current", json_number(replicas));
    return figures;
}

/* In place of the server's, which are not known: what KEDA gets. Values have different units, so
 * there is no sum. */
static void add_own_figures(const struct rehearsal_http *http, const struct rehearsal *rehearsal,
                            int64_t now_ms, json_t *figures)
{
    double active = 0, triggers = 0, failing = 0, unmeasured = 0;
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++) {
            const struct model_answer *answer = &rehearsal->items[i].answers[t];
            triggers++;
            failing += answer->is_failed;
            unmeasured += !answer->is_failed && !answer->has_target;
            active += !answer->is_failed && answer->is_active;
        }
    json_set(figures, "time", json_number(clock_unix_s(now_ms)));
    json_set(figures, "uptime", json_seconds(now_ms - http->began_ms));
    json_set(figures, "triggers", json_number(triggers));
    json_set(figures, "failing", json_number(failing));
    json_set(figures, "unmeasured", json_number(unmeasured));
    json_set(figures, "active", json_number(active));
}

static void free_objects(struct object_replicas *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(objects[i].label);
    free(objects);
}

static struct object_replicas *replicas_of(const struct rehearsal *rehearsal, int64_t now_ms)
{
    struct object_replicas *objects = memory_array(rehearsal->count, sizeof(*objects));
    for (size_t i = 0; i < rehearsal->count; i++)
        objects[i] = (struct object_replicas){
            .label = text_copy(rehearsal->items[i].label),
            .replicas = rehearsal->items[i].model.replicas,
            .ready = rehearsal_ready(&rehearsal->items[i], now_ms),
        };
    return objects;
}

void rehearsal_http_update(struct rehearsal_http *http, const struct rehearsal *rehearsal,
                           int64_t now_ms)
{
    if (http == NULL || now_ms - http->updated_ms < EVERY_MS)
        return;
    struct rows rows = {0};
    struct job_context job = {.http = http, .rows = &rows, .now_ms = now_ms};
    uint64_t id = FIRST_OWN_ID;
    http->updated_ms = now_ms;
    http->updates++;
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++)
            add_trigger(&rows, &rehearsal->items[i], t, ++id, now_ms);
    for (size_t i = 0; i < rehearsal->count; i++) {
        job.object = rehearsal->items[i].label;
        if (rehearsal->items[i].replicas != NULL)
            replicas_visit(rehearsal->items[i].replicas, now_ms, add_job, &job);
    }
    add_ended_jobs(http, &rows);
    json_t *figures = figures_of(http, rehearsal, job.running);
    add_own_figures(http, rehearsal, now_ms, figures);
    struct object_replicas *objects = replicas_of(rehearsal, now_ms);

    pthread_mutex_lock(&http->lock);
    struct rows rows_before = http->rows;
    struct object_replicas *objects_before = http->objects;
    size_t objects_count_before = http->objects_count;
    json_t *figures_before = http->figures;
    http->rows = rows;
    http->objects = objects;
    http->objects_count = rehearsal->count;
    http->figures = figures;
    pthread_mutex_unlock(&http->lock);
    rows_done(&rows_before);
    free_objects(objects_before, objects_count_before);
    json_decref(figures_before);
}

/* ---- the pages ---- */

static int by_id(const void *left, const void *right)
{
    const struct row *one = left;
    const struct row *other = right;
    return one->id < other->id ? -1 : one->id > other->id;
}

static void give_own_rows(const struct rehearsal_http *http, enum live_table table)
{
    for (size_t i = 0; i < http->rows.count; i++) {
        const struct row *row = &http->rows.items[i];
        if (row->table == table)
            live_tables_row(http->tables, table, row->id, row->fixed, row->live);
    }
}

struct relay_context {
    struct rehearsal_http *http;
    enum live_table table;
};

/* A row of the server's, with the replicas that its ScaledObject has here. */
static void give_server_row(void *context, uint64_t id, const json_t *fixed, const json_t *live)
{
    const struct relay_context *relay = context;
    const struct rehearsal_http *http = relay->http;
    const char *namespace = json_string_value(json_object_get(fixed, "namespace"));
    const char *name = json_string_value(json_object_get(fixed, "name"));
    _cleanup_(memory_free) char *label =
        text_format("%s/%s", namespace == NULL ? "" : namespace, name == NULL ? "" : name);
    _cleanup_(json_done) json_t *shown = json_copy((json_t *)live);
    for (size_t i = 0; relay->table == LIVE_TRIGGERS && i < http->objects_count; i++)
        if (text_equal(http->objects[i].label, label)) {
            json_set(shown, "current", json_integer((json_int_t)http->objects[i].replicas));
            json_set(shown, "ready", json_integer((json_int_t)http->objects[i].ready));
        }
    _cleanup_(memory_free) char *fixed_text = json_dumps(fixed, JSON_COMPACT);
    _cleanup_(memory_free) char *live_text = json_dumps(shown, JSON_COMPACT);
    live_tables_row(http->tables, relay->table, id, fixed_text, live_text);
}

static void give_server_rows(struct rehearsal_http *http, enum live_table table)
{
    struct relay_context relay = {http, table};
    server_tables_visit(http->server_tables, table, give_server_row, &relay);
}

static int64_t update(void *context, struct live_tables *tables)
{
    struct rehearsal_http *http = context;
    _cleanup_(json_done) json_t *server =
        http->server_tables == NULL ? NULL : server_tables_figures(http->server_tables);
    pthread_mutex_lock(&http->lock);
    if (http->rows.count > 0)
        qsort(http->rows.items, http->rows.count, sizeof(*http->rows.items), by_id);
    live_tables_begin(tables, LIVE_TRIGGERS);
    if (server != NULL)
        give_server_rows(http, LIVE_TRIGGERS);
    else
        give_own_rows(http, LIVE_TRIGGERS);
    live_tables_end(tables, LIVE_TRIGGERS);
    live_tables_begin(tables, LIVE_CONNECTIONS);
    if (server != NULL)
        give_server_rows(http, LIVE_CONNECTIONS);
    live_tables_end(tables, LIVE_CONNECTIONS);
    live_tables_begin(tables, LIVE_JOBS);
    give_own_rows(http, LIVE_JOBS);
    live_tables_end(tables, LIVE_JOBS);
    if (http->figures != NULL) {
        _cleanup_(json_done) json_t *all = json_copy(http->figures);
        if (server != NULL)
            json_object_update(all, server);
        _cleanup_(memory_free) char *text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(13));
        live_tables_server(tables, text);
    }
    pthread_mutex_unlock(&http->lock);
    return EVERY_MS;
}

/* What the server answers. */
static void relay_page(void *context, const struct web_request *request, struct web_answer *answer)
{
    static const char *const types[] = {"application/json", "text/csv; charset=utf-8",
                                        "text/plain; version=0.0.4; charset=utf-8"};
    struct rehearsal_http *http = context;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *type = NULL;
    long status = 0;
    if (!http_client_fetch(http->relay, request->target, &status, &type, &answer->body, &error)) {
        web_refuse(answer, 502, error_text(&error));
        return;
    }
    answer->code = (int)status;
    for (size_t i = 0; type != NULL && i < ARRAY_LENGTH(types); i++)
        if (text_equal(type, types[i]))
            answer->type = types[i];
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

static void add_pages(struct rehearsal_http *http)
{
    static const char *const relayed[] = {"/api/triggers",    "/api/triggers/", "/api/history/",
                                          "/api/connections", "/api/server",    "/api/log"};
    size_t count = 0;
    http->pages[count++] = (struct web_page){"/assets/", assets_file, NULL, NULL, true};
    http->pages[count++] = (struct web_page){"/login", assets_login, NULL, NULL, true};
    http->pages[count++] = (struct web_page){"/api/events", NULL, http->tables, &live_tables_hooks};
    http->pages[count++] = (struct web_page){"/api/jobs/", write_log, http, NULL};
    for (size_t i = 0; http->relay != NULL && i < ARRAY_LENGTH(relayed); i++)
        http->pages[count++] = (struct web_page){relayed[i], relay_page, http, NULL};
    if (http->relay != NULL)
        http->pages[count++] = (struct web_page){"/metrics", relay_page, http, NULL, true};
    http->pages[count] = (struct web_page){"/", assets_index, NULL, NULL};
}

bool rehearsal_http_begin(const char *listen, const struct http_server *server,
                          struct worker_logs *logs, struct rehearsal_http **ret_http,
                          struct error *error)
{
    bool has_server = server->address != NULL;
    struct login *login = NULL;
    if (!login_new(server->token_file, &login, error))
        return false;
    struct rehearsal_http *http = memory_new(sizeof(*http));
    http->login = login;
    pthread_mutex_init(&http->lock, NULL);
    http->logs = logs;
    http->began_ms = clock_now_ms();
    http->tables = live_tables_new(&(struct live_tables_settings){
        .hello = has_server
                     ? "{\"mode\":\"rehearse\",\"hasServer\":true,\"version\":\"" BACKLOG_VERSION
                       "\"}"
                     : "{\"mode\":\"rehearse\",\"version\":\"" BACKLOG_VERSION "\"}",
        .update = update,
        .context = http});
    http->relay = has_server ? http_client_new(server, RELAY_MS) : NULL;
    add_pages(http);
    recent_log_start();
    const struct web_settings settings = {
        .listen = listen, .pages = http->pages, .login = http->login};
    if ((has_server && !server_tables_begin(server, &http->server_tables, error)) ||
        !web_start(&settings, &http->web, error)) {
        rehearsal_http_end(http);
        return false;
    }
    log_info("dashboard on http://%.*s:%d/", (int)(strrchr(listen, ':') - listen), listen,
             web_port(http->web));
    *ret_http = http;
    return true;
}

void rehearsal_http_end(struct rehearsal_http *http)
{
    if (http == NULL)
        return;
    if (http->relay != NULL)
        http_client_cancel(http->relay); /* the HTTP server's thread may wait for it */
    web_stop(http->web);
    login_free(http->login);
    http_client_free(http->relay);
    server_tables_end(http->server_tables);
    live_tables_free(http->tables);
    rows_done(&http->rows);
    free_objects(http->objects, http->objects_count);
    pthread_mutex_destroy(&http->lock);
    json_decref(http->figures);
    free(http->jobs);
    free(http);
}
