/* What triggers give other replicas, and take from them, and from the other triggers of their
 * object. */
#include "base/clock.h"
#include "base/memory.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_peers.h"

#include <string.h>

enum { OWN = 5 }; /* the replicas that its own policy wants */

static void take_peaks(struct trigger *trigger, const struct policy_peaks *peaks, int64_t now_ms)
{
    static const struct answer answer = {.kind = ANSWER_VALUE, .value = 20, .active = true};
    struct peer_values *values = peer_values_new();
    struct peer_value value;
    trigger_answers_record(trigger, "GetMetrics", &answer, now_ms);
    assert_true(trigger_peers_give(trigger, now_ms, &value));
    value.policy_peaks = *peaks;
    assert_true(peer_values_add(values, &value, now_ms));
    trigger->answers.peers_revision = 0; /* these are others */
    trigger_peers_take(trigger, values, now_ms);
    peer_values_free(values);
}

static void assert_gives(struct trigger *trigger, int64_t now_ms,
                         const struct policy_peaks *expected)
{
    struct peer_value value;
    assert_true(trigger_peers_give(trigger, now_ms, &value));
    assert_int_equal(value.policy_peaks.count, expected->count);
    for (size_t i = 0; i < expected->count; i++) {
        assert_float_equal(value.policy_peaks.items[i].value, expected->items[i].value, 0);
        assert_int_equal(value.policy_peaks.items[i].at_ms, expected->items[i].at_ms);
    }
}

static struct trigger *busy_with_a_hold_of_a_minute(void)
{
    fake_set_queue("jobs", 20);
    static const struct answer answer = {.kind = ANSWER_VALUE, .value = 20, .active = true};
    struct trigger *trigger = FIND(STEPS, "hold", "1m");
    query_of(trigger);
    measure_again(trigger);
    trigger_answers_record(trigger, "GetMetrics", &answer, clock_now_ms());
    trigger_unfollow(trigger);
    trigger->policy->state.peak.own = OWN; /* as with scaleDownWhenIdle */
    trigger_follow(trigger);
    return trigger;
}

/* None is made younger by those who have it of others: it ends for all at one time. */
static void what_the_policies_of_other_replicas_wanted_ends(void **state)
{
    (void)state;
    enum { HOLD_MS = 60 * 1000 };
    struct trigger *trigger = busy_with_a_hold_of_a_minute();
    int64_t now_ms = clock_now_ms();
    assert_gives(trigger, now_ms, &(struct policy_peaks){1, {{OWN, now_ms}}});
    take_peaks(trigger, &(struct policy_peaks){2, {{1000, now_ms - 20000}, {30, now_ms - 10000}}},
               now_ms);
    assert_int_equal(trigger->policy->state.peak.own, OWN);
    for (int again = 0; again < 2; again++) {
        int64_t then_ms = now_ms + again;
        assert_gives(trigger, then_ms,
                     &(struct policy_peaks){
                         3, {{1000, now_ms - 20000}, {30, now_ms - 10000}, {OWN, then_ms}}});
    }
    int64_t first_is_over_ms = now_ms - 20000 + HOLD_MS;
    assert_gives(trigger, first_is_over_ms,
                 &(struct policy_peaks){2, {{30, now_ms - 10000}, {OWN, first_is_over_ms}}});
    int64_t all_are_over_ms = now_ms - 10000 + HOLD_MS;
    assert_gives(trigger, all_are_over_ms, &(struct policy_peaks){1, {{OWN, all_are_over_ms}}});
}

/* The larger is no younger for a smaller one, which counts when the larger is over. */
static void an_old_large_peak_and_a_young_small_one_each_count_for_their_time(void **state)
{
    (void)state;
    enum { OLD_MS = 50 * 1000 };
    struct trigger *trigger = busy_with_a_hold_of_a_minute();
    const struct policy_peaks *known = &trigger->policy->state.peak.of_peers;
    int64_t now_ms = clock_now_ms();
    take_peaks(trigger, &(struct policy_peaks){1, {{1000, now_ms - OLD_MS}}}, now_ms);
    take_peaks(trigger, &(struct policy_peaks){1, {{9, now_ms}}}, now_ms);
    assert_int_equal(known->count, 2);
    assert_float_equal(known->items[0].value, 1000, 0);
    assert_int_equal(known->items[0].at_ms, now_ms - OLD_MS);
    assert_float_equal(known->items[1].value, 9, 0);
    assert_int_equal(known->items[1].at_ms, now_ms);
}

static void what_is_over_makes_nothing_younger(void **state)
{
    (void)state;
    struct trigger *trigger = busy_with_a_hold_of_a_minute();
    const struct policy_peaks *known = &trigger->policy->state.peak.of_peers;
    int64_t now_ms = clock_now_ms();
    struct policy_peaks many = {.count = POLICY_MAX_PEAKS};
    for (int i = 0; i < POLICY_MAX_PEAKS; i++)
        many.items[i] = (struct peak){1000 - i, now_ms - 60001 + i};
    take_peaks(trigger, &many, now_ms);
    assert_int_equal(known->count, POLICY_MAX_PEAKS - 2);
    take_peaks(trigger, &(struct policy_peaks){2, {{20, now_ms - 9}, {10, now_ms}}},
               now_ms + 60000);
    assert_int_equal(known->count, 0);
}

static void what_the_policy_of_another_replica_did_not_want_counts_for_nothing(void **state)
{
    (void)state;
    struct trigger *trigger = busy_with_a_hold_of_a_minute();
    const struct policy_peaks *known = &trigger->policy->state.peak.of_peers;
    int64_t now_ms = clock_now_ms();
    take_peaks(trigger, &(struct policy_peaks){0}, now_ms);
    assert_int_equal(known->count, 0);
    take_peaks(trigger, &(struct policy_peaks){1, {{1, now_ms}}}, now_ms);
    assert_int_equal(known->count, 1);
}

/* KEDA calls for an edited trigger as for another one; those of one poll are no edits. */
static void an_edited_trigger_keeps_the_replicas_of_the_former(void **state)
{
    (void)state;
    enum { LATER_MS = 60 * 1000 };
    const char *const sibling[] = {STEPS, "interval", "3s", NULL};
    const char *const edited[] = {STEPS, "interval", "2s", NULL};
    struct trigger *former = FIND(STEPS);
    former->policy->state.peak.own = 7; /* it follows no query yet */
    const struct trigger *other = find_in("shop", 1, sibling);
    assert_int_equal(other->policy->state.peak.of_peers.count, 0);
    const struct trigger *trigger = find_in("shop", LATER_MS, edited);
    const struct policy_peak *peak = &trigger->policy->state.peak;
    assert_int_equal(peak->own, 0);
    assert_int_equal(peak->of_peers.count, 1);
    assert_float_equal(peak->of_peers.items[0].value, 7, 0);
    assert_int_equal(peak->of_peers.items[0].at_ms, LATER_MS);
}

static bool have_one_digest(struct trigger *one, struct trigger *other)
{
    struct peer_values *values = peer_values_new();
    const struct peer_value value = {.held = {.value = 1, .since_ms = clock_now_ms()}};
    assert_true(peer_values_add(values, &value, clock_now_ms())); /* or nobody looks for his own */
    trigger_peers_take(one, values, clock_now_ms());
    trigger_peers_take(other, values, clock_now_ms());
    peer_values_free(values);
    assert_true(one->has_peer_digest && other->has_peer_digest);
    return memcmp(one->peer_digest, other->peer_digest, PEER_DIGEST_BYTES) == 0;
}

static void peers_tell_triggers_apart_by_namespace_and_metadata(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD, "queueLength", "9");
    const char *const same[] = {GOOD, "queueLength", "9", NULL};
    assert_false(have_one_digest(trigger, find_in("shop2", 0, same)));
    /* The same bytes, one behind the other. */
    assert_false(have_one_digest(
        trigger, FIND("scaler", "fake", "source", "a", "queueLength", "9queueName7")));
}

static void peers_are_told_no_secret_by_which_triggers_are_known(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD, "password", "a");
    assert_true(have_one_digest(trigger, FIND(GOOD, "password", "b")));
    assert_false(have_one_digest(trigger, FIND(GOOD)));
}

static void peers_tell_triggers_apart_by_their_urls_without_credentials(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD, "url", "http://me:word@here/x");
    assert_true(have_one_digest(trigger, FIND(GOOD, "url", "http://you:other@here/x")));
    assert_false(have_one_digest(trigger, FIND(GOOD, "url", "http://me:word@there/x")));
}

/* It may come after the trigger's first call. */
static void what_another_replica_gave_is_taken_by_the_next_call(void **state)
{
    (void)state;
    struct peer_values *values = peer_values_new();
    struct peer_value value = {.held.value = 7};
    triggers_free(triggers);
    triggers = triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                        .engine = engine,
                                                        .rules = {.interval_ms = 5000},
                                                        .peers = values,
                                                        .forget_ms = 1000,
                                                        .max = 3});
    assert_true(peer_values_add(values, &value, 0)); /* another trigger's */
    struct trigger *trigger = FIND(GOOD);
    assert_false(trigger->answers.hold.is_active);
    memcpy(value.digest, trigger->peer_digest, PEER_DIGEST_BYTES);
    assert_true(peer_values_add(values, &value, 0));
    assert_ptr_equal(FIND(GOOD), trigger);
    assert_true(trigger->answers.hold.is_active);
    assert_float_equal(trigger->answers.hold.value, 7, 0);
    triggers_free(TAKE(triggers));
    peer_values_free(values);
}

/* GetMetrics, from a measurement. */
static void answer_at(struct trigger *trigger, double value, int64_t now_ms)
{
    const struct answer answer = {.kind = ANSWER_VALUE, .value = value, .active = value > 0};
    trigger_answers_record(trigger, "GetMetrics", &answer, now_ms);
    trigger_answers_begin_round(trigger, &answer, now_ms);
}

static void a_trigger_without_a_query_gives_peers_nothing(void **state)
{
    (void)state;
    struct peer_value value;
    assert_false(trigger_peers_give(FIND("scaler", "nonesuch"), clock_now_ms(), &value));
    assert_false(trigger_peers_give(FIND(GOOD), clock_now_ms(), &value));
}

/* Since it was measured or, while that fails, since it began to fail; for as long as it holds. */
static void what_would_be_held_is_given_with_its_age(void **state)
{
    (void)state;
    struct peer_value value;
    struct trigger *trigger = FIND(GOOD);
    query_of(trigger);
    int64_t now_ms = clock_now_ms();
    int64_t hold_ms = trigger->parsed.rules.hold_ms;
    assert_true(hold_ms > 0);
    answer_at(trigger, 30, now_ms - 9000);
    answer_at(trigger, 20, now_ms - 1000);
    assert_true(trigger_peers_give(trigger, now_ms, &value));
    assert_true(value.held.value == 20 && value.held.peaks[0].value == 30);
    assert_int_equal(value.held.since_ms, now_ms - 1000);

    static const struct answer refused = {.kind = ANSWER_REFUSED};
    trigger_answers_record(trigger, "GetMetrics", &refused, now_ms);
    assert_true(trigger_peers_give(trigger, now_ms + hold_ms, &value));
    assert_int_equal(value.held.since_ms, now_ms);
    assert_false(trigger_peers_give(trigger, now_ms + hold_ms + 1, &value));
    answer_at(trigger, 0, now_ms);
    assert_false(trigger_peers_give(trigger, now_ms, &value));
}

/* KEDA calls for an edited trigger as for another one. */
static void an_edited_trigger_holds_what_the_former_did_where_both_count_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *source, *queue, *key, *value;
        bool is_held;
    } edits[] = {
        {"a", "7", "queueLength", "9", true}, {"a", "7", "hold", "2h", true},
        {"a", "8", NULL, NULL, false},        {"b", "7", NULL, NULL, false},
        {"a", "7", "steps", "1=1", false}, /* its value is one of replicas */
    };
    struct engine_settings settings = engine_of_triggers();
    settings.max_connections++;
    for (size_t i = 0; i < ARRAY_LENGTH(edits); i++) {
        tear_down(state); /* with the triggers of the row before */
        start_triggers_on(&settings, false);
        struct trigger *former = FIND(GOOD);
        query_of(former);
        answer_at(former, 7, clock_now_ms());
        const char *const edited[] = {"scaler",        "fake",         "source",
                                      edits[i].source, "queueName",    edits[i].queue,
                                      edits[i].key,    edits[i].value, NULL};
        struct trigger *trigger = find_in("shop", clock_now_ms(), edited);
        assert_ptr_not_equal(trigger, former);
        query_of(trigger);
        assert_true(trigger->answers.hold.is_active == edits[i].is_held);
        assert_true(hold_value(&trigger->answers.hold) == (edits[i].is_held ? 7 : 0));
        assert_false(trigger->answers.hold.is_own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_policies_of_other_replicas_wanted_ends),
        TEST(an_old_large_peak_and_a_young_small_one_each_count_for_their_time),
        TEST(what_is_over_makes_nothing_younger),
        TEST(what_the_policy_of_another_replica_did_not_want_counts_for_nothing),
        TEST(an_edited_trigger_keeps_the_replicas_of_the_former),
        TEST(peers_tell_triggers_apart_by_namespace_and_metadata),
        TEST(peers_are_told_no_secret_by_which_triggers_are_known),
        TEST(peers_tell_triggers_apart_by_their_urls_without_credentials),
        TEST(what_another_replica_gave_is_taken_by_the_next_call),
        TEST(a_trigger_without_a_query_gives_peers_nothing),
        TEST(what_would_be_held_is_given_with_its_age),
        TEST(an_edited_trigger_holds_what_the_former_did_where_both_count_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
