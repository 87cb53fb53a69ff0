#include "scale/metadata/identity.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/kubernetes_name.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Names go to logs, and to paths of pages, from which browsers and proxies take "." and ".." away,
 * also where they are percent-encoded. All other letters are Kubernetes' affair, which knows no
 * object of a wrong name. */
static bool check_name(const char *field, const char *name, struct error *error)
{
    size_t length = 0;
    if (text_equal(name, ".") || text_equal(name, ".."))
        return error_invalid(error,
                             "the request's field %s is not the name of a Kubernetes object: it "
                             "is \"%s\"",
                             field, name);
    while (name[length] != '\0' && !iscntrl((unsigned char)name[length]))
        length++;
    if (name[length] != '\0')
        return error_invalid(error,
                             "the request's field %s is not the name of a Kubernetes object: it "
                             "has control characters",
                             field);
    return length <= KUBERNETES_NAME_MAX ||
           error_invalid(error,
                         "the request's field %s is not the name of a Kubernetes object: it has "
                         "more than %d bytes",
                         field, KUBERNETES_NAME_MAX);
}

/* Where the key belongs among the sorted entries; false: it is there already. */
static bool find_position(const struct option_entry *sorted, size_t count, const char *key,
                          size_t *ret_position)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(sorted[middle].key, key);
        if (order == 0)
            return false;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_position = low;
    return true;
}

/* Go sends the entries of a map in another order each time. And protobuf takes the last of two
 * equal keys, but which one that is depends on who wrote them down: refused. */
static bool sort(const struct trigger_ref *ref, struct error *error)
{
    for (size_t i = 0; i < ref->count; i++) {
        struct option_entry entry = ref->entries[i];
        size_t position;
        if (!find_position(ref->entries, i, entry.key, &position))
            return error_invalid(error, "scalerMetadata has the key \"%.*s\" twice",
                                 (int)text_cut(entry.key, 64), entry.key);
        memmove(ref->entries + position + 1, ref->entries + position,
                (i - position) * sizeof(entry));
        ref->entries[position] = entry;
    }
    return true;
}

static size_t piece_count(const struct trigger_ref *ref)
{
    return 2 + 2 * ref->count;
}

static const char *piece(const struct trigger_ref *ref, size_t index)
{
    if (index < 2)
        return index == 0 ? ref->namespace : ref->name;
    const struct option_entry *entry = &ref->entries[index / 2 - 1];
    return index % 2 == 0 ? entry->key : entry->value;
}

bool identity_prepare(const struct trigger_ref *ref, struct identity *ret_identity,
                      struct error *error)
{
    struct hash hash;
    *ret_identity = (struct identity){0};
    if (!check_name("namespace", ref->namespace, error) || !check_name("name", ref->name, error) ||
        !sort(ref, error))
        return false;
    hash_begin(&hash);
    for (size_t i = 0; i < piece_count(ref); i++) {
        size_t length = strlen(piece(ref, i));
        hash_add(&hash, piece(ref, i), length);
        ret_identity->length += length + 1;
    }
    ret_identity->hash = (unsigned)hash_end(&hash);
    return true;
}

void identity_write(struct identity *identity, const struct trigger_ref *ref)
{
    char *end = identity->bytes = memory_new(identity->length);
    for (size_t i = 0; i < piece_count(ref); i++)
        end = stpcpy(end, piece(ref, i)) + 1;
}

struct trigger_ref identity_ref(const struct identity *identity)
{
    const char *at = identity->bytes;
    const char *end = identity->bytes + identity->length;
    size_t strings = 0;
    for (const char *string = at; string < end; string += strlen(string) + 1)
        strings++;

    struct trigger_ref ref = {.namespace = at};
    ref.entries = memory_array(strings / 2, sizeof(*ref.entries));
    ref.name = at += strlen(at) + 1;
    for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) {
        struct option_entry *entry = &ref.entries[ref.count++];
        entry->key = at;
        entry->value = at += strlen(at) + 1;
    }
    return ref;
}

bool identity_is(const char *bytes, const struct trigger_ref *ref)
{
    for (size_t i = 0; i < piece_count(ref); i++) {
        if (strcmp(bytes, piece(ref, i)) != 0)
            return false;
        bytes += strlen(bytes) + 1;
    }
    return true;
}

void identity_done(struct identity *identity)
{
    free(TAKE(identity->bytes));
}
