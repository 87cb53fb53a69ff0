#include "daemon/worker_pages.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/kubernetes_name.h"
#include "kubernetes/workers/worker_monitor.h"
#include "web/content/web_json.h"
#include "web/http/page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

struct scaled_object_ref {
    char *namespace, *name;
};

/* What a search found, in the order of compare(). */
struct found_objects {
    struct scaled_object_ref items[WORKER_OBJECTS_MAX];
    size_t count;
    bool has_more;
};

struct worker_pages {
    const struct option_list *namespaces;
    struct trigger_walk *walk;
    bool reads_hpas;
    struct worker_monitor *monitor;
    /* All objects, for worker_pages_count(). Only the HTTP server's thread uses what follows. */
    struct found_objects counted;
    bool has_counted;     /* a search has finished */
    int64_t search_at_ms; /* when the next one is due */
};

bool worker_pages_new(const struct option_list *namespaces, bool reads_hpas,
                      struct worker_pages **ret_workers, struct error *error)
{
    struct kubernetes_api api;
    if (namespaces->count == 0 && !reads_hpas)
        return true;
    if (!kubernetes_api_find(reads_hpas ? "--kubernetes-hpa" : "--workers", &api, error))
        return false;
    struct worker_pages *workers = memory_new(sizeof(*workers));
    workers->namespaces = namespaces;
    workers->reads_hpas = reads_hpas;
    workers->monitor = worker_monitor_start(&api);
    *ret_workers = workers;
    return true;
}

bool worker_pages_have_pods(const struct worker_pages *workers)
{
    return workers != NULL && workers->namespaces->count > 0;
}

bool worker_pages_have_hpas(const struct worker_pages *workers)
{
    return workers != NULL && workers->reads_hpas;
}

void worker_pages_set_walk(struct worker_pages *workers, struct trigger_walk *walk)
{
    if (workers != NULL)
        workers->walk = walk;
}

static void found_objects_done(struct found_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) {
        free(objects->items[i].namespace);
        free(objects->items[i].name);
    }
    objects->count = 0;
}

bool worker_pages_free(struct worker_pages *workers)
{
    if (workers == NULL)
        return true;
    bool has_stopped = worker_monitor_stop(workers->monitor);
    found_objects_done(&workers->counted);
    free(workers);
    return has_stopped;
}

/* ---- objects ---- */

/* Of those that a page wants, under the turn lock. */
struct worker_pages_search {
    const struct worker_pages *workers;
    const char *namespace, *name; /* NULL: any */
    bool is_of_hpas;              /* which are read in all namespaces */
    struct found_objects objects;
};

static void search_done(struct worker_pages_search *search)
{
    found_objects_done(&search->objects);
}

static bool is_listed(const struct worker_pages *workers, const char *namespace)
{
    for (size_t i = 0; i < workers->namespaces->count; i++)
        if (text_equal(workers->namespaces->items[i], namespace))
            return true;
    return false;
}

static int compare(const struct scaled_object_ref *one, const struct scaled_object_ref *other)
{
    int order = strcmp(one->namespace, other->namespace);
    return order != 0 ? order : strcmp(one->name, other->name);
}

/* Where the object is, or would be in their order. */
static size_t find_place(const struct found_objects *objects,
                         const struct scaled_object_ref *object)
{
    size_t low = 0, high = objects->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(&objects->items[middle], object) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Names come with calls: what is no name of an object, or no namespace, is none in a path of the
 * Kubernetes API. */
static void add_found(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct worker_pages_search *search = context;
    struct found_objects *found = &search->objects;
    (void)now_ms;
    if (found->has_more || !trigger_walk_is_of(trigger, search->namespace, search->name) ||
        !(search->is_of_hpas || is_listed(search->workers, trigger->namespace)) ||
        !kubernetes_name_is_namespace(trigger->namespace) ||
        !kubernetes_name_is_valid(trigger->name))
        return;
    const struct scaled_object_ref object = {trigger->namespace, trigger->name};
    size_t place = find_place(found, &object);
    struct scaled_object_ref *at = &found->items[place];
    if (place < found->count && compare(at, &object) == 0)
        return;
    found->has_more = found->count == WORKER_OBJECTS_MAX;
    if (found->has_more)
        return;
    memmove(at + 1, at, (found->count++ - place) * sizeof(*at));
    *at = (struct scaled_object_ref){text_copy(object.namespace), text_copy(object.name)};
}

/* False: the walk did not finish. One object is found without a walk over all triggers. */
static bool find_objects(struct worker_pages_search *search)
{
    struct trigger_walk *walk = search->workers->walk;
    if (search->namespace != NULL && search->name != NULL)
        return trigger_walk_object(walk, search->namespace, search->name, add_found, search);
    return trigger_walk_all(walk, add_found, search);
}

/* Visits what is known of each object. False: not of all there are. */
static bool view_objects(const struct worker_pages *workers, const struct found_objects *objects,
                         void (*visit)(void *context, const struct worker_view *view),
                         void *context)
{
    bool is_all = !objects->has_more;
    for (size_t i = 0; i < objects->count; i++)
        if (!worker_monitor_view(workers->monitor, WORKER_VIEW_PODS, objects->items[i].namespace,
                                 objects->items[i].name, visit, context))
            is_all = false;
    return is_all;
}

/* ---- JSON ---- */

static json_t *worker_json(const struct worker *worker)
{
    json_t *object = json_object();
    web_json_set(object, "id", web_json_text(worker->uid));
    web_json_set(object, "pod", web_json_text(worker->name));
    web_json_set(object, "job", web_json_text(worker->job));
    web_json_set(object, "state", web_json_text(worker->state));
    web_json_set(object, "reason", web_json_text(worker->reason));
    web_json_set(object, "ready", json_boolean(worker->is_ready));
    web_json_set(object, "restarts", json_integer((json_int_t)worker->restarts));
    web_json_set(object, "created", web_json_number(worker->created_s));
    web_json_set(object, "cpu", web_json_number(worker->cpu_cores));
    web_json_set(object, "memory", web_json_number(worker->memory_bytes));
    web_json_set(object, "done", web_json_number(worker->done));
    return object;
}

static json_t *error_json(const struct error *error)
{
    return web_json_text(error_is_set(error) ? error_text(error) : NULL);
}

/* `context` is the JSON of all objects. */
static void add_object(void *context, const struct worker_view *view)
{
    json_t *object = json_object();
    json_t *list = json_array();
    for (size_t i = 0; i < view->list->count; i++)
        json_array_append_new(list, worker_json(&view->list->items[i]));
    web_json_set(object, "namespace", web_json_text(view->namespace));
    web_json_set(object, "name", web_json_text(view->name));
    web_json_set(object, "target", web_json_text(view->list->target));
    web_json_set(object, "secondsAgo",
                 view->read_ms == 0 ? json_null()
                                    : web_json_seconds(clock_now_ms() - view->read_ms));
    web_json_set(object, "error", error_json(view->error));
    web_json_set(object, "usageError", error_json(&view->list->usage_error));
    web_json_set(object, "hasMore", json_boolean(view->list->has_more));
    web_json_set(object, "workers", list);
    json_array_append_new(context, object);
}

/* ---- how many there are ---- */

/* An object whose pods could not be read last counts with those of before: `oldest_ms` says how old
 * they are. */
struct worker_count {
    size_t objects, unread; /* of these: not yet, or it failed last */
    size_t counted;         /* objects in the sums: they were read once */
    size_t running, pods;
    bool are_bounds;   /* not all objects are known, or not all pods of one */
    int64_t oldest_ms; /* the age of what is summed up */
};

static void add_to_count(void *context, const struct worker_view *view)
{
    struct worker_count *count = context;
    count->objects++;
    count->unread += view->read_ms == 0 || error_is_set(view->error);
    if (view->read_ms == 0)
        return;
    count->counted++;
    for (size_t i = 0; i < view->list->count; i++)
        count->running += text_equal(view->list->items[i].state, "Running");
    count->pods += view->list->count;
    count->are_bounds |= view->list->has_more;
    count->oldest_ms = MAX(count->oldest_ms, clock_now_ms() - view->read_ms);
}

static json_t *count_json(const struct worker_count *count)
{
    bool is_known = count->counted > 0;
    json_t *json = json_object();
    web_json_set(json, "running", is_known ? json_integer((json_int_t)count->running) : NULL);
    web_json_set(json, "pods", is_known ? json_integer((json_int_t)count->pods) : NULL);
    web_json_set(json, "objects", json_integer((json_int_t)count->objects));
    web_json_set(json, "unread", json_integer((json_int_t)count->unread));
    web_json_set(json, "areBounds", json_boolean(count->are_bounds));
    web_json_set(json, "oldestSecondsAgo", is_known ? web_json_seconds(count->oldest_ms) : NULL);
    return json;
}

/* Finds the objects that count, if the last search is no longer recent, whether that one finished
 * or not: if not, it has waited for seconds. Each call searches until the first search has finished
 * and, so that the first object counts at once, after a search that found none. False: no search
 * has finished yet. */
static bool update_counted(struct worker_pages *workers)
{
    enum { RECENT_MS = 3000 };
    if (workers->has_counted && clock_now_ms() < workers->search_at_ms)
        return true;
    struct worker_pages_search search = {.workers = workers};
    if (find_objects(&search)) {
        found_objects_done(&workers->counted);
        workers->counted = search.objects;
        workers->has_counted = true;
        workers->search_at_ms = search.objects.count == 0 ? 0 : clock_now_ms() + RECENT_MS;
    } else {
        search_done(&search);
        workers->search_at_ms = clock_now_ms() + RECENT_MS;
    }
    return workers->has_counted;
}

json_t *worker_pages_count(struct worker_pages *workers)
{
    struct worker_count count = {0};
    if (!update_counted(workers))
        return NULL;
    count.are_bounds |= !view_objects(workers, &workers->counted, add_to_count, &count);
    return count_json(&count);
}

/* ---- the pages ---- */

static const char not_listed[] =
    "no workers are listed: --workers (the chart's workers.namespaces) is not set";

void worker_pages_list(void *context, const struct page_request *request,
                       struct page_response *response)
{
    struct worker_pages *workers = context;
    if (!worker_pages_have_pods(workers)) {
        web_json_refuse(response, 404, not_listed);
        return;
    }
    _cleanup_(search_done) struct worker_pages_search search = {
        .workers = workers,
        .namespace = page_request_parameter(request, "namespace"),
        .name = page_request_parameter(request, "name")};
    _cleanup_(json_done) json_t *page = json_object();
    json_t *list = json_array();
    web_json_set(page, "objects", list);
    bool has_run = find_objects(&search);
    bool is_all = view_objects(workers, &search.objects, add_object, list);
    web_json_set(page, "hasMore", json_boolean(!is_all));
    if (has_run)
        web_json_respond(response, page);
    else
        trigger_walk_refuse_busy(response);
}

static void add_replicas(void *context, const struct worker_view *view)
{
    json_t *object = context;
    bool is_read = view->read_ms != 0;
    _cleanup_(memory_free) char *hpa = view->hpa == NULL ? NULL : text_format("HPA %s", view->hpa);
    web_json_set(object, "hpa", web_json_text(hpa));
    web_json_set(object, "replicas",
                 is_read ? json_integer((json_int_t)view->replicas) : json_null());
    web_json_set(object, "secondsAgo",
                 is_read ? web_json_seconds(clock_now_ms() - view->read_ms) : json_null());
    web_json_set(object, "error", error_json(view->error));
}

void worker_pages_replicas(void *context, const struct page_request *request,
                           struct page_response *response)
{
    struct worker_pages *workers = context;
    if (!worker_pages_have_hpas(workers)) {
        web_json_refuse(response, 404,
                        "no HPAs are read: --kubernetes-hpa (the chart's kubernetes.readHpas) is "
                        "not set");
        return;
    }
    if (request->below_count != 2) {
        web_json_refuse_path(response, "/api/replicas/NAMESPACE/NAME");
        return;
    }
    _cleanup_(search_done) struct worker_pages_search search = {.workers = workers,
                                                                .namespace = request->below[0],
                                                                .name = request->below[1],
                                                                .is_of_hpas = true};
    _cleanup_(json_done) json_t *object = json_object();
    bool has_run = find_objects(&search);
    if (!has_run)
        trigger_walk_refuse_busy(response);
    else if (search.objects.count == 0)
        trigger_walk_refuse_unknown_object(response);
    else if (!worker_monitor_view(workers->monitor, WORKER_VIEW_REPLICAS, request->below[0],
                                  request->below[1], add_replicas, object))
        web_json_refuse(response, 429, "too many other HPAs are looked at: try again in a minute");
    else
        web_json_respond(response, object);
}

static int code_of(const struct error *error)
{
    if (error->code == ERROR_INVALID)
        return 404;
    return error->code == ERROR_LIMIT ? 429 : 502;
}

/* For people: plain text, also where there is no log. */
void worker_pages_log(void *context, const struct page_request *request,
                      struct page_response *response)
{
    struct worker_pages *workers = context;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text log = {0};
    bool is_known = false;
    if (!worker_pages_have_pods(workers))
        page_response_refuse(response, 404, not_listed);
    else if (request->below_count != 3 || !text_equal(request->below[2], "log"))
        page_response_refuse(response, 404,
                             "not found: the path is /api/workers/NAMESPACE/POD/log");
    else if (!worker_monitor_log(workers->monitor, request->below[0], request->below[1], &is_known,
                                 &log, &error))
        page_response_refuse(response, is_known ? code_of(&error) : 202,
                             is_known ? error_text(&error) : "the log is being read: ask again");
    else if (log.length > 0)
        text_add_bytes(&response->body, log.bytes, log.length);
}
