#include "commands/kubectl.h"

#include "base/json_cleanup.h"
#include "base/memory.h"
#include "base/system/file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_WORDS = 16, MAX_OUTPUT = 512 << 20, OBJECTS_PER_FILE = 200 };

/* ---- running it ---- */

static bool read_all(int descriptor, struct text *output)
{
    char buffer[65536];
    for (;;) {
        ssize_t got = read(descriptor, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        text_add_bytes(output, buffer, (size_t)got);
        if (output->length > MAX_OUTPUT)
            return false;
    }
}

static bool spawn(const char *const *words, int output, pid_t *ret_pid, struct error *error)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    int failed = posix_spawnp(ret_pid, words[0], &actions, NULL, (char *const *)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed == 0 ||
           error_invalid(error,
                         "cannot run kubectl: %s (install it, or pipe its output into this "
                         "command: -)",
                         strerror(failed));
}

bool kubectl_get(const char *context, const char *const *words, struct text *ret_output,
                 struct error *error)
{
    const char *all[MAX_WORDS] = {"kubectl"};
    size_t count = 1;
    if (context != NULL) {
        all[count++] = "--context";
        all[count++] = context;
    }
    all[count++] = "get";
    while (*words != NULL && count < MAX_WORDS - 1)
        all[count++] = *words++;
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_invalid(error, "cannot run kubectl: %s", strerror(errno));
    bool is_running = spawn(all, ends[1], &pid, error);
    close(ends[1]);
    bool is_whole = is_running && read_all(ends[0], ret_output);
    close(ends[0]);
    int status = 0;
    while (is_running && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!is_running)
        return false;
    return (is_whole && WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           error_invalid(error, "`kubectl get %s` failed", all[count - 1]);
}

/* ---- objects ---- */

/* What this program reads of one, without status and annotations. */
static json_t *object_without_rest(const json_t *item)
{
    static const char *const parts[] = {"apiVersion", "kind", "spec", "data", "stringData"};
    json_t *object = json_object();
    const json_t *metadata = json_object_get(item, "metadata");
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (json_object_get(item, parts[i]) != NULL)
            json_object_set(object, parts[i], json_object_get(item, parts[i]));
    json_t *kept = json_object();
    for (size_t i = 0; i < 2; i++) {
        const char *key = i == 0 ? "name" : "namespace";
        if (json_object_get(metadata, key) != NULL)
            json_object_set(kept, key, json_object_get(metadata, key));
    }
    json_object_set_new(object, "metadata", kept);
    return object;
}

static void add_file(struct manifests *manifests, const char *path, struct text *text,
                     struct findings *findings)
{
    if (text->length > 0)
        manifests_add_text(manifests, path, text->bytes, text->length, findings);
    text_clear(text);
}

/* Documents of JSON, which is YAML; many small files, so that none has too many values. */
static void add_items(const json_t *list, const char *path, struct manifests *manifests,
                      struct findings *findings)
{
    const json_t *items = json_object_get(list, "items");
    _cleanup_(text_done) struct text text = {0};
    size_t count = items == NULL ? 1 : json_array_size(items);
    for (size_t i = 0; i < count; i++) {
        _cleanup_(json_done) json_t *object =
            object_without_rest(items == NULL ? list : json_array_get(items, i));
        _cleanup_(memory_free) char *line = json_dumps(object, JSON_COMPACT);
        text_addf(&text, "--- %s\n", line == NULL ? "{}" : line);
        if (i % OBJECTS_PER_FILE == OBJECTS_PER_FILE - 1)
            add_file(manifests, path, &text, findings);
    }
    add_file(manifests, path, &text, findings);
}

/* `words` end with NULL; the last is the kind. */
static bool read_objects(const char *context, const char *const *words, const char *path,
                         struct manifests *manifests, struct findings *findings,
                         struct error *error)
{
    _cleanup_(text_done) struct text output = {0};
    json_error_t reason;
    if (!kubectl_get(context, words, &output, error))
        return false;
    _cleanup_(json_done) json_t *list =
        json_loadb(output.bytes == NULL ? "" : output.bytes, output.length, 0, &reason);
    if (list == NULL)
        return error_invalid(error, "`kubectl get %s`: no JSON: %s", path, reason.text);
    add_items(list, path, manifests, findings);
    return true;
}

static bool is_known(const struct manifests *manifests, enum manifest_kind kind,
                     const char *namespace, const char *name)
{
    const struct manifest_object *rival;
    return manifests_find(manifests, kind, namespace, name, &rival) != NULL;
}

/* What an authentication names, by the list that it is in. */
struct named_kind {
    const char *list;
    enum manifest_kind kind;
    const char *word; /* kubectl's */
};

static void read_named(const char *context, const char *keda_namespace,
                       const struct manifest_object *authentication, const struct named_kind *named,
                       struct manifests *manifests, struct findings *findings)
{
    const struct yaml_tree *spec = yaml_tree_find(authentication->tree, "spec");
    const struct yaml_tree *list = yaml_tree_find(spec, named->list);
    /* Of a ClusterTriggerAuthentication they are in KEDA's own namespace. */
    const char *namespace =
        authentication->namespace == NULL ? keda_namespace : authentication->namespace;
    for (size_t i = 0; list != NULL && list->kind == YAML_TREE_LIST && i < list->count; i++) {
        const char *name = yaml_tree_text(list->items[i], "name");
        _cleanup_(error_done) struct error error = {0};
        if (name == NULL || name[0] == '-' || is_known(manifests, named->kind, namespace, name))
            continue;
        const char *const words[] = {"-n", namespace, "-o", "json", named->word, name, NULL};
        if (!read_objects(context, words, "cluster", manifests, findings, &error)) {
            const struct finding_place place = {.path = "cluster", .object = authentication->label};
            finding_add(findings, &place, FINDING_WARNING, "%s %s/%s: %s", named->word, namespace,
                        name, error_text(&error));
        }
    }
}

bool kubectl_read(const char *context, struct manifests *manifests, struct findings *findings,
                  struct error *error)
{
    static const char *const kinds[] = {"scaledobjects.keda.sh", "scaledjobs.keda.sh",
                                        "triggerauthentications.keda.sh",
                                        "clustertriggerauthentications.keda.sh"};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        const char *const words[] = {"--all-namespaces", "-o", "json", kinds[i], NULL};
        if (!read_objects(context, words, "cluster", manifests, findings, error))
            return false;
    }
    return true;
}

void kubectl_read_secrets(const char *context, const char *keda_namespace,
                          struct manifests *manifests, struct findings *findings)
{
    static const struct named_kind kinds[] = {
        {"secretTargetRef", MANIFEST_SECRET, "secret"},
        {"configMapTargetRef", MANIFEST_CONFIG_MAP, "configmap"},
    };
    size_t count = manifests->object_count;
    for (size_t i = 0; i < count; i++) {
        const struct manifest_object object = manifests->objects[i]; /* the array grows */
        if (object.kind != MANIFEST_AUTHENTICATION &&
            object.kind != MANIFEST_CLUSTER_AUTHENTICATION)
            continue;
        for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++)
            read_named(context, keda_namespace, &object, &kinds[k], manifests, findings);
    }
}
