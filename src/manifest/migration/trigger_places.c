#include "manifest/migration/trigger_places.h"

#include "base/memory.h"
#include "manifest/builtin.h"
#include "manifest/migration/patch_target.h"
#include "manifest/template.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCKS = 256 }; /* of one file: each is read with the file's length */

struct trigger_places_search {
    const struct manifest_file *file;
    struct trigger_places *places;
    struct findings *findings;
};

static void add_list(const struct trigger_places_search *search, const struct trigger_place *like,
                     const struct yaml_tree *list)
{
    struct trigger_places *places = search->places;
    for (size_t i = 0; list != NULL && list->kind == YAML_TREE_LIST && i < list->count; i++) {
        if (list->items[i]->kind != YAML_TREE_MAP)
            continue;
        places->items = memory_grow(places->items, &places->capacity, places->count + 1,
                                    sizeof(*places->items));
        places->items[places->count] = *like;
        places->items[places->count++].trigger = list->items[i];
    }
}

static void note(const struct trigger_places_search *search, size_t line, const char *text)
{
    const struct finding_place place = {.path = search->file->path, .line = line};
    finding_add(search->findings, &place, FINDING_NOTE, "%s", text);
}

/* ---- JSON patches ---- */

static bool is_json_patch(const struct yaml_tree *tree)
{
    return tree->kind == YAML_TREE_LIST && tree->count > 0 &&
           yaml_tree_text(tree->items[0], "op") != NULL &&
           yaml_tree_text(tree->items[0], "path") != NULL;
}

/* What follows "/spec/triggers/0" or "/spec/triggers/-"; NULL: it is no path of a trigger. */
static const char *path_in_trigger(const char *path)
{
    static const char list[] = "/spec/triggers/";
    if (!text_starts_with(path, list) || path[strlen(list)] == '\0')
        return NULL;
    path += strlen(list);
    return path + strcspn(path, "/");
}

static void add_part(struct trigger_places *places, const struct trigger_part *part)
{
    places->parts = memory_grow(places->parts, &places->parts_capacity, places->parts_count + 1,
                                sizeof(*places->parts));
    places->parts[places->parts_count++] = *part;
}

static void add_operation(const struct trigger_places_search *search,
                          const struct trigger_place *like, const struct yaml_tree *operation)
{
    const char *path = yaml_tree_text(operation, "path");
    const struct yaml_tree *value = yaml_tree_find(operation, "value");
    if (path == NULL)
        return;
    const char *rest = path_in_trigger(path);
    if (text_equal(path, "/spec"))
        add_list(search, like, yaml_tree_find(value, "triggers"));
    else if (text_equal(path, "/spec/triggers"))
        add_list(search, like, value);
    else if (rest != NULL && rest[0] == '\0' && value != NULL) {
        const struct yaml_tree one = {
            .kind = YAML_TREE_LIST, .items = (struct yaml_tree **)&value, .count = 1};
        add_list(search, like, &one);
    } else if (rest != NULL && rest[0] != '\0')
        add_part(search->places,
                 &(struct trigger_part){rest + 1, value, operation->line, like->is_job});
}

static void add_patch(const struct trigger_places_search *search, const struct yaml_tree *tree,
                      const char *target_kind)
{
    const char *kind = yaml_tree_text(tree, "kind");
    kind = kind == NULL ? target_kind : kind;
    const char *name = yaml_tree_text(tree, "metadata.name");
    const struct trigger_place like = {
        .spec = is_json_patch(tree) ? tree : yaml_tree_find(tree, "spec"),
        .namespace = yaml_tree_text(tree, "metadata.namespace"),
        .name = name == NULL ? "" : name,
        .label = name == NULL ? "" : name,
        .is_job = text_equal(kind, "ScaledJob"),
    };
    bool scales = kind == NULL || like.is_job || text_equal(kind, "ScaledObject");
    if (scales && is_json_patch(tree))
        for (size_t i = 0; i < tree->count; i++)
            add_operation(search, &like, tree->items[i]);
    else if (scales)
        add_list(search, &like, yaml_tree_find(tree, "spec.triggers"));
}

/* ---- blocks of a kustomization ---- */

/* The file's text with nothing but this block's, as YAML: all bytes keep their places. */
static void add_block(const struct trigger_places_search *search, const struct yaml_tree *block,
                      const char *target_kind)
{
    _cleanup_(error_done) struct error ignored = {0};
    const struct text *text = &search->file->text;
    struct trigger_places *places = search->places;
    if (block == NULL || block->kind != YAML_TREE_TEXT || block->is_shared ||
        strstr(block->text, "triggers") == NULL)
        return;
    if (text->bytes[block->start] != '|' || places->forest_count == MAX_BLOCKS) {
        note(search, block->line,
             "a patch of triggers that cannot be edited here: write it as a block (|), or in a "
             "file of its own");
        return;
    }
    _cleanup_(memory_free) char *copy = search->file->is_template
                                            ? template_hide(text->bytes, text->length)
                                            : text_copy_bytes(text->bytes, text->length);
    const char *body = memchr(text->bytes + block->start, '\n', text->length - block->start);
    size_t start = body == NULL ? text->length : (size_t)(body - text->bytes);
    for (size_t i = 0; i < text->length; i++)
        if ((i < start || i >= block->end) && copy[i] != '\n' && copy[i] != '\r')
            copy[i] = ' ';
    struct yaml_forest forest = {0};
    if (!yaml_forest_parse(copy, text->length, search->file->path, &forest, &ignored)) {
        note(search, block->line, "a patch of triggers that cannot be read");
        yaml_forest_done(&forest);
        return;
    }
    for (size_t i = 0; i < forest.count; i++)
        add_patch(search, forest.trees[i], target_kind);
    places->forests = memory_grow(places->forests, &places->forest_capacity,
                                  places->forest_count + 1, sizeof(*places->forests));
    places->blocks = memory_grow(places->blocks, &places->block_capacity, places->forest_count + 1,
                                 sizeof(*places->blocks));
    places->blocks[places->forest_count] = block;
    places->forests[places->forest_count++] = forest;
}

static void add_kustomization(const struct trigger_places_search *search,
                              const struct yaml_tree *tree)
{
    static const char *const lists[] = {"patches", "patchesStrategicMerge", "patchesJson6902"};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        const struct yaml_tree *list = yaml_tree_find(tree, lists[i]);
        for (size_t n = 0; list != NULL && list->kind == YAML_TREE_LIST && n < list->count; n++) {
            const struct yaml_tree *item = list->items[n];
            if (item->kind == YAML_TREE_TEXT)
                add_block(search, item, NULL);
            else
                add_block(search, yaml_tree_find(item, "patch"),
                          yaml_tree_text(item, "target.kind"));
        }
    }
}

/* ---- a file ---- */

static int compare_places(const void *left, const void *right)
{
    const struct trigger_place *one = left, *other = right;
    size_t a = one->trigger->start, b = other->trigger->start;
    return a < b ? -1 : a > b;
}

static void add_object(const struct trigger_places_search *search,
                       const struct manifest_object *object)
{
    const struct yaml_tree *name = yaml_tree_find(object->tree, "metadata.name");
    bool is_hidden = name != NULL && manifest_is_templated(search->file, name->start, name->end);
    const struct trigger_place like = {.spec = yaml_tree_find(object->tree, "spec"),
                                       .namespace = object->namespace,
                                       .name = is_hidden ? "" : object->name,
                                       .label = is_hidden ? "" : object->label,
                                       .is_job = object->kind == MANIFEST_SCALED_JOB};
    const struct yaml_tree *list = manifest_triggers(object);
    add_list(search, &like, list);
    if (list == NULL && search->file->is_template)
        note(search, object->tree->line,
             "the template writes its triggers from values: change them there");
    else if (list == NULL && yaml_tree_find(object->tree, "spec.<<") != NULL)
        note(search, object->tree->line,
             "a YAML merge key (<<) gives its triggers: write them out");
}

void trigger_places_find(const struct manifests *manifests, const struct manifest_file *file,
                         struct trigger_places *ret_places, struct findings *findings)
{
    const struct trigger_places_search search = {file, ret_places, findings};
    *ret_places = (struct trigger_places){0};
    for (size_t i = 0; i < manifests->object_count; i++)
        if (manifests->objects[i].file == file && manifest_scales(&manifests->objects[i]))
            add_object(&search, &manifests->objects[i]);
    for (size_t i = 0; i < file->forest.count; i++) {
        const struct yaml_tree *tree = file->forest.trees[i];
        if (is_json_patch(tree))
            add_patch(&search, tree, patch_target_kind(manifests, file));
        else if (patch_target_is_kustomization(tree))
            add_kustomization(&search, tree);
    }
    if (ret_places->count > 0)
        qsort(ret_places->items, ret_places->count, sizeof(*ret_places->items), compare_places);
}

void trigger_places_done(struct trigger_places *places)
{
    for (size_t i = 0; i < places->forest_count; i++)
        yaml_forest_done(&places->forests[i]);
    free(places->forests);
    free(places->blocks);
    free(places->parts);
    free(places->items);
    *places = (struct trigger_places){0};
}
