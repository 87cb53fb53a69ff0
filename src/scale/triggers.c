#include "scale/triggers.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/inline.h"
#include "scale/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct triggers {
    struct triggers_settings settings;
    struct trigger *by_identity;
    struct trigger *by_age;       /* utlist, the one that nobody has asked for longest first */
    struct trigger *next_walked;  /* see triggers_next() */
    struct trigger *next_renewed; /* it and those behind it may be of an older revision */
    uint64_t revision;            /* of the connections */
    size_t bytes;                 /* of the identities */
    struct inline_connections *inlines;
};

struct triggers *triggers_new(const struct triggers_settings *settings)
{
    struct triggers *triggers = memory_new(sizeof(*triggers));
    triggers->settings = *settings;
    triggers->inlines = inline_connections_new(settings->max_inline);
    triggers->revision = 1;
    connections_number(settings->connections, NULL, triggers->revision);
    return triggers;
}

/* What the user set; 0: nothing. */
static int64_t interval_ms(const struct trigger *trigger)
{
    return trigger->rules.interval_is_set ? trigger->rules.interval_ms : 0;
}

static const char *connection_identity(const struct trigger *trigger)
{
    return trigger->values[OPTION_CONNECTION]->identity;
}

static void release_query(struct triggers *triggers, struct trigger *trigger)
{
    if (trigger->query == NULL)
        return;
    query_release(TAKE(trigger->query), interval_ms(trigger));
    if (trigger->connection_name == NULL)
        inline_connections_release(triggers->inlines, trigger->namespace, trigger->scaler->name,
                                   connection_identity(trigger));
}

static void trigger_free(struct triggers *triggers, struct trigger *trigger)
{
    release_query(triggers, trigger);
    answer_done(&trigger->last_answer.answer);
    answer_done(&trigger->round.answer);
    identity_done(&trigger->identity);
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
    triggers->bytes -= trigger->identity.length;
    trigger_free(triggers, trigger);
}

void triggers_free(struct triggers *triggers)
{
    struct trigger *trigger;
    struct trigger *next;
    DL_FOREACH_SAFE(triggers->by_age, trigger, next)
    drop(triggers, trigger);
    connections_free(triggers->settings.connections);
    inline_connections_free(triggers->inlines);
    free(triggers);
}

static void parse(const struct triggers *triggers, struct trigger *trigger,
                  const struct trigger_ref *ref)
{
    const struct parse_settings settings = {
        .scalers = triggers->settings.scalers,
        .connections = triggers->settings.connections,
        .rules = triggers->settings.rules,
        .deny_inline = triggers->settings.deny_inline,
    };
    trigger_parse(trigger, ref, &settings);
}

static struct trigger *trigger_new(const struct triggers *triggers, const struct trigger_ref *ref)
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

/* The trigger that nobody has asked for longest, and that nobody has pinned; NULL where all are pinned. */
static struct trigger *find_droppable(struct triggers *triggers, int64_t now_ms)
{
    for (size_t i = HASH_COUNT(triggers->by_identity); i > 0; i--) {
        struct trigger *oldest = triggers->by_age;
        if (oldest == NULL || oldest->pins == 0)
            return oldest;
        touch(triggers, oldest, now_ms); /* a stream of it is open: that is asking, too */
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

/* A full table lets go of the oldest: GetMetricSpec must never fail, and what is still wanted is soon asked
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

/* Asked with a ref, where the table's keys are identities. uthash has compared their lengths before. */
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
    trigger->identity = identity;
    trigger->last_call_ms = now_ms;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, triggers->by_identity, trigger->identity.bytes, identity.length,
                                identity.hash, trigger);
    DL_APPEND(triggers->by_age, trigger);
    triggers->bytes += identity.length;
    return trigger;
}

int64_t triggers_expire(struct triggers *triggers, int64_t now_ms)
{
    struct trigger *trigger;
    struct trigger *next;
    DL_FOREACH_SAFE(triggers->by_age, trigger, next)
    {
        if (trigger->last_call_ms + triggers->settings.forget_ms > now_ms)
            return trigger->last_call_ms + triggers->settings.forget_ms;
        if (trigger->pins == 0)
            drop(triggers, trigger);
        else
            touch(triggers, trigger, now_ms);
    }
    return now_ms + triggers->settings.forget_ms;
}

size_t triggers_count(const struct triggers *triggers)
{
    return HASH_COUNT(triggers->by_identity);
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

/* `former`: the query whose place it takes, or NULL. */
static bool hold_query(struct triggers *triggers, struct trigger *trigger, struct query *former,
                       bool inherits, struct error *error)
{
    bool is_inline = trigger->connection_name == NULL;
    if (is_inline &&
        !inline_connections_acquire(triggers->inlines, trigger->namespace, trigger->scaler->name,
                                    connection_identity(trigger), error))
        return false;
    const struct query_request request = {
        .scaler = trigger->scaler,
        .connection_values = trigger->values[OPTION_CONNECTION],
        .query_values = trigger->values[OPTION_QUERY],
        .interval_ms = interval_ms(trigger),
        .former = former,
        .inherits = inherits,
    };
    if (engine_hold(triggers->settings.engine, &request, &trigger->query, error))
        return true;
    if (is_inline)
        inline_connections_release(triggers->inlines, trigger->namespace, trigger->scaler->name,
                                   connection_identity(trigger));
    return false;
}

bool trigger_query(struct triggers *triggers, struct trigger *trigger, struct query **ret_query,
                   struct error *error)
{
    if (error_is_set(&trigger->mistakes)) {
        error_copy(error, &trigger->mistakes);
        return false;
    }
    struct watcher *watcher;
    if (trigger->query == NULL && !hold_query(triggers, trigger, NULL, false, error))
        return false;
    DL_FOREACH2(trigger->watchers, watcher, next_owned)
    if (watcher->query == NULL)
        watcher_start(watcher, trigger->query, watcher->is_stream);
    *ret_query = trigger->query;
    return true;
}

/* ---- the connections file has changed ---- */

static bool has_connection(const struct trigger *trigger, const struct option_values *connection)
{
    return !error_is_set(&trigger->mistakes) &&
           text_equal(connection_identity(trigger), connection->identity);
}

/* Whoever asks next gets the error, where there is one. */
static void exchange_query(struct triggers *triggers, struct trigger *trigger,
                           const struct option_values *former_connection)
{
    _cleanup_(error_done) struct error ignored = {0};
    struct query *former = TAKE(trigger->query);
    struct watcher *watcher;
    if (!error_is_set(&trigger->mistakes) && (former != NULL || trigger->watchers != NULL)) {
        bool inherits = former != NULL &&
                        option_same_place(former_connection, trigger->values[OPTION_CONNECTION]);
        hold_query(triggers, trigger, former, inherits, &ignored);
    }
    DL_FOREACH2(trigger->watchers, watcher, next_owned)
    watcher_move(triggers->settings.engine, watcher, trigger->query);
    if (former != NULL)
        query_release(former, interval_ms(trigger));
}

/* What is measured, and how often, is the same before and after: neither is of the connection. */
static void parse_again(struct triggers *triggers, struct trigger *trigger)
{
    struct option_values *connection = TAKE(trigger->values[OPTION_CONNECTION]);
    struct trigger_ref ref = identity_ref(&trigger->identity);

    trigger_parse_done(trigger);
    parse(triggers, trigger, &ref);
    if (trigger->query == NULL || !has_connection(trigger, connection))
        exchange_query(triggers, trigger, connection);
    free(ref.entries);
    option_values_free(connection);
}

static void renew(struct triggers *triggers, struct trigger *trigger)
{
    if (trigger->revision == triggers->revision)
        return;
    const struct named_connection *connection = NULL;
    if (trigger->connection_name != NULL)
        connection = connections_find(triggers->settings.connections, trigger->connection_name);
    /* One that is not there may not have been there before either: that is parsed again, too. */
    bool is_stale = trigger->connection_name != NULL &&
                    (connection == NULL || connection->revision > trigger->revision);
    trigger->revision = triggers->revision;
    if (is_stale)
        parse_again(triggers, trigger);
}

bool triggers_renew(struct triggers *triggers, size_t max)
{
    for (size_t i = 0; i < max && triggers->next_renewed != NULL; i++) {
        struct trigger *trigger = triggers->next_renewed;
        triggers->next_renewed = trigger->hh.next;
        renew(triggers, trigger);
    }
    return triggers->next_renewed != NULL;
}

void triggers_set_connections(struct triggers *triggers, struct connections *connections)
{
    struct connections *before = triggers->settings.connections;
    connections_number(connections, before, ++triggers->revision);
    triggers->settings.connections = connections;
    connections_free(before);
    triggers->next_renewed = triggers->by_identity;
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
