#include "commands/explain.h"

#include "base/json_cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "client/http_client.h"
#include "commands/http_json.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

struct explain_flags {
    struct http_server server_http;
    int64_t timeout_ms;
    int output;
};

#define FLAG(...) COMMAND_FLAG(struct explain_flags, __VA_ARGS__)

static const struct option table[] = {
    SERVER_HTTP_FLAGS,
    OUTPUT_FLAG(.doc = "text, or the server's JSON"),
    {0},
};

/* All texts in it: names and metrics are those of whoever calls the server. */
static void clean(json_t *json)
{
    const char *key;
    json_t *item;
    size_t i;
    json_array_foreach(json, i, item)
        clean(item);
    json_object_foreach(json, key, item)
        clean(item);
    if (!json_is_string(json))
        return;
    _cleanup_(memory_free) char *text = text_copy(json_string_value(json));
    console_clean(text);
    json_string_set(json, text);
}

static const char *word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

/* "4 s ago", "3 min ago". The caller frees it. */
static char *ago(double seconds)
{
    return isnan(seconds)   ? text_copy("at an unknown time")
           : seconds < 120  ? text_format("%.3g s ago", seconds)
           : seconds < 7200 ? text_format("%.0f min ago", seconds / 60)
                            : text_format("%.1f h ago", seconds / 3600);
}

const struct reading_words explain_reading_words[] = {
    {"value", "as the value"},
    {"waiting", "waiting"},
    {"waitingForActivation", "counted for activation"},
    {"inFlight", "in flight"},
    {"consumers", "consumers"},
    {"partitions", "partitions"},
    {"partitionsWithLag", "partitions with lag"},
    {"arrivalRate", "arriving per second"},
    {"consumptionRate", "consumed per second"},
    /* Sums since a moment that only the source knows: two of them make a rate. */
    {"arrived", NULL},
    {"consumed", NULL},
    {0},
};

static void print_reading(const json_t *trigger)
{
    const json_t *reading = json_object_get(trigger, "reading");
    const json_t *source = json_object_get(trigger, "source");
    const char *separator = ": ";
    if (!json_is_object(reading)) {
        printf("  Nothing has been measured yet.\n");
        return;
    }
    _cleanup_(memory_free) char *when = ago(http_json_number(reading, "ageSeconds"));
    printf("  Measured %s%s%s", when, word(source, "name")[0] == '\0' ? "" : " through ",
           word(source, "name"));
    for (const struct reading_words *each = explain_reading_words; each->key != NULL; each++) {
        double value = http_json_number(reading, each->key);
        if (each->words == NULL || isnan(value))
            continue;
        printf("%s%.10g %s", separator, value, each->words);
        separator = ", ";
    }
    printf(".\n");
}

static void print_failure(const json_t *trigger)
{
    const json_t *failing = json_object_get(trigger, "failing");
    const json_t *now = json_object_get(trigger, "now");
    if (!json_is_object(failing))
        return;
    printf("  %sMeasuring has failed for %.0f s: %s%s\n", console_begin(stdout, CONSOLE_RED),
           http_json_number(failing, "sinceSeconds"), word(failing, "error"), console_end(stdout));
    if (text_equal(word(now, "state"), "held"))
        printf("  What was known before is answered meanwhile, for at most %.0f s, so that no "
               "worker is removed.\n",
               http_json_number(trigger, "holdSeconds"));
}

static void print_last_answer(const json_t *trigger)
{
    const json_t *last = json_object_get(trigger, "lastAnswer");
    if (!json_is_object(last)) {
        printf("  KEDA has not requested a value yet.\n");
        return;
    }
    _cleanup_(memory_free) char *when = ago(http_json_number(last, "agoSeconds"));
    printf("  KEDA called %s %s", word(last, "call"), when);
    if (word(last, "error")[0] != '\0')
        printf(" and got an error: %s\n", word(last, "error"));
    else
        printf(" and got %.10g, %s.\n", http_json_number(last, "value"),
               json_is_true(json_object_get(last, "active")) ? "active" : "not active");
}

static void print_policy(const json_t *trigger, const char *label)
{
    const json_t *policy = json_object_get(trigger, "policy");
    if (json_is_object(policy))
        printf("  %s: %.0f replicas, bound by %s.\n", label, http_json_number(policy, "replicas"),
               word(policy, "boundBy"));
}

/* The ScaledObject was edited since. */
static bool is_former(const json_t *trigger)
{
    return json_is_true(json_object_get(trigger, "superseded"));
}

static void print_trigger(const json_t *trigger)
{
    const json_t *now = json_object_get(trigger, "now");
    bool is_held = text_equal(word(now, "state"), "held");
    bool is_of_now = text_equal(word(now, "state"), "answered"); /* else of the last reading */
    double replicas = http_json_number(now, "replicas");
    printf("%s%s%s%s (%s): ",
           is_former(trigger) ? "Former metadata, KEDA no longer calls for it: " : "",
           console_begin(stdout, CONSOLE_BOLD), word(trigger, "metricName"), console_end(stdout),
           word(trigger, "scaler")[0] == '\0' ? "no scaler" : word(trigger, "scaler"));
    if (isnan(replicas))
        printf("no value now.\n");
    else if (!json_is_true(json_object_get(now, "active")) && replicas == 0)
        printf("0 replicas: not active.\n");
    else if (json_is_object(json_object_get(trigger, "policy")))
        printf("%.0f replicas, %s.\n", replicas,
               is_held ? "held while measuring fails" : "by its policy");
    else
        printf("%.0f replicas, %s %.10g / %.10g per replica makes %.0f.\n", replicas,
               is_held ? "held while measuring fails:" : "since", http_json_number(now, "value"),
               http_json_number(trigger, "target"), replicas);
    printf("  %s\n", word(trigger, "why"));
    print_policy(trigger, is_of_now ? "Policy" : "Policy, when measured last");
    print_reading(trigger);
    print_failure(trigger);
    print_last_answer(trigger);
}

/* KEDA's HPA takes the largest of the triggers. */
static void print_whole(const char *label, const json_t *triggers)
{
    const json_t *trigger, *leading = NULL;
    double largest = -1;
    size_t i, count = 0, failed = 0;
    json_array_foreach(triggers, i, trigger) {
        if (is_former(trigger))
            continue;
        count++;
        double replicas = http_json_number(json_object_get(trigger, "now"), "replicas");
        failed += isnan(replicas);
        if (!isnan(replicas) && replicas > largest) {
            largest = replicas;
            leading = trigger;
        }
    }
    printf("%s%s%s: ", console_begin(stdout, CONSOLE_BOLD), label, console_end(stdout));
    if (leading == NULL)
        printf("no trigger has a value, so KEDA keeps the replicas, or uses its fallback.\n");
    else if (count == 1)
        printf("%.0f %s wanted.\n", largest, largest == 1 ? "replica is" : "replicas are");
    else
        printf("%.0f %s wanted: of %zu triggers %s needs the most.\n", largest,
               largest == 1 ? "replica is" : "replicas are", count, word(leading, "metricName"));
    if (failed > 0 && leading != NULL)
        printf("%zu %s no value: the HPA does not scale down meanwhile.\n", failed,
               failed == 1 ? "trigger has" : "triggers have");
    printf("The HPA goes there in its own steps: tolerance, stabilization window, policies, "
           "minReplicaCount and maxReplicaCount.\n\n");
}

static void check_explain(const struct command_line *line, struct text *mistakes)
{
    const char *slash = line->operand_count == 0 ? NULL : strchr(line->operands[0], '/');
    if (slash == NULL || slash == line->operands[0] || slash[1] == '\0' ||
        strchr(slash + 1, '/') != NULL)
        command_mistake(mistakes, "\"%s\" must be NAMESPACE/NAME of a ScaledObject",
                        line->operand_count == 0 ? "" : line->operands[0]);
}

static int run_explain(const struct command_line *line, struct error *error)
{
    const struct explain_flags *flags = line->flags;
    const char *label = line->operands[0];
    _cleanup_(memory_free) char *space = text_copy_bytes(label, strcspn(label, "/"));
    _cleanup_(memory_free) char *namespace = http_client_escape(space);
    _cleanup_(memory_free) char *name = http_client_escape(strchr(label, '/') + 1);
    _cleanup_(memory_free) char *path = text_format("/api/triggers/%s/%s", namespace, name);
    struct http_client *client = http_client_new(&flags->server_http, flags->timeout_ms);
    _cleanup_(json_done) json_t *triggers = http_json_get(client, path, NULL, error);
    http_client_free(client);
    if (triggers == NULL)
        return 1;
    if (flags->output == OUTPUT_JSON) {
        console_write_json(triggers, JSON_INDENT(2));
        return 0;
    }
    const json_t *trigger;
    size_t i;
    clean(triggers);
    print_whole(label, triggers);
    json_array_foreach(triggers, i, trigger)
        print_trigger(trigger);
    return 0;
}

const struct command command_explain = {
    .name = "explain",
    .summary = "say why a ScaledObject has its replicas",
    .operands = "NAMESPACE/NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Shows what a server measured, what it answered KEDA, and why, from its HTTP port "
             "(--http).",
    .exit_status = "0 explained; 1 the server did not answer or knows no such ScaledObject",
    .examples = {{"behind `kubectl -n keda port-forward deploy/backlog 9091`",
                  "backlog explain shop/renderers"},
                 {"another server, for a program",
                  "backlog explain shop/renderers --server-http backlog.keda:9091 --output json"}},
    .flags = table,
    .flags_size = sizeof(struct explain_flags),
    .check = check_explain,
    .run = run_explain,
};
