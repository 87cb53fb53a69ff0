#include "cli/command.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "commands/check_output.h"
#include "commands/finding_output.h"
#include "config/connections_load.h"
#include "manifest/checks/check.h"
#include "manifest/checks/connections_check.h"
#include "manifest/measurement/measurement.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

struct check_flags {
    const char *config;
    bool measures;
    bool has_kubernetes;
    bool is_strict;
    bool hides_notes;
    const char *namespace;
    const char *keda_namespace;
    int64_t replicas;
    int64_t deadline_ms;
    struct option_list variables;
    int output;
};

#define FLAG(...) COMMAND_FLAG(struct check_flags, __VA_ARGS__)

static const struct option table[] = {
    FLAG("config", OPTION_STRING, config, NULL, .group = "Checking", .value_name = "FILE",
         .doc = "the connections file that triggers name connections of; it is checked, too"),
    FLAG("kubernetes", OPTION_BOOL, has_kubernetes, "false",
         .doc = "the server reads TriggerAuthentications (--kubernetes, the chart's "
                "kubernetes.enabled)"),
    FLAG("namespace", OPTION_STRING, namespace, NULL, .doc = "of manifests that name none"),
    FLAG("keda-namespace", OPTION_STRING, keda_namespace, "keda", .value_name = "NAMESPACE",
         .doc = "where KEDA is, and the Secrets and ConfigMaps of ClusterTriggerAuthentications"),
    FLAG("strict", OPTION_BOOL, is_strict, "false", .doc = "warnings count as mistakes"),
    FLAG("measure", OPTION_BOOL, measures, "false", .group = "Measuring",
         .doc = "measure each trigger once, and show the replicas that would follow. It sends the "
                "credentials in the files to the addresses in the files: review files from other "
                "people first"),
    VARIABLES_FLAG,
    FLAG("replicas", OPTION_INT, replicas, "-1", .limits = {-1, INT32_MAX},
         .doc = "with --measure: that there are now; -1: minReplicaCount"),
    FLAG("timeout", OPTION_DURATION, deadline_ms, "15s", .limits = {100, 600 * 1000},
         .doc = "with --measure: for all measurements together"),
    OUTPUT_FLAG(.doc = "text, or one JSON object per line"),
    FLAG("quiet", OPTION_BOOL, hides_notes, "false", .doc = "no notes"),
    {0},
};

static void read_files(const struct command_line *line, const struct check_flags *flags,
                       struct manifests *manifests, struct findings *findings)
{
    for (size_t i = 0; i < line->operand_count; i++)
        manifests_add(manifests, line->operands[i], findings);
    if (flags->config != NULL)
        manifests_add(manifests, flags->config, findings);
    for (size_t i = 0; flags->namespace != NULL && i < manifests->object_count; i++)
        if (manifests->objects[i].namespace == NULL)
            manifests->objects[i].namespace = flags->namespace;
}

static void print_summary(const struct check_flags *flags, const struct manifests *manifests,
                          const struct findings *findings, const struct check_counts *counts)
{
    if (flags->output == OUTPUT_JSON) {
        console_print_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "type", "summary", "files",
            (json_int_t)manifests->file_count, "objects", (json_int_t)counts->objects, "triggers",
            (json_int_t)counts->triggers, "movable", (json_int_t)counts->movable, "errors",
            (json_int_t)findings->counts[FINDING_ERROR], "warnings",
            (json_int_t)findings->counts[FINDING_WARNING]));
        return;
    }
    size_t errors = findings->counts[FINDING_ERROR];
    size_t warnings = findings->counts[FINDING_WARNING];
    printf("%zu file%s, %zu object%s, %zu trigger%s: %zu error%s, %zu warning%s\n",
           manifests->file_count, text_plural(manifests->file_count), counts->objects,
           text_plural(counts->objects), counts->triggers, text_plural(counts->triggers), errors,
           text_plural(errors), warnings, text_plural(warnings));
}

/* False: nothing could be measured. `ret_failed`: how many triggers could not be. */
static bool measure(const struct check_flags *flags, const struct manifests *manifests,
                    size_t *ret_failed, struct error *error)
{
    struct connections *connections = NULL;
    if (flags->config != NULL && !connections_load(flags->config, false, NULL, &connections, error))
        return false;
    struct measurement measurement;
    const struct measurement_settings settings = {
        .scalers = scaler_list,
        .connections = connections,
        .namespace = flags->namespace == NULL ? "default" : flags->namespace,
        .deadline_ms = flags->deadline_ms,
        .variables = &flags->variables,
        .has_kubernetes = flags->has_kubernetes,
    };
    measurement_run(&settings, manifests, &measurement);
    const struct check_output output = {.replicas = flags->replicas,
                                        .is_json = flags->output == OUTPUT_JSON};
    *ret_failed = check_output_print(&output, &measurement);
    measurement_done(&measurement);
    return true;
}

static int run_check(const struct command_line *line, struct error *error)
{
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(findings_done) struct findings findings = {0};
    const struct check_flags *flags = line->flags;
    struct check_counts counts;
    size_t failed = 0;
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    signal(SIGPIPE, SIG_IGN);
    manifests.cluster_namespace = flags->keda_namespace;
    read_files(line, flags, &manifests, &findings);
    struct connections *connections = connections_check(scaler_list, &manifests, &findings);
    const struct check_settings settings = {scaler_list, flags->has_kubernetes};
    manifests_check(&settings, &manifests, connections, &findings, &counts);
    connections_free(connections);
    findings_sort(&findings);
    findings_print(&findings, stdout, flags->output == OUTPUT_JSON, flags->hides_notes);
    bool is_measured = !flags->measures || measure(flags, &manifests, &failed, error);
    print_summary(flags, &manifests, &findings, &counts);
    bool is_bad = findings.counts[FINDING_ERROR] > 0 || failed > 0 || !is_measured ||
                  (flags->is_strict && findings.counts[FINDING_WARNING] > 0);
    return is_bad;
}

const struct command command_check = {
    .name = "check",
    .summary = "find mistakes in ScaledObjects, ScaledJobs and connections files",
    .operands = "FILE|FOLDER|- ...",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .about =
        "Reads ScaledObjects, ScaledJobs and connections files, and reports mistakes with file "
        "and line, before a cluster sees them. Triggers of KEDA's own types are understood, "
        "too: what `backlog migrate` can move, and what it cannot.",
    .exit_status = "0 no mistake; 1 mistakes, with --strict also warnings, with --measure also "
                   "triggers that could not be measured",
    .examples = {{"all manifests of a repository, as a step of CI",
                  "backlog check --strict --config connections.yaml deploy/"},
                 {"what would happen now: measured for real",
                  "backlog check --measure scaledobject.yaml"},
                 {"a chart's output", "helm template . | backlog check -"}},
    .flags = table,
    .flags_size = sizeof(struct check_flags),
    .run = run_check,
};
