#include "scale/parse.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/connections/named.h"
#include "scale/general.h"

#include <stdlib.h>
#include <string.h>

/* The HPA refuses a target that is 0 when written with three decimals. */
static const double min_target = 0.001;

/* KEDA's NormalizeString: what Kubernetes forbids in a metric's name. */
static void normalise(char *name)
{
    for (; *name != '\0'; name++)
        if (strchr("/.:%()", *name) != NULL)
            *name = '-';
}

/* `metric_name` is taken. */
static void set_metric_spec(struct trigger *trigger, char *metric_name, double target)
{
    enum { LONGEST_NAME = 1024 }; /* escaping makes three bytes of one */
    trigger->metric_name = text_copy_bytes(metric_name, text_cut(metric_name, LONGEST_NAME));
    free(metric_name);
    normalise(trigger->metric_name);
    trigger->target = target;
    if (!(target >= min_target)) {
        error_add(&trigger->mistakes, "the target %g is too small: the HPA needs at least %g",
                  target, min_target);
        trigger->target = min_target;
    }
}

/* The file is the administrators', and its connections come first; where it has none of this name
 * for the namespace, the namespace's own Secret counts. */
static bool find_named(const struct parse_settings *settings, struct trigger *trigger,
                       const struct named_connection **ret_connection, struct error *error)
{
    const char *name = trigger->connection_name;
    const struct named_connection *connection = connections_find(settings->connections, name);
    bool is_allowed = connection != NULL && named_connection_allows(connection, trigger->namespace);
    trigger->wants_secret = settings->has_secret && !is_allowed;
    const struct named_connection *own =
        trigger->wants_secret ? namespace_secret_connection(settings->secret, name) : NULL;
    *ret_connection = own == NULL ? connection : own;
    if (own != NULL || is_allowed)
        return true;
    bool may_come = settings->secret == NULL || !settings->secret->is_read;
    if (trigger->wants_secret && (connection == NULL || may_come))
        return namespace_secret_refuse(settings->secret, trigger->namespace, name,
                                       &trigger->awaits_secret, error);
    if (connection == NULL)
        return error_invalid(error, "connectionName \"%.*s\" is not in the connections file",
                             (int)text_cut(name, 64), name);
    return error_set(error, ERROR_DENIED, "connection \"%s\" cannot be used in namespace \"%.*s\"",
                     name, (int)text_cut(trigger->namespace, 64), trigger->namespace);
}

/* A code other than ERROR_INVALID outlives the mistakes that are added to it. */
static bool find_connection(const struct parse_settings *settings, struct trigger *trigger,
                            const struct named_connection **ret_connection, struct error *error)
{
    const char *name = trigger->connection_name;
    const struct named_connection *connection = NULL;
    if (!find_named(settings, trigger, &connection, error))
        return false;
    if (!named_connection_is_usable(connection))
        return error_unavailable(error, "connection \"%s\" is invalid: %s", name,
                                 error_text(&connection->mistakes));
    if (!text_equal(connection->scaler, trigger->scaler->name))
        return error_invalid(error, "connection \"%s\" is one of scaler %s, not of %s", name,
                             connection->scaler, trigger->scaler->name);
    *ret_connection = connection;
    return true;
}

/* The scaler's mistakes of a connection that is denied are left out: correcting them would not
 * help. */
static bool deny_inline(const struct trigger *trigger, const struct trigger_ref *ref,
                        struct error *error)
{
    _cleanup_(text_done) struct text keys = {0};
    for (size_t i = 0; i < ref->count; i++) {
        const struct option *row =
            option_find(trigger->scaler->options, ref->entries[i].key, OPTION_FROM_TRIGGER);
        if (row != NULL && row->scope == OPTION_CONNECTION)
            text_addf(&keys, "%s%s", keys.length == 0 ? ", in place of " : ", ", row->key);
    }
    return error_set(error, ERROR_DENIED,
                     "only connections of the connections file may be used "
                     "(--deny-inline-connections): name one in connectionName%s",
                     keys.length == 0 ? "" : keys.bytes);
}

static void check_file_only(const struct option *table, const struct trigger_ref *ref,
                            struct error *mistakes)
{
    for (size_t i = 0; i < ref->count; i++) {
        const struct option_entry *entry = &ref->entries[i];
        const struct option *row = option_find(table, entry->key, OPTION_FROM_TRIGGER);
        if (row != NULL && row->flags & OPTION_FILE_ONLY && !text_is_blank(entry->value))
            error_add(mistakes, "%s belongs in the connections file, not in a trigger", entry->key);
    }
}

static void parse_options(struct trigger *trigger, const struct trigger_ref *ref,
                          const struct named_connection *connection, enum option_source source)
{
    const struct option *table = trigger->scaler->options;
    _cleanup_(memory_free) struct option_entry *joined = NULL;
    _cleanup_(own_credentials_joined_done) struct own_credentials_joined own = {0};
    const struct option_entry *entries = ref->entries;
    size_t count = ref->count;
    check_file_only(table, ref, &trigger->mistakes);
    if (trigger->wants_credentials && source == OPTION_FROM_TRIGGER) {
        own_credentials_join(ref, trigger->credentials, &own);
        entries = own.entries;
        count = own.count;
    }
    if (connection != NULL) {
        joined =
            named_join(connection, table, ref->entries, ref->count, &count, &trigger->mistakes);
        entries = joined;
    }
    option_parse(table, trigger->scaler->sizes,
                 &(struct option_input){entries, count, source, general_table}, trigger->values,
                 &trigger->mistakes);
}

/* With --deny-inline-connections an authentication may be what is used in its place. */
static bool find_credentials(struct trigger *trigger, const struct trigger_ref *ref,
                             const struct parse_settings *settings, struct error *error)
{
    const struct credentials *credentials = trigger->credentials;
    bool is_without = credentials != NULL && credentials->state == CREDENTIALS_VERIFIED &&
                      credentials->count == 0;
    trigger->wants_credentials = true;
    if (settings->deny_inline && is_without)
        return deny_inline(trigger, ref, error);
    return own_credentials_admit(settings->own, ref, trigger->scaler->options, credentials,
                                 &trigger->awaits_secret, error);
}

/* The named connection, or NULL for the trigger's own. */
static bool choose_connection(struct trigger *trigger, const struct trigger_ref *ref,
                              const struct parse_settings *settings,
                              const struct named_connection **ret_connection, struct error *error)
{
    bool has_own = settings->own != NULL && settings->own->add != NULL &&
                   (!settings->deny_inline || settings->own->allows_authentications);
    if (trigger->connection_name != NULL) {
        trigger->wants_hpa = settings->own != NULL && settings->own->add != NULL;
        return find_connection(settings, trigger, ret_connection, error);
    }
    if (has_own)
        return find_credentials(trigger, ref, settings, error);
    return !settings->deny_inline || deny_inline(trigger, ref, error);
}

static bool has_threshold(const struct trigger *trigger)
{
    for (const struct option *row = trigger->scaler->options; row->key != NULL; row++)
        if ((row->flags & OPTION_THRESHOLD) &&
            option_is_given(trigger->values[row->scope], row->key))
            return true;
    return false;
}

/* Keys that name an authentication must not be passed over in silence. */
static void check_authentication_keys(const struct general_options *general,
                                      const struct parse_settings *settings, struct error *mistakes)
{
    const char *key = general->trigger_authentication != NULL ? "triggerAuthentication"
                      : general->cluster_trigger_authentication != NULL
                          ? "clusterTriggerAuthentication"
                          : NULL;
    if (key == NULL)
        return;
    if (settings->own == NULL || settings->own->add == NULL)
        error_add(mistakes, "%s needs a server with --kubernetes", key);
    else if (general->connection_name != NULL)
        error_add(mistakes, "%s and connectionName exclude each other: remove one of them", key);
}

/* Whole replicas at a target of 1, also where there are mistakes: GetMetricSpec must not change
 * when they are corrected. */
static void apply_policy(struct trigger *trigger, const struct options *options)
{
    trigger_policy_check(trigger->policy, trigger->scaler, options, &trigger->mistakes);
    if (trigger->policy == NULL)
        return;
    trigger->policy->threshold = trigger->target;
    trigger->policy->has_threshold = has_threshold(trigger);
    trigger->policy->count_interval_ms = trigger->scaler->count_interval_ms;
    if (trigger->policy->answered.is_on)
        trigger->target = 1;
}

static void parse_scaler(struct trigger *trigger, const struct trigger_ref *ref,
                         const struct parse_settings *settings)
{
    _cleanup_(error_done) struct error unusable = {0};
    const struct named_connection *connection = NULL;
    bool alone = !choose_connection(trigger, ref, settings, &connection, &unusable);
    parse_options(trigger, ref, connection,
                  alone ? OPTION_FROM_TRIGGER_ALONE : OPTION_FROM_TRIGGER);

    struct options options = trigger_options(trigger);
    struct metric_spec spec = {0};
    if (!alone)
        scaler_check(trigger->scaler, &options, &trigger->mistakes);
    trigger->scaler->metric_spec(&options, &spec);
    trigger->idle_interval_ms = spec.idle_interval_ms;
    set_metric_spec(trigger, spec.metric_name, spec.target);
    apply_policy(trigger, &options);
    bool has_other = trigger->connection_name != NULL || trigger->wants_credentials;
    trigger->lacks_connection = alone && has_other && !error_is_set(&trigger->mistakes);
    trigger->awaits_secret = trigger->awaits_secret && trigger->lacks_connection;
    if (alone)
        error_add(&trigger->mistakes, "%s", error_text(&unusable));
    if (unusable.code == ERROR_DENIED || unusable.code == ERROR_LIMIT ||
        (unusable.code == ERROR_UNAVAILABLE && trigger->lacks_connection))
        trigger->mistakes.code = unusable.code;
}

void trigger_parse(struct trigger *trigger, const struct trigger_ref *ref,
                   const struct parse_settings *settings)
{
    struct option_values *values =
        general_parse(ref->entries, ref->count, &settings->rules, &trigger->mistakes);
    const struct general_options *general = values->data;
    trigger->rules = general->rules;
    trigger->connection_name = text_copy(general->connection_name);
    check_authentication_keys(general, settings, &trigger->mistakes);
    trigger_policy_set(&trigger->policy, &general->policy, &trigger->mistakes);
    trigger->scaler =
        general->scaler == NULL ? NULL : scaler_find(settings->scalers, general->scaler);
    if (trigger->scaler != NULL)
        parse_scaler(trigger, ref, settings);
    else {
        scaler_add_unknown(settings->scalers, general->scaler, &trigger->mistakes);
        set_metric_spec(trigger, text_copy(TRIGGER_INVALID_METRIC), 1);
    }
    option_values_free(values);
}

void trigger_parse_done(struct trigger *trigger)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(TAKE(trigger->values[scope]));
    free(TAKE(trigger->metric_name));
    free(TAKE(trigger->connection_name));
    trigger->lacks_connection = false;
    trigger->wants_secret = false;
    trigger->wants_credentials = false;
    trigger->wants_hpa = false;
    trigger->awaits_secret = false;
    error_done(&trigger->mistakes);
}
