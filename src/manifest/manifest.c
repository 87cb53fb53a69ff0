#include "manifest/manifest.h"

#include "base/memory.h"
#include "base/system/input.h"
#include "config/value.h"
#include "manifest/template.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST_FILE = 16 << 20, MAX_FILES = 10 * 1000, MAX_DEPTH = 32 };

/* ---- objects ---- */

static enum manifest_kind kind_of(const struct yaml_tree *tree)
{
    static const struct {
        const char *name;
        enum manifest_kind kind;
    } kinds[] = {
        {"ScaledObject", MANIFEST_SCALED_OBJECT},
        {"ScaledJob", MANIFEST_SCALED_JOB},
        {"TriggerAuthentication", MANIFEST_AUTHENTICATION},
        {"ClusterTriggerAuthentication", MANIFEST_CLUSTER_AUTHENTICATION},
        {"ConfigMap", MANIFEST_CONFIG_MAP},
        {"Secret", MANIFEST_SECRET},
    };
    const char *name = yaml_tree_text(tree, "kind");
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (text_equal(name, kinds[i].name))
            return kinds[i].kind;
    const struct yaml_tree *connections = yaml_tree_find(tree, "connections");
    bool is_connections = name == NULL && connections != NULL && connections->kind == YAML_TREE_MAP;
    return is_connections ? MANIFEST_CONNECTIONS : MANIFEST_OTHER;
}

static void add_object(struct manifests *manifests, const struct manifest_file *file,
                       const struct yaml_tree *tree)
{
    enum manifest_kind kind = kind_of(tree);
    const char *name = yaml_tree_text(tree, "metadata.name");
    const char *namespace = yaml_tree_text(tree, "metadata.namespace");
    if (kind == MANIFEST_OTHER)
        return;
    manifests->objects = memory_grow(manifests->objects, &manifests->object_capacity,
                                     manifests->object_count + 1, sizeof(*manifests->objects));
    manifests->objects[manifests->object_count++] = (struct manifest_object){
        .kind = kind,
        .file = file,
        .tree = tree,
        .name = name == NULL ? "" : name,
        .namespace = namespace,
        .label = text_format("%s%s%s", namespace == NULL ? "" : namespace,
                             namespace == NULL ? "" : "/", name == NULL ? "" : name),
    };
}

static void add_document(struct manifests *manifests, const struct manifest_file *file,
                         const struct yaml_tree *tree)
{
    const char *kind = yaml_tree_text(tree, "kind");
    const struct yaml_tree *items =
        kind != NULL && text_ends_with(kind, "List") ? yaml_tree_find(tree, "items") : NULL;
    if (items == NULL || items->kind != YAML_TREE_LIST) {
        add_object(manifests, file, tree);
        return;
    }
    for (size_t i = 0; i < items->count; i++)
        add_object(manifests, file, items->items[i]);
}

/* ---- files ---- */

static void file_free(struct manifest_file *file)
{
    yaml_forest_done(&file->forest);
    text_done(&file->text);
    free(file->path);
    free(file);
}

bool manifest_is_templated(const struct manifest_file *file, size_t start, size_t end)
{
    return file->is_template && template_has_action(file->text.bytes + start, end - start);
}

size_t manifest_item_start(const struct manifest_file *file, const struct yaml_tree *item)
{
    const char *bytes = file->text.bytes;
    size_t start = item->start, at = start;
    if (!file->is_template || item->is_flow)
        return start;
    /* The dash is in this line, or below it are nothing but actions and comments. */
    while (at > 0) {
        size_t line = at - 1;
        while (line > 0 && bytes[line - 1] != '\n')
            line--;
        size_t first = line + strspn(bytes + line, " ");
        if (first < start && bytes[first] == '-')
            return first + 1;
        at = line;
    }
    return start;
}

/* Behind blanks, line breaks and comments. */
static size_t skip_unseen(const char *bytes, size_t at)
{
    for (;;) {
        at += strspn(bytes + at, " \t\r\n");
        if (bytes[at] != '#')
            return at;
        at += strcspn(bytes + at, "\n");
    }
}

static bool action_begins(const struct manifest_file *file, size_t at,
                          struct template_action *ret_action)
{
    const char *bytes = file->text.bytes + at;
    return text_starts_with(bytes, "{{") &&
           template_next(bytes, file->text.length - at, ret_action) && ret_action->start == bytes;
}

/* Up to the next item, or to what is behind the list. */
static bool has_output_behind(const struct manifest_file *file, size_t at)
{
    const char *bytes = file->text.bytes;
    struct template_action action;
    for (at = skip_unseen(bytes, at); action_begins(file, at, &action);
         at = skip_unseen(bytes, (size_t)(action.end - bytes)))
        if (action.kind == TEMPLATE_OUTPUT)
            return true;
    return false;
}

bool manifest_item_is_templated(const struct manifest_file *file, const struct yaml_tree *item)
{
    return manifest_is_templated(file, manifest_item_start(file, item), item->end) ||
           (file->is_template && has_output_behind(file, item->end));
}

void manifest_add_error(struct findings *findings, const char *path, const struct error *error)
{
    const char *text = error_text(error);
    struct finding_place place = {.path = path};
    size_t length = strlen(path);
    if (strncmp(text, path, length) == 0 && text[length] == ':') {
        char *end = NULL;
        place.line = strtoul(text + length + 1, &end, 10);
        text = *end == ':' ? end + 2 : text;
    }
    finding_add(findings, &place, FINDING_ERROR, "%s", text);
}

/* NULL where there are too many. Findings borrow the path. */
static struct manifest_file *new_file(struct manifests *manifests, const char *path,
                                      struct findings *findings)
{
    if (manifests->file_count == MAX_FILES) {
        const struct finding_place place = {.path = manifests->files[0]->path};
        finding_add(findings, &place, FINDING_ERROR,
                    "more than %d files: the rest is not read; name fewer folders", MAX_FILES);
        return NULL;
    }
    struct manifest_file *file = memory_new(sizeof(*file));
    file->path = text_copy(path);
    manifests->files = memory_grow(manifests->files, &manifests->file_capacity,
                                   manifests->file_count + 1, sizeof(struct manifest_file *));
    manifests->files[manifests->file_count++] = file;
    return file;
}

static bool parse_file(struct manifests *manifests, struct manifest_file *file, struct error *error)
{
    const char *bytes = file->text.bytes == NULL ? "" : file->text.bytes;
    file->is_template = manifests->reads_templates && template_has_action(bytes, file->text.length);
    _cleanup_(memory_free) char *plain =
        file->is_template ? template_hide(bytes, file->text.length) : NULL;
    if (!yaml_forest_parse(plain == NULL ? bytes : plain, file->text.length, file->path,
                           &file->forest, error))
        return false;
    for (size_t i = 0; i < file->forest.count; i++)
        add_document(manifests, file, file->forest.trees[i]);
    return true;
}

void manifests_add_text(struct manifests *manifests, const char *path, const char *text,
                        size_t length, struct findings *findings)
{
    _cleanup_(error_done) struct error error = {0};
    struct manifest_file *file = new_file(manifests, path, findings);
    if (file == NULL)
        return;
    text_add_bytes(&file->text, text, length);
    if (!parse_file(manifests, file, &error))
        manifest_add_error(findings, file->path, &error);
}

static void add_file(struct manifests *manifests, const char *path, bool is_searched,
                     struct findings *findings)
{
    _cleanup_(error_done) struct error error = {0};
    struct manifest_file *file = new_file(manifests, path, findings);
    if (file == NULL)
        return;
    bool is_read = input_read(path, LARGEST_FILE, &file->text, &error);
    if (is_read && parse_file(manifests, file, &error))
        return;
    const struct finding_place place = {.path = file->path};
    if (is_read && is_searched && template_has_action(file->text.bytes, file->text.length))
        finding_add(findings, &place, FINDING_NOTE,
                    file->is_template
                        ? "skipped: a Helm template that is no YAML without its {{ }}"
                        : "skipped: a Helm template (pipe `helm template` into this command "
                          "instead)");
    else
        manifest_add_error(findings, file->path, &error);
}

static bool is_manifest_name(const char *name)
{
    return text_ends_with(name, ".yaml") || text_ends_with(name, ".yml") ||
           text_ends_with(name, ".json");
}

static int compare_entries(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

struct folder {
    const char *path; /* that was named: findings borrow it */
    struct findings *findings;
};

static void add_unread(const struct folder *folder, const char *path, const char *reason)
{
    const struct finding_place place = {.path = folder->path};
    finding_add(folder->findings, &place, FINDING_ERROR, "%s: %s", path, reason);
}

/* What is passed over without a word is thought to be checked, or moved. */
static void add_entry(struct manifests *manifests, const struct folder *folder, FTS *walk,
                      FTSENT *entry)
{
    bool is_hidden = entry->fts_name[0] == '.' && entry->fts_level > 0;
    bool is_named = !is_hidden && is_manifest_name(entry->fts_name);
    switch (entry->fts_info) {
    case FTS_D:
        if (!is_hidden && entry->fts_level > MAX_DEPTH)
            add_unread(folder, entry->fts_path, "too many folders deep: name this folder, too");
        if (is_hidden || entry->fts_level > MAX_DEPTH)
            fts_set(walk, entry, FTS_SKIP);
        break;
    case FTS_F:
        if (is_named)
            add_file(manifests, entry->fts_path, true, folder->findings);
        break;
    case FTS_NS: /* a file or a folder */
        if (!is_hidden)
            add_unread(folder, entry->fts_path, strerror(entry->fts_errno));
        break;
    case FTS_DNR:
    case FTS_ERR:
        add_unread(folder, entry->fts_path, strerror(entry->fts_errno));
        break;
    case FTS_SLNONE:
        if (is_named)
            add_unread(folder, entry->fts_path, "a broken symbolic link");
        break;
    default:
        break;
    }
}

static void add_folder(struct manifests *manifests, const char *path, struct findings *findings)
{
    char *const roots[] = {(char *)path, NULL};
    const struct folder folder = {path, findings};
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, compare_entries);
    FTSENT *entry = NULL;
    size_t files = manifests->file_count, errors = findings->counts[FINDING_ERROR];
    while (walk != NULL && (entry = fts_read(walk)) != NULL)
        add_entry(manifests, &folder, walk, entry);
    if (errno != 0) /* fts_read() sets it to 0 where nothing is left */
        add_unread(&folder, path, strerror(errno));
    if (manifests->file_count == files && findings->counts[FINDING_ERROR] == errors)
        finding_add(findings, &(struct finding_place){.path = path}, FINDING_ERROR,
                    "no *.yaml, *.yml or *.json is in this folder: name another one");
    if (walk != NULL)
        fts_close(walk);
}

void manifests_add(struct manifests *manifests, const char *path, struct findings *findings)
{
    struct stat status;
    if (!text_equal(path, "-") && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        add_folder(manifests, path, findings);
    else
        add_file(manifests, path, false, findings);
}

void manifests_done(struct manifests *manifests)
{
    for (size_t i = 0; i < manifests->object_count; i++)
        free(manifests->objects[i].label);
    for (size_t i = 0; i < manifests->file_count; i++)
        file_free(manifests->files[i]);
    free(manifests->objects);
    free(manifests->files);
    *manifests = (struct manifests){0};
}

/* ---- finding ---- */

static bool is_in(const struct manifest_object *object, const char *namespace)
{
    return object->kind == MANIFEST_CLUSTER_AUTHENTICATION || object->namespace == NULL ||
           namespace == NULL || text_equal(object->namespace, namespace);
}

static bool is_exactly_in(const struct manifest_object *object, const char *namespace)
{
    return object->namespace != NULL && namespace != NULL &&
           text_equal(object->namespace, namespace);
}

static bool says_the_same(const struct manifest_object *one, const struct manifest_object *other)
{
    static const char *const parts[] = {"spec", "data", "stringData"};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (!yaml_tree_is_same(yaml_tree_find(one->tree, parts[i]),
                               yaml_tree_find(other->tree, parts[i])))
            return false;
    return true;
}

const struct manifest_object *manifests_find(const struct manifests *manifests,
                                             enum manifest_kind kind, const char *namespace,
                                             const char *name,
                                             const struct manifest_object **ret_rival)
{
    const struct manifest_object *found = NULL;
    *ret_rival = NULL;
    for (size_t i = 0; i < manifests->object_count; i++) {
        const struct manifest_object *object = &manifests->objects[i];
        if (object->kind != kind || !text_equal(object->name, name) || !is_in(object, namespace))
            continue;
        bool is_better =
            found == NULL || (is_exactly_in(object, namespace) && !is_exactly_in(found, namespace));
        if (is_better) {
            found = object;
            *ret_rival = NULL;
        } else if (is_exactly_in(object, namespace) == is_exactly_in(found, namespace) &&
                   !says_the_same(object, found))
            *ret_rival = object;
    }
    return found;
}

struct finding_place manifest_place(const struct manifest_object *object, size_t line)
{
    return (struct finding_place){
        .path = object->file->path, .line = line, .object = object->label};
}

const struct yaml_tree *manifest_triggers(const struct manifest_object *object)
{
    const struct yaml_tree *list = yaml_tree_find(object->tree, "spec.triggers");
    return list == NULL || list->kind != YAML_TREE_LIST ? NULL : list;
}

int64_t manifest_max_replicas(const struct manifest_object *object)
{
    enum { USUAL = 100 };
    static const struct option row = {.type = OPTION_INT, .limits = {0, INT32_MAX}};
    _cleanup_(error_done) struct error ignored = {0};
    const struct yaml_tree *item = yaml_tree_find(object->tree, "spec.maxReplicaCount");
    int64_t max = USUAL;
    if (item == NULL)
        return USUAL;
    return item->text != NULL && value_parse(&row, item->text, &max, &ignored) ? max : -1;
}

bool manifest_scales(const struct manifest_object *object)
{
    return object->kind == MANIFEST_SCALED_OBJECT || object->kind == MANIFEST_SCALED_JOB;
}
