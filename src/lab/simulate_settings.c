#include "lab/simulate_settings.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/console.h"
#include "config/value.h"
#include "lab/plot.h"
#include "measure/scaler.h"
#include "model/scaled_object.h"
#include "scale/metadata/general.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETTINGS = PLOT_MAX_SERIES };

/* A key of --set, by KEDA's name. */
enum kind { NUMBER, WHOLE, SECONDS, YES_NO, TARGET_TYPE };

static const struct key {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct simulation_settings */
    double min;
    const char *doc;
} keys[] = {
#define KEY(name, kind, field, min, doc)                                                           \
    {(name), (kind), offsetof(struct simulation_settings, field), (min), (doc)}
    KEY("threshold", NUMBER, target, OPTION_MIN_TARGET,
        "work per replica: lagThreshold, queueLength, value"),
    KEY("activationThreshold", NUMBER, activation, 0, "active above it"),
    KEY("push", YES_NO, is_push, 0, "external-push (true) or external (false)"),
    KEY("metricType", TARGET_TYPE, model.types[0], 0, "AverageValue or Value"),
    KEY("pollingInterval", SECONDS, model.polling_ms, 1, "in seconds"),
    KEY("cooldownPeriod", SECONDS, model.cooldown_ms, 0, "in seconds"),
    KEY("initialCooldownPeriod", SECONDS, model.initial_cooldown_ms, 0, "in seconds"),
    KEY("minReplicaCount", WHOLE, model.min_replicas, 0, "replicas at least, while active"),
    KEY("maxReplicaCount", WHOLE, model.hpa.max_replicas, 1, "replicas at most"),
    KEY("idleReplicaCount", WHOLE, model.idle_replicas, 0, "replicas while inactive"),
    KEY("behavior", YES_NO, model.hpa.has_behavior, 0,
        "false: the HPA has none; true: the default policies where --file has no others"),
    KEY("scaleUpTolerance", NUMBER, model.hpa.up.tolerance, 0, "scaleUp.tolerance"),
    KEY("scaleDownTolerance", NUMBER, model.hpa.down.tolerance, 0, "scaleDown.tolerance"),
    KEY("scaleUpWindow", SECONDS, model.hpa.up.window_ms, 0,
        "scaleUp.stabilizationWindowSeconds; with behavior=true"),
    KEY("scaleDownWindow", SECONDS, model.hpa.down.window_ms, 0,
        "scaleDown.stabilizationWindowSeconds; with behavior=true"),
    KEY("outageAt", SECONDS, outage_at_ms, 0, "when measuring begins to fail, in seconds"),
    KEY("outage", SECONDS, outage_ms, 0, "for how long it fails, in seconds; 0: it never does"),
    KEY("hold", SECONDS, hold_ms, 0, "the trigger's, in seconds"),
    KEY("holdWindow", SECONDS, hold_window_ms, 0, "the trigger's, in seconds"),
#undef KEY
};

/* Where scalers that only KEDA has keep their target, and its activation. The first that the
 * metadata has counts. */
static const struct {
    const char *target, *activation;
} target_keys[] = {
    {"lagThreshold", "activationLagThreshold"}, {"value", "activationValue"},
    {"queueLength", "activationQueueLength"},   {"targetQueryValue", "activationTargetQueryValue"},
    {"threshold", "activationThreshold"},
};

static bool is_policy_key(const char *name)
{
    return general_is_policy(name) && !text_equal(name, "maxReplicaCount");
}

void simulate_settings_write_keys(struct page *page)
{
    page_heading(page, "Keys of --set");
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        page_term(page, keys[i].name, keys[i].doc);
    for (const struct option *row = general_table; row->key != NULL; row++)
        if (is_policy_key(row->key) && row->type != OPTION_UNSUPPORTED)
            page_term(page, row->key, row->doc);
}

void simulate_settings_done(struct simulate_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++)
        free(settings->items[i].name);
    free(settings->items);
    *settings = (struct simulate_settings){0};
}

/* ---- KEY=VALUE ---- */

static bool store_number(const struct key *key, double value, void *field)
{
    if (!(value >= key->min) || value > 1e15 || (key->kind != NUMBER && value != floor(value)))
        return false;
    if (key->kind == NUMBER)
        *(double *)field = value;
    else
        *(int64_t *)field = (int64_t)value * (key->kind == SECONDS ? 1000 : 1);
    return true;
}

static bool store(const struct key *key, const char *text, struct simulation_settings *settings)
{
    void *field = (char *)settings + key->offset;
    char *end = NULL;
    double number = strtod(text, &end);
    switch (key->kind) {
    case YES_NO:
        *(bool *)field = text_equal(text, "true");
        return text_equal(text, "true") || text_equal(text, "false");
    case TARGET_TYPE:
        *(enum hpa_target_type *)field = text_equal(text, "Value") ? HPA_VALUE : HPA_AVERAGE_VALUE;
        return text_equal(text, "Value") || text_equal(text, "AverageValue");
    default:
        return end != text && *end == '\0' && store_number(key, number, field);
    }
}

/* Options of a trigger that make a policy, by their names in its metadata; each once. */
struct policy_entries {
    struct option_entry *items;
    size_t count, capacity;
};

static void free_policy_entries(struct policy_entries *entries)
{
    option_entries_free(entries->items, entries->count);
}

static void put_policy_entry(struct policy_entries *entries, const char *name, const char *value)
{
    size_t i = 0;
    while (i < entries->count && !text_equal(entries->items[i].key, name))
        i++;
    if (i == entries->count) {
        entries->items = memory_grow(entries->items, &entries->capacity, ++entries->count,
                                     sizeof(*entries->items));
        entries->items[i].key = text_copy(name);
    } else
        free((char *)entries->items[i].value);
    entries->items[i].value = text_copy(value);
}

static bool compile_policy(const struct policy_entries *entries,
                           struct simulation_settings *settings, struct error *error)
{
    _cleanup_(error_done) struct error mistakes = {0};
    if (entries->count == 0)
        return true;
    settings->has_policy =
        general_parse_policy(entries->items, entries->count, &settings->policy, &mistakes);
    /* It is the ScaledObject's, which a trigger would repeat. */
    settings->policy.max_replicas = settings->model.hpa.max_replicas;
    return !error_is_set(&mistakes) || error_invalid(error, "%s", error_text(&mistakes));
}

static bool set_key(const char *name, const char *value, struct simulation_settings *settings,
                    struct policy_entries *policy, struct error *error)
{
    if (is_policy_key(name)) {
        put_policy_entry(policy, name, value);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (text_equal(keys[i].name, name))
            return store(&keys[i], value, settings) ||
                   error_invalid(error, "--set: %s cannot be \"%s\"", name, value);
    return error_invalid(error, "--set: no key \"%s\": --help lists them", name);
}

/* No key begins with a digit: what does belongs to the value before it, as in "steps=1=1,10=2". */
static char *take_pair(char **rest)
{
    char *pair = strsep(rest, ",");
    while (*rest != NULL && isdigit((unsigned char)(*rest)[strspn(*rest, " \t")])) {
        (*rest)[-1] = ',';
        strsep(rest, ",");
    }
    return pair;
}

/* "threshold=100, cooldownPeriod=60" */
static bool set_piece(const char *piece, struct simulation_settings *settings,
                      struct policy_entries *policy, struct error *error)
{
    _cleanup_(memory_free) char *copy = text_copy(piece);
    char *rest = copy;
    for (char *pair; (pair = take_pair(&rest)) != NULL;) {
        char *equals = strchr(pair, '=');
        if (equals == NULL)
            return error_invalid(error, "--set: \"%s\" must be KEY=VALUE", pair);
        *equals = '\0';
        _cleanup_(memory_free) char *name = text_trimmed(pair);
        _cleanup_(memory_free) char *value = text_trimmed(equals + 1);
        if (!set_key(name, value, settings, policy, error))
            return false;
    }
    return true;
}

/* ---- the settings to compare ---- */

/* What pieces of --set change. */
struct base {
    const char *name; /* of the object; NULL: these are the defaults */
    struct simulation_settings settings;
    const struct option_entry *entries; /* of its trigger */
    size_t entry_count;
};

static char *setting_name(const char *name, const char *piece)
{
    if (name == NULL)
        return text_copy(piece == NULL ? "defaults" : piece);
    return piece == NULL ? text_copy(name) : text_format("%s, %s", name, piece);
}

static bool add(struct simulate_settings *all, const struct base *base, const char *piece,
                struct error *error)
{
    _cleanup_(free_policy_entries) struct policy_entries policy = {0};
    if (all->count == MAX_SETTINGS)
        return error_invalid(error, "more than %d settings to compare", MAX_SETTINGS);
    struct simulate_setting *one = &all->items[all->count++];
    one->settings = base->settings;
    one->name = setting_name(base->name, piece);
    for (size_t i = 0; i < base->entry_count; i++)
        if (is_policy_key(base->entries[i].key))
            put_policy_entry(&policy, base->entries[i].key, base->entries[i].value);
    if (piece != NULL && !set_piece(piece, &one->settings, &policy, error))
        return false;
    if (!compile_policy(&policy, &one->settings, error))
        return error_prefix(error, "%s", one->name);
    if (one->settings.model.min_replicas > one->settings.model.hpa.max_replicas)
        return error_invalid(error, "%s: minReplicaCount is above maxReplicaCount", one->name);
    return one->settings.target > 0 || one->settings.policy.level_count > 0 ||
           error_invalid(error,
                         "%s: the target is missing: how much work there is per replica, "
                         "such as --set threshold=100",
                         one->name);
}

static bool add_pieces(struct simulate_settings *all, const struct base *base, const char *set,
                       struct error *error)
{
    if (set == NULL)
        return add(all, base, NULL, error);
    _cleanup_(memory_free) char *copy = text_copy(set);
    char *rest = copy;
    for (char *piece = strsep(&rest, ";"); piece != NULL; piece = strsep(&rest, ";")) {
        _cleanup_(memory_free) char *trimmed = text_trimmed(piece);
        if (trimmed[0] != '\0' && !add(all, base, trimmed, error))
            return false;
    }
    return true;
}

static void read_named(const struct scaled_object_trigger *trigger,
                       struct simulation_settings *settings)
{
    for (size_t i = 0; i < ARRAY_LENGTH(target_keys); i++) {
        const char *target = scaled_object_metadata(trigger, target_keys[i].target);
        const char *activation = scaled_object_metadata(trigger, target_keys[i].activation);
        if (target == NULL)
            continue;
        settings->target = strtod(target, NULL);
        settings->activation = activation == NULL ? 0 : strtod(activation, NULL);
        return;
    }
}

/* Which of several keys counts may depend on others: the scaler knows. */
static double scaler_target(const struct scaled_object_trigger *trigger,
                            const struct scaler *scaler)
{
    struct option_values *values[OPTION_SCOPES] = {0};
    const struct option_input input = {.entries = trigger->entries,
                                       .count = trigger->entry_count,
                                       .origin = OPTION_FROM_TRIGGER,
                                       .others = general_table};
    _cleanup_(error_done) struct error ignored = {0};
    struct metric_spec spec = {0};
    option_parse(scaler->options, scaler->sizes, &input, values, &ignored);
    scaler->metric_spec(&(struct options){.connection = values[OPTION_CONNECTION]->data,
                                          .query = values[OPTION_QUERY]->data,
                                          .target = values[OPTION_TARGET]->data},
                        &spec);
    for (size_t i = 0; i < OPTION_SCOPES; i++)
        option_values_free(values[i]);
    free(spec.metric_name);
    return spec.target;
}

/* Nothing counts that the metadata does not set. */
static bool read_of_scaler(const struct scaled_object_trigger *trigger, const struct scaler *scaler,
                           struct simulation_settings *settings, struct error *error)
{
    static const char activation[] = "activation";
    for (const struct option *row = scaler->options; row->key != NULL; row++) {
        const struct option_entry entry = {row->key, scaled_object_metadata(trigger, row->key)};
        bool is_activation = strncmp(row->key, activation, strlen(activation)) == 0;
        bool is_target = row->flags & OPTION_THRESHOLD;
        if (entry.value == NULL || (!is_activation && !is_target))
            continue;
        if (!option_check_entry(scaler->options, general_table, &entry, OPTION_FROM_TRIGGER, error))
            return false;
        if (is_target)
            settings->target = scaler_target(trigger, scaler);
        else
            settings->activation = strtod(entry.value, NULL);
    }
    return true;
}

static bool read_target(const struct scaled_object_trigger *trigger,
                        struct simulation_settings *settings, struct error *error)
{
    const char *named = scaled_object_metadata(trigger, "scaler");
    const struct scaler *scaler = scaler_find(scaler_list, named == NULL ? trigger->type : named);
    if (scaler != NULL)
        return read_of_scaler(trigger, scaler, settings, error);
    read_named(trigger, settings);
    return true;
}

/* Where the trigger sets it. */
static void read_duration(const struct scaled_object_trigger *trigger, const char *key,
                          int64_t *ret_ms)
{
    static const struct option row = {.type = OPTION_DURATION};
    _cleanup_(error_done) struct error ignored = {0};
    const char *text = scaled_object_metadata(trigger, key);
    if (text != NULL)
        value_parse(&row, text, ret_ms, &ignored);
}

/* A trace is of one queue, so one trigger counts: the first. */
static bool add_object(struct simulate_settings *all, const struct scaled_object *object,
                       const char *set, const struct simulation_settings *common,
                       struct error *error)
{
    const struct scaled_object_trigger *trigger = &object->triggers[0];
    struct base base = {object->name, *common, trigger->entries, trigger->entry_count};
    base.settings.model = object->settings;
    base.settings.model.sync_ms = common->model.sync_ms;
    base.settings.model.trigger_count = 1;
    base.settings.is_push = text_equal(trigger->type, "external-push");
    read_duration(trigger, "hold", &base.settings.hold_ms);
    read_duration(trigger, general_hold_window, &base.settings.hold_window_ms);
    if (!read_target(trigger, &base.settings, error))
        return error_prefix(error, "%s", object->name);
    if (object->trigger_count > 1) {
        _cleanup_(memory_free) char *name = console_text(object->name);
        fprintf(stderr, "backlog simulate: %s: only the first of its %zu triggers is simulated\n",
                name, object->trigger_count);
    }
    return add_pieces(all, &base, set, error);
}

static bool add_file(struct simulate_settings *all, const char *file, const char *set,
                     const struct simulation_settings *common, struct error *error)
{
    _cleanup_(scaled_objects_done) struct scaled_objects objects = {0};
    if (!scaled_objects_load(file, &objects, error))
        return false;
    for (size_t i = 0; i < objects.count; i++)
        if (!add_object(all, &objects.items[i], set, common, error))
            return false;
    return true;
}

bool simulate_settings_read(const struct option_list *files, const char *set,
                            const struct simulation_settings *common,
                            struct simulate_settings *ret_settings, struct error *error)
{
    struct simulate_settings all = {
        .items = memory_array(MAX_SETTINGS, sizeof(struct simulate_setting))};
    const struct base defaults = {.settings = *common};
    bool good = files->count > 0 || add_pieces(&all, &defaults, set, error);
    for (size_t i = 0; i < files->count && good; i++)
        good = add_file(&all, files->items[i], set, common, error);
    if (good && all.count == 0)
        good = error_invalid(error, "--set: \"%s\" has no KEY=VALUE", set);
    if (good)
        *ret_settings = all;
    else
        simulate_settings_done(&all);
    return good;
}
