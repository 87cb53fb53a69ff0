#include "lab/rehearsal_http.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/system/host_port.h"
#include "client/http_client.h"
#include "lab/rehearsal_snapshot.h"
#include "lab/server_tables.h"
#include "web/content/live_tables.h"
#include "web/content/web_json.h"
#include "web/http/page.h"
#include "web/http/web_instance.h"
#include "web/pages/assets.h"
#include "web/web.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVERY_MS = 1000,
    MAX_PAGES = 16,  /* the last is empty */
    RELAY_MS = 5000, /* for the server to answer what is passed on; pages wait meanwhile */
};

struct rehearsal_http {
    struct worker_logs *logs;
    struct server_tables *server_tables; /* NULL: no --server-http */
    struct http_client *relay; /* to the server, of the HTTP server's thread; NULL as well */
    struct live_tables *tables;
    char *hello;             /* of the tables */
    struct web_login *login; /* NULL: every page is open */
    struct web_page pages[MAX_PAGES];
    struct web *web;

    struct rehearsal_recorder *recorder; /* of the rehearsal's thread */
    int64_t updated_ms;

    pthread_mutex_t lock;                /* of what the rehearsal left for the pages: */
    struct rehearsal_snapshot *snapshot; /* NULL: nothing yet */
};

/* ---- what the rehearsal leaves ---- */

void rehearsal_http_update(struct rehearsal_http *http, const struct rehearsal *rehearsal,
                           int64_t now_ms)
{
    if (http == NULL || now_ms - http->updated_ms < EVERY_MS)
        return;
    http->updated_ms = now_ms;
    struct rehearsal_snapshot *snapshot = rehearsal_record(http->recorder, rehearsal, now_ms);
    pthread_mutex_lock(&http->lock);
    struct rehearsal_snapshot *before = http->snapshot;
    http->snapshot = snapshot;
    pthread_mutex_unlock(&http->lock);
    rehearsal_snapshot_free(before);
}

/* ---- the tables of the pages, from that and from the server's ---- */

static void give_own_rows(const struct rehearsal_http *http, enum live_table table)
{
    const struct rehearsal_snapshot *snapshot = http->snapshot;
    for (size_t i = 0; snapshot != NULL && i < snapshot->count; i++) {
        const struct rehearsal_row *row = &snapshot->rows[i];
        if (row->table == table)
            live_tables_row(http->tables, table, row->id, row->fixed, row->live);
    }
}

struct relay_context {
    struct rehearsal_http *http;
    enum live_table table;
};

/* The replicas that the ScaledObject has here. */
static void set_replicas(const struct rehearsal_snapshot *snapshot, const char *label, json_t *live)
{
    for (size_t i = 0; snapshot != NULL && i < snapshot->objects_count; i++) {
        const struct rehearsal_replicas *object = &snapshot->objects[i];
        if (!text_equal(object->label, label))
            continue;
        web_json_set(live, "current", json_integer((json_int_t)object->replicas));
        web_json_set(live, "ready", json_integer((json_int_t)object->ready));
    }
}

/* A row of the server's. */
static void give_server_row(void *context, uint64_t id, const json_t *fixed, const json_t *live)
{
    const struct relay_context *relay = context;
    const struct rehearsal_http *http = relay->http;
    const char *namespace = json_string_value(json_object_get(fixed, "namespace"));
    const char *name = json_string_value(json_object_get(fixed, "name"));
    _cleanup_(memory_free) char *label =
        text_format("%s/%s", namespace == NULL ? "" : namespace, name == NULL ? "" : name);
    json_t *shown = json_copy((json_t *)live);
    if (relay->table == LIVE_TRIGGERS)
        set_replicas(http->snapshot, label, shown);
    _cleanup_(memory_free) char *fixed_text =
        web_json_compact(json_incref((json_t *)fixed), WEB_JSON_STREAM_DIGITS);
    _cleanup_(memory_free) char *live_text = web_json_compact(shown, WEB_JSON_STREAM_DIGITS);
    live_tables_row(http->tables, relay->table, id, fixed_text, live_text);
}

static void give_server_rows(struct rehearsal_http *http, enum live_table table)
{
    struct relay_context relay = {http, table};
    server_tables_visit(http->server_tables, table, give_server_row, &relay);
}

/* The server's where it is known, with the rehearsal's own beside them. */
static void give_figures(const struct rehearsal_http *http, json_t *server)
{
    if (http->snapshot == NULL)
        return;
    json_t *all = json_copy(http->snapshot->figures);
    if (server != NULL)
        json_object_update(all, server);
    json_object_del(all, "sent"); /* to us: ours are sent later, and at another rate */
    json_object_del(all, "maxAgeMs");
    _cleanup_(memory_free) char *text = web_json_compact(all, WEB_JSON_STREAM_DIGITS);
    live_tables_server(http->tables, text);
}

static int64_t update(void *context, struct live_tables *tables)
{
    struct rehearsal_http *http = context;
    _cleanup_(json_done) json_t *server =
        http->server_tables == NULL ? NULL : server_tables_figures(http->server_tables);
    pthread_mutex_lock(&http->lock);
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
    live_tables_begin(tables, LIVE_WORKERS);
    give_own_rows(http, LIVE_WORKERS);
    live_tables_end(tables, LIVE_WORKERS);
    give_figures(http, server);
    pthread_mutex_unlock(&http->lock);
    return EVERY_MS;
}

/* ---- the pages ---- */

/* The server's own response, of the process whose rows are shown: pages take it for that. A refusal
 * of a proxy has no instance, and words of its own. */
static void relay_page(void *context, const struct page_request *request,
                       struct page_response *response)
{
    static const char *const types[] = {"application/json", "text/csv; charset=utf-8",
                                        "text/plain; version=0.0.4; charset=utf-8"};
    struct rehearsal_http *http = context;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *type = NULL;
    long status = 0;
    if (!http_client_fetch(http->relay, request->target, &status, &type, &response->body, &error)) {
        web_json_refuse(response, 502, error_text(&error));
        return;
    }
    const char *instance = http_client_header(http->relay, WEB_INSTANCE_HEADER);
    bool is_ok = status == 200;
    if ((is_ok || instance != NULL) && !server_tables_are_of(http->server_tables, instance)) {
        text_clear(&response->body);
        web_json_refuse(response, 503,
                        "--server-http: another process of the server responded than the one that "
                        "is shown: try again. If this stays: give the address of one pod");
        return;
    }
    response->code = (int)status;
    for (size_t i = 0; type != NULL && i < ARRAY_LENGTH(types); i++)
        if (text_equal(type, types[i]))
            response->type = types[i];
}

/* /api/workers/ID/log */
static void write_log(void *context, const struct page_request *request,
                      struct page_response *response)
{
    struct rehearsal_http *http = context;
    char *end = NULL;
    if (request->below_count == 2 && text_equal(request->below[1], "log")) {
        uint64_t id = strtoull(request->below[0], &end, 10);
        if (*end == '\0' && worker_logs_read(http->logs, id, &response->body))
            return;
    }
    page_response_refuse(response, 404, "there is no such worker");
}

/* As kubectl would say it; a worker that has ended is no pod any more. */
static const char *pod_state(const char *state)
{
    static const struct {
        const char *state, *pod;
    } states[] = {{"starting", "Pending"},
                  {"running", "Running"},
                  {"stopping", "Terminating"},
                  {"restarting", "Pending"}};
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
        if (text_equal(states[i].state, state))
            return states[i].pod;
    return NULL;
}

static json_t *worker_of(const struct rehearsal_row *row, const char *label, const char *name)
{
    _cleanup_(json_done) json_t *fixed = json_loads(row->fixed, 0, NULL);
    _cleanup_(json_done) json_t *live = json_loads(row->live, 0, NULL);
    const char *pod = pod_state(json_string_value(json_object_get(live, "state")));
    if (pod == NULL || !text_equal(json_string_value(json_object_get(fixed, "object")), label))
        return NULL;
    _cleanup_(memory_free) char *id = text_format("%llu", (unsigned long long)row->id);
    _cleanup_(memory_free) char *pod_name = text_format(
        "%s-%lld", name, (long long)json_integer_value(json_object_get(fixed, "number")));
    json_t *worker = json_object();
    web_json_set(worker, "id", web_json_text(id));
    web_json_set(worker, "pod", web_json_text(pod_name));
    web_json_set(worker, "state", web_json_text(pod));
    web_json_set(worker, "ready", json_boolean(text_equal(pod, "Running")));
    web_json_set(worker, "created", json_incref(json_object_get(live, "started")));
    web_json_set(worker, "cpu", json_incref(json_object_get(live, "cpu")));
    web_json_set(worker, "memory", json_incref(json_object_get(live, "memory")));
    web_json_set(worker, "done", json_incref(json_object_get(live, "done")));
    return worker;
}

static json_t *object_of(const struct rehearsal_snapshot *snapshot, const char *label)
{
    const char *slash = strchr(label, '/');
    const char *name = slash == NULL ? label : slash + 1;
    json_t *object = json_object();
    json_t *workers = json_array();
    web_json_set(object, "namespace",
                 json_stringn(label, slash == NULL ? 0 : (size_t)(slash - label)));
    web_json_set(object, "name", web_json_text(name));
    web_json_set(object, "secondsAgo", json_integer(0));
    web_json_set(object, "hasMore", json_false());
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct rehearsal_row *row = &snapshot->rows[i];
        json_t *worker = row->table == LIVE_WORKERS ? worker_of(row, label, name) : NULL;
        if (worker != NULL)
            json_array_append_new(workers, worker);
    }
    web_json_set(object, "workers", workers);
    return object;
}

/* The processes, as a server with --workers lists pods: for `backlog watch --workers`. */
static void list_workers(void *context, const struct page_request *request,
                         struct page_response *response)
{
    struct rehearsal_http *http = context;
    _cleanup_(json_done) json_t *page = json_object();
    json_t *list = json_array();
    (void)request;
    pthread_mutex_lock(&http->lock);
    const struct rehearsal_snapshot *snapshot = http->snapshot;
    for (size_t i = 0; snapshot != NULL && i < snapshot->objects_count; i++)
        json_array_append_new(list, object_of(snapshot, snapshot->objects[i].label));
    pthread_mutex_unlock(&http->lock);
    web_json_set(page, "objects", list);
    web_json_set(page, "hasMore", json_false());
    web_json_respond(response, page);
}

static void add_pages(struct rehearsal_http *http)
{
    static const char *const relayed[] = {"/api/triggers",    "/api/triggers/", "/api/history/",
                                          "/api/connections", "/api/server",    "/api/trend",
                                          "/api/log"};
    enum { OWN = 5, METRICS_AND_INDEX = 2 };
    _Static_assert(OWN + ARRAY_LENGTH(relayed) + METRICS_AND_INDEX < MAX_PAGES,
                   "the last is empty");
    size_t count = 0;
    http->pages[count++] = (struct web_page){"/assets/", assets_file, NULL, NULL, true};
    http->pages[count++] = (struct web_page){"/login", assets_login, NULL, NULL, true};
    http->pages[count++] =
        (struct web_page){"/api/events", NULL, http->tables, &live_tables_stream};
    http->pages[count++] = (struct web_page){"/api/workers/", write_log, http, NULL};
    http->pages[count++] = (struct web_page){"/api/workers", list_workers, http, NULL};
    for (size_t i = 0; http->relay != NULL && i < ARRAY_LENGTH(relayed); i++)
        http->pages[count++] = (struct web_page){relayed[i], relay_page, http, NULL};
    if (http->relay != NULL)
        http->pages[count++] = (struct web_page){"/metrics", relay_page, http, NULL, true};
    http->pages[count] = (struct web_page){"/", assets_index, NULL, NULL};
}

/* ---- begin and end ---- */

static char *make_hello(bool has_server)
{
    char instance[WEB_INSTANCE_BYTES];
    json_t *hello = json_object();
    web_json_set(hello, "mode", json_string("rehearse"));
    web_json_set(hello, "hasServer", json_boolean(has_server));
    web_json_set(hello, "version", json_string(BACKLOG_VERSION));
    web_json_set(hello, "assets", json_string(assets_version));
    web_json_set(hello, "instance", json_string(web_instance(instance)));
    return web_json_compact(hello, WEB_JSON_DIGITS);
}

bool rehearsal_http_begin(const char *listen, const struct http_server *server,
                          struct worker_logs *logs, struct rehearsal_http **ret_http,
                          struct error *error)
{
    bool has_server = server->address != NULL;
    struct web_login *login = NULL;
    if (!web_login_new(server->token_file, &login, error))
        return false;
    struct rehearsal_http *http = memory_new(sizeof(*http));
    http->login = login;
    pthread_mutex_init(&http->lock, NULL);
    http->logs = logs;
    http->recorder = rehearsal_recorder_new(logs);
    http->hello = make_hello(has_server);
    http->tables = live_tables_new(
        &(struct live_tables_settings){.hello = http->hello, .update = update, .context = http});
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
    log_info("dashboard on http://%.*s:%d/", (int)host_port_host_length(listen), listen,
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
    web_login_free(http->login);
    http_client_free(http->relay);
    server_tables_end(http->server_tables);
    live_tables_free(http->tables);
    free(http->hello);
    rehearsal_recorder_free(http->recorder);
    rehearsal_snapshot_free(http->snapshot);
    pthread_mutex_destroy(&http->lock);
    free(http);
}
