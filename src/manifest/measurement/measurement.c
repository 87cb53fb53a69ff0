#include "manifest/measurement/measurement.h"

#include "base/clock.h"
#include "base/memory.h"
#include "manifest/builtin.h"
#include "manifest/sent_entries.h"
#include "model/scaled_object.h"
#include "scale/connections/named_connections.h"
#include "scale/metadata/general.h"
#include "scale/table/triggers.h"
#include "scale/trigger/trigger_decide.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAIT_MS = 200, MAX_TRIGGERS = 100 * 1000 };

/* One trigger that is being measured. */
struct measured_job {
    struct measured_trigger *result;
    struct trigger *trigger; /* NULL: there is nothing to measure */
    struct watcher watcher;
    bool is_waiting;
};

struct measurement_rounds {
    struct measurement_settings settings;
    const struct manifests *manifests;
    struct engine *engine;
    struct triggers *triggers;
    struct measured_job *jobs;
    size_t job_count, waiting;
    int64_t began_ms;
    int wake_fd;
};

static void wake(void *context)
{
    const int *wake_fd = context;
    const uint64_t one = 1;
    while (write(*wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

/* ---- beginning ---- */

static bool find_trigger(struct measurement_rounds *run, const struct manifest_object *object,
                         const struct entries *entries, struct measured_job *job,
                         struct error *error)
{
    const char *namespace = object->namespace == NULL ? run->settings.namespace : object->namespace;
    _cleanup_(memory_free) struct option_entry *plain = entries_plain(entries, NULL);
    struct trigger_ref ref = {object->name, namespace, plain, entries->count};
    if (!triggers_find(run->triggers, &ref, run->began_ms, &job->trigger, error)) {
        job->trigger = NULL;
        return false;
    }
    triggers_pin(run->triggers, job->trigger);
    job->result->metric_name = text_copy(job->trigger->parsed.metric_name);
    job->result->answer.has_target = true;
    job->result->answer.target = job->trigger->parsed.target;
    return true;
}

static void demand(struct measurement_rounds *run, struct measured_job *job)
{
    struct query *query;
    error_done(&job->result->error);
    job->result->answer.is_failed = true;
    if (!triggers_acquire_query(run->triggers, job->trigger, run->began_ms, &query,
                                &job->result->error))
        return;
    query_demand(query, run->began_ms);
    job->watcher = (struct watcher){.caller = job};
    trigger_watch(job->trigger, &job->watcher, false);
    job->is_waiting = true;
    run->waiting++;
}

static void begin(struct measurement_rounds *run, const struct manifest_object *object,
                  struct measured_job *job)
{
    _cleanup_(entries_done) struct entries entries = {0};
    struct error *error = &job->result->error;
    const struct yaml_tree *trigger = manifest_triggers(object)->items[job->result->index];
    const struct sent_entries_source source = {.scalers = run->settings.scalers,
                                               .manifests = run->manifests,
                                               .with_secrets = true,
                                               .variables = run->settings.variables,
                                               .has_kubernetes = run->settings.has_kubernetes,
                                               .is_of_cluster = run->settings.is_of_cluster};
    job->result->answer.is_failed =
        (run->settings.is_of_cluster && builtin_is_external(yaml_tree_text(trigger, "type")) &&
         !error_invalid(error, "not of KEDA's own types")) ||
        !sent_entries_read(&source, object, job->result->index, &entries, error) ||
        !find_trigger(run, object, &entries, job, error);
}

/* ---- waiting ---- */

/* A call may be answered from a reading of before it came. A round is not: what others measured
 * before it began (KEDA, for a comparison) must not be newer. */
static void take_answer(struct measurement_rounds *run, struct measured_job *job, bool out_of_time)
{
    _cleanup_(answer_done) struct answer answer;
    const struct answer_call call = {.arrived_ms = run->began_ms, .out_of_time = out_of_time};
    int64_t now_ms = clock_now_ms();
    trigger_decide(job->trigger, &call, now_ms, &answer);
    bool must_wait = answer.kind == ANSWER_WAIT ||
                     (answer.kind == ANSWER_VALUE && now_ms - answer.age_ms < run->began_ms);
    if (must_wait && !out_of_time)
        return;
    if (must_wait)
        error_unavailable(&answer.error, "the source has not answered in time");
    struct model_answer *answered = &job->result->answer;
    answered->is_failed = must_wait || answer.kind != ANSWER_VALUE;
    answered->value = answer.value;
    answered->is_active = answer.active;
    if (answered->is_failed)
        error_copy(&job->result->error, &answer.error);
    trigger_unwatch(job->trigger, &job->watcher);
    job->is_waiting = false;
    run->waiting--;
}

static void wait_for_all(struct measurement_rounds *run)
{
    int64_t end_ms = run->began_ms + run->settings.deadline_ms;
    bool out_of_time = false;
    while (run->waiting > 0 && !out_of_time) {
        struct pollfd fd = {.fd = run->wake_fd, .events = POLLIN};
        uint64_t count;
        if (poll(&fd, 1, clock_left_ms(end_ms, WAIT_MS)) > 0 &&
            read(run->wake_fd, &count, sizeof(count)) < 0)
            continue;
        while (engine_next_ready(run->engine) != NULL)
            continue;
        out_of_time = clock_now_ms() >= end_ms;
        for (size_t i = 0; i < run->job_count; i++)
            if (run->jobs[i].is_waiting)
                take_answer(run, &run->jobs[i], out_of_time);
    }
}

/* ---- the whole ---- */

size_t measurement_prepare(const struct manifests *manifests, struct measurement *measurement)
{
    size_t all = 0;
    *measurement = (struct measurement){0};
    measurement->items = memory_array(manifests->object_count + 1, sizeof(*measurement->items));
    for (size_t i = 0; i < manifests->object_count; i++) {
        const struct manifest_object *object = &manifests->objects[i];
        const struct yaml_tree *triggers =
            manifest_scales(object) ? manifest_triggers(object) : NULL;
        if (triggers == NULL)
            continue;
        struct measured_object *measured = &measurement->items[measurement->count++];
        measured->object = object;
        measured->triggers = memory_array(triggers->count + 1, sizeof(*measured->triggers));
        for (size_t t = 0; t < triggers->count; t++) {
            const char *type = yaml_tree_text(triggers->items[t], "type");
            if (type != NULL && scaled_object_has_source(type))
                measured->triggers[measured->count++] =
                    (struct measured_trigger){.index = t, .type = type};
        }
        all += measured->count;
    }
    return all;
}

static void begin_all(struct measurement_rounds *run, struct measurement *measurement)
{
    for (size_t i = 0; i < measurement->count; i++) {
        struct measured_object *measured = &measurement->items[i];
        for (size_t t = 0; t < measured->count; t++) {
            struct measured_job *job = &run->jobs[run->job_count++];
            job->result = &measured->triggers[t];
            begin(run, measured->object, job);
        }
    }
}

struct measurement_rounds *measurement_begin(const struct measurement_settings *settings,
                                             const struct manifests *manifests,
                                             struct measurement *ret_measurement)
{
    struct measurement_rounds *run = memory_new(sizeof(*run));
    *run = (struct measurement_rounds){.settings = *settings,
                                       .manifests = manifests,
                                       .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                       .began_ms = clock_now_ms()};
    run->jobs =
        memory_array(measurement_prepare(manifests, ret_measurement) + 1, sizeof(*run->jobs));
    struct engine_settings engine = ENGINE_DEFAULTS;
    engine.wake = wake;
    engine.wake_context = &run->wake_fd;
    engine.allows_local = true; /* it is the user's own machine */
    run->engine = engine_new(&engine);
    run->triggers = triggers_new(&(struct triggers_settings){
        .scalers = settings->scalers,
        .connections = settings->connections,
        .engine = run->engine,
        .rules = {.interval_ms = engine.interval_ms},
        .forget_ms = INT32_MAX,
        .max = MAX_TRIGGERS,
    });
    begin_all(run, ret_measurement);
    return run;
}

void measurement_round(struct measurement_rounds *run)
{
    run->began_ms = clock_now_ms();
    for (size_t i = 0; i < run->job_count; i++)
        if (run->jobs[i].trigger != NULL)
            demand(run, &run->jobs[i]);
    wait_for_all(run);
}

void measurement_end(struct measurement_rounds *run)
{
    for (size_t i = 0; i < run->job_count; i++)
        if (run->jobs[i].trigger != NULL)
            triggers_unpin(run->triggers, run->jobs[i].trigger, clock_now_ms());
    triggers_free(run->triggers);
    engine_free(run->engine);
    close(run->wake_fd);
    free(run->jobs);
    free(run);
}

void measurement_run(const struct measurement_settings *settings, const struct manifests *manifests,
                     struct measurement *ret_measurement)
{
    struct measurement_rounds *run = measurement_begin(settings, manifests, ret_measurement);
    measurement_round(run);
    measurement_end(run);
}

void measurement_done(struct measurement *measurement)
{
    for (size_t i = 0; i < measurement->count; i++) {
        struct measured_object *measured = &measurement->items[i];
        for (size_t t = 0; t < measured->count; t++) {
            free(measured->triggers[t].metric_name);
            error_done(&measured->triggers[t].error);
        }
        free(measured->triggers);
    }
    free(measurement->items);
    *measurement = (struct measurement){0};
}
