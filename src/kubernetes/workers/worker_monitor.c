#include "kubernetes/workers/worker_monitor.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kubernetes/api/api_request.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    VIEWED_MS = 10 * 1000,   /* somebody views it, if the last request is not longer ago */
    KEEP_MS = 60 * 1000,     /* what was known is kept for who looks again */
    AGAIN_MS = 3 * 1000,     /* between two readings of an object */
    SELECTOR_MS = 60 * 1000, /* and of its selector */
    MS_PER_REQUEST = 50,     /* 20 per second */
    API_TIMEOUT_MS = 5000,
    POD_TIMEOUT_MS = 1000,
    MAX_LIST_BYTES = 8 << 20, /* 100 pods with long statuses and annotations */
    MAX_METRICS_BYTES = 256 << 10,
    MAX_METRICS = 32,      /* pods of an object whose /metrics are read */
    MAX_SCRAPES = 256,     /* of all, at a time */
    SILENT_MS = 60 * 1000, /* between scrapes of an object none of whose pods responded */
    IDLE_MS = 60 * 1000,
    OK = 200,
    NOT_FOUND = 404,
};

/* One object. Guarded by the lock, but for the selector and what is said of scrapes, which are the
 * thread's. Only the thread changes the list. */
struct worker_object {
    char *namespace, *name;
    int64_t viewed_ms;
    int64_t due_ms; /* when it is read again, while somebody views it */
    int64_t read_ms;
    struct worker_list list;
    struct error error;
    char *selector, *target;
    int64_t selector_ms;
    size_t scrapes; /* under way */
    bool has_response;
    int64_t scrape_from_ms; /* not before */
    struct worker_object *next, *prev;
};

/* A request of a pod's /metrics, under way while other objects are read: pods that drop it would
 * hold all of them up. */
struct pod_scrape {
    struct api_request request;
    struct worker_object *object;
    char *uid;
    struct pod_scrape *next, *prev;
};

struct worker_monitor {
    struct kubernetes_api api;
    pthread_t thread;
    pthread_mutex_t lock; /* never held across I/O */
    CURLM *multi;
    struct worker_object *objects; /* guarded; only the thread removes some, as of the logs */
    size_t object_count;
    struct pod_logs logs;   /* guarded */
    bool is_stopping;       /* guarded */
    int64_t may_request_ms; /* the thread's, as the next ones */
    struct pod_scrape *scrapes;
    size_t scrape_count;
};

static bool is_stopping(struct worker_monitor *monitor)
{
    pthread_mutex_lock(&monitor->lock);
    bool stopping = monitor->is_stopping;
    pthread_mutex_unlock(&monitor->lock);
    return stopping;
}

/* ---- scrapes ---- */

static void set_done(struct worker_monitor *monitor, struct worker_object *object, const char *uid,
                     double done)
{
    pthread_mutex_lock(&monitor->lock);
    for (size_t i = 0; i < object->list.count; i++)
        if (text_equal(object->list.items[i].uid, uid))
            object->list.items[i].done = done;
    pthread_mutex_unlock(&monitor->lock);
}

static void scrape_free(struct worker_monitor *monitor, struct pod_scrape *scrape)
{
    DL_DELETE(monitor->scrapes, scrape);
    monitor->scrape_count--;
    scrape->object->scrapes--;
    api_request_end(&scrape->request, monitor->multi);
    free(scrape->uid);
    free(scrape);
}

/* A pod that does not respond has no number. */
static void end_scrape(struct worker_monitor *monitor, struct pod_scrape *scrape)
{
    struct worker_object *object = scrape->object;
    bool is_ok = scrape->request.status == OK;
    set_done(monitor, object, scrape->uid, is_ok ? worker_done_parse(scrape->request.body) : NAN);
    object->has_response |= is_ok;
    scrape_free(monitor, scrape);
    if (object->scrapes == 0 && !object->has_response)
        object->scrape_from_ms = clock_now_ms() + SILENT_MS;
}

static void begin_scrape(struct worker_monitor *monitor, struct worker_object *object,
                         const struct worker *worker)
{
    struct pod_scrape *scrape = memory_new(sizeof(*scrape));
    CURL *curl = curl_easy_init();
    scrape->object = object;
    scrape->uid = text_copy(worker->uid);
    scrape->request.curl = curl;
    curl_easy_setopt(curl, CURLOPT_URL, worker->metrics_url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)POD_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "backlog/" BACKLOG_VERSION);
    api_request_add(&scrape->request, monitor->multi, MAX_METRICS_BYTES);
    DL_APPEND(monitor->scrapes, scrape);
    monitor->scrape_count++;
    object->scrapes++;
}

static void begin_scrapes(struct worker_monitor *monitor, struct worker_object *object)
{
    size_t count = 0;
    if (object->scrapes > 0 || clock_now_ms() < object->scrape_from_ms)
        return;
    object->has_response = false;
    for (size_t i = 0; i < object->list.count && count < MAX_METRICS; i++) {
        const struct worker *worker = &object->list.items[i];
        if (worker->metrics_url == NULL)
            continue;
        count++;
        if (monitor->scrape_count < MAX_SCRAPES)
            begin_scrape(monitor, object, worker);
        else
            set_done(monitor, object, worker->uid, NAN);
    }
}

/* What a pod has done is known from before, until its scrape has ended. */
static void keep_done(struct worker_list *list, const struct worker_list *before)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < before->count; j++)
            if (text_equal(list->items[i].uid, before->items[j].uid))
                list->items[i].done = before->items[j].done;
}

/* ---- requests ---- */

static void perform(struct worker_monitor *monitor)
{
    struct pod_scrape *scrape, *next_scrape;
    int running;
    curl_multi_perform(monitor->multi, &running);
    while (api_request_take_ended(monitor->multi) != NULL)
        continue;
    DL_FOREACH_SAFE(monitor->scrapes, scrape, next_scrape)
        if (scrape->request.is_over)
            end_scrape(monitor, scrape);
}

/* Until the request is over, by its own deadline at the latest, or the monitor is to end. */
static void finish(struct worker_monitor *monitor, const struct api_request *request)
{
    while (!request->is_over && !is_stopping(monitor)) {
        perform(monitor);
        if (!request->is_over)
            curl_multi_poll(monitor->multi, NULL, 0, API_TIMEOUT_MS, NULL);
    }
}

/* A GET of the Kubernetes API. Returns the status; other than OK with the error. */
static long get(struct worker_monitor *monitor, const char *path, size_t max_bytes,
                struct text *ret_body, struct error *error)
{
    struct api_request request;
    const struct api_request_settings settings = {
        .path = path, .timeout_ms = API_TIMEOUT_MS, .max_bytes = max_bytes};
    if (!api_request_begin(&request, monitor->multi, &monitor->api, &settings, error))
        return 0;
    finish(monitor, &request);
    monitor->may_request_ms += MS_PER_REQUEST + request.retry_after_ms;
    long status = request.status;
    if (status == OK) {
        *ret_body = request.body;
        request.body = (struct text){0};
    } else
        api_request_explain(&request, &monitor->api, error);
    api_request_end(&request, monitor->multi);
    return status;
}

/* ---- an object ---- */

/* A ScaledJob: its pods have its name as a label. That of a ScaledObject is found first, as few
 * have the same name. */
static bool read_selector(struct worker_monitor *monitor, struct worker_object *object,
                          struct error *error)
{
    _cleanup_(text_done) struct text found = {0};
    _cleanup_(text_done) struct text scale = {0};
    _cleanup_(memory_free) char *scale_path = NULL;
    _cleanup_(memory_free) char *target = NULL;
    _cleanup_(memory_free) char *selector = NULL;
    _cleanup_(memory_free) char *path = text_format(
        "/apis/keda.sh/v1alpha1/namespaces/%s/scaledobjects/%s", object->namespace, object->name);
    long status = get(monitor, path, MAX_LIST_BYTES, &found, error);
    if (status == OK) {
        if (!worker_target_parse(found, object->namespace, &scale_path, &target, error) ||
            get(monitor, scale_path, MAX_LIST_BYTES, &scale, error) != OK ||
            !worker_selector_parse(scale, &selector, error))
            return false;
    } else if (status == NOT_FOUND) {
        error_done(error);
        selector = text_format("scaledjob.keda.sh/name=%s", object->name);
        target = text_copy("jobs");
    } else
        return false;
    free(object->selector);
    free(object->target);
    object->selector = TAKE(selector);
    object->target = TAKE(target);
    object->selector_ms = clock_now_ms();
    return true;
}

static bool read_pods(struct worker_monitor *monitor, const char *namespace, const char *selector,
                      const char *more, struct worker_list *ret_list, struct error *error)
{
    _cleanup_(text_done) struct text pods = {0};
    _cleanup_(memory_free) char *path =
        text_format("/api/v1/namespaces/%s/pods?labelSelector=%s&limit=%d%s", namespace, selector,
                    WORKERS_MAX, more);
    return get(monitor, path, MAX_LIST_BYTES, &pods, error) == OK &&
           worker_pods_parse(pods, ret_list, error);
}

/* Of more than are listed those come first that have not ended: a ScaledJob keeps 200 ended ones by
 * default, and the API lists by name. */
static bool read_unended_first(struct worker_monitor *monitor, const char *namespace,
                               const char *selector, struct worker_list *list, struct error *error)
{
    static const char unended[] =
        "&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";
    struct worker_list any = *list;
    *list = (struct worker_list){0};
    bool is_read = read_pods(monitor, namespace, selector, unended, list, error);
    if (is_read)
        worker_list_fill(list, &any);
    worker_list_done(&any);
    return is_read;
}

static bool read_object(struct worker_monitor *monitor, struct worker_object *object,
                        struct worker_list *ret_list, struct error *error)
{
    _cleanup_(text_done) struct text usage = {0};
    bool is_old = clock_now_ms() - object->selector_ms > SELECTOR_MS;
    if ((object->selector == NULL || is_old) && !read_selector(monitor, object, error))
        return false;
    _cleanup_(memory_free) char *selector = curl_easy_escape(NULL, object->selector, 0);
    _cleanup_(memory_free) char *usage_path =
        text_format("/apis/metrics.k8s.io/v1beta1/namespaces/%s/pods?labelSelector=%s",
                    object->namespace, selector);
    if (!read_pods(monitor, object->namespace, selector, "", ret_list, error) ||
        (ret_list->has_more &&
         !read_unended_first(monitor, object->namespace, selector, ret_list, error)))
        return false;
    ret_list->target = text_copy(object->target);
    if (ret_list->count > 0 &&
        get(monitor, usage_path, MAX_LIST_BYTES, &usage, &ret_list->usage_error) == OK)
        worker_usage_parse(usage, ret_list, &ret_list->usage_error);
    return true;
}

static void update_object(struct worker_monitor *monitor, struct worker_object *object)
{
    struct worker_list list = {0};
    struct error error = {0};
    bool is_read = read_object(monitor, object, &list, &error);
    int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&monitor->lock);
    if (is_read) {
        struct worker_list before = object->list;
        keep_done(&list, &before);
        object->list = list;
        object->read_ms = now_ms;
        list = before;
    }
    error_move(&object->error, &error);
    object->due_ms = now_ms + AGAIN_MS;
    pthread_mutex_unlock(&monitor->lock);
    if (is_read)
        begin_scrapes(monitor, object);
    worker_list_done(&list);
    error_done(&error);
}

/* ---- a log ---- */

static void update_log(struct worker_monitor *monitor, struct pod_log *log)
{
    _cleanup_(text_done) struct text reply = {0};
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *path = pod_log_path(log);
    get(monitor, path, POD_LOG_MAX_REPLY, &reply, &error);
    pthread_mutex_lock(&monitor->lock);
    pod_log_set(log, &reply, &error, clock_now_ms());
    pthread_mutex_unlock(&monitor->lock);
}

/* ---- the thread ---- */

static void worker_object_free(struct worker_object *object)
{
    worker_list_done(&object->list);
    error_done(&object->error);
    free(object->namespace);
    free(object->name);
    free(object->selector);
    free(object->target);
    free(object);
}

/* With the lock. */
static void forget(struct worker_monitor *monitor, int64_t before_ms)
{
    struct worker_object *object, *next_object;
    DL_FOREACH_SAFE(monitor->objects, object, next_object)
        if (object->viewed_ms < before_ms && object->scrapes == 0) {
            DL_DELETE(monitor->objects, object);
            monitor->object_count--;
            worker_object_free(object);
        }
    pod_logs_forget(&monitor->logs, before_ms);
}

/* What is viewed, and due first: an object or a log. Returns when. */
static int64_t find_next(struct worker_monitor *monitor, int64_t now_ms,
                         struct worker_object **ret_object, struct pod_log **ret_log)
{
    int64_t next_ms = now_ms + IDLE_MS;
    struct worker_object *object;
    struct pod_log *log;
    *ret_object = NULL;
    *ret_log = NULL;
    DL_FOREACH(monitor->objects, object)
        if (now_ms - object->viewed_ms < VIEWED_MS && object->due_ms < next_ms) {
            next_ms = object->due_ms;
            *ret_object = object;
        }
    DL_FOREACH(monitor->logs.all, log)
        if (now_ms - log->viewed_ms < VIEWED_MS && log->due_ms <= next_ms) {
            next_ms = log->due_ms;
            *ret_object = NULL;
            *ret_log = log;
        }
    return next_ms;
}

static void *monitor_thread(void *argument)
{
    struct worker_monitor *monitor = argument;
    for (;;) {
        struct worker_object *object;
        struct pod_log *log;
        int64_t now_ms = clock_now_ms();
        pthread_mutex_lock(&monitor->lock);
        bool stopping = monitor->is_stopping;
        forget(monitor, now_ms - KEEP_MS);
        int64_t next_ms = find_next(monitor, now_ms, &object, &log);
        pthread_mutex_unlock(&monitor->lock);
        if (stopping)
            return NULL;
        if (next_ms < monitor->may_request_ms)
            next_ms = monitor->may_request_ms;
        if (next_ms > now_ms) {
            curl_multi_poll(monitor->multi, NULL, 0, (int)(next_ms - now_ms), NULL);
            perform(monitor);
            continue;
        }
        monitor->may_request_ms = now_ms;
        if (log != NULL)
            update_log(monitor, log);
        else if (object != NULL)
            update_object(monitor, object);
    }
}

struct worker_monitor *worker_monitor_start(struct kubernetes_api *api)
{
    struct worker_monitor *monitor = memory_new(sizeof(*monitor));
    monitor->api = *api;
    *api = (struct kubernetes_api){0};
    pthread_mutex_init(&monitor->lock, NULL);
    monitor->multi = curl_multi_init();
    if (pthread_create(&monitor->thread, NULL, monitor_thread, monitor) != 0)
        abort();
    return monitor;
}

void worker_monitor_stop(struct worker_monitor *monitor)
{
    if (monitor == NULL)
        return;
    pthread_mutex_lock(&monitor->lock);
    monitor->is_stopping = true;
    pthread_mutex_unlock(&monitor->lock);
    curl_multi_wakeup(monitor->multi);
    if (!kubernetes_api_join(&monitor->api, monitor->thread))
        return;
    while (monitor->scrapes != NULL)
        scrape_free(monitor, monitor->scrapes);
    forget(monitor, INT64_MAX);
    curl_multi_cleanup(monitor->multi);
    pthread_mutex_destroy(&monitor->lock);
    kubernetes_api_done(&monitor->api);
    free(monitor);
}

/* ---- who looks ---- */

/* With the lock. NULL: there are too many. */
static struct worker_object *object_of(struct worker_monitor *monitor, const char *namespace,
                                       const char *name)
{
    struct worker_object *object;
    DL_FOREACH(monitor->objects, object)
        if (text_equal(object->name, name) && text_equal(object->namespace, namespace))
            return object;
    if (monitor->object_count >= WORKER_OBJECTS_MAX)
        return NULL;
    object = memory_new(sizeof(*object));
    object->namespace = text_copy(namespace);
    object->name = text_copy(name);
    DL_APPEND(monitor->objects, object);
    monitor->object_count++;
    return object;
}

bool worker_monitor_view(struct worker_monitor *monitor, const char *namespace, const char *name,
                         void (*visit)(void *context, const struct worker_view *view),
                         void *context)
{
    int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&monitor->lock);
    struct worker_object *object = object_of(monitor, namespace, name);
    bool is_awaited = object != NULL && object->due_ms <= now_ms;
    if (object != NULL) {
        object->viewed_ms = now_ms;
        visit(context, &(struct worker_view){object->namespace, object->name, &object->list,
                                             object->read_ms, &object->error});
    }
    pthread_mutex_unlock(&monitor->lock);
    if (is_awaited)
        curl_multi_wakeup(monitor->multi);
    return object != NULL;
}

/* With the lock. The container whose log is shown; NULL: no list has the pod. */
static const char *container_of(const struct worker_monitor *monitor, const char *namespace,
                                const char *pod)
{
    const struct worker_object *object;
    DL_FOREACH(monitor->objects, object)
        for (size_t i = 0; text_equal(object->namespace, namespace) && i < object->list.count; i++)
            if (text_equal(object->list.items[i].name, pod))
                return object->list.items[i].container;
    return NULL;
}

/* With the lock; NULL with the error. */
static struct pod_log *log_of(struct worker_monitor *monitor, const char *namespace,
                              const char *pod, struct error *error)
{
    struct pod_log *log = pod_logs_find(&monitor->logs, namespace, pod);
    const char *container = container_of(monitor, namespace, pod);
    if (log != NULL)
        return log;
    if (container != NULL)
        return pod_logs_add(&monitor->logs, namespace, pod, container, error);
    error_invalid(error, "%s/%s is not a worker that is listed now", namespace, pod);
    return NULL;
}

bool worker_monitor_log(struct worker_monitor *monitor, const char *namespace, const char *pod,
                        bool *ret_is_known, struct text *ret_text, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&monitor->lock);
    struct pod_log *log = log_of(monitor, namespace, pod, error);
    bool is_awaited = log != NULL && log->due_ms <= now_ms;
    *ret_is_known = log == NULL || log->is_read;
    if (log != NULL) {
        log->viewed_ms = now_ms;
        error_copy(error, &log->error);
        if (log->text.length > 0)
            text_add_bytes(ret_text, log->text.bytes, log->text.length);
    }
    pthread_mutex_unlock(&monitor->lock);
    if (is_awaited)
        curl_multi_wakeup(monitor->multi);
    return *ret_is_known && !error_is_set(error);
}
