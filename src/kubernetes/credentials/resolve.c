#include "kubernetes/credentials/resolve.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/kubernetes_name.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_SHOWN = 64 };

/* Of the values of one trigger: an authority, a certificate, a key. The server's loop parses them
 * whenever they change. */
enum { MAX_CREDENTIALS = 64 << 10 };

/* Which authentication a trigger has. */
struct named_authentication {
    const char *name; /* NULL: none */
    bool is_cluster_wide;
};

/* A resolution: what it looks at, and what comes of it. */
struct resolution {
    const struct resolve_call *call;
    resolve_find *find;
    void *context;
    struct credentials *credentials;
    const struct option **rows; /* of the authentication's parameters so far */
    size_t rows_count;
    size_t values_bytes;
    bool is_waiting;
    bool is_mismatch;
    struct hpa_facts hpa;
};

/* ---- is it one of the object's triggers? ---- */

/* Both are sorted. A call may leave a variable out, and have any value of one. */
static bool has_metadata(const struct api_object_trigger *trigger, const struct resolve_call *call)
{
    size_t sent = 0;
    for (size_t i = 0; i < trigger->metadata_count; i++) {
        const struct option_entry *entry = &trigger->metadata[i];
        const struct option_entry *other = sent < call->count ? &call->entries[sent] : NULL;
        bool is_sent = other != NULL && strcmp(other->key, entry->key) == 0;
        bool is_variable = option_is_variable(entry->key);
        if (!is_variable && (!is_sent || strcmp(other->value, entry->value) != 0))
            return false;
        sent += is_sent;
    }
    return sent == call->count;
}

/* What a call leaves out may steer as well as what it has: `tlsFromEnv`. */
static void add_omitted(const struct api_object_trigger *trigger, const struct resolve_call *call,
                        struct credentials *credentials)
{
    for (size_t i = 0; i < trigger->metadata_count; i++)
        if (api_object_value(call->entries, call->count, trigger->metadata[i].key) == NULL)
            credentials_add_omitted(credentials, trigger->metadata[i].key);
}

/* What the metadata names wins: with mTLS authenticationRef is for KEDA's channel to us. */
static struct named_authentication authentication_of(const struct api_object_trigger *trigger)
{
    const char *own = api_object_value(trigger->metadata, trigger->metadata_count, CREDENTIALS_KEY);
    const char *cluster =
        api_object_value(trigger->metadata, trigger->metadata_count, CREDENTIALS_CLUSTER_KEY);
    if (own != NULL)
        return (struct named_authentication){own, false};
    if (cluster != NULL)
        return (struct named_authentication){cluster, true};
    return (struct named_authentication){trigger->authentication, trigger->is_cluster_wide};
}

static bool is_same(struct named_authentication one, struct named_authentication other)
{
    return text_equal(one.name, other.name) && one.is_cluster_wide == other.is_cluster_wide;
}

/* Looks an object up. NULL: it is absent, or it waits, or it failed with `error` set. */
static const struct api_object *look_up(struct resolution *resolution, enum api_object_kind kind,
                                        const char *namespace, const char *name,
                                        struct error *error)
{
    if (namespace != NULL && !kubernetes_name_is_namespace(namespace)) {
        error_invalid(error, "\"%.*s\" is not the name of a namespace",
                      (int)text_cut(namespace, LONGEST_SHOWN), namespace);
        return NULL;
    }
    if (!kubernetes_name_is_valid(name)) {
        error_invalid(error, "\"%.*s\" is not the name of a %s", (int)text_cut(name, LONGEST_SHOWN),
                      name, api_object_kind_name(kind));
        return NULL;
    }
    struct informer_view known = resolution->find(resolution->context, kind, namespace, name);
    if (known.is_read)
        return known.object;
    _cleanup_(memory_free) char *label = api_object_label(kind, namespace, name);
    if (known.failure == NULL)
        resolution->is_waiting = true;
    else
        error_unavailable(error, "%s cannot be read: %s", label, error_text(known.failure));
    return NULL;
}

static bool find_match(const struct api_object *object, const struct resolve_call *call,
                       const struct api_object_trigger **match, struct error *error)
{
    uint64_t fingerprint = api_object_fingerprint(call->entries, call->count);
    for (size_t i = 0; object != NULL && i < object->triggers_count; i++) {
        const struct api_object_trigger *trigger = &object->triggers[i];
        if (trigger->fingerprint != fingerprint)
            continue;
        bool is_repeated =
            *match != NULL && is_same(authentication_of(*match), authentication_of(trigger));
        if (is_repeated || !has_metadata(trigger, call))
            continue;
        if (*match != NULL)
            return error_invalid(error,
                                 "%s/%s has triggers with equal metadata and different "
                                 "authentications, which a call cannot tell apart: add a key that "
                                 "differs, such as interval",
                                 call->namespace, call->name);
        *match = trigger;
    }
    return true;
}

/* Credentials do not depend on it: without the HPA only its replicas are unknown. */
static void read_hpa(struct resolution *resolution, const struct api_object *scaled)
{
    const char *namespace = resolution->call->namespace;
    resolution->hpa.down_window_ms = scaled->down_window_ms;
    /* A formula makes another value of the trigger's: its replicas are not those of the HPA. */
    if (!resolution->call->reads_hpa || scaled->has_formula ||
        !kubernetes_name_is_valid(scaled->hpa))
        return;
    struct informer_view known =
        resolution->find(resolution->context, OBJECT_HPA, namespace, scaled->hpa);
    if (known.object == NULL)
        return;
    resolution->hpa.replicas = known.object->replicas;
    resolution->hpa.replicas_at_ms = known.read_ms;
}

/* Both kinds are looked at: a call does not say of which it is. */
static const struct api_object_trigger *find_trigger(struct resolution *resolution,
                                                     struct error *error)
{
    const struct resolve_call *call = resolution->call;
    const struct api_object_trigger *match = NULL;
    const struct api_object *scaled =
        look_up(resolution, OBJECT_SCALED_OBJECT, call->namespace, call->name, error);
    if (error_is_set(error) || !find_match(scaled, call, &match, error))
        return NULL;
    _cleanup_(error_done) struct error unread = {0};
    const struct api_object *job =
        look_up(resolution, OBJECT_SCALED_JOB, call->namespace, call->name, &unread);
    if (match == NULL) /* otherwise it is found, whether ScaledJobs may be read or not */
        error_move(error, &unread);
    if (error_is_set(error) || resolution->is_waiting || !find_match(job, call, &match, error))
        return NULL;
    if (match != NULL) {
        if (scaled != NULL)
            read_hpa(resolution, scaled);
        return match;
    }
    resolution->is_mismatch = scaled != NULL || job != NULL;
    if (resolution->is_mismatch)
        error_set(error, ERROR_DENIED,
                  "no trigger of %s %s/%s has the metadata of this call (--kubernetes)",
                  scaled != NULL ? "ScaledObject" : "ScaledJob", call->namespace, call->name);
    else
        error_set(error, ERROR_DENIED,
                  "there is neither a ScaledObject nor a ScaledJob %s/%s (--kubernetes)",
                  call->namespace, call->name);
    return NULL;
}

/* ---- its authentication ---- */

static bool refuse_source(const struct credentials *credentials, const char *source,
                          const char *parameter, struct error *error)
{
    return error_invalid(error,
                         "%s uses %s%s%s, which Backlog does not have: use secretTargetRef, or "
                         "KEYFromEnv in the trigger's metadata",
                         credentials->authentication, source, parameter[0] == '\0' ? "" : " for ",
                         parameter);
}

/* The value of a parameter. NULL: it waits, or is refused with the error. */
static const char *read_value(struct resolution *resolution, const char *namespace,
                              const struct api_object_parameter *parameter, struct error *error)
{
    const struct credentials *credentials = resolution->credentials;
    if (parameter->unsupported != NULL) {
        refuse_source(credentials, parameter->unsupported, parameter->name, error);
        return NULL;
    }
    const struct api_object *object =
        look_up(resolution, parameter->kind, namespace, parameter->object, error);
    if (error_is_set(error))
        error_prefix(error, "%s", credentials->authentication);
    if (error_is_set(error) || resolution->is_waiting)
        return NULL;
    const char *value =
        object == NULL ? NULL : api_object_value(object->data, object->data_count, parameter->key);
    if (value == NULL)
        error_invalid(error, "%s: %s %s/%s %s%.*s", credentials->authentication,
                      api_object_kind_name(parameter->kind), namespace, parameter->object,
                      object == NULL ? "does not exist; it should have the key "
                                     : "has no text under the key ",
                      (int)text_cut(parameter->key, LONGEST_SHOWN), parameter->key);
    return value;
}

/* May the authentication give the key a value? */
static bool check_row(const struct resolution *resolution, const struct option *row,
                      struct error *error)
{
    const char *authentication = resolution->credentials->authentication;
    if (!credentials_check_row(authentication, row, error))
        return false;
    for (size_t i = 0; i < resolution->rows_count; i++)
        if (resolution->rows[i] == row)
            return error_invalid(error, "%s has %s twice", authentication, row->key);
    return true;
}

/* False: it is refused. */
static bool add_parameter(struct resolution *resolution, const char *namespace,
                          const struct api_object_parameter *parameter, struct error *error)
{
    struct credentials *credentials = resolution->credentials;
    const struct option *row =
        option_find(resolution->call->table, parameter->name, OPTION_FROM_FILE);
    if (row == NULL)
        return true; /* KEDA passes it over, too; caCert is for its channel to us */
    if (!check_row(resolution, row, error))
        return false;
    resolution->rows[resolution->rows_count++] = row;
    const char *value = read_value(resolution, namespace, parameter, error);
    if (value == NULL)
        return !error_is_set(error);
    resolution->values_bytes += strlen(value);
    if (resolution->values_bytes > MAX_CREDENTIALS)
        return error_invalid(
            error, "%s: with %s its values have %zu bytes: at most %d are allowed in all",
            credentials->authentication, row->key, resolution->values_bytes, MAX_CREDENTIALS);
    credentials_add(credentials, row->key, value);
    return true;
}

static bool check_names(const struct api_object_trigger *trigger, struct error *error)
{
    bool has_own =
        api_object_value(trigger->metadata, trigger->metadata_count, CREDENTIALS_KEY) != NULL;
    bool has_cluster = api_object_value(trigger->metadata, trigger->metadata_count,
                                        CREDENTIALS_CLUSTER_KEY) != NULL;
    if (has_own && has_cluster)
        return error_invalid(error, "%s and %s exclude each other: remove one of them",
                             CREDENTIALS_KEY, CREDENTIALS_CLUSTER_KEY);
    return true;
}

/* False: it waits, or is refused with the error. */
static bool read_authentication(struct resolution *resolution, struct named_authentication named,
                                struct error *error)
{
    const struct resolve_call *call = resolution->call;
    struct credentials *credentials = resolution->credentials;
    enum api_object_kind kind = named.is_cluster_wide ? OBJECT_CLUSTER_TRIGGER_AUTHENTICATION
                                                      : OBJECT_TRIGGER_AUTHENTICATION;
    const char *namespace = named.is_cluster_wide ? call->cluster_namespace : call->namespace;
    const struct api_object *object = look_up(
        resolution, kind, named.is_cluster_wide ? NULL : call->namespace, named.name, error);
    if (error_is_set(error) || resolution->is_waiting)
        return false;
    credentials->authentication = api_object_label(kind, call->namespace, named.name);
    credentials->is_cluster_wide = named.is_cluster_wide;
    credentials->name = text_copy(named.name);
    if (object == NULL)
        return error_invalid(error, "%s does not exist", credentials->authentication);
    if (object->unsupported != NULL)
        return refuse_source(credentials, object->unsupported, "", error);
    _cleanup_(memory_free) const struct option **rows =
        memory_array(option_count(call->table) + 1, sizeof(*rows));
    resolution->rows = rows;
    for (size_t i = 0; i < object->parameters_count; i++) /* what is missing is requested at once */
        if (!add_parameter(resolution, namespace, &object->parameters[i], error))
            return false;
    return !resolution->is_waiting;
}

struct resolved resolve_trigger(const struct resolve_call *call, resolve_find *find, void *context)
{
    struct resolution resolution = {.call = call,
                                    .find = find,
                                    .context = context,
                                    .credentials = credentials_new(),
                                    .hpa = HPA_FACTS_UNKNOWN};
    _cleanup_(error_done) struct error error = {0};
    const struct api_object_trigger *trigger = find_trigger(&resolution, &error);
    bool is_good = trigger != NULL && check_names(trigger, &error);
    struct named_authentication named = {0};
    if (is_good)
        named = authentication_of(trigger);
    if (named.name != NULL && call->table != NULL)
        is_good = read_authentication(&resolution, named, &error);
    if (is_good) {
        add_omitted(trigger, call, resolution.credentials);
        resolution.credentials->state = CREDENTIALS_VERIFIED;
        return (struct resolved){resolution.credentials, resolution.hpa, .has_trigger = true};
    }
    credentials_free(resolution.credentials); /* a part of the values is none */
    struct credentials *credentials = credentials_new();
    credentials->state = error_is_set(&error) ? CREDENTIALS_REFUSED : CREDENTIALS_WAITING;
    error_move(&credentials->failure, &error);
    return (struct resolved){credentials, HPA_FACTS_UNKNOWN, resolution.is_mismatch,
                             trigger != NULL};
}
