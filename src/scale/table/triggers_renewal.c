/* What triggers were parsed with has changed: which of them are parsed again, and when. */
#include "scale/table/triggers_internal.h"

#include "base/clock.h"
#include "base/memory.h"

/* A connection that is not there may not have been there before either: that counts, too, but for a
 * trigger that has one of its namespace's Secret. No connection concerns a trigger of an unknown
 * scaler, which has no values of one. */
static bool is_stale(const struct triggers *triggers, const struct trigger *trigger)
{
    if (trigger->parsed.connection_name == NULL || trigger->parsed.scaler == NULL)
        return false;
    if (trigger->secret == NULL && trigger->parsed.needs & TRIGGER_NEEDS_SECRET)
        return true; /* no Secret of a further namespace was read */
    const struct named_connection *connection =
        connections_find(triggers->lifecycle.parse.connections, trigger->parsed.connection_name);
    if (connection != NULL && connection->revision > trigger->revision)
        return true;
    bool has_one = trigger->phase == TRIGGER_MEASURED || trigger->phase == TRIGGER_READY;
    if (trigger->secret != NULL && trigger->secret->revision > trigger->revision)
        return true;
    return connection == NULL && (trigger->secret == NULL || !has_one);
}

void triggers_renew_one(struct triggers *triggers, struct trigger *trigger)
{
    if (trigger->revision == triggers->lifecycle.revision)
        return;
    bool was_stale = is_stale(triggers, trigger);
    trigger->revision = triggers->lifecycle.revision;
    if (was_stale)
        lifecycle_renew(&triggers->lifecycle, trigger);
}

bool triggers_renew(struct triggers *triggers, size_t max)
{
    enum { LONG_US = 1000 };
    int64_t began_us = clock_now_us();
    for (size_t i = 0; i < max && (i == 0 || clock_now_us() - began_us < LONG_US); i++) {
        struct trigger *trigger = triggers->next_renewed;
        if (trigger != NULL)
            triggers->next_renewed = trigger->hh.next;
        else if ((trigger = namespace_secrets_next_stale(triggers->lifecycle.secrets)) == NULL)
            return false;
        triggers_renew_one(triggers, trigger);
    }
    return triggers->next_renewed != NULL ||
           namespace_secrets_have_stale(triggers->lifecycle.secrets);
}

/* A Secret that is there is used as far as it is valid, and what it inherits counts as the rest
 * does; a deleted one means it. */
static void inherit(const struct triggers *triggers, const char *namespace,
                    struct connections *connections)
{
    const struct namespace_secret *secret =
        namespace_secrets_find(triggers->lifecycle.secrets, namespace);
    if (connections != NULL && secret != NULL)
        connections_inherit(connections, secret->connections);
}

/* What is too large, or does not fit, is not kept: the last good version is, and counts on. */
bool triggers_set_secret(struct triggers *triggers, const char *namespace,
                         struct connections *connections, const struct error *failure,
                         int64_t now_ms)
{
    _cleanup_(error_done) struct error refused = {0};
    if (namespace_secrets_find(triggers->lifecycle.secrets, namespace) == NULL) {
        connections_free(connections); /* the last trigger that needed it went meanwhile */
        return true;
    }
    inherit(triggers, namespace, connections);
    bool is_too_large = !connections_check_bytes(connections, &refused);
    (void)now_ms;
    if (is_too_large) {
        connections_free(connections);
        connections = NULL;
        failure = &refused;
    }
    namespace_secrets_set(triggers->lifecycle.secrets, namespace, connections, failure,
                          ++triggers->lifecycle.revision);
    return true;
}

const struct namespace_secrets *triggers_secrets(const struct triggers *triggers)
{
    return triggers->lifecycle.secrets;
}

void triggers_set_connections(struct triggers *triggers, struct connections *connections)
{
    struct connections *before = triggers->lifecycle.parse.connections;
    connections_number(connections, before, ++triggers->lifecycle.revision);
    triggers->lifecycle.parse.connections = connections;
    connections_free(before);
    triggers_reserve_for_file(triggers);
    triggers->next_renewed = triggers->by_identity;
}

const struct connections *triggers_connections(const struct triggers *triggers)
{
    return triggers->lifecycle.parse.connections;
}
