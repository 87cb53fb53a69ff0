#include "config/credentials.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct credentials *credentials_new(void)
{
    return memory_new(sizeof(struct credentials));
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    for (size_t i = 0; i < credentials->count; i++) {
        free((char *)credentials->entries[i].key);
        free((char *)credentials->entries[i].value);
    }
    free(credentials->entries);
    free(credentials->authentication);
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
}

bool credentials_equal(const struct credentials *one, const struct credentials *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    if (one->state != other->state || one->count != other->count ||
        one->is_cluster_wide != other->is_cluster_wide ||
        one->failure.code != other->failure.code ||
        !text_equal(one->authentication, other->authentication) ||
        !text_equal(error_text(&one->failure), error_text(&other->failure)))
        return false;
    for (size_t i = 0; i < one->count; i++)
        if (!text_equal(one->entries[i].key, other->entries[i].key) ||
            !text_equal(one->entries[i].value, other->entries[i].value))
            return false;
    return true;
}
