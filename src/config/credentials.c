#include "config/credentials.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* What is not known is refused: a section of a later KEDA has parameters that would be missing. */
bool credentials_knows_section(const char *section)
{
    static const char *const known[] = {"secretTargetRef", "configMapTargetRef", "env",
                                        "podIdentity"};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (text_equal(section, known[i]))
            return true;
    return false;
}

bool credentials_has_identity(const char *provider)
{
    return provider != NULL && provider[0] != '\0' && !text_equal(provider, "none");
}

bool credentials_check_row(const char *authentication, const struct option *row,
                           struct error *error)
{
    if (row->type == OPTION_UNSUPPORTED)
        return error_invalid(error, "%s has %s: %s", authentication, row->key, row->doc);
    if (row->flags & OPTION_FILE_ONLY)
        return error_invalid(error, "%s has %s, which belongs in the connections file",
                             authentication, row->key);
    if (row->scope != OPTION_CONNECTION)
        return error_invalid(error,
                             "%s has %s, which is no key of a connection: put it into the "
                             "trigger's metadata",
                             authentication, row->key);
    return true;
}

struct credentials *credentials_new(void)
{
    struct credentials *credentials = memory_new(sizeof(*credentials));
    credentials->values = memory_new(sizeof(*credentials->values));
    atomic_init(&credentials->values->users, 1);
    atomic_init(&credentials->users, 1);
    return credentials;
}

static void values_free(struct credentials_values *values)
{
    if (atomic_fetch_sub(&values->users, 1) > 1)
        return;
    option_entries_free(values->entries, values->count);
    option_values_free(values->parsed);
    error_done(&values->mistakes);
    free(values);
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL || atomic_fetch_sub(&credentials->users, 1) > 1)
        return;
    values_free(credentials->values);
    for (size_t i = 0; i < credentials->omitted_count; i++)
        free(credentials->omitted[i]);
    free(credentials->omitted);
    free(credentials->authentication);
    free(credentials->name);
    error_done(&credentials->failure);
    free(credentials);
}

void credentials_cleanup(struct credentials **credentials)
{
    credentials_free(*credentials);
}

void credentials_add(struct credentials *credentials, const char *key, const char *value)
{
    struct credentials_values *values = credentials->values;
    values->entries =
        memory_resize(values->entries, (values->count + 1) * sizeof(*values->entries));
    values->entries[values->count++] = (struct option_entry){text_copy(key), text_copy(value)};
    credentials->entries = values->entries;
    credentials->count = values->count;
}

void credentials_add_omitted(struct credentials *credentials, const char *key)
{
    size_t count = credentials->omitted_count + 1;
    credentials->omitted =
        memory_resize(credentials->omitted, count * sizeof(*credentials->omitted));
    credentials->omitted[credentials->omitted_count] = text_copy(key);
    credentials->omitted_count = count;
}

struct credentials *credentials_share(const struct credentials *credentials)
{
    struct credentials *shared = (struct credentials *)credentials;
    atomic_fetch_add(&shared->users, 1);
    return shared;
}

static bool has_equal_values(const struct credentials *one, const struct credentials *other)
{
    if (one->values == other->values)
        return true;
    if (one->count != other->count)
        return false;
    for (size_t i = 0; i < one->count; i++)
        if (!text_equal(one->entries[i].key, other->entries[i].key) ||
            !text_equal(one->entries[i].value, other->entries[i].value))
            return false;
    return true;
}

bool credentials_join(struct credentials *credentials, const struct credentials *other)
{
    if (!has_equal_values(credentials, other))
        return false;
    atomic_fetch_add(&other->values->users, 1);
    values_free(credentials->values);
    credentials->values = other->values;
    credentials->entries = other->entries;
    return true;
}

bool credentials_equal(const struct credentials *one, const struct credentials *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    if (one->state != other->state || !has_equal_values(one, other) ||
        one->omitted_count != other->omitted_count ||
        one->is_cluster_wide != other->is_cluster_wide ||
        one->failure.code != other->failure.code ||
        !text_equal(one->authentication, other->authentication) ||
        !text_equal(error_text(&one->failure), error_text(&other->failure)))
        return false;
    for (size_t i = 0; i < one->omitted_count; i++)
        if (!text_equal(one->omitted[i], other->omitted[i]))
            return false;
    return true;
}
