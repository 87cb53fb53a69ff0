/* What has to hold of every answer: what is a value, held or refused, and why. */
#include "simulator/world.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { STUCK_MS = 5000 };

static const struct item *item_of(const struct user *user)
{
    return &user->source->items[user->item];
}

static bool is_silent(const struct client *client, const struct model *model, int64_t for_ms)
{
    int64_t since_ms = max_of(model->started_us / 1000, client->completed_ms);
    return model->in_flight && now_ms() - since_ms >= for_ms;
}

/* The source answers no two that have not timed out before, and that used to be quicker. */
static bool others_are_stuck(const struct client *client, const struct model *own)
{
    int silent = 0;
    for (int i = 0; i < client->source->items_count; i++) {
        const struct model *model = &client->models[i];
        silent += model != own && model->timeouts == 0 &&
                  is_silent(client, model, max_of(STUCK_MS, 2 * model->duration_ms));
    }
    return silent >= 2;
}

bool must_be_measured(const struct user *user)
{
    enum { SLOW_MS = 1000 };
    const struct source *source = user->source;
    const struct item *item = item_of(user);
    const struct client *client = user->client;
    int64_t timeout_ms = source->scaler.timeout_ms > 0 ? source->scaler.timeout_ms : 2000;
    int64_t max_tasks = source->scaler.max_tasks > 0 ? (int64_t)source->scaler.max_tasks : 1000;
    if (item->behaviour != ANSWERS || source->hangs || !client_is_accepted(client) ||
        source->slowdown > 1 || client->is_dead || client->is_lost ||
        others_are_stuck(client, &client->models[user->item]) ||
        now_ms() - user->moved_ms < CALL_TIMEOUT_MS)
        return false;
    int64_t since_ms = max_of(max_of(source->disturbed_ms, item->changed_ms),
                              max_of(client->made_ms, world.jumped_ms));
    int64_t hanging = 0;
    int64_t slow = 0; /* each may have a place for as long as a call waits */
    int64_t latencies_ms = 0;
    if (now_ms() - since_ms < 60000)
        return false;
    for (int i = 0; i < source->items_count; i++) {
        const struct item *other = &source->items[i];
        bool hangs = other->behaviour != ANSWERS || other->latency_us * 3 / 2000 >= timeout_ms;
        hanging += hangs;
        slow += hangs || other->latency_us * 3 / 2000 >= SLOW_MS;
        latencies_ms += hangs ? 0 : other->latency_us * 3 / 2000;
    }
    bool is_late = item->latency_us * 3 / 2000 >= min_of(timeout_ms, 1000);
    int64_t rounds = source->is_serial ? 1 : max_tasks;
    if (is_late || latencies_ms / rounds > 400 || (source->is_serial && hanging > 0) ||
        slow >= max_tasks)
        return false;
    int64_t places = isolated_places(source);
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
    if (model->is_failing || user->client->failed_since_ms != NEVER_MS)
        violated("item %d: a value is answered while measuring fails", item_of(user)->number);
    if (model->doubt_ms > 0)
        violated("item %d: a value is answered though the source reports 0 now",
                 item_of(user)->number);
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
    bool has_failed_connection = client->failed_since_ms != NEVER_MS;
    bool has_failed = model->is_failing && model->failed_ms >= call->arrived_ms - REPEAT_MS;
    if (must_be_measured(user))
        violated("item %d: nothing is wrong, and a call is not answered by a measurement",
                 item_of(user)->number);
    if (!out_of_time && !has_failed_connection && !has_failed && model->timeouts == 0 &&
        model->query->job.timeouts == 0 && !is_silent(client, model, STUCK_MS) &&
        !others_are_stuck(client, model))
        violated("item %d: a call is refused and does not wait", item_of(user)->number);
}

static bool is_over(const struct user *user)
{
    return user->failing_since_ms > 0 && now_ms() - user->failing_since_ms > user->rules.hold_ms;
}

static void check_held(const struct user *user, const struct answer *answer)
{
    if (!answer->active || !user->was_active)
        violated("item %d: an inactive answer is held", item_of(user)->number);
    if (is_over(user))
        violated("item %d: an answer is held for %lld ms", item_of(user)->number,
                 (long long)(now_ms() - user->failing_since_ms));
}

/* The promise of a hold: work that was there goes on to be answered for as long as it says. */
static void check_refused(const struct user *user)
{
    if (user->was_active && user->rules.hold_ms > 0 && !is_over(user))
        violated("item %d is refused, and fails for only %lld ms", item_of(user)->number,
                 (long long)(now_ms() - user->failing_since_ms));
}

/* The largest load of what GetMetrics was answered so long before the last such answer, and of the
 * last answer. */
static double largest_load(const struct user *user, int64_t for_ms)
{
    const struct answered *last = user->answered + user->answered_count;
    double largest = user->last_load;
    for (const struct answered *each = user->answered; each < last; each++)
        if ((each + 1 == last || each->at_ms > last[-1].at_ms - for_ms) && each->load > largest)
            largest = each->load;
    return largest;
}

/* What is held is the largest of what was answered in the window until the last answer. */
static void check_load(const struct user *user, const struct answer *answer)
{
    double load = token_load(answer->value);
    double largest = largest_load(user, user->rules.hold_window_ms);
    if (load < largest)
        violated("item %d: a load of %g is held, and %g was answered before the failure",
                 item_of(user)->number, load, largest);
    if (load > largest)
        violated("item %d: a load of %g is held, which is more than was answered lately",
                 item_of(user)->number, load);
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
    if (now_ms() - call->arrived_ms > CALL_TIMEOUT_MS && world.jumped_ms < call->arrived_ms)
        violated("item %d: a call took %lld ms", item->number,
                 (long long)(now_ms() - call->arrived_ms));
    if (answer->kind == ANSWER_REFUSED) {
        check_error(user, &answer->error);
        check_refused(user);
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
    bool was_so = answer->held ? user->was_active : token_is_active(answer->value);
    if (token_item(answer->value) != item->number || !was_so)
        violated("item %d: a stream was sent what the source never had", item->number);
}

static void forget_smaller(struct user *user, double load, int64_t at_ms)
{
    enum { FORGOTTEN_MS = 1000000 };
    size_t kept = 0;
    for (size_t i = 0; i < user->answered_count; i++)
        if (user->answered[i].load > load && user->answered[i].at_ms > at_ms - FORGOTTEN_MS)
            user->answered[kept++] = user->answered[i];
    user->answered_count = kept;
}

static void add_answered(struct user *user, double load)
{
    int64_t at_ms = now_ms() - user->failed_ms;
    forget_smaller(user, load, at_ms);
    user->answered = memory_grow(user->answered, &user->answered_capacity, user->answered_count + 1,
                                 sizeof(*user->answered));
    user->answered[user->answered_count++] = (struct answered){load, at_ms};
}

void model_answered(struct user *user, const struct answer *answer, bool is_round)
{
    if (answer->kind != ANSWER_VALUE || answer->held) {
        user->failing_since_ms = user->failing_since_ms > 0 ? user->failing_since_ms : now_ms();
        return;
    }
    if (user->failing_since_ms > 0)
        user->failed_ms += now_ms() - user->failing_since_ms;
    user->failing_since_ms = 0;
    user->was_active = answer->active;
    user->last_load = token_load(answer->value);
    if (is_round)
        add_answered(user, user->last_load);
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
