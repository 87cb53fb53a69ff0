#include "lab/rehearsal_objects.h"

#include "base/memory.h"
#include "base/text.h"
#include "commands/finding_output.h"
#include "config/value.h"
#include "manifest/measurement/measurement.h"
#include "manifest/sent_entries.h"
#include "scale/answer/hold.h"
#include "scale/metadata/general.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What they are read from. */
struct source {
    struct manifests manifests;
    struct measurement measurement;
    const struct option_list *variables;
    double speed;
};

static void source_done(struct source *source)
{
    manifests_done(&source->manifests);
    measurement_done(&source->measurement);
}

/* An invalid one is left to the server to refuse. */
static void shorten_hold_window(struct entries *entries, double speed)
{
    static const struct option row = {.type = OPTION_DURATION};
    _cleanup_(error_done) struct error error = {0};
    const struct entry *entry = entries_find_given(entries, general_hold_window);
    bool is_set = entry != NULL && entry->value != NULL;
    int64_t window_ms = HOLD_WINDOW_MS;
    if (speed == 1 || (is_set && !value_parse(&row, entry->value, &window_ms, &error)))
        return;
    _cleanup_(memory_free) char *shorter =
        text_format("%" PRId64 "ms", (int64_t)((double)window_ms / speed));
    entries_set(entries, general_hold_window, shorter);
}

/* In place of what is written there. */
static void set_entries(struct scaled_object_trigger *trigger, const struct entries *entries)
{
    option_entries_free(trigger->entries, trigger->entry_count);
    trigger->entries = memory_array(entries->count + 1, sizeof(*trigger->entries));
    trigger->entry_count = entries->count;
    for (size_t i = 0; i < entries->count; i++)
        trigger->entries[i] = (struct option_entry){text_copy(entries->items[i].key),
                                                    text_copy(entries->items[i].value)};
}

static bool set_triggers(const struct source *source, const struct measured_object *measured,
                         struct scaled_object *ret_object, struct error *error)
{
    const struct sent_entries_source of_files = {
        .scalers = scaler_list, .manifests = &source->manifests, .variables = source->variables};
    const struct manifest_object *object = measured->object;
    const struct yaml_tree *triggers = manifest_triggers(object);
    /* Both are without cpu and memory. */
    for (size_t i = 0; i < measured->count; i++) {
        const struct measured_trigger *trigger = &measured->triggers[i];
        _cleanup_(entries_done) struct entries entries = {0};
        if (!sent_entries_read(&of_files, object, trigger->index, &entries, error))
            return error_prefix(error, "%s:%zu: %s: trigger %zu (%s)", object->file->path,
                                triggers->items[trigger->index]->line, object->label,
                                trigger->index, trigger->type);
        shorten_hold_window(&entries, source->speed);
        set_entries(&ret_object->triggers[i], &entries);
    }
    return true;
}

static bool read_objects(const char *path, const struct source *source,
                         struct scaled_objects *objects, struct error *error)
{
    const struct manifests *manifests = &source->manifests;
    const struct measurement *measurement = &source->measurement;
    objects->items = memory_array(manifests->object_count + 1, sizeof(*objects->items));
    for (size_t i = 0, measured = 0; i < manifests->object_count; i++) {
        const struct manifest_object *object = &manifests->objects[i];
        if (measured < measurement->count && measurement->items[measured].object == object)
            measured++;
        if (object->kind != MANIFEST_SCALED_OBJECT)
            continue;
        struct scaled_object *read = &objects->items[objects->count];
        if (!scaled_object_read(object->tree, object->file->path, read, error))
            return false; /* as where it has no triggers to measure */
        objects->count++;
        if (!set_triggers(source, &measurement->items[measured - 1], read, error))
            return false;
    }
    return objects->count > 0 || error_invalid(error, "%s: no ScaledObject in it", path);
}

bool rehearsal_objects_load(const struct option_list *paths, const struct option_list *variables,
                            double speed, struct scaled_objects *ret_objects, struct error *error)
{
    _cleanup_(source_done) struct source source = {.variables = variables, .speed = speed};
    _cleanup_(findings_done) struct findings findings = {0};
    struct scaled_objects objects = {0};
    const char *path = paths->count == 1 ? paths->items[0] : "--file"; /* for errors */
    for (size_t i = 0; i < paths->count; i++)
        manifests_add(&source.manifests, paths->items[i], &findings);
    findings_print(&findings, stderr, false, false);
    if (findings.counts[FINDING_ERROR] > 0)
        return error_invalid(error, "%s cannot be read", path);
    measurement_prepare(&source.manifests, &source.measurement);
    if (read_objects(path, &source, &objects, error)) {
        *ret_objects = objects;
        return true;
    }
    scaled_objects_done(&objects);
    return false;
}
