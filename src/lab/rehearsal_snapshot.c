#include "lab/rehearsal_snapshot.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/process.h"
#include "base/text.h"
#include "scale/answer/answer.h"
#include "web/content/web_json.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ENDED_SHOWN = 20,       /* workers that have ended, the last ones */
    FIRST_OWN_ID = 1 << 30, /* of triggers, where the server's are unknown: theirs begin with 1 */
};

/* A worker, of which there is a row also when it has ended. */
struct recorded_worker {
    uint64_t update; /* the last in which it was there; 0: this id is none */
    int64_t number;
    const char *object; /* borrowed of the rehearsal */
    pid_t pid;          /* and what it had used then */
    int64_t at_ms;
    double cpu_seconds;
    double started; /* seconds since 1970; NAN: never */
};

struct rehearsal_recorder {
    struct worker_logs *logs;
    int64_t began_ms;
    struct recorded_worker *workers; /* by id */
    size_t workers_capacity, workers_count;
    uint64_t updates;
};

struct rehearsal_recorder *rehearsal_recorder_new(struct worker_logs *logs)
{
    struct rehearsal_recorder *recorder = memory_new(sizeof(*recorder));
    recorder->logs = logs;
    recorder->began_ms = clock_now_ms();
    return recorder;
}

void rehearsal_recorder_free(struct rehearsal_recorder *recorder)
{
    free(recorder->workers);
    free(recorder);
}

void rehearsal_snapshot_free(struct rehearsal_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    for (size_t i = 0; i < snapshot->count; i++) {
        free(snapshot->rows[i].fixed);
        free(snapshot->rows[i].live);
    }
    for (size_t i = 0; i < snapshot->objects_count; i++)
        free(snapshot->objects[i].label);
    free(snapshot->rows);
    free(snapshot->objects);
    json_decref(snapshot->figures);
    free(snapshot);
}

/* Takes the objects. */
static void add_row(struct rehearsal_snapshot *snapshot, enum live_table table, uint64_t id,
                    json_t *fixed, json_t *live)
{
    snapshot->rows = memory_grow(snapshot->rows, &snapshot->capacity, snapshot->count + 1,
                                 sizeof(*snapshot->rows));
    snapshot->rows[snapshot->count++] = (struct rehearsal_row){
        .table = table,
        .id = id,
        .fixed = web_json_compact(fixed, WEB_JSON_STREAM_DIGITS),
        .live = web_json_compact(live, WEB_JSON_STREAM_DIGITS),
    };
}

/* ---- triggers ---- */

static void add_trigger(struct rehearsal_snapshot *snapshot, const struct rehearsal_object *one,
                        size_t index, uint64_t id, int64_t now_ms)
{
    const struct scaled_object_trigger *source = one->triggers[index].trigger;
    const struct model_answer *answer = &one->answers[index];
    const struct scaler_client_answer *received = &one->triggers[index].answer;
    const char *scaler = scaled_object_metadata(source, "scaler");
    json_t *fixed = json_object();
    json_t *live = json_object();
    web_json_set(fixed, "namespace", web_json_text(one->object->namespace));
    web_json_set(fixed, "name", web_json_text(one->object->name));
    web_json_set(fixed, "scaler", web_json_text(scaler == NULL ? source->type : scaler));
    web_json_set(live, "metricName", web_json_text(received->metric_name));
    web_json_set(live, "target",
                 web_json_number(answer->has_target ? answer->target : (double)NAN));
    web_json_set(live, "state",
                 web_json_text(answer->is_failed    ? "refused"
                               : answer->has_target ? "answered"
                                                    : "waiting"));
    if (answer->is_failed)
        web_json_set(live, "error", web_json_text(error_text(&received->error)));
    else if (answer->has_target) {
        web_json_set(live, "value", web_json_number(answer->value));
        web_json_set(live, "replicas",
                     web_json_number(answer_replicas(answer->value, answer->target)));
        web_json_set(live, "active", json_boolean(answer->is_active));
        web_json_set(live, "time", web_json_number(clock_unix_s(now_ms)));
    }
    web_json_set(live, "inFlight", web_json_number(one->triggers[index].in_flight));
    web_json_set(live, "current", json_integer((json_int_t)one->model.replicas));
    add_row(snapshot, LIVE_TRIGGERS, id, fixed, live);
}

/* ---- workers ---- */

static struct recorded_worker *worker_of(struct rehearsal_recorder *recorder, uint64_t id)
{
    recorder->workers = memory_grow(recorder->workers, &recorder->workers_capacity, id + 1,
                                    sizeof(*recorder->workers));
    while (recorder->workers_count <= id)
        recorder->workers[recorder->workers_count++] = (struct recorded_worker){.started = NAN};
    return &recorder->workers[id];
}

/* Of the core that a worker, with what it has started, used since the update before; NAN: not known
 * yet. */
static double cpu_of(struct recorded_worker *worker, const struct worker_info *info,
                     const struct process_stat *stat, int64_t now_ms)
{
    double cores = NAN;
    if (worker->pid == info->pid && now_ms > worker->at_ms)
        cores = fmax(0, stat->cpu_seconds - worker->cpu_seconds) * 1000 /
                (double)(now_ms - worker->at_ms);
    worker->pid = info->pid;
    worker->at_ms = now_ms;
    worker->cpu_seconds = stat->cpu_seconds;
    return cores;
}

static void add_worker_row(struct rehearsal_recorder *recorder, struct rehearsal_snapshot *snapshot,
                           uint64_t id, const char *state, json_t *live)
{
    json_t *fixed = json_object();
    web_json_set(fixed, "object", web_json_text(recorder->workers[id].object));
    web_json_set(fixed, "number", json_integer((json_int_t)recorder->workers[id].number));
    web_json_set(live, "state", web_json_text(state));
    web_json_set(live, "started", web_json_number(recorder->workers[id].started));
    web_json_set(live, "done", web_json_number(worker_logs_done(recorder->logs, id)));
    add_row(snapshot, LIVE_WORKERS, id, fixed, live);
}

struct workers_context {
    struct rehearsal_recorder *recorder;
    struct rehearsal_snapshot *snapshot;
    const char *object;
    int64_t now_ms;
    size_t running;
};

static void add_worker(void *context, const struct worker_info *info)
{
    struct workers_context *all = context;
    struct recorded_worker *worker = worker_of(all->recorder, info->id);
    struct process_stat stat;
    struct process_stat supervisor;
    json_t *live = json_object();
    bool is_alive = info->pid != 0 && process_tree_stat(info->pid, &stat) &&
                    process_stat(info->pid, &supervisor);
    worker->update = all->recorder->updates;
    worker->object = all->object;
    worker->number = info->number;
    if (is_alive) {
        web_json_set(live, "pid", json_integer(info->pid));
        worker->started = clock_unix_s(info->started_ms);
        web_json_set(live, "cpu", web_json_number(cpu_of(worker, info, &stat, all->now_ms)));
        web_json_set(live, "memory",
                     web_json_number(fmax(0, stat.resident_bytes - supervisor.resident_bytes)));
    }
    all->running += is_alive;
    add_worker_row(all->recorder, all->snapshot, info->id, info->state, live);
}

static void add_ended_workers(struct rehearsal_recorder *recorder,
                              struct rehearsal_snapshot *snapshot)
{
    size_t shown = 0;
    for (size_t id = recorder->workers_count; id-- > 0 && shown < ENDED_SHOWN;)
        if (recorder->workers[id].update != 0 &&
            recorder->workers[id].update != recorder->updates) {
            add_worker_row(recorder, snapshot, id, "ended", json_object());
            shown++;
        }
}

/* ---- figures and replicas ---- */

/* Of the rehearsal; the server's are put beside them. */
static json_t *figures_of(const struct rehearsal_recorder *recorder,
                          const struct rehearsal *rehearsal, size_t running)
{
    double replicas = 0;
    json_t *figures = json_object();
    for (size_t i = 0; i < rehearsal->count; i++)
        replicas += (double)rehearsal->items[i].model.replicas;
    web_json_set(figures, "runningWorkers", json_integer((json_int_t)running));
    web_json_set(figures, "jobsDone", web_json_number(worker_logs_done_by_all(recorder->logs)));
    web_json_set(figures, "current", web_json_number(replicas));
    return figures;
}

/* In place of the server's, which are not known: what KEDA gets. Values have different units, so
 * there is no sum. */
static void add_own_figures(const struct rehearsal_recorder *recorder,
                            const struct rehearsal *rehearsal, int64_t now_ms, json_t *figures)
{
    double active = 0, triggers = 0, failing = 0, unmeasured = 0;
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++) {
            const struct model_answer *answer = &rehearsal->items[i].answers[t];
            triggers++;
            failing += answer->is_failed;
            unmeasured += !answer->is_failed && !answer->has_target;
            active += !answer->is_failed && answer->is_active;
        }
    web_json_set(figures, "time", web_json_number(clock_unix_s(now_ms)));
    web_json_set(figures, "uptime", web_json_seconds(now_ms - recorder->began_ms));
    web_json_set(figures, "triggers", web_json_number(triggers));
    web_json_set(figures, "failing", web_json_number(failing));
    web_json_set(figures, "unmeasured", web_json_number(unmeasured));
    web_json_set(figures, "active", web_json_number(active));
}

static struct rehearsal_replicas *replicas_of(const struct rehearsal *rehearsal, int64_t now_ms)
{
    struct rehearsal_replicas *objects = memory_array(rehearsal->count, sizeof(*objects));
    for (size_t i = 0; i < rehearsal->count; i++)
        objects[i] = (struct rehearsal_replicas){
            .label = text_copy(rehearsal->items[i].label),
            .replicas = rehearsal->items[i].model.replicas,
            .ready = rehearsal_ready(&rehearsal->items[i], now_ms),
        };
    return objects;
}

static int by_id(const void *left, const void *right)
{
    const struct rehearsal_row *one = left;
    const struct rehearsal_row *other = right;
    return one->id < other->id ? -1 : one->id > other->id;
}

struct rehearsal_snapshot *rehearsal_record(struct rehearsal_recorder *recorder,
                                            const struct rehearsal *rehearsal, int64_t now_ms)
{
    struct rehearsal_snapshot *snapshot = memory_new(sizeof(*snapshot));
    struct workers_context all = {.recorder = recorder, .snapshot = snapshot, .now_ms = now_ms};
    uint64_t id = FIRST_OWN_ID;
    recorder->updates++;
    for (size_t i = 0; i < rehearsal->count; i++)
        for (size_t t = 0; t < rehearsal->items[i].object->trigger_count; t++)
            add_trigger(snapshot, &rehearsal->items[i], t, ++id, now_ms);
    for (size_t i = 0; i < rehearsal->count; i++) {
        all.object = rehearsal->items[i].label;
        if (rehearsal->items[i].workers != NULL)
            worker_group_visit(rehearsal->items[i].workers, now_ms, add_worker, &all);
    }
    add_ended_workers(recorder, snapshot);
    if (snapshot->count > 0)
        qsort(snapshot->rows, snapshot->count, sizeof(*snapshot->rows), by_id);
    snapshot->figures = figures_of(recorder, rehearsal, all.running);
    add_own_figures(recorder, rehearsal, now_ms, snapshot->figures);
    snapshot->objects = replicas_of(rehearsal, now_ms);
    snapshot->objects_count = rehearsal->count;
    return snapshot;
}
