#include "scale/connections/namespace_secrets.h"

#include "base/memory.h"
#include "config/kubernetes_name.h"
#include "scale/trigger/trigger.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct namespace_secrets {
    struct namespace_secrets_settings settings;
    struct namespace_secret *by_namespace;
    struct namespace_secret *stale; /* utlist: those with a next_renewed */
};

struct namespace_secrets *namespace_secrets_new(const struct namespace_secrets_settings *settings)
{
    struct namespace_secrets *secrets = memory_new(sizeof(*secrets));
    secrets->settings = *settings;
    return secrets;
}

static void set_next_renewed(struct namespace_secrets *secrets, struct namespace_secret *secret,
                             struct trigger *trigger)
{
    if (secret->next_renewed != NULL)
        DL_DELETE2(secrets->stale, secret, prev_stale, next_stale);
    secret->next_renewed = trigger;
    if (trigger != NULL)
        DL_APPEND2(secrets->stale, secret, prev_stale, next_stale);
}

static void drop(struct namespace_secrets *secrets, struct namespace_secret *secret)
{
    HASH_DELETE(hh, secrets->by_namespace, secret);
    secrets->settings.set_wanted(secrets->settings.context, secret->namespace, false);
    connections_free(secret->connections);
    error_done(&secret->failure);
    free(secret->namespace);
    free(secret);
}

void namespace_secrets_free(struct namespace_secrets *secrets)
{
    struct namespace_secret *secret;
    struct namespace_secret *next;
    HASH_ITER(hh, secrets->by_namespace, secret, next)
        drop(secrets, secret);
    free(secrets);
}

/* The name goes into the path of a request: what is no name of Kubernetes' has no Secret. */
bool namespace_secrets_are_allowed(const struct namespace_secrets *secrets, const char *namespace)
{
    return secrets->settings.set_wanted != NULL && kubernetes_name_is_namespace(namespace);
}

const struct namespace_secret *namespace_secrets_find(const struct namespace_secrets *secrets,
                                                      const char *namespace)
{
    struct namespace_secret *secret;
    HASH_FIND_STR(secrets->by_namespace, namespace, secret);
    return secret;
}

const struct named_connection *namespace_secret_connection(const struct namespace_secret *secret,
                                                           const char *name)
{
    return secret == NULL ? NULL : connections_find(secret->connections, name);
}

/* The first of its keys that is no connections file; NULL: there is none. */
static const char *broken_key(const struct connections *connections)
{
    for (size_t i = 0; i < connections->problems_count; i++)
        if (connections->problems[i].is_file)
            return connections->problems[i].text;
    return NULL;
}

bool namespace_secret_refuse(const struct namespace_secret *secret, const char *namespace,
                             const char *name, bool *ret_is_pending, struct error *error)
{
    int shown = (int)text_cut(name, 64);
    *ret_is_pending = secret == NULL || (!secret->is_read && !error_is_set(&secret->failure));
    if (*ret_is_pending)
        return error_unavailable(error,
                                 "connectionName \"%.*s\": Secret %s/" NAMESPACE_SECRET_NAME
                                 " has not been read yet",
                                 shown, name, namespace);
    if (!secret->is_read)
        return error_set(
            error, secret->failure.code,
            "connectionName \"%.*s\": Secret %s/" NAMESPACE_SECRET_NAME " cannot be %s: %s", shown,
            name, namespace, secret->failure.code == ERROR_LIMIT ? "used" : "read",
            error_text(&secret->failure));
    if (secret->connections == NULL)
        return error_invalid(error,
                             "connectionName \"%.*s\" is not in the connections file, and there is "
                             "no Secret %s/" NAMESPACE_SECRET_NAME,
                             shown, name, namespace);
    const char *broken = broken_key(secret->connections);
    return error_invalid(error,
                         "connectionName \"%.*s\" is neither in the connections file nor in "
                         "Secret %s/" NAMESPACE_SECRET_NAME "%s%s",
                         shown, name, namespace, broken == NULL ? "" : "; ",
                         broken == NULL ? "" : broken);
}

static struct namespace_secret *add(struct namespace_secrets *secrets, const char *namespace)
{
    struct namespace_secret *secret = memory_new(sizeof(*secret));
    secret->namespace = text_copy(namespace);
    HASH_ADD_KEYPTR(hh, secrets->by_namespace, secret->namespace, strlen(secret->namespace),
                    secret);
    secrets->settings.set_wanted(secrets->settings.context, namespace, true);
    return secret;
}

bool namespace_secrets_are_full(const struct namespace_secrets *secrets)
{
    return HASH_COUNT(secrets->by_namespace) >= NAMESPACE_SECRETS_MAX;
}

bool namespace_secrets_join(struct namespace_secrets *secrets, struct trigger *trigger,
                            struct error *error)
{
    struct namespace_secret *secret;
    HASH_FIND_STR(secrets->by_namespace, trigger->namespace, secret);
    if (secret == NULL && namespace_secrets_are_full(secrets))
        return error_set(error, ERROR_LIMIT,
                         "the Secrets of %d namespaces are in use, and no more are read",
                         NAMESPACE_SECRETS_MAX);
    if (secret == NULL)
        secret = add(secrets, trigger->namespace);
    DL_APPEND2(secret->triggers, trigger, prev_of_secret, next_of_secret);
    trigger->secret = secret;
    return true;
}

void namespace_secrets_leave(struct namespace_secrets *secrets, struct trigger *trigger)
{
    struct namespace_secret *secret = TAKE(trigger->secret);
    if (secret->next_renewed == trigger)
        set_next_renewed(secrets, secret, trigger->next_of_secret);
    DL_DELETE2(secret->triggers, trigger, prev_of_secret, next_of_secret);
    if (secret->triggers == NULL)
        drop(secrets, secret);
}

static void take(struct namespace_secret *secret, struct connections *connections)
{
    connections_free(secret->connections);
    secret->connections = connections;
    secret->is_read = true;
    error_done(&secret->failure);
}

void namespace_secrets_set(struct namespace_secrets *secrets, const char *namespace,
                           struct connections *connections, const struct error *failure,
                           uint64_t revision)
{
    struct namespace_secret *secret;
    HASH_FIND_STR(secrets->by_namespace, namespace, secret);
    if (secret != NULL)
        secret->is_failing = error_is_set(failure);
    if (secret == NULL || error_is_set(failure))
        connections_free(TAKE(connections));
    if (secret == NULL || (secret->is_failing && secret->is_read))
        return;
    if (secret->is_failing)
        error_copy(&secret->failure, failure);
    else
        take(secret, connections);
    secret->revision = revision;
    /* One whose Secret changes all the time stays where it is among the others. */
    if (secret->next_renewed == NULL)
        set_next_renewed(secrets, secret, secret->triggers);
    else
        secret->next_renewed = secret->triggers;
}

bool namespace_secrets_have_stale(const struct namespace_secrets *secrets)
{
    return secrets->stale != NULL;
}

struct trigger *namespace_secrets_next_stale(struct namespace_secrets *secrets)
{
    struct namespace_secret *secret = secrets->stale;
    if (secret == NULL)
        return NULL;
    struct trigger *trigger = secret->next_renewed;
    set_next_renewed(secrets, secret, trigger->next_of_secret);
    return trigger;
}

const struct namespace_secret *namespace_secrets_next(const struct namespace_secrets *secrets,
                                                      const struct namespace_secret *secret)
{
    return secret == NULL ? secrets->by_namespace : secret->hh.next;
}
