/* Policies: each decides once at each reading of its query, and observers, who read what pages
 * show at any time, change nothing. What a policy answers is checked against levels that are kept
 * here. */
#include "simulator/world.h"

#include "base/memory.h"
#include "support/policy_settings.h"

#include <stdlib.h>
#include <string.h>

/* Of `steps`: which level a load is on follows from all loads before it. */
static const struct policy_level levels[] = {{1, 1}, {3, 4}, {5, 9}, {7, 20}};

enum { LEVELS = ARRAY_LENGTH(levels), POLICIES_PER_WORLD = 16, EVERY_USER = 3 };

/* ---- the model ---- */

static void model_decision(struct user *user, double load)
{
    int reached = 0;
    while (reached < LEVELS && load >= levels[reached].waiting)
        reached++;
    bool is_above_next = user->level >= 2 && load >= levels[user->level - 2].waiting;
    if (reached >= user->level || !(is_above_next || (user->level == 1 && load > 0)))
        user->level = reached;
    user->has_level = true;
}

/* Of two of one millisecond the second one is followed too, if its sample is a later one: where the
 * samples were begun again meanwhile, nothing says which reading was the second. */
static void take(struct user *user, int64_t sent_ms, double token)
{
    const struct history *history = user->query->history;
    int64_t sample_ms = history->last.at_ms == INT64_MIN ? 0 : history->last.at_ms;
    if (sent_ms < user->level_ms ||
        (sent_ms == user->level_ms && sample_ms <= user->level_sample_ms))
        return;
    user->level_ms = sent_ms;
    user->level_sample_ms = sample_ms;
    model_decision(user, token_load(token));
}

/* While a query's reading is handed out, those who follow it have it before it is known. */
static void take_given(struct user *user)
{
    const struct follower *follower = &user->policy->follower;
    const struct history *history = user->query->history;
    if (follower->query == NULL || history->last.at_ms == INT64_MIN)
        return;
    if (follower->last_reading_ms == history->last.at_ms)
        take(user, history->sent_ms, history->last.reading.value);
}

/* ---- the policy ---- */

static void decide(struct follower *follower, const struct recent_samples *recent)
{
    const struct trigger_policy_owner owner = {"shop", "jobs"};
    struct user *user = follower->context;
    double token = recent->samples[recent->count - 1].reading.value;
    struct evaluation_result evaluated = {
        .is_good = true,
        .evaluation = {.value = token_load(token), .active = token_is_active(token)}};
    trigger_policy_decide(user->policy, &owner, recent, &evaluated);
}

static void copy(const struct follower *follower, void *copy)
{
    const struct user *user = follower->context;
    trigger_policy_copy(user->policy, 0, copy);
}

void policy_init(struct user *user)
{
    if (user->index % EVERY_USER != 0 || user->index >= EVERY_USER * POLICIES_PER_WORLD)
        return;
    struct trigger_policy *policy = memory_new(sizeof(*policy));
    policy->plan.settings = policy_no_settings();
    memcpy(policy->plan.settings.levels, levels, sizeof(levels));
    policy->plan.settings.level_count = LEVELS;
    policy->plan.basis.threshold = 1;
    policy->follower = (struct follower){.on_reading = decide, .copy = copy, .context = user};
    user->policy = policy;
}

void policy_keep_history(struct user *user)
{
    if (user->policy != NULL)
        query_keep_history(user->query, user->rules.interval_ms);
}

void policy_end_history(const struct user *user, struct query *query)
{
    if (user->policy != NULL)
        query_end_history(query, user->rules.interval_ms);
}

void policy_follow(struct user *user)
{
    if (user->policy == NULL)
        return;
    follower_start(user->query, &user->policy->follower);
    take_given(user);
    const struct query_known *known = &user->query->known;
    if (known->is_measured && known->sent_ms > user->level_ms)
        take(user, known->sent_ms, known->reading.value);
}

void policy_unfollow(struct user *user)
{
    if (user->policy != NULL && user->policy->follower.query != NULL)
        follower_stop(&user->policy->follower);
}

void policy_forget(struct user *user)
{
    if (user->policy == NULL)
        return;
    trigger_policy_forget(user->policy);
    user->level = 0;
    user->has_level = false;
    user->level_ms = user->level_sample_ms = 0;
}

/* A query has a new reading. */
void policies_take_reading(const struct query *query)
{
    int last = POLICIES_PER_WORLD * EVERY_USER;
    for (int i = 0; i < world.users_count && i < last; i += EVERY_USER)
        if (world.users[i].query == query && world.users[i].policy->follower.query != NULL)
            take(&world.users[i], query->known.sent_ms, query->known.reading.value);
}

void policies_take_given(const struct client *client)
{
    int last = POLICIES_PER_WORLD * EVERY_USER;
    for (int i = 0; i < world.users_count && i < last; i += EVERY_USER)
        if (world.users[i].query != NULL && world.users[i].client == client)
            take_given(&world.users[i]);
}

int64_t check_policy(const struct user *user)
{
    _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy copy = {0};
    if (user->policy == NULL || user->query == NULL)
        return 0;
    trigger_policy_copy(user->policy, 0, &copy);
    int64_t replicas = user->level == 0 ? 0 : levels[user->level - 1].replicas;
    if (copy.has_decided != user->has_level)
        violated("trigger %d: its policy has decided: %d; it had a reading: %d", user->index,
                 copy.has_decided, user->has_level);
    if (copy.has_decided && copy.result.replicas != replicas)
        violated("trigger %d: its policy says %lld replicas; by all readings it is %lld",
                 user->index, (long long)copy.result.replicas, (long long)replicas);
    return replicas;
}

/* ---- those who read what pages show ---- */

/* A world is the same with them and without, so their numbers are their own. */
static uint64_t observers_number(uint64_t below)
{
    world.observers_random = world.observers_random * 6364136223846793005U + 1442695040888963407U;
    return (world.observers_random >> 33) % below;
}

static void observe(const struct user *user)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy copy = {0};
    _cleanup_(answer_done) struct answer answer = {0};
    if (user->query == NULL)
        return;
    query_snapshot(user->query, &snapshot);
    if (user->policy != NULL)
        trigger_policy_copy(user->policy, true, &copy);
    const struct answer_facts facts = {.snapshot = &snapshot,
                                       .evaluated = &copy.evaluated,
                                       .rules = &user->rules,
                                       .hold = &user->trigger.answers.hold};
    answer_decide(&facts, &(struct answer_call){.is_stream = true}, now_ms(), &answer);
    trigger_answers_round(&user->trigger, now_ms());
}

void observers_run(void)
{
    enum { SELDOM = 24 };
    int last = world.users_count - 1;
    if (last < 0 || observers_number(SELDOM) != 0)
        return;
    if (last > EVERY_USER * (POLICIES_PER_WORLD - 1))
        last = EVERY_USER * (POLICIES_PER_WORLD - 1);
    observe(&world.users[EVERY_USER * observers_number((uint64_t)last / EVERY_USER + 1)]);
}
