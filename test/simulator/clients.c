/* The thread around a connection, as measure/poller.c has it, and a scaler for the simulated
 * sources. */
#include "simulator/world.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static struct client *client_of_connection(struct connection *connection)
{
    return (struct client *)((char *)connection - offsetof(struct client, connection));
}

struct client *client_of(const struct query *query)
{
    return client_of_connection(query->connection);
}

struct model *model_of(const struct query *query)
{
    return &client_of(query)->models[task_item(&query->task)];
}

static struct item *item_of(const struct client *client, const struct model *model)
{
    return &client->source->items[model - client->models];
}

/* ---- making ---- */

static struct client *client_new(struct source *source)
{
    for (int i = 0; i < world.clients_count; i++)
        if (!world.clients[i]->is_used && world.clients[i]->source == source)
            return world.clients[i];
    struct client *client = memory_new(sizeof(*client));
    client->source = source;
    client->index = world.clients_count++;
    client->models = memory_array((size_t)source->items_count, sizeof(*client->models));
    struct client **grown =
        realloc(world.clients, (size_t)world.clients_count * sizeof(*world.clients));
    if (grown == NULL)
        abort();
    world.clients = grown;
    world.clients[client->index] = client;
    return client;
}

struct client *client_find(struct source *source, int credentials)
{
    for (int i = 0; i < world.clients_count; i++) {
        struct client *client = world.clients[i];
        if (client->is_used && client->source == source && client->credentials == credentials)
            return client;
    }
    struct client *client = client_new(source);
    client->is_used = true;
    client->credentials = credentials;
    client->made_ms = client->completed_ms = now_ms();
    client->failed_since_ms = NEVER_MS;
    client->connect_from_ms = 0;
    client->failures = client->losses = client->hang_ups = 0;
    client->has_answered = false;
    client->work_at_us = INT64_MAX;
    client->is_losing = false;
    client->is_connecting = client->is_dead = client->is_lost = client->has_timed_out = false;
    client->in_flight = client->spaced_in_flight = 0;
    client->first_queued = client->last_queued = -1;
    for (int i = 0; i < source->items_count; i++)
        model_reset(&client->models[i]);
    memset(&client->connection, 0, sizeof(client->connection));
    connection_init(&client->connection, &world.settings, &source->scaler, NULL,
                    &(struct connection_user){0}, now_ms());
    return client;
}

static void end_client(struct client *client)
{
    const uint64_t *counts = client->connection.stats.counts;
    trace("client %d is closed", client->index);
    if (counts[COUNT_QUERIES] != 0 || counts[COUNT_SUBSCRIBED_QUERIES] != 0 ||
        counts[COUNT_FAILING_QUERIES] != 0)
        violated("a connection ends with %zu queries, %zu subscribed, %zu failing",
                 counts[COUNT_QUERIES], counts[COUNT_SUBSCRIBED_QUERIES],
                 counts[COUNT_FAILING_QUERIES]);
    if (client->connection.bundles != NULL)
        violated("a connection ends with queries that are bundled");
    connection_done(&client->connection);
    client->is_used = false;
    client->generation++;
}

void client_free(struct client *client)
{
    free(client->models);
    free(client);
}

void client_wake(struct client *client)
{
    int64_t at_us = world.now_us + (int64_t)random_number(200);
    if (client->work_at_us <= at_us)
        return;
    client->work_at_us = at_us;
    plan(at_us, EVENT_WORK, client->index, 0, 0);
}

void client_wake_for(struct connection *connection)
{
    client_wake(client_of_connection(connection));
}

static void sleep_until(struct client *client, int64_t until_ms)
{
    client->work_at_us = until_ms == CLOCK_NEVER ? INT64_MAX : until_ms * 1000;
    if (until_ms != CLOCK_NEVER)
        plan(client->work_at_us, EVENT_WORK, client->index, 0, 0);
}

/* ---- subscriptions at the source ---- */

static void add_subscription(struct client *client, struct model *model, uint64_t id)
{
    const size_t max = ARRAY_LENGTH(model->subscriptions);
    if ((size_t)model->subscriptions_count == max)
        violated("item %d has %zu subscriptions", item_of(client, model)->number, max);
    model->subscriptions[model->subscriptions_count++] = id;
}

static void unsubscribe(struct client *client, uint64_t id)
{
    for (int item = 0; item < client->source->items_count; item++) {
        struct model *model = &client->models[item];
        for (int i = 0; i < model->subscriptions_count; i++)
            if (model->subscriptions[i] == id)
                model->subscriptions[i--] = model->subscriptions[--model->subscriptions_count];
    }
}

static void subscribe(struct client *client, struct model *model, enum subscribe_when when)
{
    const struct source *source = client->source;
    struct task *task = &model->query->task;
    if (!task_wants_subscription(task) || source->subscribes_when != when)
        return;
    if (source->refuses_subscriptions) {
        _cleanup_(error_done) struct error error = {0};
        error_unavailable(&error, "item %d: subscriptions are refused",
                          item_of(client, model)->number);
        task_cannot_subscribe(task, &error);
        add_subscription(client, model, task->notifier.id);
        unsubscribe(client, task->notifier.id);
        return;
    }
    add_subscription(client, model, task->notifier.id);
    if (!chance(3)) /* or it was lost on the way, which the engine is not told */
        task_subscribed(task);
}

/* ---- requests ---- */

/* The source reads it now. */
static void read_item(const struct client *client, struct model *model)
{
    const struct source *source = client->source;
    const struct item *item = item_of(client, model);
    model->is_lie = world.now_us < source->lies_until_us;
    model->token =
        model->is_lie ? token_of_lie(item, model->started_us) : token_of(item, model->started_us);
}

/* The source works on it. */
static void start(struct client *client, struct model *model)
{
    const struct source *source = client->source;
    const struct item *item = item_of(client, model);
    int number = (int)(model - client->models);
    bool hangs = source->hangs || item->behaviour == HANGS || client->is_dead;
    int64_t latency_us = item->latency_us * source->slowdown;
    if (model->started_us != world.now_us) {
        connection_query_started(model->query, world.now_us);
        model->started_us = world.now_us;
    }
    model->is_started = true;
    subscribe(client, model, WHEN_STARTED);
    /* A subscription that is made later begins at the reading, so nothing comes in between. */
    bool is_read_now = chance(50) && source->subscribes_when != WHEN_ANSWERED;
    model->token = -1;
    if (is_read_now)
        read_item(client, model);
    if (!hangs)
        plan_in(latency_us + (int64_t)random_number(1 + (uint64_t)latency_us / 2), EVENT_REPLY,
                client->index, number, model->generation);
    plan_in(model->query->task.timeout_ms * 1000, EVENT_DEADLINE, client->index, number,
            model->generation);
}

static void start_next(struct client *client)
{
    if (client->first_queued < 0)
        return;
    struct model *model = &client->models[client->first_queued];
    if (!model->is_started)
        start(client, model);
}

static void enqueue(struct client *client, struct model *model)
{
    int number = (int)(model - client->models);
    model->next_queued = -1;
    if (client->first_queued < 0)
        client->first_queued = number;
    else
        client->models[client->last_queued].next_queued = number;
    client->last_queued = number;
    start_next(client);
}

static void dequeue(struct client *client, struct model *model)
{
    int number = (int)(model - client->models);
    int before = -1;
    int *place = &client->first_queued;
    while (*place >= 0 && *place != number) {
        before = *place;
        place = &client->models[*place].next_queued;
    }
    *place = model->next_queued;
    if (client->last_queued == number)
        client->last_queued = before;
}

static void send_request(struct client *client, struct query *query)
{
    static uint64_t generations;
    struct model *model = model_of(query);
    trace("client %d: item %d is sent%s%s", client->index, item_of(client, model)->number,
          query->task.isolate ? ", isolated" : "",
          task_wants_subscription(&query->task) ? ", subscribing" : "");
    check_take(client, model);
    world.sends++;
    model->in_flight = true;
    model->is_started = false;
    model->is_given_up = chance(1) && chance(50);
    model->was_sent = true;
    model->taken_us = model->started_us = world.now_us;
    model->generation = ++generations;
    model->was_spaced = model->timeouts > 0;
    client->in_flight++;
    client->spaced_in_flight += model->was_spaced;
    subscribe(client, model, WHEN_SENT);
    if (client->source->is_serial)
        enqueue(client, model);
    else
        start(client, model);
}

static void leave_flight(struct client *client, struct model *model)
{
    model->in_flight = false;
    client->in_flight--;
    client->spaced_in_flight -= model->was_spaced;
    if (client->source->is_serial)
        dequeue(client, model);
}

static void finish(struct client *client, struct model *model, enum task_outcome outcome,
                   const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    const struct item *item = item_of(client, model);
    if (model->token < 0)
        read_item(client, model);
    reading.value = model->token;
    reading.waiting = token_load(reading.value);
    bool is_believed =
        outcome == TASK_ANSWERED && model->holds > 0 && model_believes(client, model, &reading);
    if (words != NULL)
        error_unavailable(&error, "item %d: %s", item->number, words);
    client->has_timed_out = client->has_timed_out || outcome == TASK_TIMED_OUT;
    trace("client %d: item %d ends with %d", client->index, item->number, outcome);
    if (outcome == TASK_ANSWERED)
        subscribe(client, model, WHEN_ANSWERED);
    model->query->task.has_ended = true;
    connection_query_ended(model->query, outcome, outcome == TASK_ANSWERED ? &reading : NULL,
                           words == NULL ? NULL : &error, world.now_us);
    leave_flight(client, model);
    if (model->holds > 0 && outcome == TASK_ANSWERED) {
        check_believed(client, model, is_believed);
        if (is_believed)
            policies_take_reading(model->query);
    }
    if (model->holds == 0)
        model_reset(model);
    else
        check_end(client, model, outcome);
    if (outcome == TASK_ANSWERED || outcome == TASK_FAILED) {
        client->completed_ms = now_ms();
        client->has_answered = true;
    }
    if (client->source->is_serial)
        start_next(client);
    client_wake(client);
}

/* ---- losing the client ---- */

static struct query *find_query(const struct client *client, const struct model *model)
{
    struct query *query;
    HASH_FIND_STR(client->connection.queries, item_of(client, model)->values->identity, query);
    return query;
}

/* What the engine decided for a request that was in flight; it may still be. */
static void model_lost(const struct client *client, struct model *model)
{
    const struct query *query = find_query(client, model);
    if (query == NULL) {
        if (model->holds > 0)
            violated("item %d is in use, and its query was freed", item_of(client, model)->number);
        model_reset(model);
        return;
    }
    if (query->job.state == JOB_IN_FLIGHT)
        return;
    model->in_flight = false;
    model->outcome = TASK_RETURNED;
    model->ended_ms = now_ms();
    model->credit += 1;
    if (query->job.state != JOB_READY) {
        model->was_resent = false;
        model_fail(model);
    }
}

static void models_lost(struct client *client)
{
    for (int i = 0; i < client->source->items_count; i++)
        if (client->models[i].in_flight)
            model_lost(client, &client->models[i]);
    if (client->connection.state == CONNECTION_FAILED && client->failed_since_ms == NEVER_MS)
        client->failed_since_ms = now_ms();
}

/* With thousands of queries not in each pause: what is under way comes to nothing else. */
void client_pause(struct connection *connection)
{
    enum { ACTS_PER_WALK = 30 };
    struct client *client = client_of_connection(connection);
    if (world.is_ending || !chance(world.busy_percent) ||
        random_number(HASH_COUNT(connection->queries) + 1) >= ACTS_PER_WALK)
        return;
    if (client->is_losing)
        models_lost(client);
    policies_take_given(client);
    do
        callers_act(client);
    while (chance(30));
}

/* `words` is NULL where the engine asked for it. */
static void lose(struct client *client, const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    struct source *source = client->source;
    bool any = client->in_flight > 0;
    bool has_hung_up = !any && client->has_answered;
    trace("client %d is lost: %s", client->index, words == NULL ? "replaced" : words);
    if (words != NULL)
        error_unavailable(&error, "source %d: %s", source->index, words);
    source->disturbed_ms = now_ms();
    client->is_losing = true;
    connection_lost(&client->connection, words == NULL ? NULL : &error, now_ms());
    client->is_losing = false;
    if (client->has_answered)
        client->failures = 0;
    if (client->has_answered && now_ms() - client->connected_ms >= STEADY_MS)
        client->losses = client->hang_ups = 0;
    client->first_queued = client->last_queued = -1;
    models_lost(client);
    for (int i = 0; i < source->items_count; i++)
        client->models[i].subscriptions_count = 0;
    client->in_flight = client->spaced_in_flight = 0;
    client->generation++;
    bool has_failed = client->connection.state == CONNECTION_FAILED;
    client->connect_from_ms = 0;
    if (words != NULL && (has_failed || !any))
        client_failed(client, has_hung_up);
    client->has_answered = false;
}

void client_lose(struct client *client, bool silently)
{
    client->is_dead = client->is_dead || silently;
    client->is_lost = client->is_lost || !silently;
    client_wake(client);
}

/* ---- connecting ---- */

bool client_is_accepted(const struct client *client)
{
    const struct source *source = client->source;
    return source->is_reachable && client->credentials != source->invalid_credentials;
}

static void connect_client(struct client *client)
{
    const struct source *source = client->source;
    check_connect(client);
    world.connects++;
    connection_connecting(&client->connection);
    client->is_connecting = true;
    client->generation++;
    trace("client %d connects", client->index);
    int64_t takes_us = client_is_accepted(client) ? source->latency_us : chance(50) ? 300 : 2000000;
    plan_in(takes_us, EVENT_CONNECTED, client->index, 0, client->generation);
}

void client_connected(struct client *client)
{
    const struct source *source = client->source;
    client->is_connecting = false;
    client->has_timed_out = client->is_dead = client->is_lost = false;
    if (client_is_accepted(client)) {
        bool had_failed = client->failed_since_ms != NEVER_MS;
        client->completed_ms = client->connected_ms = now_ms();
        client->failed_since_ms = NEVER_MS;
        for (int i = 0; had_failed && i < source->items_count; i++) {
            client->models[i].was_hastened = true;
            client->models[i].credit += 1;
            model_need_nothing(&client->models[i]); /* who called got the failure */
        }
        client->has_answered = false;
        connection_connected(&client->connection, now_ms());
        if (had_failed)
            check_caught_up(client);
    } else {
        _cleanup_(error_done) struct error error = {0};
        error_unavailable(&error, "source %d: refused", source->index);
        if (client->failed_since_ms == NEVER_MS)
            client->failed_since_ms = now_ms();
        client_failed(client, false);
        connection_refused(&client->connection, &error, now_ms());
    }
    trace("client %d: connected %d", client->index, client_is_accepted(client));
    client_work(client);
}

/* ---- the thread ---- */

static bool work_connected(struct client *client)
{
    struct connection *connection = &client->connection;
    struct query *query;
    uint64_t id;
    bool any = false;
    while ((query = connection_take(connection, connection_advance(connection))) != NULL) {
        send_request(client, query);
        any = true;
    }
    while (connection_next_unsubscribe(connection, &id)) {
        unsubscribe(client, id);
        any = true;
    }
    return any;
}

/* False: there was nothing to do. */
static bool work_or_lose(struct client *client)
{
    const struct connection *connection = &client->connection;
    bool has_subscriptions = connection->subscribed.used > 0;
    if (!connection->must_replace_client) {
        if (!client->is_lost || (client->in_flight == 0 && !has_subscriptions))
            return work_connected(client);
        lose(client, "the connection broke");
        return true;
    }
    if (!client->has_timed_out)
        violated("a client that answered is replaced");
    lose(client, NULL);
    return true;
}

void client_work(struct client *client)
{
    struct connection *connection = &client->connection;
    for (int idle = 0; !client->is_connecting;) {
        connection_advance(connection);
        if (connection_is_unused(connection)) {
            if (client->in_flight > 0 || connection->state == CONNECTION_CONNECTED)
                lose(client, NULL);
            if (!connection_is_unused(connection)) /* since a pause */
                continue;
            end_client(client);
            return;
        }
        if (connection_wants_client(connection, now_ms())) {
            connect_client(client);
            return;
        }
        if (connection->state == CONNECTION_CONNECTED)
            idle = work_or_lose(client) ? 0 : idle + 1;
        if (connection_is_unused(connection)) /* since a pause */
            continue;
        int64_t next_ms = connection_next_ms(connection, now_ms());
        if (next_ms > now_ms() && !(client->is_lost && client->in_flight > 0)) {
            sleep_until(client, next_ms);
            return;
        }
        if (idle > 2)
            violated("a client works all the time and has nothing to do");
    }
}

void client_reply(struct client *client, int number)
{
    struct model *model = &client->models[number];
    const struct item *item = item_of(client, model);
    bool hangs = client->source->hangs || item->behaviour == HANGS;
    if (client->is_dead || (hangs && chance(70)))
        return;
    if (model->is_given_up)
        finish(client, model, chance(50) ? TASK_RETURNED : TASK_ISOLATED, NULL);
    else if (item->behaviour == FAILS)
        finish(client, model, TASK_FAILED, "there is none");
    else if (item->behaviour == BREAKS) {
        lose(client, "the connection broke");
        client_work(client);
    } else
        finish(client, model, TASK_ANSWERED, NULL);
}

void client_deadline(struct client *client, int number)
{
    finish(client, &client->models[number], TASK_TIMED_OUT, "no answer");
}

void client_notify(struct client *client, uint64_t id)
{
    struct query *query = subscription_table_find(&client->connection.subscribed, id);
    trace("client %d is notified of %llu%s", client->index, (unsigned long long)id,
          query == NULL ? ", which is over" : "");
    world.notifications++;
    if (query != NULL) {
        struct model *model = model_of(query);
        enum { ALERTS = 14 }; /* 5, 10, 20 ... milliseconds later */
        model->notified_us = world.now_us;
        model->credit += ALERTS;
        if (query->push.alert_ms > 0)
            model_alert(model);
        else
            model_need(model, world.now_us);
    }
    connection_notify(&client->connection, id, world.now_us);
    client_wake(client);
    if (query != NULL)
        check_needed(client, model_of(query));
}
