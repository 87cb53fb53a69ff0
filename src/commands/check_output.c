#include "commands/check_output.h"

#include "base/memory.h"
#include "cli/console.h"
#include "manifest/measurement/outlook.h"
#include "model/scaled_object.h"

#include <inttypes.h>
#include <stdlib.h>

/* As KEDA calls, with its prefix of the name. */
static void print_calls(const struct measured_trigger *trigger, bool specs_only)
{
    const struct model_answer *answer = &trigger->answer;
    _cleanup_(memory_free) char *type = console_text(trigger->type);
    _cleanup_(memory_free) char *name = console_text(trigger->metric_name);
    _cleanup_(memory_free) char *error = console_text(error_text(&trigger->error));
    printf("  trigger %zu (%s)\n", trigger->index, type);
    if (answer->has_target)
        printf("    GetMetricSpec  s%zu-%s, target %.10g\n", trigger->index, name, answer->target);
    if (answer->is_failed)
        printf("    %s%s%s\n", console_begin(stdout, CONSOLE_RED), error, console_end(stdout));
    else if (!specs_only)
        printf("    GetMetrics     %.10g\n    IsActive       %s\n", answer->value,
               answer->is_active ? "true" : "false");
}

static void print_trigger_text(const struct measured_trigger *trigger)
{
    _cleanup_(memory_free) char *type = console_text(trigger->type);
    _cleanup_(memory_free) char *name = console_text(trigger->metric_name);
    _cleanup_(memory_free) char *error = console_text(error_text(&trigger->error));
    printf("  trigger %zu (%s): ", trigger->index, type);
    if (trigger->answer.is_failed) {
        printf("%s%s%s\n", console_begin(stdout, CONSOLE_RED), error, console_end(stdout));
        return;
    }
    printf("%s is %.10g, target %.10g, %s\n", name, trigger->answer.value, trigger->answer.target,
           trigger->answer.is_active ? "active" : "not active");
}

static json_t *trigger_json(const struct measured_trigger *trigger, bool specs_only)
{
    const struct model_answer *answer = &trigger->answer;
    bool has_value = !answer->is_failed && !specs_only;
    const char *metric_name = trigger->metric_name;
    json_t *object =
        json_pack("{s:I, s:s, s:o}", "index", (json_int_t)trigger->index, "type", trigger->type,
                  "metricName", metric_name == NULL ? json_null() : console_json_text(metric_name));
    json_object_set_new(object, "target",
                        answer->has_target ? json_real(answer->target) : json_null());
    json_object_set_new(object, "value", has_value ? json_real(answer->value) : json_null());
    json_object_set_new(object, "active",
                        has_value ? json_boolean(answer->is_active) : json_null());
    json_object_set_new(object, "error",
                        answer->is_failed ? json_string(error_text(&trigger->error)) : json_null());
    return object;
}

static void print_steps_text(const struct outlook *outlook)
{
    bool is_one = outlook->replicas == 1;
    printf("  %s%" PRId64 " replica%s%s", console_begin(stdout, CONSOLE_BOLD), outlook->replicas,
           is_one ? "" : "s", console_end(stdout));
    if (outlook->count == 0)
        printf(", as there %s now: %s\n", is_one ? "is" : "are",
               outlook->why == NULL ? "" : outlook->why);
    else
        printf(" after %" PRId64 " s:\n", outlook->steps[outlook->count - 1].at_ms / 1000);
    for (size_t i = 0; i < outlook->count; i++) {
        const struct outlook_step *step = &outlook->steps[i];
        printf("    %4" PRId64 " s  %" PRId64 " -> %" PRId64 "  %s\n", step->at_ms / 1000,
               step->before, step->replicas, step->why);
    }
}

static json_t *steps_json(const struct outlook *outlook)
{
    json_t *list = json_array();
    for (size_t i = 0; i < outlook->count; i++) {
        const struct outlook_step *step = &outlook->steps[i];
        json_array_append_new(list, json_pack("{s:f, s:I, s:I, s:s}", "seconds",
                                              (double)step->at_ms / 1000, "from",
                                              (json_int_t)step->before, "to",
                                              (json_int_t)step->replicas, "why", step->why));
    }
    return list;
}

/* The model has no pods: where cpu or memory would say more, the replicas are at least these. */
static bool make_outlook(const struct measured_object *measured, int64_t replicas,
                         struct outlook *ret_outlook)
{
    _cleanup_(error_done) struct error ignored = {0};
    _cleanup_(scaled_object_done) struct scaled_object read = {0};
    struct model_answer answers[MODEL_MAX_TRIGGERS];
    if (measured->object->kind != MANIFEST_SCALED_OBJECT || measured->count > MODEL_MAX_TRIGGERS ||
        !scaled_object_read(measured->object->tree, "", &read, &ignored))
        return false;
    for (size_t i = 0; i < measured->count; i++)
        answers[i] = measured->triggers[i].answer;
    outlook_make(&read.settings, answers, replicas < 0 ? read.settings.min_replicas : replicas,
                 ret_outlook);
    return true;
}

static void print_jobs(const struct measured_object *measured, json_t *json)
{
    struct model_answer answers[MODEL_MAX_TRIGGERS];
    size_t count = measured->count < MODEL_MAX_TRIGGERS ? measured->count : MODEL_MAX_TRIGGERS;
    for (size_t i = 0; i < count; i++)
        answers[i] = measured->triggers[i].answer;
    int64_t jobs = outlook_jobs(answers, count, manifest_max_replicas(measured->object));
    if (json != NULL)
        json_object_set_new(json, "jobs", jobs < 0 ? json_null() : json_integer(jobs));
    else if (jobs >= 0)
        printf("  %s%" PRId64 " job%s%s, less those that run\n",
               console_begin(stdout, CONSOLE_BOLD), jobs, jobs == 1 ? "" : "s",
               console_end(stdout));
}

static void print_object(const struct check_output *output, const struct measured_object *measured)
{
    struct outlook outlook = {0};
    bool has_outlook = !output->specs_only && make_outlook(measured, output->replicas, &outlook);
    json_t *json = NULL;
    bool is_json = output->is_json;
    if (is_json) {
        json = json_pack("{s:s, s:o, s:o}", "type", "measurement", "path",
                         console_json_text(measured->object->file->path), "object",
                         console_json_text(measured->object->label));
        json_t *triggers = json_array();
        for (size_t i = 0; i < measured->count; i++)
            json_array_append_new(triggers,
                                  trigger_json(&measured->triggers[i], output->specs_only));
        json_object_set_new(json, "triggers", triggers);
    } else {
        fputs(console_begin(stdout, CONSOLE_BOLD), stdout);
        console_print(stdout, measured->object->label);
        printf("%s\n", console_end(stdout));
        for (size_t i = 0; i < measured->count; i++)
            if (output->by_call)
                print_calls(&measured->triggers[i], output->specs_only);
            else
                print_trigger_text(&measured->triggers[i]);
    }
    if (has_outlook && is_json) {
        json_object_set_new(json, "replicas", json_integer(outlook.replicas));
        json_object_set_new(json, "why", json_string(outlook.why == NULL ? "" : outlook.why));
        json_object_set_new(json, "steps", steps_json(&outlook));
    } else if (has_outlook)
        print_steps_text(&outlook);
    else if (measured->object->kind == MANIFEST_SCALED_JOB && !output->specs_only)
        print_jobs(measured, json);
    if (is_json)
        console_print_json(json);
    outlook_done(&outlook);
}

size_t check_output_print(const struct check_output *output, const struct measurement *measurement)
{
    size_t failed = 0;
    for (size_t i = 0; i < measurement->count; i++) {
        const struct measured_object *measured = &measurement->items[i];
        for (size_t t = 0; t < measured->count; t++)
            failed += measured->triggers[t].answer.is_failed;
        if (measured->count > 0)
            print_object(output, measured);
    }
    return failed;
}
