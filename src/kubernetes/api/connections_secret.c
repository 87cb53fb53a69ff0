#include "kubernetes/api/connections_secret.h"

#include "base/base64.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/connections_yaml.h"

#include <stdlib.h>
#include <string.h>

/* Of a Secret, the names of its keys included. One thread reads those of all teams: this takes some
 * 50 ms at worst. */
enum { LARGEST_SECRET = 64 << 10, MAX_SECRET_KEYS = 64 };

static const char *member(const json_t *json, const char *object, const char *key)
{
    return json_string_value(json_object_get(json_object_get(json, object), key));
}

static void read_key(struct connections *connections, const char *path, const char *base64)
{
    _cleanup_(error_done) struct error mistake = {0};
    const struct connections_source source = {.path = path};
    size_t length = 0;
    char *text = base64 == NULL ? NULL : base64_decode(base64, &length);
    if (text == NULL)
        error_invalid(&mistake, "%s: is no base64", path);
    if (text == NULL || !connections_yaml_read(&source, text, length, connections, &mistake))
        connections_add_problem(connections, NULL, path, true, error_text(&mistake));
    free(text);
}

/* Before anything is decoded. */
static bool check_size(const json_t *data, struct error *error)
{
    const char *key;
    json_t *value;
    size_t bytes = 0;
    json_object_foreach((json_t *)data, key, value)
        bytes += strlen(key) + json_string_length(value) / 4 * 3;
    if (json_object_size(data) > MAX_SECRET_KEYS)
        return error_invalid(error, "has %zu keys: at most %d are allowed", json_object_size(data),
                             MAX_SECRET_KEYS);
    return bytes <= LARGEST_SECRET ||
           error_invalid(error, "has %zu bytes: at most %d are allowed", bytes, LARGEST_SECRET);
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* In the order of the keys: of two connections of one name the first is used. */
struct connections *connections_secret_parse(const json_t *secret, struct error *error)
{
    const char *namespace = member(secret, "metadata", "namespace");
    const char *name = member(secret, "metadata", "name");
    json_t *data = json_object_get(secret, "data");
    if (!check_size(data, error))
        return NULL;
    struct connections *connections = connections_new();
    _cleanup_(memory_free) const char **keys =
        memory_array(json_object_size(data) + 1, sizeof(*keys));
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(data, key, value)
        keys[count++] = key;
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *path =
            text_format("Secret %s/%s: %s", namespace, name, keys[i]);
        read_key(connections, path, json_string_value(json_object_get(data, keys[i])));
    }
    connections_sort(connections);
    for (size_t i = 0; i < connections->count; i++)
        connections->items[i].is_of_secret = true;
    return connections;
}
