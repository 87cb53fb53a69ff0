#include "manifest/migration/patch_target.h"

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

/* Without the last part of `base`, if there is one, and without "." and "..", as far as they lead
 * to what is known. The caller frees it. */
static char *resolve(const char *base, const char *path)
{
    const char *slash = base == NULL || path[0] == '/' ? NULL : strrchr(base, '/');
    _cleanup_(memory_free) char *whole = text_format(
        "%.*s%s", slash == NULL ? 0 : (int)(slash + 1 - base), slash == NULL ? "" : base, path);
    struct text clean = {0};
    size_t fixed = whole[0] == '/'; /* what ".." does not remove */
    text_add(&clean, whole[0] == '/' ? "/" : "");
    for (const char *at = whole; *at != '\0';) {
        size_t length = strcspn(at, "/");
        bool is_up = length == 2 && memcmp(at, "..", 2) == 0;
        if (is_up && clean.length > fixed) {
            clean.length--; /* the slash behind the last part */
            while (clean.length > fixed && clean.bytes[clean.length - 1] != '/')
                clean.length--;
            clean.bytes[clean.length] = '\0';
        } else if (length > 0 && !(length == 1 && at[0] == '.')) {
            text_add_bytes(&clean, at, length);
            text_add(&clean, "/");
            fixed = is_up ? clean.length : fixed;
        }
        at += length + (at[length] == '/');
    }
    return text_take(&clean);
}

bool patch_target_is_kustomization(const struct yaml_tree *tree)
{
    const char *kind = yaml_tree_text(tree, "kind");
    return kind == NULL || text_equal(kind, "Kustomization") || text_equal(kind, "Component");
}

/* Adds the kind that this list of patches has for the file. False where it is another one. */
static bool find_kind(const struct yaml_tree *list, const char *kustomization, const char *path,
                      const char **kind)
{
    for (size_t i = 0; list != NULL && list->kind == YAML_TREE_LIST && i < list->count; i++) {
        const char *named = yaml_tree_text(list->items[i], "path");
        const char *target = yaml_tree_text(list->items[i], "target.kind");
        if (named == NULL)
            continue;
        _cleanup_(memory_free) char *resolved = resolve(kustomization, named);
        if (!text_equal(resolved, path))
            continue;
        if (target == NULL || (*kind != NULL && !text_equal(*kind, target)))
            return false;
        *kind = target;
    }
    return true;
}

const char *patch_target_kind(const struct manifests *manifests, const struct manifest_file *file)
{
    const char *kind = NULL;
    _cleanup_(memory_free) char *path = resolve(NULL, file->path);
    for (size_t i = 0; i < manifests->file_count; i++) {
        const struct manifest_file *other = manifests->files[i];
        for (size_t n = 0; n < other->forest.count; n++) {
            const struct yaml_tree *tree = other->forest.trees[n];
            if (patch_target_is_kustomization(tree) &&
                (!find_kind(yaml_tree_find(tree, "patches"), other->path, path, &kind) ||
                 !find_kind(yaml_tree_find(tree, "patchesJson6902"), other->path, path, &kind)))
                return NULL;
        }
    }
    return kind;
}
