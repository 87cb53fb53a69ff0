#include "cli/command.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/common_flags.h"
#include "client/endpoints.h"
#include "client/scaler_client.h"
#include "commands/check_output.h"
#include "commands/finding_output.h"
#include "manifest/measurement/measurement.h"
#include "manifest/sent_entries.h"
#include "manifest/yaml_text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct call_flags {
    struct option_list files;
    struct option_list variables;
    const char *server;
    const char *namespace;
    const char *name;
    int64_t timeout_ms;
    int64_t replicas;
    bool specs_only;
    struct grpc_socket_tls tls;
    int output;
};

#define FLAG(...) COMMAND_FLAG(struct call_flags, __VA_ARGS__)

static const struct option table[] = {
    FILES_FLAG(.flags = OPTION_REPEATED, .group = "Triggers",
               .doc = "ScaledObjects and ScaledJobs (YAML): a file, a folder, or - for standard "
                      "input; instead of KEY=VALUE; may be repeated"),
    VARIABLES_FLAG,
    FLAG("name", OPTION_STRING, name, "ask", .doc = "of the ScaledObject, with KEY=VALUE"),
    FLAG("namespace", OPTION_STRING, namespace, "default",
         .doc = "of it, and of manifests that name none"),
    FLAG("replicas", OPTION_INT, replicas, "-1", .limits = {-1, INT32_MAX},
         .doc = "that there are now; -1: minReplicaCount"),
    FLAG("metric-spec", OPTION_BOOL, specs_only, "false",
         .doc = "only GetMetricSpec: whether the server accepts the triggers; it measures nothing "
                "for that"),

    FLAG("server", OPTION_STRING, server, NULL, .group = "The server", .value_name = "ADDRESS",
         .doc = "address of the server; without it each trigger's scalerAddress"),
    FLAG("timeout", OPTION_DURATION, timeout_ms, "10s", .limits = {100, 60 * 1000},
         .doc = "for all calls to one server"),
    TLS_FLAGS,

    OUTPUT_FLAG(.doc = "text, or one JSON object per line"),
    {0},
};

/* One trigger, as it is polled. */
struct polled_trigger {
    const struct measured_object *object;
    struct measured_trigger *result;
    struct endpoint *endpoint; /* NULL: it failed before */
    struct entries entries;
    struct option_entry *plain;
};

struct polling {
    const struct call_flags *flags;
    const struct manifests *manifests;
    struct endpoints endpoints;
    struct polled_trigger *triggers;
    size_t count;
};

/* ---- the manifests ---- */

/* A trigger of the command line, as a manifest has it. */
static void add_operands(const struct command_line *line, const struct call_flags *flags,
                         struct manifests *manifests, struct findings *findings)
{
    _cleanup_(text_done) struct text text = {0};
    text_add(&text, "kind: ScaledObject\nmetadata:\n  name: ");
    yaml_add_text(&text, flags->name);
    text_add(&text, "\nspec:\n  triggers:\n    - type: external\n      metadata:\n");
    for (size_t i = 0; i < line->operand_count; i++) {
        const char *equals = strchr(line->operands[i], '=');
        _cleanup_(memory_free) char *key =
            text_copy_bytes(line->operands[i], (size_t)(equals - line->operands[i]));
        text_add(&text, "        ");
        yaml_add_text(&text, key);
        text_add(&text, ": ");
        yaml_add_text(&text, equals + 1);
        text_add(&text, "\n");
    }
    manifests_add_text(manifests, "command line", text.bytes, text.length, findings);
}

/* For messages. */
static const char *what_is_read(const struct call_flags *flags)
{
    return flags->files.count == 0   ? "KEY=VALUE"
           : flags->files.count == 1 ? flags->files.items[0]
                                     : "--file";
}

static bool read_manifests(const struct command_line *line, struct manifests *manifests,
                           struct error *error)
{
    const struct call_flags *flags = line->flags;
    _cleanup_(findings_done) struct findings findings = {0};
    for (size_t i = 0; i < flags->files.count; i++)
        manifests_add(manifests, flags->files.items[i], &findings);
    if (flags->files.count == 0)
        add_operands(line, flags, manifests, &findings);
    for (size_t i = 0; i < manifests->object_count; i++)
        if (manifests->objects[i].namespace == NULL)
            manifests->objects[i].namespace = flags->namespace;
    findings_print(&findings, stderr, false, false);
    return findings.counts[FINDING_ERROR] == 0 ||
           error_invalid(error, "%s cannot be read", what_is_read(flags));
}

/* ---- polling ---- */

static void fail(struct measured_trigger *result, const struct error *error)
{
    result->answer.is_failed = true;
    if (&result->error != error)
        error_copy(&result->error, error);
}

static void prepare(struct polling *polling, struct polled_trigger *trigger)
{
    struct error *error = &trigger->result->error;
    const struct entry *address = NULL;
    const struct call_flags *flags = polling->flags;
    const struct sent_entries_source source = {.scalers = scaler_list,
                                               .manifests = polling->manifests,
                                               .variables = &flags->variables,
                                               .is_typed = flags->files.count == 0};
    if (!sent_entries_read(&source, trigger->object->object, trigger->result->index,
                           &trigger->entries, error)) {
        fail(trigger->result, error);
        return;
    }
    trigger->plain = entries_plain(&trigger->entries, NULL);
    address = entries_find(&trigger->entries, "scalerAddress");
    const char *server = flags->server != NULL ? flags->server
                         : address == NULL     ? NULL
                                               : address->value;
    if (server == NULL)
        error_invalid(error, "the trigger has no scalerAddress: give --server");
    else if ((trigger->endpoint = endpoints_find(&polling->endpoints, server)) == NULL)
        error_invalid(error, "more than %d servers: give --server", ENDPOINTS_MAX);
    if (trigger->endpoint == NULL)
        fail(trigger->result, error);
}

static void take(struct polled_trigger *trigger, struct scaler_client_answer *answer)
{
    struct measured_trigger *result = trigger->result;
    result->answer = (struct model_answer){
        .has_target = answer->has_target,
        .target = answer->target,
        .is_failed = answer->is_failed,
        .value = answer->value,
        .is_active = answer->is_active,
    };
    free(result->metric_name);
    result->metric_name = text_copy(answer->metric_name);
    if (answer->is_failed)
        error_copy(&result->error, &answer->error);
    scaler_client_answer_done(answer);
}

/* All triggers of one server, side by side on one connection. A silent server takes no other's
 * time. */
static void poll_endpoint(struct polling *polling, struct endpoint *endpoint)
{
    int64_t deadline_ms = clock_now_ms() + polling->flags->timeout_ms;
    size_t count = 0;
    _cleanup_(memory_free) struct scaler_client_ref *refs =
        memory_array(polling->count, sizeof(*refs));
    _cleanup_(memory_free) struct scaler_client_answer *answers =
        memory_array(polling->count, sizeof(*answers));
    bool is_connected = endpoints_connect(&polling->endpoints, endpoint, deadline_ms);
    for (size_t i = 0; i < polling->count; i++) {
        struct polled_trigger *trigger = &polling->triggers[i];
        const struct manifest_object *object = trigger->object->object;
        if (trigger->endpoint == endpoint && !is_connected)
            fail(trigger->result, &endpoint->error);
        else if (trigger->endpoint == endpoint)
            refs[count++] = (struct scaler_client_ref){object->name, object->namespace,
                                                       trigger->plain, trigger->entries.count};
    }
    if (!is_connected)
        return;
    (polling->flags->specs_only ? scaler_client_read_specs : scaler_client_read)(
        endpoint->client, refs, count, deadline_ms, answers);
    count = 0;
    for (size_t i = 0; i < polling->count; i++)
        if (polling->triggers[i].endpoint == endpoint)
            take(&polling->triggers[i], &answers[count++]);
}

static void poll_all(struct polling *polling, struct measurement *measurement)
{
    for (size_t i = 0; i < measurement->count; i++)
        for (size_t t = 0; t < measurement->items[i].count; t++) {
            struct polled_trigger *trigger = &polling->triggers[polling->count++];
            trigger->object = &measurement->items[i];
            trigger->result = &measurement->items[i].triggers[t];
            prepare(polling, trigger);
        }
    for (size_t i = 0; i < polling->endpoints.count; i++)
        poll_endpoint(polling, &polling->endpoints.items[i]);
}

static void polling_done(struct polling *polling)
{
    endpoints_done(&polling->endpoints);
    for (size_t i = 0; i < polling->count; i++) {
        entries_done(&polling->triggers[i].entries);
        free(polling->triggers[i].plain);
    }
    free(polling->triggers);
}

/* ---- the command ---- */

static void check_calls(const struct command_line *line, struct text *mistakes)
{
    const struct call_flags *flags = line->flags;
    if ((flags->files.count == 0) == (line->operand_count == 0))
        command_mistake(mistakes, "give either --file, or KEY=VALUE of a trigger's metadata");
    for (size_t i = 0; i < line->operand_count; i++)
        if (strchr(line->operands[i], '=') == NULL || line->operands[i][0] == '=')
            command_mistake(mistakes, "\"%s\" must be KEY=VALUE", line->operands[i]);
    tls_flags_check(&flags->tls, mistakes);
}

static int run_calls(const struct command_line *line, struct error *error)
{
    const struct call_flags *flags = line->flags;
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(measurement_done) struct measurement measurement = {0};
    _cleanup_(polling_done) struct polling polling = {.flags = flags, .manifests = &manifests};
    signal(SIGPIPE, SIG_IGN);
    if (!read_manifests(line, &manifests, error))
        return 1;
    size_t triggers = measurement_prepare(&manifests, &measurement);
    if (triggers == 0) {
        error_invalid(error, "%s: no trigger that a server can measure", what_is_read(flags));
        return 1;
    }
    polling.triggers = memory_array(triggers, sizeof(*polling.triggers));
    polling.endpoints.tls = tls_flags_settings(&flags->tls);
    poll_all(&polling, &measurement);
    const struct check_output output = {.replicas = flags->replicas,
                                        .is_json = flags->output == OUTPUT_JSON,
                                        .by_call = true,
                                        .specs_only = flags->specs_only};
    return check_output_print(&output, &measurement) > 0;
}

const struct command command_ask = {
    .name = "ask",
    .summary = "call a server as KEDA does, once",
    .operands = "[KEY=VALUE ...]",
    .max_operands = 256,
    .about = "Makes the calls of KEDA's poll (GetMetricSpec, GetMetrics, IsActive) over gRPC, with "
             "TLS if wanted, and shows what KEDA gets and which replicas follow. Triggers of "
             "KEDA's own types are sent as `backlog migrate` would write them. KEYFromEnv "
             "is taken from the environment of this command; of files only with --env.",
    .exit_status = "0 every trigger has a value (with --metric-spec: a target); 1 one has none",
    .examples = {{"a ScaledObject, behind `kubectl -n keda port-forward svc/backlog 9090`",
                  "backlog ask -f scaledobject.yaml --server localhost:9090"},
                 {"without a file",
                  "backlog ask --server localhost:9090 scaler=redis address=r:6379 listName=jobs"},
                 {"with KEDA's certificate",
                  "backlog ask -f so.yaml --tls-ca ca.crt --tls-cert tls.crt --tls-key tls.key"}},
    .flags = table,
    .flags_size = sizeof(struct call_flags),
    .check = check_calls,
    .run = run_calls,
};
