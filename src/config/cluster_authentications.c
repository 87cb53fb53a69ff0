#include "config/cluster_authentications.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/option_table.h"
#include "config/yaml_tree.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const char flag[] = "--kubernetes-cluster-authentications";

struct cluster_authentications {
    struct yaml_forest forest; /* checked */
};

/* ---- parsing ---- */

static bool check_patterns(const char *name, const char *key, const struct yaml_tree *list,
                           struct error *error)
{
    bool is_good = list->kind == YAML_TREE_LIST && list->count > 0;
    for (size_t i = 0; is_good && i < list->count; i++)
        is_good = list->items[i]->kind == YAML_TREE_TEXT && list->items[i]->text[0] != '\0';
    return is_good ||
           error_invalid(error, "%s: %s.%s must be a list of texts, such as %s", flag, name, key,
                         text_equal(key, "hosts") ? "[redis.shop.svc:6379]" : "[shop]");
}

static bool check_authentication(const char *name, const struct yaml_tree *item,
                                 struct error *error)
{
    if (item->kind != YAML_TREE_MAP || item->count == 0 || yaml_tree_has_twice(item))
        return error_invalid(error, "%s: %s must have hosts, namespaces or both, each once", flag,
                             name);
    for (size_t i = 0; i < item->count; i++) {
        const char *key = item->keys[i];
        if (!text_equal(key, "hosts") && !text_equal(key, "namespaces"))
            return error_invalid(error, "%s: %s.%.*s is unknown: hosts and namespaces are allowed",
                                 flag, name, (int)text_cut(key, 64), key);
        if (!check_patterns(name, key, item->items[i], error))
            return false;
    }
    return true;
}

static bool check_documents(const struct yaml_forest *forest, struct error *error)
{
    const struct yaml_tree *root = forest->count == 1 ? forest->trees[0] : NULL;
    if (root == NULL || root->kind != YAML_TREE_MAP || yaml_tree_has_twice(root))
        return error_invalid(
            error, "%s must be {NAME: {hosts: [HOST], namespaces: [NAMESPACE]}}, each NAME once",
            flag);
    for (size_t i = 0; i < root->count; i++)
        if (!check_authentication(root->keys[i], root->items[i], error))
            return false;
    return true;
}

bool cluster_authentications_parse(const char *text, struct cluster_authentications **ret_list,
                                   struct error *error)
{
    struct yaml_forest forest = {0};
    *ret_list = NULL;
    if (text == NULL || text[0] == '\0')
        return true;
    if (!yaml_forest_parse(text, strlen(text), flag, &forest, error))
        return false;
    if (!check_documents(&forest, error)) {
        yaml_forest_done(&forest);
        return false;
    }
    *ret_list = memory_new(sizeof(**ret_list));
    (*ret_list)->forest = forest;
    return true;
}

void cluster_authentications_free(struct cluster_authentications *list)
{
    if (list == NULL)
        return;
    yaml_forest_done(&list->forest);
    free(list);
}

/* ---- what is allowed ---- */

/* The patterns; NULL: none are listed. Names have dots, so this is no path. */
static const struct yaml_tree *patterns_of(const struct cluster_authentications *list,
                                           const char *name, const char *key)
{
    const struct yaml_tree *root = list == NULL ? NULL : list->forest.trees[0];
    for (size_t i = 0; root != NULL && i < root->count; i++)
        if (text_equal(root->keys[i], name))
            return yaml_tree_find(root->items[i], key);
    return NULL;
}

/* fnmatch() would take the brackets of an IPv6 address for a set of characters. */
static char *escaped(const char *pattern)
{
    size_t end = pattern[0] == '[' ? strcspn(pattern, "]") : 0;
    if (end == 0 || pattern[end] == '\0' || memchr(pattern, ':', end) == NULL)
        return text_copy(pattern);
    return text_format("\\[%.*s\\%s", (int)end - 1, pattern + 1, pattern + end);
}

static bool matches(const struct yaml_tree *patterns, const char *text)
{
    bool is_found = false;
    for (size_t i = 0; !is_found && i < patterns->count; i++) {
        _cleanup_(memory_free) char *pattern = escaped(patterns->items[i]->text);
        is_found = fnmatch(pattern, text, FNM_CASEFOLD) == 0;
    }
    return is_found;
}

bool cluster_authentications_allow(const struct cluster_authentications *list, const char *name,
                                   const char *namespace)
{
    const struct yaml_tree *patterns = patterns_of(list, name, "namespaces");
    return patterns == NULL || matches(patterns, namespace);
}

/* The length of what is a host: a name, an IPv4 address, or an IPv6 one in brackets. 0: it is none.
 */
static size_t host_length(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t length = 0;
    if (text[0] == '[') {
        length = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        return text[length] == ']' ? length + 1 : 0;
    }
    while (text[length] != '\0' &&
           (strchr(letters, text[length]) != NULL || strchr("-._", text[length]) != NULL))
        length++;
    return length;
}

/* Reads one address: where its host with its port begins and ends, and where the port. False: it is
 * not plain. */
static bool read_address(char *text, char **ret_host, char **ret_port)
{
    char *scheme = strstr(text, "://");
    char *host = scheme == NULL ? text : scheme + strlen("://");
    if (scheme == text)
        return false;
    for (const char *at = text; scheme != NULL && at < scheme; at++)
        if (!isalnum((unsigned char)*at) && strchr("+-._", *at) == NULL)
            return false;
    size_t length = host_length(host);
    char *rest = host + length;
    *ret_host = host;
    *ret_port = NULL;
    if (length > 0 && rest[0] == ':') {
        *ret_port = rest;
        rest += 1 + strspn(rest + 1, "0123456789");
        if (rest == *ret_port + 1)
            return false;
    }
    if (length == 0 || (rest[0] != '\0' && rest[0] != '/'))
        return false;
    for (const char *at = rest; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("/-._~%", *at) == NULL)
            return false;
    *rest = '\0';
    return true;
}

static bool allows(const struct yaml_tree *patterns, char *address, bool has_port)
{
    char *host;
    char *port;
    if (!read_address(address, &host, &port) || (has_port && port != NULL))
        return false;
    if (matches(patterns, host)) /* with its port, where it has one */
        return true;
    if (port != NULL)
        *port = '\0';
    return port != NULL && matches(patterns, host);
}

/* Before any is compared: a trigger's value may have thousands, and the list many patterns. */
static bool has_too_many(const char *value)
{
    size_t count = 1;
    for (const char *at = value; *at != '\0'; at++)
        count += *at == ',';
    return count > OPTION_MAX_PIECES;
}

bool cluster_authentications_allow_address(const struct cluster_authentications *list,
                                           const char *name, const char *value, bool has_port)
{
    const struct yaml_tree *patterns = patterns_of(list, name, "hosts");
    if (patterns == NULL || has_too_many(value))
        return false;
    _cleanup_(memory_free) char *copy = text_copy(value);
    for (char *rest = copy; rest != NULL;) {
        char *item = strsep(&rest, ",");
        _cleanup_(memory_free) char *address = text_trimmed(item);
        if (!allows(patterns, address, has_port))
            return false;
    }
    return true;
}
