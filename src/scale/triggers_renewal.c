#include "scale/triggers_internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/connections/named.h"
#include "scale/parse.h"
#include "scale/trigger_peers.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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

static void parse(struct triggers *triggers, struct trigger *trigger, const struct trigger_ref *ref)
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
    parse(triggers, trigger, &ref);
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

static void renew(struct triggers *triggers, struct trigger *trigger)
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
        renew(triggers, trigger);
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

/* ---- finding ---- */

static struct trigger *trigger_new(struct triggers *triggers, const struct trigger_ref *ref,
                                   struct identity identity, int64_t now_ms)
{
    struct trigger *trigger = memory_new(sizeof(*trigger));
    trigger->name = text_copy(ref->name);
    trigger->namespace = text_copy(ref->namespace);
    parse(triggers, trigger, ref);
    trigger->revision = triggers->revision;
    identity_write(&identity, ref);
    trigger->identity = identity;
    trigger->first_call_ms = trigger->last_call_ms = now_ms;
    return trigger;
}

/* What it takes is known when it has been parsed, which is not done where there is no room anyway.
 */
static bool parse_new(struct triggers *triggers, const struct trigger_ref *ref,
                      const struct identity *identity, int64_t now_ms, struct trigger **ret_trigger,
                      struct error *error)
{
    if (identity->length > TRIGGERS_MAX_METADATA)
        return error_set(error, ERROR_LIMIT, "scalerMetadata has %zu bytes: at most %d are allowed",
                         identity->length, TRIGGERS_MAX_METADATA);
    if (!triggers_make_room_for_bytes(triggers, ref->namespace, budget_min(identity->length),
                                      now_ms, error))
        return false;
    struct trigger *trigger = trigger_new(triggers, ref, *identity, now_ms);
    if (triggers_make_room_for_bytes(triggers, ref->namespace,
                                     budget_of(&triggers->budgets, trigger), now_ms, error) &&
        triggers_make_room(triggers, error)) {
        triggers_add(triggers, trigger);
        if (trigger->wants_credentials || trigger->wants_hpa)
            triggers->settings.own.add(triggers->settings.own.context, &trigger->identity, ref,
                                       trigger->wants_hpa ? NULL : trigger->scaler->options);
        *ret_trigger = trigger;
        return true;
    }
    triggers_free_trigger(triggers, trigger);
    return false;
}

bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error)
{
    struct identity identity;
    if (!identity_measure(ref, &identity, error))
        return false;
    struct trigger *trigger = triggers_lookup(triggers, ref, &identity);
    if (trigger != NULL) {
        triggers_touch(triggers, trigger, now_ms);
        renew(triggers, trigger);
        *ret_trigger = trigger;
    } else if (!parse_new(triggers, ref, &identity, now_ms, ret_trigger, error))
        return false;
    trigger_take_from_peers(*ret_trigger, triggers->settings.peers, now_ms);
    return true;
}

/* ---- its query ---- */

static int64_t replicas_ms(const struct trigger *trigger)
{
    return trigger->credentials == NULL ? 0 : trigger->credentials->hpa.replicas_ms;
}

/* What KEDA was answered last is no reading, or an old one: the source may have refused the
 * credentials. Ever less often while it is so: what changes is noticed without it, too, and the
 * triggers of a source that is away for long are many. */
static void doubt_credentials(const struct triggers *triggers, struct trigger *trigger)
{
    enum { FIRST_DOUBT_MS = 1000, LONGEST_DOUBT_MS = 60 * 1000 };
    int64_t now_ms = clock_now_ms();
    bool is_failing =
        error_is_set(&trigger->mistakes) || trigger->is_held ||
        (trigger->last_answer.call != NULL && trigger->last_answer.answer.kind == ANSWER_REFUSED);
    if (!is_failing || trigger->last_answer.answer.failing_since_ms > trigger->doubted_ms)
        trigger->doubt_interval_ms = 0;
    int64_t interval_ms =
        trigger->doubt_interval_ms < FIRST_DOUBT_MS ? FIRST_DOUBT_MS : trigger->doubt_interval_ms;
    bool is_due = trigger->doubted_ms == 0 || now_ms - trigger->doubted_ms >= interval_ms;
    bool needs_replicas = trigger->wants_hpa && trigger->is_held &&
                          triggers->settings.own.reads_hpas &&
                          replicas_ms(trigger) < trigger->last_answer.answer.failing_since_ms;
    if (!(trigger->wants_credentials || needs_replicas) || trigger->awaits_secret || !is_failing ||
        !is_due)
        return;
    trigger->doubted_ms = now_ms;
    if (trigger->doubt_interval_ms > 0)
        interval_ms = interval_ms * 2 > LONGEST_DOUBT_MS ? LONGEST_DOUBT_MS : interval_ms * 2;
    trigger->doubt_interval_ms = interval_ms;
    triggers->settings.own.doubt(triggers->settings.own.context, &trigger->identity);
}

bool triggers_acquire_query(struct triggers *triggers, struct trigger *trigger,
                            struct query **ret_query, struct error *error)
{
    doubt_credentials(triggers, trigger);
    if (error_is_set(&trigger->mistakes)) {
        error_copy(error, &trigger->mistakes);
        return false;
    }
    struct watcher *watcher;
    if (!trigger_query_acquire(&triggers->query_settings, trigger, error))
        return false;
    DL_FOREACH2(trigger->watchers, watcher, next_owned)
        if (watcher->query == NULL)
            watcher_start(watcher, trigger->query, watcher->is_stream);
    *ret_query = trigger->query;
    return true;
}
