#include "commands/fleet.h"

#include "base/json_cleanup.h"
#include "base/memory.h"
#include "cli/console.h"
#include "commands/finding_output.h"
#include "config/kubernetes_name.h"
#include "manifest/builtin.h"
#include "manifest/checks/move_check.h"
#include "manifest/checks/relations.h"
#include "manifest/checks/strategy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_WAVE_PERCENT = 10, MAX_WAVES = 4 };

#define AGENT_MARK "agent "

enum access { ACCESS_NONE, ACCESS_OWN, ACCESS_CLUSTER, ACCESS_WAYS };

static const char *const access_texts[ACCESS_WAYS] = {
    "no TriggerAuthentication", "TriggerAuthentication", "ClusterTriggerAuthentication"};

static const char *const wave_titles[MAX_WAVES] = {
    "one of each scaler: the fewest rights, and the fewest replicas",
    "a tenth of the others",
    "the other ScaledObjects",
    "ScaledJobs: a job that was started too many is not taken back",
};

/* What stops a wave: each is 0 where all is well. */
static const char *const stops[][2] = {
    {"sum(increase({__name__=~\"keda_scaled_(object|job)_errors_total\"}[10m]))",
     "KEDA gets no value, for a trigger that moved or another one"},
    {"sum(increase(backlog_answers_total{result=\"refused\"}[10m]))", "Backlog has none"},
    {"sum(backlog_trigger_credentials{state=\"refused\"})",
     "a call is not of an object, or its authentication cannot be used"},
    {"sum(backlog_held_triggers)", "a source fails, and KEDA gets held values"},
};

/* KEDA counts nothing where it reaches no pod for a ScaledJob. */
static const char triggers_query[] = "max(backlog_triggers)";

/* One object that has something to move. */
struct candidate {
    const struct manifest_object *object;
    const char *type; /* of the first trigger that moves */
    size_t triggers;  /* that move */
    bool lacks_hold;  /* one of them does */
    enum access access;
    int64_t max_replicas; /* below 0: not known */
    size_t wave;          /* from 0 on */
};

struct fleet {
    const struct fleet_settings *settings;
    const struct manifests *manifests;
    struct candidate *items;
    size_t count, capacity;
    size_t objects, moving, staying, external;
    /* Of triggers that can move: */
    char **connections; /* by add_connection() */
    size_t connection_count, connection_capacity;
    json_t *secrets, *config_maps; /* {"shop": ["rabbitmq"]} */
    struct findings warnings;      /* what is to be done before the first wave */
};

/* ---- finding ---- */

static enum access access_of(const struct yaml_tree *trigger)
{
    const struct yaml_tree *ref = yaml_tree_find(trigger, "authenticationRef");
    bool is_cluster_wide = text_equal(yaml_tree_text(ref, "kind"), "ClusterTriggerAuthentication");
    return ref == NULL ? ACCESS_NONE : is_cluster_wide ? ACCESS_CLUSTER : ACCESS_OWN;
}

static void print_staying(const struct fleet *fleet, const struct manifest_object *object,
                          size_t index, const char *type, bool is_meant, const char *reason)
{
    _cleanup_(memory_free) char *label = console_text(object->label);
    _cleanup_(memory_free) char *clean_type = console_text(type);
    _cleanup_(memory_free) char *clean = console_text(reason);
    if (fleet->settings->is_json)
        console_print_json(json_pack("{s:s, s:o, s:I, s:o, s:b, s:o}", "type", "stays", "object",
                                     console_json_text(object->label), "trigger", (json_int_t)index,
                                     "scaler", console_json_text(type), "hasScaler", is_meant,
                                     "reason", console_json_text(reason)));
    else
        printf("stays: %s, trigger %zu (%s): %s\n", label, index, clean_type, clean);
}

/* Files may have any text there, and whoever gets the commands runs them in a shell. */
static bool has_kubernetes_name(const struct manifest_object *object)
{
    return kubernetes_name_is_valid(object->name) &&
           (object->namespace == NULL || kubernetes_name_is_namespace(object->namespace));
}

/* What the connection of a trigger depends on, after its namespace and whether an agent process has
 * it: one for all that are equal, in whatever order their keys are. */
static void add_connection(struct fleet *fleet, const struct manifest_object *object,
                           const struct builtin *builtin)
{
    const struct authentication *own = &builtin->authentication;
    struct text text = {0};
    text_addf(&text, "%s\n%s%s\n%s %s\n", object->namespace == NULL ? "default" : object->namespace,
              builtin->scaler->in_agent ? AGENT_MARK : "", builtin->scaler->name,
              own->is_cluster_wide ? "cluster" : "", own->name == NULL ? "" : own->name);
    for (const struct option *row = builtin->scaler->options; row->key != NULL; row++)
        for (size_t i = 0; i < builtin->metadata->count; i++) {
            const char *value = builtin->metadata->items[i]->text;
            if (row->scope == OPTION_CONNECTION && builtin->keys[i].row == row)
                text_addf(&text, "%s=%s\n", builtin->keys[i].name, value == NULL ? "" : value);
        }
    fleet->connections = memory_grow(fleet->connections, &fleet->connection_capacity,
                                     fleet->connection_count + 1, sizeof(*fleet->connections));
    fleet->connections[fleet->connection_count++] = text_take(&text);
}

static bool has_item(const json_t *list, const char *item)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (text_equal(json_string_value(json_array_get(list, i)), item))
            return true;
    return false;
}

/* What a server with --kubernetes reads for it. */
static void add_secrets(struct fleet *fleet, const struct manifest_object *object,
                        const struct builtin *builtin)
{
    const struct authentication *own = &builtin->authentication;
    const char *namespace = own->is_cluster_wide        ? fleet->manifests->cluster_namespace
                            : object->namespace == NULL ? "default"
                                                        : object->namespace;
    for (size_t i = 0; i < own->count; i++) {
        const struct authentication_parameter *parameter = &own->parameters[i];
        json_t *all = parameter->source == PARAMETER_SECRET ? fleet->secrets : fleet->config_maps;
        if (parameter->source == PARAMETER_VARIABLE ||
            builtin_parameter(builtin, parameter->name) == NULL)
            continue;
        if (json_object_get(all, namespace) == NULL)
            json_object_set_new(all, namespace, json_array());
        json_t *list = json_object_get(all, namespace);
        if (!has_item(list, parameter->object))
            json_array_append_new(list, console_json_text(parameter->object));
    }
}

static struct move_check check_of(const struct fleet *fleet, const struct manifest_object *object,
                                  const struct yaml_tree *trigger)
{
    return (struct move_check){.scalers = fleet->settings->scalers,
                               .file = object->file,
                               .trigger = trigger,
                               .name = object->name,
                               .label = object->label,
                               .namespace = object->namespace};
}

/* Whether `migrate` moves the trigger where it sees nothing but the object. */
static bool moves_alone(const struct fleet *fleet, const struct manifest_object *object,
                        const struct yaml_tree *trigger)
{
    _cleanup_(findings_done) struct findings reasons = {0};
    struct builtin builtin;
    const struct move_check check = check_of(fleet, object, trigger);
    builtin_read(fleet->settings->scalers, &(const struct manifests){0}, object->namespace, trigger,
                 &builtin);
    bool moves = move_check(&check, &builtin, &reasons);
    builtin_done(&builtin);
    return moves;
}

/* The caller ends `ret_builtin`. */
static bool can_move(const struct fleet *fleet, const struct manifest_object *object,
                     const struct yaml_tree *trigger, struct builtin *ret_builtin,
                     struct error *reasons)
{
    _cleanup_(findings_done) struct findings all = {0};
    const struct move_check check = check_of(fleet, object, trigger);
    builtin_read(fleet->settings->scalers, fleet->manifests, object->namespace, trigger,
                 ret_builtin);
    bool can_move = move_check(&check, ret_builtin, &all);
    for (size_t i = 0; i < all.count; i++)
        error_add(reasons, "%s", all.items[i].text);
    return can_move;
}

static bool must_stay(const struct fleet *fleet, const struct manifest_object *object,
                      const struct yaml_tree *trigger)
{
    _cleanup_(error_done) struct error reasons = {0};
    struct builtin builtin;
    bool stays = !can_move(fleet, object, trigger, &builtin, &reasons);
    builtin_done(&builtin);
    return stays;
}

/* Why the object has no command; NULL: it has one. The caller frees the text. */
static char *reason_without_command(const struct fleet *fleet, const struct manifest_object *object)
{
    const struct yaml_tree *list = manifest_triggers(object);
    if (!has_kubernetes_name(object))
        return text_copy("its name or namespace is none that Kubernetes permits: there is no "
                         "command for it");
    for (size_t i = 0; list != NULL && list->count > 1 && i < list->count; i++) {
        const struct yaml_tree *trigger = list->items[i];
        if (must_stay(fleet, object, trigger) && moves_alone(fleet, object, trigger))
            return text_format("trigger %zu of the same object has to stay, and a command, which "
                               "sees no authentication, would move it, too: run `backlog migrate` "
                               "on files that have the authentications",
                               i);
    }
    return NULL;
}

static void add_moving(struct fleet *fleet, struct candidate *found,
                       const struct yaml_tree *trigger, const struct builtin *builtin)
{
    const struct finding_place place = manifest_place(found->object, trigger->line);
    enum access access = access_of(trigger);
    move_check_host(builtin, &place, &fleet->warnings);
    add_connection(fleet, found->object, builtin);
    add_secrets(fleet, found->object, builtin);
    found->type = found->triggers++ == 0 ? builtin->type : found->type;
    found->lacks_hold |= yaml_tree_find(trigger, "metadata.hold") == NULL;
    found->access = access > found->access ? access : found->access;
}

static void add_trigger(struct fleet *fleet, struct candidate *found, size_t index,
                        const char *no_command)
{
    const struct manifest_object *object = found->object;
    const struct yaml_tree *trigger = manifest_triggers(object)->items[index];
    const char *type = yaml_tree_text(trigger, "type");
    _cleanup_(error_done) struct error reasons = {0};
    struct builtin builtin;
    if (type == NULL)
        return;
    if (builtin_is_external(type)) {
        fleet->external++;
        return;
    }
    if (can_move(fleet, object, trigger, &builtin, &reasons) && no_command == NULL)
        add_moving(fleet, found, trigger, &builtin);
    else {
        fleet->staying++;
        print_staying(fleet, object, index, type, builtin.is_meant,
                      error_is_set(&reasons) ? error_text(&reasons) : no_command);
    }
    builtin_done(&builtin);
}

static void add_object(struct fleet *fleet, const struct manifest_object *object)
{
    const struct yaml_tree *list = manifest_triggers(object);
    struct candidate found = {.object = object, .max_replicas = manifest_max_replicas(object)};
    _cleanup_(memory_free) char *no_command = reason_without_command(fleet, object);
    fleet->objects++;
    for (size_t i = 0; list != NULL && i < list->count; i++)
        add_trigger(fleet, &found, i, no_command);
    fleet->moving += found.triggers;
    if (found.triggers == 0)
        return;
    fleet->items =
        memory_grow(fleet->items, &fleet->capacity, fleet->count + 1, sizeof(*fleet->items));
    fleet->items[fleet->count++] = found;
}

/* ---- the order ---- */

static int compare(const void *left, const void *right)
{
    const struct candidate *one = left, *other = right;
    if (one->object->kind != other->object->kind)
        return one->object->kind == MANIFEST_SCALED_JOB ? 1 : -1;
    if (one->wave != other->wave)
        return one->wave < other->wave ? -1 : 1;
    if (one->access != other->access)
        return one->access < other->access ? -1 : 1;
    if (one->max_replicas != other->max_replicas) /* one that is not known comes last */
        return (uint64_t)one->max_replicas < (uint64_t)other->max_replicas ? -1 : 1;
    return strcmp(one->object->label, other->object->label);
}

static bool is_first_of_type(const struct fleet *fleet, size_t item)
{
    for (size_t i = 0; i < item; i++)
        if (text_equal(fleet->items[i].type, fleet->items[item].type))
            return false;
    return true;
}

static void set_waves(struct fleet *fleet)
{
    size_t others = 0, in_second = 0;
    if (fleet->count == 0)
        return;
    qsort(fleet->items, fleet->count, sizeof(*fleet->items), compare);
    for (size_t i = 0; i < fleet->count; i++) {
        struct candidate *item = &fleet->items[i];
        bool is_job = item->object->kind == MANIFEST_SCALED_JOB;
        item->wave = is_job ? 3 : is_first_of_type(fleet, i) ? 0 : 2;
        others += item->wave == 2;
    }
    for (size_t i = 0; i < fleet->count && in_second * 100 < others * SECOND_WAVE_PERCENT; i++)
        if (fleet->items[i].wave == 2) {
            fleet->items[i].wave = 1;
            in_second++;
        }
    qsort(fleet->items, fleet->count, sizeof(*fleet->items), compare);
}

/* ---- printing ---- */

/* The caller frees it. The object's names are of letters, digits, dots and dashes. Without its
 * resourceVersion the object is replaced although KEDA has written its status meanwhile. */
static char *command_of(const struct fleet *fleet, const struct manifest_object *object,
                        const char *flags)
{
    const struct fleet_settings *settings = fleet->settings;
    struct text text = {0};
    _cleanup_(text_done) struct text kubectl = {0};
    text_add(&kubectl, "kubectl");
    if (settings->context != NULL)
        text_addf(&kubectl, " --context '%s'", settings->context);
    text_addf(
        &text,
        "%s -n %s get %s %s -o yaml | sed '/^  resourceVersion:/d' | backlog migrate%s --write",
        kubectl.bytes, object->namespace == NULL ? "default" : object->namespace,
        object->kind == MANIFEST_SCALED_JOB ? "scaledjob" : "scaledobject", object->name, flags);
    if (!text_equal(settings->scaler_address, "backlog.keda.svc:9090") && flags[0] == '\0')
        text_addf(&text, " --scaler-address %s", settings->scaler_address);
    if (settings->type != NULL && flags[0] == '\0' && object->kind != MANIFEST_SCALED_JOB)
        text_addf(&text, " --type %s", settings->type);
    if (settings->authentication != NULL)
        text_addf(&text, " --authentication %s", settings->authentication);
    if (settings->authentication != NULL && settings->authentication_kind != NULL)
        text_addf(&text, " --authentication-kind %s", settings->authentication_kind);
    text_addf(&text, " - | %s replace -f -", kubectl.bytes);
    return text_take(&text);
}

static void print_object(const struct fleet *fleet, const struct candidate *item)
{
    const struct manifest_object *object = item->object;
    _cleanup_(memory_free) char *there = command_of(fleet, object, "");
    _cleanup_(memory_free) char *back = command_of(fleet, object, " --back");
    _cleanup_(memory_free) char *label = console_text(object->label);
    _cleanup_(memory_free) char *command = console_text(there);
    if (fleet->settings->is_json)
        console_print_json(json_pack(
            "{s:s, s:I, s:o, s:s, s:s, s:I, s:s, s:o, s:o, s:o}", "type", "object", "wave",
            (json_int_t)item->wave + 1, "object", console_json_text(object->label), "kind",
            object->kind == MANIFEST_SCALED_JOB ? "ScaledJob" : "ScaledObject", "scaler",
            item->type, "triggers", (json_int_t)item->triggers, "authentication",
            access_texts[item->access], "maxReplicas",
            item->max_replicas < 0 ? json_null() : json_integer(item->max_replicas), "command",
            console_json_text(there), "back", console_json_text(back)));
    else if (item->max_replicas < 0)
        printf("  # %s: %s, %s, maxReplicaCount is not known\n  %s\n", label, item->type,
               access_texts[item->access], command);
    else
        printf("  # %s: %s, %s, at most %" PRId64 " replicas\n  %s\n", label, item->type,
               access_texts[item->access], item->max_replicas, command);
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* By namespace, those of agent processes or all. The caller frees them. */
static json_t *count_connections(const struct fleet *fleet, bool in_agent)
{
    json_t *counts = json_object();
    if (fleet->connection_count > 0)
        qsort(fleet->connections, fleet->connection_count, sizeof(*fleet->connections),
              compare_texts);
    for (size_t i = 0; i < fleet->connection_count; i++) {
        const char *connection = fleet->connections[i];
        size_t length = strcspn(connection, "\n");
        if ((i > 0 && text_equal(connection, fleet->connections[i - 1])) ||
            (in_agent && !text_starts_with(connection + length + 1, AGENT_MARK)))
            continue;
        _cleanup_(memory_free) char *namespace = text_copy_bytes(connection, length);
        json_int_t count = json_integer_value(json_object_get(counts, namespace));
        json_object_set_new(counts, namespace, json_integer(count + 1));
    }
    return counts;
}

static void print_counts(const char *title, json_t *counts)
{
    const char *separator = title;
    const char *namespace;
    const json_t *count;
    json_object_foreach(counts, namespace, count) {
        _cleanup_(memory_free) char *clean = console_text(namespace);
        printf("%s%s %" JSON_INTEGER_FORMAT, separator, clean, json_integer_value(count));
        separator = ", ";
    }
    if (json_object_size(counts) > 0)
        putchar('\n');
}

static void print_end(const struct fleet *fleet)
{
    _cleanup_(json_done) json_t *agents = count_connections(fleet, true);
    _cleanup_(json_done) json_t *connections = count_connections(fleet, false);
    if (fleet->settings->is_json) {
        json_t *queries = json_array();
        for (size_t i = 0; i < ARRAY_LENGTH(stops); i++)
            json_array_append_new(queries, json_string(stops[i][0]));
        console_print_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:O, s:O, s:{s:b, s:O, s:O}, s:o}", "type", "summary",
            "objects", (json_int_t)fleet->objects, "moves", (json_int_t)fleet->moving, "stays",
            (json_int_t)fleet->staying, "external", (json_int_t)fleet->external, "agentProcesses",
            agents, "inlineConnections", connections, "kubernetes", "enabled", true, "secrets",
            fleet->secrets, "configMaps", fleet->config_maps, "stops", queries));
        return;
    }
    if (fleet->count > 0) {
        printf("\nAfter each wave wait for at least an hour in which work arrives. Stop where "
               "the first of these is higher than before the wave, or the second or third is above "
               "0, and go back: the same command with `backlog migrate --back`. Where the fourth "
               "is above 0, repair the source, and do not go back before it is 0. Where the first "
               "or second has no result, Prometheus does not scrape KEDA or Backlog.\n");
        for (size_t i = 0; i < ARRAY_LENGTH(stops); i++)
            printf("  %-82s # %s\n", stops[i][0], stops[i][1]);
        printf("`%s` must reach the number of triggers that have moved: where KEDA reaches no "
               "pod, it counts no error for a ScaledJob.\n",
               triggers_query);
        printf("What Git or Helm applies, change there (`backlog migrate FOLDER`): it comes back "
               "otherwise.\n");
    }
    print_counts("Agent processes that these triggers need (--max-agents): ", agents);
    print_counts("Inline connections that they need (--max-connections): ", connections);
    printf("%zu object%s: %zu trigger%s can move, %zu stay%s, %zu external already\n",
           fleet->objects, text_plural(fleet->objects), fleet->moving, text_plural(fleet->moving),
           fleet->staying, fleet->staying == 1 ? "s" : "", fleet->external);
}

static void check_objects(struct fleet *fleet)
{
    struct findings *findings = &fleet->warnings;
    for (size_t i = 0; i < fleet->count; i++) {
        const struct manifest_object *object = fleet->items[i].object;
        const struct finding_place place = manifest_place(object, object->tree->line);
        bool is_job = object->kind == MANIFEST_SCALED_JOB;
        bool lacks_hold = fleet->items[i].lacks_hold;
        if (is_job)
            strategy_check_rollout(yaml_tree_find(object->tree, "spec"), false, &place, findings);
        if (is_job && lacks_hold)
            finding_add(findings, &place, FINDING_WARNING, RELATIONS_HOLD_OF_JOBS);
        if (!is_job && lacks_hold && yaml_tree_find(object->tree, "spec.fallback") != NULL)
            finding_add(findings, &place, FINDING_WARNING,
                        "the fallback takes over only after `hold`, which is an hour by default: "
                        "before the move add hold: \"" RELATIONS_HOLD_WITH_FALLBACK
                        "\" to the triggers that move");
    }
}

void fleet_print(const struct fleet_settings *settings, const struct manifests *manifests,
                 struct findings *findings)
{
    struct fleet fleet = {.settings = settings,
                          .manifests = manifests,
                          .secrets = json_object(),
                          .config_maps = json_object()};
    size_t wave = MAX_WAVES, number = 0;
    findings_print(findings, stderr, settings->is_json, false);
    for (size_t i = 0; i < manifests->object_count; i++)
        if (manifest_scales(&manifests->objects[i]))
            add_object(&fleet, &manifests->objects[i]);
    set_waves(&fleet);
    check_objects(&fleet);
    findings_print(&fleet.warnings, stderr, settings->is_json, false);
    for (size_t i = 0; i < fleet.count; i++) {
        if (fleet.items[i].wave != wave && !settings->is_json)
            printf("%sWave %zu: %s\n", number > 0 || fleet.staying > 0 ? "\n" : "", number + 1,
                   wave_titles[fleet.items[i].wave]);
        number += fleet.items[i].wave != wave;
        wave = fleet.items[i].wave;
        fleet.items[i].wave = number - 1;
        print_object(&fleet, &fleet.items[i]);
    }
    print_end(&fleet);
    for (size_t i = 0; i < fleet.connection_count; i++)
        free(fleet.connections[i]);
    free(fleet.connections);
    findings_done(&fleet.warnings);
    json_decref(fleet.secrets);
    json_decref(fleet.config_maps);
    free(fleet.items);
}
