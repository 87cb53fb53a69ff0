#include "manifest/checks/check.h"

#include "base/memory.h"
#include "config/credentials.h"
#include "config/kubernetes_name.h"
#include "config/value.h"
#include "manifest/authentication.h"
#include "manifest/builtin.h"
#include "manifest/checks/move_check.h"
#include "manifest/checks/relations.h"
#include "manifest/checks/strategy.h"
#include "manifest/checks/trigger_check.h"
#include "manifest/secrets.h"
#include "model/scaled_object.h"
#include "scale/connections/named_connections.h"
#include "scale/metadata/general.h"
#include "scale/table/triggers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct checker {
    const struct check_settings *settings;
    const struct manifests *manifests;
    struct connections *connections;
    struct findings *findings;
    struct check_counts counts;
};

/* "trigger 0 (kafka): ", or its name. The caller frees it. */
static char *prefix_of(const struct yaml_tree *trigger, size_t index)
{
    const char *name = yaml_tree_text(trigger, "name");
    const char *type = yaml_tree_text(trigger, "type");
    if (name != NULL)
        return text_format("trigger \"%s\": ", name);
    return text_format("trigger %zu (%s): ", index, type == NULL ? "no type" : type);
}

/* ---- texts that are none ---- */

/* Kubernetes reads YAML 1.1, and KEDA's metadata are texts: the API server refuses anything else.
 */
static bool is_text_for_kubernetes(const struct yaml_tree *item)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "y", "n"};
    if (item->kind != YAML_TREE_TEXT || !item->is_plain)
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strcasecmp(item->text, words[i]) == 0)
            return false;
    char *end = NULL;
    strtod(item->text, &end);
    bool is_number = end != item->text && *end == '\0' && strpbrk(item->text, "nN") == NULL;
    return !is_number;
}

static bool is_repeated(const struct yaml_tree *map, size_t key)
{
    for (size_t before = 0; before < key; before++)
        if (text_equal(map->keys[before], map->keys[key]))
            return true;
    return false;
}

static void check_texts(const struct checker *checker, const struct manifest_object *object,
                        const struct yaml_tree *metadata, const char *prefix)
{
    for (size_t i = 0; i < metadata->count; i++) {
        const struct yaml_tree *item = metadata->items[i];
        const struct finding_place place = manifest_place(object, metadata->key_spans[i].line);
        if (item->kind == YAML_TREE_LIST || item->kind == YAML_TREE_MAP)
            finding_add(checker->findings, &place, FINDING_ERROR, "%s%s must be a single value",
                        prefix, metadata->keys[i]);
        else if (!is_text_for_kubernetes(item))
            finding_add(checker->findings, &place, FINDING_ERROR,
                        "%s%s: Kubernetes takes texts only: write the value in quotes", prefix,
                        metadata->keys[i]);
        if (is_repeated(metadata, i))
            finding_add(checker->findings, &place, FINDING_ERROR, "%s%s is given twice", prefix,
                        metadata->keys[i]);
    }
}

/* ---- triggers of type external ---- */

/* One that KEDA, or the server, reads. */
static void check_secret(const struct checker *checker, const struct manifest_object *object,
                         const struct authentication *authentication,
                         const struct authentication_parameter *parameter,
                         const struct finding_place *place, const char *prefix)
{
    _cleanup_(error_done) struct error error = {0};
    char *value = NULL;
    if (parameter->source != PARAMETER_SECRET)
        return;
    if (secret_find(checker->manifests, object->namespace, authentication, parameter, &value,
                    &error) == SECRET_WRONG)
        finding_add(checker->findings, place, FINDING_ERROR, "%s%s", prefix, error_text(&error));
    free(value);
}

static const char *kind_of(const struct authentication *read)
{
    return read->is_cluster_wide ? "ClusterTriggerAuthentication" : "TriggerAuthentication";
}

static void check_name(const struct checker *checker, const struct authentication *read,
                       const struct finding_place *place, const char *prefix)
{
    if (read->name != NULL && !kubernetes_name_is_valid(read->name))
        finding_add(checker->findings, place, FINDING_ERROR, "%s\"%.*s\" is not the name of a %s",
                    prefix, (int)text_cut(read->name, 64), read->name, kind_of(read));
    else if (read->name != NULL && read->object == NULL)
        finding_add(checker->findings, place, FINDING_NOTE,
                    "%s%s %s is in none of the files: not checked", prefix, kind_of(read),
                    read->name);
}

/* The server looks for the name in the object, where a variable has no value. */
static void check_variable_authentication(const struct checker *checker,
                                          const struct manifest_object *object,
                                          const struct entries *entries, const char *prefix)
{
    static const char *const keys[] = {CREDENTIALS_KEY, CREDENTIALS_CLUSTER_KEY};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        const struct entry *given = entries_find_given(entries, keys[i]);
        if (given == NULL || !option_is_variable(given->key))
            continue;
        const struct finding_place place = manifest_place(object, given->line);
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "%s%s names no authentication: write its name in %s", prefix, given->key,
                    keys[i]);
    }
}

/* triggerAuthentication or clusterTriggerAuthentication, which a server with --kubernetes reads. */
static void check_named_authentication(const struct checker *checker,
                                       const struct manifest_object *object,
                                       const struct yaml_tree *trigger,
                                       const struct entries *entries, const char *prefix)
{
    struct authentication read;
    authentication_read_of_source(checker->manifests, object->namespace, trigger, &read);
    if (read.ref == NULL || read.ref == yaml_tree_find(trigger, "authenticationRef"))
        return;
    const struct finding_place place = manifest_place(object, read.ref->line);
    const char *key = read.is_cluster_wide ? CREDENTIALS_CLUSTER_KEY : CREDENTIALS_KEY;
    const struct yaml_tree *metadata = yaml_tree_find(trigger, "metadata");
    const char *other = NULL;
    if (entries_find_given(entries, "connectionName") != NULL)
        other = "connectionName";
    else if (!read.is_cluster_wide && yaml_tree_find(metadata, CREDENTIALS_CLUSTER_KEY) != NULL)
        other = CREDENTIALS_CLUSTER_KEY;
    if (other != NULL)
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "%s%s and %s exclude each other: remove one of them", prefix, key, other);
    if (!checker->settings->has_kubernetes &&
        (read.name == NULL || kubernetes_name_is_valid(read.name))) {
        finding_add(checker->findings, &place, FINDING_WARNING,
                    "%sonly a server with kubernetes.enabled reads %s (check it with --kubernetes)",
                    prefix, key);
        return;
    }
    check_name(checker, &read, &place, prefix);
    for (size_t i = 0; i < read.count; i++)
        check_secret(checker, object, &read, &read.parameters[i], &place, prefix);
}

/* What a server with --kubernetes refuses at each call: the authentication, or it beside the
 * metadata. */
static void check_credentials(const struct checker *checker, const struct manifest_object *object,
                              const struct yaml_tree *trigger, const struct scaler *scaler,
                              const struct entries *entries, const char *prefix)
{
    _cleanup_(error_done) struct error reasons = {0};
    struct builtin own;
    if (!checker->settings->has_kubernetes || scaler == NULL ||
        entries_find_given(entries, "connectionName") != NULL)
        return;
    builtin_read_credentials(scaler, checker->manifests, object->namespace, trigger, entries, &own);
    if (own.authentication.object != NULL && !builtin_can_move(&own, &reasons)) {
        const struct finding_place place = manifest_place(object, own.authentication.ref->line);
        finding_add(checker->findings, &place, FINDING_ERROR, "%s%s", prefix, error_text(&reasons));
    }
    builtin_done(&own);
}

/* KEDA uses three keys of it, for its channel to us, and forwards none. A server with --kubernetes
 * reads them. */
static void check_authentication(const struct checker *checker,
                                 const struct manifest_object *object,
                                 const struct yaml_tree *trigger, const char *prefix)
{
    struct authentication read;
    authentication_read(checker->manifests, object->namespace, trigger, &read);
    const struct finding_place place =
        manifest_place(object, read.ref == NULL ? trigger->line : read.ref->line);
    check_name(checker, &read, &place, prefix);
    for (size_t i = 0; i < read.count; i++) {
        const char *name = read.parameters[i].name;
        if (checker->settings->has_kubernetes || text_equal(name, "caCert") ||
            text_equal(name, "tlsClientCert") || text_equal(name, "tlsClientKey")) {
            check_secret(checker, object, &read, &read.parameters[i], &place, prefix);
            continue;
        }
        finding_add(checker->findings, &place, FINDING_WARNING,
                    "%sKEDA does not forward %s of TriggerAuthentication %s to an external scaler: "
                    "put it into a connection, and set connectionName; or let the server read it "
                    "(kubernetes.enabled), and check with --kubernetes",
                    prefix, name, read.name);
    }
}

/* Without TLS it is not for KEDA's connection to the server. */
static bool has_authentication(const struct yaml_tree *trigger, const struct yaml_tree *metadata)
{
    const char *name = yaml_tree_text(trigger, "authenticationRef.name");
    return yaml_tree_text(metadata, CREDENTIALS_KEY) != NULL ||
           yaml_tree_text(metadata, CREDENTIALS_CLUSTER_KEY) != NULL ||
           (name != NULL && name[0] != '\0' && !channel_has_tls(metadata));
}

/* What says for the source what enableTLS says for KEDA's calls. */
static const char *tls_of_source(const struct scaler *scaler)
{
    return option_find(scaler->options, "tls", OPTION_FROM_TRIGGER) != NULL
               ? "remove it, and set tls: enable"
           : option_find(scaler->options, "sslmode", OPTION_FROM_TRIGGER) != NULL
               ? "remove it, and set sslmode"
               : "remove it, and write the address with https://";
}

/* KEDA's scalers of a source read enableTLS for it. Whoever moves such a trigger by hand makes KEDA
 * speak TLS to Backlog, as a rule without the authority that signed Backlog's certificate. */
static void check_channel(const struct checker *checker, const struct manifest_object *object,
                          const struct yaml_tree *trigger, const struct scaler *scaler,
                          const char *prefix)
{
    static const char *const known_by[] = {"authenticationRef.name", "metadata.caCert",
                                           "metadata.tlsCertFile", "metadata.unsafeSsl"};
    const struct yaml_tree *metadata = yaml_tree_find(trigger, "metadata");
    const struct yaml_tree *given = yaml_tree_find(metadata, "enableTLS");
    if (!channel_has_tls(metadata))
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(known_by); i++)
        if (yaml_tree_text(trigger, known_by[i]) != NULL)
            return;
    const struct finding_place place = manifest_place(object, given->line);
    finding_add(checker->findings, &place, FINDING_WARNING,
                "%senableTLS makes KEDA call Backlog with TLS: without authenticationRef it fails, "
                "unless Backlog has a public certificate; if the source is meant, %s",
                prefix, tls_of_source(scaler));
}

/* The parameters of an authentication that is in the files: whether it is. */
static bool add_parameters(const struct checker *checker, const struct manifest_object *object,
                           const struct yaml_tree *trigger, const struct scaler *scaler,
                           struct entries *entries)
{
    _cleanup_(error_done) struct error reported = {0}; /* by check_credentials() */
    struct builtin own;
    if (!checker->settings->has_kubernetes || scaler == NULL ||
        entries_find_given(entries, "connectionName") != NULL)
        return false;
    builtin_read_credentials(scaler, checker->manifests, object->namespace, trigger, entries, &own);
    bool is_here = own.authentication.object != NULL && builtin_can_move(&own, &reported) &&
                   !error_is_set(&own.missing);
    secrets_fill_in(checker->manifests, object->namespace, &own, &reported);
    if (is_here) {
        entries_remove(entries, CREDENTIALS_KEY);
        entries_remove(entries, CREDENTIALS_CLUSTER_KEY);
    }
    for (size_t i = 0; is_here && i < own.entries.count; i++) {
        entries_remove(entries, own.entries.items[i].key); /* a blank one */
        entries_add(entries, own.entries.items[i].key, own.entries.items[i].value,
                    own.authentication.ref->line);
    }
    builtin_done(&own);
    return is_here;
}

/* What is only known where it runs, and so left out of all rules. */
static void list_unknown(const struct checker *checker, const struct finding_place *place,
                         const struct scaler *scaler, const struct entries *entries,
                         const char *prefix)
{
    _cleanup_(memory_free) char *keys = entries_unknown_keys(entries, scaler->options);
    if (keys[0] != '\0')
        finding_add(checker->findings, place, FINDING_NOTE,
                    "%snot checked, as only the worker has the value: %s", prefix, keys);
}

static void check_external(struct checker *checker, const struct manifest_object *object,
                           const struct yaml_tree *trigger, const char *prefix)
{
    const struct yaml_tree *metadata = yaml_tree_find(trigger, "metadata");
    const struct finding_place place = manifest_place(object, trigger->line);
    if (metadata == NULL || metadata->kind != YAML_TREE_MAP) {
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "%smetadata is missing: scalerAddress, scaler and the keys of that scaler",
                    prefix);
        return;
    }
    if (metadata->count > OPTION_MAX_KEYS) {
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "%smetadata has %zu keys: the server accepts at most %d", prefix,
                    metadata->count, OPTION_MAX_KEYS);
        return;
    }
    _cleanup_(entries_done) struct entries entries = {0};
    const struct scaler *scaler =
        scaler_find(checker->settings->scalers, yaml_tree_text(metadata, "scaler"));
    entries_read(metadata, scaler == NULL ? general_table : scaler->options, &entries);
    check_texts(checker, object, metadata, prefix);
    if (yaml_tree_text(metadata, "scalerAddress") == NULL)
        finding_add(
            checker->findings, &place, FINDING_ERROR,
            "%sscalerAddress is missing: where the server is, such as backlog.keda.svc:9090",
            prefix);
    _cleanup_(entries_done) struct entries whole = {0};
    entries_read(metadata, scaler == NULL ? general_table : scaler->options, &whole);
    bool is_whole = add_parameters(checker, object, trigger, scaler, &whole);
    const struct trigger_check check = {
        .scalers = checker->settings->scalers,
        .connections = checker->connections,
        .name = object->name,
        .namespace = object->namespace,
        .place = manifest_place(object, metadata->line),
        .prefix = prefix,
        .level = FINDING_ERROR,
        .has_authentication = !is_whole && has_authentication(trigger, metadata),
    };
    trigger_check(&check, &whole, checker->findings);
    check_authentication(checker, object, trigger, prefix);
    check_variable_authentication(checker, object, &entries, prefix);
    check_named_authentication(checker, object, trigger, &entries, prefix);
    check_credentials(checker, object, trigger, scaler, &entries, prefix);
    relations_check(object, trigger, &entries, prefix, checker->findings);
    if (scaler == NULL)
        return;
    check_channel(checker, object, trigger, scaler, prefix);
    strategy_check(object, trigger, scaler, &entries, prefix, checker->findings);
    list_unknown(checker, &check.place, scaler, &entries, prefix);
}

/* ---- triggers of KEDA's own types ---- */

static char *changes_of(const struct builtin *builtin)
{
    struct text text = {0};
    for (size_t i = 0; i < builtin->metadata->count; i++)
        if (builtin->keys[i].action == BUILTIN_RENAME)
            text_addf(&text, "; %s becomes %s", builtin->metadata->keys[i], builtin->keys[i].name);
    if (builtin->authentication.name != NULL)
        text_addf(&text, "; a server with --kubernetes reads %s", builtin->authentication.name);
    return text_take(&text);
}

static void check_secrets(const struct checker *checker, const struct manifest_object *object,
                          const struct yaml_tree *trigger, struct builtin *builtin,
                          const char *prefix)
{
    _cleanup_(error_done) struct error missing = {0};
    const struct finding_place place = manifest_place(object, trigger->line);
    secrets_fill_in(checker->manifests, object->namespace, builtin, &missing);
    if (error_is_set(&missing))
        finding_add(checker->findings, &place, FINDING_ERROR, "%s%s", prefix, error_text(&missing));
}

/* Can it be moved, and with which changes? */
static void check_move(struct checker *checker, const struct manifest_object *object,
                       const struct yaml_tree *trigger, const struct builtin *builtin,
                       const char *prefix)
{
    _cleanup_(findings_done) struct findings reasons = {0};
    const struct finding_place place = manifest_place(object, trigger->line);
    const struct move_check check = {.scalers = checker->settings->scalers,
                                     .file = object->file,
                                     .trigger = trigger,
                                     .name = object->name,
                                     .label = object->label,
                                     .namespace = object->namespace};
    bool has_scaler = builtin->scaler != NULL;
    if (move_check(&check, builtin, &reasons)) {
        _cleanup_(memory_free) char *changes = changes_of(builtin);
        finding_add(checker->findings, &place, FINDING_NOTE,
                    "%s`backlog migrate` can move it: scaler %s, and every key stays%s", prefix,
                    builtin->type, changes);
        checker->counts.movable++;
    }
    for (size_t i = 0; i < reasons.count; i++) {
        const struct finding_place of_reason = manifest_place(object, reasons.items[i].line);
        finding_add(checker->findings, &of_reason, has_scaler ? FINDING_WARNING : FINDING_NOTE,
                    "%s%s: %s", prefix,
                    has_scaler ? "cannot be moved to Backlog as it is" : "stays with KEDA",
                    reasons.items[i].text);
    }
}

static void check_builtin(struct checker *checker, const struct manifest_object *object,
                          const struct yaml_tree *trigger, const char *prefix)
{
    struct builtin builtin;
    builtin_read(checker->settings->scalers, checker->manifests, object->namespace, trigger,
                 &builtin);
    if (builtin.metadata != NULL)
        check_texts(checker, object, builtin.metadata, prefix);
    check_secrets(checker, object, trigger, &builtin, prefix);
    check_move(checker, object, trigger, &builtin, prefix);
    if (builtin.scaler != NULL && builtin.metadata != NULL) {
        const struct finding_place place = manifest_place(object, builtin.metadata->line);
        strategy_check(object, trigger, builtin.scaler, &builtin.entries, prefix,
                       checker->findings);
        list_unknown(checker, &place, builtin.scaler, &builtin.entries, prefix);
    }
    builtin_done(&builtin);
}

/* ---- objects ---- */

static void check_trigger(struct checker *checker, const struct manifest_object *object,
                          const struct yaml_tree *trigger, size_t index)
{
    const char *type = yaml_tree_text(trigger, "type");
    _cleanup_(memory_free) char *prefix = prefix_of(trigger, index);
    const struct finding_place place = manifest_place(object, trigger->line);
    checker->counts.triggers++;
    if (type == NULL)
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "%stype is missing, such as external-push", prefix);
    else if (builtin_is_external(type))
        check_external(checker, object, trigger, prefix);
    else
        check_builtin(checker, object, trigger, prefix);
}

/* A type that is missing is reported by check_trigger(). */
static bool can_be_read(const struct yaml_tree *triggers)
{
    size_t sources = 0;
    for (size_t i = 0; i < triggers->count; i++) {
        const char *type = yaml_tree_text(triggers->items[i], "type");
        if (type == NULL)
            return false;
        sources += scaled_object_has_source(type);
    }
    return sources > 0;
}

/* The numbers of the spec, as the model reads them. */
static void check_spec(const struct checker *checker, const struct manifest_object *object,
                       const struct yaml_tree *triggers)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(scaled_object_done) struct scaled_object read = {0};
    const struct yaml_tree *modifiers =
        yaml_tree_find(object->tree, "spec.advanced.scalingModifiers");
    if (modifiers != NULL && modifiers->count > 0) {
        const struct finding_place place = manifest_place(object, modifiers->line);
        finding_add(
            checker->findings, &place, FINDING_NOTE,
            "scalingModifiers: KEDA combines the triggers; the replicas cannot be calculated here");
        return;
    }
    if (!can_be_read(triggers) ||
        scaled_object_read(object->tree, object->file->path, &read, &error))
        return;
    _cleanup_(findings_done) struct findings found = {0};
    manifest_add_error(&found, object->file->path, &error);
    const struct finding_place place = manifest_place(object, found.items[0].line);
    finding_add(checker->findings, &place, FINDING_ERROR, "%s", found.items[0].text);
}

static void check_object(struct checker *checker, const struct manifest_object *object)
{
    const struct yaml_tree *triggers = manifest_triggers(object);
    const struct finding_place place = manifest_place(object, object->tree->line);
    checker->counts.objects++;
    if (object->name[0] == '\0')
        finding_add(checker->findings, &place, FINDING_ERROR, "metadata.name is missing");
    if (triggers == NULL || triggers->count == 0) {
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "spec.triggers is missing: a list of triggers");
        return;
    }
    if (object->kind == MANIFEST_SCALED_OBJECT && object->name[0] != '\0')
        check_spec(checker, object, triggers);
    if (object->kind == MANIFEST_SCALED_JOB)
        strategy_check_rollout(yaml_tree_find(object->tree, "spec"), object->file->is_template,
                               &place, checker->findings);
    for (size_t i = 0; i < triggers->count; i++)
        check_trigger(checker, object, triggers->items[i], i);
}

static int by_name(const void *left, const void *right)
{
    const struct manifest_object *one = *(const struct manifest_object *const *)left;
    const struct manifest_object *other = *(const struct manifest_object *const *)right;
    int order = one->kind != other->kind ? (int)one->kind - (int)other->kind
                                         : strcmp(one->label, other->label);
    /* Objects are in the order of the files. */
    return order != 0 ? order : one < other ? -1 : one > other;
}

/* Within one file: files of overlays repeat each other's objects. */
static void check_repeated(const struct checker *checker)
{
    const struct manifests *manifests = checker->manifests;
    _cleanup_(memory_free) const struct manifest_object **sorted =
        memory_array(manifests->object_count + 1, sizeof(struct manifest_object *));
    size_t count = 0;
    for (size_t i = 0; i < manifests->object_count; i++)
        if (manifest_scales(&manifests->objects[i]) && manifests->objects[i].name[0] != '\0')
            sorted[count++] = &manifests->objects[i];
    qsort(sorted, count, sizeof(struct manifest_object *), by_name);
    for (size_t i = 1; i < count; i++) {
        const struct manifest_object *before = sorted[i - 1];
        const struct finding_place place = manifest_place(sorted[i], sorted[i]->tree->line);
        if (before->file == sorted[i]->file && before->kind == sorted[i]->kind &&
            text_equal(before->label, sorted[i]->label))
            finding_add(checker->findings, &place, FINDING_WARNING,
                        "also in line %zu of this file: the last one replaces the others",
                        before->tree->line);
    }
}

void manifests_check(const struct check_settings *settings, const struct manifests *manifests,
                     struct connections *connections, struct findings *findings,
                     struct check_counts *ret_counts)
{
    struct checker checker = {settings, manifests, connections, findings, {0}};
    for (size_t i = 0; i < manifests->object_count; i++)
        if (manifest_scales(&manifests->objects[i]))
            check_object(&checker, &manifests->objects[i]);
    check_repeated(&checker);
    *ret_counts = checker.counts;
}
