/* KEDA: rounds of calls, streams, and triggers whose connection is another one from now on. The
 * calls are answered as serve/services/external_scaler.c and scaler_stream.c do. */
#include "simulator/world.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

enum { HEARTBEAT_MS = 60000 };

static const struct item *item_of(const struct user *user)
{
    return &user->source->items[user->item];
}

/* ---- making ---- */

void user_init(struct user *user, int index)
{
    static const int64_t polls_ms[] = {1000, 2000, 5000, 10000, 30000, 60000};
    static const int64_t windows_ms[] = {0, 60000, 300000, 900000};
    static const int64_t intervals_ms[] = {200, 1000, 5000, 30000, 3600000};
    user->index = index;
    user->source = &world.sources[random_number((uint64_t)world.sources_count)];
    user->item = (int)random_number((uint64_t)user->source->items_count);
    user->poll_ms = polls_ms[random_number(ARRAY_LENGTH(polls_ms))];
    user->idle_ms = chance(60) ? 200 + (int64_t)random_number(2000) : 0;
    user->rules = (struct answer_rules){.interval_ms = STANDARD_INTERVAL_MS,
                                        .hold_ms = chance(50) ? 60000 : 3600000,
                                        .hold_window_ms = windows_ms[random_number(4)]};
    user->trigger.parsed.rules = user->rules;
    if (!chance(70)) {
        user->rules.interval_is_set = true;
        user->rules.interval_ms = intervals_ms[random_number(ARRAY_LENGTH(intervals_ms))];
    }
    policy_init(user);
}

void user_start(struct user *user)
{
    plan_in((int64_t)random_number((uint64_t)user->poll_ms * 1000), EVENT_POLL, user->index, 0, 0);
}

/* ---- the query of a trigger ---- */

static int64_t interval_ms(const struct user *user)
{
    return user->rules.interval_is_set ? user->rules.interval_ms : 0;
}

/* `former`: whose place it takes; NULL: no query's. */
static void hold(struct user *user, const struct former_query *former)
{
    struct client *client = client_find(user->source, user->source->credentials);
    struct model *model = &client->models[user->item];
    user->client = client;
    user->credentials = client->credentials;
    user->query = query_for_values(&client->connection, item_of(user)->values, NULL);
    policy_keep_history(user);
    if (former != NULL)
        query_take(user->query, former);
    model->query = user->query;
    model->holds++;
    model->credit += 1;
    query_begin_use(user->query, interval_ms(user), now_ms());
    policy_follow(user);
    client_wake(client);
}

static void release(struct user *user, struct client *client, struct query *query)
{
    struct model *model = model_of(query);
    model->holds--;
    policy_end_history(user, query);
    query_end_use(query, interval_ms(user), now_ms());
    if (model->holds == 0 && !model->in_flight)
        model_reset(model);
    else if (model->holds == 0)
        model_need_nothing(model);
    client_wake(client);
}

static void set_idle(struct user *user, int64_t idle_ms)
{
    struct watcher *watcher = &user->stream;
    if (watcher->query == NULL || watcher->idle_interval_ms == idle_ms)
        return;
    struct model *model = model_of(watcher->query);
    model->credit += 2;
    watcher_set_idle_interval(watcher, idle_ms);
    model_calm_down(model);
}

static void exchange(struct user *user, bool inherits, struct source *source, int item)
{
    struct query *former = user->query;
    struct client *former_client = user->client;
    struct model *former_model = &former_client->models[user->item];
    _cleanup_(former_query_done) struct former_query known = {0};
    struct watcher *watcher;
    trace("trigger %d is moved", user->index);
    policy_unfollow(user);
    query_remember(former, &known);
    user->source = source;
    user->item = item;
    if (!inherits) {
        trigger_answers_forget(&user->trigger);
        user->has_round = false;
        user->streaming_since_ms = user->moved_ms = now_ms();
        user->answered_count = 0;
        user->failed_ms = user->failing_since_ms = 0;
        user->was_active = false;
        user->last_load = 0;
        policy_forget(user);
    }
    hold(user, inherits ? &known : NULL);
    DL_FOREACH2(user->watchers, watcher, next_owned) {
        bool is_stream = watcher->is_stream;
        watcher_stop(watcher);
        model_calm_down(former_model);
        watcher_start(watcher, user->query, is_stream);
        world.settings.hooks.watcher_ready(NULL, watcher);
    }
    release(user, former_client, former);
}

static void renew(struct user *user)
{
    if (user->query != NULL && user->credentials != user->source->credentials)
        exchange(user, true, user->source, user->item);
}

void callers_reload(void)
{
    if (world.is_ending)
        return;
    struct source *source = &world.sources[random_number((uint64_t)world.sources_count)];
    if (chance(60)) {
        source->credentials++;
        if (chance(
                20)) { /* the source has not got them yet; others that it refused it accepts now */
            source->invalid_credentials = source->credentials;
            source->disturbed_ms = now_ms();
        }
        trace("source %d has other credentials", source->index);
        for (int i = 0; i < world.users_count; i++)
            if (world.users[i].source == source &&
                chance(70)) /* the others when they are asked for */
                renew(&world.users[i]);
    } else {
        struct user *user = &world.users[random_number((uint64_t)world.users_count)];
        if (user->query != NULL && user->source != source)
            exchange(user, false, source, (int)random_number((uint64_t)source->items_count));
    }
    plan_in((int64_t)random_number(300) * 1000000, EVENT_RELOAD, 0, 0, 0);
}

/* ---- calls ---- */

static struct call *call_new(struct user *user)
{
    struct call *call = world.free_calls;
    if (call != NULL)
        world.free_calls = call->next_free;
    else {
        call = memory_new(sizeof(*call));
        call->index = world.calls_count++;
        world.calls = memory_grow(world.calls, &world.calls_capacity, (size_t)world.calls_count,
                                  sizeof(*world.calls));
        world.calls[call->index] = call;
    }
    call->is_used = true;
    call->is_watching = call->is_late = false;
    call->user = user;
    call->arrived_ms = now_ms();
    call->watcher = (struct watcher){.caller = call};
    user->calls++;
    return call;
}

static void call_free(struct call *call)
{
    if (call->is_watching) {
        DL_DELETE2(call->user->watchers, &call->watcher, prev_owned, next_owned);
        watcher_stop(&call->watcher);
    }
    call->user->calls--;
    call->is_used = false;
    call->generation++;
    call->next_free = world.free_calls;
    world.free_calls = call;
}

void calls_free(void)
{
    for (int i = 0; i < world.calls_count; i++) {
        if (world.calls[i]->is_used)
            violated("a call was never answered");
        free(world.calls[i]);
    }
    free(world.calls);
}

/* What a policy answers is beside the tokens that values are. */
static void record(const struct user *user, const struct answer *answer)
{
    uint64_t parts[] = {(uint64_t)user->index, (uint64_t)now_ms(),
                        (uint64_t)answer->kind << 2 | (uint64_t)answer->active << 1 | answer->held,
                        (uint64_t)answer->value, (uint64_t)check_policy(user)};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        world.answers = (world.answers ^ parts[i]) * 1099511628211U + (world.answers >> 29);
}

static void decide(const struct user *user, const struct answer_call *how,
                   struct answer *ret_answer)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(user->query, &snapshot);
    const struct evaluation_result evaluated = {
        .is_good = snapshot.known.is_measured,
        .evaluation = {.value = snapshot.known.reading.value,
                       .active = snapshot.known.is_measured &&
                                 token_is_active(snapshot.known.reading.value)}};
    const struct answer_facts facts = {.snapshot = &snapshot,
                                       .evaluated = &evaluated,
                                       .rules = &user->rules,
                                       .hold = &user->trigger.answers.hold};
    answer_decide(&facts, how, now_ms(), ret_answer);
    record(user, ret_answer);
}

static void demand(struct user *user, int64_t from_ms)
{
    struct model *model = &user->client->models[user->item];
    model_need(model, from_ms * 1000);
    query_demand(user->query, from_ms);
    check_needed(user->client, model);
}

static void wait_for_news(struct call *call, const struct answer *answer)
{
    struct user *user = call->user;
    bool is_first = !call->is_watching;
    if (is_first) {
        call->is_watching = true;
        DL_APPEND2(user->watchers, &call->watcher, prev_owned, next_owned);
        watcher_start(&call->watcher, user->query, false);
        plan((call->arrived_ms + ANSWER_PATIENCE_MS) * 1000, EVENT_CALL_DUE, call->index, 0,
             call->generation);
    }
    demand(user, answer->needed_from_ms);
}

static void note(struct user *user, const char *call, const struct answer *answer, bool is_round)
{
    trigger_answers_record(&user->trigger, call, answer, now_ms());
    model_answered(user, answer, is_round);
}

static void end_round(struct user *user, const struct answer *answer)
{
    trigger_answers_begin_round(&user->trigger, answer, now_ms());
    user->has_round = true;
    user->round = (struct round_answer){.is_value = answer->kind == ANSWER_VALUE,
                                        .is_active = answer->active,
                                        .value = answer->value,
                                        .at_ms = now_ms()};
    if (chance(85)) /* or KEDA's call is lost, or comes too late for this round */
        plan_in((int64_t)random_number(chance(90) ? 50000 : 3000000), EVENT_IS_ACTIVE, user->index,
                0, 0);
}

static void call_news(struct call *call, bool out_of_time)
{
    _cleanup_(answer_done) struct answer answer = {0};
    struct user *user = call->user;
    const struct answer_call how = {.arrived_ms = call->arrived_ms, .out_of_time = out_of_time};
    decide(user, &how, &answer);
    if (answer.kind == ANSWER_WAIT) {
        wait_for_news(call, &answer);
        answer_done(&answer);
        decide(user, &how, &answer);
    }
    if (answer.kind == ANSWER_WAIT && !out_of_time)
        return;
    if (answer.is_unanswered)
        demand(user, answer.needed_from_ms);
    trace("trigger %d: item %d is answered %d %s%s%s", user->index, item_of(user)->number,
          answer.kind, answer.active ? "active" : "", answer.held ? " held " : " ",
          error_text(&answer.error));
    check_answer(user, call, &answer, out_of_time);
    world.values += answer.kind == ANSWER_VALUE;
    world.held += answer.held;
    world.refusals += answer.kind == ANSWER_REFUSED;
    note(user, call->is_round ? "GetMetrics" : "IsActive", &answer, call->is_round);
    if (call->is_round)
        end_round(user, &answer);
    call_free(call);
}

void call_due(struct call *call)
{
    if (chance(2)) { /* KEDA gave up */
        call_free(call);
        return;
    }
    bool out_of_time = call->is_late;
    if (!out_of_time)
        plan((call->arrived_ms + CALL_TIMEOUT_MS) * 1000, EVENT_CALL_DUE, call->index, 0,
             call->generation);
    call->is_late = true;
    call_news(call, out_of_time);
}

static void begin_call(struct user *user, bool is_round)
{
    if (user->query == NULL)
        hold(user, NULL);
    renew(user);
    const struct answer *round = is_round ? NULL : trigger_answers_round(&user->trigger, now_ms());
    if (round != NULL) {
        check_round(user, round);
        const struct answer again = *round; /* as it is noted, it may be replaced */
        note(user, "IsActive", &again, false);
        return;
    }
    if (!is_round && user->has_round && now_ms() - user->round.at_ms <= TRIGGER_ROUND_MS)
        violated("item %d: IsActive does not belong to its round", item_of(user)->number);
    struct call *call = call_new(user);
    call->is_round = is_round;
    call_news(call, false);
}

void user_is_active(struct user *user)
{
    if (!world.is_ending)
        begin_call(user, false);
}

/* ---- streams ---- */

static void plan_heartbeat(struct user *user)
{
    plan_in(HEARTBEAT_MS * (int64_t)1000, EVENT_STREAM, user->index, 0, ++user->stream_generation);
}

static void stream_news(struct user *user, bool is_due)
{
    _cleanup_(answer_done) struct answer answer = {0};
    const struct answer_call how = {.is_stream = true};
    decide(user, &how, &answer);
    bool active = answer.kind == ANSWER_VALUE && answer.active;
    bool idle = answer.kind == ANSWER_VALUE && !answer.active;
    bool heartbeat = is_due || user->is_heartbeat_due;
    if (active && (!user->was_sent_active || heartbeat)) {
        check_stream(user, &answer);
        note(user, "StreamIsActive", &answer, false);
        trace("trigger %d: active is sent on the stream", user->index);
        user->was_sent_active = true;
        user->is_heartbeat_due = false;
        plan_heartbeat(user);
    } else if (answer.kind == ANSWER_WAIT && heartbeat)
        user->is_heartbeat_due = true;
    else if (idle || heartbeat)
        user->was_sent_active = user->is_heartbeat_due = false;
    set_idle(user, idle ? user->idle_ms : 0);
}

void user_stream(struct user *user)
{
    if (user->is_streaming)
        stream_news(user, true);
}

static void open_stream(struct user *user)
{
    trace("trigger %d opens its stream", user->index);
    user->is_streaming = true;
    user->was_sent_active = user->is_heartbeat_due = false;
    user->streaming_since_ms = now_ms();
    user->stream = (struct watcher){.caller = NULL};
    DL_APPEND2(user->watchers, &user->stream, prev_owned, next_owned);
    user->stream.is_stream = true;
    model_of(user->query)->credit += 2;
    watcher_start(&user->stream, user->query, true);
    stream_news(user, false);
}

static void close_stream(struct user *user)
{
    trace("trigger %d closes its stream", user->index);
    user->is_streaming = false;
    user->stream_generation++;
    DL_DELETE2(user->watchers, &user->stream, prev_owned, next_owned);
    watcher_stop(&user->stream);
    model_calm_down(model_of(user->query));
}

/* The server takes the watchers with news. */
void callers_take_news(void)
{
    world.is_ready_planned = false;
    while (world.ready != NULL) {
        struct watcher *watcher = world.ready;
        DL_DELETE2(world.ready, watcher, prev_ready, next_ready);
        watcher->is_ready = false;
        if (watcher->caller != NULL)
            call_news(watcher->caller, false);
        else
            stream_news((struct user *)((char *)watcher - offsetof(struct user, stream)), false);
    }
}

/* ---- what KEDA does ---- */

/* Where its query is subscribed to, a notification may be lost: then it is measured each minute.
 * One whose reading is too old for a stream that came is measured every 30 s until then. */
static void check_stream_is_notified(const struct user *user)
{
    const struct item *item = item_of(user);
    int64_t since_ms = user->streaming_since_ms;
    if (!user->is_streaming || user->was_sent_active || !item->is_active)
        return;
    if (item->active_since_ms > since_ms)
        since_ms = item->active_since_ms;
    const struct query *query = user->query;
    bool is_idle = query != NULL && query->push.idle_interval_ms > 0;
    int intervals = query != NULL && query->is_subscribed ? 12 : is_idle ? 2 : 6;
    if (query != NULL && (query->job.state == JOB_IN_FLIGHT || query->job.state == JOB_READY))
        return;
    if (must_be_measured(user) && now_ms() - since_ms > intervals * STANDARD_INTERVAL_MS + 10000 &&
        now_ms() - since_ms > 2 * user->rules.interval_ms + 10000)
        violated("item %d has been active for %lld ms, and its stream was not notified",
                 item->number, (long long)(now_ms() - since_ms));
}

void user_poll(struct user *user)
{
    if (world.is_ending)
        return;
    plan_in(user->poll_ms * 1000 + (int64_t)random_number(20000), EVENT_POLL, user->index, 0, 0);
    check_stream_is_notified(user);
    if (chance(2)) { /* nobody comes for a while */
        plan_in((int64_t)random_number(1000000), EVENT_FORGET, user->index, 0, 0);
        return;
    }
    begin_call(user, chance(85));
    for (int i = chance(3) ? 5 : 0; i > 0; i--)
        begin_call(user, chance(50));
    if (user->idle_ms > 0 && !user->is_streaming && chance(20))
        open_stream(user);
    else if (user->is_streaming && chance(4))
        close_stream(user);
}

/* ---- what happens in the pauses of a connection ---- */

static void notify_any(struct client *client)
{
    const struct subscription_table *table = &client->connection.subscribed;
    if (table->count == 0)
        return;
    const struct query *query = table->places[random_number(table->count)].query;
    struct model *model = query == NULL ? NULL : model_of(query);
    if (model != NULL && model->subscriptions_count > 0) /* each is for one notification */
        client_notify(client, model->subscriptions[--model->subscriptions_count]);
}

static void follow_or_not(struct user *user)
{
    if (user->policy != NULL && user->policy->follower.query == NULL)
        policy_follow(user);
    else
        policy_unfollow(user);
}

/* Of a trigger that is on the client's connection. */
static void act(struct user *user, struct client *client)
{
    switch (random_number(8)) {
    case 0:
        user_leave(user);
        break;
    case 1:
    case 2:
        begin_call(user, chance(50));
        break;
    case 3:
        if (user->is_streaming)
            close_stream(user);
        else if (user->idle_ms > 0)
            open_stream(user);
        break;
    case 4:
        follow_or_not(user);
        break;
    case 5:
        notify_any(client);
        break;
    case 6:
        user->source->credentials += chance(10);
        renew(user);
        break;
    default:
        exchange(user, false, user->source,
                 (int)random_number((uint64_t)user->source->items_count));
        break;
    }
}

/* A trigger that comes to the client's connection, or is on it, is looked for at random. */
void callers_act(struct client *client)
{
    enum { LOOKS = 20 };
    bool is_current = client->credentials == client->source->credentials;
    for (int i = 0; i < LOOKS; i++) {
        struct user *user = &world.users[random_number((uint64_t)world.users_count)];
        if (user->source != client->source)
            continue;
        if (user->client == client && user->query != NULL) {
            act(user, client);
            return;
        }
        if (is_current && chance(50)) {
            begin_call(user, chance(50)); /* without a former query, or with one */
            return;
        }
    }
}

void user_forget(struct user *user)
{
    if (user->query == NULL || user->calls > 0 || user->is_streaming)
        return;
    policy_unfollow(user);
    release(user, user->client, TAKE(user->query));
}

void user_leave(struct user *user)
{
    if (user->is_streaming)
        close_stream(user);
    for (int i = 0; i < world.calls_count; i++)
        if (world.calls[i]->is_used && world.calls[i]->user == user)
            call_free(world.calls[i]);
    user_forget(user);
}
