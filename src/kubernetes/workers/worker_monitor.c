#include "kubernetes/workers/worker_monitor.h"

#include "base/clock.h"
#include "base/memory.h"
#include "config/kubernetes_name.h"
#include "kubernetes/api/api_object.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    VIEWED_MS = 10 * 1000, /* somebody views it, if the last request is not longer ago */
    KEEP_MS = 60 * 1000,   /* what was known is kept for who looks again */
    AGAIN_MS = 3 * 1000,   /* between two readings of an object, */
    TARGET_MS = 60 * 1000, /* ... of what its pods and its HPA are found by, */
    LOG_AGAIN_MS = 1000,   /* ... and of a log */
    MS_PER_REQUEST = 50,   /* 20 per second */
    API_TIMEOUT_MS = 5000,
    POD_TIMEOUT_MS = 1000,
    MAX_LIST_BYTES = 8 << 20, /* 100 pods with long statuses and annotations */
    MAX_METRICS_BYTES = 256 << 10,
    MAX_METRICS = 32,  /* pods of an object whose /metrics are read */
    MAX_SCRAPES = 256, /* of all, at a time */
    MAX_LOGS = 16,
    SILENT_MS = 60 * 1000, /* between scrapes of an object none of whose pods responded */
    IDLE_MS = 60 * 1000,
    OK = 200,
    NOT_FOUND = 404,
};

/* What somebody views. Guarded by the lock, but for what is the thread's. Only the thread removes
 * one. */
struct viewed {
    enum worker_view_kind kind;
    char *namespace, *name; /* of an object; of a log the pod's */
    int64_t viewed_ms;      /* somebody did, last */
    int64_t due_ms;         /* when it is read again, while somebody views it */
    int64_t read_ms;
    struct error error;
    struct worker_list list; /* of WORKER_VIEW_PODS */
    char *hpa;               /* of WORKER_VIEW_REPLICAS */
    int64_t replicas;
    struct worker_log_end log; /* of WORKER_VIEW_LOG */

    int64_t target_ms;       /* the thread's: when the selector, or the HPA's name, was read */
    char *selector, *target; /* ... of WORKER_VIEW_PODS, as the next ones */
    size_t scrapes;          /* under way */
    bool has_response;
    int64_t scrape_from_ms; /* not before */
    struct viewed *next, *prev;
};

/* A request of a pod's /metrics, under way while other objects are read: pods that drop it would
 * hold all of them up. */
struct pod_scrape {
    struct api_request request; /* first: the scrape is found by it */
    struct worker_monitor *monitor;
    struct viewed *object;
    char *uid;
    struct pod_scrape *next, *prev;
};

struct worker_monitor {
    struct kubernetes_api api;
    pthread_t thread;
    pthread_mutex_t lock; /* never held across I/O */
    CURLM *multi;
    struct viewed *views; /* guarded, as the next ones */
    size_t counts[WORKER_VIEWS];
    bool is_stopping;
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

static void set_done(struct worker_monitor *monitor, struct viewed *object, const char *uid,
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
static void end_scrape(struct api_request *request)
{
    struct pod_scrape *scrape = (struct pod_scrape *)request;
    struct viewed *object = scrape->object;
    bool is_ok = request->status == OK;
    set_done(scrape->monitor, object, scrape->uid, is_ok ? worker_done_parse(request->body) : NAN);
    object->has_response |= is_ok;
    scrape_free(scrape->monitor, scrape);
    if (object->scrapes == 0 && !object->has_response)
        object->scrape_from_ms = clock_now_ms() + SILENT_MS;
}

static void begin_scrape(struct worker_monitor *monitor, struct viewed *object,
                         const struct worker *worker)
{
    struct pod_scrape *scrape = memory_new(sizeof(*scrape));
    CURL *curl = curl_easy_init();
    scrape->monitor = monitor;
    scrape->object = object;
    scrape->uid = text_copy(worker->uid);
    scrape->request.curl = curl;
    scrape->request.ended = end_scrape;
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

static void begin_scrapes(struct worker_monitor *monitor, struct viewed *object)
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

/* Until the request is over, by its own deadline at the latest, or the monitor is to end. */
static void finish(struct worker_monitor *monitor, const struct api_request *request)
{
    while (!request->is_over && !is_stopping(monitor)) {
        api_requests_perform(monitor->multi);
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

static bool is_target_old(const struct viewed *viewed)
{
    return viewed->target_ms == 0 || clock_now_ms() - viewed->target_ms > TARGET_MS;
}

/* With the lock. */
static void end_reading(struct viewed *viewed, bool is_read, struct error *error, int64_t again_ms)
{
    int64_t now_ms = clock_now_ms();
    viewed->read_ms = is_read ? now_ms : viewed->read_ms;
    viewed->due_ms = now_ms + again_ms;
    error_move(&viewed->error, error);
}

/* ---- the workers of an object ---- */

/* A ScaledJob: its pods have its name as a label. That of a ScaledObject is found first, as few
 * have the same name. */
static bool read_selector(struct worker_monitor *monitor, struct viewed *object,
                          struct error *error)
{
    _cleanup_(text_done) struct text found = {0};
    _cleanup_(text_done) struct text scale = {0};
    _cleanup_(memory_free) char *scale_path = NULL;
    _cleanup_(memory_free) char *target = NULL;
    _cleanup_(memory_free) char *selector = NULL;
    _cleanup_(memory_free) char *path =
        api_object_path(OBJECT_SCALED_OBJECT, object->namespace, object->name);
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
    object->target_ms = clock_now_ms();
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

static bool read_workers(struct worker_monitor *monitor, struct viewed *object,
                         struct worker_list *ret_list, struct error *error)
{
    _cleanup_(text_done) struct text usage = {0};
    if (is_target_old(object) && !read_selector(monitor, object, error))
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

static void update_workers(struct worker_monitor *monitor, struct viewed *object)
{
    struct worker_list list = {0};
    struct error error = {0};
    bool is_read = read_workers(monitor, object, &list, &error);
    pthread_mutex_lock(&monitor->lock);
    if (is_read) {
        struct worker_list before = object->list;
        keep_done(&list, &before);
        object->list = list;
        list = before;
    }
    end_reading(object, is_read, &error, AGAIN_MS);
    pthread_mutex_unlock(&monitor->lock);
    if (is_read)
        begin_scrapes(monitor, object);
    worker_list_done(&list);
}

/* ---- the replicas of an HPA ---- */

/* NULL with the error. */
static struct api_object *read_object(struct worker_monitor *monitor, enum api_object_kind kind,
                                      const char *namespace, const char *name, struct error *error)
{
    _cleanup_(text_done) struct text reply = {0};
    _cleanup_(memory_free) char *path = api_object_path(kind, namespace, name);
    if (get(monitor, path, MAX_LIST_BYTES, &reply, error) != OK)
        return NULL;
    return api_object_parse(kind, namespace, name, reply.bytes == NULL ? "" : reply.bytes,
                            reply.length, error);
}

static bool find_hpa(struct worker_monitor *monitor, struct viewed *viewed, struct error *error)
{
    struct api_object *scaled =
        read_object(monitor, OBJECT_SCALED_OBJECT, viewed->namespace, viewed->name, error);
    bool has_hpa = scaled != NULL && kubernetes_name_is_valid(scaled->hpa);
    if (has_hpa) {
        pthread_mutex_lock(&monitor->lock);
        free(viewed->hpa);
        viewed->hpa = TAKE(scaled->hpa);
        pthread_mutex_unlock(&monitor->lock);
        viewed->target_ms = clock_now_ms();
    } else if (scaled != NULL)
        error_unavailable(error, "KEDA has made no HPA for the ScaledObject yet");
    api_object_free(scaled);
    return has_hpa;
}

static void update_replicas(struct worker_monitor *monitor, struct viewed *viewed)
{
    struct error error = {0};
    struct api_object *hpa = NULL;
    if (!is_target_old(viewed) || find_hpa(monitor, viewed, &error))
        hpa = read_object(monitor, OBJECT_HPA, viewed->namespace, viewed->hpa, &error);
    pthread_mutex_lock(&monitor->lock);
    viewed->replicas = hpa == NULL ? viewed->replicas : hpa->current_replicas;
    end_reading(viewed, hpa != NULL, &error, AGAIN_MS);
    pthread_mutex_unlock(&monitor->lock);
    api_object_free(hpa);
}

/* ---- a log ---- */

static void update_log(struct worker_monitor *monitor, struct viewed *viewed)
{
    _cleanup_(text_done) struct text reply = {0};
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *path =
        worker_log_path(&viewed->log, viewed->namespace, viewed->name);
    get(monitor, path, WORKER_LOG_MAX_REPLY, &reply, &error);
    pthread_mutex_lock(&monitor->lock);
    if (worker_log_take(&viewed->log, reply))
        end_reading(viewed, true, &error, LOG_AGAIN_MS);
    pthread_mutex_unlock(&monitor->lock);
}

/* ---- the thread ---- */

static void viewed_free(struct viewed *viewed)
{
    worker_list_done(&viewed->list);
    worker_log_done(&viewed->log);
    error_done(&viewed->error);
    free(viewed->namespace);
    free(viewed->name);
    free(viewed->hpa);
    free(viewed->selector);
    free(viewed->target);
    free(viewed);
}

/* With the lock. Who looked last before. */
static void forget(struct worker_monitor *monitor, int64_t before_ms)
{
    struct viewed *viewed, *next;
    DL_FOREACH_SAFE(monitor->views, viewed, next)
        if (viewed->viewed_ms < before_ms && viewed->scrapes == 0) {
            DL_DELETE(monitor->views, viewed);
            monitor->counts[viewed->kind]--;
            viewed_free(viewed);
        }
}

/* With the lock. What is viewed, and due first; NULL: nothing is viewed. */
static struct viewed *find_next(const struct worker_monitor *monitor, int64_t now_ms)
{
    struct viewed *viewed;
    struct viewed *first = NULL;
    DL_FOREACH(monitor->views, viewed)
        if (now_ms - viewed->viewed_ms < VIEWED_MS &&
            (first == NULL || viewed->due_ms < first->due_ms))
            first = viewed;
    return first;
}

static void *monitor_thread(void *argument)
{
    static void (*const update[])(struct worker_monitor *monitor, struct viewed *viewed) = {
        [WORKER_VIEW_PODS] = update_workers,
        [WORKER_VIEW_REPLICAS] = update_replicas,
        [WORKER_VIEW_LOG] = update_log,
    };
    struct worker_monitor *monitor = argument;
    while (!is_stopping(monitor)) {
        int64_t now_ms = clock_now_ms();
        pthread_mutex_lock(&monitor->lock);
        forget(monitor, now_ms - KEEP_MS);
        struct viewed *next = find_next(monitor, now_ms);
        int64_t next_ms = next == NULL ? CLOCK_NEVER : next->due_ms;
        pthread_mutex_unlock(&monitor->lock);
        next_ms = MAX(next_ms, monitor->may_request_ms);
        if (next == NULL || next_ms > now_ms) {
            curl_multi_poll(monitor->multi, NULL, 0, clock_left_ms(next_ms, IDLE_MS), NULL);
            api_requests_perform(monitor->multi);
            continue;
        }
        monitor->may_request_ms = now_ms;
        update[next->kind](monitor, next);
    }
    return NULL;
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

bool worker_monitor_stop(struct worker_monitor *monitor)
{
    if (monitor == NULL)
        return true;
    pthread_mutex_lock(&monitor->lock);
    monitor->is_stopping = true;
    pthread_mutex_unlock(&monitor->lock);
    curl_multi_wakeup(monitor->multi);
    if (!kubernetes_api_join(monitor->thread))
        return false;
    while (monitor->scrapes != NULL)
        scrape_free(monitor, monitor->scrapes);
    forget(monitor, INT64_MAX);
    curl_multi_cleanup(monitor->multi);
    pthread_mutex_destroy(&monitor->lock);
    kubernetes_api_done(&monitor->api);
    free(monitor);
    return true;
}

/* ---- who looks ---- */

/* With the lock; NULL: there is none. */
static struct viewed *find(const struct worker_monitor *monitor, enum worker_view_kind kind,
                           const char *namespace, const char *name)
{
    struct viewed *viewed;
    DL_FOREACH(monitor->views, viewed)
        if (viewed->kind == kind && text_equal(viewed->name, name) &&
            text_equal(viewed->namespace, namespace))
            return viewed;
    return NULL;
}

/* With the lock. It is due at once, and the newest first: who opens a log waits for no list of
 * hundreds of objects. */
static struct viewed *add(struct worker_monitor *monitor, enum worker_view_kind kind,
                          const char *namespace, const char *name)
{
    struct viewed *viewed = memory_new(sizeof(*viewed));
    viewed->kind = kind;
    viewed->namespace = text_copy(namespace);
    viewed->name = text_copy(name);
    DL_PREPEND(monitor->views, viewed);
    monitor->counts[kind]++;
    return viewed;
}

/* With the lock, which it gives back. NULL is harmless. */
static void end_view(struct worker_monitor *monitor, struct viewed *viewed)
{
    int64_t now_ms = clock_now_ms();
    bool is_awaited = viewed != NULL && viewed->due_ms <= now_ms;
    if (viewed != NULL)
        viewed->viewed_ms = now_ms;
    pthread_mutex_unlock(&monitor->lock);
    if (is_awaited)
        curl_multi_wakeup(monitor->multi);
}

bool worker_monitor_view(struct worker_monitor *monitor, enum worker_view_kind kind,
                         const char *namespace, const char *name,
                         void (*visit)(void *context, const struct worker_view *view),
                         void *context)
{
    pthread_mutex_lock(&monitor->lock);
    struct viewed *viewed = find(monitor, kind, namespace, name);
    if (viewed == NULL && monitor->counts[kind] < WORKER_OBJECTS_MAX)
        viewed = add(monitor, kind, namespace, name);
    if (viewed != NULL)
        visit(context,
              &(struct worker_view){viewed->namespace, viewed->name, viewed->read_ms,
                                    &viewed->error, &viewed->list, viewed->hpa, viewed->replicas});
    end_view(monitor, viewed);
    return viewed != NULL;
}

/* With the lock. The container whose log is shown; NULL: no list has the pod. */
static const char *container_of(const struct worker_monitor *monitor, const char *namespace,
                                const char *pod)
{
    const struct viewed *object;
    DL_FOREACH(monitor->views, object)
        for (size_t i = 0; text_equal(object->namespace, namespace) && i < object->list.count; i++)
            if (text_equal(object->list.items[i].name, pod))
                return object->list.items[i].container;
    return NULL;
}

/* With the lock; NULL with the error. */
static struct viewed *log_of(struct worker_monitor *monitor, const char *namespace, const char *pod,
                             struct error *error)
{
    struct viewed *viewed = find(monitor, WORKER_VIEW_LOG, namespace, pod);
    const char *container = container_of(monitor, namespace, pod);
    if (viewed != NULL)
        return viewed;
    if (container == NULL)
        error_invalid(error, "%s/%s is not a worker that is listed now", namespace, pod);
    else if (monitor->counts[WORKER_VIEW_LOG] == MAX_LOGS)
        error_set(error, ERROR_LIMIT, "%d other logs are being read: try again in a minute",
                  MAX_LOGS);
    else {
        viewed = add(monitor, WORKER_VIEW_LOG, namespace, pod);
        viewed->log.container = text_copy(container);
    }
    return viewed;
}

bool worker_monitor_log(struct worker_monitor *monitor, const char *namespace, const char *pod,
                        bool *ret_is_known, struct text *ret_text, struct error *error)
{
    pthread_mutex_lock(&monitor->lock);
    struct viewed *viewed = log_of(monitor, namespace, pod, error);
    *ret_is_known = viewed == NULL || viewed->read_ms != 0;
    if (viewed != NULL) {
        error_copy(error, &viewed->error);
        text_add_bytes(ret_text, viewed->log.text.bytes, viewed->log.text.length);
    }
    end_view(monitor, viewed);
    return *ret_is_known && !error_is_set(error);
}
