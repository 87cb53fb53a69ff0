#include "kubernetes/secret.h"

#include "base/base64.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/connections_yaml.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_MESSAGE = 300, MAX_TREE_BYTES = 16 << 20 };

/* Of a Secret, the names of its keys included. One thread reads those of all teams: this takes some 50 ms at worst. */
enum { LARGEST_SECRET = 64 << 10, MAX_KEYS = 64 };

void secret_news_done(struct secret_news *news)
{
    connections_free(news->connections);
    free(news->version);
    *news = (struct secret_news){0};
}

static void free_json(json_t **json)
{
    json_decref(*json);
}

static json_t *load(const char *text, size_t length, struct error *error)
{
    json_t *json = json_text_tree((struct json_text){text, length}, 0, MAX_TREE_BYTES);
    if (json == NULL) /* never the text: it may have secrets in it */
        error_unavailable(error, "unexpected reply: not JSON, or too many values in it");
    return json;
}

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
    json_object_foreach((json_t *)data, key, value) bytes +=
        strlen(key) + json_string_length(value) / 4 * 3;
    if (json_object_size(data) > MAX_KEYS)
        return error_invalid(error, "has %zu keys: at most %d are allowed", json_object_size(data),
                             MAX_KEYS);
    return bytes <= LARGEST_SECRET ||
           error_invalid(error, "has %zu bytes: at most %d are allowed", bytes, LARGEST_SECRET);
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* In the order of the keys: of two connections of one name the first is used. */
static struct connections *read_secret(const json_t *secret, const char *namespace,
                                       const char *name)
{
    json_t *data = json_object_get(secret, "data");
    struct connections *connections = connections_new();
    _cleanup_(error_done) struct error mistake = {0};
    if (!check_size(data, &mistake)) {
        _cleanup_(memory_free) char *secret_path = text_format("Secret %s/%s", namespace, name);
        error_prefix(&mistake, "%s", secret_path);
        connections_add_problem(connections, NULL, secret_path, true, error_text(&mistake));
        return connections;
    }
    _cleanup_(memory_free) const char **keys =
        memory_array(json_object_size(data) + 1, sizeof(*keys));
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(data, key, value) keys[count++] = key;
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *path =
            text_format("Secret %s/%s: %s", namespace, name, keys[i]);
        read_key(connections, path, json_string_value(json_object_get(data, keys[i])));
    }
    connections_sort(connections);
    for (size_t i = 0; i < connections->count; i++)
        connections->items[i].is_tenants = true;
    return connections;
}

static bool is_it(const json_t *secret, const char *namespace, const char *name)
{
    return text_equal(member(secret, "metadata", "name"), name) &&
           text_equal(member(secret, "metadata", "namespace"), namespace);
}

bool secret_parse_list(const char *text, size_t length, const char *namespace, const char *name,
                       struct secret_news *ret_news, struct error *error)
{
    _cleanup_(free_json) json_t *list = load(text, length, error);
    const json_t *items = json_object_get(list, "items");
    const char *version = member(list, "metadata", "resourceVersion");
    if (list == NULL)
        return false;
    if (!json_is_array(items) || version == NULL)
        return error_unavailable(error, "unexpected reply: no list of Secrets");
    *ret_news = (struct secret_news){.event = SECRET_IS_GONE, .version = text_copy(version)};
    for (size_t i = 0; i < json_array_size(items) && ret_news->event != SECRET_IS; i++)
        if (is_it(json_array_get(items, i), namespace, name)) {
            ret_news->event = SECRET_IS;
            ret_news->connections = read_secret(json_array_get(items, i), namespace, name);
        }
    return true;
}

static bool read_error(const json_t *status, struct secret_news *ret_news, struct error *error)
{
    if (json_integer_value(json_object_get(status, "code")) == 410) { /* Gone */
        *ret_news = (struct secret_news){.event = SECRET_EXPIRED};
        return true;
    }
    const char *message = json_string_value(json_object_get(status, "message"));
    return error_unavailable(error, "%.*s",
                             message == NULL ? 0 : (int)text_cut(message, LONGEST_MESSAGE),
                             message == NULL ? "" : message);
}

bool secret_parse_event(const char *text, size_t length, const char *namespace, const char *name,
                        struct secret_news *ret_news, struct error *error)
{
    _cleanup_(free_json) json_t *event = load(text, length, error);
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *object = json_object_get(event, "object");
    if (event == NULL)
        return false;
    if (text_equal(type, "ERROR"))
        return read_error(object, ret_news, error);
    *ret_news =
        (struct secret_news){.version = text_copy(member(object, "metadata", "resourceVersion"))};
    if (text_equal(type, "BOOKMARK") || !is_it(object, namespace, name))
        return true;
    if (text_equal(type, "DELETED"))
        ret_news->event = SECRET_IS_GONE;
    else if (text_equal(type, "ADDED") || text_equal(type, "MODIFIED")) {
        ret_news->event = SECRET_IS;
        ret_news->connections = read_secret(object, namespace, name);
    }
    return true;
}

char *secret_parse_status(const char *text, size_t length)
{
    _cleanup_(error_done) struct error ignored = {0};
    _cleanup_(free_json) json_t *status = length == 0 ? NULL : load(text, length, &ignored);
    const char *message = json_string_value(json_object_get(status, "message"));
    return message == NULL ? NULL : text_copy_bytes(message, text_cut(message, LONGEST_MESSAGE));
}
