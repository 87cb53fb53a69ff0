#include "manifest/migration/move.h"

#include "base/memory.h"
#include "config/credentials.h"
#include "manifest/authentication.h"
#include "manifest/template.h"
#include "manifest/yaml_text.h"

#include <string.h>

static const char key_address[] = "scalerAddress";
static const char key_scaler[] = "scaler";
static const char key_tls[] = "enableTLS";
static const char key_ref[] = "authenticationRef";
static const char key_kind[] = "kind";
static const char kind_cluster[] = "ClusterTriggerAuthentication";

/* ---- where things stand ---- */

static size_t line_start(const struct move *move, size_t byte)
{
    return move->lines->starts[lines_find(move->lines, byte)];
}

/* The start of the next line. */
static size_t line_end(const struct move *move, size_t byte)
{
    size_t line = lines_find(move->lines, byte);
    return move->lines->starts[line == move->lines->count ? line : line + 1];
}

/* Is nothing but blanks in front of it in its line? */
static bool begins_line(const struct move *move, size_t byte)
{
    for (size_t at = line_start(move, byte); at < byte; at++)
        if (move->file->text.bytes[at] != ' ')
            return false;
    return true;
}

/* Behind the last line of this item of a map without brackets, which may be a block of text. */
static size_t item_end(const struct move *move, const struct yaml_tree *item)
{
    bool is_at_start = item->end > item->start && move->file->text.bytes[item->end - 1] == '\n';
    return is_at_start ? item->end : line_end(move, item->end);
}

/* Is it the end of a file whose last line has no line break? */
static bool is_open_end(const struct move *move, size_t byte)
{
    return byte == move->file->text.length && move->file->text.bytes[byte - 1] != '\n';
}

/* As that of the line before the one with this byte. */
static const char *line_break(const struct move *move, size_t byte)
{
    size_t start = line_start(move, byte);
    return start >= 2 && move->file->text.bytes[start - 2] == '\r' ? "\r\n" : "\n";
}

static bool refuse(size_t line, struct error *error)
{
    return error_invalid(
        error, "line %zu is written in a way that cannot be edited here: one key per line, please",
        line);
}

static bool refuse_alias(const struct yaml_tree *tree, struct error *error)
{
    return error_invalid(error, "line %zu: a YAML alias is used here: write it out", tree->line);
}

static size_t find_key(const struct yaml_tree *map, const char *key)
{
    size_t i = 0;
    while (i < map->count && !text_equal(map->keys[i], key))
        i++;
    return i;
}

/* ---- texts ---- */

static void add_value(struct text *text, const char *value, bool is_quoted)
{
    if (is_quoted)
        yaml_add_quoted(text, value);
    else
        yaml_add_text(text, value);
}

/* In the quotes that it has, or in those that the word needs. */
static void replace_word(const struct move *move, size_t start, size_t end, const char *word)
{
    char quote = move->file->text.bytes[start];
    _cleanup_(text_done) struct text text = {0};
    if (quote == '"' || quote == '\'')
        text_addf(&text, "%c%s%c", quote, word, quote);
    else
        yaml_add_text(&text, word);
    edits_add(move->edits, start, end, text.bytes);
}

/* ---- keys of a map ---- */

/* The lines `KEY: VALUE` come first in it. `item` is its place in the trigger. */
static bool add_keys(const struct move *move, size_t item, const struct option_entry *added,
                     size_t count, struct error *error)
{
    const struct yaml_tree *map = move->trigger->items[item];
    const char *bytes = move->file->text.bytes;
    size_t first = map->key_spans[0].start;
    size_t indent = first - line_start(move, first);
    bool is_line = begins_line(move, first);
    bool is_quoted = bytes[first] == '"';
    size_t behind_key = line_end(move, move->trigger->key_spans[item].end);
    _cleanup_(text_done) struct text text = {0};
    if (!map->is_flow && (!is_line || behind_key > line_start(move, first)))
        return refuse(map->key_spans[0].line, error);
    for (size_t i = 0; i < count; i++) {
        if (!map->is_flow)
            text_add_bytes(&text, bytes + first - indent, indent);
        text_addf(&text, "%s%s%s: ", is_quoted ? "\"" : "", added[i].key, is_quoted ? "\"" : "");
        add_value(&text, added[i].value, is_quoted);
        text_add(&text, !map->is_flow ? line_break(move, first) : is_line ? "," : ", ");
        if (map->is_flow && is_line) {
            text_add(&text, line_break(move, first));
            text_add_bytes(&text, bytes + first - indent, indent);
        }
    }
    size_t at = map->is_flow ? first : behind_key;
    edits_add(move->edits, at, at, text.bytes);
    return true;
}

/* `KEY: VALUE` behind another key of the map. */
static bool add_behind(const struct move *move, const struct yaml_tree *map, size_t key,
                       const struct option_entry *added, struct error *error)
{
    const struct yaml_span *span = &map->key_spans[key];
    const struct yaml_tree *item = map->items[key];
    bool is_quoted = move->file->text.bytes[span->start] == '"';
    const char *quote = is_quoted ? "\"" : "";
    _cleanup_(text_done) struct text text = {0};
    if (item->is_shared)
        return refuse_alias(item, error);
    if (!map->is_flow && !begins_line(move, span->start))
        return refuse(span->line, error);
    size_t at = map->is_flow ? item->end : item_end(move, item);
    bool is_open = !map->is_flow && is_open_end(move, at);
    const char *newline = line_break(move, span->start);
    if (map->is_flow)
        text_add(&text, ", ");
    else
        text_addf(&text, "%s%*s", is_open ? newline : "",
                  (int)(span->start - line_start(move, span->start)), "");
    text_addf(&text, "%s%s%s: ", quote, added->key, quote);
    add_value(&text, added->value, is_quoted);
    text_add(&text, map->is_flow || is_open ? "" : newline);
    edits_add(move->edits, at, at, text.bytes);
    return true;
}

static bool remove_key(const struct move *move, const struct yaml_tree *map, size_t key,
                       struct error *error)
{
    const struct yaml_span *span = &map->key_spans[key];
    if (map->items[key]->is_shared)
        return refuse_alias(map->items[key], error);
    if (!map->is_flow && !begins_line(move, span->start)) {
        /* Behind the dash of a list: the next key takes its place. */
        if (key != 0 || map->count == 1)
            return refuse(span->line, error);
        edits_add(move->edits, span->start, map->key_spans[1].start, "");
    } else if (!map->is_flow) {
        size_t start = line_start(move, span->start);
        size_t end = item_end(move, map->items[key]);
        if (is_open_end(move, end) && start > 0) /* and still is one */
            start -= strlen(line_break(move, start));
        edits_add(move->edits, start, end, "");
    } else if (key + 1 < map->count)
        edits_add(move->edits, span->start, map->key_spans[key + 1].start, "");
    else if (key > 0 && !map->items[key - 1]->is_shared)
        edits_add(move->edits, map->items[key - 1]->end, map->items[key]->end, "");
    else
        return refuse(span->line, error);
    return true;
}

/* An if and an else of a template may write it twice. */
static bool check_once(const struct yaml_tree *map, const char *key, struct error *error)
{
    size_t found = 0;
    for (size_t i = 0; i < map->count; i++)
        found += text_equal(map->keys[i], key);
    return found <= 1 ||
           error_invalid(error, "its %s is written %zu times: change it by hand", key, found);
}

/* ---- authenticationRef ---- */

/* Does an action of the trigger decide whether this key is there? */
static bool is_conditional(const struct move *move, size_t key)
{
    const char *bytes = move->file->text.bytes;
    const char *end = bytes + move->trigger->key_spans[key].start;
    struct template_action action = {.end = bytes + manifest_item_start(move->file, move->trigger)};
    size_t open = 0;
    while (move->file->is_template &&
           template_next(action.end, (size_t)(end - action.end), &action))
        if (action.kind == TEMPLATE_BEGIN)
            open++;
        else if (action.kind == TEMPLATE_END && open > 0)
            open--;
    return open > 0;
}

bool move_names_certificates(const struct move *move)
{
    const struct yaml_tree *ref = yaml_tree_find(move->trigger, key_ref);
    const char *name = yaml_tree_text(ref, "name");
    bool is_cluster_wide = text_equal(yaml_tree_text(ref, key_kind), kind_cluster);
    return name != NULL && text_equal(name, move->authentication) &&
           is_cluster_wide == move->is_cluster_wide;
}

bool move_ref_is_templated(const struct move *move)
{
    size_t at = find_key(move->trigger, key_ref);
    if (at == move->trigger->count || !move->file->is_template)
        return false;
    const struct yaml_tree *ref = move->trigger->items[at];
    return manifest_is_templated(move->file, ref->start, ref->end) ||
           yaml_tree_text(ref, "name") == NULL; /* it is in the lines below */
}

static bool refuse_templated_ref(const struct yaml_tree *ref, struct error *error)
{
    return error_invalid(
        error, "line %zu: the template writes its authenticationRef: change it by hand", ref->line);
}

/* Another name and kind, in the way in which it is written. */
static bool change_ref(const struct move *move, const struct yaml_tree *ref, const char *name,
                       bool is_cluster_wide, struct error *error)
{
    size_t at = find_key(ref, "name");
    size_t kind = find_key(ref, key_kind);
    const struct yaml_tree *old = ref->items[at];
    if (manifest_is_templated(move->file, ref->start, ref->end))
        return refuse_templated_ref(ref, error);
    if (ref->is_shared || old->is_shared || (kind < ref->count && ref->items[kind]->is_shared))
        return refuse_alias(ref, error);
    replace_word(move, old->start, old->end, name);
    if (kind < ref->count && !is_cluster_wide && kind > at)
        return remove_key(move, ref, kind, error);
    if (kind < ref->count)
        replace_word(move, ref->items[kind]->start, ref->items[kind]->end,
                     is_cluster_wide ? kind_cluster : "TriggerAuthentication");
    if (kind < ref->count || !is_cluster_wide)
        return true;
    return add_behind(move, ref, at, &(struct option_entry){key_kind, kind_cluster}, error);
}

/* Before metadata, or before type where metadata is behind the dash of the list. */
static bool add_ref(const struct move *move, struct error *error)
{
    const struct yaml_tree *trigger = move->trigger;
    size_t key = find_key(trigger, "metadata");
    if (find_key(trigger, key_ref) < trigger->count)
        return error_invalid(error, "its authenticationRef is empty: remove it");
    if (!trigger->is_flow && !begins_line(move, trigger->key_spans[key].start))
        key = find_key(trigger, "type");
    size_t at = trigger->key_spans[key].start;
    const char *quote = move->file->text.bytes[at] == '"' ? "\"" : "";
    _cleanup_(text_done) struct text text = {0};
    if (!trigger->is_flow && !begins_line(move, at))
        return refuse(trigger->key_spans[key].line, error);
    if (!trigger->is_flow)
        text_addf(&text, "%*s", (int)(at - line_start(move, at)), "");
    text_addf(&text, "%s%s%s: {%sname%s: ", quote, key_ref, quote, quote, quote);
    add_value(&text, move->authentication, quote[0] != '\0');
    if (move->is_cluster_wide)
        text_addf(&text, ", %skind%s: %s%s%s", quote, quote, quote, kind_cluster, quote);
    text_addf(&text, "}%s", trigger->is_flow ? ", " : line_break(move, at));
    at = trigger->is_flow ? at : line_start(move, at);
    edits_add(move->edits, at, at, text.bytes);
    return true;
}

/* KEDA's certificates: in place of the source's authentication, which must not depend on a
 * template's action, or of other certificates. */
static bool name_certificates(const struct move *move, bool is_of_source, struct error *error)
{
    size_t at = find_key(move->trigger, key_ref);
    const struct yaml_tree *ref = at < move->trigger->count ? move->trigger->items[at] : NULL;
    if (!check_once(move->trigger, key_ref, error))
        return false;
    if (ref == NULL)
        return add_ref(move, error);
    if (move_ref_is_templated(move) || (is_of_source && is_conditional(move, at)))
        return refuse_templated_ref(ref, error);
    return yaml_tree_text(ref, "name") == NULL
               ? add_ref(move, error)
               : change_ref(move, ref, move->authentication, move->is_cluster_wide, error);
}

/* ---- there ---- */

static bool check_editable(const struct move *move, struct error *error)
{
    const struct yaml_tree *type = yaml_tree_find(move->trigger, "type");
    const struct yaml_tree *metadata = yaml_tree_find(move->trigger, "metadata");
    if (move->trigger->is_shared || type->is_shared || metadata->is_shared)
        return refuse_alias(move->trigger, error);
    return check_once(move->trigger, "type", error) && check_once(move->trigger, "metadata", error);
}

bool move_there(const struct move *move, const struct builtin *builtin, const char *type,
                struct error *error)
{
    const struct yaml_tree *metadata = builtin->metadata;
    const struct yaml_tree *old = yaml_tree_find(move->trigger, "type");
    const struct authentication *own = &builtin->authentication;
    struct option_entry added[4] = {{key_address, move->scaler_address}};
    size_t count = 1;
    if (!check_editable(move, error))
        return false;
    if (metadata->count == 0)
        return error_invalid(error, "it has no metadata");
    if (move->authentication != NULL)
        added[count++] = (struct option_entry){key_tls, "true"};
    added[count++] = (struct option_entry){key_scaler, builtin->scaler->name};
    if (move->authentication != NULL && own->name != NULL)
        added[count++] = (struct option_entry){
            own->is_cluster_wide ? CREDENTIALS_CLUSTER_KEY : CREDENTIALS_KEY, own->name};
    replace_word(move, old->start, old->end, type);
    if (!add_keys(move, find_key(move->trigger, "metadata"), added, count, error))
        return false;
    for (size_t i = 0; i < metadata->count; i++) {
        if (builtin->keys[i].action != BUILTIN_RENAME)
            continue;
        if (metadata->items[i]->is_shared)
            return refuse_alias(metadata->items[i], error);
        replace_word(move, metadata->key_spans[i].start, metadata->key_spans[i].end,
                     builtin->keys[i].name);
    }
    return move->authentication == NULL || name_certificates(move, true, error);
}

/* ---- to another server ---- */

/* A value of one line, in the quotes that it has. */
static bool replace_value(const struct move *move, const struct yaml_tree *old, const char *value,
                          struct error *error)
{
    char first = move->file->text.bytes[old->start];
    _cleanup_(text_done) struct text text = {0};
    if (old->is_shared)
        return refuse_alias(old, error);
    if (manifest_is_templated(move->file, old->start, old->end))
        return error_invalid(error, "line %zu: the template writes it: change it by hand",
                             old->line);
    if (first == '|' || first == '>')
        return refuse(old->line, error);
    add_value(&text, value, first == '"');
    edits_add(move->edits, old->start, old->end, text.bytes);
    return true;
}

/* The source's authentication, which has been in authenticationRef, goes into the metadata. */
static bool add_tls(const struct move *move, const struct yaml_tree *metadata,
                    const char *authentication, bool is_cluster_wide, struct error *error)
{
    static const struct option_entry tls = {key_tls, "true"};
    size_t at = find_key(metadata, key_tls);
    bool is_added = at == metadata->count;
    if (!is_added && metadata->items[at]->start == metadata->items[at]->end)
        return error_invalid(error, "its %s is empty: remove it", key_tls);
    if (!(is_added ? add_behind(move, metadata, find_key(metadata, key_address), &tls, error)
                   : replace_value(move, metadata->items[at], tls.value, error)))
        return false;
    if (authentication == NULL || authentication[0] == '\0' ||
        yaml_tree_find(metadata, "connectionName") != NULL ||
        yaml_tree_find(metadata, CREDENTIALS_KEY) != NULL ||
        yaml_tree_find(metadata, CREDENTIALS_CLUSTER_KEY) != NULL)
        return true;
    const struct option_entry own = {is_cluster_wide ? CREDENTIALS_CLUSTER_KEY : CREDENTIALS_KEY,
                                     authentication};
    return add_behind(move, metadata, find_key(metadata, key_scaler), &own, error);
}

bool move_to_server(const struct move *move, struct error *error)
{
    const struct yaml_tree *metadata = yaml_tree_find(move->trigger, "metadata");
    const struct yaml_tree *address = yaml_tree_find(metadata, key_address);
    const struct yaml_tree *ref = yaml_tree_find(move->trigger, key_ref);
    const char *name = yaml_tree_text(ref, "name");
    bool is_cluster_wide = text_equal(yaml_tree_text(ref, key_kind), kind_cluster);
    bool is_named = move_names_certificates(move);
    bool is_there = address != NULL && text_equal(address->text, move->scaler_address);
    bool gets_tls = move->authentication != NULL && !channel_has_tls(metadata);
    bool is_unknown = is_there && !gets_tls && move_ref_is_templated(move);
    bool gets_ref = move->authentication != NULL && !is_named && !is_unknown;
    if (is_there && !gets_tls && !gets_ref)
        return true;
    if (address == NULL || address->start == address->end)
        return error_invalid(error, "its %s is not written here", key_address);
    if (!check_editable(move, error) || !check_once(metadata, key_address, error) ||
        !check_once(metadata, key_scaler, error) || !check_once(metadata, key_tls, error))
        return false;
    if (!is_there && !replace_value(move, address, move->scaler_address, error))
        return false;
    if (gets_tls && !add_tls(move, metadata, is_named ? NULL : name, is_cluster_wide, error))
        return false;
    return !gets_ref || name_certificates(move, gets_tls, error);
}

bool move_to_type(const struct move *move, const char *type, struct error *error)
{
    const struct yaml_tree *old = yaml_tree_find(move->trigger, "type");
    if (!check_once(move->trigger, "type", error))
        return false;
    if (text_equal(old->text, type))
        return true;
    if (move->trigger->is_shared || old->is_shared)
        return refuse_alias(move->trigger, error);
    replace_word(move, old->start, old->end, type);
    return true;
}

/* ---- back ---- */

/* Those behind the last key that stays. */
static bool remove_last_keys(const struct move *move, const struct yaml_tree *metadata,
                             size_t first, struct error *error)
{
    if (metadata->items[first - 1]->is_shared || metadata->items[metadata->count - 1]->is_shared)
        return refuse_alias(metadata, error);
    edits_add(move->edits, metadata->items[first - 1]->end,
              metadata->items[metadata->count - 1]->end, "");
    return true;
}

/* The authentication of the source, which stood in the metadata where KEDA's certificates took its
 * place. */
static bool restore_ref(const struct move *move, const struct yaml_tree *metadata,
                        struct error *error)
{
    size_t at = find_key(move->trigger, key_ref);
    const char *own = yaml_tree_text(metadata, CREDENTIALS_KEY);
    const char *cluster = yaml_tree_text(metadata, CREDENTIALS_CLUSTER_KEY);
    const struct yaml_tree *ref = at < move->trigger->count ? move->trigger->items[at] : NULL;
    const char *name = yaml_tree_text(ref, "name");
    bool is_channel = channel_has_tls(metadata) && move_names_certificates(move);
    if (own == NULL && cluster == NULL && !is_channel)
        return true;
    if (!check_once(move->trigger, key_ref, error))
        return false;
    if (own == NULL && cluster == NULL)
        return remove_key(move, move->trigger, at, error);
    if (ref == NULL || name == NULL)
        return error_invalid(error, "%s is in its metadata: write authenticationRef: {name: %s%s}",
                             own != NULL ? CREDENTIALS_KEY : CREDENTIALS_CLUSTER_KEY,
                             own != NULL ? own : cluster,
                             own != NULL ? "" : ", kind: ClusterTriggerAuthentication");
    const struct yaml_tree *named =
        yaml_tree_find(metadata, own != NULL ? CREDENTIALS_KEY : CREDENTIALS_CLUSTER_KEY);
    if (manifest_is_templated(move->file, named->start, named->end))
        return error_invalid(error, "line %zu: the template writes %s: change it by hand",
                             named->line, own != NULL ? CREDENTIALS_KEY : CREDENTIALS_CLUSTER_KEY);
    return change_ref(move, ref, own != NULL ? own : cluster, own == NULL, error);
}

bool move_back(const struct move *move, const struct scaler *scaler, struct error *error)
{
    const struct yaml_tree *type = yaml_tree_find(move->trigger, "type");
    const struct yaml_tree *metadata = yaml_tree_find(move->trigger, "metadata");
    size_t end = metadata->count;
    if (!check_editable(move, error))
        return false;
    while (end > 0 && builtin_is_own_key(metadata->keys[end - 1]))
        end--;
    if (end == 0)
        return error_invalid(error, "its metadata has no key of the scaler");
    replace_word(move, type->start, type->end, scaler->name);
    if (metadata->is_flow && end < metadata->count && !remove_last_keys(move, metadata, end, error))
        return false;
    for (size_t i = 0; i < (metadata->is_flow ? end : metadata->count); i++) {
        const struct yaml_span *span = &metadata->key_spans[i];
        _cleanup_(memory_free) char *name = builtin_name_back(scaler->options, metadata->keys[i]);
        bool is_renamed = !text_equal(name, metadata->keys[i]);
        if (builtin_is_own_key(metadata->keys[i])) {
            if (!remove_key(move, metadata, i, error))
                return false;
        } else if (is_renamed && metadata->items[i]->is_shared)
            return refuse_alias(metadata->items[i], error);
        else if (is_renamed)
            replace_word(move, span->start, span->end, name);
    }
    return restore_ref(move, metadata, error);
}
