#include "manifest/migration/migration.h"

#include "base/memory.h"
#include "manifest/migration/move.h"
#include "manifest/migration/undo_check.h"
#include "manifest/relations.h"
#include "manifest/trigger_check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ADDED = AUTHENTICATION_MAX_PARAMETERS + 8 };

/* A trigger that is moved. The struct move borrows from the rest. */
struct moving {
    struct builtin builtin;
    struct option_entry added[MAX_ADDED];
    struct entries variables; /* KEYFromEnv of the TriggerAuthentication */
    struct move move;
};

struct migrator {
    const struct migration_settings *settings;
    const struct manifests *manifests;
    struct migration *migration;
    struct findings *findings;
    struct migrated_file *file; /* the one being edited */
    size_t drafts_before;       /* it: connections that only its triggers need are behind them */
    char *authentication_ref;   /* of every trigger; NULL: none */
    struct edits edits;
    struct moving **moving;
    size_t count, capacity;
};

/* ---- one trigger ---- */

static void add(struct moving *moving, const char *key, const char *value)
{
    if (moving->move.added_count < MAX_ADDED)
        moving->added[moving->move.added_count++] = (struct option_entry){key, value};
}

static void add_variables(struct moving *moving)
{
    const struct authentication *authentication = &moving->builtin.authentication;
    for (size_t i = 0; i < authentication->count; i++) {
        const struct authentication_parameter *parameter = &authentication->parameters[i];
        const struct option *row = builtin_parameter(&moving->builtin, parameter->name);
        if (parameter->source != PARAMETER_VARIABLE || row == NULL)
            continue;
        _cleanup_(memory_free) char *key = text_format("%sFromEnv", row->key);
        entries_add(&moving->variables, key, parameter->object, parameter->line);
    }
    for (size_t i = 0; i < moving->variables.count; i++)
        add(moving, moving->variables.items[i].key, moving->variables.items[i].value);
}

static void add_keys(struct migrator *migrator, const struct manifest_object *object,
                     struct moving *moving)
{
    const struct yaml_tree *fallback = yaml_tree_find(object->tree, "spec.fallback");
    add(moving, "scalerAddress", migrator->settings->scaler_address);
    if (migrator->settings->authentication != NULL)
        add(moving, "enableTLS", "true");
    add(moving, "scaler", moving->builtin.scaler->name);
    if (moving->builtin.needs_connection)
        add(moving, "connectionName",
            drafts_add(&migrator->migration->drafts, &moving->builtin, object->namespace));
    if (fallback != NULL)
        add(moving, "hold", RELATIONS_HOLD_WITH_FALLBACK);
    add_variables(moving);
}

/* By the rules of the server, with all that is known here. Adds what is against it. */
static void check(const struct migrator *migrator, const struct manifest_object *object,
                  const struct builtin *builtin, struct error *reasons)
{
    struct findings mistakes = {0};
    const struct trigger_check check = {
        .scalers = migrator->settings->scalers,
        .name = object->name,
        .namespace = object->namespace,
        .place = {.path = object->file->path},
        .prefix = "",
    };
    trigger_check(&check, &builtin->entries, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        error_add(reasons, "%s", mistakes.items[i].text);
    findings_done(&mistakes);
    if (yaml_tree_has_twice(builtin->metadata))
        error_add(reasons, "a key of its metadata is given twice");
}

static void moving_free(struct moving *moving)
{
    builtin_done(&moving->builtin);
    entries_done(&moving->variables);
    free(moving);
}

static const char *added_value(const struct moving *moving, const char *key)
{
    for (size_t i = 0; i < moving->move.added_count; i++)
        if (text_equal(moving->added[i].key, key))
            return moving->added[i].value;
    return NULL;
}

/* What becomes of it, beside the edits. */
static void report(const struct migrator *migrator, const struct manifest_object *object,
                   const struct moving *moving, const struct finding_place *place)
{
    const struct builtin *builtin = &moving->builtin;
    _cleanup_(text_done) struct text text = {0};
    for (size_t i = 0; i < builtin->metadata->count; i++)
        if (builtin->keys[i].action == BUILTIN_DROP)
            text_addf(&text, "; %s is left out: KEDA ignores it", builtin->metadata->keys[i]);
    if (builtin->needs_connection)
        text_addf(&text,
                  "; its credentials are connection %s: Backlog needs the Secret in its own "
                  "namespace",
                  added_value(moving, "connectionName"));
    if (builtin->needs_connection && object->namespace == NULL &&
        !builtin->authentication.is_cluster_wide)
        text_add(&text, ", and the connection is for all namespaces, since the manifest names none "
                        "(--namespace)");
    finding_add(migrator->findings, place, FINDING_NOTE, "trigger of type %s moves to %s%s",
                builtin->type, moving->move.type, text.length == 0 ? "" : text.bytes);
}

static void move_trigger(struct migrator *migrator, const struct manifest_object *object,
                         const struct yaml_tree *trigger)
{
    const char *type = yaml_tree_text(trigger, "type");
    const struct finding_place place = {object->file->path, trigger->line, object->label};
    if (type == NULL || builtin_is_external(type))
        return;
    struct moving *moving = memory_new(sizeof(*moving));
    struct builtin *builtin = &moving->builtin;
    builtin_read(migrator->settings->scalers, migrator->manifests, object->namespace, trigger,
                 builtin);
    if (builtin_can_move(builtin))
        check(migrator, object, builtin, &builtin->reasons);
    moving->move = (struct move){
        .file = object->file,
        .lines = &migrator->file->lines,
        .trigger = trigger,
        .builtin = builtin,
        .type = object->kind == MANIFEST_SCALED_JOB ? "external" : "external-push",
        .added = moving->added,
        .authentication_ref = migrator->authentication_ref,
    };
    size_t edits_before = migrator->edits.count;
    size_t drafts_before = migrator->migration->drafts.count;
    if (builtin_can_move(builtin)) {
        add_keys(migrator, object, moving);
        move_make(&moving->move, &migrator->edits, &builtin->reasons);
    }
    if (builtin_can_move(builtin)) {
        report(migrator, object, moving, &place);
        migrator->moving = memory_grow(migrator->moving, &migrator->capacity, migrator->count + 1,
                                       sizeof(struct moving *));
        migrator->moving[migrator->count++] = moving;
        return;
    }
    while (migrator->edits.count > edits_before)
        free(migrator->edits.items[--migrator->edits.count].text);
    drafts_cut(&migrator->migration->drafts, drafts_before);
    /* Types that Backlog never had, such as cron, are not meant to move. */
    bool is_meant =
        builtin->scaler != NULL || text_starts_with(error_text(&builtin->reasons), "it ");
    finding_add(migrator->findings, &place, is_meant ? FINDING_ERROR : FINDING_NOTE,
                "trigger of type %s stays with KEDA: %s", type, error_text(&builtin->reasons));
    moving_free(moving);
}

/* ---- one file ---- */

static bool is_json(const struct manifest_file *file)
{
    const char *bytes = file->text.bytes == NULL ? "" : file->text.bytes;
    return text_ends_with(file->path, ".json") || bytes[strspn(bytes, " \t\r\n")] == '{';
}

/* By their triggers' addresses. */
static int compare_moving(const void *left, const void *right)
{
    uintptr_t one = (uintptr_t)(*(struct moving *const *)left)->move.trigger;
    uintptr_t other = (uintptr_t)(*(struct moving *const *)right)->move.trigger;
    return one < other ? -1 : one > other;
}

/* They are sorted. */
static const struct move *find_move(const struct migrator *migrator, const struct yaml_tree *tree)
{
    size_t low = 0, high = migrator->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct move *move = &migrator->moving[middle]->move;
        if (move->trigger == tree)
            return move;
        if ((uintptr_t)move->trigger < (uintptr_t)tree)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Is the edited tree the same, but for the triggers that were moved? */
static bool is_proper(const struct migrator *migrator, const struct yaml_tree *before,
                      const struct yaml_tree *after)
{
    const struct move *move = find_move(migrator, before);
    if (move != NULL)
        return move_is_made(move, after);
    if (before->kind != after->kind || before->count != after->count ||
        (before->text != NULL && !text_equal(before->text, after->text)))
        return false;
    for (size_t i = 0; i < before->count; i++)
        if ((before->kind == YAML_TREE_MAP && !text_equal(before->keys[i], after->keys[i])) ||
            !is_proper(migrator, before->items[i], after->items[i]))
            return false;
    return true;
}

static bool says_what_is_meant(const struct migrator *migrator, const struct migrated_file *file)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(yaml_forest_done) struct yaml_forest forest = {0};
    const struct yaml_forest *before = &file->file->forest;
    if (!yaml_forest_parse(file->text.bytes, file->text.length, file->file->path, &forest,
                           &error) ||
        forest.count != before->count)
        return false;
    for (size_t i = 0; i < forest.count; i++)
        if (!is_proper(migrator, before->trees[i], forest.trees[i]))
            return false;
    return true;
}

/* The text with everything taken back; false where that cannot be done. */
static bool undone(const char *bytes, size_t length, struct text *ret_text)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(patch_done) struct patch patch = {0};
    _cleanup_(lines_done) struct lines lines;
    lines_init(&lines, bytes, length);
    if (!marks_undo(&lines, "", &patch, &error))
        return false;
    patch_apply(&patch, &lines, ret_text);
    return true;
}

/* Will --back take it? */
static bool can_be_taken_back(const struct migrator *migrator, const struct migrated_file *file,
                              const struct text *undone)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(manifests_done) struct manifests manifests = {0};
    manifests_add_text(&manifests, file->file->path, file->text.bytes, file->text.length,
                       &findings);
    return undo_check(migrator->settings->scalers, &manifests, manifests.files[0], 1, undone,
                      &error);
}

/* Where a part of the file was migrated before, the way back goes to what was there before that. */
static bool leads_back(const struct migrator *migrator, const struct migrated_file *file)
{
    _cleanup_(text_done) struct text before = {0};
    _cleanup_(text_done) struct text after = {0};
    const struct text *text = &file->file->text;
    return undone(text->bytes, text->length, &before) &&
           undone(file->text.bytes, file->text.length, &after) && before.length == after.length &&
           (before.length == 0 || memcmp(before.bytes, after.bytes, before.length) == 0) &&
           can_be_taken_back(migrator, file, &after);
}

static void migrated_file_done(struct migrated_file *file)
{
    lines_done(&file->lines);
    patch_done(&file->patch);
    text_done(&file->text);
}

static void keep_file(struct migration *migration, struct migrated_file *file)
{
    migration->items = memory_grow(migration->items, &migration->capacity, migration->count + 1,
                                   sizeof(*migration->items));
    migration->items[migration->count++] = *file;
}

static void finish_file(struct migrator *migrator, struct migrated_file *file)
{
    if (migrator->count > 0)
        qsort(migrator->moving, migrator->count, sizeof(struct moving *), compare_moving);
    bool is_made = marks_make(&migrator->edits, &file->lines, &file->patch);
    patch_apply(&file->patch, &file->lines, &file->text);
    if (migrator->count > 0 && is_made && says_what_is_meant(migrator, file) &&
        leads_back(migrator, file)) {
        migrator->migration->moved += migrator->count;
        keep_file(migrator->migration, file);
    } else {
        const struct finding_place place = {.path = file->file->path};
        if (migrator->count > 0)
            finding_add(migrator->findings, &place, FINDING_ERROR,
                        "nothing is moved: this YAML is written in a way that cannot be edited "
                        "safely. Format it with one key per line");
        drafts_cut(&migrator->migration->drafts, migrator->drafts_before);
        migrated_file_done(file);
    }
    for (size_t i = 0; i < migrator->count; i++)
        moving_free(migrator->moving[i]);
    migrator->count = 0;
    edits_done(&migrator->edits);
}

static void migrate_file(struct migrator *migrator, const struct manifest_file *file)
{
    struct migrated_file migrated = {.file = file};
    size_t triggers = 0;
    lines_init(&migrated.lines, file->text.bytes == NULL ? "" : file->text.bytes,
               file->text.length);
    migrator->file = &migrated;
    migrator->drafts_before = migrator->migration->drafts.count;
    for (size_t i = 0; i < migrator->manifests->object_count; i++) {
        const struct manifest_object *object = &migrator->manifests->objects[i];
        if (object->file != file || !manifest_scales(object))
            continue;
        const struct yaml_tree *list = manifest_triggers(object);
        if (list == NULL)
            continue;
        triggers += list->count;
        for (size_t t = 0; t < list->count && !is_json(file); t++)
            move_trigger(migrator, object, list->items[t]);
    }
    const struct finding_place place = {.path = file->path};
    if (triggers > 0 && is_json(file))
        finding_add(migrator->findings, &place, FINDING_ERROR,
                    "JSON has no comments to keep the way back in: convert it to YAML");
    finish_file(migrator, &migrated);
}

/* The caller frees it. */
static char *authentication_ref_of(const struct migration_settings *settings)
{
    struct text text = {0};
    text_add(&text, "{name: ");
    yaml_add_text(&text, settings->authentication);
    text_add(&text, settings->is_cluster_wide ? ", kind: ClusterTriggerAuthentication}" : "}");
    return text_take(&text);
}

void migration_make(const struct migration_settings *settings, const struct manifests *manifests,
                    struct migration *ret_migration, struct findings *findings)
{
    struct migrator migrator = {.settings = settings,
                                .manifests = manifests,
                                .migration = ret_migration,
                                .findings = findings};
    *ret_migration = (struct migration){0};
    if (settings->authentication != NULL)
        migrator.authentication_ref = authentication_ref_of(settings);
    for (size_t i = 0; i < manifests->file_count; i++)
        migrate_file(&migrator, manifests->files[i]);
    free(migrator.authentication_ref);
    free(migrator.moving);
}

/* Fails with what somebody has edited; the file's patch is empty where nothing was migrated. */
static bool undo_file(const struct scaler *const *scalers, const struct manifests *manifests,
                      struct migrated_file *file, struct error *error)
{
    const struct text *text = &file->file->text;
    lines_init(&file->lines, text->bytes == NULL ? "" : text->bytes, text->length);
    if (!marks_undo(&file->lines, file->file->path, &file->patch, error))
        return false;
    if (file->patch.count == 0)
        return true;
    patch_apply(&file->patch, &file->lines, &file->text);
    return undo_check(scalers, manifests, file->file, file->patch.items[0].first + 1, &file->text,
                      error);
}

void migration_undo(const struct scaler *const *scalers, const struct manifests *manifests,
                    struct migration *ret_migration, struct findings *findings)
{
    *ret_migration = (struct migration){0};
    for (size_t i = 0; i < manifests->file_count; i++) {
        _cleanup_(error_done) struct error error = {0};
        struct migrated_file file = {.file = manifests->files[i]};
        bool good = undo_file(scalers, manifests, &file, &error);
        if (!good)
            manifest_add_error(findings, file.file->path, &error);
        if (good && file.patch.count > 0)
            keep_file(ret_migration, &file);
        else
            migrated_file_done(&file);
    }
}

void migration_done(struct migration *migration)
{
    for (size_t i = 0; i < migration->count; i++)
        migrated_file_done(&migration->items[i]);
    drafts_done(&migration->drafts);
    free(migration->items);
    *migration = (struct migration){0};
}
