#include "kubernetes/workers/worker.h"

#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "config/kubernetes_name.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>

/* Whoever writes a pod chooses its annotations, whoever runs on its node its status. */
enum {
    MAX_TREE_BYTES = 8 << 20, /* of one object: it has 1.5 MiB at most, and usually 10 KiB */
    LONGEST_STATE = 64,
    LONGEST_REASON = 300,
    LONGEST_PATH = 256,
    LONGEST_SELECTOR = 4096,
    MAX_PORT = 65535,
    LOG_LINES = 400,
    FEWER_LINES = 8,
};

static json_t *load(struct json_text text, struct error *error)
{
    json_t *json = json_text_tree(text, JSON_DECODE_ANY, MAX_TREE_BYTES);
    if (json == NULL)
        error_unavailable(error, "unexpected reply: not JSON, or too many values in it");
    return json;
}

static char *copy_cut(const char *text, size_t longest)
{
    return text == NULL ? NULL : text_copy_bytes(text, text_cut(text, longest));
}

static void worker_done(struct worker *worker)
{
    free(worker->name);
    free(worker->uid);
    free(worker->job);
    free(worker->container);
    free(worker->state);
    free(worker->reason);
    free(worker->metrics_url);
}

void worker_list_done(struct worker_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        worker_done(&list->items[i]);
    free(list->items);
    free(list->target);
    error_done(&list->usage_error);
    *list = (struct worker_list){0};
}

/* ---- the target ---- */

bool worker_target_parse(struct text reply, const char *namespace, char **ret_path, char **ret_name,
                         struct error *error)
{
    _cleanup_(json_done) json_t *object = load(json_text_of(reply), error);
    if (object == NULL)
        return false;
    const json_t *kind = json_object_get(json_object_get(object, "status"), "scaleTargetGVKR");
    const char *name = json_member_string(
        json_object_get(json_object_get(object, "spec"), "scaleTargetRef"), "name");
    const char *group = json_member_string(kind, "group");
    const char *version = json_member_string(kind, "version");
    const char *resource = json_member_string(kind, "resource");
    const char *kind_name = json_member_string(kind, "kind");
    if (kind == NULL)
        return error_unavailable(error, "KEDA has not found the target of the ScaledObject yet");
    if (!kubernetes_name_is_valid(name) || !kubernetes_name_is_valid(version) ||
        !kubernetes_name_is_valid(resource) || kind_name == NULL || group == NULL ||
        (group[0] != '\0' && !kubernetes_name_is_valid(group)))
        return error_unavailable(error, "unexpected reply: the ScaledObject names no target");
    *ret_path =
        text_format("%s%s/%s/namespaces/%s/%s/%s/scale", group[0] == '\0' ? "/api" : "/apis/",
                    group, version, namespace, resource, name);
    *ret_name = text_format("%.*s %s", (int)text_cut(kind_name, LONGEST_REASON), kind_name, name);
    return true;
}

bool worker_selector_parse(struct text reply, char **ret_selector, struct error *error)
{
    _cleanup_(json_done) json_t *scale = load(json_text_of(reply), error);
    if (scale == NULL)
        return false;
    const char *selector = json_member_string(json_object_get(scale, "status"), "selector");
    if (selector == NULL || selector[0] == '\0') /* an empty one selects all pods */
        return error_unavailable(error, "the target's scale has no selector of its pods");
    if (strlen(selector) > LONGEST_SELECTOR)
        return error_unavailable(error, "the selector of the target's pods has more than %d bytes",
                                 LONGEST_SELECTOR);
    *ret_selector = text_copy(selector);
    return true;
}

/* ---- pods ---- */

static double time_of(const char *text)
{
    struct tm parts = {0};
    const char *end = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return end == NULL || *end != '\0' ? (double)NAN : (double)timegm(&parts);
}

/* "Unschedulable: 0/3 nodes are available", or NULL where there is no reason. */
static char *reason_of(const json_t *object, const char *before)
{
    const char *reason = json_member_string(object, "reason");
    const char *message = json_member_string(object, "message");
    if (reason == NULL)
        return NULL;
    bool has_message = message != NULL && message[0] != '\0';
    return text_format("%s%.*s%s%.*s", before, (int)text_cut(reason, LONGEST_STATE), reason,
                       has_message ? ": " : "",
                       has_message ? (int)text_cut(message, LONGEST_REASON) : 0,
                       has_message ? message : "");
}

/* What keeps a container from running, or ended it; NULL: nothing. */
static char *reason_of_container(const json_t *container)
{
    const json_t *state = json_object_get(container, "state");
    const json_t *terminated = json_object_get(state, "terminated");
    char *reason = reason_of(json_object_get(state, "waiting"), "");
    if (reason == NULL && json_integer_value(json_object_get(terminated, "exitCode")) != 0)
        reason = reason_of(terminated, "");
    if (reason == NULL && json_object_get(state, "running") != NULL)
        reason = reason_of(json_object_get(json_object_get(container, "lastState"), "terminated"),
                           "restarted after ");
    return reason;
}

static char *reason_of_containers(const json_t *status, const char *key)
{
    const json_t *container;
    size_t i;
    json_array_foreach(json_object_get(status, key), i, container) {
        char *reason = reason_of_container(container);
        if (reason != NULL)
            return reason;
    }
    return NULL;
}

static bool is_condition(const json_t *condition, const char *type, const char *value)
{
    return text_equal(json_member_string(condition, "type"), type) &&
           text_equal(json_member_string(condition, "status"), value);
}

static void read_conditions(const json_t *status, struct worker *worker)
{
    const json_t *condition;
    size_t i;
    json_array_foreach(json_object_get(status, "conditions"), i, condition) {
        worker->is_ready = worker->is_ready || is_condition(condition, "Ready", "True");
        if (worker->reason == NULL && is_condition(condition, "PodScheduled", "False"))
            worker->reason = reason_of(condition, "");
    }
}

static void read_state(const json_t *pod, struct worker *worker)
{
    const json_t *status = json_object_get(pod, "status");
    const char *phase = json_member_string(status, "phase");
    bool is_deleted =
        json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp") != NULL;
    const json_t *container;
    size_t i;
    worker->state = copy_cut(is_deleted      ? "Terminating"
                             : phase == NULL ? "Unknown"
                                             : phase,
                             LONGEST_STATE);
    worker->reason = reason_of(status, ""); /* such as Evicted */
    read_conditions(status, worker);
    if (worker->reason == NULL)
        worker->reason = reason_of_containers(status, "initContainerStatuses");
    if (worker->reason == NULL)
        worker->reason = reason_of_containers(status, "containerStatuses");
    json_array_foreach(json_object_get(status, "containerStatuses"), i, container)
        worker->restarts += json_integer_value(json_object_get(container, "restartCount"));
}

/* As Prometheus' usual configuration reads them. A pod in the node's network has the node's
 * address: other programs listen there, so that it is not read. */
static char *metrics_url_of(const json_t *pod, const json_t *annotations)
{
    const json_t *status = json_object_get(pod, "status");
    const char *scrape = json_member_string(annotations, "prometheus.io/scrape");
    const char *port = json_member_string(annotations, "prometheus.io/port");
    const char *path = json_member_string(annotations, "prometheus.io/path");
    const char *address = json_member_string(status, "podIP");
    const char *phase = json_member_string(status, "phase");
    bool is_in_nodes_network =
        json_is_true(json_object_get(json_object_get(pod, "spec"), "hostNetwork"));
    if (!text_equal(scrape, "true") || port == NULL || address == NULL ||
        !text_equal(phase, "Running") || is_in_nodes_network)
        return NULL;
    long number = strspn(port, "0123456789") == strlen(port) ? strtol(port, NULL, 10) : 0;
    if (number < 1 || number > MAX_PORT ||
        strspn(address, "0123456789abcdefABCDEF.:") != strlen(address) ||
        strlen(address) > LONGEST_STATE || (path != NULL && strlen(path) > LONGEST_PATH))
        return NULL;
    bool is_ipv6 = strchr(address, ':') != NULL;
    return text_format("http://%s%s%s:%ld%s", is_ipv6 ? "[" : "", address, is_ipv6 ? "]" : "",
                       number, path != NULL && path[0] == '/' ? path : "/metrics");
}

/* The one that kubectl takes: by annotation, or the first. */
static const char *container_of(const json_t *pod, const json_t *annotations)
{
    const char *chosen = json_member_string(annotations, "kubectl.kubernetes.io/default-container");
    const json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
    return chosen != NULL ? chosen : json_member_string(json_array_get(containers, 0), "name");
}

static const char *job_of(const json_t *metadata)
{
    const json_t *owner;
    size_t i;
    json_array_foreach(json_object_get(metadata, "ownerReferences"), i, owner)
        if (text_equal(json_member_string(owner, "kind"), "Job"))
            return json_member_string(owner, "name");
    return NULL;
}

/* False: it is no pod. */
static bool read_pod(const json_t *pod, struct worker *ret_worker)
{
    const json_t *metadata = json_object_get(pod, "metadata");
    const json_t *annotations = json_object_get(metadata, "annotations");
    const char *name = json_member_string(metadata, "name");
    const char *uid = json_member_string(metadata, "uid");
    const char *container = container_of(pod, annotations);
    if (!kubernetes_name_is_valid(name) || uid == NULL || !kubernetes_name_is_valid(container))
        return false;
    *ret_worker = (struct worker){
        .name = text_copy(name),
        .uid = copy_cut(uid, LONGEST_STATE),
        .job = copy_cut(job_of(metadata), KUBERNETES_NAME_MAX),
        .container = text_copy(container),
        .metrics_url = metrics_url_of(pod, annotations),
        .created_s = time_of(json_member_string(metadata, "creationTimestamp")),
        .cpu_cores = NAN,
        .memory_bytes = NAN,
        .done = NAN,
    };
    read_state(pod, ret_worker);
    return true;
}

/* The list is walked over as text, an item at a time: the tree of all would take many times as
 * much. NULL with the error: there is no more, or it is broken. */
static json_t *next_item(struct json_walk *walk, struct error *error)
{
    struct json_text key;
    struct json_text item;
    if (json_walk_next(walk, &key, &item))
        return load(item, error);
    if (walk->is_broken)
        error_unavailable(error, "unexpected reply: no list");
    return NULL;
}

static bool begin_items(struct json_walk *walk, struct text reply)
{
    struct json_text items = json_text_member(json_text_of(reply), "items");
    json_walk_begin(walk, items);
    return json_text_begins_with(items, '[');
}

static bool continues(struct text reply)
{
    struct json_text metadata = json_text_member(json_text_of(reply), "metadata");
    struct json_text more = json_text_member(metadata, "continue");
    return more.length > 2 && more.bytes[0] == '"';
}

bool worker_pods_parse(struct text reply, struct worker_list *ret_list, struct error *error)
{
    struct json_walk walk;
    json_t *pod;
    if (!begin_items(&walk, reply))
        return error_unavailable(error, "unexpected reply: no list of pods");
    *ret_list = (struct worker_list){.items = memory_array(WORKERS_MAX, sizeof(*ret_list->items)),
                                     .has_more = continues(reply)};
    while (ret_list->count < WORKERS_MAX && (pod = next_item(&walk, error)) != NULL) {
        ret_list->count += read_pod(pod, &ret_list->items[ret_list->count]);
        json_decref(pod);
    }
    ret_list->has_more = ret_list->has_more || json_text_begins_with(walk.rest, ',');
    return !error_is_set(error);
}

static struct worker *find(struct worker_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (text_equal(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

void worker_list_fill(struct worker_list *list, struct worker_list *any)
{
    for (size_t i = 0; i < any->count && list->count < WORKERS_MAX; i++)
        if (find(list, any->items[i].name) == NULL) {
            list->items[list->count++] = any->items[i];
            any->items[i] = (struct worker){0};
        }
    list->has_more = true;
}

/* ---- what they use and say ---- */

double worker_quantity(const char *text)
{
    double number;
    bool good = text != NULL && isdigit((unsigned char)text[0]) && quantity_parse(text, &number);
    return good ? number : (double)NAN;
}

static void read_usage(const json_t *item, struct worker *worker)
{
    const json_t *container;
    size_t i;
    worker->cpu_cores = worker->memory_bytes = 0;
    json_array_foreach(json_object_get(item, "containers"), i, container) {
        const json_t *usage = json_object_get(container, "usage");
        worker->cpu_cores += worker_quantity(json_member_string(usage, "cpu"));
        worker->memory_bytes += worker_quantity(json_member_string(usage, "memory"));
    }
}

bool worker_usage_parse(struct text reply, struct worker_list *list, struct error *error)
{
    struct json_walk walk;
    json_t *item;
    if (!begin_items(&walk, reply))
        return error_unavailable(error, "unexpected reply: no list of metrics");
    while ((item = next_item(&walk, error)) != NULL) {
        struct worker *worker =
            find(list, json_member_string(json_object_get(item, "metadata"), "name"));
        if (worker != NULL && json_array_size(json_object_get(item, "containers")) > 0)
            read_usage(item, worker);
        json_decref(item);
    }
    return !error_is_set(error);
}

/* Behind the labels of a sample; NULL: they do not end. A value in quotes may have a brace. */
static const char *skip_labels(const char *labels)
{
    bool is_quoted = false;
    for (; *labels != '\0' && (is_quoted || *labels != '}'); labels++) {
        if (*labels == '"')
            is_quoted = !is_quoted;
        else if (*labels == '\\' && labels[1] != '\0')
            labels++;
    }
    return *labels == '\0' ? NULL : labels + 1;
}

/* The value of a sample of the metric; NAN: the line is another one. */
static double done_of_line(const char *line)
{
    static const char name[] = WORKER_DONE_METRIC;
    char *end = NULL;
    if (!text_starts_with(line, name))
        return NAN;
    line += strlen(name);
    if (*line == '{')
        line = skip_labels(line);
    if (line == NULL || (*line != ' ' && *line != '\t'))
        return NAN;
    double value = strtod(line, &end);
    return end == line || !isfinite(value) || value < 0 ? (double)NAN : value;
}

double worker_done_parse(struct text metrics)
{
    double sum = NAN;
    for (size_t at = 0; at < metrics.length;) {
        const char *begin = metrics.bytes + at;
        const char *end = memchr(begin, '\n', metrics.length - at);
        size_t length = end == NULL ? metrics.length - at : (size_t)(end - begin);
        _cleanup_(memory_free) char *line = text_copy_bytes(begin, length);
        double value = done_of_line(line);
        if (!isnan(value))
            sum = isnan(sum) ? value : sum + value;
        at += length + 1;
    }
    return sum;
}

/* ---- their logs ---- */

void worker_log_done(struct worker_log_end *log)
{
    free(log->container);
    text_done(&log->text);
}

static int lines_of(const struct worker_log_end *log)
{
    return log->lines == 0 ? LOG_LINES : log->lines;
}

char *worker_log_path(const struct worker_log_end *log, const char *namespace, const char *pod)
{
    return text_format("/api/v1/namespaces/%s/pods/%s/log?container=%s&tailLines=%d&limitBytes=%d",
                       namespace, pod, log->container, lines_of(log), WORKER_LOG_MAX_REPLY);
}

/* Of long lines fewer are requested: the kubelet begins with the oldest, and where they have more
 * bytes than the limit leaves the newest out. */
bool worker_log_take(struct worker_log_end *log, struct text reply)
{
    int lines = lines_of(log);
    if (reply.length >= WORKER_LOG_MAX_REPLY && lines > 1) {
        log->lines = MAX(lines / FEWER_LINES, 1);
        return false;
    }
    if (reply.length < WORKER_LOG_MAX_BYTES)
        log->lines = MIN(lines * FEWER_LINES, LOG_LINES);
    size_t length = MIN(reply.length, (size_t)WORKER_LOG_MAX_BYTES);
    const char *end = length == 0 ? "" : reply.bytes + reply.length - length;
    text_whole_characters(&end, &length);
    text_clear(&log->text);
    text_add_bytes(&log->text, end, length);
    text_make_utf8(log->text.bytes);
    return true;
}
