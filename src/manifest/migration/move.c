#include "manifest/migration/move.h"

#include "base/memory.h"
#include "manifest/migration/drafts.h"

#include <string.h>

static size_t line_start(const struct move *move, size_t byte)
{
    return move->lines->starts[lines_find(move->lines, byte)];
}

/* The end of the line that this byte is the end of something in. */
static size_t line_end(const struct move *move, size_t byte)
{
    bool is_at_start = byte > 0 && move->file->text.bytes[byte - 1] == '\n';
    size_t line = lines_find(move->lines, byte);
    bool is_last = line == move->lines->count; /* and without a line's end */
    return is_at_start || is_last ? byte : move->lines->starts[line + 1];
}

/* Is nothing but blanks in front of it in its line? */
static bool begins_line(const struct move *move, size_t byte)
{
    for (size_t at = line_start(move, byte); at < byte; at++)
        if (move->file->text.bytes[at] != ' ')
            return false;
    return true;
}

static bool is_removed(const struct move *move, const struct yaml_tree *map, size_t item)
{
    if (map == move->trigger)
        return map->items[item] == move->builtin->authentication.ref;
    enum builtin_action action = move->builtin->keys[item].action;
    return action == BUILTIN_TO_CONNECTION || action == BUILTIN_DROP;
}

/* ---- without brackets ---- */

static bool refuse(const struct yaml_span *span, struct error *error)
{
    return error_invalid(
        error, "line %zu is written in a way that cannot be edited here: one key per line, please",
        span->line);
}

/* Where an alias stands its bytes are those of the anchor. */
static bool refuse_alias(const struct move *move, struct error *error)
{
    return error_invalid(error, "line %zu: a YAML alias is used here: write it out",
                         move->trigger->line);
}

static bool remove_block_item(const struct move *move, const struct yaml_tree *map, size_t item,
                              struct edits *edits, struct error *error)
{
    const struct yaml_span *span = &map->key_spans[item];
    if (begins_line(move, span->start)) {
        edits_add(edits, line_start(move, span->start), line_end(move, map->items[item]->end), "");
        return true;
    }
    /* Behind the dash of a list: the next key takes its place. */
    if (item != 0 || map->count == 1 || is_removed(move, map, 1))
        return refuse(span, error);
    if (map->items[1]->is_shared)
        return refuse_alias(move, error);
    edits_add(edits, span->start, map->key_spans[1].start, "");
    return true;
}

static bool add_block_lines(const struct move *move, struct edits *edits, struct error *error)
{
    const struct yaml_span *first = &move->builtin->metadata->key_spans[0];
    _cleanup_(text_done) struct text text = {0};
    size_t start = line_start(move, first->start);
    const char *bytes = move->file->text.bytes;
    bool is_crlf = start >= 2 && bytes[start - 1] == '\n' && bytes[start - 2] == '\r';
    if (!begins_line(move, first->start))
        return refuse(first, error);
    for (size_t i = 0; i < move->added_count; i++) {
        text_add_bytes(&text, bytes + start, first->start - start);
        text_addf(&text, "%s: ", move->added[i].key);
        yaml_add_text(&text, move->added[i].value);
        text_add(&text, is_crlf ? "\r\n" : "\n");
    }
    edits_add(edits, start, start, text.bytes);
    return true;
}

/* ---- within brackets ---- */

static bool is_rest_removed(const struct move *move, const struct yaml_tree *map, size_t from)
{
    for (size_t i = from; i < map->count; i++)
        if (!is_removed(move, map, i))
            return false;
    return true;
}

static void remove_flow_items(const struct move *move, const struct yaml_tree *map,
                              struct edits *edits)
{
    for (size_t i = 0; i < map->count; i++) {
        if (!is_removed(move, map, i))
            continue;
        if (is_rest_removed(move, map, i)) {
            /* With the comma in front, where something is. */
            size_t start = i == 0 ? map->key_spans[0].start : map->items[i - 1]->end;
            edits_add(edits, start, map->items[map->count - 1]->end, "");
            return;
        }
        edits_add(edits, map->key_spans[i].start, map->key_spans[i + 1].start, "");
    }
}

static void add_flow_items(const struct move *move, struct edits *edits)
{
    const struct yaml_tree *metadata = move->builtin->metadata;
    _cleanup_(text_done) struct text text = {0};
    bool is_alone = is_rest_removed(move, metadata, 0);
    for (size_t i = 0; i < move->added_count; i++) {
        text_addf(&text, "%s: ", move->added[i].key);
        yaml_add_text(&text, move->added[i].value);
        text_add(&text, is_alone && i + 1 == move->added_count ? "" : ", ");
    }
    edits_add(edits, metadata->start + 1, metadata->start + 1, text.bytes);
}

/* ---- authenticationRef ---- */

/* Can whole lines come before this key of the trigger, or, within brackets, another key? */
static bool is_place(const struct move *move, size_t key)
{
    const struct yaml_tree *trigger = move->trigger;
    bool takes_place_of_first = key == 1 && is_removed(move, trigger, 0);
    return trigger->is_flow ||
           (begins_line(move, trigger->key_spans[key].start) && !takes_place_of_first);
}

/* The key that a new authenticationRef comes before: metadata, or type where metadata is behind the dash of the list. */
static size_t authentication_place(const struct move *move)
{
    const struct yaml_tree *trigger = move->trigger;
    size_t place = 0;
    for (size_t i = 0; i < trigger->count; i++) {
        bool is_metadata = trigger->items[i] == move->builtin->metadata;
        if ((is_metadata || (place == 0 && text_equal(trigger->keys[i], "type"))) &&
            is_place(move, i))
            place = i;
    }
    return place;
}

static void add_authentication(const struct move *move, struct edits *edits)
{
    const struct yaml_span *span = &move->trigger->key_spans[authentication_place(move)];
    size_t start = move->trigger->is_flow ? span->start : line_start(move, span->start);
    const char *bytes = move->file->text.bytes;
    bool is_crlf = start >= 2 && bytes[start - 1] == '\n' && bytes[start - 2] == '\r';
    _cleanup_(text_done) struct text text = {0};
    text_add_bytes(&text, bytes + start, span->start - start);
    text_addf(&text, "authenticationRef: %s%s", move->authentication_ref,
              move->trigger->is_flow ? ", "
              : is_crlf              ? "\r\n"
                                     : "\n");
    edits_add(edits, start, start, text.bytes);
}

/* ---- the trigger ---- */

static bool edit_map(const struct move *move, const struct yaml_tree *map, struct edits *edits,
                     struct error *error)
{
    if (map->is_flow) {
        remove_flow_items(move, map, edits);
        return true;
    }
    for (size_t i = 0; i < map->count; i++)
        if (is_removed(move, map, i) && !remove_block_item(move, map, i, edits, error))
            return false;
    return true;
}

static bool has_alias(const struct yaml_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        if (has_alias(tree->items[i]))
            return true;
    return tree->is_shared;
}

bool move_make(const struct move *move, struct edits *edits, struct error *error)
{
    const struct yaml_tree *metadata = move->builtin->metadata;
    const struct yaml_tree *type = yaml_tree_find(move->trigger, "type");
    const struct yaml_tree *ref = move->builtin->authentication.ref;
    if (move->trigger->is_shared || type->is_shared || metadata->is_shared ||
        (ref != NULL && (has_alias(ref) || (move->trigger->is_flow && has_alias(move->trigger)))))
        return refuse_alias(move, error);
    if (metadata->count == 0)
        return error_invalid(error, "it has no metadata");
    edits_add(edits, type->start, type->end, move->type);
    if (move->authentication_ref != NULL)
        add_authentication(move, edits);
    for (size_t i = 0; i < metadata->count; i++)
        if (move->builtin->keys[i].action == BUILTIN_RENAME)
            edits_add(edits, metadata->key_spans[i].start, metadata->key_spans[i].end,
                      move->builtin->keys[i].name);
    if (metadata->is_flow)
        add_flow_items(move, edits);
    else if (!add_block_lines(move, edits, error))
        return false;
    return edit_map(move, metadata, edits, error) && edit_map(move, move->trigger, edits, error);
}

/* ---- proof ---- */

static bool is_metadata_made(const struct move *move, const struct yaml_tree *edited)
{
    const struct yaml_tree *metadata = move->builtin->metadata;
    size_t at = 0;
    if (edited == NULL || edited->kind != YAML_TREE_MAP)
        return false;
    for (; at < move->added_count; at++)
        if (at >= edited->count || !text_equal(edited->keys[at], move->added[at].key) ||
            !text_equal(edited->items[at]->text, move->added[at].value))
            return false;
    for (size_t i = 0; i < metadata->count; i++) {
        if (is_removed(move, metadata, i))
            continue;
        if (at >= edited->count || !text_equal(edited->keys[at], move->builtin->keys[i].name) ||
            !yaml_tree_is_same(metadata->items[i], edited->items[at]))
            return false;
        at++;
    }
    return at == edited->count;
}

static bool is_authentication_made(const struct yaml_tree *edited, size_t at)
{
    return at < edited->count && text_equal(edited->keys[at], "authenticationRef") &&
           yaml_tree_text(edited->items[at], "name") != NULL;
}

bool move_is_made(const struct move *move, const struct yaml_tree *edited)
{
    size_t at = 0;
    size_t place = authentication_place(move);
    if (edited->kind != YAML_TREE_MAP)
        return false;
    for (size_t i = 0; i < move->trigger->count; i++) {
        const char *key = move->trigger->keys[i];
        if (move->authentication_ref != NULL && i == place && !is_authentication_made(edited, at++))
            return false;
        if (is_removed(move, move->trigger, i))
            continue;
        if (at >= edited->count || !text_equal(edited->keys[at], key))
            return false;
        const struct yaml_tree *item = edited->items[at++];
        bool good = move->trigger->items[i] == move->builtin->metadata
                        ? is_metadata_made(move, item)
                    : text_equal(key, "type") ? text_equal(item->text, move->type)
                                              : yaml_tree_is_same(move->trigger->items[i], item);
        if (!good)
            return false;
    }
    return at == edited->count;
}
