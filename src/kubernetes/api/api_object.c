#include "kubernetes/api/api_object.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
    MAX_TREE_BYTES = 8 << 20,
    LARGEST_DATA = 256 << 10,
    LONGEST_WINDOW_S = 3600, /* as the API of the HPA permits */
};

/* Of an authentication, of which all calls look at each; no scaler has as many. */
enum { MAX_PARAMETERS = 256 };

static const struct {
    const char *name;
    const char *group;
    const char *plural;
} kinds[OBJECT_KINDS] = {
    {"ScaledObject", "apis/keda.sh/v1alpha1", "scaledobjects"},
    {"ScaledJob", "apis/keda.sh/v1alpha1", "scaledjobs"},
    {"TriggerAuthentication", "apis/keda.sh/v1alpha1", "triggerauthentications"},
    {"ClusterTriggerAuthentication", "apis/keda.sh/v1alpha1", "clustertriggerauthentications"},
    {"Secret", "api/v1", "secrets"},
    {"ConfigMap", "api/v1", "configmaps"},
    {"HorizontalPodAutoscaler", "apis/autoscaling/v2", "horizontalpodautoscalers"},
};

const char *api_object_kind_name(enum api_object_kind kind)
{
    return kinds[kind].name;
}

bool api_object_is_of_keda(enum api_object_kind kind)
{
    return kind <= OBJECT_CLUSTER_TRIGGER_AUTHENTICATION;
}

char *api_object_collection_path(enum api_object_kind kind, const char *namespace)
{
    if (namespace == NULL)
        return text_format("/%s/%s", kinds[kind].group, kinds[kind].plural);
    return text_format("/%s/namespaces/%s/%s", kinds[kind].group, namespace, kinds[kind].plural);
}

char *api_object_path(enum api_object_kind kind, const char *namespace, const char *name)
{
    _cleanup_(memory_free) char *collection = api_object_collection_path(kind, namespace);
    return text_format("%s/%s", collection, name);
}

char *api_object_label(enum api_object_kind kind, const char *namespace, const char *name)
{
    if (kind == OBJECT_CLUSTER_TRIGGER_AUTHENTICATION)
        return text_format("%s %s", kinds[kind].name, name);
    return text_format("%s %s/%s", kinds[kind].name, namespace, name);
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(((const struct option_entry *)left)->key,
                  ((const struct option_entry *)right)->key);
}

void api_object_sort(struct option_entry *entries, size_t count)
{
    if (count > 0)
        qsort(entries, count, sizeof(*entries), compare_keys);
}

const char *api_object_value(const struct option_entry *entries, size_t count, const char *key)
{
    const struct option_entry sought = {.key = key};
    const struct option_entry *found =
        count == 0 ? NULL : bsearch(&sought, entries, count, sizeof(*entries), compare_keys);
    return found == NULL ? NULL : found->value;
}

uint64_t api_object_fingerprint(const struct option_entry *entries, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct hash hash;
        if (option_is_variable(entries[i].key))
            continue;
        hash_begin(&hash);
        hash_add(&hash, entries[i].key, strlen(entries[i].key));
        hash_add(&hash, entries[i].value, strlen(entries[i].value));
        sum += hash_end(&hash);
    }
    return sum;
}

/* ---- what is kept of its JSON ---- */

static char *keep(struct api_object *object, const char *text)
{
    object->bytes += text_heap_bytes(text);
    return text_copy(text);
}

static void *keep_array(struct api_object *object, size_t count, size_t size)
{
    object->bytes += memory_heap_bytes((count + 1) * size);
    return memory_array(count + 1, size);
}

/* A string with a NUL in it would be compared as another one. */
static bool is_plain(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

char *api_object_revision(enum api_object_kind kind, const json_t *metadata)
{
    json_int_t generation = json_integer_value(json_object_get(metadata, "generation"));
    const char *version = json_member_string(metadata, "resourceVersion");
    const char *uid =
        json_member_string(metadata, "uid"); /* another object of this name begins with 1 again */
    if (api_object_is_of_keda(kind) && generation > 0)
        return text_format("generation %lld of %s", (long long)generation, uid == NULL ? "" : uid);
    return text_copy(version == NULL ? "" : version);
}

/* ---- ScaledObject and ScaledJob ---- */

static bool read_metadata(const json_t *metadata, struct api_object *object,
                          struct api_object_trigger *trigger)
{
    const char *key;
    json_t *value;
    trigger->metadata = keep_array(object, json_object_size(metadata), sizeof(*trigger->metadata));
    json_object_foreach((json_t *)metadata, key, value) {
        if (!is_plain(value))
            return false;
        const char *text = option_is_variable(key) ? "" : json_string_value(value);
        trigger->metadata[trigger->metadata_count++] =
            (struct option_entry){keep(object, key), keep(object, text)};
    }
    api_object_sort(trigger->metadata, trigger->metadata_count);
    trigger->fingerprint = api_object_fingerprint(trigger->metadata, trigger->metadata_count);
    return true;
}

/* What is larger is refused before it is looked up here, and would only have to be kept. */
static bool is_callable(const json_t *metadata)
{
    const char *key;
    json_t *value;
    size_t bytes = 0;
    json_object_foreach((json_t *)metadata, key, value)
        bytes += strlen(key) + (option_is_variable(key) ? 0 : json_string_length(value));
    return json_object_size(metadata) <= OPTION_MAX_KEYS && bytes <= OPTION_MAX_METADATA;
}

static bool read_trigger(const json_t *item, struct api_object *object, struct error *error)
{
    struct api_object_trigger *trigger = &object->triggers[object->triggers_count++];
    const json_t *ref = json_object_get(item, "authenticationRef");
    const json_t *name = json_object_get(ref, "name");
    const char *kind = json_member_string(ref, "kind");
    if (!read_metadata(json_object_get(item, "metadata"), object, trigger))
        return error_unavailable(error, "unexpected reply: a trigger's metadata is no text");
    if (name == NULL || text_equal(json_string_value(name), "")) /* none for KEDA, too */
        return true;
    if (!is_plain(name))
        return error_unavailable(error, "unexpected reply: authenticationRef has no name");
    trigger->authentication = keep(object, json_string_value(name));
    trigger->is_cluster_wide = text_equal(kind, "ClusterTriggerAuthentication");
    return true;
}

static bool read_triggers(const json_t *spec, struct api_object *object, struct error *error)
{
    const json_t *list = json_object_get(spec, "triggers");
    if (!json_is_array(list))
        return error_unavailable(error, "unexpected reply: there are no triggers");
    object->triggers = memory_array(json_array_size(list) + 1, sizeof(*object->triggers));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *type = json_member_string(item, "type");
        bool is_external = text_equal(type, "external") || text_equal(type, "external-push");
        if (!is_external || !is_callable(json_object_get(item, "metadata")))
            continue;
        if (!read_trigger(item, object, error))
            return false;
    }
    size_t bytes = (object->triggers_count + 1) * sizeof(*object->triggers);
    object->triggers = memory_resize(object->triggers, bytes);
    object->bytes += memory_heap_bytes(bytes);
    return true;
}

static void read_hpa_of(const json_t *spec, const json_t *status, struct api_object *object)
{
    const json_t *advanced = json_object_get(spec, "advanced");
    const json_t *config = json_object_get(advanced, "horizontalPodAutoscalerConfig");
    const json_t *down = json_object_get(json_object_get(config, "behavior"), "scaleDown");
    const json_t *seconds = json_object_get(down, "stabilizationWindowSeconds");
    const char *formula =
        json_member_string(json_object_get(advanced, "scalingModifiers"), "formula");
    const json_t *name = json_object_get(status, "hpaName");
    bool is_valid = json_is_integer(seconds) && json_integer_value(seconds) >= 0 &&
                    json_integer_value(seconds) <= LONGEST_WINDOW_S;
    object->down_window_ms = is_valid ? json_integer_value(seconds) * 1000 : -1;
    object->has_formula = formula != NULL && formula[0] != '\0';
    if (is_plain(name))
        object->hpa = keep(object, json_string_value(name));
}

/* Pods that died or are not there yet count: they are wanted. */
static bool read_replicas(const json_t *status, struct api_object *object, struct error *error)
{
    /* It is left out where it is 0; without desiredReplicas there is no status yet. */
    const json_t *desired = json_object_get(status, "desiredReplicas");
    if (!json_is_integer(desired))
        return error_unavailable(error, "the HPA has no status yet");
    object->current_replicas = json_integer_value(json_object_get(status, "currentReplicas"));
    object->replicas = MAX(object->current_replicas, json_integer_value(desired));
    return true;
}

/* ---- authentications ---- */

/* A list of parameters in an authentication's spec. */
struct parameter_list {
    const char *name;
    bool is_unsupported;
    enum api_object_kind kind; /* that has the values */
};

static bool read_parameter(const json_t *item, const struct parameter_list *list,
                           struct api_object *object, struct error *error)
{
    const json_t *name = json_object_get(item, "parameter");
    const json_t *of = json_object_get(item, "name");
    const json_t *key = json_object_get(item, "key");
    if (!is_plain(name) || (!list->is_unsupported && (!is_plain(of) || !is_plain(key))))
        return error_unavailable(error, "unexpected reply: %s without parameter, name and key",
                                 list->name);
    struct api_object_parameter *parameter = &object->parameters[object->parameters_count++];
    parameter->name = keep(object, json_string_value(name));
    parameter->kind = list->kind;
    if (list->is_unsupported) {
        parameter->unsupported = list->name;
        return true;
    }
    parameter->object = keep(object, json_string_value(of));
    parameter->key = keep(object, json_string_value(key));
    return true;
}

static bool read_parameters(const json_t *spec, const struct parameter_list *list,
                            struct api_object *object, struct error *error)
{
    const json_t *items = json_object_get(spec, list->name);
    for (size_t i = 0; i < json_array_size(items); i++)
        if (!read_parameter(json_array_get(items, i), list, object, error))
            return false;
    return true;
}

/* NULL: none. The caller frees it. */
static char *read_unsupported(const json_t *spec)
{
    enum { MAX_SECTION_BYTES = 64 };
    const char *section;
    json_t *value;
    if (credentials_has_identity(
            json_member_string(json_object_get(spec, "podIdentity"), "provider")))
        return text_copy("podIdentity");
    json_object_foreach((json_t *)spec, section, value) {
        bool is_empty = json_is_null(value) ||
                        (json_is_array(value) && json_array_size(value) == 0) ||
                        (json_is_string(value) && json_string_length(value) == 0);
        if (!is_empty && !credentials_knows_section(section))
            return text_copy_bytes(section, text_cut(section, MAX_SECTION_BYTES));
    }
    return NULL;
}

static bool read_authentication(const json_t *spec, struct api_object *object, struct error *error)
{
    static const struct parameter_list lists[] = {
        {"secretTargetRef", .kind = OBJECT_SECRET},
        {"configMapTargetRef", .kind = OBJECT_CONFIG_MAP},
        {"env", .is_unsupported = true},
    };
    object->unsupported = read_unsupported(spec);
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        count += json_array_size(json_object_get(spec, lists[i].name));
    if (count > MAX_PARAMETERS)
        return error_unavailable(error, "has more than %d parameters", MAX_PARAMETERS);
    object->parameters = keep_array(object, count, sizeof(*object->parameters));
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        if (!read_parameters(spec, &lists[i], object, error))
            return false;
    return true;
}

/* ---- Secrets and ConfigMaps ---- */

/* A value with a NUL in it is none that a connection could use: the key counts as missing. */
static char *decode(enum api_object_kind kind, const json_t *value)
{
    size_t length = 0;
    if (!is_plain(value))
        return NULL;
    if (kind == OBJECT_CONFIG_MAP)
        return text_copy(json_string_value(value));
    char *text = base64_decode(json_string_value(value), &length);
    if (text != NULL && strlen(text) == length)
        return text;
    free(text);
    return NULL;
}

static bool read_data(const json_t *json, enum api_object_kind kind, struct api_object *object,
                      struct error *error)
{
    const json_t *data = json_object_get(json, "data");
    const char *key;
    json_t *value;
    size_t bytes = 0;
    json_object_foreach((json_t *)data, key, value)
        bytes += strlen(key) + json_string_length(value);
    if (bytes > LARGEST_DATA)
        return error_unavailable(error, "has %zu bytes of data: at most %d are allowed", bytes,
                                 LARGEST_DATA);
    object->data = keep_array(object, json_object_size(data), sizeof(*object->data));
    json_object_foreach((json_t *)data, key, value) {
        char *text = decode(kind, value);
        object->bytes += text_heap_bytes(text);
        if (text != NULL)
            object->data[object->data_count++] = (struct option_entry){keep(object, key), text};
    }
    api_object_sort(object->data, object->data_count);
    return true;
}

/* ---- the whole ---- */

static bool read_object(enum api_object_kind kind, const json_t *json, struct api_object *object,
                        struct error *error)
{
    const json_t *spec = json_object_get(json, "spec");
    const json_t *status = json_object_get(json, "status");
    switch (kind) {
    case OBJECT_SCALED_OBJECT:
        read_hpa_of(spec, status, object);
        return read_triggers(spec, object, error);
    case OBJECT_HPA:
        return read_replicas(status, object, error);
    case OBJECT_SCALED_JOB:
        return read_triggers(spec, object, error);
    case OBJECT_TRIGGER_AUTHENTICATION:
    case OBJECT_CLUSTER_TRIGGER_AUTHENTICATION:
        return read_authentication(spec, object, error);
    default:
        return read_data(json, kind, object, error);
    }
}

static bool is_it(enum api_object_kind kind, const json_t *json, const char *namespace,
                  const char *name)
{
    const json_t *metadata = json_object_get(json, "metadata");
    return text_equal(json_member_string(metadata, "name"), name) &&
           (kind == OBJECT_CLUSTER_TRIGGER_AUTHENTICATION ||
            text_equal(json_member_string(metadata, "namespace"), namespace));
}

static json_t *load(const char *text, size_t length)
{
    return json_text_tree((struct json_text){text, length}, 0, MAX_TREE_BYTES);
}

struct api_object *api_object_parse(enum api_object_kind kind, const char *namespace,
                                    const char *name, const char *text, size_t length,
                                    struct error *error)
{
    _cleanup_(json_done) json_t *json = load(text, length);
    if (json == NULL) { /* never the text: it may have secrets in it */
        error_unavailable(error, "unexpected reply: not JSON, or too many values in it");
        return NULL;
    }
    if (!is_it(kind, json, namespace, name)) {
        error_unavailable(error, "unexpected reply: another object");
        return NULL;
    }
    struct api_object *object = memory_new(sizeof(*object));
    object->bytes = memory_heap_bytes(sizeof(*object));
    object->revision = api_object_revision(kind, json_object_get(json, "metadata"));
    if (read_object(kind, json, object, error))
        return object;
    api_object_free(object);
    return NULL;
}

bool api_object_is_absent(const char *name, const char *text, size_t length)
{
    _cleanup_(json_done) json_t *status = load(text, length);
    const json_t *details = json_object_get(status, "details");
    return text_equal(json_member_string(status, "reason"), "NotFound") &&
           text_equal(json_member_string(details, "name"), name);
}

void api_object_free(struct api_object *object)
{
    if (object == NULL)
        return;
    for (size_t i = 0; i < object->triggers_count; i++) {
        option_entries_free(object->triggers[i].metadata, object->triggers[i].metadata_count);
        free(object->triggers[i].authentication);
    }
    for (size_t i = 0; i < object->parameters_count; i++) {
        free(object->parameters[i].name);
        free(object->parameters[i].object);
        free(object->parameters[i].key);
    }
    option_entries_free(object->data, object->data_count);
    free(object->unsupported);
    free(object->hpa);
    free(object->triggers);
    free(object->parameters);
    free(object->revision);
    free(object);
}
