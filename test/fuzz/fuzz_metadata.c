/*
 * Strings, each with its NUL, as the namespace and metadata of a ScaledObject. Whatever they are,
 * there is a trigger with a metric and a target, its mistakes are text in words, and without
 * secrets, and the hooks that may be called beside mistakes cope with it. What has no mistakes is
 * connected to and measured, with no network but network.h. What it replies is behind a byte of 255
 * where a key would begin.
 *
 * Kafka's and NATS' client libraries have many threads: they are called up to where they would
 * begin to connect, and fail there.
 */
#include "base/memory.h"
#include "base/text.h"
#include "network.h"
#include "require.h"
#include "scale/table/parse.h"
#include "scale/table/triggers.h"
#include "source.h"
#include "support/connections_text.h"

#include <librdkafka/rdkafka.h>
#include <math.h>
#include <nats/nats.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct replies {
    const uint8_t *bytes;
    size_t size;
};

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
static size_t read_entries(const char *at, const char *end, struct option_entry *entries,
                           struct replies *ret_replies)
{
    size_t count = 0;
    while (count < MAX_ENTRIES && at < end) {
        if ((uint8_t)*at == NETWORK_SEPARATOR) {
            *ret_replies = (struct replies){(const uint8_t *)at + 1, (size_t)(end - at - 1)};
            return count;
        }
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

/* The linker puts these before the real ones (--wrap). */
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *settings, char *reason,
                                size_t size);
natsStatus __wrap_natsConnection_Connect(natsConnection **ret_connection, natsOptions *options);
void __wrap_process_limit_cpu(unsigned seconds);

/* Its signal would end the fuzzer, which has a limit of its own, without a word. */
void __wrap_process_limit_cpu(unsigned seconds)
{
    (void)seconds;
}

rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *settings, char *reason,
                                size_t size)
{
    (void)type, (void)settings;
    snprintf(reason, size, "no threads here");
    return NULL;
}

natsStatus __wrap_natsConnection_Connect(natsConnection **ret_connection, natsOptions *options)
{
    (void)ret_connection, (void)options;
    return NATS_NO_SERVER;
}

const char *__lsan_default_suppressions(void);

/* libpq 15 loses a result where a server breaks the protocol, with a connection that is then freed
 * as a whole. Its own functions have no names without its symbols. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libpq.so\n";
}

/* As the agent of a scaler that has one would. */
static void measure(const struct trigger *trigger, const struct trigger_ref *ref,
                    const struct replies *replies)
{
    const struct scaler *scaler = trigger->parsed.scaler;
    struct options options = trigger_parsed_options(&trigger->parsed);
    _cleanup_(error_done) struct error error = {0};
    scaler_check(scaler, &options, &error);
    require(!error_is_set(&error));

    struct fuzz_query query = {options.query, trigger->parsed.values[OPTION_QUERY]};
    const struct fuzz_query queries[] = {query, query};
    network_begin(replies->bytes, replies->size);
    source_measure_queries(scaler, options.connection, queries, ARRAY_LENGTH(queries), 1, &error);
    network_end();
    if (replies->size > 0) /* it may have replied it */
        return;
    require(guesses(ref) || strstr(error_text(&error), hidden) == NULL);
    require(!has_secret(trigger, ref) || strstr(error_text(&error), word) == NULL);
}

/* Who calls these may know of no mistake yet, or look for all of them (measure/scaler.h). */
static void call_hooks(const struct trigger *trigger)
{
    const struct scaler *scaler = trigger->parsed.scaler;
    const char *advice = NULL;
    _cleanup_(error_done) struct error mistakes = {0};
    if (scaler == NULL)
        return;
    struct options options = trigger_parsed_options(&trigger->parsed);
    scaler_check(scaler, &options, &mistakes);
    if (scaler->reports != NULL)
        scaler->reports(&options, &advice);
    if (scaler->in_work != NULL)
        scaler->in_work(&options);
}

static void require_sound(const struct trigger *trigger, const struct trigger_ref *ref,
                          const struct replies *replies)
{
    const char *text = error_text(&trigger->parsed.mistakes);
    require(trigger->parsed.metric_name != NULL && trigger->parsed.metric_name[0] != '\0');
    require(strpbrk(trigger->parsed.metric_name, "/.:%()") == NULL);
    require(isfinite(trigger->parsed.target) && trigger->parsed.target >= 0.001);
    require(text_is_utf8(text, strlen(text)));
    require(guesses(ref) || strstr(text, hidden) == NULL);
    require(!has_secret(trigger, ref) || strstr(text, word) == NULL);
    call_hooks(trigger);
    if (error_is_set(&trigger->parsed.mistakes))
        return;
    evaluate(trigger);
    measure(trigger, ref, replies);
}

static void try(const struct trigger_ref *ref, const struct replies *replies)
{
    _cleanup_(error_done) struct error error = {0};
    struct triggers_settings settings = {
        .scalers = scaler_list, .rules = {.interval_ms = 5000, .hold_ms = 60000}, .max = 1};
    require(
        connections_from_text(file, strlen(file), "file", "folder", &settings.connections, &error));
    struct triggers *triggers = triggers_new(&settings);
    struct trigger *trigger = NULL;
    struct trigger *again = NULL;
    if (triggers_find(triggers, ref, 0, &trigger, &error)) {
        require_sound(trigger, ref, replies);
        require(triggers_find(triggers, ref, 1, &again, &error) && again == trigger);
    } else
        require(error_is_set(&error));
    triggers_free(triggers);
}

/* Without the system's certificates, which nats.c and libpq would read each time. */
static void prepare(void)
{
    static bool is_prepared;
    _cleanup_(text_done) struct text names = {0};
    if (is_prepared)
        return;
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    setenv("SSL_CERT_DIR", "/dev/null", 1);
    scalers_prepare(scaler_list);
    for (const struct scaler *const *scaler = scaler_list; *scaler != NULL; scaler++)
        if ((*scaler)->libraries != NULL)
            (*scaler)->libraries(&names);
    is_prepared = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct option_entry entries[MAX_ENTRIES];
    struct replies replies = {0};
    prepare();
    char *bytes = memory_new(size + 1);
    memcpy(bytes, data, size);
    const char *at = bytes;
    struct trigger_ref ref = {.name = "worker", .entries = entries};
    ref.namespace = next_string(&at, bytes + size + 1);
    ref.count = read_entries(at, bytes + size, entries, &replies);
    if (text_is_utf8(ref.namespace, strlen(ref.namespace)))
        try(&ref, &replies);
    free(bytes);
    return 0;
}
