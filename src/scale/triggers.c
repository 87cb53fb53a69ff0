#include "scale/triggers.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/inline.h"
#include "scale/parse.h"
#include "scale/trigger_query.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct triggers {
    struct triggers_settings settings;
    struct trigger *by_identity;
    struct trigger *by_age; /* utlist, the one without a call for longest first */
    struct policy_stats policy_stats;
    struct trigger *next_walked;  /* see triggers_next() */
    struct trigger *next_renewed; /* it and those behind it may be of an older revision */
    uint64_t revision;            /* of the connections */
    uint64_t last_id;
    size_t bytes;     /* of the identities */
    bool is_stopping; /* what is released now says nothing about KEDA */
    struct trigger_query_settings query_settings;
    struct namespace_secrets *secrets;
};

struct triggers *triggers_new(const struct triggers_settings *settings)
{
    struct triggers *triggers = memory_new(sizeof(*triggers));
    triggers->settings = *settings;
    triggers->query_settings = (struct trigger_query_settings){
        .engine = settings->engine, .inlines = inline_connections_new(settings->max_inline)};
    triggers->secrets = namespace_secrets_new(&settings->secrets);
    triggers->revision = 1;
    connections_number(settings->connections, NULL, triggers->revision);
    return triggers;
}

static void trigger_free(struct triggers *triggers, struct trigger *trigger)
{
    trigger_query_release(&triggers->query_settings, trigger,
                          triggers->is_stopping ? "the server stops"
                                                : "KEDA no longer calls for it");
    if (trigger->secret != NULL)
        namespace_secrets_leave(triggers->secrets, trigger);
    answer_done(&trigger->last_answer.answer);
    answer_done(&trigger->round.answer);
    identity_done(&trigger->identity);
    free(trigger->peak);
    trigger_policy_free(trigger->policy);
    trigger_parse_done(trigger);
    free(trigger->name);
    free(trigger->namespace);
    free(trigger);
}

static void drop(struct triggers *triggers, struct trigger *trigger)
{
    assert(triggers->by_identity != NULL); /* the trigger is in it */
    if (triggers->next_walked == trigger)
        triggers->next_walked = trigger->hh.next;
    if (triggers->next_renewed == trigger)
        triggers->next_renewed = trigger->hh.next;
    HASH_DELETE(hh, triggers->by_identity, trigger);
    DL_DELETE(triggers->by_age, trigger);
    if (trigger->policy != NULL)
        trigger_policy_leave(trigger->policy);
    triggers->bytes -= trigger->identity.length;
    trigger_free(triggers, trigger);
}

void triggers_free(struct triggers *triggers)
{
    struct trigger *trigger;
    struct trigger *next;
    triggers->is_stopping = true;
    DL_FOREACH_SAFE(triggers->by_age, trigger, next)
    drop(triggers, trigger);
    connections_free(triggers->settings.connections);
    inline_connections_free(triggers->query_settings.inlines);
    namespace_secrets_free(triggers->secrets);
    free(triggers);
}

/* As the trigger was parsed: it needs the Secret of its namespace from now on, or not any more. */
static void update_secret(struct triggers *triggers, struct trigger *trigger)
{
    _cleanup_(error_done) struct error error = {0};
    if (trigger->secret != NULL && !trigger->wants_secret)
        namespace_secrets_leave(triggers->secrets, trigger);
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
    };
    trigger_parse(trigger, ref, &settings);
    update_secret(triggers, trigger);
}

static struct trigger *trigger_new(struct triggers *triggers, const struct trigger_ref *ref)
{
    struct trigger *trigger = memory_new(sizeof(*trigger));
    trigger->name = text_copy(ref->name);
    trigger->namespace = text_copy(ref->namespace);
    parse(triggers, trigger, ref);
    trigger->revision = triggers->revision;
    return trigger;
}

static void touch(struct triggers *triggers, struct trigger *trigger, int64_t now_ms)
{
    trigger->last_call_ms = now_ms;
    DL_DELETE(triggers->by_age, trigger);
    DL_APPEND(triggers->by_age, trigger);
}

/* The trigger without a call for longest that is not pinned; NULL where all are pinned. */
static struct trigger *find_droppable(struct triggers *triggers, int64_t now_ms)
{
    for (size_t i = HASH_COUNT(triggers->by_identity); i > 0; i--) {
        struct trigger *oldest = triggers->by_age;
        if (oldest == NULL || oldest->pins == 0)
            return oldest;
        touch(triggers, oldest, now_ms); /* a stream of it is open: that counts as a call, too */
    }
    return NULL;
}

static bool refuse_another(const struct triggers *triggers, struct error *error)
{
    const struct triggers_settings *settings = &triggers->settings;
    if (HASH_COUNT(triggers->by_identity) >= settings->max)
        return error_set(error, ERROR_LIMIT, "all %zu triggers are in use (--max-triggers)",
                         settings->max);
    return error_set(error, ERROR_LIMIT,
                     "all %zu bytes for the metadata of triggers are in use (no flag sets them)",
                     settings->max_bytes);
}

/* A full table drops the oldest: GetMetricSpec must never fail, and what is still needed is soon called
 * for again. */
static bool make_room(struct triggers *triggers, size_t length, int64_t now_ms, struct error *error)
{
    const struct triggers_settings *settings = &triggers->settings;
    while (HASH_COUNT(triggers->by_identity) >= settings->max ||
           triggers->bytes + length > settings->max_bytes) {
        struct trigger *oldest = find_droppable(triggers, now_ms);
        if (oldest == NULL)
            return refuse_another(triggers, error);
        drop(triggers, oldest);
    }
    return true;
}

/* Looked up by a ref, where the table's keys are identities. uthash has compared their lengths before. */
#undef HASH_KEYCMP

#define HASH_KEYCMP(bytes, ref, length) (!identity_is((bytes), (ref)))

static struct trigger *find(const struct triggers *triggers, const struct trigger_ref *ref,
                            const struct identity *identity)
{
    struct trigger *trigger;
    HASH_FIND_BYHASHVALUE(hh, triggers->by_identity, ref, identity->length, identity->hash,
                          trigger);
    return trigger;
}

static struct trigger *add(struct triggers *triggers, const struct trigger_ref *ref,
                           struct identity identity, int64_t now_ms)
{
    struct trigger *trigger = trigger_new(triggers, ref);
    identity_write(&identity, ref);
    trigger->id = ++triggers->last_id;
    trigger->identity = identity;
    trigger->first_call_ms = trigger->last_call_ms = now_ms;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, triggers->by_identity, trigger->identity.bytes, identity.length,
                                identity.hash, trigger);
    DL_APPEND(triggers->by_age, trigger);
    if (trigger->policy != NULL)
        trigger_policy_join(trigger->policy, &triggers->policy_stats);
    triggers->bytes += identity.length;
    return trigger;
}

int64_t triggers_expire(struct triggers *triggers, int64_t now_ms)
{
    int64_t forget_ms = triggers->settings.forget_ms;
    struct trigger *oldest;
    for (int i = 0; (oldest = triggers->by_age) != NULL; i++) {
        if (oldest->last_call_ms + forget_ms > now_ms)
            return oldest->last_call_ms + forget_ms;
        if (i == TRIGGERS_EXPIRED_AT_ONCE)
            return now_ms;
        if (oldest->pins == 0)
            drop(triggers, oldest);
        else
            touch(triggers, oldest, now_ms);
    }
    return now_ms + forget_ms;
}

size_t triggers_count(const struct triggers *triggers)
{
    return HASH_COUNT(triggers->by_identity);
}

const struct policy_stats *triggers_policy_stats(const struct triggers *triggers)
{
    return &triggers->policy_stats;
}

struct trigger *triggers_next(struct triggers *triggers)
{
    struct trigger *trigger = triggers->next_walked;
    if (trigger != NULL)
        triggers->next_walked = trigger->hh.next;
    return trigger;
}

struct trigger *triggers_first(struct triggers *triggers)
{
    triggers->next_walked = triggers->by_identity;
    return triggers_next(triggers);
}

bool trigger_query(struct triggers *triggers, struct trigger *trigger, struct query **ret_query,
                   struct error *error)
{
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

/* ---- the connections file has changed ---- */

/* What is measured, and how often, is the same before and after: neither is of the connection. */
static void parse_again(struct triggers *triggers, struct trigger *trigger)
{
    struct option_values *connection = TAKE(trigger->values[OPTION_CONNECTION]);
    char *name = TAKE(trigger->connection_name); /* the query's user has it */
    struct trigger_ref ref = identity_ref(&trigger->identity);

    trigger_parse_done(trigger);
    parse(triggers, trigger, &ref);
    free(trigger->connection_name);
    trigger->connection_name = name;
    bool is_same = !error_is_set(&trigger->mistakes) &&
                   text_equal(trigger->values[OPTION_CONNECTION]->identity, connection->identity);
    if (trigger->query == NULL || !is_same)
        trigger_query_exchange(&triggers->query_settings, trigger, connection);
    free(ref.entries);
    option_values_free(connection);
}

/* A connection that is not there may not have been there before either: that counts, too. No connection concerns a
 * trigger of an unknown scaler, which has no values of one. */
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

void triggers_set_secret(struct triggers *triggers, const char *namespace,
                         struct connections *connections, const struct error *failure)
{
    namespace_secrets_set(triggers->secrets, namespace, connections, failure, ++triggers->revision);
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
    triggers->next_renewed = triggers->by_identity;
}

const struct connections *triggers_connections(const struct triggers *triggers)
{
    return triggers->settings.connections;
}

/* ---- finding ---- */

bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error)
{
    struct identity identity;
    if (!identity_measure(ref, &identity, error))
        return false;
    struct trigger *trigger = find(triggers, ref, &identity);
    if (trigger != NULL) {
        touch(triggers, trigger, now_ms);
        renew(triggers, trigger);
    } else if (make_room(triggers, identity.length, now_ms, error))
        trigger = add(triggers, ref, identity, now_ms);
    else
        return false;
    *ret_trigger = trigger;
    return true;
}
