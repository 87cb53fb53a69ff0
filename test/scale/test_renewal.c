/* The connections file changes: what becomes of triggers and their readings. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_history.h"

#include <string.h>
#include <unistd.h>

static void readings_survive_a_change_of_credentials(void **state)
{
    (void)state;
    _cleanup_(memory_free) struct trigger_figures *rows = NULL;
    bool has_more = false;
    struct trigger *trigger = FIND(ORDERS);
    struct query *before = query_of(trigger);
    wait_until_measured(trigger);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
    assert_ptr_not_equal(trigger->bound.query, before);
    assert_true(is_measured(trigger));
    assert_int_equal(trigger_history(trigger, clock_now_ms(), 1, &rows, &has_more), 1);
    assert_ptr_equal(FIND(ORDERS), trigger);
}

static void answer(struct trigger *trigger, const struct answer *given)
{
    trigger_answers_record(trigger, "GetMetrics", given, clock_now_ms());
}

static struct connection_stats stats(void)
{
    struct connection_stats now;
    engine_stats(engine, &now);
    return now;
}

/* An alert watches those whose hold is over. */
static void a_hold_and_its_end_survive_a_change_of_credentials(void **state)
{
    (void)state;
    static const struct answer held = {.kind = ANSWER_VALUE, .value = 7, .held = true};
    static const struct answer refused = {.kind = ANSWER_REFUSED, .hold_is_over = true};
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    wait_until_measured(trigger);
    answer(trigger, &held);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
    assert_int_equal(stats().counts[COUNT_HELD_TRIGGERS], 1);
    answer(trigger, &refused);
    assert_int_equal(stats().counts[COUNT_HELD_TRIGGERS], 0);
    assert_int_equal(stats().counts[COUNT_EXPIRED_TRIGGERS], 1);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: newer}\n");
    assert_int_equal(stats().counts[COUNT_EXPIRED_TRIGGERS], 1);
    answer(trigger, &refused);
    assert_int_equal(stats().counts[COUNT_EXPIRED_TRIGGERS], 1);
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    answer(trigger, &refused);
    assert_int_equal(stats().counts[COUNT_EXPIRED_TRIGGERS], 0);
}

/* It waits for that, and is not refused with the error of the former password. */
static void a_call_after_new_credentials_has_its_trigger_measured(void **state)
{
    (void)state;
    _cleanup_(answer_done) struct answer given = {0};
    fake_set_queue("7", 0);
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    wait_until_measured(trigger);
    fake_set_up(false);
    wait_until_failed(trigger);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
    const struct answer_call call = {.arrived_ms = clock_now_ms()};
    trigger_decide(trigger, &call, clock_now_ms(), &given);
    assert_int_equal(given.kind, ANSWER_WAIT);
    fake_set_up(true);
    query_demand(trigger->bound.query, given.needed_from_ms);
    for (int i = 0; i < 5000 && given.kind == ANSWER_WAIT; i++) {
        usleep(2000);
        trigger_decide(trigger, &call, clock_now_ms(), &given);
    }
    assert_int_equal(given.kind, ANSWER_VALUE);
}

static void readings_do_not_survive_a_change_of_addresses(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    wait_until_measured(trigger);
    fake_set_queue("7", FAKE_HANGS);
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    assert_false(is_measured(trigger));
}

/* GetMetrics was answered by the former source: IsActive must not repeat that of another one. */
static void a_round_ends_with_a_change_of_addresses(void **state)
{
    (void)state;
    static const struct answer seven = {.kind = ANSWER_VALUE, .value = 7, .active = true};
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    int64_t now_ms = clock_now_ms();
    trigger_answers_begin_round(trigger, &seven, now_ms);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
    assert_true(trigger_answers_round(trigger, now_ms)->value == 7);
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    assert_null(trigger_answers_round(trigger, now_ms));
}

/* What would be held is of its source, also where the connection was away in between. */
static void values_do_not_outlive_a_connection_that_comes_back_elsewhere(void **state)
{
    (void)state;
    static const struct answer seven = {.kind = ANSWER_VALUE, .value = 7, .active = true};
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    answer(trigger, &seven);
    set_connections("connections: {}\n");
    assert_null(trigger->bound.query);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
    query_of(trigger);
    assert_true(trigger->answers.hold.is_active);
    set_connections("connections: {}\n");
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    query_of(trigger);
    assert_false(trigger->answers.hold.is_active);
}

/* It was idle here, and the query that it has later was not measured yet. */
static void what_others_held_is_over_once_it_was_measured_here(void **state)
{
    (void)state;
    static const struct answer idle = {.kind = ANSWER_VALUE};
    struct trigger *trigger = FIND(ORDERS);
    const struct held other = {.value = 7, .since_ms = clock_now_ms()};
    hold_take(&trigger->answers.hold, &other, clock_now_ms());
    query_of(trigger);
    answer(trigger, &idle);
    set_connections("connections: {}\n");
    fake_set_queue("7", FAKE_HANGS);
    set_connections(connections_yaml);
    query_of(trigger);
    _cleanup_(answer_done) struct answer answer = {0};
    const struct answer_call late = {.arrived_ms = clock_now_ms(), .out_of_time = true};
    trigger_decide(trigger, &late, clock_now_ms(), &answer);
    assert_int_equal(answer.kind, ANSWER_REFUSED);
}

static bool is_memory_left;

static bool has_memory(double part)
{
    (void)part;
    return is_memory_left;
}

/* It comes back at another source, and a limit keeps it from that for a while. */
static void what_others_hold_for_another_source_stays_until_it_is_measured(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    struct engine_settings settings = engine_of_triggers();
    settings.has_memory = has_memory;
    is_memory_left = true;
    tear_down(state);
    start_triggers_on(&settings, false);
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    set_connections("connections: {}\n");
    assert_null(trigger->bound.query);
    is_memory_left = false;
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    assert_false(triggers_acquire_query(triggers, trigger, clock_now_ms(), &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);

    const struct held other = {.value = 7, .since_ms = clock_now_ms()};
    hold_take(&trigger->answers.hold, &other, clock_now_ms());
    fake_set_queue("7", FAKE_HANGS);
    is_memory_left = true;
    query_of(trigger);
    assert_true(trigger->answers.hold.is_active);
}

/* It may have 64 KiB, and a team may make as many as it likes, one after the other. */
static void nobody_keeps_the_values_of_a_connection_that_is_gone(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    wait_until_measured(trigger);
    struct option_values *values = option_values_share(trigger->parsed.values[OPTION_CONNECTION]);
    set_connections("connections: {}\n");
    int64_t end_ms = clock_now_ms() + 10000;
    while (atomic_load(&values->users) > 1 && clock_now_ms() < end_ms)
        usleep(1000);
    assert_int_equal(atomic_load(&values->users), 1);
    option_values_free(values);
}

/* The level of 20 is left below 1 alone; at another source it begins with what is known there. */
static void a_policy_goes_on_with_another_query(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND("scaler", "fake", "connectionName", "orders", "queueName",
                                   "jobs", "steps", "1=1, 10=5");
    struct query *before = query_of(trigger);
    measure_again(trigger);
    fake_set_queue("jobs", 5);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
    assert_ptr_not_equal(trigger->bound.query, before);
    assert_true(replicas_now(trigger) == 5);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 5);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new, "
                    "namespaces: [shop]}\n");
    fake_set_queue("jobs", 0);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 0);
    fake_set_queue("jobs", FAKE_HANGS);
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    assert_true(replicas_now(trigger) == -1);
}

/* The level of 20 at the former source would keep five replicas for 5 at this one. */
static void a_policy_begins_anew_at_another_source(void **state)
{
    (void)state;
    struct trigger_report now;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND("scaler", "fake", "connectionName", "orders", "queueName",
                                   "jobs", "steps", "1=1, 10=5");
    query_of(trigger);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 5);
    fake_set_queue("jobs", FAKE_MISSING);
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    trigger_report(trigger, clock_now_ms(), &now);
    assert_false(now.policy.has_decided);
    assert_int_equal(now.policy.words.length, 0);
    assert_false(now.policy.evaluated.is_good);
    trigger_report_done(&now);
    fake_set_queue("jobs", 5);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 1);
}

/* As scaleDownWhenIdle asked for them: jobs of the former source may still run. */
static void a_policy_keeps_the_replicas_that_may_be_busy(void **state)
{
    (void)state;
    struct trigger_policy policy = {
        .follower = {.last_reading_ms = 7, .last_sent_ms = 7},
        .state = {.idle = {.has_begun = true, .since_ms = 5, .folded_until_ms = 7},
                  .peak = {.own = 9},
                  .level = 2,
                  .rate = {.count = 1},
                  .objective = {.replicas = 8, .at_ms = 7}},
        .result = {.replicas = 8},
    };
    const struct policy_state *state_left = &policy.state;
    trigger_policy_forget(&policy);
    assert_int_equal(policy.follower.last_reading_ms, 0);
    assert_int_equal(policy.follower.last_sent_ms, 0);
    assert_int_equal(state_left->peak.own, 9);
    assert_int_equal(state_left->idle.folded_until_ms, 7);
    assert_int_equal(state_left->idle.since_ms, 0);
    assert_int_equal(state_left->level, 0);
    assert_true(state_left->rate.count == 0 && state_left->objective.replicas == 0);
    assert_int_equal(policy.result.replicas, 0);
}

/* Nothing but the trigger's own lock orders a step before what follows it here: the thread
 * sanitizer sees the rest. */
static void no_step_sees_a_trigger_that_is_parsed_again(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND("scaler", "fake", "connectionName", "orders", "queueName",
                                   "jobs", "steps", "1=1, 10=5");
    struct query *query = query_of(trigger);
    measure_again(trigger);
    for (int i = 0; i < 20; i++) {
        query_demand(query, clock_now_ms());
        usleep(3000);
        set_connections(i % 2 == 0 ? "connections:\n"
                                     "  orders: {scaler: fake, source: \"amqp://orders\"}\n"
                                   : connections_yaml);
        assert_ptr_equal(trigger->bound.query, query);
    }
    assert_true(replicas_now(trigger) == 5);
}

static void unchanged_connections_are_left_alone(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(ORDERS);
    struct trigger *unnamed = FIND(GOOD);
    struct query *query = query_of(trigger);
    struct query *unnamed_query = query_of(unnamed);
    set_connections(connections_yaml);
    assert_ptr_equal(trigger->bound.query, query);
    set_connections("connections: {}\n");
    assert_ptr_equal(unnamed->bound.query, unnamed_query);
}

/* What differs is who may use it, and neither the address nor a credential. */
static void the_query_goes_on_where_it_is_the_same(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(ORDERS);
    struct query *query = query_of(trigger);
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", namespaces: [shop]}\n");
    assert_ptr_equal(trigger->bound.query, query);
    assert_ptr_equal(query_of(trigger), query);
}

static void a_connection_that_stays_keeps_its_place_meanwhile(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    query_of(FIND(ORDERS));
    query_of(FIND(GOOD));
    struct trigger *another =
        find_in("elsewhere", 0,
                (const char *const[]){"scaler", "fake", "source", "b", "queueName", "7", NULL});
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", namespaces: [shop]}\n"
                    "  other: {scaler: isolated, source: a}\n");
    assert_false(triggers_acquire_query(triggers, another, clock_now_ms(), &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_non_null(strstr(error_text(&error), "all 3 connections"));
    assert_false(triggers_acquire_query(triggers, another, clock_now_ms(), &query, &error));
}

static void all_connections_that_are_allowed_can_be_replaced(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(ORDERS);
    struct query *before = query_of(trigger);
    query_of(FIND(GOOD));
    query_of(FIND("scaler", "isolated", "connectionName", "other", "queueName", "7"));
    set_connections("connections:\n"
                    "  orders: {scaler: fake, source: \"amqp://orders\", password: new}\n");
    assert_ptr_not_equal(query_of(trigger), before);
}

static void a_connection_that_comes_goes_or_is_forbidden_is_noticed(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    struct trigger *trigger = FIND("scaler", "fake", "connectionName", "new", "queueName", "7");
    assert_int_equal(trigger->phase, TRIGGER_UNCONNECTED);
    assert_mistake(trigger, ERROR_INVALID, "connectionName \"new\" is not in the connections file");
    set_connections("connections:\n  new: {scaler: fake, source: a, namespaces: [other]}\n");
    assert_mistake(trigger, ERROR_DENIED, "cannot be used in namespace \"shop\"");
    assert_int_equal(trigger->phase, TRIGGER_UNCONNECTED);
    set_connections("connections:\n  new: {scaler: fake, source: a}\n");
    assert_false(error_is_set(&trigger->parsed.mistakes));
    assert_int_equal(trigger->phase, TRIGGER_READY);
    query_of(trigger);
    set_connections("connections: {}\n");
    assert_null(trigger->bound.query);
    assert_false(triggers_acquire_query(triggers, trigger, clock_now_ms(), &query, &error));
    assert_int_equal(trigger->phase, TRIGGER_UNCONNECTED);

    assert_int_equal(FIND("scaler", "fake", "connectionName", "new", "queueNam", "7")->phase,
                     TRIGGER_INVALID);
}

static void a_call_does_not_wait_for_the_renewal_of_other_triggers(void **state)
{
    (void)state;
    struct trigger *first = FIND(ORDERS);
    struct trigger *second = FIND(ORDERS, "queueLength", "2");
    struct query *before = query_of(first);
    query_of(second);
    triggers_set_connections(triggers, parse_connections("connections: {}\n"));
    assert_non_null(second->bound.query);
    assert_ptr_equal(FIND(ORDERS, "queueLength", "2"), second);
    assert_int_equal(second->phase, TRIGGER_UNCONNECTED);
    assert_null(second->bound.query);
    assert_ptr_equal(first->bound.query, before);
    assert_true(triggers_renew(triggers, 1)); /* so many at a time */
    assert_null(first->bound.query);
    assert_false(triggers_renew(triggers, 1));
}

/* A team changes its Secret as often as it likes. */
static void a_connection_is_parsed_once_for_all_triggers(void **state)
{
    (void)state;
    const struct trigger *first = FIND(ORDERS);
    const struct trigger *second = find_in("billing-a", 0, (const char *const[]){ORDERS, NULL});
    for (int i = 0; i < 2; i++) {
        const struct option_values *values =
            connections_find(triggers_connections(triggers), "orders")->values;
        assert_ptr_equal(first->parsed.values[OPTION_CONNECTION], values);
        assert_ptr_equal(second->parsed.values[OPTION_CONNECTION], values);
        set_connections("connections:\n  orders: {scaler: fake, source: a, password: p}\n");
    }
}

/* However long each takes: the fake one's metric_spec() waits. */
static void a_turn_of_the_renewal_ends_after_a_millisecond(void **state)
{
    (void)state;
    const struct trigger *first = FIND(ORDERS);
    const struct trigger *second = FIND(ORDERS, "queueLength", "2");
    triggers_set_connections(
        triggers, parse_connections("connections:\n  orders: {scaler: fake, source: b}\n"));
    fake_set_slow(true);
    assert_true(triggers_renew(triggers, 100));
    fake_set_slow(false);
    const char *text = option_text(first->parsed.values[OPTION_CONNECTION], "source");
    const char *other = option_text(second->parsed.values[OPTION_CONNECTION], "source");
    assert_string_equal(text, "b");
    assert_string_equal(other, "amqp://orders");
    assert_false(triggers_renew(triggers, 100));
}

static void watchers_move_to_the_other_query(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    wait_until_measured(trigger);
    trigger_watch(trigger, &watcher, true);
    set_connections("connections: {}\n");
    assert_null(watcher.query);
    struct watcher *ready = engine_next_ready(engine);
    assert_ptr_equal(ready, &watcher);
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    assert_non_null(trigger->bound.query); /* for it alone: nobody else asks */
    assert_ptr_equal(watcher.query, trigger->bound.query);
    trigger_unwatch(trigger, &watcher);
    while (engine_next_ready(engine) != NULL)
        fail_msg("it watches no more");
}

static void callers_of_a_lost_query_get_the_reason(void **state)
{
    (void)state;
    _cleanup_(answer_done) struct answer answer = {0};
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    set_connections("connections: {}\n");
    trigger_decide(trigger, &(struct answer_call){.arrived_ms = clock_now_ms()}, clock_now_ms(),
                   &answer);
    assert_int_equal(answer.kind, ANSWER_REFUSED);
    assert_int_equal(answer.error.code, ERROR_INVALID);
    assert_string_equal(error_text(&answer.error), error_text(&trigger->parsed.mistakes));
}

static void a_trigger_of_an_unknown_scaler_stays_as_it_is(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fak", "connectionName", "new", "queueName", "7");
    set_connections("connections:\n  new: {scaler: fake, source: a}\n");
    assert_mistake(trigger, ERROR_INVALID, "scaler \"fak\" is unknown");
    assert_null(trigger->bound.query);
}

static void a_renewal_is_no_call(void **state)
{
    (void)state;
    FIND(ORDERS);
    struct trigger *younger = find_in("shop", 500, (const char *const[]){GOOD, NULL});
    struct trigger *pinned =
        find_in("shop", 600, (const char *const[]){ORDERS, "hold", "1s", NULL});
    triggers_pin(triggers, pinned);
    set_connections("connections:\n  orders: {scaler: fake, source: elsewhere}\n");
    triggers_expire(triggers, 1200); /* after 1000 */
    assert_int_equal(triggers_count(triggers), 2);
    assert_ptr_equal(find_in("shop", 1200, (const char *const[]){GOOD, NULL}), younger);
    triggers_unpin(triggers, pinned, 1200);
}

static void a_trigger_can_be_dropped_before_its_renewal(void **state)
{
    (void)state;
    query_of(FIND(ORDERS));
    query_of(FIND(ORDERS, "queueLength", "2"));
    triggers_set_connections(triggers, parse_connections("connections: {}\n"));
    triggers_renew(triggers, 1);
    triggers_expire(triggers, 5000);
    assert_int_equal(triggers_count(triggers), 0);
    assert_false(triggers_renew(triggers, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(readings_survive_a_change_of_credentials),
        TEST(a_hold_and_its_end_survive_a_change_of_credentials),
        TEST(a_call_after_new_credentials_has_its_trigger_measured),
        TEST(readings_do_not_survive_a_change_of_addresses),
        TEST(a_round_ends_with_a_change_of_addresses),
        TEST(values_do_not_outlive_a_connection_that_comes_back_elsewhere),
        TEST(what_others_held_is_over_once_it_was_measured_here),
        TEST(what_others_hold_for_another_source_stays_until_it_is_measured),
        TEST(nobody_keeps_the_values_of_a_connection_that_is_gone),
        TEST(a_policy_goes_on_with_another_query),
        TEST(a_policy_begins_anew_at_another_source),
        TEST(a_policy_keeps_the_replicas_that_may_be_busy),
        TEST(no_step_sees_a_trigger_that_is_parsed_again),
        TEST(unchanged_connections_are_left_alone),
        TEST(the_query_goes_on_where_it_is_the_same),
        TEST(a_connection_that_stays_keeps_its_place_meanwhile),
        TEST(all_connections_that_are_allowed_can_be_replaced),
        TEST(a_connection_that_comes_goes_or_is_forbidden_is_noticed),
        TEST(a_call_does_not_wait_for_the_renewal_of_other_triggers),
        TEST(a_connection_is_parsed_once_for_all_triggers),
        TEST(a_turn_of_the_renewal_ends_after_a_millisecond),
        TEST(watchers_move_to_the_other_query),
        TEST(callers_of_a_lost_query_get_the_reason),
        TEST(a_trigger_of_an_unknown_scaler_stays_as_it_is),
        TEST(a_renewal_is_no_call),
        TEST(a_trigger_can_be_dropped_before_its_renewal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
