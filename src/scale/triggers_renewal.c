#include "scale/triggers_internal.h"

#include "base/memory.h"
#include "base/text.h"
#include "scale/connections/named.h"
#include "scale/parse.h"

#include <stdlib.h>

/* ---- parsing ---- */

/* As the trigger was parsed: it needs the Secret of its namespace from now on, or not any more. */
static void update_secret(struct triggers *triggers, struct trigger *trigger)
{
    _cleanup_(error_done) struct error error = {0};
    if (trigger->secret != NULL && !trigger->wants_secret)
        triggers_leave_secret(triggers, trigger);
    if (trigger->secret != NULL || !trigger->wants_secret ||
        namespace_secrets_join(triggers->secrets, trigger, &error))
        return;
    trigger->awaits_secret = false;
    error_move(&trigger->mistakes, &error);
}

void triggers_parse(struct triggers *triggers, struct trigger *trigger,
                    const struct trigger_ref *ref)
{
    const struct parse_settings settings = {
        .scalers = triggers->settings.scalers,
        .connections = triggers->settings.connections,
        .has_secret = namespace_secrets_are_allowed(triggers->secrets, trigger->namespace),
        .secret = namespace_secrets_find(triggers->secrets, trigger->namespace),
        .rules = triggers->settings.rules,
        .deny_inline = triggers->settings.deny_inline,
        .own = &triggers->settings.own,
    };
    trigger_parse(trigger, ref, &settings);
    if (trigger->credentials != NULL && trigger->credentials->hpa.down_window_ms >= 0)
        trigger->rules.hold_window_ms = trigger->credentials->hpa.down_window_ms;
    update_secret(triggers, trigger);
    error_shorten(&trigger->mistakes, TRIGGERS_MAX_MISTAKES);
}

/* ---- the connections file has changed ---- */

/* What is measured, and how often, is the same before and after: neither is of the connection. */
static void parse_again(struct triggers *triggers, struct trigger *trigger)
{
    trigger_unfollow(trigger); /* a step, on another thread, reads what goes now */
    struct option_values *connection = TAKE(trigger->values[OPTION_CONNECTION]);
    char *name = TAKE(trigger->connection_name); /* the query's user has it */
    struct trigger_ref ref = identity_ref(&trigger->identity);

    budgets_suspend(&triggers->budgets, trigger);
    trigger_parse_done(trigger);
    triggers_parse(triggers, trigger, &ref);
    free(trigger->connection_name);
    trigger->connection_name = name;
    budgets_resume(&triggers->budgets, trigger);
    bool is_same = !error_is_set(&trigger->mistakes) &&
                   text_equal(trigger->values[OPTION_CONNECTION]->identity, connection->identity);
    if (trigger->query == NULL || !is_same)
        trigger_query_exchange(&triggers->query_settings, trigger, connection);
    else
        trigger_follow(trigger);
    free(ref.entries);
    option_values_free(connection);
}

/* A connection that is not there may not have been there before either: that counts, too. No
 * connection concerns a trigger of an unknown scaler, which has no values of one. */
static bool is_stale(const struct triggers *triggers, const struct trigger *trigger)
{
    if (trigger->connection_name == NULL || trigger->scaler == NULL)
        return false;
    const struct named_connection *connection =
        connections_find(triggers->settings.connections, trigger->connection_name);
    if (connection != NULL && connection->revision > trigger->revision)
        return true;
    return trigger->secret == NULL ? connection == NULL
                                   : trigger->secret->revision > trigger->revision;
}

void triggers_renew_one(struct triggers *triggers, struct trigger *trigger)
{
    if (trigger->revision == triggers->revision)
        return;
    bool was_stale = is_stale(triggers, trigger);
    trigger->revision = triggers->revision;
    if (was_stale)
        parse_again(triggers, trigger);
}

bool triggers_renew(struct triggers *triggers, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        struct trigger *trigger = triggers->next_renewed;
        if (trigger != NULL)
            triggers->next_renewed = trigger->hh.next;
        else if ((trigger = namespace_secrets_next_stale(triggers->secrets)) == NULL)
            return false;
        triggers_renew_one(triggers, trigger);
    }
    return triggers->next_renewed != NULL || namespace_secrets_have_stale(triggers->secrets);
}

static bool make_room_for_secret(struct triggers *triggers, const char *namespace,
                                 const struct connections *connections, int64_t now_ms,
                                 struct error *error)
{
    const struct namespace_budget *budget = budgets_find(&triggers->budgets, namespace);
    size_t before = budget == NULL ? 0 : budget->secret_bytes;
    size_t bytes = connections_bytes(connections);
    return bytes <= before ||
           triggers_make_room_for_bytes(triggers, namespace, bytes - before, now_ms, error) ||
           error_prefix(error, "its connections take %zu KiB", bytes >> 10);
}

/* What has no room is not kept: the last good version is, and counts on. */
bool triggers_set_secret(struct triggers *triggers, const char *namespace,
                         struct connections *connections, const struct error *failure,
                         int64_t now_ms)
{
    _cleanup_(error_done) struct error refused = {0};
    bool has_room = make_room_for_secret(triggers, namespace, connections, now_ms, &refused);
    if (!has_room) {
        connections_free(connections);
        connections = NULL;
        failure = &refused;
    }
    namespace_secrets_set(triggers->secrets, namespace, connections, failure, ++triggers->revision);
    const struct namespace_secret *secret = namespace_secrets_find(triggers->secrets, namespace);
    budgets_set_secret(&triggers->budgets, namespace,
                       secret == NULL ? 0 : connections_bytes(secret->connections));
    return has_room;
}

const struct namespace_secrets *triggers_secrets(const struct triggers *triggers)
{
    return triggers->secrets;
}

void triggers_set_connections(struct triggers *triggers, struct connections *connections)
{
    struct connections *before = triggers->settings.connections;
    connections_number(connections, before, ++triggers->revision);
    triggers->settings.connections = connections;
    connections_free(before);
    triggers_reserve_for_file(triggers);
    triggers->next_renewed = triggers->by_identity;
}

const struct connections *triggers_connections(const struct triggers *triggers)
{
    return triggers->settings.connections;
}

/* Takes the credentials. */
static void use_credentials(struct triggers *triggers, struct trigger *trigger,
                            struct credentials *credentials)
{
    bool is_same = credentials_equal_but_replicas(trigger->credentials, credentials);
    credentials_free(trigger->credentials);
    trigger->credentials = credentials;
    if (!is_same)
        parse_again(triggers, trigger);
}

bool triggers_set_credentials(struct triggers *triggers, const char *identity, size_t length,
                              struct credentials *credentials, int64_t now_ms)
{
    const struct identity bytes = {.bytes = (char *)identity, .length = length};
    _cleanup_(error_done) struct error ignored = {0};
    struct trigger_ref ref = identity_ref(&bytes);
    struct identity measured;
    struct trigger *trigger = NULL;
    if (identity_measure(&ref, &measured, &ignored))
        trigger = triggers_lookup(triggers, &ref, &measured);
    free(ref.entries);
    if (trigger == NULL || !(trigger->wants_credentials || trigger->wants_hpa)) {
        credentials_free(credentials);
        return true;
    }
    struct credentials *refused = credentials_new();
    size_t before = trigger->credentials == NULL ? 0 : trigger->credentials->bytes;
    bool has_room = credentials->bytes <= before ||
                    triggers_make_room_beside(triggers, trigger, credentials->bytes - before,
                                              now_ms, &refused->failure);
    refused->state = CREDENTIALS_REFUSED;
    if (has_room)
        use_credentials(triggers, trigger, TAKE(credentials));
    else if (!credentials_equal(trigger->credentials, refused))
        use_credentials(triggers, trigger, TAKE(refused));
    credentials_free(credentials);
    credentials_free(refused);
    return has_room;
}
