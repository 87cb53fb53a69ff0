#include "config/credentials.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct credentials *credentials_new(void)
{
    struct credentials *credentials = memory_new(sizeof(*credentials));
    credentials->bytes = memory_heap_bytes(sizeof(*credentials));
    atomic_init(&credentials->users, 1);
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL || atomic_fetch_sub(&credentials->users, 1) > 1)
        return;
    for (size_t i = 0; i < credentials->count; i++) {
        free((char *)credentials->entries[i].key);
        free((char *)credentials->entries[i].value);
    }
    free(credentials->entries);
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
    size_t count = credentials->count + 1;
    credentials->entries =
        memory_resize(credentials->entries, count * sizeof(*credentials->entries));
    credentials->entries[credentials->count] =
        (struct option_entry){text_copy(key), text_copy(value)};
    credentials->count = count;
    credentials->bytes +=
        sizeof(*credentials->entries) + text_heap_bytes(key) + text_heap_bytes(value);
}

void credentials_add_omitted(struct credentials *credentials, const char *key)
{
    size_t count = credentials->omitted_count + 1;
    credentials->omitted =
        memory_resize(credentials->omitted, count * sizeof(*credentials->omitted));
    credentials->omitted[credentials->omitted_count] = text_copy(key);
    credentials->omitted_count = count;
    credentials->bytes += sizeof(*credentials->omitted) + text_heap_bytes(key);
}

struct credentials *credentials_share(const struct credentials *credentials)
{
    struct credentials *shared = (struct credentials *)credentials;
    atomic_fetch_add(&shared->users, 1);
    return shared;
}

bool credentials_equal(const struct credentials *one, const struct credentials *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    if (one->state != other->state || one->count != other->count ||
        one->omitted_count != other->omitted_count ||
        one->is_cluster_wide != other->is_cluster_wide ||
        one->failure.code != other->failure.code ||
        !text_equal(one->authentication, other->authentication) ||
        !text_equal(error_text(&one->failure), error_text(&other->failure)))
        return false;
    for (size_t i = 0; i < one->count; i++)
        if (!text_equal(one->entries[i].key, other->entries[i].key) ||
            !text_equal(one->entries[i].value, other->entries[i].value))
            return false;
    for (size_t i = 0; i < one->omitted_count; i++)
        if (!text_equal(one->omitted[i], other->omitted[i]))
            return false;
    return true;
}
