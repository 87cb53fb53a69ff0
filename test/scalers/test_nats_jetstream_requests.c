/* NATS JetStream: several requests at a time, of which one hangs, is late or refused. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/limits.h"
#include "scalers/ended.h"
#include "scalers/nats_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static void a_request_that_is_not_replied_to_times_out_alone(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({OF("a"), INFO("1")}, {OF("b"), INFO("2")}),
                     PAIRS("hang", "a", "b"));
    nats_world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "");
    assert_int_equal(test_feed_task(world.feed, 0)->order, 3);
    assert_waiting(world.feed, 1, 1);
    assert_waiting(world.feed, 2, 2);
    nats_world_stop(&world);
}

static void a_paused_consumer_is_noted_with_its_reading(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT({OF("a"), "{\"num_pending\":7,\"num_ack_pending\":2,\"paused\":true,"
                                      "\"pause_remaining\":60000000000}"},
                            {OF("b"), INFO("7")}),
                     PAIRS("a", "b"));
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 0);
    assert_true(test_feed_task(world.feed, 0)->reading.in_flight == 2);
    assert_string_equal(test_feed_task(world.feed, 0)->task.note,
                        "the consumer is paused for 60 s more: its pending messages, which nobody "
                        "gets until then, count 0");
    assert_waiting(world.feed, 1, 7);
    assert_null(test_feed_task(world.feed, 1)->task.note);
    nats_world_stop(&world);
}

static void no_responders_and_refusals_end_their_own_request_at_once(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT({OF("nobody"), .has_no_responders = true},
                            {OF("denied"), .is_denied = true}, {OF("too"), .is_denied = true},
                            {OF("gone"), "{\"error\":{\"err_code\":10014}}"}, {OF("a"), INFO("1")}),
                     PAIRS("hang", "nobody", "denied", "too", "a", "gone"));
    nats_world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "");
    assert_int_equal(test_feed_task(world.feed, 0)->order, 6);
    assert_ended_with(world.feed, 1, TASK_FAILED, "no JetStream answers");
    assert_ended_with(world.feed, 2, TASK_FAILED, "$JS.API.CONSUMER.INFO.orders.denied");
    assert_ended_with(world.feed, 3, TASK_FAILED, "$JS.API.CONSUMER.INFO.orders.too");
    assert_waiting(world.feed, 4, 1);
    assert_ended_with(world.feed, 5, TASK_FAILED, "does not exist");
    nats_world_stop(&world);
}

#define HALF "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define HUNDRED                                                                                    \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxx"

/* nats.c cuts the server's words. */
static void a_missing_right_to_a_long_name_ends_its_request_at_once(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({HUNDRED, .is_denied = true}), PAIRS(HUNDRED HUNDRED HALF));
    nats_world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "Permissions Violation");
    nats_world_stop(&world);
}

/* A task for each of so many consumers more, each of a stream of its own. */
static struct nats_query *add_many(struct nats_world *world, size_t count)
{
    struct nats_query *queries = memory_array(count, sizeof(*queries));
    for (size_t i = 0; i < count; i++) {
        queries[i] = (struct nats_query){.stream = text_format("a-stream-that-is-%zu", i),
                                         .consumer = "workers"};
        test_feed_add(world->feed, &queries[i], (struct notifier){0});
    }
    return queries;
}

static void free_many(struct nats_query *queries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)queries[i].stream);
    free(queries);
}

/* As where the right is missing for the whole server. */
static void each_of_many_refusals_ends_its_own_request(void **state)
{
    enum { MANY = 10000 };
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({"", .is_denied = true}), PAIRS("first"));
    test_feed_set_timeout(world.feed, LONG_MS);
    struct nats_query *queries = add_many(&world, MANY);
    nats_world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i <= MANY; i++)
        assert_ended_with(world.feed, i, TASK_FAILED, "Permissions Violation");
    nats_world_stop(&world);
    free_many(queries, MANY);
}

/* At 10,000 that wait, a server drops those of all clients. */
static void requests_in_flight_are_few(void **state)
{
    enum { MANY = 2500, SHORT_MS = 1500 };
    (void)state;
    static const struct {
        struct nats_line lines[2];
        size_t line;
        int max;
    } rows[] = {
        {{{"", NULL}}, 0, NATS_MAX_TASKS},
        {{{".workers", DEFAULTS}, {"", NULL}}, 1, NATS_MAX_CONFIGS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_world world;
        nats_world_start(&world, SCRIPT(rows[i].lines[0], rows[i].lines[1]), PAIRS("workers"));
        test_feed_set_timeout(world.feed, LONG_MS);
        struct nats_query *queries = add_many(&world, MANY);
        world.usable = test_feed_run(world.feed, world.client, SHORT_MS, &world.error);
        pthread_mutex_lock(&world.peer.lock);
        assert_in_range(world.peer.used[rows[i].line], rows[i].max / 2, rows[i].max);
        pthread_mutex_unlock(&world.peer.lock);
        nats_world_stop(&world);
        free_many(queries, MANY);
    }
}

static void measuring_ends_where_nothing_is_in_flight(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({OF("a"), INFO("1")}), PAIRS("a"));
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 1);
    struct feed *feed = test_feed_task(world.feed, 0)->task.feed;
    test_feed_stay(world.feed, LONG_MS);
    assert_true(scaler_nats_jetstream.measure(world.client, feed, &world.error));
    assert_false(feed_is_stopping(feed));
    nats_world_stop(&world);
}

static void more_requests_than_may_be_in_flight_are_all_replied_to(void **state)
{
    enum { MANY = 2500 };
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT({".workers", DEFAULTS}, {"", "{\"config\":{\"num_replicas\":1}}"}),
                     PAIRS("workers"));
    test_feed_set_timeout(world.feed, LONG_MS);
    struct nats_query *queries = add_many(&world, MANY);
    nats_world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i <= MANY; i++)
        assert_waiting(world.feed, i, 0);
    nats_world_stop(&world);
    free_many(queries, MANY);
}

static void without_responders_the_key_that_may_be_wrong_is_named(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT({OF("nobody"), .has_no_responders = true},
                            {"$JS.eu.API.CONSUMER.INFO.orders.nobody", .has_no_responders = true},
                            {"other.API.CONSUMER.INFO.orders.nobody", .has_no_responders = true}),
                     PAIRS("nobody"));
    nats_world_add_task(&world, "domain", "eu");
    nats_world_add_task(&world, "apiPrefix", "other.API");
    nats_world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "is in a domain (set domain)");
    assert_ended_with(world.feed, 1, TASK_FAILED, "check domain \"eu\"");
    assert_ended_with(world.feed, 2, TASK_FAILED, "check apiPrefix \"other.API\"");
    nats_world_stop(&world);
}

/* nats.c reports on a thread of its own what it has read behind the error that closes. */
static void errors_behind_that_which_closes_the_connection_are_ignored(void **state)
{
    enum { ERRORS = 400, ROUNDS = 20 };
    (void)state;
    struct text raw = {0};
    text_add(&raw, "-ERR 'closing'\r\n");
    for (int i = 0; i < ERRORS; i++)
        text_add(&raw, "-ERR 'Permissions Violation for Publish to \"a\"'\r\n");
    for (int i = 0; i < ROUNDS; i++) {
        struct nats_world world;
        nats_world_start(&world, SCRIPT({OF("a"), .raw = raw.bytes}), PAIRS("a"));
        nats_world_run(&world);
        assert_false(world.usable);
        nats_world_stop(&world);
    }
    text_done(&raw);
}

static void assert_refused_without_tls(const char *servers, const char *tls)
{
    void *client = NULL;
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_nats_jetstream,
                   PAIRS("servers", servers, "stream", "orders", "consumer", "a", "tls", tls));
    assert_true(trigger.good);
    assert_false(scaler_nats_jetstream.connect(trigger.options.connection, clock_now_ms() + LONG_MS,
                                               &client, &trigger.error));
    assert_non_null(strstr(error_text(&trigger.error), "Secure Connection not available"));
}

static void a_server_without_tls_is_refused_where_tls_is_required(void **state)
{
    (void)state;
    struct nats_peer peer = {0};
    nats_peer_start(&peer, SCRIPT({OF("a"), INFO("1")}));
    const char *address = peer.address;
    _cleanup_(memory_free) char *url = text_format("tls://%s", address);
    assert_refused_without_tls(address, "enable");
    assert_refused_without_tls(url, "disable");
    nats_peer_stop(&peer);
}

/* `user`: of the address, with an @ behind it. */
static char *sent_to_connect(const char *user, const char *const *pairs)
{
    enum { MAX_PAIRS = 12 };
    const char *all[MAX_PAIRS + 1] = {"stream", "orders", "consumer", "a", "servers"};
    size_t count = 5;
    struct nats_peer peer = {0};
    void *client = NULL;
    nats_peer_start(&peer, SCRIPT({OF("a"), INFO("1")}));
    _cleanup_(memory_free) char *address = text_format("nats://%s%s", user, peer.address);
    all[count++] = address;
    while (*pairs != NULL && count < MAX_PAIRS)
        all[count++] = *pairs++;
    _cleanup_(trigger_done) struct trigger trigger = trigger_of(&scaler_nats_jetstream, all);
    if (!trigger.good ||
        !scaler_nats_jetstream.connect(trigger.options.connection, clock_now_ms() + LONG_MS,
                                       &client, &trigger.error))
        fail_msg("%s", error_text(&trigger.error));
    scaler_nats_jetstream.disconnect(client);
    nats_peer_stop(&peer);
    return text_copy(peer.connect);
}

/* The keys override the user of an address. */
static void the_credentials_are_sent_to_the_server(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        const char *pairs[5];
        const char *sent[3];
    } rows[] = {
        {"", {"user", "u", "password", "p"}, {"\"user\":\"u\"", "\"pass\":\"p\""}},
        {"", {"token", "t"}, {"\"auth_token\":\"t\""}},
        {"v:q@", {NULL}, {"\"user\":\"v\"", "\"pass\":\"q\""}},
        {"v:q@", {"user", "u", "password", "p"}, {"\"user\":\"u\"", "\"pass\":\"p\""}},
        {"v:q@", {"token", "t"}, {"\"auth_token\":\"t\""}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(memory_free) char *line = sent_to_connect(rows[i].user, rows[i].pairs);
        for (const char *const *sent = rows[i].sent; *sent != NULL; sent++)
            if (strstr(line, *sent) == NULL)
                fail_msg("row %zu: no %s in %s", i, *sent, line);
    }
}

static void a_late_reply_is_not_taken_for_that_of_another_request(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(
        &world,
        SCRIPT({OF("late"), INFO("7"), .is_late = true, .times = 1}, {OF("late"), INFO("8")}),
        PAIRS("late"));
    nats_world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "");
    test_feed_again(world.feed);
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 8);
    nats_world_stop(&world);
}

static void a_server_that_does_not_reply_is_a_lost_connection(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({OF("a"), NULL, .is_deaf = true}), PAIRS("a", "b"));
    int64_t start_ms = clock_now_ms();
    nats_world_run(&world);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "no answer in time"));
    assert_non_null(strstr(error_text(&world.error), world.peer.address));
    assert_in_range(clock_now_ms() - start_ms, TIMEOUT_MS, 10 * TIMEOUT_MS);
    nats_world_stop(&world);
}

/* The engine connects again: it notifies whoever was subscribed. */
static void a_connection_that_is_closed_is_not_made_again_behind_the_engine(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({OF("a"), INFO("1")}), PAIRS("a"));
    test_feed_set_timeout(world.feed, LONG_MS);
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 1);
    shutdown(world.peer.sockets[0], SHUT_RDWR);
    test_feed_again(world.feed);
    nats_world_run(&world);
    assert_false(world.usable);
    assert_int_equal(world.peer.connections, 1);
    nats_world_stop(&world);
}

static size_t count_pings(struct nats_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t pings = peer->pings;
    pthread_mutex_unlock(&peer->lock);
    return pings;
}

/* Or subscribers learn only minutes later that their server has gone. nats.c has a clock of its own
 * for this. */
static void a_connection_without_requests_is_pinged(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT({OF("a"), INFO("1")}), PAIRS("a"));
    size_t before = count_pings(&world.peer);
    for (int i = 0; i < LONG_MS && count_pings(&world.peer) == before; i++)
        usleep(1000);
    assert_true(count_pings(&world.peer) > before);
    nats_world_stop(&world);
}

/* As a hostile server delivers them; those of a real one begin with the inbox. */
static void a_message_on_another_subject_is_no_reply(void **state)
{
    static const struct {
        const char *subject;
        uint64_t number;
    } rows[] = {{"_INBOX.abcdefgh.7", 7}, {"_INBOX.abcdefgh.7x", 0}, {"_INBOX.abcdefgh", 0},
                {"_INBOX.abcdefgh7", 0},  {"_INBOX.abcdefgx.7", 0},  {"x", 0}};
    (void)state;
    struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        natsMsg *message = NULL;
        assert_int_equal(natsMsg_Create(&message, rows[i].subject, NULL, NULL, 0), NATS_OK);
        assert_int_equal(nats_client_connection_number(&connection, message), rows[i].number);
        natsMsg_Destroy(message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_is_not_replied_to_times_out_alone),
        cmocka_unit_test(a_paused_consumer_is_noted_with_its_reading),
        cmocka_unit_test(no_responders_and_refusals_end_their_own_request_at_once),
        cmocka_unit_test(a_missing_right_to_a_long_name_ends_its_request_at_once),
        cmocka_unit_test(each_of_many_refusals_ends_its_own_request),
        cmocka_unit_test(requests_in_flight_are_few),
        cmocka_unit_test(measuring_ends_where_nothing_is_in_flight),
        cmocka_unit_test(more_requests_than_may_be_in_flight_are_all_replied_to),
        cmocka_unit_test(without_responders_the_key_that_may_be_wrong_is_named),
        cmocka_unit_test(errors_behind_that_which_closes_the_connection_are_ignored),
        cmocka_unit_test(a_server_without_tls_is_refused_where_tls_is_required),
        cmocka_unit_test(the_credentials_are_sent_to_the_server),
        cmocka_unit_test(a_late_reply_is_not_taken_for_that_of_another_request),
        cmocka_unit_test(a_server_that_does_not_reply_is_a_lost_connection),
        cmocka_unit_test(a_connection_that_is_closed_is_not_made_again_behind_the_engine),
        cmocka_unit_test(a_connection_without_requests_is_pinged),
        cmocka_unit_test(a_message_on_another_subject_is_no_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
