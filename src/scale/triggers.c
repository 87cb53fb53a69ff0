#include "scale/triggers.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/budget.h"
#include "scale/connections/inline.h"
#include "scale/connections/named.h"
#include "scale/objects.h"
#include "scale/parse.h"
#include "scale/trigger_peers.h"
#include "scale/trigger_query.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct triggers {
    struct triggers_settings settings;
    struct trigger *by_identity;
    struct trigger
        *by_age; /* utlist of those not pinned, the one without a call for longest first */
    struct trigger_object *objects;
    struct policy_stats policy_stats;
    struct trigger *next_walked;  /* see triggers_next() */
    struct trigger *next_renewed; /* it and those behind it may be of an older revision */
    uint64_t revision;            /* of the connections */
    uint64_t last_id;
    struct budgets budgets;
    bool is_stopping; /* what is released now says nothing about KEDA */
    struct trigger_query_settings query_settings;
    struct namespace_secrets *secrets;
};

/* What the file names is the administrator's: no trigger's own connection is in its way. */
static void reserve_for_file(struct triggers *triggers)
{
    const struct triggers_settings *settings = &triggers->settings;
    const struct connections *connections = settings->connections;
    size_t count = 0;
    size_t agents = 0;
    for (size_t i = 0; connections != NULL && i < connections->count; i++) {
        const struct named_connection *connection = &connections->items[i];
        const struct scaler *scaler = named_connection_is_usable(connection)
                                          ? scaler_find(settings->scalers, connection->scaler)
                                          : NULL;
        count += scaler != NULL;
        agents += scaler != NULL && engine_uses_agent(settings->engine, scaler);
    }
    inline_connections_reserve(triggers->query_settings.inlines, count, agents);
}

struct triggers *triggers_new(const struct triggers_settings *settings)
{
    struct triggers *triggers = memory_new(sizeof(*triggers));
    triggers->settings = *settings;
    triggers->query_settings = (struct trigger_query_settings){
        .engine = settings->engine,
        .inlines =
            inline_connections_new(settings->max_inline, engine_max_connections(settings->engine),
                                   engine_max_agents(settings->engine))};
    triggers->secrets = namespace_secrets_new(&settings->secrets);
    triggers->revision = 1;
    connections_number(settings->connections, NULL, triggers->revision);
    reserve_for_file(triggers);
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
    trigger_forget_values(trigger);
    trigger_policy_free(trigger->policy);
    trigger_parse_done(trigger);
    credentials_free(trigger->credentials);
    free(trigger->name);
    free(trigger->namespace);
    free(trigger);
}

static void put_on_lists(struct triggers *triggers, struct trigger *trigger)
{
    DL_APPEND(triggers->by_age, trigger);
    DL_APPEND2(trigger->budget->by_age, trigger, prev_of_namespace, next_of_namespace);
}

static void take_off_lists(struct triggers *triggers, struct trigger *trigger)
{
    DL_DELETE(triggers->by_age, trigger);
    DL_DELETE2(trigger->budget->by_age, trigger, prev_of_namespace, next_of_namespace);
}

static void drop(struct triggers *triggers, struct trigger *trigger)
{
    assert(triggers->by_identity != NULL); /* the trigger is in it */
    if (triggers->next_walked == trigger)
        triggers->next_walked = trigger->hh.next;
    if (triggers->next_renewed == trigger)
        triggers->next_renewed = trigger->hh.next;
    HASH_DELETE(hh, triggers->by_identity, trigger);
    if (trigger->pins == 0)
        take_off_lists(triggers, trigger);
    if (trigger->policy != NULL)
        trigger_policy_leave(trigger->policy);
    budgets_leave(&triggers->budgets, trigger);
    objects_leave(&triggers->objects, trigger);
    if (trigger->wants_credentials || trigger->wants_hpa)
        triggers->settings.own.remove(triggers->settings.own.context, &trigger->identity);
    trigger_free(triggers, trigger);
}

void triggers_free(struct triggers *triggers)
{
    struct trigger *trigger;
    struct trigger *next;
    triggers->is_stopping = true;
    HASH_ITER(hh, triggers->by_identity, trigger, next)
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
        .own = &triggers->settings.own,
    };
    trigger_parse(trigger, ref, &settings);
    if (trigger->credentials != NULL && trigger->credentials->hpa.down_window_ms >= 0)
        trigger->rules.hold_window_ms = trigger->credentials->hpa.down_window_ms;
    update_secret(triggers, trigger);
    error_shorten(&trigger->mistakes, TRIGGERS_MAX_MISTAKES);
}

static void touch(struct triggers *triggers, struct trigger *trigger, int64_t now_ms)
{
    trigger->last_call_ms = now_ms;
    objects_touch(trigger->object, now_ms);
    if (trigger->pins > 0)
        return;
    take_off_lists(triggers, trigger);
    put_on_lists(triggers, trigger);
}

void triggers_pin(struct triggers *triggers, struct trigger *trigger)
{
    trigger->object->pins++;
    if (trigger->pins++ == 0)
        take_off_lists(triggers, trigger);
}

void triggers_unpin(struct triggers *triggers, struct trigger *trigger, int64_t now_ms)
{
    trigger->object->pins--;
    if (--trigger->pins > 0)
        return;
    trigger->last_call_ms = now_ms;
    objects_touch(trigger->object, now_ms);
    put_on_lists(triggers, trigger);
}

/* A full table drops the oldest: GetMetricSpec should not fail, and what is still needed is soon
 * called for again. */
static bool make_room(struct triggers *triggers, struct error *error)
{
    size_t max = triggers->settings.max;
    if (HASH_COUNT(triggers->by_identity) >= max && triggers->by_age == NULL)
        return error_set(error, ERROR_LIMIT, "all %zu triggers are in use (--max-triggers)", max);
    if (HASH_COUNT(triggers->by_identity) >= max)
        drop(triggers, triggers->by_age);
    return true;
}

static bool refuse_bytes(const char *whose, size_t max_bytes, struct error *error)
{
    return error_set(error, ERROR_LIMIT,
                     "the triggers of %s use all of their %zu KiB of memory (--trigger-memory)",
                     whose, max_bytes >> 10);
}

static bool is_in_use(const struct trigger *trigger, int64_t now_ms)
{
    return trigger == NULL || now_ms - trigger->last_call_ms < TRIGGERS_IN_USE_MS;
}

/* First within the namespace: what one needs drops no trigger of another while it has too many of
 * its own. */
static bool make_room_for_bytes(struct triggers *triggers, const char *namespace, size_t bytes,
                                int64_t now_ms, struct error *error)
{
    size_t max = triggers->settings.max_bytes;
    size_t max_of_namespace = max / TRIGGERS_NAMESPACE_SHARE;
    for (const struct namespace_budget *budget;
         (budget = budgets_find(&triggers->budgets, namespace)) != NULL &&
         budget->bytes + bytes > max_of_namespace;) {
        _cleanup_(memory_free) char *whose =
            text_format("namespace \"%.*s\"", (int)text_cut(namespace, 64), namespace);
        if (is_in_use(budget->by_age, now_ms))
            return refuse_bytes(whose, max_of_namespace, error);
        drop(triggers, budget->by_age);
    }
    while (triggers->budgets.bytes + bytes > max) {
        if (is_in_use(triggers->by_age, now_ms))
            return refuse_bytes("all namespaces", max, error);
        drop(triggers, triggers->by_age);
    }
    return true;
}

/* Looked up by a ref, where the table's keys are identities. uthash has compared their lengths
 * before. */
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

static void add(struct triggers *triggers, struct trigger *trigger)
{
    trigger->id = ++triggers->last_id;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, triggers->by_identity, trigger->identity.bytes,
                                trigger->identity.length, trigger->identity.hash, trigger);
    budgets_join(&triggers->budgets, trigger);
    objects_join(&triggers->objects, trigger);
    put_on_lists(triggers, trigger);
    if (trigger->policy != NULL)
        trigger_policy_join(trigger->policy, &triggers->policy_stats);
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
    if (!make_room_for_bytes(triggers, ref->namespace, budget_min(identity->length), now_ms, error))
        return false;
    struct trigger *trigger = trigger_new(triggers, ref, *identity, now_ms);
    if (make_room_for_bytes(triggers, ref->namespace, budget_of(&triggers->budgets, trigger),
                            now_ms, error) &&
        make_room(triggers, error)) {
        add(triggers, trigger);
        if (trigger->wants_credentials || trigger->wants_hpa)
            triggers->settings.own.add(triggers->settings.own.context, &trigger->identity, ref,
                                       trigger->wants_hpa ? NULL : trigger->scaler->options);
        *ret_trigger = trigger;
        return true;
    }
    trigger_free(triggers, trigger);
    return false;
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
        drop(triggers, oldest);
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

struct trigger *triggers_behind(const struct triggers *triggers, uint64_t id)
{
    struct trigger *trigger = triggers->by_identity;
    while (trigger != NULL && trigger->id <= id)
        trigger = trigger->hh.next;
    return trigger;
}

struct trigger *triggers_first(struct triggers *triggers)
{
    triggers->next_walked = triggers->by_identity;
    return triggers_next(triggers);
}

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

bool trigger_query(struct triggers *triggers, struct trigger *trigger, struct query **ret_query,
                   struct error *error)
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
    reserve_for_file(triggers);
    triggers->next_renewed = triggers->by_identity;
}

const struct connections *triggers_connections(const struct triggers *triggers)
{
    return triggers->settings.connections;
}

/* What others drop for it is none of its own: it is on no list meanwhile. */
static bool make_room_for_credentials(struct triggers *triggers, struct trigger *trigger,
                                      const struct credentials *credentials, int64_t now_ms,
                                      struct error *error)
{
    size_t before = trigger->credentials == NULL ? 0 : trigger->credentials->bytes;
    if (credentials->bytes <= before)
        return true;
    if (trigger->pins == 0)
        take_off_lists(triggers, trigger);
    bool has_room = make_room_for_bytes(triggers, trigger->namespace, credentials->bytes - before,
                                        now_ms, error);
    if (trigger->pins == 0)
        put_on_lists(triggers, trigger);
    return has_room;
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
        trigger = find(triggers, &ref, &measured);
    free(ref.entries);
    if (trigger == NULL || !(trigger->wants_credentials || trigger->wants_hpa)) {
        credentials_free(credentials);
        return true;
    }
    struct credentials *refused = credentials_new();
    bool has_room =
        make_room_for_credentials(triggers, trigger, credentials, now_ms, &refused->failure);
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
        *ret_trigger = trigger;
    } else if (!parse_new(triggers, ref, &identity, now_ms, ret_trigger, error))
        return false;
    trigger_take_from_peers(*ret_trigger, triggers->settings.peers, now_ms);
    return true;
}
