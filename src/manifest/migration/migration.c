#include "manifest/migration/migration.h"

#include "base/memory.h"
#include "config/credentials.h"
#include "manifest/authentication.h"
#include "manifest/checks/back_check.h"
#include "manifest/checks/move_check.h"
#include "manifest/checks/relations.h"
#include "manifest/checks/strategy.h"
#include "manifest/migration/meaning.h"
#include "manifest/migration/move.h"
#include "manifest/migration/trigger_places.h"
#include "manifest/secrets.h"
#include "manifest/yaml_text.h"
#include "scale/connections/named_connections.h"

#include <stdlib.h>
#include <string.h>

struct migrator {
    const struct migration_settings *settings;
    const struct manifests *manifests;
    struct findings *findings;
    struct migrated_file *file; /* the one being edited */
    struct edits edits;
    size_t moved;                      /* of this file */
    size_t readdressed;                /* of it, that had moved before */
    bool is_trial;                     /* of the way back: what KEDA reads does not matter */
    bool is_inexact;                   /* the way back writes what means the same, in another way */
    const struct yaml_tree *jobs_spec; /* of the last ScaledJob that was warned of */
};

static struct move move_of(struct migrator *migrator, const struct yaml_tree *trigger)
{
    return (struct move){
        .file = migrator->file->file,
        .lines = &migrator->file->lines,
        .trigger = trigger,
        .scaler_address = migrator->settings->scaler_address,
        .authentication = migrator->settings->authentication,
        .is_cluster_wide = migrator->settings->is_cluster_wide,
        .edits = &migrator->edits,
    };
}

static struct finding_place place_of(const struct migrator *migrator,
                                     const struct trigger_place *at)
{
    return (struct finding_place){migrator->file->file->path, at->trigger->line, at->label};
}

/* ---- there ---- */

/* The first variable that the server refuses beside credentials
 * (scale/connections/own_credentials.h); NULL: none. */
static const char *steering_variable(const struct builtin *builtin)
{
    for (size_t i = 0; i < builtin->metadata->count; i++) {
        const struct builtin_key *key = &builtin->keys[i];
        if (key->row != NULL && option_is_variable(key->name) &&
            option_steers_credentials(key->row))
            return builtin->metadata->keys[i];
    }
    return NULL;
}

/* What a server with --kubernetes asks for beside the two lines (docs/security.md). */
static void warn(const struct migrator *migrator, const struct trigger_place *at,
                 const struct builtin *builtin)
{
    const struct authentication *own = &builtin->authentication;
    const struct finding_place place = place_of(migrator, at);
    const struct yaml_tree *fallback = yaml_tree_find(at->spec, "fallback");
    const char *variable = own->name == NULL ? NULL : steering_variable(builtin);
    if (variable != NULL && migrator->settings->authentication == NULL)
        finding_add(migrator->findings, &place, FINDING_WARNING,
                    "%s is a variable, and says where the credentials of %s go, or for what: that "
                    "needs mTLS (--authentication), or the value itself",
                    variable, own->name);
    else
        move_check_host(builtin, &place, migrator->findings);
    /* Standard input is as a rule what kubectl gets of one object: `migrate --cluster` saw all. */
    if (error_is_set(&builtin->missing) && !text_equal(place.path, "-"))
        finding_add(migrator->findings, &place, FINDING_WARNING,
                    "it is not known whether Backlog can use its credentials: %s",
                    error_text(&builtin->missing));
    _cleanup_(memory_free) char *unknown =
        entries_unknown_keys(&builtin->entries, builtin->scaler->options);
    if (unknown[0] != '\0')
        finding_add(migrator->findings, &place, FINDING_NOTE,
                    "not checked, as only the worker has the value: %s", unknown);
    bool has_hold = yaml_tree_find(builtin->metadata, "hold") != NULL;
    if (at->is_job && !has_hold)
        finding_add(migrator->findings, &place, FINDING_WARNING, RELATIONS_HOLD_OF_JOBS);
    if (fallback != NULL && !at->is_job && !has_hold)
        finding_add(migrator->findings, &place, FINDING_WARNING,
                    "the fallback takes over only after `hold`, which is an hour by default: add "
                    "hold: \"" RELATIONS_HOLD_WITH_FALLBACK "\"");
}

/* Either way is a change. Once for each object. */
static void warn_of_jobs(struct migrator *migrator, const struct trigger_place *at)
{
    const struct finding_place place = place_of(migrator, at);
    if (at->is_job && at->spec != migrator->jobs_spec)
        strategy_check_rollout(at->spec, migrator->file->file->is_template, &place,
                               migrator->findings);
    if (at->is_job)
        migrator->jobs_spec = at->spec;
}

/* What changed of a trigger that has moved before. */
static void note_moved_on(const struct migrator *migrator, const struct trigger_place *at)
{
    const struct yaml_tree *metadata = yaml_tree_find(at->trigger, "metadata");
    const char *name = yaml_tree_text(metadata, "scaler");
    const char *address = yaml_tree_text(metadata, "scalerAddress");
    const struct migration_settings *settings = migrator->settings;
    const struct finding_place place = place_of(migrator, at);
    bool has_tls = channel_has_tls(metadata);
    if (text_equal(address, settings->scaler_address))
        finding_add(migrator->findings, &place, FINDING_NOTE,
                    "trigger of scaler %s gets %sauthenticationRef %s", name,
                    has_tls ? "" : "enableTLS and ", settings->authentication);
    else
        finding_add(migrator->findings, &place, FINDING_NOTE,
                    "trigger of scaler %s moves from %s to %s", name, address,
                    settings->scaler_address);
    if (has_tls && settings->authentication == NULL)
        finding_add(migrator->findings, &place, FINDING_NOTE,
                    "authenticationRef stays: if the other server has its own, name it with "
                    "--authentication");
    if (!has_tls && settings->authentication != NULL &&
        yaml_tree_find(metadata, "unsafeSsl") != NULL)
        finding_add(migrator->findings, &place, FINDING_WARNING,
                    "unsafeSsl of its metadata is about the server's certificate, which KEDA then "
                    "may not verify: remove it");
}

/* Of a trigger that has moved before: to the server that is meant, with its certificates, or of
 * another type. One of another external scaler stays, and without --scaler-address one of another
 * server. */
static void move_trigger_on(struct migrator *migrator, const struct trigger_place *at)
{
    const struct yaml_tree *metadata = yaml_tree_find(at->trigger, "metadata");
    const char *name = yaml_tree_text(metadata, "scaler");
    const char *address = yaml_tree_text(metadata, "scalerAddress");
    const struct finding_place place = place_of(migrator, at);
    const struct move move = move_of(migrator, at->trigger);
    _cleanup_(error_done) struct error error = {0};
    size_t edits_before = migrator->edits.count;
    const char *type =
        migrator->settings->is_retyped && !at->is_job ? migrator->settings->type : NULL;
    if (name == NULL || scaler_find(migrator->settings->scalers, name) == NULL)
        return;
    if (!text_equal(address, move.scaler_address) && !migrator->settings->is_readdressed) {
        if (move.authentication != NULL && !channel_has_tls(metadata))
            finding_add(migrator->findings, &place, FINDING_NOTE,
                        "it stays without TLS, at another server: --scaler-address moves it");
        return;
    }
    bool good = move_to_server(&move, &error);
    size_t edits_of_server = migrator->edits.count - edits_before;
    if (!good || (type != NULL && !move_to_type(&move, type, &error))) {
        edits_cut(&migrator->edits, edits_before);
        finding_add(migrator->findings, &place, FINDING_ERROR,
                    "trigger of scaler %s stays as it is: %s", name, error_text(&error));
        return;
    }
    if (edits_of_server > 0)
        note_moved_on(migrator, at);
    else if (move.authentication != NULL && move_ref_is_templated(&move))
        finding_add(migrator->findings, &place, FINDING_NOTE,
                    "the template writes its authenticationRef: it must be %s",
                    move.authentication);
    if (migrator->edits.count > edits_before + edits_of_server)
        finding_add(migrator->findings, &place, FINDING_NOTE, "trigger of scaler %s gets type %s",
                    name, type);
    if (migrator->edits.count == edits_before)
        return;
    warn_of_jobs(migrator, at);
    migrator->readdressed++;
}

static bool can_move(const struct migrator *migrator, const struct trigger_place *at,
                     const struct builtin *builtin, struct error *reasons)
{
    _cleanup_(findings_done) struct findings all = {0};
    const struct move_check check = {.scalers = migrator->settings->scalers,
                                     .file = migrator->file->file,
                                     .trigger = at->trigger,
                                     .name = at->name,
                                     .label = at->label,
                                     .namespace = at->namespace};
    bool can_move = move_check(&check, builtin, &all);
    for (size_t i = 0; i < all.count; i++)
        if (all.items[i].line == at->trigger->line)
            error_add(reasons, "%s", all.items[i].text);
        else
            error_add(reasons, "line %zu: %s", all.items[i].line, all.items[i].text);
    return can_move;
}

/* Does the way back write the source's authentication in another way? It leaves the usual kind and
 * an empty name out, and keeps quotes that one of the names needs. */
static bool is_written_anew(const struct migrator *migrator, const struct yaml_tree *trigger,
                            const struct builtin *builtin)
{
    const char *name = yaml_tree_text(trigger, "authenticationRef.name");
    const char *channel = migrator->settings->authentication;
    return channel != NULL && name != NULL &&
           (name[0] == '\0' || !yaml_is_plain(name) || !yaml_is_plain(channel) ||
            text_equal(yaml_tree_text(builtin->authentication.ref, "kind"),
                       "TriggerAuthentication"));
}

static void move_trigger(struct migrator *migrator, const struct trigger_place *at)
{
    const struct yaml_tree *tree = yaml_tree_find(at->trigger, "type");
    const char *type = yaml_tree_text(at->trigger, "type");
    const struct finding_place place = place_of(migrator, at);
    const struct move move = move_of(migrator, at->trigger);
    _cleanup_(error_done) struct error reasons = {0};
    struct builtin builtin;
    if (type != NULL && builtin_is_external(type))
        move_trigger_on(migrator, at);
    if (type == NULL && yaml_tree_find(at->trigger, "<<") != NULL)
        finding_add(migrator->findings, &place, FINDING_ERROR,
                    "a YAML merge key (<<) gives its type: write it out");
    if (type == NULL || builtin_is_external(type))
        return;
    if (manifest_is_templated(move.file, tree->start, tree->end)) {
        finding_add(migrator->findings, &place, FINDING_NOTE,
                    "the template writes the type of this trigger: change it by hand");
        return;
    }
    builtin_read(migrator->settings->scalers, migrator->manifests, at->namespace, at->trigger,
                 &builtin);
    secrets_fill_in(migrator->manifests, at->namespace, &builtin, &reasons);
    const struct yaml_tree *metadata = yaml_tree_find(at->trigger, "metadata");
    if (builtin.is_meant && move.file->is_template && (metadata == NULL || metadata->count == 0)) {
        finding_add(migrator->findings, &place, FINDING_ERROR,
                    "the template writes the metadata of this trigger: change it by hand");
        builtin_done(&builtin);
        return;
    }
    size_t edits_before = migrator->edits.count;
    const char *new_type = at->is_job ? "external" : migrator->settings->type;
    if (can_move(migrator, at, &builtin, &reasons) &&
        move_there(&move, &builtin, new_type, &reasons)) {
        finding_add(migrator->findings, &place, FINDING_NOTE, "trigger of type %s moves to %s",
                    type, new_type);
        warn(migrator, at, &builtin);
        warn_of_jobs(migrator, at);
        migrator->moved++;
        migrator->is_inexact |= is_written_anew(migrator, at->trigger, &builtin);
    } else {
        edits_cut(&migrator->edits, edits_before);
        finding_add(migrator->findings, &place, builtin.is_meant ? FINDING_ERROR : FINDING_NOTE,
                    "trigger of type %s stays with KEDA: %s", type, error_text(&reasons));
    }
    builtin_done(&builtin);
}

/* ---- back ---- */

static void move_trigger_back(struct migrator *migrator, const struct trigger_place *at)
{
    const struct yaml_tree *metadata = yaml_tree_find(at->trigger, "metadata");
    const char *name = yaml_tree_text(metadata, "scaler");
    const struct finding_place place = place_of(migrator, at);
    const struct move move = move_of(migrator, at->trigger);
    _cleanup_(error_done) struct error error = {0};
    size_t edits_before = migrator->edits.count;
    if (!builtin_is_external(yaml_tree_text(at->trigger, "type")) || name == NULL)
        return; /* KEDA's own, or of another external scaler */
    const struct scaler *scaler = scaler_find(migrator->settings->scalers, name);
    const char *connection = yaml_tree_text(metadata, "connectionName");
    const struct back_check check = {migrator->manifests, migrator->file->file, at->trigger, scaler,
                                     at->label,           at->namespace};
    if (scaler == NULL)
        scaler_add_unknown(migrator->settings->scalers, name, &error);
    else if (connection != NULL)
        error_invalid(&error,
                      "its address and credentials are those of connection %s: write them, and "
                      "remove connectionName",
                      connection);
    else if (migrator->is_trial || back_check(&check, &error))
        move_back(&move, scaler, &error);
    if (error_is_set(&error)) {
        edits_cut(&migrator->edits, edits_before);
        finding_add(migrator->findings, &place, FINDING_ERROR,
                    "trigger of scaler %s stays with Backlog: %s", name, error_text(&error));
        return;
    }
    finding_add(migrator->findings, &place, FINDING_NOTE, "trigger of scaler %s moves back", name);
    back_check_keys(&check, migrator->findings);
    warn_of_jobs(migrator, at);
    if (channel_has_tls(metadata) &&
        yaml_tree_find(at->trigger, "authenticationRef.name") != NULL &&
        !move_names_certificates(&move) && yaml_tree_find(metadata, CREDENTIALS_KEY) == NULL &&
        yaml_tree_find(metadata, CREDENTIALS_CLUSTER_KEY) == NULL)
        finding_add(migrator->findings, &place, FINDING_NOTE,
                    "authenticationRef stays: where it has KEDA's certificates for Backlog, name "
                    "it with --authentication, and its kind with --authentication-kind");
    migrator->moved++;
}

/* ---- parts ---- */

/* Would the trigger with this metadata stay as it is, because it has moved, or is of another
 * server? */
static bool has_arrived(const struct migration_settings *settings, const struct yaml_tree *metadata)
{
    const char *address = yaml_tree_text(metadata, "scalerAddress");
    bool is_there = text_equal(address, settings->scaler_address);
    if (yaml_tree_find(metadata, "scaler") == NULL)
        return false;
    return is_there ? settings->authentication == NULL || channel_has_tls(metadata)
                    : !settings->is_readdressed;
}

/* The key's name behind the move, of the first scaler that gives it another one; NULL: none does.
 * The caller frees it. */
static char *new_name(const struct migration_settings *settings, const char *key)
{
    for (const struct scaler *const *scaler = settings->scalers; *scaler != NULL; scaler++) {
        const struct option *table = (*scaler)->options, *row;
        char *name = table == NULL       ? NULL
                     : settings->is_back ? builtin_name_back(table, key)
                                         : builtin_name_there(table, key, &row);
        if (name != NULL && !text_equal(name, key))
            return name;
        free(name);
    }
    return NULL;
}

static const char *metadata_key(const struct trigger_part *part)
{
    static const char folder[] = "metadata/";
    return text_starts_with(part->path, folder) ? part->path + strlen(folder) : NULL;
}

/* The trigger that a JSON patch changes a part of moves elsewhere, if at all: would the patch undo
 * that? Not where it has been changed, too. */
static bool would_undo(const struct migrator *migrator, const struct trigger_part *part)
{
    const struct migration_settings *settings = migrator->settings;
    bool has_ref = settings->authentication != NULL; /* else it stays */
    const char *text = part->value == NULL ? NULL : part->value->text;
    const char *kind =
        settings->is_cluster_wide ? "ClusterTriggerAuthentication" : "TriggerAuthentication";
    bool has_moved;
    if (text_equal(part->path, "type"))
        has_moved = builtin_is_external(text) && (settings->is_back || !settings->is_retyped ||
                                                  part->is_job || text_equal(text, settings->type));
    else if (text_equal(part->path, "metadata"))
        has_moved = settings->is_back ? yaml_tree_find(part->value, "scaler") != NULL
                                      : has_arrived(settings, part->value);
    else if (text_equal(part->path, "metadata/scalerAddress") && !settings->is_back)
        return settings->is_readdressed && !text_equal(text, settings->scaler_address);
    else if (has_ref && text_equal(part->path, "authenticationRef"))
        has_moved = text_equal(yaml_tree_text(part->value, "name"), settings->authentication);
    else if (has_ref && text_equal(part->path, "authenticationRef/name"))
        has_moved = text_equal(text, settings->authentication);
    else if (has_ref && text_equal(part->path, "authenticationRef/kind") && !settings->is_back)
        return !text_equal(text == NULL ? "TriggerAuthentication" : text, kind);
    else {
        const char *key = metadata_key(part);
        return settings->is_back && key != NULL && builtin_is_own_key(key) &&
               !builtin_is_channel_key(key);
    }
    return has_moved == settings->is_back;
}

/* A key that is about the source before the move, and about KEDA's channel behind it, or the other
 * way round. */
static void check_key(const struct migrator *migrator, const struct trigger_part *part,
                      const struct finding_place *place)
{
    const struct migration_settings *settings = migrator->settings;
    const char *key = metadata_key(part);
    _cleanup_(memory_free) char *name = key == NULL ? NULL : new_name(settings, key);
    bool may_be_of_channel = key != NULL && builtin_is_channel_key(key);
    if (name != NULL && may_be_of_channel)
        finding_add(migrator->findings, place, FINDING_WARNING,
                    "a patch of a trigger's %s, and the trigger is not here: if it moves, and this "
                    "is about its source, write %s",
                    part->path, name);
    else if (name != NULL)
        finding_add(migrator->findings, place, FINDING_ERROR,
                    "a patch of a trigger's %s, and the trigger is not here: change it by hand, to "
                    "%s",
                    part->path, name);
    else if (may_be_of_channel && settings->is_back)
        finding_add(migrator->findings, place, FINDING_WARNING,
                    "a patch of a trigger's %s, and the trigger is not here: if it moves back, and "
                    "this is about Backlog, remove it",
                    part->path);
}

static void check_parts(const struct migrator *migrator, const struct trigger_places *places)
{
    for (size_t i = 0; i < places->parts_count; i++) {
        const struct trigger_part *part = &places->parts[i];
        const struct finding_place place = {.path = migrator->file->file->path, .line = part->line};
        if (would_undo(migrator, part))
            finding_add(migrator->findings, &place, FINDING_ERROR,
                        "a patch of a trigger's %s, and the trigger is not here: change it by hand",
                        part->path);
        else
            check_key(migrator, part, &place);
    }
}

/* ---- one file ---- */

static void edit(struct migrator *migrator)
{
    struct trigger_places places;
    trigger_places_find(migrator->manifests, migrator->file->file, &places, migrator->findings);
    for (size_t i = 0; i < places.count; i++)
        if (migrator->settings->is_back)
            move_trigger_back(migrator, &places.items[i]);
        else
            move_trigger(migrator, &places.items[i]);
    check_parts(migrator, &places);
    trigger_places_done(&places);
}

static void migrated_file_done(struct migrated_file *file)
{
    lines_done(&file->lines);
    patch_done(&file->patch);
    text_done(&file->text);
}

/* Whether all edits were made. */
static bool migrate_file(struct migrator *migrator)
{
    struct migrated_file *file = migrator->file;
    const struct text *text = &file->file->text;
    lines_init(&file->lines, text->bytes == NULL ? "" : text->bytes, text->length);
    edit(migrator);
    bool good = edits_patch(&migrator->edits, &file->lines, &file->patch);
    edits_done(&migrator->edits);
    if (good)
        patch_apply(&file->patch, &file->lines, &file->text);
    return good;
}

/* The same manifest with another text; false where it cannot be read. */
static bool read_text(const struct migrator *migrator, const struct text *text,
                      struct manifests *ret_manifests)
{
    _cleanup_(findings_done) struct findings findings = {0};
    *ret_manifests =
        (struct manifests){.reads_templates = migrator->manifests->reads_templates,
                           .cluster_namespace = migrator->manifests->cluster_namespace};
    manifests_add_text(ret_manifests, migrator->file->file->path, text->bytes, text->length,
                       &findings);
    return findings.count == 0;
}

/* Does the text behind the edits, which is `after`, say what the file said? */
static bool keeps_meaning(const struct migrator *migrator, const struct manifests *after)
{
    return meaning_is_kept(migrator->settings,
                           &(struct meaning_text){migrator->manifests, migrator->file->file},
                           &(struct meaning_text){after, after->files[0]});
}

/* All that moved there is found, and the way back says what the file said: in the same bytes, but
 * where triggers go back that had moved before, or the same is written in another way. */
static bool leads_back(const struct migrator *migrator, const struct manifests *after)
{
    const struct text *before = &migrator->file->file->text;
    _cleanup_(findings_done) struct findings findings = {0};
    struct migration_settings settings = *migrator->settings;
    struct migrated_file file = {.file = after->files[0]};
    struct migrator back = {.settings = &settings,
                            .manifests = after,
                            .findings = &findings,
                            .file = &file,
                            .is_trial = true};
    struct manifests returned = {0};
    settings.is_back = true;
    bool good = migrate_file(&back) && back.moved >= migrator->moved &&
                read_text(&back, &file.text, &returned) && keeps_meaning(&back, &returned);
    bool is_same = migrator->is_inexact || migrator->readdressed > 0 ||
                   back.moved > migrator->moved ||
                   (file.text.length == before->length &&
                    memcmp(file.text.bytes, before->bytes, before->length) == 0);
    manifests_done(&returned);
    migrated_file_done(&file);
    return good && is_same;
}

/* Would the same command find something to do? */
static bool is_done(const struct migrator *migrator, const struct manifests *after)
{
    _cleanup_(findings_done) struct findings findings = {0};
    struct migrated_file file = {.file = after->files[0]};
    struct migrator again = {
        .settings = migrator->settings, .manifests = after, .findings = &findings, .file = &file};
    bool is_done = migrate_file(&again) && again.moved == 0 && again.readdressed == 0;
    migrated_file_done(&file);
    return is_done;
}

/* All that an edit may have done to the rest of the file, in whatever way it was written. */
static bool is_safe(const struct migrator *migrator)
{
    struct manifests after;
    bool is_back = migrator->settings->is_back;
    bool good = read_text(migrator, &migrator->file->text, &after) &&
                keeps_meaning(migrator, &after) && (is_back || leads_back(migrator, &after)) &&
                ((!is_back && migrator->readdressed == 0) || is_done(migrator, &after));
    manifests_done(&after);
    return good;
}

void migration_make(const struct migration_settings *settings, const struct manifests *manifests,
                    struct migration *ret_migration, struct findings *findings)
{
    *ret_migration = (struct migration){0};
    for (size_t i = 0; i < manifests->file_count; i++) {
        struct migrated_file file = {.file = manifests->files[i]};
        struct migrator migrator = {
            .settings = settings, .manifests = manifests, .findings = findings, .file = &file};
        const struct finding_place place = {.path = file.file->path};
        bool good = migrate_file(&migrator);
        size_t moved = migrator.moved + migrator.readdressed;
        if (moved > 0 && good && is_safe(&migrator)) {
            ret_migration->items =
                memory_grow(ret_migration->items, &ret_migration->capacity,
                            ret_migration->count + 1, sizeof(*ret_migration->items));
            ret_migration->items[ret_migration->count++] = file;
            ret_migration->moved += moved;
            continue;
        }
        if (moved > 0)
            finding_add(findings, &place, FINDING_ERROR,
                        "nothing is moved: this YAML is written in a way that cannot be edited "
                        "safely. Format it with one key per line");
        migrated_file_done(&file);
    }
}

void migration_done(struct migration *migration)
{
    for (size_t i = 0; i < migration->count; i++)
        migrated_file_done(&migration->items[i]);
    free(migration->items);
    *migration = (struct migration){0};
}
