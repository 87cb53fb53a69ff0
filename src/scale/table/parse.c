#include "scale/table/parse.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/credentials.h"
#include "config/hpa_facts.h"
#include "scale/connections/named_connections.h"
#include "scale/metadata/general.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* KEDA's NormalizeString: what Kubernetes forbids in a metric's name; and control characters, with
 * which its API refuses the name, too. */
static void normalise(char *name)
{
    for (; *name != '\0'; name++)
        if (strchr("/.:%()", *name) != NULL || iscntrl((unsigned char)*name))
            *name = '-';
}

/* `metric_name` is taken. */
static void set_metric_spec(struct trigger_parsed *parsed, char *metric_name, double target)
{
    enum { LONGEST_NAME = 1024 }; /* escaping makes three bytes of one */
    parsed->metric_name = text_copy_bytes(metric_name, text_cut(metric_name, LONGEST_NAME));
    free(metric_name);
    normalise(parsed->metric_name);
    parsed->target = target;
    if (!(target >= OPTION_MIN_TARGET)) {
        error_add(&parsed->mistakes, "the target %g is too small: the HPA needs at least %g",
                  target, OPTION_MIN_TARGET);
        parsed->target = OPTION_MIN_TARGET;
    }
}

/* What is parsed, and by what. */
struct parse {
    const struct trigger_ref *ref;
    const struct parse_settings *settings;
    const struct parse_known *known;
    struct trigger_parsed *parsed;
};

/* The connection of a trigger; where there is none, the error says why. No error: it is not known
 * which connections there are. */
struct chosen {
    const struct named_connection *named; /* NULL: its own */
    bool is_pending;                      /* what it needs was not read yet */
    struct error error;
};

/* NULL: there is none for the namespace, and `chosen` says why. */
static const struct named_connection *find_named(const struct parse *parse, struct chosen *chosen)
{
    const struct parse_settings *settings = parse->settings;
    const char *name = parse->parsed->connection_name;
    const char *namespace = parse->ref->namespace;
    const struct named_connection *of_file = connections_find(settings->connections, name);
    if (of_file != NULL &&
        (settings->has_unknown_namespace || named_connection_allows(of_file, namespace)))
        return of_file;
    if (of_file != NULL)
        error_set(&chosen->error, ERROR_DENIED,
                  "connection \"%s\" cannot be used in namespace \"%.*s\"", name,
                  (int)text_cut(namespace, 64), namespace);
    else if (!settings->has_unknown_connections)
        error_invalid(&chosen->error, "connectionName \"%.*s\" is not in the connections file",
                      (int)text_cut(name, 64), name);
    return NULL;
}

/* Leaves out a connection that cannot be used: its values are no part of the trigger. */
static bool find_connection(const struct parse *parse, struct chosen *chosen)
{
    const char *name = parse->parsed->connection_name;
    const char *scaler = parse->parsed->scaler->name;
    const struct named_connection *connection = find_named(parse, chosen);
    if (connection == NULL)
        return false;
    if (!named_connection_is_usable(connection))
        return error_unavailable(&chosen->error, "connection \"%s\" is invalid: %s", name,
                                 error_text(&connection->mistakes));
    if (!text_equal(connection->scaler, scaler))
        return error_invalid(&chosen->error, "connection \"%s\" is one of scaler %s, not of %s",
                             name, connection->scaler, scaler);
    chosen->named = connection;
    return true;
}

/* The scaler's mistakes of a connection that is denied are left out: correcting them would not
 * help. */
static bool refuse_inline(const struct parse *parse, struct error *error)
{
    _cleanup_(text_done) struct text keys = {0};
    const struct option *table = parse->parsed->scaler->options;
    for (size_t i = 0; i < parse->ref->count; i++) {
        const struct option *row =
            option_find(table, parse->ref->entries[i].key, OPTION_FROM_TRIGGER);
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

/* With --deny-inline-connections an authentication may be what is used in place of an inline
 * connection: not where the trigger has none. */
static bool choose_connection(const struct parse *parse, struct chosen *chosen)
{
    const struct own_credentials_settings *own = parse->settings->own;
    const struct credentials *credentials = parse->known->credentials;
    bool deny = parse->settings->deny_inline;
    bool reads_objects = own_credentials_are_read(own);
    if (parse->parsed->connection_name != NULL) {
        parse->parsed->needs |= reads_objects ? TRIGGER_NEEDS_HPA : 0;
        return find_connection(parse, chosen);
    }
    bool may_have_own = reads_objects && (!deny || own->allows_authentications);
    bool has_none = !may_have_own || (credentials != NULL && credentials->count == 0 &&
                                      credentials->state == CREDENTIALS_VERIFIED);
    if (may_have_own)
        parse->parsed->needs |= TRIGGER_NEEDS_CREDENTIALS | TRIGGER_NEEDS_HPA;
    if (deny && has_none)
        return refuse_inline(parse, &chosen->error);
    if (!may_have_own)
        return true;
    const struct own_credentials_request request = {
        .ref = parse->ref,
        .table = parse->parsed->scaler->options,
        .credentials = credentials,
        .deny_inline = deny,
    };
    return own_credentials_admit(own, &request, &chosen->is_pending, &chosen->error);
}

/* `connection` has the values of its keys; NULL: the trigger's own entries and credentials have. */
static void parse_options(const struct parse *parse, const struct named_connection *connection,
                          enum option_origin origin)
{
    struct trigger_parsed *parsed = parse->parsed;
    const struct trigger_ref *ref = parse->ref;
    const struct scaler *scaler = parsed->scaler;
    _cleanup_(memory_free) struct option_entry *entries_beside = NULL;
    struct option_values *values = NULL;
    struct option_input input = {
        .entries = ref->entries,
        .count = ref->count,
        .origin = origin,
        .others = general_table,
    };
    check_file_only(scaler->options, ref, &parsed->mistakes);
    if (parsed->needs & TRIGGER_NEEDS_CREDENTIALS && origin == OPTION_FROM_TRIGGER &&
        parse->known->credentials->count > 0)
        input.credentials =
            own_credentials_parse(parse->known->credentials, scaler, &parsed->mistakes);
    if (connection != NULL) {
        values = named_connections_values(connection, scaler, &parsed->mistakes);
        entries_beside = named_connections_entries_beside(
            connection, values, ref->entries, ref->count, &input.count, &parsed->mistakes);
        input.entries = entries_beside;
        input.connection = values;
    }
    option_parse(scaler->options, scaler->sizes, &input, parsed->values, &parsed->mistakes);
    option_values_free(values);
}

static bool has_threshold(const struct trigger_parsed *parsed)
{
    for (const struct option *row = parsed->scaler->options; row->key != NULL; row++)
        if ((row->flags & OPTION_THRESHOLD) &&
            option_is_given(parsed->values[row->scope], row->key))
            return true;
    return false;
}

/* Keys that name an authentication must not be passed over in silence. */
static void check_authentication_keys(const struct general_options *general,
                                      const struct parse_settings *settings, struct error *mistakes)
{
    const char *key = general->trigger_authentication != NULL           ? CREDENTIALS_KEY
                      : general->cluster_trigger_authentication != NULL ? CREDENTIALS_CLUSTER_KEY
                                                                        : NULL;
    if (key == NULL)
        return;
    if (!own_credentials_are_read(settings->own))
        error_add(mistakes, "%s needs a server with --kubernetes", key);
    else if (general->connection_name != NULL)
        error_add(mistakes, "%s and connectionName exclude each other: remove one of them", key);
}

/* Whole replicas at a target of 1, also where there are mistakes: GetMetricSpec must not change
 * when they are corrected. */
static void apply_policy(struct trigger_parsed *parsed, const struct options *options)
{
    struct trigger_policy_plan *plan = parsed->policy_plan;
    if (plan == NULL)
        return;
    trigger_policy_plan_check(plan, parsed->scaler, options, &parsed->mistakes);
    plan->basis = (struct policy_basis){
        .threshold = parsed->target,
        .has_threshold = has_threshold(parsed),
        .hold_ms = parsed->rules.hold_ms,
    };
    parsed->target = 1;
}

/* A trigger that lacks nothing but its connection may come by it. */
static enum trigger_phase phase_of(const struct trigger_parsed *parsed, const struct chosen *chosen)
{
    bool has_other = parsed->connection_name != NULL || parsed->needs & TRIGGER_NEEDS_CREDENTIALS;
    if (error_is_set(&parsed->mistakes))
        return TRIGGER_INVALID;
    if (!error_is_set(&chosen->error))
        return TRIGGER_READY;
    if (!has_other)
        return TRIGGER_INVALID;
    return chosen->is_pending ? TRIGGER_PENDING : TRIGGER_UNCONNECTED;
}

/* Why there is no connection, after the mistakes. A code that is not ERROR_INVALID outlives them.
 */
static void add_unconnected(struct error *mistakes, const struct error *error, bool is_alone)
{
    if (!error_is_set(error))
        return;
    error_add(mistakes, "%s", error_text(error));
    if (error->code == ERROR_DENIED || error->code == ERROR_LIMIT ||
        (error->code == ERROR_UNAVAILABLE && is_alone))
        mistakes->code = error->code;
}

static enum trigger_phase parse_scaler(const struct parse *parse)
{
    struct trigger_parsed *parsed = parse->parsed;
    struct chosen chosen = {0};
    bool is_connected = choose_connection(parse, &chosen) && !parse->settings->has_unknown_values;
    if (!is_connected)
        chosen.named = NULL;
    parse_options(parse, chosen.named,
                  is_connected ? OPTION_FROM_TRIGGER : OPTION_FROM_TRIGGER_ALONE);

    struct options options = trigger_parsed_options(parsed);
    struct metric_spec spec = {0};
    if (is_connected)
        scaler_check(parsed->scaler, &options, &parsed->mistakes);
    else if (parsed->scaler->check != NULL)
        parsed->scaler->check(&options, &parsed->mistakes);
    parsed->scaler->metric_spec(&options, &spec);
    parsed->idle_interval_ms = spec.idle_interval_ms;
    set_metric_spec(parsed, spec.metric_name, spec.target);
    apply_policy(parsed, &options);

    enum trigger_phase phase = phase_of(parsed, &chosen);
    add_unconnected(&parsed->mistakes, &chosen.error, phase != TRIGGER_INVALID);
    error_done(&chosen.error);
    return phase;
}

enum trigger_phase parse_trigger(const struct trigger_ref *ref,
                                 const struct parse_settings *settings,
                                 const struct parse_known *known, struct trigger_parsed *ret_parsed)
{
    struct trigger_parsed *parsed = ret_parsed;
    enum trigger_phase phase = TRIGGER_INVALID;
    *parsed = (struct trigger_parsed){0};
    struct option_values *values =
        general_parse(ref->entries, ref->count, &settings->rules, &parsed->mistakes);
    const struct general_options *general = values->data;
    parsed->rules = general->rules;
    if (known->hpa != NULL && known->hpa->down_window_ms >= 0) /* it is what the key is to say */
        parsed->rules.hold_window_ms = known->hpa->down_window_ms;
    parsed->connection_name = text_copy(general->connection_name);
    check_authentication_keys(general, settings, &parsed->mistakes);
    parsed->policy_plan = trigger_policy_plan_new(&general->policy, &parsed->mistakes);
    parsed->scaler =
        general->scaler == NULL ? NULL : scaler_find(settings->scalers, general->scaler);
    if (parsed->scaler != NULL)
        phase = parse_scaler(&(struct parse){ref, settings, known, parsed});
    else {
        scaler_add_unknown(settings->scalers, general->scaler, &parsed->mistakes);
        set_metric_spec(parsed, text_copy(TRIGGER_INVALID_METRIC), 1);
    }
    option_values_free(values);
    return phase;
}
