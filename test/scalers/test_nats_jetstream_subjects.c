/* NATS JetStream: what is known of streams, consumers and their subjects, and what is refused. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/client/configs.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/client/subscriber.h"
#include "nats_jetstream/limits.h"
#include "scalers/nats_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static enum nats_configs_state find_subjects(struct nats_configs *configs, int consumer,
                                             int64_t now_ms, struct error *error)
{
    const struct nats_subject_list *list;
    _cleanup_(memory_free) char *name = text_format("consumer-%d", consumer);
    const struct nats_query query = {.stream = "orders", .consumer = name};
    error_done(error);
    return nats_configs_find_or_request_subjects(configs, &query, now_ms, &list, error);
}

static void reply_to_subjects(struct nats_configs *configs, uint64_t number, const char *reply)
{
    natsMsg *message = NULL;
    assert_int_equal(natsMsg_Create(&message, "x", NULL, reply, (int)strlen(reply)), NATS_OK);
    assert_true(nats_configs_take(configs, number, message));
    natsMsg_Destroy(message);
}

/* As many as a stream or a consumer may have; the caller frees it. */
static char *reply_of_subjects(size_t length)
{
    enum { MAX_SUBJECTS = 64 };
    struct text reply = {0};
    for (int i = 0; i < MAX_SUBJECTS; i++)
        text_addf(&reply, "%s\"%0*d\"", i == 0 ? "{\"config\":{\"subjects\":[" : ",", (int)length,
                  i);
    text_add(&reply, "]}}");
    return text_take(&reply);
}

#define ONE_SUBJECT "{\"config\":{\"subjects\":[\"x\"]}}"
#define API_ERROR(code) "{\"error\":{\"code\":503,\"err_code\":" code "}}"

enum { MANY_CONSUMERS = 30000, AGED_MS = 61 * 1000 };

/* Requests what is known of consumers, of which each has this reply, until there is no memory for
 * another. Returns of how many, with the error. */
static int request_until_refused(struct nats_configs *configs,
                                 const struct nats_client_connection *connection, const char *reply,
                                 struct error *error)
{
    int count = 0;
    find_subjects(configs, 0, 0, error);
    reply_to_subjects(configs, 1, ONE_SUBJECT); /* the stream's */
    while (count < MANY_CONSUMERS &&
           find_subjects(configs, count, 0, error) == NATS_CONFIGS_REQUESTED) {
        reply_to_subjects(configs, connection->last_number, reply);
        if (find_subjects(configs, count, 0, error) == NATS_CONFIGS_IMPOSSIBLE)
            break;
        count++;
    }
    return count;
}

/* What is old gives way to what is new. */
static void assert_requested_later(struct nats_configs *configs, struct error *error)
{
    find_subjects(configs, MANY_CONSUMERS, AGED_MS, error); /* the stream's are requested again */
    assert_int_equal(find_subjects(configs, MANY_CONSUMERS, AGED_MS, error),
                     NATS_CONFIGS_REQUESTED);
}

/* Consumers come and go. */
static void configurations_that_are_known_take_a_bounded_memory(void **state)
{
    (void)state;
    struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
    struct nats_configs *configs = nats_configs_new(&connection);
    struct error error = {0};
    int count = request_until_refused(configs, &connection, API_ERROR("10008"), &error);
    assert_in_range(count, 2 * NATS_MAX_QUERIES, MANY_CONSUMERS - 1);
    assert_non_null(strstr(error_text(&error), "takes at most 5 MiB"));
    assert_int_equal(find_subjects(configs, MANY_CONSUMERS, 0, &error), NATS_CONFIGS_IMPOSSIBLE);
    assert_requested_later(configs, &error);
    nats_configs_free(configs);
    error_done(&error);
}

/* A tenant may give each consumer as many subjects as it likes. */
static void subjects_that_are_known_take_a_bounded_memory(void **state)
{
    static const struct {
        size_t length;
        int min, max;
    } rows[] = {{10, 500, 4000}, {1000, 20, 100}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
        struct nats_configs *configs = nats_configs_new(&connection);
        _cleanup_(memory_free) char *reply = reply_of_subjects(rows[i].length);
        struct error error = {0};
        int count = request_until_refused(configs, &connection, reply, &error);
        assert_in_range(count, rows[i].min, rows[i].max);
        assert_non_null(strstr(error_text(&error), "more than there is memory for"));
        assert_requested_later(configs, &error);
        nats_configs_free(configs);
        error_done(&error);
    }
}

/* While a leader is elected, the members of its group answer with an error. */
static void an_election_leaves_the_subjects_known(void **state)
{
    enum { LATER_MS = 2000, SECOND_MS = 1000 };
    (void)state;
    struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
    struct nats_configs *configs = nats_configs_new(&connection);
    struct error error = {0};
    int64_t now_ms = 0;

    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_REQUESTED);
    reply_to_subjects(configs, 1, ONE_SUBJECT); /* the stream's */
    reply_to_subjects(configs, 2, API_ERROR("10008"));
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_REQUESTED);
    assert_int_equal(connection.last_number, 2);
    now_ms += LATER_MS;
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_REQUESTED);
    assert_int_equal(connection.last_number, 3);
    reply_to_subjects(configs, 3, "{\"config\":{}}");
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_KNOWN);

    now_ms += AGED_MS;
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_KNOWN);
    assert_int_equal(connection.last_number, 5);
    for (uint64_t number = 4; number <= 5; number++)
        reply_to_subjects(configs, number, API_ERROR("10008"));
    assert_int_equal(find_subjects(configs, 1, now_ms + SECOND_MS, &error), NATS_CONFIGS_KNOWN);
    assert_int_equal(connection.last_number, 5);
    assert_int_equal(find_subjects(configs, 1, now_ms + LATER_MS, &error), NATS_CONFIGS_KNOWN);
    assert_int_equal(connection.last_number, 7);

    reply_to_subjects(configs, 7, API_ERROR("10014"));
    assert_int_equal(find_subjects(configs, 1, now_ms + LATER_MS, &error), NATS_CONFIGS_IMPOSSIBLE);
    assert_non_null(strstr(error_text(&error), "does not exist"));
    assert_int_equal(connection.last_number, 7);
    nats_configs_free(configs);
    error_done(&error);
}

static void whether_a_stream_has_one_replica_is_requested_again(void **state)
{
    enum { MINUTE_MS = 60 * 1000, RETRY_MS = 10 * 1000 };
    (void)state;
    struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
    struct nats_configs *configs = nats_configs_new(&connection);
    const struct nats_query query = {.stream = "orders", .consumer = "workers"};
    static const struct {
        int64_t wait_ms;
        enum nats_configs_state before;
        const char *reply;
        enum nats_configs_state after;
    } rows[] = {
        {0, NATS_CONFIGS_REQUESTED, "{\"config\":{\"num_replicas\":1}}", NATS_CONFIGS_KNOWN},
        {MINUTE_MS, NATS_CONFIGS_KNOWN, NULL, NATS_CONFIGS_KNOWN},
        {1, NATS_CONFIGS_REQUESTED, "{\"config\":{\"num_replicas\":3}}", NATS_CONFIGS_IMPOSSIBLE},
        {MINUTE_MS + 1, NATS_CONFIGS_REQUESTED, "{}", NATS_CONFIGS_IMPOSSIBLE},
        {RETRY_MS, NATS_CONFIGS_IMPOSSIBLE, NULL, NATS_CONFIGS_IMPOSSIBLE},
        {1, NATS_CONFIGS_REQUESTED, "{\"config\":{\"num_replicas\":1}}", NATS_CONFIGS_KNOWN},
    };
    int64_t now_ms = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct error error = {0};
        now_ms += rows[i].wait_ms;
        assert_int_equal(
            nats_configs_find_or_request_single_replica(configs, &query, now_ms, &error),
            rows[i].before);
        if (rows[i].reply != NULL)
            reply_to_subjects(configs, connection.last_number, rows[i].reply);
        error_done(&error);
        assert_int_equal(
            nats_configs_find_or_request_single_replica(configs, &query, now_ms, &error),
            rows[i].after);
        error_done(&error);
    }
    nats_configs_free(configs);
}

static void a_refusal_of_what_nobody_subscribed_to_is_not_kept(void **state)
{
    (void)state;
    struct nats_subscriber subscriber = {0};
    static const char *const words[] = {
        "Permissions Violation for Subscription to \"orders.>\"",
        "Permissions Violation for Publish to \"$JS.API.INFO\"",
        "Permissions Violation for Subscription to \"orders",
        "Permissions Violation",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct nats_refusal refusal = nats_refusal_parse(words[i]);
        nats_subscriber_deny(&subscriber, &refusal);
        assert_null(subscriber.subjects);
        nats_refusal_done(&refusal);
    }
}

/* As nats-server writes it with Go's %q, and as nats.c cuts it. */
static void a_refused_subject_is_found_with_quotes_and_backslashes(void **state)
{
    (void)state;
    static const struct {
        const char *words, *subject, *longer; /* `longer` is of another, unless the words are cut */
        bool is_cut;
    } rows[] = {
        {"Permissions Violation for Subscription to \"a.b\"", "a.b", "a.bc", false},
        {"Permissions Violation for Subscription to \"a.\\\"b\\\"\"", "a.\"b\"", "a.\"b\"c", false},
        {"Permissions Violation for Subscription to \"a\\\\\" (sid \"7\")", "a\\", "a\\b", false},
        {"Permissions Violation for Publish to \"$JS.a\\\\\\\"b\"", "$JS.a\\\"b", "$JS.a\\\"bc",
         false},
        {"Permissions Violation for Subscription to \"a.\\\"b", "a.\"b", "a.\"bc", true},
        {"Permissions Violation for Subscription to \"a.b\\", "a.b", "a.b\"c", true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_refusal refusal = nats_refusal_parse(rows[i].words);
        assert_string_equal(refusal.subject, rows[i].subject);
        assert_int_equal(refusal.is_cut, rows[i].is_cut);
        assert_true(nats_refusal_is_of(&refusal, rows[i].subject));
        assert_int_equal(nats_refusal_is_of(&refusal, rows[i].longer), rows[i].is_cut);
        nats_refusal_done(&refusal);
    }
}

static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* As of a user who may subscribe to inboxes only. It takes no longer than to subscribe did. */
static void each_of_many_refused_subjects_is_found_at_once(void **state)
{
    enum { MANY = 5000 };
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({"", NULL}), PAIRS("a"));
    struct nats_client_connection *connection = nats_client_connection_open(
        world.triggers[0].options.connection, clock_now_ms() + LONG_MS, &world.error);
    assert_non_null(connection);
    struct nats_configs *configs = nats_configs_new(connection);
    struct nats_subscriber subscriber = {.configs = configs, .connection = connection};
    struct error error = {0};
    double start = cpu_seconds();
    for (int i = 0; i < MANY; i++) {
        _cleanup_(memory_free) char *name = text_format("consumer-%d", i);
        _cleanup_(memory_free) char *reply =
            text_format("{\"config\":{\"filter_subject\":\"jobs.%d\"}}", i);
        const struct nats_query query = {.stream = "orders", .consumer = name};
        struct task task = {.query = &query,
                            .notifier = {nats_world_on_notify, &world, (uint64_t)i + 1, NULL}};
        find_subjects(configs, i, clock_now_ms(), &error);
        if (i == 0)
            reply_to_subjects(configs, 1, "{\"config\":{\"subjects\":[\"jobs.>\"]}}");
        reply_to_subjects(configs, connection->last_number, reply);
        assert_true(nats_subscriber_subscribe(&subscriber, &task));
    }
    double subscribed = cpu_seconds();
    for (int i = MANY - 1; i >= 0; i--) {
        _cleanup_(memory_free) char *words =
            text_format("Permissions Violation for Subscription to \"jobs.%d\"", i);
        struct nats_refusal refusal = nats_refusal_parse(words);
        nats_subscriber_deny(&subscriber, &refusal);
        nats_refusal_done(&refusal);
    }
    double refused = cpu_seconds();
    assert_null(subscriber.queries);
    assert_in_range(nats_world_notifications(&world), MANY, 2 * MANY);
    assert_true(refused - subscribed < 2 * (subscribed - start));
    nats_subscriber_done(&subscriber);
    nats_configs_free(configs);
    error_done(&error);
    nats_world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_that_are_known_take_a_bounded_memory),
        cmocka_unit_test(subjects_that_are_known_take_a_bounded_memory),
        cmocka_unit_test(an_election_leaves_the_subjects_known),
        cmocka_unit_test(whether_a_stream_has_one_replica_is_requested_again),
        cmocka_unit_test(a_refusal_of_what_nobody_subscribed_to_is_not_kept),
        cmocka_unit_test(a_refused_subject_is_found_with_quotes_and_backslashes),
        cmocka_unit_test(each_of_many_refused_subjects_is_found_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
