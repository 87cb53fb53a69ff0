/* Credentials of a trigger's own authentication: when they are used, and what may not stand beside
 * them. */
#include "scale/connections/own_credentials.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"

#include <stdlib.h>
#include <string.h>

static struct text hooks; /* "+shop/worker -shop/worker" */
static size_t refreshes;

static void note_add(void *context, const struct identity *identity, const struct trigger_ref *ref,
                     const struct option *table)
{
    assert_ptr_equal(context, &hooks);
    assert_non_null(identity->bytes);
    text_addf(&hooks, "%s%s/%s", table == NULL ? "?" : "+", ref->namespace, ref->name);
}

static void note_remove(void *context, const struct identity *identity)
{
    (void)context;
    text_addf(&hooks, "-%s", identity->bytes);
}

static void note_refresh(void *context, const struct identity *identity)
{
    (void)context;
    (void)identity;
    refreshes++;
}

static void start(bool deny_inline, bool allow, bool is_verified)
{
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.program = "/bin/true";
    settings.max_connections = 5; /* two of the file, and three others */
    refreshes = 0;
    fake_reset();
    engine = engine_new(&settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = fake_scalers,
        .connections = parse_connections(connections_yaml),
        .own = {.add = note_add,
                .remove = note_remove,
                .refresh = note_refresh,
                .context = &hooks,
                .reads_hpas = true,
                .callers_are_verified = is_verified,
                .allows_authentications = allow},
        .engine = engine,
        .rules = {.interval_ms = 5000, .hold_ms = 60000},
        .forget_ms = 1000,
        .deny_inline = deny_inline,
        .max = 100,
    });
}

static int set_up_own(void **state)
{
    (void)state;
    start(false, false, false);
    return 0;
}

static int tear_down_own(void **state)
{
    int code = tear_down(state);
    text_done(&hooks);
    return code;
}

/* Pairs of key and value, ending with NULL: those of an authentication. */
static void verify(const struct trigger *trigger, bool is_cluster_wide, const char *const *pairs)
{
    struct credentials *credentials = credentials_new();
    credentials->state = CREDENTIALS_VERIFIED;
    credentials->authentication = text_copy("TriggerAuthentication shop/a");
    credentials->is_cluster_wide = is_cluster_wide;
    for (; pairs[0] != NULL; pairs += 2)
        credentials_add(credentials, pairs[0], pairs[1]);
    triggers_set_credentials(triggers, trigger->identity.bytes, trigger->identity.length,
                             credentials, &HPA_FACTS_UNKNOWN);
}

#define VERIFY(trigger, ...)                                                                       \
    verify(trigger, false, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void refuse(const struct trigger *trigger, enum error_code code)
{
    struct credentials *credentials = credentials_new();
    credentials->state = CREDENTIALS_REFUSED;
    error_set(&credentials->failure, code, "refused here");
    triggers_set_credentials(triggers, trigger->identity.bytes, trigger->identity.length,
                             credentials, &HPA_FACTS_UNKNOWN);
}

#define KEYLESS "scaler", "fake", "queueName", "7"

static void a_trigger_waits_and_then_uses_them(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(KEYLESS);
    assert_int_equal(trigger->phase, TRIGGER_PENDING);
    assert_mistake(trigger, ERROR_UNAVAILABLE, "the object shop/worker has not been read yet");
    assert_string_equal(hooks.bytes, "+shop/worker");
    VERIFY(trigger, "source", "here", "password", "pw");
    assert_int_not_equal(trigger->phase, TRIGGER_PENDING);
    query_of(trigger);
    wait_until_measured(trigger);
    const struct option_values *values = trigger->parsed.values[OPTION_CONNECTION];
    assert_string_equal(option_text(values, "source"), "here");
    assert_false(option_shows(values, 0)); /* as a variable */
}

static void know_hpa(const struct trigger *trigger, struct hpa_facts hpa)
{
    struct credentials *credentials = credentials_new();
    credentials->state = CREDENTIALS_VERIFIED;
    triggers_set_credentials(triggers, trigger->identity.bytes, trigger->identity.length,
                             credentials, &hpa);
}

static void a_named_connection_needs_none(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(ORDERS);
    query_of(trigger);
    assert_string_equal(hooks.bytes, "?shop/worker");
    refuse(trigger, ERROR_DENIED);
    assert_false(error_is_set(&trigger->parsed.mistakes));
}

static void what_is_held_is_as_old_as_the_window_of_the_hpa(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(ORDERS);
    struct query *query = query_of(trigger);
    assert_int_equal(trigger->parsed.rules.hold_window_ms, HOLD_WINDOW_MS);
    know_hpa(trigger, (struct hpa_facts){60000, -1, 0});
    assert_int_equal(trigger->parsed.rules.hold_window_ms, 60000);
    know_hpa(trigger, (struct hpa_facts){60000, 8, 1});
    assert_int_equal(trigger->kubernetes.hpa.replicas, 8);
    know_hpa(trigger, (struct hpa_facts){-1, 8, 2});
    assert_int_equal(trigger->parsed.rules.hold_window_ms, HOLD_WINDOW_MS);
    assert_ptr_equal(trigger->bound.query, query);
}

/* One that other replicas held before it was measured here. */
static void replicas_are_read_again_until_they_are_of_after_the_failure(void **state)
{
    (void)state;
    enum { FAILED_MS = 1000000 };
    struct trigger *trigger = FIND(ORDERS);
    struct query *query = query_of(trigger);
    _cleanup_(error_done) struct error error = {0};
    const struct answer held = {.kind = ANSWER_VALUE, .value = 100, .active = true, .held = true};
    const struct held of_peer = {.value = 100, .since_ms = FAILED_MS - 30 * 60 * 1000};
    hold_take(&trigger->answers.hold, &of_peer, FAILED_MS);
    know_hpa(trigger, (struct hpa_facts){-1, 3, FAILED_MS - 1});
    trigger_answers_record(trigger, "GetMetrics", &held, FAILED_MS);
    assert_true(triggers_acquire_query(triggers, trigger, FAILED_MS + 1, &query, &error));
    assert_int_equal(refreshes, 1);
    know_hpa(trigger, (struct hpa_facts){-1, 3, FAILED_MS + 2});
    assert_true(triggers_acquire_query(triggers, trigger, FAILED_MS + 60000, &query, &error));
    assert_int_equal(refreshes, 1);
}

static void without_an_authentication_the_metadata_counts(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    assert_int_equal(trigger->phase, TRIGGER_PENDING);
    VERIFY(trigger);
    query_of(trigger);
}

static void a_refused_call_is_not_measured(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    refuse(trigger, ERROR_DENIED);
    assert_mistake(trigger, ERROR_DENIED, "refused here");
    assert_null(trigger->bound.query);
    VERIFY(trigger);
    struct query *query = query_of(trigger);
    assert_non_null(query);
    refuse(trigger, ERROR_DENIED);
    assert_null(trigger->bound.query);
}

static void a_key_is_given_once(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    VERIFY(trigger, "source", "there");
    assert_mistake(trigger, ERROR_INVALID, "source is given in the trigger and in Trigger");
    assert_null(trigger->bound.query);
}

static void an_address_of_a_variable_is_refused_beside_them(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fake", "sourceFromEnv", "evil", "queueName", "7");
    VERIFY(trigger, "password", "pw");
    assert_mistake(trigger, ERROR_DENIED, "sourceFromEnv cannot be used together with");
    assert_null(trigger->bound.query);
    VERIFY(trigger); /* none are used: nothing can be sent anywhere */
    query_of(trigger);
}

static void a_query_of_a_variable_is_refused_beside_them(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fake", "source", "here", "queueNameFromEnv", "7");
    VERIFY(trigger, "password", "pw");
    assert_mistake(trigger, ERROR_DENIED, "queueNameFromEnv cannot be used together with");
    VERIFY(trigger);
    query_of(trigger);
}

static void a_variable_that_the_call_leaves_out_is_refused_as_well(void **state)
{
    (void)state;
    static const char *const keys[] = {"queueNameFromEnv", "passwordFromEnv", "otherFromEnv"};
    struct trigger *trigger = FIND("scaler", "fake", "queueName", "7");
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        struct credentials *credentials = credentials_new();
        credentials->state = CREDENTIALS_VERIFIED;
        credentials->authentication = text_copy("TriggerAuthentication shop/a");
        credentials_add(credentials, "source", "here");
        credentials_add_omitted(credentials, keys[i]);
        triggers_set_credentials(triggers, trigger->identity.bytes, trigger->identity.length,
                                 credentials, &HPA_FACTS_UNKNOWN);
        if (i == 0)
            assert_mistake(trigger, ERROR_DENIED, "queueNameFromEnv cannot be used together with");
        else
            query_of(trigger); /* a credential, and what is no key of the scaler */
    }
}

static void what_a_variable_measures_with_is_refused_beside_them(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scalerFromEnv", "fake", "source", "here", "queueName", "7");
    VERIFY(trigger, "password", "pw");
    assert_mistake(trigger, ERROR_DENIED, "scalerFromEnv cannot be used together with");
    VERIFY(trigger);
    query_of(trigger);
    trigger = FIND("scaler", "fake", "holdFromEnv", "7s", "source", "here", "queueName", "8");
    VERIFY(trigger, "password", "pw");
    query_of(trigger);
}

static void equal_ones_are_parsed_once_for_all_triggers(void **state)
{
    (void)state;
    struct trigger *first = FIND("scaler", "fake", "queueName", "7");
    struct trigger *second =
        find_in("other", 0, (const char *const[]){"scaler", "fake", "queueName", "7", NULL});
    struct trigger *third = FIND("scaler", "fake", "queueName", "7", "source", "here");
    struct credentials *credentials[3];
    struct trigger *const of[] = {first, second, third};
    for (size_t i = 0; i < ARRAY_LENGTH(of); i++) {
        credentials[i] = credentials_new();
        credentials[i]->state = CREDENTIALS_VERIFIED;
        if (i < 2)
            credentials_add(credentials[i], "source", "here");
        credentials_add(credentials[i], "password", "pw");
        if (i == 1)
            assert_true(credentials_join(credentials[1], first->kubernetes.credentials));
        if (i == 2)
            assert_false(credentials_join(credentials[2], first->kubernetes.credentials));
        triggers_set_credentials(triggers, of[i]->identity.bytes, of[i]->identity.length,
                                 credentials[i], &HPA_FACTS_UNKNOWN);
        assert_int_equal(of[i]->phase, TRIGGER_READY);
    }
    const struct option_values *values = first->parsed.values[OPTION_CONNECTION];
    assert_ptr_equal(second->parsed.values[OPTION_CONNECTION], values);
    /* With a key of its own there is nothing to share, but the same is meant. */
    const struct option_values *other = third->parsed.values[OPTION_CONNECTION];
    assert_ptr_not_equal(other, values);
    assert_string_equal(other->identity, values->identity);
    assert_true(option_shows(other, 0));
    assert_false(option_shows(values, 0));
}

static void their_mistakes_are_those_of_each_trigger(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fake", "queueName", "7");
    VERIFY(trigger, "source", "  ", "password", "pw");
    assert_mistake(trigger, ERROR_INVALID, "source is missing");
}

static void a_password_of_a_variable_is_not(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fake", "passwordFromEnv", "pw", "queueName", "7");
    VERIFY(trigger, "source", "here");
    query_of(trigger);
}

static void callers_with_a_certificate_may_send_it(void **state)
{
    tear_down_own(state);
    start(false, false, true);
    struct trigger *trigger = FIND("scaler", "fake", "sourceFromEnv", "here", "queueName", "7");
    VERIFY(trigger, "password", "pw");
    query_of(trigger);
}

static void denied_addresses_come_from_an_authentication_or_not_at_all(void **state)
{
    tear_down_own(state);
    start(true, false, false);
    struct trigger *denied = FIND(KEYLESS);
    assert_mistake(denied, ERROR_DENIED, "--deny-inline-connections");
    assert_int_equal(hooks.length, 0);
    tear_down_own(state);
    start(true, true, false);
    struct trigger *trigger = FIND(KEYLESS);
    struct trigger *inlined = FIND(GOOD);
    VERIFY(trigger, "source", "here");
    query_of(trigger);
    VERIFY(inlined);
    assert_mistake(inlined, ERROR_DENIED, "--deny-inline-connections");
    VERIFY(inlined, "password", "pw"); /* which would go where the trigger says */
    assert_mistake(inlined, ERROR_DENIED, "source must come from TriggerAuthentication shop/a");
    assert_null(inlined->bound.query);
}

static void another_password_keeps_the_reading(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(KEYLESS);
    VERIFY(trigger, "source", "here", "password", "one");
    struct query *query = query_of(trigger);
    wait_until_measured(trigger);
    VERIFY(trigger, "source", "here", "password", "two");
    assert_ptr_not_equal(trigger->bound.query, query);
    assert_true(is_measured(trigger));
}

static void who_waits_is_told_which_limit_is_reached(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query;
    struct watcher watcher = {0};
    struct answer answer = {0};
    struct trigger *trigger = FIND(KEYLESS);
    static const char *const sources[] = {"here", "there", "further"};
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        const char *const metadata[] = {"scaler", "fake", "queueName", sources[i], NULL};
        struct trigger *other = find_in("shop", 0, metadata);
        VERIFY(other, "source", sources[i]);
        query_of(other);
    }
    trigger_watch(trigger, &watcher, false);
    VERIFY(trigger, "source", "elsewhere");
    assert_null(trigger->bound.query);
    assert_ptr_equal(engine_next_ready(engine), &watcher);
    assert_false(triggers_acquire_query(triggers, trigger, 0, &query, &error)); /* another call */
    const struct answer_call call = {.arrived_ms = clock_now_ms()};
    trigger_decide(trigger, &call, clock_now_ms(), &answer);
    assert_int_equal(answer.kind, ANSWER_REFUSED);
    assert_int_equal(answer.error.code, ERROR_LIMIT);
    assert_non_null(strstr(error_text(&answer.error), "--max-connections"));
    answer_done(&answer);
    struct trigger_report report;
    trigger_report(trigger, clock_now_ms(), &report);
    assert_int_equal(report.state, ANSWER_STATE_REFUSED);
    trigger_report_done(&report);
    trigger_unwatch(trigger, &watcher);
    VERIFY(trigger, "source", "here");
    query_of(trigger);
    assert_false(error_is_set(&trigger->bound.refusal));
}

static void what_is_dropped_is_not_read_any_more(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(KEYLESS);
    struct identity identity = trigger->identity;
    identity.bytes = memory_new(identity.length);
    memcpy(identity.bytes, trigger->identity.bytes, identity.length);
    triggers_expire(triggers, 5000);
    assert_string_equal(hooks.bytes, "+shop/worker-shop");
    struct credentials *late = credentials_new();
    triggers_set_credentials(triggers, identity.bytes, identity.length, late, &HPA_FACTS_UNKNOWN);
    identity_done(&identity);
}

static size_t refreshes_at(struct trigger *trigger, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query;
    assert_false(triggers_acquire_query(triggers, trigger, now_ms, &query, &error));
    return refreshes;
}

/* A source may be away for hours, and with it ten thousand triggers. */
static void a_failing_trigger_has_them_read_less_and_less_often(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(KEYLESS);
    refuse(trigger, ERROR_INVALID);
    int64_t now_ms = 1000;
    assert_int_equal(refreshes_at(trigger, now_ms), 1);
    assert_int_equal(refreshes_at(trigger, now_ms), 1);
    assert_int_equal(refreshes_at(trigger, now_ms += 1000), 2);
    assert_int_equal(refreshes_at(trigger, now_ms += 1000), 2);
    assert_int_equal(refreshes_at(trigger, now_ms += 1000), 3);
    for (size_t i = 0; i < 20; i++)
        refreshes_at(trigger, now_ms += 60000);
    assert_int_equal(refreshes_at(trigger, now_ms += 20000), 23);
    assert_int_equal(refreshes_at(trigger, now_ms += 40000), 24);
}

static void keys_that_name_an_authentication_need_the_flag(void **state)
{
    (void)state;
    struct trigger *both = FIND(ORDERS, "triggerAuthentication", "a");
    assert_mistake(both, ERROR_INVALID, "triggerAuthentication and connectionName exclude");
    tear_down(state);
    start_triggers(false);
    struct trigger *trigger = FIND(GOOD, "clusterTriggerAuthentication", "a");
    assert_mistake(trigger, ERROR_INVALID,
                   "clusterTriggerAuthentication needs a server with --kubernetes");
}

/* ---- where those of a ClusterTriggerAuthentication go ---- */

static const struct option source_table[] = {
    {.key = "url",
     .scope = OPTION_CONNECTION,
     .type = OPTION_STRING,
     .flags = OPTION_SECRET | OPTION_URL | OPTION_HOST},
    {.key = "brokers", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_HOSTS},
    {.key = "address",
     .alias = "addresses",
     .scope = OPTION_CONNECTION,
     .type = OPTION_STRING,
     .flags = OPTION_HOST},
    {.key = "number", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_PORT},
    {.key = "ca", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_PEER},
    {.key = "password", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_SECRET},
    {0},
};

static bool admits(const struct own_credentials_settings *settings, struct option_entry *entries,
                   size_t count)
{
    _cleanup_(credentials_cleanup) struct credentials *credentials = credentials_new();
    _cleanup_(error_done) struct error error = {0};
    const struct trigger_ref ref = {"worker", "shop", entries, count};
    bool waits = true;
    credentials->state = CREDENTIALS_VERIFIED;
    credentials->authentication = text_copy("ClusterTriggerAuthentication redis");
    credentials->name = text_copy("redis");
    credentials->is_cluster_wide = true;
    credentials_add(credentials, "password", "secret");
    const struct own_credentials_request request = {&ref, source_table, credentials, false};
    bool may = own_credentials_admit(settings, &request, &waits, &error);
    assert_false(waits);
    if (!may)
        assert_int_equal(error.code, ERROR_DENIED);
    return may;
}

/* Pairs of key and value, ending with NULL. */
static void an_address_beside_cluster_wide_ones_is_listed(void **state)
{
    static const struct {
        const char *pairs[5];
        bool is_allowed;
    } cases[] = {
        {{"address", "redis:6379"}, true},
        {{"address", "redis"}, false}, /* at any port */
        {{"address", "any"}, true},
        {{"address", "any", "number", "7"}, true},
        {{"number", "7", "addresses", "any"}, true},
        {{"address", "any:1", "number", "7"}, false}, /* at which of the two? */
        {{"address", "redis", "number", "6379"}, false},
        {{"address", "evil", "number", "7"}, false},
        {{"address", "evil"}, false},
        {{"number", "7"}, false},                   /* of an address that nobody wrote down */
        {{"brokers", "any", "number", "7"}, false}, /* which is another address's */
        {{"brokers", "any,redis:6379"}, true},
        {{"brokers", "any,evil"}, false},
        {{"url", "redis://any"}, false}, /* it may have a password */
        {{"ca", "any"}, false},
    };
    (void)state;
    struct cluster_authentications *list;
    assert_true(
        cluster_authentications_parse("{redis: {hosts: [any, \"redis:6379\"]}}", &list, NULL));
    const struct own_credentials_settings settings = {.cluster = list};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *const *pairs = cases[i].pairs;
        struct option_entry entries[2];
        size_t count = 0;
        for (; pairs[2 * count] != NULL; count++)
            entries[count] = (struct option_entry){pairs[2 * count], pairs[2 * count + 1]};
        if (admits(&settings, entries, count) != cases[i].is_allowed)
            fail_msg("%s=%s %s", pairs[0], pairs[1], pairs[2] == NULL ? "" : pairs[2]);
    }
    cluster_authentications_free(list);
}

static void those_of_its_namespace_go_to_any_address(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(KEYLESS, "source", "anywhere");
    VERIFY(trigger, "password", "secret");
    assert_int_equal(trigger->phase, TRIGGER_READY);
    verify(trigger, true, (const char *const[]){"password", "secret", NULL});
    assert_mistake(trigger, ERROR_DENIED, "source in the trigger cannot be used together with");
}

#define OWN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_own, tear_down_own)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OWN_TEST(a_trigger_waits_and_then_uses_them),
        OWN_TEST(a_named_connection_needs_none),
        OWN_TEST(what_is_held_is_as_old_as_the_window_of_the_hpa),
        OWN_TEST(replicas_are_read_again_until_they_are_of_after_the_failure),
        OWN_TEST(without_an_authentication_the_metadata_counts),
        OWN_TEST(a_refused_call_is_not_measured),
        OWN_TEST(a_key_is_given_once),
        OWN_TEST(an_address_of_a_variable_is_refused_beside_them),
        OWN_TEST(a_query_of_a_variable_is_refused_beside_them),
        OWN_TEST(a_variable_that_the_call_leaves_out_is_refused_as_well),
        OWN_TEST(what_a_variable_measures_with_is_refused_beside_them),
        OWN_TEST(equal_ones_are_parsed_once_for_all_triggers),
        OWN_TEST(their_mistakes_are_those_of_each_trigger),
        OWN_TEST(a_password_of_a_variable_is_not),
        OWN_TEST(callers_with_a_certificate_may_send_it),
        OWN_TEST(denied_addresses_come_from_an_authentication_or_not_at_all),
        OWN_TEST(another_password_keeps_the_reading),
        OWN_TEST(who_waits_is_told_which_limit_is_reached),
        OWN_TEST(what_is_dropped_is_not_read_any_more),
        OWN_TEST(a_failing_trigger_has_them_read_less_and_less_often),
        OWN_TEST(keys_that_name_an_authentication_need_the_flag),
        cmocka_unit_test(an_address_beside_cluster_wide_ones_is_listed),
        OWN_TEST(those_of_its_namespace_go_to_any_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
