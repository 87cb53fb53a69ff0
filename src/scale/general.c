#include "scale/general.h"

#include "base/memory.h"

#define ROW(name, kind, field, ...)                                                                \
    {.key = (name),                                                                                \
     .scope = OPTION_TARGET,                                                                       \
     .type = (kind),                                                                               \
     OPTION_FIELD(struct general_options, field),                                                  \
     __VA_ARGS__}
#define KEDA_ROW(name, ...) ROW(name, OPTION_STRING, keda, __VA_ARGS__)

static const char key_interval[] = "interval";
static const char key_hold[] = "hold";

/* Below a second a stream (external-push) is the better way; and who measures less often than once an
 * hour would be answered with what was true an hour ago. */
const struct option general_table[] = {
    ROW("scaler", OPTION_STRING, scaler,
        .doc = "required: the kind of source, the title of a section below"),
    ROW("connectionName", OPTION_STRING, connection_name,
        .doc = "a connection of the connections file, in place of the keys of the connection"),
    ROW(key_interval, OPTION_DURATION, rules.interval_ms, .limits = {1000, 3600 * 1000.0},
        .doc = "between two measurements; where triggers share a query the shortest counts; "
               "without it as --interval says"),
    ROW(key_hold, OPTION_DURATION, rules.hold_ms, .limits = {0, 24 * 3600 * 1000.0},
        .doc = "how long an active reading answers after measuring began to fail; without it "
               "as --hold says"),
    KEDA_ROW("scalerAddress", .doc = "KEDA's: where this server is"),
    KEDA_ROW("enableTLS", .doc = "KEDA's: speak TLS with this server"),
    KEDA_ROW("unsafeSsl", .doc = "KEDA's: do not verify this server's certificate"),
    KEDA_ROW("caCert", .doc = "KEDA's: the authority of this server's certificate"),
    KEDA_ROW("tlsClientCert", .doc = "KEDA's: the certificate that it shows to this server"),
    KEDA_ROW("tlsClientKey", .flags = OPTION_SECRET, .doc = "KEDA's: the key of tlsClientCert"),
    KEDA_ROW("tlsCertFile", .doc = "KEDA's before 2.9: as caCert"),
    KEDA_ROW("metricName", .doc = "KEDA's before 2.12; the metric's name is the scaler's to say"),
    {0},
};

struct option_values *general_parse(const struct option_entry *entries, size_t count,
                                    const struct answer_rules *standard, struct error *mistakes)
{
    static const size_t sizes[OPTION_SCOPES] = {[OPTION_TARGET] = sizeof(struct general_options)};
    _cleanup_(memory_free) struct option_entry *own = memory_array(count + 1, sizeof(*own));
    struct option_values *values[OPTION_SCOPES];
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        if (option_find(general_table, entries[i].key, OPTION_FROM_TRIGGER) != NULL)
            own[length++] = entries[i];
    option_parse(general_table, sizes, own, length, OPTION_FROM_TRIGGER, NULL, values, mistakes);
    option_values_free(values[OPTION_CONNECTION]);
    option_values_free(values[OPTION_QUERY]);

    struct general_options *options = values[OPTION_TARGET]->data;
    options->rules.interval_is_set =
        standard->interval_is_set || option_text(values[OPTION_TARGET], key_interval) != NULL;
    if (option_text(values[OPTION_TARGET], key_interval) == NULL)
        options->rules.interval_ms = standard->interval_ms;
    if (option_text(values[OPTION_TARGET], key_hold) == NULL)
        options->rules.hold_ms = standard->hold_ms;
    return values[OPTION_TARGET];
}
