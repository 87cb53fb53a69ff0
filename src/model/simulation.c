#include "model/simulation.h"

#include "base/memory.h"
#include "scale/answer/answer.h"

#include <math.h>
#include <stdlib.h>
#include <sys/param.h>

/* Between two `true` of a stream that stays active: the server's default. */
enum { HEARTBEAT_S = 60 };

struct run {
    const struct simulation_settings *settings;
    struct model model;
    struct workers workers;
    struct simulation *result;
    double *arrived;     /* until the end of each second */
    size_t oldest;       /* second in which the oldest arrived that is not done */
    int64_t pushed_at_s; /* or -1 while it is inactive */
    struct history *history;
    struct recent_samples recent;
    struct policy_state policy;
    bool is_measured;
    struct model_answer measured; /* last */
    struct hold hold;             /* of what was answered */
};

/* What Backlog measures at its interval, whoever calls; and when it is called. */
static void sample(struct run *run, int64_t now_s)
{
    const struct workers *workers = &run->workers;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = workers->waiting;
    reading.in_flight = workers_in_flight(workers);
    reading.consumers = (double)workers_ready(workers, now_s);
    reading.arrived = workers->arrived;
    reading.consumed = workers->done;
    history_add(run->history, now_s * 1000 + 1, &reading);
    history_recent(run->history, &run->recent);
}

/* The whole replicas of the policy at a target of 1. */
static void apply_policy(struct run *run, int64_t now_s, struct model_answer *reading)
{
    const struct simulation_settings *settings = run->settings;
    struct policy_decision decision;
    sample(run, now_s);
    const struct policy_input input = {
        .basis = {.threshold = settings->target, .has_threshold = settings->target > 0},
        .recent = &run->recent,
        .value = reading->value,
        .active = reading->is_active,
        .max_useful = INFINITY,
    };
    if (!policy_decide(&settings->policy, &run->policy, &input, &decision, NULL))
        return;
    reading->target = 1;
    reading->value = decision.result.value;
    reading->is_active = decision.result.active;
}

static struct model_answer measure(const struct run *run)
{
    const struct workers *workers = &run->workers;
    double value = workers->waiting;
    if (run->settings->counts_in_flight)
        value += workers_in_flight(workers);
    return (struct model_answer){
        .has_target = true,
        .target = run->settings->target,
        .value = value,
        .is_active = value > run->settings->activation,
    };
}

/* ---- an outage of the source ---- */

static bool is_out(const struct simulation_settings *settings, int64_t now_s)
{
    int64_t for_ms = now_s * 1000 - settings->outage_at_ms;
    return settings->outage_ms > 0 && for_ms >= 0 && for_ms < settings->outage_ms;
}

/* As the server does: what was measured last, and while measuring fails by all that was answered
 * before. */
static void answer(struct run *run, int64_t now_s, struct model_answer *reading)
{
    const struct simulation_settings *settings = run->settings;
    bool fails = is_out(settings, now_s);
    const struct answer_rules rules = {.hold_ms = settings->hold_ms};
    const struct snapshot snapshot = {
        .known.last_attempt = fails ? ATTEMPT_FAILED : ATTEMPT_GOOD,
        .known.is_measured = run->is_measured,
        .known.sent_ms = now_s * 1000,
        .known.error = {.code = fails ? ERROR_UNAVAILABLE : ERROR_NONE},
    };
    const struct evaluation_result evaluated = {
        .is_good = true,
        .evaluation = {.value = run->measured.value, .active = run->measured.is_active},
    };
    const struct answer_facts facts = {
        .snapshot = &snapshot, .evaluated = &evaluated, .rules = &rules, .hold = &run->hold};
    struct answer answer;
    answer_decide(&facts, &(struct answer_call){.is_stream = true}, now_s * 1000, &answer);
    *reading = run->measured;
    reading->has_target = true;
    reading->is_failed = answer.kind != ANSWER_VALUE;
    reading->value = answer.value;
    reading->is_active = answer.active;
    answer_done(&answer);
    if (fails) {
        hold_failed(&run->hold, now_s * 1000);
        return;
    }
    hold_measured(&run->hold, reading->value, reading->is_active, now_s * 1000, now_s * 1000);
    hold_add(&run->hold, reading->value, settings->hold_window_ms, now_s * 1000);
}

static void push(struct run *run, const struct model_answer *reading, int64_t now_s)
{
    if (!reading->is_active)
        run->pushed_at_s = -1;
    else if (run->pushed_at_s < 0 || now_s - run->pushed_at_s >= HEARTBEAT_S) {
        model_push(&run->model, now_s * 1000);
        run->pushed_at_s = now_s;
    }
}

static void scale(struct run *run, int64_t now_s)
{
    struct model *model = &run->model;
    struct model_answer reading = measure(run);
    bool is_called = model->next_poll_ms <= now_s * 1000 || model->next_sync_ms <= now_s * 1000;
    bool is_due = run->settings->has_policy && now_s % run->settings->interval_s == 0;
    if ((is_called || is_due) && !is_out(run->settings, now_s)) {
        if (run->settings->has_policy)
            apply_policy(run, now_s, &reading);
        run->measured = reading;
        run->is_measured = true;
    }
    if (is_called)
        answer(run, now_s, &reading);
    int64_t before = model->replicas;
    model->ready_pods = workers_ready(&run->workers, now_s);
    if (run->settings->is_push && !is_out(run->settings, now_s))
        push(run, &reading, now_s);
    if (model->next_poll_ms <= now_s * 1000)
        model_poll(model, &reading, now_s * 1000);
    if (model->next_sync_ms <= now_s * 1000)
        model_sync(model, &reading, now_s * 1000);
    run->result->changes += model->replicas != before;
    workers_scale(&run->workers, model->replicas, now_s);
}

/* How long the oldest that is not done has been there at the end of this second: where the curve of
 * what arrived was as high as that of what is done is now. First in, first out. */
static double oldest_age(struct run *run, size_t second)
{
    double done = run->workers.done;
    if (run->workers.arrived - done < 1e-6)
        return 0;
    while (run->oldest < second && run->arrived[run->oldest] <= done)
        run->oldest++;
    double from = run->oldest == 0 ? 0 : run->arrived[run->oldest - 1];
    double in_second = run->arrived[run->oldest] - from;
    double part = in_second > 0 ? (done - from) / in_second : 0;
    return (double)(second + 1) - ((double)run->oldest + part);
}

static void fold(struct simulation_sample *largest, const struct simulation_sample *sample)
{
    largest->arrivals = fmax(largest->arrivals, sample->arrivals);
    largest->waiting = fmax(largest->waiting, sample->waiting);
    largest->in_flight = fmax(largest->in_flight, sample->in_flight);
    largest->unfinished = fmax(largest->unfinished, sample->unfinished);
    largest->wait_s = fmax(largest->wait_s, sample->wait_s);
    largest->replicas = MAX(largest->replicas, sample->replicas);
    largest->ready = MAX(largest->ready, sample->ready);
}

static void record(struct run *run, size_t second, double arrivals)
{
    struct simulation *result = run->result;
    const struct simulation_sample sample = {
        .arrivals = arrivals,
        .waiting = run->workers.waiting,
        .in_flight = workers_in_flight(&run->workers),
        .unfinished = run->workers.waiting + workers_in_flight(&run->workers),
        .wait_s = oldest_age(run, second),
        .replicas = run->model.replicas,
        .ready = workers_ready(&run->workers, (int64_t)second),
    };
    if (run->settings->sample_s > 0)
        fold(&result->samples[second / (size_t)run->settings->sample_s], &sample);
    result->replica_hours += (double)sample.replicas / 3600;
    result->mean_wait_s += sample.unfinished;
    result->max_wait_s = fmax(result->max_wait_s, sample.wait_s);
    result->seconds_over += sample.wait_s > (double)run->settings->objective_s;
    result->max_replicas = MAX(result->max_replicas, sample.replicas);
}

void simulation_run(const struct simulation_settings *settings, const struct trace *trace,
                    struct simulation *ret_simulation)
{
    struct run run = {.settings = settings, .result = ret_simulation, .pushed_at_s = -1};
    size_t sample_s = (size_t)settings->sample_s;
    size_t sample_count = sample_s == 0 ? 0 : (trace->seconds + sample_s - 1) / sample_s;
    *ret_simulation = (struct simulation){
        .samples = memory_array(sample_count, sizeof(struct simulation_sample)),
        .sample_count = sample_count,
    };
    run.arrived = memory_array(trace->seconds, sizeof(*run.arrived));
    model_init(&run.model, &settings->model, settings->model.min_replicas, 0);
    run.history = history_new();
    run.history->interval_ms = settings->interval_s * 1000;
    run.measured.target = settings->has_policy ? 1 : settings->target; /* also in an outage */
    run.model.next_sync_ms = settings->sync_offset_s * 1000;
    workers_init(&run.workers, &settings->workers);
    for (size_t second = 0; second < trace->seconds; second++) {
        scale(&run, (int64_t)second);
        workers_run(&run.workers, trace->arrivals[second], (int64_t)second);
        run.arrived[second] = run.workers.arrived;
        record(&run, second, trace->arrivals[second]);
    }
    ret_simulation->arrived = run.workers.arrived;
    ret_simulation->done = run.workers.done;
    /* Little's law: what is there, summed over time, is what each waited, summed over all. */
    ret_simulation->mean_wait_s /= run.workers.arrived > 0 ? run.workers.arrived : 1;
    history_free(run.history);
    free(run.arrived);
    workers_done(&run.workers);
    hold_done(&run.hold);
    model_done(&run.model);
}

void simulation_done(struct simulation *simulation)
{
    free(simulation->samples);
    *simulation = (struct simulation){0};
}
