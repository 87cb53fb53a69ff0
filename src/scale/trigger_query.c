#include "scale/trigger_query.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

/* What the user set; 0: nothing. A policy has to see what happens between two calls, too. */
static int64_t interval_ms(const struct trigger *trigger)
{
    bool has_interval = trigger->rules.interval_is_set || trigger->policy != NULL;
    return has_interval ? trigger->rules.interval_ms : 0;
}

static const char *connection_identity(const struct trigger *trigger)
{
    return trigger->values[OPTION_CONNECTION]->identity;
}

/* True where that frees a place. */
static bool release_inline(const struct trigger_query_settings *settings, struct trigger *trigger,
                           const char *identity)
{
    bool is_free =
        trigger->holds_inline && inline_connections_release(settings->inlines, trigger->namespace,
                                                            trigger->scaler->name, identity);
    trigger->holds_inline = false;
    return is_free;
}

/* The trigger is no longer one of those that use the query. */
static void stop_using(struct trigger *trigger, struct query *query, const char *why)
{
    trigger_unfollow(trigger);
    if (trigger->is_held)
        query_end_held(query, why);
    trigger->is_held = false;
    query_remove_user(query, &trigger->user);
}

/* The query whose place another takes. */
struct place {
    struct query *former;  /* or NULL */
    bool inherits;         /* its values */
    bool frees_connection; /* its inline connection was nobody else's */
};

static bool hold(const struct trigger_query_settings *settings, struct trigger *trigger,
                 const struct place *place, struct error *error)
{
    bool is_inline = trigger->connection_name == NULL || trigger->secret != NULL;
    const struct inline_connection connection = {
        .namespace = trigger->namespace,
        .scaler = trigger->scaler->name,
        .identity = connection_identity(trigger),
        .in_agent = engine_uses_agent(settings->engine, trigger->scaler),
        .replaces = place->frees_connection,
    };
    if (is_inline && !inline_connections_acquire(settings->inlines, &connection, error))
        return false;
    const struct query_request request = {
        .scaler = trigger->scaler,
        .connection_values = trigger->values[OPTION_CONNECTION],
        .query_values = trigger->values[OPTION_QUERY],
        .interval_ms = interval_ms(trigger),
        .former = place->former,
        .inherits = place->inherits,
        .wants = trigger_policy_wants(trigger->policy),
        .keeps_recent_samples = trigger->policy != NULL,
        .tenant = is_inline ? trigger->namespace : NULL,
    };
    trigger->holds_inline = is_inline;
    if (engine_hold(settings->engine, &request, &trigger->query, error)) {
        /* Names of the administrator's file are labels of metrics; those of users are not. */
        trigger->user =
            (struct query_user){.connection = is_inline ? NULL : trigger->connection_name,
                                .namespace = trigger->namespace,
                                .name = trigger->name};
        query_add_user(trigger->query, &trigger->user);
        trigger_follow(trigger);
        return true;
    }
    release_inline(settings, trigger, connection_identity(trigger));
    return false;
}

bool trigger_query_acquire(const struct trigger_query_settings *settings, struct trigger *trigger,
                           struct error *error)
{
    return trigger->query != NULL || hold(settings, trigger, &(struct place){0}, error);
}

void trigger_query_release(const struct trigger_query_settings *settings, struct trigger *trigger,
                           const char *why)
{
    if (trigger->query == NULL)
        return;
    stop_using(trigger, trigger->query, why);
    query_release(TAKE(trigger->query), interval_ms(trigger));
    release_inline(settings, trigger, connection_identity(trigger));
}

/* The next call gets the error, where there is one. */
void trigger_query_exchange(const struct trigger_query_settings *settings, struct trigger *trigger,
                            const struct option_values *former_connection)
{
    _cleanup_(error_done) struct error ignored = {0};
    struct query *former = TAKE(trigger->query);
    struct place place = {.former = former};
    struct watcher *watcher;
    if (former != NULL)
        stop_using(trigger, former, "the connection has been changed");
    place.frees_connection = release_inline(settings, trigger, former_connection->identity);
    if (!error_is_set(&trigger->mistakes) && (former != NULL || trigger->watchers != NULL)) {
        place.inherits = former != NULL &&
                         option_same_place(former_connection, trigger->values[OPTION_CONNECTION]);
        if (former != NULL && !place.inherits) /* its values say nothing about another source */
            trigger_forget_values(trigger);
        hold(settings, trigger, &place, &ignored);
    }
    DL_FOREACH2(trigger->watchers, watcher, next_owned)
        watcher_move(settings->engine, watcher, trigger->query);
    if (former != NULL)
        query_release(former, interval_ms(trigger));
}
