/* Connections from the Secret of a trigger's own namespace. */
#include "scale/connections/namespace_secrets.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/connections_yaml.h"
#include "scale/connections/named_connections.h"
#include "scale/fixture.h"
#include "scale/table/triggers_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text wanted; /* "+shop -shop" */

static void set_wanted(void *context, const char *namespace, bool is_wanted)
{
    assert_ptr_equal(context, &wanted);
    text_addf(&wanted, "%s%c%s", wanted.length == 0 ? "" : " ", is_wanted ? '+' : '-', namespace);
}

static int set_up_secrets(void **state)
{
    struct engine_settings settings = ENGINE_DEFAULTS;
    (void)state;
    settings.program = "/bin/true";
    fake_reset();
    engine = engine_new(&settings);
    triggers = triggers_new(&(struct triggers_settings){
        .scalers = fake_scalers,
        .connections = parse_connections(connections_yaml),
        .secrets = {set_wanted, &wanted},
        .engine = engine,
        .rules = {.interval_ms = 5000, .hold_ms = 60000},
        .forget_ms = 1000,
        .deny_inline = true,
        .max = 100,
        .max_bytes = 16 << 20,
    });
    return 0;
}

static int tear_down_secrets(void **state)
{
    int code = tear_down(state);
    text_done(&wanted);
    return code;
}

static void renew_all(void)
{
    while (triggers_renew(triggers, 1))
        ;
}

/* False: it is to be set again later. */
static bool change_secret(const char *namespace, const char *yaml)
{
    _cleanup_(error_done) struct error error = {0};
    const struct connections_source source = {.path = "Secret"};
    struct connections *connections = connections_new();
    if (!connections_yaml_read(&source, yaml, strlen(yaml), connections, &error))
        connections_add_problem(connections, NULL, "Secret", true, error_text(&error));
    connections_sort(connections);
    for (size_t i = 0; i < connections->count; i++)
        connections->items[i].is_of_secret = true;
    named_connections_check(connections, fake_scalers);
    return triggers_set_secret(triggers, namespace, connections, &(struct error){0}, 0);
}

static void set_secret(const char *namespace, const char *yaml)
{
    change_secret(namespace, yaml);
    renew_all();
}

static void delete_secret(const char *namespace)
{
    triggers_set_secret(triggers, namespace, NULL, &(struct error){0}, 0);
    renew_all();
}

static void fail_api(const char *namespace)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "the API is away");
    triggers_set_secret(triggers, namespace, NULL, &error, 0);
    renew_all();
}

#define OWN "scaler", "fake", "connectionName", "own", "queueName", "7"
#define OWN_YAML "connections:\n  own: {scaler: fake, source: here}\n"

static void a_trigger_waits_for_the_secret_and_then_uses_it(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(OWN);
    assert_int_equal(trigger->phase, TRIGGER_PENDING);
    assert_mistake(trigger, ERROR_UNAVAILABLE, "Secret shop/backlog-connections has not been read");
    assert_string_equal(wanted.bytes, "+shop");

    const struct answer_call call = {.arrived_ms = 0};
    const struct answer_call late = {.arrived_ms = 0, .out_of_time = true};
    _cleanup_(answer_done) struct answer answer = {0};
    trigger_decide(trigger, &call, 0, &answer);
    assert_int_equal(answer.kind, ANSWER_WAIT);
    trigger_decide(trigger, &late, 5000, &answer);
    assert_int_equal(answer.kind, ANSWER_REFUSED);

    set_secret("shop", OWN_YAML);
    assert_int_not_equal(trigger->phase, TRIGGER_PENDING);
    query_of(trigger);
    wait_until_measured(trigger);
}

static void other_namespaces_do_not_use_it(void **state)
{
    (void)state;
    FIND(OWN);
    set_secret("shop", OWN_YAML);
    struct trigger *other = find_in("other", 0, (const char *const[]){OWN, NULL});
    assert_int_equal(other->phase, TRIGGER_PENDING);
    delete_secret("other");
    assert_mistake(other, ERROR_INVALID, "there is no Secret other/backlog-connections");
    struct trigger *strange = find_in("../shop", 0, (const char *const[]){OWN, NULL});
    assert_mistake(strange, ERROR_INVALID, "is not in the connections file");
    assert_string_equal(wanted.bytes, "+shop +other");
}

static void a_secret_that_changes_all_the_time_delays_no_other_namespace(void **state)
{
    enum { TRIGGERS = 10 };
    (void)state;
    for (int i = 0; i < TRIGGERS; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        FIND("scaler", "fake", "connectionName", "own", "queueName", queue);
    }
    struct trigger *other = find_in("other", 0, (const char *const[]){OWN, NULL});
    change_secret("other", OWN_YAML);
    for (int i = 0; i < 4; i++) {
        change_secret("shop", OWN_YAML);
        assert_true(triggers_renew(triggers, 1));
    }
    assert_int_equal(other->phase, TRIGGER_READY);
    renew_all();
}

/* The last trigger of a namespace goes, so that another one of it has a place. */
static void a_secret_counts_for_the_memory_as_long_as_it_is_kept(void **state)
{
    enum { MAX_TRIGGERS = 100 };
    (void)state;
    FIND(OWN);
    set_secret("shop", OWN_YAML);
    size_t counted = budgets_find(&triggers->lifecycle.budgets, "shop")->secret_bytes;
    assert_true(counted > 0);
    for (int i = 1; i < MAX_TRIGGERS; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        find_in("other", i,
                (const char *const[]){"scaler", "fake", "connectionName", "orders", "queueName",
                                      queue, NULL});
    }
    assert_int_equal(triggers_count(triggers), MAX_TRIGGERS);
    find_in(
        "shop", TRIGGERS_IN_USE_MS,
        (const char *const[]){"scaler", "fake", "connectionName", "own", "queueName", "8", NULL});
    assert_int_equal(budgets_find(&triggers->lifecycle.budgets, "shop")->triggers, 1);
    assert_int_equal(budgets_find(&triggers->lifecycle.budgets, "shop")->secret_bytes, counted);
}

static void a_connection_of_the_file_comes_first_and_needs_no_secret(void **state)
{
    (void)state;
    query_of(FIND(ORDERS));
    assert_int_equal(wanted.length, 0);
    /* The namespace may not use it: the name is free for its own. */
    struct trigger *other = find_in("other", 0, (const char *const[]){ORDERS, NULL});
    assert_int_equal(other->phase, TRIGGER_PENDING);
    delete_secret("other");
    assert_mistake(other, ERROR_DENIED, "cannot be used in namespace \"other\"");
    set_secret("other", "connections:\n  orders: {scaler: fake, source: theirs}\n");
    query_of(other);
}

static void a_connection_that_left_the_file_is_missing_and_not_denied(void **state)
{
    (void)state;
    struct trigger *other = find_in("other", 0, (const char *const[]){ORDERS, NULL});
    set_secret("other", OWN_YAML);
    assert_mistake(other, ERROR_DENIED, "cannot be used in namespace \"other\"");
    set_connections("connections: {}\n");
    assert_mistake(other, ERROR_INVALID, "is neither in the connections file nor in Secret");
}

static void a_secret_that_is_no_connections_file_says_why(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(OWN);
    set_secret("shop", "connections: [");
    assert_mistake(trigger, ERROR_INVALID, "nor in Secret shop/backlog-connections; ");
    set_secret("shop", "connections: {}\n");
    const char *text = error_text(&trigger->parsed.mistakes);
    assert_true(text_ends_with(text, "nor in Secret shop/backlog-connections"));
}

static void a_deleted_secret_ends_its_connections_and_a_mistake_does_not(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(OWN);
    set_secret("shop", OWN_YAML);
    struct query *query = query_of(trigger);
    set_secret("shop", "connections:\n  own: {scaler: fake, sauce: x}\n");
    assert_ptr_equal(query_of(trigger), query);
    set_secret("shop", "connections: [");
    assert_ptr_equal(query_of(trigger), query);
    fail_api("shop");
    assert_ptr_equal(query_of(trigger), query);
    delete_secret("shop");
    assert_null(trigger->bound.query);
    assert_mistake(trigger, ERROR_INVALID, "there is no Secret");
    assert_int_equal(trigger->phase, TRIGGER_UNCONNECTED);
}

static void before_the_first_answer_a_failure_of_the_api_is_named(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(OWN);
    fail_api("shop");
    assert_int_not_equal(trigger->phase, TRIGGER_PENDING);
    assert_mistake(trigger, ERROR_UNAVAILABLE, "cannot be read: the API is away");
    set_secret("shop", OWN_YAML);
    query_of(trigger);
}

static void a_namespace_without_triggers_is_not_followed(void **state)
{
    (void)state;
    FIND(OWN);
    FIND("scaler", "fake", "connectionName", "two", "queueName", "7");
    set_secret("shop", OWN_YAML);
    triggers_expire(triggers, 5000);
    assert_int_equal(triggers_count(triggers), 0);
    assert_string_equal(wanted.bytes, "+shop -shop");
    set_secret("shop", OWN_YAML); /* what comes late is dropped */
    assert_int_equal(FIND(OWN)->phase, TRIGGER_PENDING);
}

static void the_file_may_take_a_name_over(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(OWN);
    set_secret("shop", OWN_YAML);
    query_of(trigger);
    assert_true(trigger->bound.is_inline);
    set_connections(OWN_YAML); /* the same source */
    assert_null(trigger->secret);
    assert_false(trigger->bound.is_inline);
    assert_string_equal(wanted.bytes, "+shop -shop");
    set_connections("connections: {}\n");
    assert_int_equal(trigger->phase, TRIGGER_PENDING);
}

static void more_namespaces_than_allowed_are_refused(void **state)
{
    (void)state;
    char name[32];
    struct trigger *trigger = NULL;
    triggers_free(triggers);
    triggers = triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                        .secrets = {set_wanted, &wanted},
                                                        .engine = engine,
                                                        .forget_ms = 1000,
                                                        .max = 2000,
                                                        .max_bytes = 16 << 20});
    for (int i = 0; i <= NAMESPACE_SECRETS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        trigger = find_in(name, 0, (const char *const[]){OWN, NULL});
        assert_int_equal(trigger->phase == TRIGGER_PENDING, i < NAMESPACE_SECRETS_MAX);
    }
    assert_mistake(trigger, ERROR_LIMIT, "the Secrets of 1024 namespaces are in use");
    trigger = find_in("wrong", 0, (const char *const[]){OWN, "queueNam", "7", NULL});
    assert_mistake(trigger, ERROR_LIMIT, "the Secrets of 1024 namespaces are in use");
    assert_mistake(trigger, ERROR_LIMIT, "queueNam"); /* which only the user can correct */
}

/* It comes again with each poll. */
static void a_trigger_for_which_there_is_no_place_wants_no_secret(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct trigger *trigger = NULL;
    struct option_entry entries[] = {
        {"scaler", "fake"}, {"connectionName", "own"}, {"queueName", "7"}};
    const struct trigger_ref ref = {"more", "shop", entries, ARRAY_LENGTH(entries)};
    triggers_free(triggers);
    triggers = triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                        .secrets = {set_wanted, &wanted},
                                                        .engine = engine,
                                                        .forget_ms = 1000,
                                                        .max = 1,
                                                        .max_bytes = 16 << 20});
    find_in("other", 0, (const char *const[]){"queueName", "7", NULL});
    assert_false(triggers_find(triggers, &ref, 0, &trigger, &error));
    assert_string_equal(error_text(&error), "all 1 triggers are in use (--max-triggers)");
    assert_int_equal(wanted.length, 0);
}

/* The connection is in no file, or in the file, and not for these namespaces. */
static void a_refused_namespace_has_the_next_free_place(void **state)
{
    (void)state;
    static const char *const yamls[] = {
        "connections: {}\n",
        "connections:\n  own: {scaler: fake, source: there, namespaces: [elsewhere]}\n"};
    for (size_t yaml = 0; yaml < ARRAY_LENGTH(yamls); yaml++) {
        char name[32];
        struct trigger *trigger = NULL;
        triggers_free(triggers);
        triggers =
            triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                     .connections = parse_connections(yamls[yaml]),
                                                     .secrets = {set_wanted, &wanted},
                                                     .engine = engine,
                                                     .forget_ms = 1000,
                                                     .max = 2000,
                                                     .max_bytes = 16 << 20});
        for (int i = 0; i <= NAMESPACE_SECRETS_MAX; i++) {
            snprintf(name, sizeof(name), "n%d", i);
            trigger = find_in(name, i == 0 ? 0 : 900, (const char *const[]){OWN, NULL});
        }
        assert_int_equal(trigger->phase, TRIGGER_UNCONNECTED);
        triggers_expire(triggers, 1500); /* KEDA calls for the first no more */
        trigger = find_in(name, 1600, (const char *const[]){OWN, NULL});
        assert_int_equal(trigger->phase, TRIGGER_PENDING);
    }
}

static void restart_with_max_bytes(size_t max_bytes)
{
    triggers_free(triggers);
    triggers = triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                        .secrets = {set_wanted, &wanted},
                                                        .engine = engine,
                                                        .forget_ms = 1000,
                                                        .max = 100,
                                                        .max_bytes = max_bytes});
}

/* `own` and others, of 1 KiB each. */
static bool set_large_secret(const char *namespace, int others)
{
    _cleanup_(text_done) struct text yaml = {0};
    text_add(&yaml, OWN_YAML);
    for (int i = 0; i < others; i++)
        text_addf(&yaml, "  c%d: {scaler: fake, source: here, password: \"%01000d\"}\n", i, i);
    bool is_done = change_secret(namespace, yaml.bytes);
    renew_all();
    return is_done;
}

/* Half of all is a namespace's: here 256 KiB, of which a connection takes 128. */
static void the_connections_count_for_the_memory_of_their_namespace(void **state)
{
    (void)state;
    restart_with_max_bytes(512 << 10);
    struct trigger *trigger = FIND(OWN);
    assert_false(set_large_secret("shop", 300)); /* there may be memory later */
    assert_int_not_equal(trigger->phase, TRIGGER_PENDING);
    assert_mistake(trigger, ERROR_LIMIT,
                   "Secret shop/backlog-connections cannot be used: its connections take");
    assert_mistake(trigger, ERROR_LIMIT,
                   "the triggers of namespace \"shop\" use all of their 256 KiB of memory "
                   "(--trigger-memory)");
    set_large_secret("shop", 30);
    query_of(trigger);
    set_large_secret("shop", 300); /* what is known stays, and counts */
    query_of(trigger);
    for (int i = 0; i < 2; i++) { /* others have memory again once nobody needs it */
        struct trigger *other = find_in("other", 0, (const char *const[]){OWN, NULL});
        set_large_secret("other", 30);
        query_of(other);
        set_large_secret("third", 30);
        triggers_expire(triggers, 5000);
        assert_int_equal(triggers_count(triggers), 0);
    }
}

/* As each of them does that is in the metadata; but not while it waits for the Secret. */
static void each_connection_that_is_used_counts(void **state)
{
    (void)state;
    enum { CONNECTION_BYTES = 128 << 10, REST_BYTES = 16 << 10 };
    restart_with_max_bytes(16 << 20);
    const struct budgets *budgets = &triggers->lifecycle.budgets;
    struct trigger *own = FIND(OWN);
    struct trigger *another = FIND("scaler", "fake", "connectionName", "c0", "queueName", "7");
    assert_in_range(budgets->bytes, 1, REST_BYTES);
    assert_true(set_large_secret("shop", 1));
    assert_int_equal(own->phase, TRIGGER_READY);
    assert_int_equal(another->phase, TRIGGER_READY);
    assert_in_range(budgets->bytes, 2 * CONNECTION_BYTES, 2 * CONNECTION_BYTES + REST_BYTES);
}

static bool find_with_queue(const char *namespace, const char *const connection[2], size_t bytes,
                            int64_t now_ms, struct error *error)
{
    _cleanup_(memory_free) char *queue = memory_new(bytes + 1);
    struct option_entry entries[] = {
        {"scaler", "fake"}, {connection[0], connection[1]}, {"queueName", queue}};
    struct trigger_ref ref = {"worker", namespace, entries, ARRAY_LENGTH(entries)};
    struct trigger *trigger = NULL;
    memset(queue, 'x', bytes);
    return triggers_find(triggers, &ref, now_ms, &trigger, error);
}

/* Two triggers, which nobody calls for any more, go for a larger one, and their connection
 * and Secret do not; what another namespace has in use is all the rest. */
static void assert_replaced_within_the_memory(size_t bytes)
{
    enum { FIRST = 4000, SECOND = 10, LARGE = 16000, SECRET_KIB = 30 };
    static const char *const own[] = {"connectionName", "own"};
    static const char *const inline_one[] = {"source", "a"};
    _cleanup_(error_done) struct error error = {0};
    const struct budgets *budgets = NULL;
    size_t max = 16 << 20;
    for (int i = 0; i < 2; i++) {
        restart_with_max_bytes(max);
        budgets = &triggers->lifecycle.budgets;
        assert_true(find_with_queue("shop", own, FIRST, 0, &error));
        assert_true(find_with_queue("shop", own, SECOND, 0, &error));
        assert_true(set_large_secret("shop", SECRET_KIB));
        assert_true(find_with_queue("other", inline_one, LARGE, TRIGGERS_IN_USE_MS, &error));
        max = budgets->bytes;
    }
    bool is_found = find_with_queue("shop", own, bytes, TRIGGERS_IN_USE_MS, &error);
    if (budgets->bytes > max)
        fail_msg("%zu bytes of metadata: %zu bytes more than there are", bytes,
                 budgets->bytes - max);
    assert_true(is_found || error.code == ERROR_LIMIT);
}

static void a_secret_that_is_kept_counts_for_the_trigger_that_keeps_it(void **state)
{
    enum { MIN = 1000, MAX = 15000, STEP = 250 };
    (void)state;
    for (size_t bytes = MIN; bytes < MAX; bytes += STEP)
        assert_replaced_within_the_memory(bytes);
}

#define SECRET_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_secrets, tear_down_secrets)

/* There is memory for more, but the server's loop would be busy with them for long. */
static void the_connections_of_a_secret_take_at_most_a_mebibyte(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(OWN);
    assert_true(set_large_secret("shop", 1000)); /* later it would be no smaller */
    assert_mistake(trigger, ERROR_LIMIT, "KiB of memory: at most 1024 are allowed");
    set_large_secret("shop", 30);
    query_of(trigger);
    set_large_secret("shop", 1000);
    query_of(trigger);
}

/* Each version is small, and breaks the connections of those before, which stay in use. */
static void former_versions_count_for_the_memory(void **state)
{
    enum { VERSIONS = 10, PER_VERSION = 20, MAX_BYTES = 512 << 10 };
    (void)state;
    restart_with_max_bytes(MAX_BYTES);
    struct trigger *trigger = FIND(OWN);
    for (int version = 0; version < VERSIONS; version++) {
        _cleanup_(text_done) struct text yaml = {0};
        text_add(&yaml, OWN_YAML);
        for (int i = 0; i < version * PER_VERSION; i++)
            text_addf(&yaml, "  c%d: {}\n", i);
        for (int i = version * PER_VERSION; i < (version + 1) * PER_VERSION; i++)
            text_addf(&yaml, "  c%d: {scaler: fake, source: here, password: \"%01000d\"}\n", i, i);
        set_secret("shop", yaml.bytes);
        assert_true(triggers_bytes_of(triggers, "shop") <= MAX_BYTES / 2);
    }
    query_of(trigger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SECRET_TEST(a_trigger_waits_for_the_secret_and_then_uses_it),
        SECRET_TEST(other_namespaces_do_not_use_it),
        SECRET_TEST(a_secret_that_changes_all_the_time_delays_no_other_namespace),
        SECRET_TEST(a_secret_counts_for_the_memory_as_long_as_it_is_kept),
        SECRET_TEST(a_connection_of_the_file_comes_first_and_needs_no_secret),
        SECRET_TEST(a_connection_that_left_the_file_is_missing_and_not_denied),
        SECRET_TEST(a_secret_that_is_no_connections_file_says_why),
        SECRET_TEST(a_deleted_secret_ends_its_connections_and_a_mistake_does_not),
        SECRET_TEST(before_the_first_answer_a_failure_of_the_api_is_named),
        SECRET_TEST(a_namespace_without_triggers_is_not_followed),
        SECRET_TEST(the_file_may_take_a_name_over),
        SECRET_TEST(the_connections_count_for_the_memory_of_their_namespace),
        SECRET_TEST(each_connection_that_is_used_counts),
        SECRET_TEST(a_refused_namespace_has_the_next_free_place),
        SECRET_TEST(the_connections_of_a_secret_take_at_most_a_mebibyte),
        SECRET_TEST(former_versions_count_for_the_memory),
        SECRET_TEST(a_secret_that_is_kept_counts_for_the_trigger_that_keeps_it),
        SECRET_TEST(more_namespaces_than_allowed_are_refused),
        SECRET_TEST(a_trigger_for_which_there_is_no_place_wants_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
