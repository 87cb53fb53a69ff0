#include "manifest/migration/meaning.h"

#include "base/memory.h"
#include "config/credentials.h"
#include "manifest/builtin.h"
#include "manifest/migration/trigger_places.h"

#include <stdlib.h>
#include <string.h>

/* Both texts' trees, with the triggers that are in them. */
struct meaning {
    const struct migration_settings *settings;
    struct trigger_places before, after;
};

/* A trigger before and after, which differ. */
struct moved_pair {
    const struct migration_settings *settings;
    const struct yaml_tree *before, *after;
    const struct yaml_tree *old_metadata, *new_metadata;
    bool is_job;
};

/* An authenticationRef, or what the metadata has of it. */
struct meant_authentication {
    const char *name; /* NULL: none */
    bool is_cluster_wide;
};

typedef bool is_skipped(const char *key);
/* The key's name in the other text, which the caller frees. */
typedef char *rename_key(const struct option *table, const char *key);

/* ---- maps ---- */

static size_t skip(const struct yaml_tree *map, size_t at, is_skipped *skips)
{
    while (at < map->count && skips(map->keys[at]))
        at++;
    return at;
}

/* Are the keys that are not skipped the same, in the same order, under their new names? */
static bool keys_are_kept(const struct yaml_tree *before, is_skipped *skips_before,
                          const struct yaml_tree *after, is_skipped *skips_after,
                          const struct option *table, rename_key *rename)
{
    size_t from = skip(before, 0, skips_before), to = skip(after, 0, skips_after);
    while (from < before->count && to < after->count) {
        _cleanup_(memory_free) char *name = rename(table, before->keys[from]);
        if (!text_equal(name, after->keys[to]) ||
            !yaml_tree_is_same(before->items[from], after->items[to]))
            return false;
        from = skip(before, from + 1, skips_before);
        to = skip(after, to + 1, skips_after);
    }
    return from == before->count && to == after->count;
}

static bool skips_none(const char *key)
{
    (void)key;
    return false;
}

/* Keys of a trigger. */
static bool is_moved(const char *key)
{
    return text_equal(key, "type") || text_equal(key, "metadata");
}

static bool is_moved_or_ref(const char *key)
{
    return is_moved(key) || text_equal(key, "authenticationRef");
}

/* Of the metadata, on the way to another server. */
static bool is_of_server(const char *key)
{
    return builtin_is_own_key(key) && !text_equal(key, "scaler") && !text_equal(key, "unsafeSsl");
}

static char *same_name(const struct option *table, const char *key)
{
    (void)table;
    return text_copy(key);
}

/* What Backlog has no name for is in a template's action. */
static char *name_there(const struct option *table, const char *key)
{
    const struct option *row;
    char *name = builtin_name_there(table, key, &row);
    return name == NULL ? text_copy(key) : name;
}

/* ---- authentications ---- */

static struct meant_authentication ref_of(const struct yaml_tree *trigger)
{
    const struct yaml_tree *ref = yaml_tree_find(trigger, "authenticationRef");
    const char *name = yaml_tree_text(ref, "name");
    return (struct meant_authentication){
        text_equal(name, "") ? NULL : name,
        text_equal(yaml_tree_text(ref, "kind"), "ClusterTriggerAuthentication")};
}

static struct meant_authentication source_of(const struct yaml_tree *metadata)
{
    const char *own = yaml_tree_text(metadata, CREDENTIALS_KEY);
    const char *cluster = yaml_tree_text(metadata, CREDENTIALS_CLUSTER_KEY);
    return (struct meant_authentication){own == NULL ? cluster : own,
                                         own == NULL && cluster != NULL};
}

static bool is_same_authentication(struct meant_authentication one,
                                   struct meant_authentication other)
{
    return text_equal(one.name, other.name) &&
           (one.name == NULL || one.is_cluster_wide == other.is_cluster_wide);
}

/* KEDA's certificates. */
static struct meant_authentication channel_of(const struct migration_settings *settings)
{
    return (struct meant_authentication){settings->authentication, settings->is_cluster_wide};
}

static bool rest_is_kept(const struct moved_pair *pair, bool ref_changes)
{
    is_skipped *skips = ref_changes ? is_moved_or_ref : is_moved;
    return keys_are_kept(pair->before, skips, pair->after, skips, NULL, same_name);
}

/* ---- one trigger ---- */

static bool is_moved_there(const struct moved_pair *pair)
{
    const struct migration_settings *settings = pair->settings;
    const struct yaml_tree *metadata = pair->new_metadata;
    const char *type = yaml_tree_text(pair->before, "type");
    const struct scaler *scaler = scaler_find(settings->scalers, type);
    bool has_tls = settings->authentication != NULL;
    struct meant_authentication source = {NULL, false};
    if (has_tls)
        source = ref_of(pair->before);
    return scaler != NULL &&
           text_equal(yaml_tree_text(pair->after, "type"),
                      pair->is_job ? "external" : settings->type) &&
           text_equal(yaml_tree_text(metadata, "scalerAddress"), settings->scaler_address) &&
           text_equal(yaml_tree_text(metadata, "scaler"), scaler->name) &&
           text_equal(yaml_tree_text(metadata, "enableTLS"), has_tls ? "true" : NULL) &&
           yaml_tree_find(metadata, "unsafeSsl") == NULL &&
           is_same_authentication(source_of(metadata), source) &&
           (!has_tls || is_same_authentication(ref_of(pair->after), channel_of(settings))) &&
           rest_is_kept(pair, has_tls) &&
           keys_are_kept(pair->old_metadata, skips_none, metadata, builtin_is_own_key,
                         scaler->options, name_there);
}

static bool is_moved_on(const struct moved_pair *pair)
{
    const struct migration_settings *settings = pair->settings;
    const struct yaml_tree *old = pair->old_metadata, *new = pair->new_metadata;
    const struct meant_authentication channel = channel_of(settings), ref = ref_of(pair->before);
    struct meant_authentication source = source_of(old);
    bool has_tls = settings->authentication != NULL;
    bool is_retyped = settings->is_retyped && !pair->is_job;
    bool names_source = has_tls && !channel_has_tls(old) && source.name == NULL &&
                        yaml_tree_find(old, "connectionName") == NULL;
    if (names_source && !is_same_authentication(ref, channel))
        source = ref;
    return scaler_find(settings->scalers, yaml_tree_text(old, "scaler")) != NULL &&
           text_equal(yaml_tree_text(pair->after, "type"),
                      is_retyped ? settings->type : yaml_tree_text(pair->before, "type")) &&
           text_equal(yaml_tree_text(new, "scalerAddress"), settings->scaler_address) &&
           (has_tls ? channel_has_tls(new)
                    : yaml_tree_is_same(yaml_tree_find(old, "enableTLS"),
                                        yaml_tree_find(new, "enableTLS"))) &&
           is_same_authentication(source_of(new), source) &&
           (!has_tls || is_same_authentication(ref_of(pair->after), channel)) &&
           rest_is_kept(pair, has_tls) &&
           keys_are_kept(old, is_of_server, new, is_of_server, NULL, same_name);
}

static bool is_moved_back(const struct moved_pair *pair)
{
    const struct migration_settings *settings = pair->settings;
    const char *name = yaml_tree_text(pair->old_metadata, "scaler");
    const struct scaler *scaler = scaler_find(settings->scalers, name);
    const struct meant_authentication source = source_of(pair->old_metadata);
    bool is_channel = settings->authentication != NULL && channel_has_tls(pair->old_metadata) &&
                      is_same_authentication(ref_of(pair->before), channel_of(settings));
    bool ref_changes = source.name != NULL || is_channel;
    return scaler != NULL && text_equal(yaml_tree_text(pair->after, "type"), name) &&
           (!ref_changes || is_same_authentication(ref_of(pair->after), source)) &&
           rest_is_kept(pair, ref_changes) &&
           keys_are_kept(pair->old_metadata, builtin_is_own_key, pair->new_metadata, skips_none,
                         scaler->options, builtin_name_back);
}

static bool is_map(const struct yaml_tree *tree)
{
    return tree != NULL && tree->kind == YAML_TREE_MAP;
}

static bool trigger_is_kept(const struct meaning *meaning, const struct trigger_place *before,
                            const struct trigger_place *after)
{
    const struct moved_pair pair = {
        .settings = meaning->settings,
        .before = before->trigger,
        .after = after->trigger,
        .old_metadata = yaml_tree_find(before->trigger, "metadata"),
        .new_metadata = yaml_tree_find(after->trigger, "metadata"),
        .is_job = before->is_job,
    };
    const char *type = yaml_tree_text(pair.before, "type");
    if (yaml_tree_is_same(pair.before, pair.after))
        return true;
    if (type == NULL || !is_map(pair.old_metadata) || !is_map(pair.new_metadata))
        return false;
    if (meaning->settings->is_back)
        return builtin_is_external(type) && is_moved_back(&pair);
    return builtin_is_external(type) ? is_moved_on(&pair) : is_moved_there(&pair);
}

/* ---- all ---- */

static const struct trigger_place *find_place(const struct trigger_places *places,
                                              const struct yaml_tree *tree)
{
    size_t low = 0, high = places->count;
    while (low < high) { /* they are in the order of the file */
        size_t middle = low + (high - low) / 2;
        if (places->items[middle].trigger->start < tree->start)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < places->count && places->items[low].trigger->start == tree->start; low++)
        if (places->items[low].trigger == tree)
            return &places->items[low];
    return NULL;
}

static const struct yaml_forest *find_block(const struct trigger_places *places,
                                            const struct yaml_tree *tree)
{
    for (size_t i = 0; i < places->forest_count; i++)
        if (places->blocks[i] == tree)
            return &places->forests[i];
    return NULL;
}

static bool forest_is_kept(const struct meaning *meaning, const struct yaml_forest *before,
                           const struct yaml_forest *after);

// NOLINTNEXTLINE(misc-no-recursion): as deep as the YAML, which has a limit
static bool tree_is_kept(const struct meaning *meaning, const struct yaml_tree *before,
                         const struct yaml_tree *after)
{
    const struct trigger_place *old_place = find_place(&meaning->before, before);
    const struct trigger_place *new_place = find_place(&meaning->after, after);
    if ((old_place == NULL) != (new_place == NULL) || before->kind != after->kind)
        return false;
    if (old_place != NULL)
        return trigger_is_kept(meaning, old_place, new_place);
    if (before->text != NULL && !text_equal(before->text, after->text)) {
        const struct yaml_forest *old_block = find_block(&meaning->before, before);
        const struct yaml_forest *new_block = find_block(&meaning->after, after);
        return old_block != NULL && new_block != NULL &&
               forest_is_kept(meaning, old_block, new_block);
    }
    if (before->count != after->count)
        return false;
    for (size_t i = 0; i < before->count; i++)
        if ((before->kind == YAML_TREE_MAP && !text_equal(before->keys[i], after->keys[i])) ||
            !tree_is_kept(meaning, before->items[i], after->items[i]))
            return false;
    return true;
}

// NOLINTNEXTLINE(misc-no-recursion): a block has no blocks
static bool forest_is_kept(const struct meaning *meaning, const struct yaml_forest *before,
                           const struct yaml_forest *after)
{
    if (before->count != after->count)
        return false;
    for (size_t i = 0; i < before->count; i++)
        if (!tree_is_kept(meaning, before->trees[i], after->trees[i]))
            return false;
    return true;
}

bool meaning_is_kept(const struct migration_settings *settings, const struct meaning_text *before,
                     const struct meaning_text *after)
{
    _cleanup_(findings_done) struct findings ignored = {0};
    struct meaning meaning = {.settings = settings};
    trigger_places_find(before->manifests, before->file, &meaning.before, &ignored);
    trigger_places_find(after->manifests, after->file, &meaning.after, &ignored);
    bool is_kept = forest_is_kept(&meaning, &before->file->forest, &after->file->forest);
    trigger_places_done(&meaning.before);
    trigger_places_done(&meaning.after);
    return is_kept;
}
