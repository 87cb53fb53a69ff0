#include "config/connections.h"

#include "base/memory.h"
#include "base/text.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct connections *connections_new(void)
{
    return memory_new(sizeof(struct connections));
}

static void named_connection_done(struct named_connection *connection)
{
    option_entries_free(connection->entries, connection->entries_count);
    for (size_t i = 0; i < connection->namespaces_count; i++)
        free(connection->namespaces[i]);
    free(connection->namespaces);
    free(connection->scaler);
    free(connection->file);
    free(connection->name);
    option_values_free(connection->values);
    error_done(&connection->mistakes);
}

void connections_free(struct connections *connections)
{
    if (connections == NULL)
        return;
    for (size_t i = 0; i < connections->count; i++)
        named_connection_done(&connections->items[i]);
    for (size_t i = 0; i < connections->problems_count; i++) {
        free(connections->problems[i].name);
        free(connections->problems[i].file);
        free(connections->problems[i].text);
    }
    free(connections->problems);
    free(connections->items);
    free(connections);
}

void connections_cleanup(struct connections **connections)
{
    connections_free(*connections);
}

void connections_add(struct connections *connections, struct named_connection *connection)
{
    connections->items = memory_grow(connections->items, &connections->capacity,
                                     connections->count + 1, sizeof(*connections->items));
    connections->items[connections->count++] = *connection;
    *connection = (struct named_connection){0};
}

bool connections_add_problem(struct connections *connections, const char *name, const char *file,
                             bool is_file, const char *text)
{
    if (connections->problems_count == CONNECTIONS_MAX)
        return false; /* one more would not help to correct the file */
    connections->problems =
        memory_grow(connections->problems, &connections->problems_capacity,
                    connections->problems_count + 1, sizeof(*connections->problems));
    connections->problems[connections->problems_count++] = (struct connections_problem){
        .name = text_copy(name),
        .file = text_copy(file),
        .text = text_copy(text),
        .is_file = is_file,
    };
    text_make_utf8(connections->problems[connections->problems_count - 1].text);
    return true;
}

char *connections_repeated_words(const struct named_connection *used)
{
    return text_format("%.*s is there twice: the one at %s:%zu is used",
                       (int)text_cut(used->name, 64), used->name, used->file, used->line);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct named_connection *)left)->name,
                  ((const struct named_connection *)right)->name);
}

void connections_sort(struct connections *connections)
{
    if (connections->count > 0)
        qsort(connections->items, connections->count, sizeof(struct named_connection),
              compare_names);
}

const struct named_connection *connections_find(const struct connections *connections,
                                                const char *name)
{
    if (connections == NULL || connections->count == 0)
        return NULL;
    const struct named_connection sought = {.name = (char *)name};
    return bsearch(&sought, connections->items, connections->count, sizeof(sought), compare_names);
}

bool named_connection_is_usable(const struct named_connection *connection)
{
    return connection->is_former || !error_is_set(&connection->mistakes);
}

bool named_connection_allows(const struct named_connection *connection, const char *namespace)
{
    for (size_t i = 0; i < connection->namespaces_count; i++)
        if (fnmatch(connection->namespaces[i], namespace, 0) == 0)
            return true;
    return connection->namespaces_count == 0;
}

static bool has_same_keys(const struct named_connection *one, const struct named_connection *other)
{
    if (!text_equal(one->scaler, other->scaler) || one->entries_count != other->entries_count ||
        one->namespaces_count != other->namespaces_count)
        return false;
    for (size_t i = 0; i < one->entries_count; i++)
        if (!text_equal(one->entries[i].key, other->entries[i].key) ||
            !text_equal(one->entries[i].value, other->entries[i].value))
            return false;
    for (size_t i = 0; i < one->namespaces_count; i++)
        if (!text_equal(one->namespaces[i], other->namespaces[i]))
            return false;
    return true;
}

bool named_connection_equals(const struct named_connection *one,
                             const struct named_connection *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    bool is_usable = named_connection_is_usable(one);
    if (is_usable != named_connection_is_usable(other) || !has_same_keys(one, other))
        return false;
    return is_usable || text_equal(one->mistakes.text, other->mistakes.text);
}

static bool is_same_problem(const struct connections_problem *one,
                            const struct connections_problem *other)
{
    return text_equal(one->name, other->name) && text_equal(one->text, other->text);
}

bool connections_equal(const struct connections *one, const struct connections *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    if (one->count != other->count || one->problems_count != other->problems_count)
        return false;
    for (size_t i = 0; i < one->count; i++)
        if (!text_equal(one->items[i].name, other->items[i].name) ||
            !text_equal(one->items[i].mistakes.text, other->items[i].mistakes.text) ||
            !named_connection_equals(&one->items[i], &other->items[i]))
            return false;
    for (size_t i = 0; i < one->problems_count; i++)
        if (!is_same_problem(&one->problems[i], &other->problems[i]))
            return false;
    return true;
}

/* ---- the last good version ---- */

/* Of what is used; where it is written and its mistakes stay as they are. */
static void copy_keys(struct named_connection *to, const struct named_connection *from)
{
    struct named_connection copy = {
        .name = TAKE(to->name), .file = TAKE(to->file), .line = to->line, .is_former = true};
    error_move(&copy.mistakes, &to->mistakes);
    copy.scaler = text_copy(from->scaler);
    copy.values = from->values == NULL ? NULL : option_values_share(from->values);
    copy.entries = memory_array(from->entries_count, sizeof(*copy.entries));
    copy.namespaces = memory_array(from->namespaces_count, sizeof(*copy.namespaces));
    for (size_t i = 0; i < from->entries_count; i++)
        copy.entries[copy.entries_count++] = (struct option_entry){
            text_copy(from->entries[i].key), text_copy(from->entries[i].value)};
    for (size_t i = 0; i < from->namespaces_count; i++)
        copy.namespaces[copy.namespaces_count++] = text_copy(from->namespaces[i]);
    named_connection_done(to);
    *to = copy;
}

static void add_repeated(struct connections *connections, const struct named_connection *used,
                         const struct named_connection *other)
{
    _cleanup_(memory_free) char *words = connections_repeated_words(used);
    _cleanup_(memory_free) char *text = text_format("%s:%zu: %s", other->file, other->line, words);
    connections_add_problem(connections, used->name, other->file, false, text);
}

/* Why nothing could be read of the file; NULL: something was. `count`: of the problems. */
static const char *mistake_of_file(const struct connections *connections, size_t count,
                                   const char *file)
{
    for (size_t i = 0; i < count; i++)
        if (connections->problems[i].is_file && text_equal(connections->problems[i].file, file))
            return connections->problems[i].text;
    return NULL;
}

/*
 * Those of files of which nothing could be read are not in the set: they are added to its end.
 * Where a later file has the name, too, that is its mistake still, and no way to take the name
 * over. Files are read in the order of their names.
 */
static void inherit_files(struct connections *connections, const struct connections *before)
{
    size_t sorted = connections->count;
    size_t problems = connections->problems_count;
    for (size_t i = 0; i < before->count; i++) {
        const struct named_connection *former = &before->items[i];
        const char *mistake = mistake_of_file(connections, problems, former->file);
        if (mistake == NULL || !named_connection_is_usable(former))
            continue;
        const struct connections own = {.items = connections->items, .count = sorted};
        struct named_connection *other =
            (struct named_connection *)connections_find(&own, former->name);
        if (other == NULL ? connections->count >= CONNECTIONS_MAX
                          : strcmp(other->file, former->file) < 0)
            continue;
        struct named_connection copy = {
            .name = text_copy(former->name), .file = text_copy(former->file), .line = former->line};
        error_invalid(&copy.mistakes, "%s", mistake);
        copy_keys(&copy, former);
        if (other == NULL) {
            connections_add(connections, &copy);
            continue;
        }
        add_repeated(connections, &copy, other);
        named_connection_done(other);
        *other = copy;
    }
    connections_sort(connections);
}

void connections_inherit(struct connections *connections, const struct connections *before)
{
    if (before == NULL)
        return;
    for (size_t i = 0; i < connections->count; i++) {
        struct named_connection *each = &connections->items[i];
        const struct named_connection *former = connections_find(before, each->name);
        if (error_is_set(&each->mistakes) && former != NULL && named_connection_is_usable(former))
            copy_keys(each, former);
    }
    inherit_files(connections, before);
}

void connections_number(struct connections *connections, const struct connections *before,
                        uint64_t revision)
{
    for (size_t i = 0; connections != NULL && i < connections->count; i++) {
        struct named_connection *each = &connections->items[i];
        const struct named_connection *former = connections_find(before, each->name);
        each->revision = named_connection_equals(former, each) ? former->revision : revision;
    }
}

/* ---- what is invalid ---- */

bool connections_next_invalid(const struct connections *connections, size_t *position,
                              struct invalid_connection *ret_invalid)
{
    if (connections == NULL)
        return false;
    for (; *position < connections->count; ++*position) {
        const struct named_connection *each = &connections->items[*position];
        if (!error_is_set(&each->mistakes))
            continue;
        *ret_invalid = (struct invalid_connection){.name = each->name,
                                                   .text = error_text(&each->mistakes),
                                                   .is_former_used = each->is_former};
        ++*position;
        return true;
    }
    size_t problem = *position - connections->count;
    if (problem >= connections->problems_count)
        return false;
    *ret_invalid = (struct invalid_connection){.name = connections->problems[problem].name,
                                               .text = connections->problems[problem].text,
                                               .is_repeated = true};
    ++*position;
    return true;
}

const char *invalid_connection_state(const struct invalid_connection *invalid)
{
    if (invalid->is_repeated)
        return "the first one of its name is used";
    return invalid->is_former_used ? "its last good version stays in use"
                                   : "its triggers fail until it is valid";
}

size_t connections_count_invalid(const struct connections *connections)
{
    struct invalid_connection invalid;
    size_t position = 0;
    size_t count = 0;
    while (connections_next_invalid(connections, &position, &invalid))
        count++;
    return count;
}

bool connections_require_valid(const struct connections *connections, struct error *error)
{
    _cleanup_(text_done) struct text text = {0};
    struct invalid_connection invalid;
    size_t position = 0;
    while (connections_next_invalid(connections, &position, &invalid))
        text_addf(&text, "%s%s", text.length == 0 ? "" : "; ", invalid.text);
    return text.length == 0 || error_invalid(error, "%s", text.bytes);
}
