#include "keys/attempt.h"

#include "base/memory.h"
#include "config/value.h"
#include "scale/connections/named_connections.h"
#include "support/connections_text.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

const struct place places[PLACES] = {
    [IN_METADATA] = {"the metadata", false, false, ""},
    [IN_METADATA_BY_ALIAS] = {"the metadata, by its alias", false, true, ""},
    [IN_VARIABLE] = {"a variable", false, false, "FromEnv"},
    [IN_VARIABLE_BY_ALIAS] = {"a variable, by its alias", false, true, "FromEnv"},
    [IN_CONNECTIONS] = {"the connections file", true, false, ""},
    [IN_CONNECTIONS_BY_ALIAS] = {"the connections file, by its alias", true, true, ""},
    [IN_FILE] = {"a file of its own", true, false, "File"},
};

bool can_stand(const struct option *row, const struct place *place)
{
    bool alias_counts =
        row->alias != NULL && (place->in_file || !(row->flags & OPTION_ALIAS_IN_FILE));
    return (!place->aliased || alias_counts) &&
           (place->in_file ? row->scope == OPTION_CONNECTION : !(row->flags & OPTION_FILE_ONLY));
}

void attempt_done(struct attempt *attempt)
{
    if (attempt->triggers != NULL)
        triggers_free(attempt->triggers);
    if (attempt->secret_path[0] != '\0')
        unlink(attempt->secret_path);
    text_done(&attempt->yaml);
    error_done(&attempt->mistakes);
    free(attempt->key);
}

static void add_entry(struct attempt *attempt, const char *key, const char *value)
{
    assert_true(attempt->count < ARRAY_LENGTH(attempt->entries));
    attempt->entries[attempt->count++] = (struct option_entry){key, value};
}

static void add_to_file(struct attempt *attempt, const char *key, const char *value)
{
    text_addf(&attempt->yaml, "    %s: \"", key);
    for (; *value != '\0'; value++)
        text_addf(&attempt->yaml,
                  iscntrl((unsigned char)*value)      ? "\\x%02x"
                  : (*value == '"' || *value == '\\') ? "\\%c"
                                                      : "%c",
                  (unsigned char)*value);
    text_add(&attempt->yaml, "\"\n");
}

static void write_secret(struct attempt *attempt, const char *value)
{
    strcpy(attempt->secret_path, "/tmp/backlog-key-XXXXXX");
    int file = mkstemp(attempt->secret_path);
    assert_true(file >= 0);
    assert_int_equal(dprintf(file, "%s\n", value), (int)strlen(value) + 1);
    close(file);
}

/* The case's key. What stands behind it in the order of look-up must not count. */
static void add_key(struct attempt *attempt, const char *value)
{
    const struct option *row = attempt->row;
    const struct place *place = attempt->place;
    attempt->key = text_format("%s%s", place->aliased ? row->alias : row->key, place->suffix);
    if (text_equal(place->suffix, "File")) {
        write_secret(attempt, value);
        add_to_file(attempt, attempt->key, attempt->secret_path);
    } else if (place->in_file)
        add_to_file(attempt, attempt->key, value);
    else
        add_entry(attempt, attempt->key, value);
}

static void add_other(struct attempt *attempt, const char *key, const char *value)
{
    const struct option *row =
        option_find(attempt->keys->scaler->options, key, OPTION_FROM_TRIGGER);
    if (attempt->place->in_file && row != NULL && row->scope == OPTION_CONNECTION)
        add_to_file(attempt, key, value);
    else
        add_entry(attempt, key, value);
}

static bool is_among(const struct attempt *attempt, const char *key, const char *const *pairs)
{
    const struct option *table = attempt->keys->scaler->options;
    const struct option *row = option_find(table, key, OPTION_FROM_TRIGGER);
    for (; *pairs != NULL; pairs += 2)
        if (option_find(table, pairs[0], OPTION_FROM_TRIGGER) == row)
            return true;
    return false;
}

static void parse(struct attempt *attempt)
{
    const struct scaler *const scalers[] = {attempt->keys->scaler, NULL};
    struct connections *connections = NULL;
    if (attempt->place->in_file) {
        if (!connections_from_text(attempt->yaml.bytes, attempt->yaml.length, "file", "/",
                                   &connections, &attempt->mistakes))
            return;
        named_connections_check(connections, scalers);
        add_entry(attempt, "connectionName", "name");
    }
    const struct triggers_settings settings = {
        .scalers = scalers, .connections = connections, .max = 20};
    struct trigger_ref ref = {"object", "shop", attempt->entries, attempt->count};
    attempt->triggers = triggers_new(&settings);
    assert_true(triggers_find(attempt->triggers, &ref, 0, &attempt->trigger, &attempt->mistakes));
    if (error_is_set(&attempt->trigger->parsed.mistakes))
        error_add(&attempt->mistakes, "%s", error_text(&attempt->trigger->parsed.mistakes));
}

void attempt_make(struct attempt *attempt, const struct keys *keys, const char *const *pairs,
                  const struct place *place)
{
    const struct option *table = keys->scaler->options;
    *attempt = (struct attempt){
        .keys = keys, .row = option_find(table, pairs[0], OPTION_FROM_TRIGGER), .place = place};
    if (attempt->row == NULL)
        fail_msg("%s has no key %s", keys->scaler->name, pairs[0]);
    text_addf(&attempt->yaml, "connections:\n  name:\n    scaler: %s\n", keys->scaler->name);
    add_entry(attempt, "scaler", keys->scaler->name);
    add_key(attempt, pairs[1]);
    for (const char *const *other = pairs + 2; *other != NULL; other += 2)
        if (!text_equal(other[0], pairs[0]))
            add_other(attempt, other[0], other[1]);
    for (const char *const *usual = keys->usual; *usual != NULL; usual += 2)
        if (!is_among(attempt, usual[0], pairs))
            add_other(attempt, usual[0], usual[1]);
    parse(attempt);
}

const char *attempt_text(const struct attempt *attempt, const struct option *row)
{
    return attempt->trigger->parsed.values[row->scope]->texts[row - attempt->keys->scaler->options];
}

void assert_taken(const struct attempt *attempt, const char *value)
{
    const struct option *row = attempt->row;
    _cleanup_(memory_free) char *trimmed = text_trimmed(value);
    const char *expected = trimmed[0] == '\0' ? row->default_value : trimmed;
    if (error_is_set(&attempt->mistakes))
        fail_msg("%s \"%s\" from %s: %s", attempt->key, value, attempt->place->name,
                 error_text(&attempt->mistakes));
    if (!text_equal(attempt_text(attempt, row), expected))
        fail_msg("%s \"%s\" from %s became \"%s\"", attempt->key, value, attempt->place->name,
                 attempt_text(attempt, row));
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        if (strstr(attempt->trigger->parsed.values[scope]->identity, "sesame") != NULL)
            fail_msg("the identity shows a secret: %s",
                     attempt->trigger->parsed.values[scope]->identity);
}

/* A variable may hold anything, so its value is never shown; but one of the choices is text as
 * such. */
static bool may_be_shown(const struct attempt *attempt)
{
    return attempt->row->type == OPTION_CHOICE ||
           (text_equal(attempt->place->suffix, "") && !(attempt->row->flags & OPTION_NEVER_SHOWN));
}

void assert_refused(const struct attempt *attempt, const char *value, const char *mistake)
{
    const char *text = error_text(&attempt->mistakes);
    _cleanup_(memory_free) char *shown = text_format("\"%s\"", value);
    if (strstr(text, mistake) == NULL)
        fail_msg("%s \"%s\" from %s: \"%s\" lacks \"%s\"", attempt->key, value,
                 attempt->place->name, text, mistake);
    if (strstr(text, "sesame") != NULL || (!may_be_shown(attempt) && strstr(text, shown) != NULL))
        fail_msg("%s from %s is shown: %s", attempt->key, attempt->place->name, text);
}
