#include "scale/trigger.h"

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
    struct trigger *by_age;  /* utlist, oldest question first */
    struct trigger *stale;   /* utlist, as the next one */
    struct trigger *renewed; /* with a former query */
    size_t bytes;            /* of the identities */
    struct inline_connections *inlines;
};

struct triggers *triggers_new(const struct triggers_settings *settings)
{
    struct triggers *triggers = memory_new(sizeof(*triggers));
    triggers->settings = *settings;
    triggers->inlines = inline_connections_new(settings->most_inline);
    return triggers;
}

static void forget_former(struct triggers *triggers, struct trigger *trigger)
{
    if (trigger->former_query == NULL)
        return;
    query_forget(TAKE(trigger->former_query), trigger->rules.interval_ms);
    DL_DELETE2(triggers->renewed, trigger, prev_changed, next_changed);
}

static void set_stale(struct triggers *triggers, struct trigger *trigger, bool stale)
{
    if (trigger->is_stale == stale)
        return;
    trigger->is_stale = stale;
    if (stale)
        DL_APPEND2(triggers->stale, trigger, prev_changed, next_changed);
    else
        DL_DELETE2(triggers->stale, trigger, prev_changed, next_changed);
}

static const char *connection_identity(const struct trigger *trigger)
{
    return trigger->values[OPTION_CONNECTION]->identity;
}

static void release_query(struct triggers *triggers, struct trigger *trigger)
{
    if (trigger->query == NULL)
        return;
    query_release(TAKE(trigger->query), trigger->rules.interval_ms);
    if (trigger->connection_name == NULL)
        inline_connections_leave(triggers->inlines, trigger->namespace, trigger->scaler->name,
                                 connection_identity(trigger));
}

static void trigger_free(struct triggers *triggers, struct trigger *trigger)
{
    forget_former(triggers, trigger);
    set_stale(triggers, trigger, false);
    release_query(triggers, trigger);
    answer_done(&trigger->told.answer);
    identity_done(&trigger->identity);
    trigger_parse_done(trigger);
    free(trigger->name);
    free(trigger->namespace);
    free(trigger);
}

static void drop(struct triggers *triggers, struct trigger *trigger)
{
    assert(triggers->by_identity != NULL); /* the trigger is in it */
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

static struct trigger *trigger_new(const struct triggers *triggers, const struct trigger_ref *ref)
{
    struct trigger *trigger = memory_new(sizeof(*trigger));
    trigger->name = text_copy(ref->name);
    trigger->namespace = text_copy(ref->namespace);
    trigger_parse(trigger, ref, &triggers->settings);
    return trigger;
}

static void touch(struct triggers *triggers, struct trigger *trigger, int64_t now_ms)
{
    trigger->asked_at_ms = now_ms;
    DL_DELETE(triggers->by_age, trigger);
    DL_APPEND(triggers->by_age, trigger);
}

/* The trigger that nobody has asked for longest, and that nobody keeps; NULL where all are kept. */
static struct trigger *find_droppable(struct triggers *triggers, int64_t now_ms)
{
    for (size_t i = HASH_COUNT(triggers->by_identity); i > 0; i--) {
        struct trigger *oldest = triggers->by_age;
        if (oldest->keepers == 0)
            return oldest;
        touch(triggers, oldest, now_ms); /* a stream of it is open: that is asking, too */
    }
    return NULL;
}

static bool refuse_another(const struct triggers *triggers, struct error *error)
{
    const struct triggers_settings *settings = &triggers->settings;
    if (HASH_COUNT(triggers->by_identity) >= settings->most)
        return error_set(error, ERROR_LIMIT, "all %zu triggers are in use (--max-triggers)",
                         settings->most);
    return error_set(error, ERROR_LIMIT,
                     "all %zu bytes for the metadata of triggers are in use (no flag sets them)",
                     settings->most_bytes);
}

/* A full table lets go of the oldest: GetMetricSpec must never fail, and what is still wanted is soon asked
 * for again. */
static bool make_room(struct triggers *triggers, size_t length, int64_t now_ms, struct error *error)
{
    const struct triggers_settings *settings = &triggers->settings;
    while (HASH_COUNT(triggers->by_identity) >= settings->most ||
           triggers->bytes + length > settings->most_bytes) {
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
    trigger->asked_at_ms = now_ms;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, triggers->by_identity, trigger->identity.bytes, identity.length,
                                identity.hash, trigger);
    DL_APPEND(triggers->by_age, trigger);
    triggers->bytes += identity.length;
    return trigger;
}

bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error)
{
    struct identity identity;
    if (!identity_measure(ref, &identity, error))
        return false;
    struct trigger *trigger = find(triggers, ref, &identity);
    if (trigger != NULL) {
        touch(triggers, trigger, now_ms);
        trigger_renew(triggers, trigger);
    } else if (make_room(triggers, identity.length, now_ms, error))
        trigger = add(triggers, ref, identity, now_ms);
    else
        return false;
    *ret_trigger = trigger;
    return true;
}

int64_t triggers_forget(struct triggers *triggers, int64_t now_ms)
{
    struct trigger *trigger;
    struct trigger *next;
    DL_FOREACH_SAFE(triggers->by_age, trigger, next)
    {
        if (trigger->asked_at_ms + triggers->settings.forget_ms > now_ms)
            return trigger->asked_at_ms + triggers->settings.forget_ms;
        if (trigger->keepers == 0)
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

struct trigger *triggers_first(const struct triggers *triggers)
{
    return triggers->by_identity;
}

struct trigger *triggers_next(const struct trigger *trigger)
{
    return trigger->hh.next;
}

void trigger_keep(struct trigger *trigger)
{
    trigger->keepers++;
}

void trigger_let_go(struct trigger *trigger)
{
    trigger->keepers--;
}

static bool hold_query(struct triggers *triggers, struct trigger *trigger, struct error *error)
{
    bool is_inline = trigger->connection_name == NULL;
    if (is_inline &&
        !inline_connections_use(triggers->inlines, trigger->namespace, trigger->scaler->name,
                                connection_identity(trigger), error))
        return false;
    if (engine_hold(triggers->settings.engine, trigger->scaler, trigger->values[OPTION_CONNECTION],
                    trigger->values[OPTION_QUERY], trigger->rules.interval_ms, &trigger->query,
                    error))
        return true;
    if (is_inline)
        inline_connections_leave(triggers->inlines, trigger->namespace, trigger->scaler->name,
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
    if (trigger->query == NULL && !hold_query(triggers, trigger, error))
        return false;
    *ret_query = trigger->query;
    return true;
}

static bool has_connection(const struct trigger *trigger, const struct option_values *connection)
{
    return !error_is_set(&trigger->mistakes) &&
           text_equal(connection_identity(trigger), connection->identity);
}

/* The former query is left first: its connection makes room for the one in its place. */
static void exchange_query(struct triggers *triggers, struct trigger *trigger,
                           const struct option_values *former_connection)
{
    _cleanup_(error_done) struct error ignored = {0}; /* whoever asks next is told */
    struct query *former = TAKE(trigger->query);
    query_leave(former);
    if (trigger_query(triggers, trigger, &trigger->query, &ignored) &&
        option_same_place(former_connection, trigger->values[OPTION_CONNECTION]))
        query_inherit(trigger->query, former);
    trigger->former_query = former;
    DL_APPEND2(triggers->renewed, trigger, prev_changed, next_changed);
}

/* What is measured, and how often, is the same before and after: neither is of the connection. */
static void parse_anew(struct triggers *triggers, struct trigger *trigger)
{
    struct option_values *connection = TAKE(trigger->values[OPTION_CONNECTION]);
    struct trigger_ref ref = identity_ref(&trigger->identity);

    trigger_parse_done(trigger);
    trigger_parse(trigger, &ref, &triggers->settings);
    if (trigger->query != NULL && !has_connection(trigger, connection))
        exchange_query(triggers, trigger, connection);
    free(ref.entries);
    option_values_free(connection);
}

void trigger_renew(struct triggers *triggers, struct trigger *trigger)
{
    if (!trigger->is_stale)
        return;
    set_stale(triggers, trigger, false);
    parse_anew(triggers, trigger);
}

bool triggers_renew(struct triggers *triggers)
{
    if (triggers->stale != NULL)
        trigger_renew(triggers, triggers->stale);
    return triggers->stale != NULL;
}

void triggers_forget_former(struct triggers *triggers)
{
    while (triggers->renewed != NULL)
        forget_former(triggers, triggers->renewed);
}

void triggers_set_connections(struct triggers *triggers, struct connections *connections)
{
    struct connections *before = triggers->settings.connections;
    struct trigger *trigger;
    triggers->settings.connections = connections;
    DL_FOREACH(triggers->by_age, trigger)
    {
        const char *name = trigger->connection_name;
        if (name != NULL && !named_connection_equals(connections_find(before, name),
                                                     connections_find(connections, name)))
            set_stale(triggers, trigger, true);
    }
    connections_free(before);
}

/* Its query went with its connection, since somebody began to wait for it. */
static void refuse_lost(const struct trigger *trigger, struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_REFUSED};
    if (error_is_set(&trigger->mistakes))
        error_copy(&answer->error, &trigger->mistakes);
    else
        error_unavailable(&answer->error,
                          "the connection is another one now, and not measured yet");
}

void trigger_answer(const struct trigger *trigger, int64_t now_ms, bool out_of_time,
                    struct answer *ret_answer)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct judged judged = {0};
    if (trigger->query == NULL) {
        refuse_lost(trigger, ret_answer);
        return;
    }
    query_snapshot(trigger->query, &snapshot);
    if (snapshot.measured) {
        struct options options = trigger_options(trigger);
        judged.good =
            trigger->scaler->judge(&options, &snapshot.reading, &judged.judgement, &judged.error);
    }
    answer_decide(&snapshot, &judged, &trigger->rules, now_ms, out_of_time, ret_answer);
    error_done(&judged.error);
}

void trigger_tell(struct trigger *trigger, const char *call, const struct answer *answer,
                  int64_t now_ms)
{
    struct answer *told = &trigger->told.answer;
    struct error error = told->error;
    *told = *answer;
    told->error = error;
    error_copy(&told->error, &answer->error);
    trigger->told.call = call;
    trigger->told.at_ms = now_ms;
}

bool trigger_has_metric(const struct trigger *trigger, const char *metric_name)
{
    const char *asked = metric_name;
    if (strcasecmp(asked, trigger->metric_name) == 0)
        return true;
    if (*asked != 's' && *asked != 'S')
        return false;
    size_t digits = strspn(asked + 1, "0123456789");
    return digits > 0 && asked[1 + digits] == '-' &&
           strcasecmp(asked + 2 + digits, trigger->metric_name) == 0;
}
