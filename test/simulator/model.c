/* What has to hold after every step. */
#include "simulator/world.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    MAX_CREDIT = 12,
    RETRY_MIN_MS = 2000,
    RETRY_MAX_MS = 30000,
    PAUSE_MS = 10000,
    STUCK_MS = 5000,
    REPEAT_MS = 500,
};

static int64_t min_of(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t max_of(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

void model_reset(struct model *model)
{
    uint64_t subscriptions[ARRAY_LENGTH(model->subscriptions)];
    int count = model->subscriptions_count; /* they are ended a little later than the query */
    memcpy(subscriptions, model->subscriptions, sizeof(subscriptions));
    *model = (struct model){.duration_ms = -1,
                            .former_duration_ms = -1,
                            .waiting_since_ms = NEVER_MS,
                            .credit = MAX_CREDIT,
                            .credit_at_ms = now_ms(),
                            .subscriptions_count = count};
    memcpy(model->subscriptions, subscriptions, sizeof(subscriptions));
}

void model_need(struct model *model, int64_t from_us)
{
    if (model->needed_us == 0)
        model->needed_since_ms = now_ms();
    else if (from_us != world.now_us) /* a caller needs it, too */
        model->is_alerted = false;
    model->needed_us = max_of(model->needed_us, from_us);
}

static int64_t unusable_since_ms(const struct model *model)
{
    int64_t since_ms = now_ms();
    if (model->waiting_since_ms != NEVER_MS)
        since_ms = min_of(since_ms, model->waiting_since_ms);
    return model->broken_since_ms > 0 ? min_of(since_ms, model->broken_since_ms) : since_ms;
}

void model_fail(struct model *model)
{
    if (!model->is_failing)
        model->failing_since_ms = unusable_since_ms(model);
    model->is_failing = true;
    model->failed_ms = now_ms();
    model->needed_us = 0;
    model->waiting_since_ms = NEVER_MS;
}

/* ---- sends ---- */

static int64_t retry_ms(unsigned timeouts)
{
    return timeouts > 4 ? RETRY_MAX_MS : min_of(RETRY_MAX_MS, RETRY_MIN_MS << (timeouts - 1));
}

static int64_t default_freshness_ms(int64_t duration_ms)
{
    return min_of(STANDARD_INTERVAL_MS, max_of(500, 10 * max_of(0, duration_ms)));
}

/* How many measurements per millisecond F, intervals and retries explain, whoever calls. */
static double explained_rate(const struct model *model)
{
    const struct query *query = model->query;
    int64_t duration_ms = min_of(model->duration_ms, model->former_duration_ms);
    double rate = 1.0 / STANDARD_INTERVAL_MS;
    if (query->default_holds > 0)
        rate += 1.0 / (double)default_freshness_ms(duration_ms);
    if (query->intervals != NULL)
        rate += 2.0 / (double)query->intervals->interval_ms;
    if (query->push.idle_interval_ms > 0)
        rate += 1.0 / (double)query->push.idle_interval_ms;
    if (model->is_failing || query->bundle != NULL)
        rate += 1.0 / REPEAT_MS;
    return rate;
}

static void check_rate(const struct client *client, struct model *model)
{
    double gap_ms = (double)(now_ms() - model->credit_at_ms);
    model->credit += gap_ms * explained_rate(model);
    if (model->credit > 2 * MAX_CREDIT)
        model->credit = 2 * MAX_CREDIT;
    model->credit_at_ms = now_ms();
    model->credit -= 1;
    if (model->credit < 0)
        violated("item %d is measured more often than anything explains",
                 client->source->items[model - client->models].number);
}

static int slow_places(const struct source *source)
{
    enum { DEFAULT_PLACES = 16 };
    return source->scaler.isolated == 0 ? DEFAULT_PLACES : (int)source->scaler.isolated;
}

void check_take(struct client *client, struct model *model)
{
    const struct source *source = client->source;
    int number = source->items[model - client->models].number;
    if (client->is_connecting || client->connection.state != CONNECTED)
        violated("item %d is sent without a client", number);
    if (model->query == NULL)
        violated("item %d is sent, and nobody holds it", number);
    if (model->in_flight)
        violated("item %d is in flight twice", number);
    if (source->scaler.window > 0 && client->in_flight + 1 > (int)source->scaler.window)
        violated("the window of %zu is not kept", source->scaler.window);
    if (model->timeouts > 0 && client->spaced_in_flight + 1 > slow_places(source))
        violated("%d requests that timed out last are in flight: their places are %d",
                 client->spaced_in_flight + 1, slow_places(source));
    if (model->outcome == TASK_TIMED_OUT && model->timeouts > 0 && !model->was_hastened &&
        now_ms() < model->ended_ms + retry_ms(model->timeouts))
        violated("item %d is sent %lld ms after its time-out %u", number,
                 (long long)(now_ms() - model->ended_ms), model->timeouts);
    check_rate(client, model);
    model->was_hastened = false;
}

/* ---- ends ---- */

static void check_timed_out(struct client *client, struct model *model)
{
    int number = client->source->items[model - client->models].number;
    client->has_timed_out = true;
    if (model->query->job.state != JOB_READY) {
        model->timeouts++;
        model->was_resent = false;
        model_fail(model);
        return;
    }
    if (model->was_resent || model->timeouts > 0 ||
        model->started_us / 1000 - client->completed_ms < PAUSE_MS)
        violated("item %d timed out, and is sent again at once", number);
    model->was_resent = true;
    model->outcome = TASK_RETURNED;
    model->credit += 1;
}

static void check_completed(struct model *model, bool is_good)
{
    model->timeouts = 0;
    model->was_resent = false;
    if (model->started_us >= model->needed_us)
        model->needed_us = 0;
    /* What is needed still was demanded after this one was sent: all before is served. */
    model->needed_since_ms = max_of(model->needed_since_ms, model->started_us / 1000);
    if (is_good) {
        model->waiting_since_ms = NEVER_MS;
        model->broken_since_ms = 0;
        model->is_measured = true;
        model->is_failing = false;
        model->former_duration_ms = model->duration_ms;
        model->duration_ms = now_ms() - model->started_us / 1000;
        return;
    }
    int64_t needed_us = model->needed_us;
    model_fail(model);
    model->needed_us = needed_us;
}

void check_end(struct client *client, struct model *model, enum task_outcome outcome)
{
    int number = client->source->items[model - client->models].number;
    model->outcome = outcome;
    model->ended_ms = now_ms();
    switch (outcome) {
    case TASK_ANSWERED:
    case TASK_FAILED:
        check_completed(model, outcome == TASK_ANSWERED);
        break;
    case TASK_TIMED_OUT:
        check_timed_out(client, model);
        break;
    case TASK_RETURNED:
    case TASK_ISOLATED:
        model->credit += 1;
        if (model->query->job.state != JOB_READY)
            violated("item %d was returned and is not sent again", number);
        break;
    }
    check_needed(client, model);
}

/* ---- connects ---- */

static int64_t backoff_ms(unsigned failures)
{
    if (failures < 2)
        return 0;
    return failures > 6 ? world.settings.backoff_max_ms
                        : min_of(world.settings.backoff_max_ms,
                                 world.settings.backoff_min_ms << (failures - 2));
}

void client_failed(struct client *client)
{
    client->failures++;
    client->connect_from_ms = now_ms() + backoff_ms(client->failures) * 3 / 4;
}

void check_connect(struct client *client)
{
    if (now_ms() < client->connect_from_ms)
        violated("source %d is connected to %lld ms before its back-off ends",
                 client->source->index, (long long)(client->connect_from_ms - now_ms()));
}

/* A broken connection is back: what failed is tried again by itself, whoever calls. */
void check_caught_up(const struct client *client)
{
    for (int i = 0; i < client->source->items_count; i++) {
        const struct model *model = &client->models[i];
        if (model->query != NULL && model->is_failing && model->query->job.state == JOB_IDLE)
            violated("item %d failed, and is not tried again though its source is back",
                     client->source->items[i].number);
    }
}

/* ---- what is needed comes ---- */

/* How long it may take at worst until a query is sent: everything before it hangs. */
static int64_t starving_ms(const struct client *client)
{
    const struct source *source = client->source;
    int64_t timeout_ms = source->scaler.timeout_ms > 0 ? source->scaler.timeout_ms : 2000;
    int64_t places = slow_places(source);
    if (source->is_serial)
        timeout_ms *= (int64_t)source->scaler.window;
    int64_t jobs = source->items_count + 1;
    return 100000 + 2 * jobs * timeout_ms / places;
}

static bool is_on_its_way(const struct client *client, const struct model *model)
{
    const struct query *query = model->query;
    const struct job *job = &query->job;
    bool is_alert = query->push.alert_ms > 0 || query->push.is_notified;
    if (client->connection.state == BROKEN || job->state == JOB_READY ||
        schedule_is_spaced_out(job))
        return true;
    if (job->state == JOB_IN_FLIGHT)
        return model->started_us >= model->needed_us || is_alert ||
               (job->is_wanted && job->needed_from_ms > job->sent_ms);
    return is_alert && job->state == JOB_SCHEDULED &&
           job->due_ms <= now_ms() + query->push.idle_interval_ms;
}

void check_needed(struct client *client, struct model *model)
{
    int number = client->source->items[model - client->models].number;
    if (model->query == NULL || model->needed_us == 0)
        return;
    if (model->is_alerted && model->query->push.idle_interval_ms == 0)
        model->needed_us = 0;
    model->is_alerted = model->is_alerted && model->needed_us > 0;
    if (model->needed_us > 0 && !is_on_its_way(client, model))
        violated("item %d is needed and will not be sent", number);
    int64_t since_ms =
        max_of(model->needed_since_ms, max_of(world.jumped_ms, client->connected_ms));
    bool may_starve =
        model->needed_us == 0 || client->connection.state != CONNECTED || client->source->hangs;
    if (!may_starve && now_ms() - since_ms > starving_ms(client))
        violated("item %d has been needed for %lld ms and is not sent", number,
                 (long long)(now_ms() - model->needed_since_ms));
}

/* ---- answers ---- */

static const struct item *item_of(const struct user *user)
{
    return &user->source->items[user->item];
}

/* The source answers nothing: not this query, or not two that have not timed out before. */
static bool is_stuck(const struct client *client, const struct model *own)
{
    int unanswered = 0;
    for (int i = 0; i < client->source->items_count; i++) {
        const struct model *model = &client->models[i];
        int64_t since_ms = max_of(model->started_us / 1000, client->completed_ms);
        if (model->in_flight && now_ms() - since_ms >= STUCK_MS)
            unanswered += model == own ? 2 : model->timeouts == 0;
    }
    return unanswered >= 2;
}

/* Everything has been well for so long that every call is to be answered by a measurement. */
bool must_be_measured(const struct user *user)
{
    const struct source *source = user->source;
    const struct item *item = item_of(user);
    const struct client *client = user->client;
    int64_t timeout_ms = source->scaler.timeout_ms > 0 ? source->scaler.timeout_ms : 2000;
    int64_t window = source->scaler.window > 0 ? (int64_t)source->scaler.window : 1000;
    if (item->behaviour != ANSWERS || source->hangs || !source->is_reachable ||
        source->slowdown > 1 || client->is_dead || client->is_lost)
        return false;
    int64_t since_ms = max_of(max_of(source->disturbed_ms, item->changed_ms),
                              max_of(client->made_ms, world.jumped_ms));
    int64_t hanging = 0;
    int64_t latencies_ms = 0;
    if (now_ms() - since_ms < 60000)
        return false;
    for (int i = 0; i < source->items_count; i++) {
        const struct item *other = &source->items[i];
        bool hangs = other->behaviour != ANSWERS || other->latency_us * 3 / 2000 >= timeout_ms;
        hanging += hangs;
        latencies_ms += hangs ? 0 : other->latency_us * 3 / 2000;
    }
    bool is_late = item->latency_us * 3 / 2000 >= min_of(timeout_ms, 1000);
    int64_t rounds = source->is_serial ? 1 : window;
    if (is_late || latencies_ms / rounds > 400 || (source->is_serial && hanging > 0) ||
        (hanging > 0 && window == 1))
        return false;
    int64_t places = slow_places(source);
    return now_ms() - since_ms > 60000 + hanging * timeout_ms / places;
}

static void check_value(const struct user *user, const struct call *call,
                        const struct answer *answer)
{
    const struct model *model = &user->client->models[user->item];
    int64_t interval_ms = user->rules.interval_ms;
    int64_t sent_ms = token_sent_ms(answer->value);
    int64_t fresh_ms =
        user->rules.interval_is_set ? interval_ms : default_freshness_ms(model->duration_ms);
    if (model->duration_ms >= 1000)
        fresh_ms = interval_ms + 2 * model->duration_ms;
    if (model->is_failing || user->client->broken_since_ms != NEVER_MS)
        violated("item %d: a value is answered while measuring fails", item_of(user)->number);
    if (sent_ms < model->notified_us / 1000)
        violated("item %d: a value is answered that a notification outdated",
                 item_of(user)->number);
    if (sent_ms >= call->arrived_ms - fresh_ms)
        return;
    int64_t late_ms = connection_effective_interval_ms(&user->client->connection, now_ms());
    if (now_ms() - call->arrived_ms < 1000)
        violated("item %d: a call is answered at once by a reading that is %lld ms old; F is %lld",
                 item_of(user)->number, (long long)(call->arrived_ms - sent_ms),
                 (long long)fresh_ms);
    if (now_ms() - sent_ms > min_of(late_ms, 60000))
        violated("item %d: a call is answered by a reading that is %lld ms old; the effective "
                 "interval is %lld ms",
                 item_of(user)->number, (long long)(now_ms() - sent_ms), (long long)late_ms);
}

/* Not answered by a measurement: there has to be a reason, and it has to be of this query. */
static void check_reason(const struct user *user, const struct call *call, bool out_of_time)
{
    const struct client *client = user->client;
    const struct model *model = &client->models[user->item];
    bool is_broken = client->broken_since_ms != NEVER_MS;
    bool has_failed = model->is_failing && model->failed_ms >= call->arrived_ms - REPEAT_MS;
    if (must_be_measured(user))
        violated("item %d: nothing is wrong, and a call is not answered by a measurement",
                 item_of(user)->number);
    if (!out_of_time && !is_broken && !has_failed && model->timeouts == 0 &&
        model->query->job.timeouts == 0 && !is_stuck(client, model))
        violated("item %d: a call is refused and does not wait", item_of(user)->number);
}

int64_t model_useless_since_ms(const struct client *client, const struct model *model)
{
    int64_t since_ms = model->is_failing ? model->failing_since_ms : unusable_since_ms(model);
    return client->broken_since_ms == NEVER_MS ? since_ms
                                               : min_of(since_ms, client->broken_since_ms);
}

static int64_t useless_since_ms(const struct user *user)
{
    return model_useless_since_ms(user->client, &user->client->models[user->item]);
}

static void check_held(const struct user *user, const struct answer *answer)
{
    int64_t since_ms = useless_since_ms(user);
    if (!answer->active)
        violated("item %d: an inactive reading is held", item_of(user)->number);
    if (now_ms() - since_ms > user->rules.hold_ms)
        violated("item %d: a reading is held for %lld ms", item_of(user)->number,
                 (long long)(now_ms() - since_ms));
}

static void check_error(const struct user *user, const struct error *error)
{
    const char *item = strstr(error_text(error), "item ");
    const char *source = strstr(error_text(error), "source ");
    if (item != NULL && strtol(item + 5, NULL, 10) != item_of(user)->number)
        violated("item %d fails with an error of another: %s", item_of(user)->number,
                 error_text(error));
    if (source == error_text(error) && strtol(source + 7, NULL, 10) != user->source->index)
        violated("item %d fails with an error of another source: %s", item_of(user)->number,
                 error_text(error));
    if (!error_is_set(error))
        violated("item %d is refused without an error", item_of(user)->number);
}

void check_answer(const struct user *user, const struct call *call, const struct answer *answer,
                  bool out_of_time)
{
    const struct item *item = item_of(user);
    if (answer->kind == ANSWER_WAIT)
        violated("item %d: a call that is out of time waits", item->number);
    if (now_ms() - call->arrived_ms > CALL_DEADLINE_MS && world.jumped_ms < call->arrived_ms)
        violated("item %d: a call took %lld ms", item->number,
                 (long long)(now_ms() - call->arrived_ms));
    if (answer->kind == ANSWER_REFUSED) {
        check_error(user, &answer->error);
        check_reason(user, call, out_of_time);
        return;
    }
    if (token_item(answer->value) != item->number)
        violated("item %d is answered with a value of item %d", item->number,
                 token_item(answer->value));
    if (!answer->held && token_is_active(answer->value) != answer->active)
        violated("item %d: active is not as the source had it", item->number);
    if (!answer->held) {
        check_value(user, call, answer);
        return;
    }
    check_held(user, answer);
    check_load(user, answer);
    check_reason(user, call, out_of_time);
}

void check_stream(const struct user *user, const struct answer *answer)
{
    const struct item *item = item_of(user);
    /* What is held may be the load of an earlier reading. */
    double token = answer->held ? user->query->known.reading.value : answer->value;
    if (token_item(answer->value) != item->number || !token_is_active(token))
        violated("item %d: a stream was sent what the source never had", item->number);
}

/* What is held is not less than anything that was answered in the five minutes before the failure, and no more than
 * the largest of a little longer. */
void check_load(const struct user *user, const struct answer *answer)
{
    enum { WINDOW_MS = 300000, GRAIN_MS = 30000 };
    int64_t since_ms = user->failing_since_ms;
    if (since_ms == 0)
        since_ms = max_of(useless_since_ms(user), user->answered_ms);
    since_ms -= user->failed_ms;
    const struct model *model = &user->client->models[user->item];
    double load = token_load(answer->value);
    double min = 0;
    double max = model->is_measured ? token_load(model->query->known.reading.value) : 0;
    for (size_t i = 0; i < user->answered_count; i++) {
        const struct answered *each = &user->answered[i];
        if (each->at_ms >= since_ms - WINDOW_MS && each->load > min)
            min = each->load;
        if (each->at_ms >= since_ms - WINDOW_MS - GRAIN_MS && each->load > max)
            max = each->load;
    }
    if (load < min)
        violated("item %d: a load of %g is held, and %g was answered before the failure",
                 item_of(user)->number, load, min);
    if (load > max)
        violated("item %d: a load of %g is held, which is more than was answered lately",
                 item_of(user)->number, load);
}

static void forget_smaller(struct user *user, double load, int64_t at_ms)
{
    enum { FORGOTTEN_MS = 600000 };
    size_t kept = 0;
    for (size_t i = 0; i < user->answered_count; i++)
        if (user->answered[i].load > load && user->answered[i].at_ms > at_ms - FORGOTTEN_MS)
            user->answered[kept++] = user->answered[i];
    user->answered_count = kept;
}

void model_answered(struct user *user, const struct answer *answer)
{
    if (answer->kind != ANSWER_VALUE)
        return;
    if (answer->held) {
        if (user->failing_since_ms == 0)
            user->failing_since_ms = max_of(useless_since_ms(user), user->answered_ms);
        return;
    }
    if (user->failing_since_ms > 0)
        user->failed_ms += now_ms() - user->failing_since_ms;
    user->failing_since_ms = 0;
    user->answered_ms = now_ms();
    int64_t at_ms = now_ms() - user->failed_ms;
    double load = token_load(answer->value);
    forget_smaller(user, load, at_ms);
    user->answered = memory_grow(user->answered, &user->answered_capacity, user->answered_count + 1,
                                 sizeof(*user->answered));
    user->answered[user->answered_count++] = (struct answered){load, at_ms};
}

/* The second call of a round is answered as the first one was. */
void check_round(const struct user *user, const struct answer *answer)
{
    const struct round_answer *first = &user->round;
    bool is_value = answer->kind == ANSWER_VALUE;
    if (!user->has_round || now_ms() - first->at_ms > TRIGGER_ROUND_MS)
        violated("item %d: IsActive repeats a round that is over", item_of(user)->number);
    if (is_value != first->is_value ||
        (is_value && (answer->value != first->value || answer->active != first->is_active)))
        violated("item %d: IsActive does not agree with GetMetrics", item_of(user)->number);
}

/* ---- everything ---- */

static void check_heap(const struct job_heap *heap, enum job_state state)
{
    for (size_t i = 0; i < heap->count; i++)
        if (heap->jobs[i]->position != i || heap->jobs[i]->state != state ||
            (i > 0 && heap->jobs[(i - 1) / 2]->key > heap->jobs[i]->key))
            violated("a heap is not in order");
}

static void check_flight(const struct schedule *schedule, int in_flight)
{
    const struct job *job;
    size_t quick = 0;
    size_t slow = 0;
    size_t all = 0;
    int64_t sent_ms = INT64_MIN;
    DL_FOREACH(schedule->in_flight, job)
    quick++;
    DL_FOREACH(schedule->slow, job)
    slow++;
    DL_FOREACH2(schedule->sent, job, next_sent)
    {
        all++;
        if (job->sent_ms < sent_ms)
            violated("what is in flight is not in the order of sending");
        sent_ms = job->sent_ms;
    }
    if (slow != schedule->slow_count || quick + slow != schedule->in_flight_count ||
        all != quick + slow || schedule->in_flight_count != (size_t)in_flight)
        violated("%d are in flight, and the schedule counts %zu, %zu of them slow", in_flight,
                 schedule->in_flight_count, schedule->slow_count);
}

void check_client(struct client *client)
{
    const struct schedule *schedule = &client->connection.schedule;
    int in_flight = 0;
    int held = 0;
    size_t failing = 0;
    check_heap(&schedule->scheduled, JOB_SCHEDULED);
    check_heap(&schedule->ready, JOB_READY);
    check_heap(&schedule->ready_slow, JOB_READY);
    check_heap(&schedule->ready_timed_out, JOB_READY);
    for (int i = 0; i < client->source->items_count; i++) {
        struct model *model = &client->models[i];
        in_flight += model->in_flight;
        if (model->query == NULL)
            continue;
        held += model->holds > 0;
        failing += model->query->known.last_attempt == ATTEMPT_FAILED;
        check_needed(client, model);
    }
    check_flight(schedule, in_flight);
    if (client->connection.held_queries != (size_t)held)
        violated("%d queries are held, and %zu are counted", held, client->connection.held_queries);
    if (client->connection.stats.counts.failing_queries != failing)
        violated("%zu queries fail, and %zu are counted", failing,
                 client->connection.stats.counts.failing_queries);
}
