#include "scale/connections/own_credentials.h"

#include "base/memory.h"
#include "base/text.h"
#include "scale/metadata/general.h"

#include <stdlib.h>
#include <string.h>

bool own_credentials_are_read(const struct own_credentials_settings *settings)
{
    return settings != NULL && settings->add != NULL;
}

const struct option *own_credentials_given(const struct option *table,
                                           const struct option_entry *entry)
{
    return text_is_blank(entry->value) ? NULL : option_find(table, entry->key, OPTION_FROM_TRIGGER);
}

static bool is_among(const struct credentials *credentials, const struct option *row)
{
    for (size_t i = 0; i < credentials->count; i++)
        if (text_equal(credentials->entries[i].key, row->key))
            return true;
    return false;
}

static bool refuse_variable(const char *key, const struct option *row, const char *authentication,
                            struct error *error)
{
    return error_set(error, ERROR_DENIED,
                     "%s cannot be used together with %s, since a caller could send any value: "
                     "write %s out in the trigger or in the authentication, or use mTLS "
                     "with KEDA's name (--tls-client-ca, --tls-client-names)",
                     key, authentication, row->key);
}

/* A variable, which a caller has given or left out, must not say where they go. */
static bool check_variable(const struct own_credentials_settings *settings,
                           const struct own_credentials_request *request, const char *key,
                           struct error *error)
{
    const struct option *row = option_find(request->table, key, OPTION_FROM_TRIGGER);
    if (row == NULL)
        row = general_find_steering(key);
    else if (!option_steers_credentials(row))
        return true;
    return row == NULL || settings->callers_are_verified ||
           refuse_variable(key, row, request->credentials->authentication, error);
}

/* The value of a key; NULL: it is not given. */
static const char *value_of(const struct own_credentials_request *request, const struct option *row)
{
    const struct trigger_ref *ref = request->ref;
    for (size_t i = 0; i < ref->count; i++)
        if (row != NULL && own_credentials_given(request->table, &ref->entries[i]) == row)
            return ref->entries[i].value;
    return NULL;
}

/* Is it an address that the list allows the trigger? The port may have a key of its own. */
static bool is_listed(const struct own_credentials_settings *settings,
                      const struct own_credentials_request *request,
                      const struct option_entry *entry, const struct option *row)
{
    static const unsigned hosts = OPTION_URL | OPTION_HOST | OPTION_HOSTS;
    const struct option *host_row = option_host_of(row);
    bool is_port = host_row != NULL;
    const char *host = is_port ? value_of(request, host_row) : entry->value;
    if (row->flags & OPTION_SECRET || host == NULL || !(is_port || row->flags & hosts))
        return false;
    bool has_port = is_port || value_of(request, option_port_of(row)) != NULL;
    return cluster_authentications_allow_address(settings->cluster, request->credentials->name,
                                                 host, has_port);
}

static bool check_given(const struct own_credentials_settings *settings,
                        const struct own_credentials_request *request,
                        const struct option_entry *entry, struct error *error)
{
    const struct credentials *credentials = request->credentials;
    const char *name = credentials->authentication;
    const struct option *given = own_credentials_given(request->table, entry);
    if (option_is_variable(entry->key) && !text_is_blank(entry->value) &&
        !check_variable(settings, request, entry->key, error))
        return false;
    if (given == NULL)
        return true;
    if (is_among(credentials, given))
        return error_invalid(error, "%s is given in the trigger and in %s: keep one of them",
                             entry->key, name);
    if (credentials->is_cluster_wide && option_says_where(given) &&
        !is_listed(settings, request, entry, given))
        return error_set(error, ERROR_DENIED,
                         "%s in the trigger cannot be used together with %s, whose parameters go "
                         "only to an address that it names itself, or that "
                         "--kubernetes-cluster-authentications (kubernetes.clusterAuthentications) "
                         "lists: put %s into it, or use a TriggerAuthentication",
                         entry->key, name, given->key);
    if (request->deny_inline && option_says_where(given))
        return error_set(error, ERROR_DENIED, "%s must come from %s (--deny-inline-connections)",
                         entry->key, name);
    return true;
}

bool own_credentials_admit(const struct own_credentials_settings *settings,
                           const struct own_credentials_request *request, bool *ret_is_pending,
                           struct error *error)
{
    const struct trigger_ref *ref = request->ref;
    const struct credentials *credentials = request->credentials;
    *ret_is_pending = credentials == NULL || credentials->state == CREDENTIALS_WAITING;
    if (*ret_is_pending)
        return error_unavailable(error, "the object %.*s/%.*s has not been read yet (--kubernetes)",
                                 (int)text_cut(ref->namespace, 64), ref->namespace,
                                 (int)text_cut(ref->name, 64), ref->name);
    if (credentials->state == CREDENTIALS_REFUSED) {
        error_copy(error, &credentials->failure);
        return false;
    }
    if (credentials->is_cluster_wide &&
        !cluster_authentications_allow(settings->cluster, credentials->name, ref->namespace))
        return error_set(error, ERROR_DENIED,
                         "%s cannot be used in namespace \"%.*s\" "
                         "(--kubernetes-cluster-authentications)",
                         credentials->authentication, (int)text_cut(ref->namespace, 64),
                         ref->namespace);
    for (size_t i = 0; credentials->count > 0 && i < ref->count; i++)
        if (!check_given(settings, request, &ref->entries[i], error))
            return false;
    for (size_t i = 0; credentials->count > 0 && i < credentials->omitted_count; i++)
        if (!check_variable(settings, request, credentials->omitted[i], error))
            return false;
    return true;
}

const struct option_values *own_credentials_parse(const struct credentials *credentials,
                                                  const struct scaler *scaler,
                                                  struct error *mistakes)
{
    struct credentials_values *own = credentials->values;
    if (own->parsed == NULL || own->parsed->table != scaler->options) {
        const struct option_input input = {own->entries, own->count, OPTION_FROM_CREDENTIALS};
        option_values_free(own->parsed);
        error_done(&own->mistakes);
        own->parsed = option_parse_scope(scaler->options, scaler->sizes, &input, OPTION_CONNECTION,
                                         &own->mistakes);
    }
    if (error_is_set(&own->mistakes))
        error_add(mistakes, "%s", error_text(&own->mistakes));
    return own->parsed;
}
