#include "cli/command.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "client/http_client.h"
#include "commands/finding_output.h"
#include "commands/kubectl.h"
#include "manifest/measurement/comparison.h"

#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { METRICS_TIMEOUT_MS = 20 * 1000 };

struct compare_flags {
    const char *context;
    const char *keda_namespace;
    const char *keda_metrics;
    const char *namespace;
    int64_t for_ms;
    int64_t interval_ms;
    int64_t timeout_ms;
    bool shows_all;
    int output;
};

#define FLAG(...) COMMAND_FLAG(struct compare_flags, __VA_ARGS__)

static const struct option table[] = {
    FLAG("for", OPTION_DURATION, for_ms, "10m", .limits = {1000, 31LL * 24 * 3600 * 1000},
         .group = "Comparing", .doc = "how long; the table comes at the end, or with Ctrl-C"),
    FLAG("interval", OPTION_DURATION, interval_ms, "15s", .limits = {1000, 3600 * 1000},
         .doc = "between two rounds"),
    FLAG("timeout", OPTION_DURATION, timeout_ms, "10s", .limits = {100, 600 * 1000},
         .doc = "for the measurements of one round"),
    FLAG("keda-metrics", OPTION_STRING, keda_metrics, NULL, .group = "The cluster",
         .value_name = "ADDRESS",
         .doc = "the metrics of KEDA's operator: HOST:PORT or a URL; default: through kubectl and "
                "the API server's proxy to the Service keda-operator"),
    FLAG("keda-namespace", OPTION_STRING, keda_namespace, "keda", .value_name = "NAMESPACE",
         .doc = "where KEDA is: its Service, and the Secrets and ConfigMaps of "
                "ClusterTriggerAuthentications"),
    FLAG("context", OPTION_STRING, context, NULL, .value_name = "NAME",
         .doc = "of kubectl; default: its current one"),
    FLAG("namespace", OPTION_STRING, namespace, "default", .doc = "of manifests that name none"),
    OUTPUT_FLAG(.doc = "text, or one JSON object per line"),
    FLAG("all", OPTION_BOOL, shows_all, "false",
         .doc = "equal triggers, too: the table has only the others; JSON has all"),
    {0},
};

static volatile sig_atomic_t is_ended;

static void on_end(int number)
{
    (void)number;
    is_ended = 1;
}

/* ---- KEDA's metrics ---- */

static const char hint[] = "KEDA's chart serves the operator's metrics only with "
                           "prometheus.operator.enabled=true; another "
                           "address: --keda-metrics";

static bool fetch_page(const char *address, struct text *page, struct error *error)
{
    const char *scheme = strstr(address, "://");
    const char *host = scheme == NULL ? address : scheme + 3;
    const char *path = strchr(host, '/');
    _cleanup_(memory_free) char *server =
        text_copy_bytes(address, path == NULL ? strlen(address) : (size_t)(path - address));
    struct http_client *client =
        http_client_new(&(struct http_server){.address = server, .hint = hint}, METRICS_TIMEOUT_MS);
    bool has_path = path != NULL && !text_equal(path, "/");
    bool good = http_client_get(client, has_path ? path : "/metrics", page, error);
    http_client_free(client);
    return good || error_prefix(error, "KEDA's metrics");
}

static bool read_metrics(const struct compare_flags *flags, struct keda_metrics *ret_metrics,
                         struct error *error)
{
    _cleanup_(text_done) struct text page = {0};
    _cleanup_(memory_free) char *path = text_format(
        "/api/v1/namespaces/%s/services/keda-operator:8080/proxy/metrics", flags->keda_namespace);
    const char *const words[] = {"--raw", path, NULL};
    *ret_metrics = (struct keda_metrics){0};
    if (flags->keda_metrics != NULL && !fetch_page(flags->keda_metrics, &page, error))
        return false;
    if (flags->keda_metrics == NULL && !kubectl_get(flags->context, words, &page, error))
        return error_set(error, error->code, "KEDA's metrics: %s: %s", error_text(error), hint);
    keda_metrics_parse(page.bytes == NULL ? "" : page.bytes, ret_metrics);
    return true;
}

/* ---- the table ---- */

static void print_row_json(const struct comparison_row *row, const char *reason)
{
    size_t changing = row->above + row->below;
    console_print_json(json_pack(
        "{s:s, s:o, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "type", "trigger",
        "object", console_json_text(row->object->label), "trigger", (json_int_t)row->trigger->index,
        "scaler", row->trigger->type, "verdict", comparison_verdict_names[comparison_verdict(row)],
        "equal", (json_int_t)row->equal, "different", (json_int_t)row->different, "changing",
        (json_int_t)changing, "failed", (json_int_t)row->failed, "absent", (json_int_t)row->absent,
        "keda", console_json_number(row->keda), "backlog", console_json_number(row->own), "reason",
        reason == NULL ? json_null() : console_json_text(reason)));
}

static void print_number(double value)
{
    if (isnan(value))
        printf(" %10s", "-");
    else
        printf(" %10.10g", value);
}

static void print_row(const struct comparison_row *row, const char *reason)
{
    _cleanup_(memory_free) char *label =
        text_format("%s %zu %s", row->object->label, row->trigger->index, row->trigger->type);
    _cleanup_(memory_free) char *clean = console_text(label);
    _cleanup_(memory_free) char *why = console_text(reason == NULL ? "" : reason);
    printf("%-40s %-9s %6zu/%-6zu", clean, comparison_verdict_names[comparison_verdict(row)],
           row->equal, comparison_rounds(row));
    print_number(row->keda);
    print_number(row->own);
    printf("  %s\n", why);
}

static void print_counts(FILE *file, const struct comparison *comparison, const size_t *counts)
{
    fprintf(file,
            "%zu trigger%s: %zu equal, %zu different, %zu unclear, %zu failed here, %zu without a "
            "value of KEDA\n",
            comparison->count, text_plural(comparison->count), counts[COMPARISON_EQUAL],
            counts[COMPARISON_DIFFERENT], counts[COMPARISON_UNCLEAR], counts[COMPARISON_FAILED],
            counts[COMPARISON_ABSENT]);
}

/* After the rounds that change the counts. `printed` is of the last line. */
static void print_progress(const struct comparison *comparison, int64_t since_ms, size_t *printed)
{
    size_t counts[COMPARISON_VERDICTS] = {0};
    for (size_t i = 0; i < comparison->count; i++)
        counts[comparison_verdict(&comparison->items[i])]++;
    if (memcmp(counts, printed, sizeof(counts)) == 0)
        return;
    fprintf(stderr, "after %" PRId64 " s: ", since_ms / 1000);
    print_counts(stderr, comparison, counts);
    memcpy(printed, counts, sizeof(counts));
}

static void print_summary(const struct comparison *comparison, const size_t *counts, bool is_json)
{
    if (!is_json) {
        print_counts(stdout, comparison, counts);
        return;
    }
    json_t *summary =
        json_pack("{s:s, s:I}", "type", "summary", "triggers", (json_int_t)comparison->count);
    for (int i = 0; i < COMPARISON_VERDICTS; i++)
        json_object_set_new(summary, comparison_verdict_names[i],
                            json_integer((json_int_t)counts[i]));
    console_print_json(summary);
}

/* Returns whether all are equal. */
static bool print_table(const struct compare_flags *flags, const struct comparison *comparison)
{
    size_t counts[COMPARISON_VERDICTS] = {0};
    bool is_json = flags->output == OUTPUT_JSON, has_title = is_json;
    for (size_t i = 0; i < comparison->count; i++) {
        const struct comparison_row *row = &comparison->items[i];
        enum comparison_verdict verdict = comparison_verdict(row);
        _cleanup_(memory_free) char *reason = comparison_reason(row);
        counts[verdict]++;
        if (is_json)
            print_row_json(row, reason);
        else if (flags->shows_all || verdict != COMPARISON_EQUAL) {
            if (!has_title)
                printf("%-40s %-9s %6s/%-6s %10s %10s  %s\n", "trigger", "", "equal", "rounds",
                       "KEDA", "Backlog", "likely reason");
            has_title = true;
            print_row(row, reason);
        }
    }
    print_summary(comparison, counts, is_json);
    return counts[COMPARISON_EQUAL] == comparison->count;
}

/* ---- the command ---- */

static void wait_until(int64_t time_ms)
{
    for (int64_t left_ms; !is_ended && (left_ms = time_ms - clock_now_ms()) > 0;)
        poll(NULL, 0, left_ms > 1000 ? 1000 : (int)left_ms);
}

/* A page that cannot be had is a warning: a day is long, and KEDA may restart in it. */
static bool run_rounds(const struct compare_flags *flags, struct measurement_rounds *rounds,
                       struct comparison *comparison, struct error *error)
{
    int64_t began_ms = clock_now_ms();
    int64_t end_ms = began_ms + flags->for_ms;
    size_t printed[COMPARISON_VERDICTS] = {0};
    bool has_any = false;
    for (int64_t next_ms = clock_now_ms(); !is_ended; next_ms += flags->interval_ms) {
        _cleanup_(keda_metrics_done) struct keda_metrics metrics = {0};
        _cleanup_(error_done) struct error failure = {0};
        next_ms = next_ms < clock_now_ms() ? clock_now_ms() : next_ms;
        wait_until(next_ms);
        if (clock_now_ms() > end_ms || is_ended)
            break;
        if (!read_metrics(flags, &metrics, &failure)) {
            if (!has_any) {
                error_move(error, &failure);
                return false;
            }
            fputs("warning: ", stderr);
            console_print(stderr, error_text(&failure));
            fputs("\n", stderr);
            comparison_skip(comparison);
            continue;
        }
        has_any = true;
        measurement_round(rounds);
        comparison_add(comparison, &metrics, flags->namespace, clock_now_ms());
        if (flags->output != OUTPUT_JSON)
            print_progress(comparison, clock_now_ms() - began_ms, printed);
    }
    return true;
}

static bool compare(const struct compare_flags *flags, const struct manifests *manifests,
                    bool *ret_are_equal, struct error *error)
{
    struct measurement measurement;
    struct comparison comparison;
    const struct measurement_settings settings = {
        .scalers = scaler_list,
        .namespace = flags->namespace,
        .deadline_ms = flags->timeout_ms,
        .is_of_cluster = true,
    };
    struct measurement_rounds *rounds = measurement_begin(&settings, manifests, &measurement);
    comparison_begin(scaler_list, &measurement, flags->interval_ms, &comparison);
    bool good =
        comparison.count > 0
            ? run_rounds(flags, rounds, &comparison, error)
            : error_invalid(error, "nothing to compare: there is no trigger of one of KEDA's "
                                   "own types that Backlog has");
    if (good)
        *ret_are_equal = print_table(flags, &comparison);
    measurement_end(rounds);
    comparison_done(&comparison);
    measurement_done(&measurement);
    return good;
}

static int run_compare(const struct command_line *line, struct error *error)
{
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(findings_done) struct findings findings = {0};
    const struct compare_flags *flags = line->flags;
    manifests.cluster_namespace = flags->keda_namespace;
    const struct sigaction action = {.sa_handler = on_end};
    bool are_equal = false;
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < line->operand_count; i++)
        manifests_add(&manifests, line->operands[i], &findings);
    if (line->operand_count == 0) {
        if (!kubectl_read(flags->context, &manifests, &findings, error))
            return 1;
        kubectl_read_secrets(flags->context, flags->keda_namespace, &manifests, &findings);
    }
    findings_print(&findings, stderr, flags->output == OUTPUT_JSON, true);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    bool good = compare(flags, &manifests, &are_equal, error);
    return good && are_equal && findings.counts[FINDING_ERROR] == 0 ? 0 : 1;
}

const struct command command_compare = {
    .name = "compare",
    .summary = "compare KEDA's values with Backlog's, without scaling anything",
    .operands = "[FILE|FOLDER|- ...]",
    .min_operands = 0,
    .max_operands = SIZE_MAX,
    .about =
        "Measures each trigger of KEDA's own types as Backlog would after a move, and compares it "
        "with keda_scaler_metrics_value of KEDA's operator. Objects and the Secrets that they name "
        "come from the cluster, through kubectl and with its rights, or from files. It measures "
        "in this process, so it must run where the sources can be reached. Nothing is changed, "
        "and no server of Backlog is needed. KEDA's chart serves the metrics with "
        "prometheus.operator.enabled=true, which is not its default.\n\n"
        "KEDA's value is as old as its last poll. It is equal where it is between those measured "
        "here since then.",
    .exit_status = "0 all triggers are equal; 1 some are not, could not be compared, or there are "
                   "none",
    .examples = {{"for a day, on a machine that reaches the sources", "backlog compare --for 24h"},
                 {"of one file, behind `kubectl -n keda port-forward deploy/keda-operator 8080`",
                  "backlog compare --keda-metrics localhost:8080 --for 1h scaledobject.yaml"}},
    .flags = table,
    .flags_size = sizeof(struct compare_flags),
    .run = run_compare,
};
