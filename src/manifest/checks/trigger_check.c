#include "manifest/checks/trigger_check.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/credentials.h"
#include "manifest/checks/connections_check.h"
#include "scale/connections/named_connections.h"
#include "scale/metadata/general.h"
#include "scale/table/parse.h"

#include <stdlib.h>
#include <string.h>

enum { USUAL_INTERVAL_MS = 5000 };

static const struct answer_rules usual_rules = {.interval_ms = USUAL_INTERVAL_MS,
                                                .hold_ms = GENERAL_USUAL_HOLD_MS};

static bool check_entry(const struct trigger_check *check, const struct scaler *scaler,
                        const struct option_entry *plain, size_t line, struct findings *findings)
{
    _cleanup_(error_done) struct error error = {0};
    bool is_general = option_find(general_table, plain->key, OPTION_FROM_TRIGGER) != NULL;
    const struct option *table = is_general ? general_table : scaler->options;
    if (option_check_entry(table, is_general ? NULL : general_table, plain, OPTION_FROM_TRIGGER,
                           &error))
        return true;
    struct finding_place place = check->place;
    place.line = line;
    finding_add(findings, &place, check->level, "%s%s", check->prefix, error_text(&error));
    return false;
}

static bool is_required(const struct scaler *scaler, const char *key)
{
    const struct option *row = option_find(scaler->options, key, OPTION_FROM_TRIGGER);
    return row != NULL && row->flags & OPTION_REQUIRED;
}

/* Each by itself, so that its mistake has its line. The whole is checked with those that passed, so
 * that no mistake is reported twice: a wrong value is left out, as the server uses its default,
 * too; a required one has none, and becomes unknown, as it would be missing otherwise. Returns
 * whether all passed; the caller ends `ret_passed`. */
static bool check_entries(const struct trigger_check *check, const struct scaler *scaler,
                          const struct entries *entries, struct entries *ret_passed,
                          struct findings *findings)
{
    _cleanup_(memory_free) struct option_entry *plain = entries_plain(entries, scaler->options);
    bool good = true;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->items[i];
        if (check_entry(check, scaler, &plain[i], entry->line, findings)) {
            entries_add(ret_passed, entry->key, entry->value, entry->line);
            continue;
        }
        good = false;
        if (is_required(scaler, entry->key))
            entries_add(ret_passed, entry->key, NULL, entry->line);
    }
    return good;
}

/* What the server says to a trigger's entries. */
struct judgement {
    const struct trigger_check *check;
    bool has_unknown_connection; /* or a part of it that is not here */
    bool has_invalid_connection; /* which is reported where it is written */
};

static char *judge_as_server(const void *context, struct option_entry *plain, size_t count)
{
    const struct judgement *judgement = context;
    const struct trigger_check *check = judgement->check;
    const struct parse_settings settings = {
        .scalers = check->scalers,
        .connections = judgement->has_invalid_connection ? NULL : check->connections,
        .has_unknown_connections = check->connections == NULL || judgement->has_invalid_connection,
        .has_unknown_namespace = check->namespace == NULL,
        .has_unknown_values = judgement->has_unknown_connection,
        .rules = usual_rules,
    };
    const struct trigger_ref ref = {
        .name = check->name,
        .namespace = check->namespace == NULL ? "" : check->namespace,
        .entries = plain,
        .count = count,
    };
    struct trigger_parsed parsed;
    parse_trigger(&ref, &settings, &(struct parse_known){0}, &parsed);
    char *text = text_copy(error_text(&parsed.mistakes));
    trigger_parsed_done(&parsed);
    return text;
}

bool trigger_check(const struct trigger_check *check, const struct entries *entries,
                   struct findings *findings)
{
    const struct entry *named = entries_find_given(entries, "scaler");
    const struct scaler *scaler = named == NULL ? NULL : scaler_find(check->scalers, named->value);
    struct finding_place place = check->place;
    place.line = named == NULL ? place.line : named->line;
    if (named != NULL && named->value == NULL) {
        finding_add(findings, &place, FINDING_NOTE,
                    "%s%s is a variable of the worker: the other keys are not checked",
                    check->prefix, named->key);
        return true;
    }
    if (scaler == NULL) {
        _cleanup_(error_done) struct error error = {0};
        scaler_add_unknown(check->scalers, named == NULL ? NULL : named->value, &error);
        finding_add(findings, &place, check->level, "%s%s", check->prefix, error_text(&error));
        return false;
    }
    _cleanup_(entries_done) struct entries passed = {0};
    bool good = check_entries(check, scaler, entries, &passed, findings);
    const struct entry *name = entries_find_given(entries, "connectionName");
    const struct named_connection *connection =
        name != NULL && name->value != NULL ? connections_find(check->connections, name->value)
                                            : NULL;
    if (name == NULL && check->has_authentication) {
        entries_remove(&passed, CREDENTIALS_KEY);
        entries_remove(&passed, CREDENTIALS_CLUSTER_KEY);
    }
    const struct judgement judgement = {
        .check = check,
        .has_invalid_connection = connection != NULL && !named_connection_is_usable(connection),
        .has_unknown_connection = (name == NULL && check->has_authentication) ||
                                  (connection != NULL && !connection_is_known(connection)),
    };
    _cleanup_(memory_free) char *whole =
        entries_mistakes(&passed, scaler->options, judge_as_server, &judgement);
    if (whole[0] == '\0')
        return good;
    finding_add(findings, &check->place, check->level, "%s%s", check->prefix, whole);
    return false;
}
