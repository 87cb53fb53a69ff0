#include "scale/metadata/general.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/credentials.h"

#include <string.h>

#define ROW(name, kind, field, ...)                                                                \
    {.key = (name),                                                                                \
     .scope = OPTION_TARGET,                                                                       \
     .type = (kind),                                                                               \
     OPTION_FIELD(struct general_options, field),                                                  \
     __VA_ARGS__}
#define KEDA_ROW(name, ...) ROW(name, OPTION_STRING, keda, __VA_ARGS__)
#define STEERING_ROW(name, field, ...)                                                             \
    ROW(name, OPTION_STRING, field, .flags = OPTION_STEERS, __VA_ARGS__)

#define POLICY(name, kind, member, ...)                                                            \
    ROW(name, kind, policy.member, .flags = OPTION_POLICY, __VA_ARGS__)
#define BURST(name)                                                                                \
    {.key = (name),                                                                                \
     .scope = OPTION_TARGET,                                                                       \
     .type = OPTION_UNSUPPORTED,                                                                   \
     .flags = OPTION_POLICY,                                                                       \
     .doc = "write both as steps, such as steps: \"41=5\": from 41 waiting messages on at "        \
            "least 5 replicas"}

static const char key_interval[] = "interval";
static const char key_hold[] = "hold";
const char general_hold_window[] = "holdWindow";

/* Those of a policy, too; what its texts mean, and the rules across its keys, are in
 * policy/policy_options.c.
 *
 * Below a second a stream (external-push) is the better way; and who measures less often than once
 * an hour would be answered with what was true an hour ago. */
const struct option general_table[] = {
    STEERING_ROW("scaler", scaler,
                 .doc = "required: the kind of source, the title of a section below"),
    STEERING_ROW("connectionName", connection_name,
                 .doc =
                     "a connection of the connections file, instead of the keys of the connection"),
    STEERING_ROW(
        CREDENTIALS_KEY, trigger_authentication,
        .doc =
            "a TriggerAuthentication of the trigger's namespace, whose parameters are used as keys "
            "of the connection; needs --kubernetes. Without it authenticationRef counts"),
    STEERING_ROW(CREDENTIALS_CLUSTER_KEY, cluster_trigger_authentication,
                 .doc = "the same of a ClusterTriggerAuthentication; it, or "
                        "--kubernetes-cluster-authentications, must name the address"),
    ROW(key_interval, OPTION_DURATION, rules.interval_ms, .limits = {1000, 3600 * 1000.0},
        .doc = "time between two measurements; where triggers share a query, the shortest counts; "
               "default: --interval"),
    ROW(key_hold, OPTION_DURATION, rules.hold_ms, .limits = {0, 24 * 3600 * 1000.0},
        .doc = "how long an active trigger gets the held value, the largest of holdWindow, while "
               "measuring fails; default: --hold. With a fallback in the ScaledObject set 60s"),
    ROW(general_hold_window, OPTION_DURATION, rules.hold_window_ms, .default_value = "5m",
        .limits = {0, 3600 * 1000.0},
        .doc =
            "set it to the HPA's scaleDown.stabilizationWindowSeconds: the held value is the "
            "largest of this time before measuring failed, so that it removes no "
            "replica, and rarely starts one. With --kubernetes the ScaledObject's, where it sets "
            "one, counts instead of this key"),
    POLICY("scaleDownWhenIdle", OPTION_DURATION, settings.idle_ms,
           .limits = {1000, 24 * 3600 * 1000.0},
           .doc = "no replica is removed until nothing has been waiting or in flight for this "
                  "long; then all are"),
    POLICY("inFlightPerReplica", OPTION_FLOAT, settings.in_flight_per_replica,
           .limits = {1e-6, 1e9},
           .doc = "at least as many replicas as messages in flight divided by this"),
    BURST("burstThreshold"),
    BURST("burstReplicas"),
    POLICY(
        "steps", OPTION_STRING, steps,
        .doc =
            "minimum replicas by level: 1=1,10=2,100=5 is 2 replicas from 10 waiting "
            "messages on. A level ends when fewer wait than the next lower level needs. Beside a "
            "target of the trigger (or maxWait) the larger number counts"),
    POLICY("maxReplicaCount", OPTION_INT, settings.max_replicas, .limits = {1, POLICY_MAX_REPLICAS},
           .doc = "the same as in the ScaledObject, which KEDA does not send: when all replicas "
                  "are needed, 20 % more are returned, so that the HPA's tolerance does not stop "
                  "the last ones"),
    POLICY("maxWait", OPTION_DURATION, settings.max_wait_ms, .limits = {1000, 24 * 3600 * 1000.0},
           .doc = "the objective: a message that arrives now is started within this time; needs "
                  "ratePerReplica"),
    POLICY("ratePerReplica", OPTION_STRING, rate,
           .doc = "messages that one replica processes per second, or \"measured\" where the "
                  "source reports consumers"),
    POLICY("utilization", OPTION_FLOAT, settings.utilization, .default_value = "1",
           .limits = {0.1, 1},
           .doc = "with maxWait: the share of ratePerReplica to plan with; below 1 more replicas "
                  "run and messages wait for less time"),
    POLICY("startTime", OPTION_DURATION, settings.start_ms, .default_value = "20s",
           .limits = {0, 3600 * 1000.0},
           .doc = "with maxWait: time from the start of a replica until it works"),
    POLICY("consumersPerReplica", OPTION_FLOAT, settings.consumers_per_replica,
           .default_value = "1", .limits = {1e-6, 1e6},
           .doc = "consumers that one replica has at the source; used by ratePerReplica: measured "
                  "and by scaleDownWhenIdle"),
    KEDA_ROW("scalerAddress", .doc = "KEDA's: the address of this server"),
    KEDA_ROW("enableTLS", .doc = "KEDA's: use TLS for calls to this server"),
    KEDA_ROW("unsafeSsl", .doc = "KEDA's: do not verify this server's certificate"),
    KEDA_ROW("caCert", .doc = "KEDA's: the authority of this server's certificate"),
    KEDA_ROW("tlsClientCert", .doc = "KEDA's: the certificate that it shows to this server"),
    KEDA_ROW("tlsClientKey", .flags = OPTION_SECRET, .doc = "KEDA's: the key of tlsClientCert"),
    KEDA_ROW("tlsCertFile", .doc = "KEDA's before 2.9: as caCert"),
    KEDA_ROW("metricName",
             .doc = "KEDA's before 2.12; accepted and ignored: the scaler names the metric"),
    {0},
};

const struct option *general_find_steering(const char *key)
{
    const struct option *row = option_find(general_table, key, OPTION_FROM_TRIGGER);
    return row != NULL && row->flags & OPTION_STEERS ? row : NULL;
}

bool general_is_policy(const char *key)
{
    for (const struct option *row = general_table; row->key != NULL; row++)
        if (text_equal(key, row->key))
            return row->flags & OPTION_POLICY;
    return false;
}

bool general_gives_policy(const char *key, const char *value)
{
    const struct option *row = option_find(general_table, key, OPTION_FROM_TRIGGER);
    _cleanup_(memory_free) char *trimmed = text_trimmed(value);
    if (row == NULL || !(row->flags & OPTION_POLICY) || *trimmed == '\0')
        return false;
    /* A number with a default says how, and a choice that is its default changes nothing. */
    return row->default_value == NULL ||
           (row->type == OPTION_CHOICE && !text_equal(trimmed, row->default_value));
}

static bool gives_policy(const struct option_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (general_gives_policy(entries[i].key, entries[i].value))
            return true;
    return false;
}

/* The caller frees the values, whose data are struct general_options. */
static struct option_values *parse(const struct option_entry *entries, size_t count,
                                   struct error *mistakes)
{
    static const size_t sizes[OPTION_SCOPES] = {[OPTION_TARGET] = sizeof(struct general_options)};
    const struct option_input input = {entries, count, OPTION_FROM_TRIGGER};
    struct option_values *values =
        option_parse_scope(general_table, sizes, &input, OPTION_TARGET, mistakes);
    struct general_options *options = values->data;
    options->policy.is_set = gives_policy(entries, count);
    return values;
}

struct option_values *general_parse(const struct option_entry *entries, size_t count,
                                    const struct answer_rules *standard, struct error *mistakes)
{
    _cleanup_(memory_free) struct option_entry *own = memory_array(count + 1, sizeof(*own));
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        if (option_find(general_table, entries[i].key, OPTION_FROM_TRIGGER) != NULL)
            own[length++] = entries[i];
    struct option_values *values = parse(own, length, mistakes);
    struct general_options *options = values->data;
    bool has_interval = option_text(values, key_interval) != NULL;
    options->rules.interval_is_set = standard->interval_is_set || has_interval;
    if (!has_interval)
        options->rules.interval_ms = standard->interval_ms;
    if (option_text(values, key_hold) == NULL)
        options->rules.hold_ms = standard->hold_ms;
    return values;
}

bool general_parse_policy(const struct option_entry *entries, size_t count,
                          struct policy_settings *ret_settings, struct error *mistakes)
{
    struct option_values *values = parse(entries, count, mistakes);
    const struct general_options *options = values->data;
    bool is_set = policy_options_compile(&options->policy, ret_settings, mistakes);
    option_values_free(values);
    return is_set;
}
