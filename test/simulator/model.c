/* What has to hold after every step of measuring: what is sent and when, and that what is needed
 * comes. */
#include "simulator/world.h"

#include "base/memory.h"

#include <string.h>
#include <utlist.h>

enum {
    MAX_CREDIT = 12,
    RETRY_MIN_MS = 2000,
    RETRY_MAX_MS = 30000,
    PAUSE_MS = 10000,
};

int64_t min_of(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

int64_t max_of(int64_t one, int64_t other)
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
                            .credit = MAX_CREDIT,
                            .credit_at_ms = now_ms(),
                            .subscriptions_count = count};
    memcpy(model->subscriptions, subscriptions, sizeof(subscriptions));
}

void model_need(struct model *model, int64_t from_us)
{
    if (model->needed_us == 0)
        model->needed_since_ms = now_ms();
    model->needed_us = max_of(model->needed_us, from_us);
    model->called_us = max_of(model->called_us, from_us);
}

void model_alert(struct model *model)
{
    int64_t called_us = model->called_us;
    model_need(model, world.now_us);
    model->called_us = called_us;
    model->is_alerted = true;
}

void model_calm_down(struct model *model)
{
    if (!model->is_alerted || model->query->push.idle_interval_ms > 0)
        return;
    model->needed_us = model->called_us;
    model->is_alerted = false;
}

void model_need_nothing(struct model *model)
{
    model->needed_us = model->called_us = 0;
    model->is_alerted = false;
}

void model_fail(struct model *model)
{
    model->is_failing = true;
    model->doubt_ms = 0;
    model->failed_ms = now_ms();
    model_need_nothing(model);
}

/* ---- sends ---- */

static int64_t retry_ms(unsigned timeouts)
{
    return timeouts > 4 ? RETRY_MAX_MS : min_of(RETRY_MAX_MS, RETRY_MIN_MS << (timeouts - 1));
}

int64_t default_freshness_ms(int64_t duration_ms)
{
    return min_of(STANDARD_INTERVAL_MS, max_of(500, 10 * max_of(0, duration_ms)));
}

/* How many measurements per millisecond F, intervals and retries explain, whoever calls. */
static double explained_rate(const struct model *model)
{
    const struct query *query = model->query;
    int64_t duration_ms = min_of(model->duration_ms, model->former_duration_ms);
    double rate = 1.0 / STANDARD_INTERVAL_MS;
    if (query->uses_without_interval > 0)
        rate += 1.0 / (double)default_freshness_ms(duration_ms);
    if (query->intervals.count > 0)
        rate += 2.0 / (double)interval_set_shortest_ms(&query->intervals);
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

int isolated_places(const struct source *source)
{
    enum { DEFAULT_PLACES = 16 };
    return source->scaler.isolated == 0 ? DEFAULT_PLACES : (int)source->scaler.isolated;
}

void check_take(struct client *client, struct model *model)
{
    const struct source *source = client->source;
    int number = source->items[model - client->models].number;
    if (client->is_connecting || client->connection.state != CONNECTION_CONNECTED)
        violated("item %d is sent without a client", number);
    if (model->query == NULL)
        violated("item %d is sent, and nobody holds it", number);
    if (model->in_flight)
        violated("item %d is in flight twice", number);
    if (source->scaler.max_tasks > 0 && client->in_flight + 1 > (int)source->scaler.max_tasks)
        violated("the max_tasks of %zu is not kept", source->scaler.max_tasks);
    if (model->timeouts > 0 && client->spaced_in_flight + 1 > isolated_places(source))
        violated("%d requests that timed out last are in flight: their places are %d",
                 client->spaced_in_flight + 1, isolated_places(source));
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

/* ---- zeros ---- */

/* By what was known before: a 0 that may be false is to be confirmed. */
bool model_believes(const struct client *client, struct model *model, const struct reading *reading)
{
    const struct query_known *known = &model->query->known;
    int64_t settles_ms = client->source->scaler.zero_settles_ms;
    int64_t sent_ms = model->started_us / 1000;
    bool is_new_client = sent_ms - client->connected_ms < settles_ms;
    bool was_above = known->is_measured && known->reading.waiting > 0;
    if (settles_ms == 0 || reading->waiting > 0 ||
        (!is_new_client && !was_above && !model->is_failing && model->doubt_ms == 0)) {
        model->doubt_ms = 0;
        return true;
    }
    if (model->doubt_ms == 0 || model->doubt_ms < client->connected_ms) {
        model->doubt_ms = now_ms();
        model->was_true = false;
        model->lies = client->source->lies;
    }
    model->was_true = model->was_true || !model->is_lie;
    if (sent_ms - model->doubt_ms < settles_ms)
        return false;
    if (!model->was_true && model->lies == client->source->lies) /* two elections fool it */
        violated("item %d: a false 0 counts", client->source->items[model - client->models].number);
    model->doubt_ms = 0;
    return true;
}

void check_believed(struct client *client, struct model *model, bool is_expected)
{
    const struct query *query = model->query;
    const struct job *job = &query->job;
    int number = client->source->items[model - client->models].number;
    bool is_known = query->known.is_measured && query->known.taken_us == query->taken_us;
    if (is_known != is_expected)
        violated("item %d: a reading of %g %s", number, token_load(model->token),
                 is_known ? "counts, and may be false" : "does not count");
    if (model->doubt_ms == 0)
        return;
    model->credit += 1;
    if (job->state != JOB_READY &&
        (job->state != JOB_SCHEDULED ||
         job->due_ms > model->doubt_ms + client->source->scaler.zero_settles_ms))
        violated("item %d: a 0 is not confirmed", number);
}

static void check_completed(struct model *model, bool is_good)
{
    model->timeouts = 0;
    model->was_resent = false;
    if (model->started_us >= model->needed_us)
        model_need_nothing(model);
    if (model->started_us >= model->called_us)
        model->called_us = 0;
    /* What is needed still was demanded after this one was sent: all before is served. */
    model->needed_since_ms = max_of(model->needed_since_ms, model->started_us / 1000);
    if (is_good && model->doubt_ms > 0)
        return;
    if (is_good) {
        model->is_measured = true;
        model->is_failing = false;
        model->former_duration_ms = model->duration_ms;
        model->duration_ms = now_ms() - model->started_us / 1000;
        return;
    }
    const struct model before = *model;
    model_fail(model);
    model->needed_us = before.needed_us;
    model->called_us = before.called_us;
    model->is_alerted = before.is_alerted;
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
    return failures > 6 ? world.settings.backoff.max_ms
                        : min_of(world.settings.backoff.max_ms,
                                 world.settings.backoff.min_ms << (failures - 2));
}

void client_failed(struct client *client, bool has_hung_up)
{
    unsigned *in_a_row = has_hung_up            ? &client->hang_ups
                         : client->has_answered ? &client->losses
                                                : &client->failures;
    int64_t max_ms = has_hung_up ? 1000 : INT64_MAX;
    client->connect_from_ms = now_ms() + min_of(backoff_ms(++*in_a_row), max_ms) * 3 / 4;
}

void check_connect(struct client *client)
{
    if (now_ms() < client->connect_from_ms)
        violated("source %d is connected to %lld ms before its back-off ends",
                 client->source->index, (long long)(client->connect_from_ms - now_ms()));
}

/* A failed connection is back: what has an interval is measured now, and what is spaced out,
 * unless it may have broken the clients, is tried now. */
void check_caught_up(const struct client *client)
{
    enum { MAX_LOSSES = 2 };
    for (int i = 0; i < client->source->items_count; i++) {
        const struct query *query = client->models[i].query;
        int number = client->source->items[i].number;
        if (query == NULL)
            continue;
        bool is_due = query->job.state != JOB_IDLE &&
                      (query->job.state != JOB_SCHEDULED || query->job.due_ms <= now_ms());
        if (query_interval_ms(query) > 0 && query->job.timeouts == 0 && !is_due)
            violated("item %d is not measured again though its source is back", number);
        if (schedule_is_spaced_out(&query->job) && query->losses < MAX_LOSSES &&
            query->job.due_ms > now_ms())
            violated("item %d waits to be tried though its source is back", number);
    }
}

/* ---- what is needed comes ---- */

/* How long it may take at worst until a query is sent: everything before it hangs. */
static int64_t starving_ms(const struct client *client)
{
    const struct source *source = client->source;
    int64_t timeout_ms = source->scaler.timeout_ms > 0 ? source->scaler.timeout_ms : 2000;
    int64_t places = isolated_places(source);
    if (source->is_serial)
        timeout_ms *= (int64_t)source->scaler.max_tasks;
    int64_t jobs = source->items_count + 1;
    return 100000 + 2 * jobs * timeout_ms / places;
}

static bool is_on_its_way(const struct client *client, const struct model *model)
{
    const struct query *query = model->query;
    const struct job *job = &query->job;
    bool is_alert = query->push.alert_ms > 0 || query->push.is_notified;
    if (client->connection.state == CONNECTION_FAILED || job->state == JOB_READY ||
        schedule_is_spaced_out(job))
        return true;
    if (job->state == JOB_IN_FLIGHT)
        return model->started_us >= model->needed_us || is_alert ||
               (job->is_demanded && job->needed_from_ms > job->sent_ms);
    return is_alert && job->state == JOB_SCHEDULED &&
           job->due_ms <= now_ms() + query->push.idle_interval_ms;
}

void check_needed(struct client *client, struct model *model)
{
    int number = client->source->items[model - client->models].number;
    if (model->query == NULL || model->needed_us == 0)
        return;
    model_calm_down(model);
    if (model->needed_us > 0 && !is_on_its_way(client, model))
        violated("item %d is needed and will not be sent", number);
    int64_t since_ms =
        max_of(model->needed_since_ms, max_of(world.jumped_ms, client->connected_ms));
    bool may_starve = model->needed_us == 0 || client->connection.state != CONNECTION_CONNECTED ||
                      client->source->hangs;
    if (!may_starve && now_ms() - since_ms > starving_ms(client))
        violated("item %d has been needed for %lld ms and is not sent", number,
                 (long long)(now_ms() - model->needed_since_ms));
}

/* ---- everything ---- */

static void check_heap(const struct heap *heap, enum job_state state)
{
    for (size_t i = 0; i < heap->count; i++) {
        const struct heap_entry *entry = &heap->entries[i];
        const struct job *job = HEAP_OWNER(entry->item, struct job, place);
        if (job->place.position != i || job->state != state || job->place.heap != heap ||
            (i > 0 && heap->entries[(i - 1) / HEAP_CHILDREN].key > entry->key))
            violated("a heap is not in order");
    }
}

static void check_flight(const struct schedule *schedule, int in_flight)
{
    const struct job *job;
    size_t isolated = 0;
    size_t all = 0;
    int64_t sent_ms = INT64_MIN;
    DL_FOREACH(schedule->sent, job) {
        all++;
        isolated += job->is_isolated;
        if (job->sent_ms < sent_ms)
            violated("what is in flight is not in the order of sending");
        sent_ms = job->sent_ms;
    }
    if (all != schedule->in_flight_count || all != (size_t)in_flight ||
        isolated != schedule->isolated_in_flight)
        violated("%d are in flight, and the schedule counts %zu, %zu of them isolated", in_flight,
                 schedule->in_flight_count, schedule->isolated_in_flight);
}

static void check_ready(const struct schedule *schedule)
{
    for (int i = 0; i < JOB_CLASSES; i++) {
        size_t count = 0;
        for (int demanded = 0; demanded < 2; demanded++) {
            check_heap(&schedule->ready[i][demanded], JOB_READY);
            count += schedule->ready[i][demanded].count;
        }
        if (count != schedule->ready_count[i])
            violated("what is ready is counted wrong");
    }
}

static bool will_be_ended(const struct connection *connection, uint64_t id)
{
    for (size_t i = 0; i < connection->unsubscribes_count; i++)
        if (connection->unsubscribes[i] == id)
            return true;
    return false;
}

/* Each subscription at the source is known, or being made, or will be ended. */
static void check_subscriptions(struct client *client, const struct model *model)
{
    const struct connection *connection = &client->connection;
    for (int i = 0; i < model->subscriptions_count; i++) {
        uint64_t id = model->subscriptions[i];
        bool is_made = model->in_flight && model->query->task.notifier.id == id;
        if (!is_made && subscription_table_find(&connection->subscribed, id) == NULL &&
            !will_be_ended(connection, id))
            violated("item %d has a subscription that nobody ends",
                     client->source->items[model - client->models].number);
    }
}

void check_client(struct client *client)
{
    const struct schedule *schedule = &client->connection.schedule;
    int in_flight = 0;
    int held = 0;
    size_t failing = 0;
    check_heap(&schedule->scheduled, JOB_SCHEDULED);
    check_ready(schedule);
    for (int i = 0; i < client->source->items_count; i++) {
        struct model *model = &client->models[i];
        in_flight += model->in_flight;
        check_subscriptions(client, model);
        if (model->query == NULL)
            continue;
        held += model->holds > 0;
        failing += model->query->known.last_attempt == ATTEMPT_FAILED;
        check_needed(client, model);
    }
    check_flight(schedule, in_flight);
    if (client->connection.used_queries != (size_t)held)
        violated("%d queries have users, and %zu are counted", held,
                 client->connection.used_queries);
    if (client->connection.stats.counts[COUNT_FAILING_QUERIES] != failing)
        violated("%zu queries fail, and %zu are counted", failing,
                 client->connection.stats.counts[COUNT_FAILING_QUERIES]);
}
