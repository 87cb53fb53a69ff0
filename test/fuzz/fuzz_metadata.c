/*
 * Strings, each with its NUL, as the namespace and metadata of a ScaledObject. Whatever they are,
 * there is a trigger with a metric and a target, its mistakes are text in words, and without
 * secrets.
 */
#include "base/memory.h"
#include "base/text.h"
#include "require.h"
#include "scale/table/parse.h"
#include "scale/table/triggers.h"
#include "support/connections_text.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char file[] = "connections:\n"
                           "  kafka: {scaler: kafka, bootstrapServers: \"a:9092\"}\n"
                           "  redis: {scaler: redis, address: \"a:6379\", password: hidden-one}\n"
                           "  rabbit: {scaler: rabbitmq, host: \"amqp://u:hidden-one@a/\"}\n"
                           "  far: {scaler: redis, address: \"a:6379\", namespaces: [far]}\n";

static const char hidden[] = "hidden-one";

static const char *next_string(const char **at, const char *end)
{
    const char *string = *at;
    *at += strlen(string) + 1;
    return string < end ? string : NULL;
}

/* Pairs of key and value; a request that is not UTF-8 does not get here. */
static size_t read_entries(const char *at, const char *end, struct option_entry *entries)
{
    size_t count = 0;
    while (count < MAX_ENTRIES && at < end) {
        const char *key = next_string(&at, end);
        const char *value = at < end ? next_string(&at, end) : "";
        if (!text_is_utf8(key, strlen(key)) || !text_is_utf8(value, strlen(value)))
            return count;
        entries[count++] = (struct option_entry){key, value};
    }
    return count;
}

/* A secret that begins with this word, which stands nowhere else. */
static const char word[] = "sesame";

static bool has_secret(const struct trigger *trigger, const struct trigger_ref *ref)
{
    bool found = false;
    for (size_t i = 0; i < ref->count; i++) {
        const struct option_entry *entry = &ref->entries[i];
        const struct option *row =
            trigger->parsed.scaler == NULL
                ? NULL
                : option_find(trigger->parsed.scaler->options, entry->key, OPTION_FROM_TRIGGER);
        bool secret = row != NULL && row->flags & OPTION_SECRET;
        if (strstr(entry->key, word) != NULL || (strstr(entry->value, word) != NULL && !secret))
            return false;
        found = found || (secret && text_starts_with(entry->value, word));
    }
    return found;
}

/* The secret of the file's connections, which the metadata may have guessed. */
static bool guesses(const struct trigger_ref *ref)
{
    if (strstr(ref->namespace, hidden) != NULL)
        return true;
    for (size_t i = 0; i < ref->count; i++)
        if (strstr(ref->entries[i].key, hidden) != NULL ||
            strstr(ref->entries[i].value, hidden) != NULL)
            return true;
    return false;
}

static void evaluate(const struct trigger *trigger)
{
    static const double numbers[] = {NAN, 0, 1, 1e18, -1, INFINITY};
    struct options options = trigger_parsed_options(&trigger->parsed);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        double number = numbers[i];
        const struct reading reading = {number, number, number, number, number,
                                        number, number, number, number};
        _cleanup_(error_done) struct error error = {0};
        struct evaluation evaluation;
        bool good = trigger->parsed.scaler->evaluate(&options, &reading, &evaluation, &error);
        require(good != error_is_set(&error));
    }
}

static void require_sound(const struct trigger *trigger, const struct trigger_ref *ref)
{
    const char *text = error_text(&trigger->parsed.mistakes);
    require(trigger->parsed.metric_name != NULL && trigger->parsed.metric_name[0] != '\0');
    require(strpbrk(trigger->parsed.metric_name, "/.:%()") == NULL);
    require(isfinite(trigger->parsed.target) && trigger->parsed.target >= 0.001);
    require(text_is_utf8(text, strlen(text)));
    require(guesses(ref) || strstr(text, hidden) == NULL);
    require(!has_secret(trigger, ref) || strstr(text, word) == NULL);
    if (!error_is_set(&trigger->parsed.mistakes))
        evaluate(trigger);
}

static void try(const struct trigger_ref *ref)
{
    _cleanup_(error_done) struct error error = {0};
    struct triggers_settings settings = {.scalers = scaler_list,
                                         .rules = {.interval_ms = 5000, .hold_ms = 60000},
                                         .max_inline = 1,
                                         .max = 1,
                                         .max_bytes = 1 << 20};
    require(
        connections_from_text(file, strlen(file), "file", "folder", &settings.connections, &error));
    struct triggers *triggers = triggers_new(&settings);
    struct trigger *trigger = NULL;
    struct trigger *again = NULL;
    if (triggers_find(triggers, ref, 0, &trigger, &error)) {
        require_sound(trigger, ref);
        require(triggers_find(triggers, ref, 1, &again, &error) && again == trigger);
    } else
        require(error_is_set(&error));
    triggers_free(triggers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct option_entry entries[MAX_ENTRIES];
    char *bytes = memory_new(size + 1);
    memcpy(bytes, data, size);
    const char *at = bytes;
    struct trigger_ref ref = {.name = "worker", .entries = entries};
    ref.namespace = next_string(&at, bytes + size + 1);
    ref.count = read_entries(at, bytes + size, entries);
    if (text_is_utf8(ref.namespace, strlen(ref.namespace)))
        try(&ref);
    free(bytes);
    return 0;
}
