/* The limits of the nghttp2 transport: what those get who go too far, and how they are set. */
#include "base/memory.h"
#include "serve/h2_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void too_many_resets_close_the_connection_and_are_counted(void **state)
{
    enum { MORE_THAN_EVER = 100000 };
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream;
    h2_client_init(&client, fixture->server->port);
    for (size_t i = 0; i < MORE_THAN_EVER && client.goaways == 0; i++) {
        stream = (struct h2_stream){.body = (const uint8_t *)"", .stays_open = true};
        h2_client_open(&client, &stream, "/test/Unread", NULL);
        h2_client_flush(&client);
        nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
        if (i % 1000 == 0)
            h2_client_run_ms(&client, 1);
    }
    h2_client_await_end(&client);
    assert_int_equal(client.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(hits(fixture, "resets"), 1);
    h2_client_done(&client);
}

/* For each nghttp2 visits all streams, so that what was read behind the last one is not handled. */
static void too_many_goaways_or_settings_close_the_connection(void **state)
{
    enum { MORE = 2000, GOAWAY_BYTES = 17, SETTINGS_BYTES = 15 };
    static const uint8_t goaway[GOAWAY_BYTES] = {[2] = 8, [3] = NGHTTP2_GOAWAY};
    static const uint8_t window[SETTINGS_BYTES] = {
        [2] = 6, [3] = NGHTTP2_SETTINGS, [10] = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE};
    static const struct {
        const uint8_t *frame;
        size_t bytes, permitted;
        const char *limit;
    } rows[] = {{goaway, GOAWAY_BYTES, 2, "goaways"}, {window, SETTINGS_BYTES, 8, "settings"}};
    struct fixture *fixture = *state;
    for (size_t row = 0; row < ARRAY_LENGTH(rows); row++) {
        struct h2_client client;
        uint8_t frames[MORE * GOAWAY_BYTES];
        for (size_t i = 0; i < MORE; i++)
            memcpy(frames + i * rows[row].bytes, rows[row].frame, rows[row].bytes);
        struct h2_stream stream = {.body = (const uint8_t *)"", .stays_open = true};
        h2_client_init(&client, fixture->server->port);
        h2_client_open(&client, &stream, "/test/Unread", NULL);
        h2_client_flush(&client);
        ssize_t few = (ssize_t)(rows[row].permitted * rows[row].bytes);
        assert_int_equal(send(client.fd, frames, (size_t)few, MSG_NOSIGNAL), few);
        h2_client_run_ms(&client, 50);
        assert_int_equal(client.goaways, 0);
        assert_true(send(client.fd, frames, MORE * rows[row].bytes, MSG_NOSIGNAL) > 0);
        h2_client_await_end(&client);
        assert_int_equal(hits(fixture, rows[row].limit), 1);
        if (rows[row].frame == goaway) /* the client has no idea of these SETTINGS: it gives up */
            assert_int_equal(client.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
        h2_client_done(&client);
    }
}

static void headers_beyond_the_limit_are_refused_and_far_beyond_it_end_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    _cleanup_(memory_free) char *large = memory_new(80001);
    memset(large, 'x', 20000);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, (const char *[]){"padding", large, NULL}, "200", "8");
    assert_int_equal(hits(fixture, "header-bytes"), 1);
    assert_answered(&client, NULL, "200", "0");

    memset(large, 'x', 40000);
    struct h2_stream stream = {.body = (const uint8_t *)""};
    h2_client_open(&client, &stream, "/test/Echo",
                   (const char *[]){"padding", large, "more", large, NULL});
    h2_client_await_end(&client);
    assert_int_equal(hits(fixture, "header-bytes"), 2);
    h2_client_done(&client);
}

static void the_operator_sets_a_limit_by_its_name(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    const char *const limits[] = {"handshake-ms=60000", "path-bytes=9"};
    _Static_assert(sizeof("/test/Echo") - 1 > 9, "the path is longer");
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "12");
    assert_int_equal(hits(fixture, "path-bytes"), 1);
    h2_client_done(&client);
}

static void a_limit_that_is_none_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } wrong[] = {
        {"reset=5", "--help-limits lists them"},
        {"resets", "NAME=NUMBER"},
        {"", "NAME=NUMBER"},
        {"resets=0", "must be a whole number"},
        {"resets=many", "--client-limits: resets"},
        {"resets=9999999999", "must be a whole number"},
        {"connections=5", "--max-clients"},
        {"silence-ms=5", "--ping-interval"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct server *server = NULL;
        const struct server_options options = {.listen = "127.0.0.1:0",
                                               .max_message_bytes = MESSAGE_LIMIT,
                                               .ping_interval_ms = 30000,
                                               .limits = &wrong[i].text,
                                               .limit_count = 1};
        assert_false(
            server_start(&transport_nghttp2, &options, &fixture->service, &server, &error));
        assert_non_null(strstr(error_text(&error), wrong[i].words));
    }
}

static bool has_no_calls(const void *fixture)
{
    return ((const struct fixture *)fixture)->live == 0;
}

static void an_address_leaves_half_of_the_calls_to_others(void **state)
{
    enum { CALLS = 40 };
    struct fixture *fixture = *state;
    struct h2_client greedy;
    struct h2_client client;
    struct h2_stream streams[CALLS];
    struct h2_stream others[CALLS];
    const char *const limits[] = {"calls=40"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init_elsewhere(&greedy, fixture->server->port);
    open_calls(fixture, &greedy, streams, CALLS, "/test/Unread", CALLS / 2);
    assert_int_equal(hits(fixture, "calls"), CALLS / 2);
    assert_int_equal(fixture->ended_as[STATUS_UNAVAILABLE], CALLS / 2);

    h2_client_init(&client, fixture->server->port);
    open_calls(fixture, &client, others, CALLS / 2, "/test/Unread", CALLS / 4);
    h2_client_done(&client); /* and what each had is free again */
    h2_client_done(&greedy);
    h2_client_init(&client, fixture->server->port);
    assert_true(h2_client_run(&client, has_no_calls, fixture));
    open_calls(fixture, &client, streams, CALLS / 2, "/test/Unread", 0);
    h2_client_done(&client);
}

static void streams_that_stay_take_no_place_of_calls(void **state)
{
    enum { CALLS = 10, STREAMS = 5 * CALLS };
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream streams[STREAMS];
    struct h2_stream calls[CALLS];
    const char *const limits[] = {"calls=10"};
    restart(fixture, &(struct server_options){.max_streams = STREAMS,
                                              .limits = limits,
                                              .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init(&client, fixture->server->port);
    for (size_t i = 0; i < STREAMS; i += CALLS / 2) {
        open_calls(fixture, &client, &streams[i], CALLS / 2, "/test/Stay", 0);
        assert_answered(&client, NULL, "200", "0");
    }
    open_calls(fixture, &client, calls, CALLS, "/test/Unread", CALLS / 2);
    h2_client_done(&client);
}

/* By whoever calls in another way than by gRPC: each costs us work, and no message follows it. */
static void assert_too_many(struct h2_client *client, const char *const *headers, const char *http,
                            const char *grpc)
{
    enum { AT_ONCE = 100, MORE_THAN_EVER = 1000 };
    struct h2_stream streams[MORE_THAN_EVER];
    for (size_t i = 0; i < AT_ONCE; i++)
        assert_answered(client, headers, http, grpc);
    for (size_t i = 0; i < MORE_THAN_EVER; i++) {
        streams[i] = (struct h2_stream){.body = (const uint8_t *)""};
        h2_client_open(client, &streams[i], "/test/Echo", headers);
    }
    h2_client_await_end(client);
    assert_int_equal(client->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void too_many_refused_requests_close_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    h2_client_init(&client, fixture->server->port);
    assert_too_many(&client, (const char *[]){"grpc-timeout", "never", NULL}, "200", "3");
    assert_int_equal(hits(fixture, "refusals"), 1);
    assert_true(fixture->ended_as[STATUS_INVALID_ARGUMENT] < 150);
    h2_client_done(&client);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    h2_client_done(&client);
}

static void too_many_calls_beyond_the_limit_close_the_connection(void **state)
{
    enum { CALLS = 500 };
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream streams[CALLS];
    const char *const limits[] = {"calls=10"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init(&client, fixture->server->port);
    for (size_t i = 0; i < CALLS; i++) {
        streams[i] = (struct h2_stream){.body = (const uint8_t *)"", .stays_open = true};
        h2_client_open(&client, &streams[i], "/test/Unread", NULL);
    }
    h2_client_await_end(&client);
    assert_int_equal(client.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(hits(fixture, "refusals"), 1);
    assert_in_range(hits(fixture, "calls"), 100, 110);
    h2_client_done(&client);
}

/* Clients behind one NAT. */
static void a_connection_with_few_calls_of_its_address_is_crowded_out_and_stays(void **state)
{
    enum { CALLS = 40, MORE_THAN_EVER = 500 };
    struct fixture *fixture = *state;
    struct h2_client greedy;
    struct h2_client modest;
    struct h2_stream streams[CALLS];
    struct h2_stream few[1];
    struct h2_stream refused[1];
    const char *const limits[] = {"calls=40"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init(&modest, fixture->server->port);
    open_calls(fixture, &modest, few, 1, "/test/Unread", 0);
    h2_client_init(&greedy, fixture->server->port);
    open_calls(fixture, &greedy, streams, CALLS, "/test/Unread", CALLS / 2 + 1);
    for (size_t i = 0; i < MORE_THAN_EVER; i++)
        open_calls(fixture, &modest, refused, 1, "/test/Unread", 1);
    assert_int_equal(modest.goaways, 0);
    assert_int_equal(hits(fixture, "refusals"), 0);
    h2_client_done(&greedy);
    h2_client_done(&modest);
}

static void silent_connections_are_closed_for_a_new_one(void **state)
{
    enum { PLACES = 8 };
    struct fixture *fixture = *state;
    struct h2_client clients[PLACES];
    int silent[3 * PLACES];
    restart(fixture,
            &(struct server_options){.max_connections = PLACES, .max_peer_connections = 99});
    for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
        silent[i] = h2_connect(fixture->server->port);
    for (size_t i = 0; i < PLACES; i++) {
        h2_client_init(&clients[i], fixture->server->port);
        assert_answered(&clients[i], NULL, "200", "0");
    }
    assert_true(hits(fixture, "connections") >= ARRAY_LENGTH(silent));

    struct h2_client late; /* all places are taken by clients that speak */
    h2_client_init(&late, fixture->server->port);
    h2_client_run_ms(&late, 100);
    h2_client_await_end(&late);
    for (size_t i = 0; i < PLACES; i++) {
        assert_answered(&clients[i], NULL, "200", "0");
        h2_client_done(&clients[i]);
    }
    h2_client_done(&late);
    for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
        close(silent[i]);
}

/* It has all places, and a newcomer's address none, and then one. */
static void the_greediest_address_leaves_places_to_others(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client greedy[3];
    struct h2_client clients[3];
    restart(fixture, &(struct server_options){.max_connections = ARRAY_LENGTH(greedy),
                                              .max_peer_connections = 99});
    for (size_t i = 0; i < ARRAY_LENGTH(greedy); i++) {
        h2_client_init_elsewhere(&greedy[i], fixture->server->port);
        assert_answered(&greedy[i], NULL, "200", "0");
    }
    struct h2_stream held[1];
    open_calls(fixture, &greedy[0], held, 1, "/test/Unread", 0);

    h2_client_init(&clients[0], fixture->server->port);
    assert_answered(&clients[0], NULL, "200", "0");
    h2_client_await_end(&greedy[1]); /* the oldest without a call */
    h2_client_init(&clients[1], fixture->server->port);
    h2_client_await_end(&clients[1]); /* it would have two, and the other one */
    assert_answered(&greedy[0], NULL, "200", "0");
    assert_answered(&greedy[2], NULL, "200", "0");
    for (size_t i = 0; i < 2; i++)
        h2_client_done(&clients[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(greedy); i++)
        h2_client_done(&greedy[i]);
}

static bool has_begun(const void *what)
{
    const struct fixture *fixture = what;
    return fixture->live > 0;
}

static void calls_that_cost_much_hold_up_no_other_address(void **state)
{
    enum { CALLS = 200 };
    struct fixture *fixture = *state;
    struct h2_client greedy;
    struct h2_client client;
    struct h2_stream streams[CALLS];
    h2_client_init_elsewhere(&greedy, fixture->server->port);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    for (size_t i = 0; i < CALLS; i++) {
        streams[i] = (struct h2_stream){.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
        h2_client_open(&greedy, &streams[i], "/test/Slow", NULL);
    }
    assert_true(h2_client_run(&greedy, has_begun, fixture));
    assert_answered(&client, NULL, "200", "0");
    assert_in_range(fixture->ended_as[STATUS_OK], 2, CALLS / 4);
    for (size_t i = 0; i < CALLS; i++) /* and each has its turn */
        h2_client_finish(&greedy, &streams[i]);
    assert_int_equal(fixture->ended_as[STATUS_OK], 2 + CALLS);
    h2_client_done(&client);
    h2_client_done(&greedy);
}

static void without_descriptors_it_refuses_and_serves_again_when_some_are_free(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct rlimit before;
    int taken[256] = {0};
    size_t count = 0;
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    int waiting = socket(AF_INET, SOCK_STREAM, 0);

    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){128, before.rlim_max});
    while (count < ARRAY_LENGTH(taken) && (taken[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    assert_true(count > 0);
    close(taken[--count]);
    struct h2_client refused;
    h2_client_init(&refused, fixture->server->port); /* takes the last one */
    h2_client_await_end(&refused);
    assert_int_equal(hits(fixture, "descriptors"), 1);
    assert_answered(&client, NULL, "200", "0");

    while (count > 0)
        close(taken[--count]);
    setrlimit(RLIMIT_NOFILE, &before);
    h2_client_done(&refused);
    h2_client_done(&client);
    close(waiting);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    h2_client_done(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(too_many_resets_close_the_connection_and_are_counted),
        TEST(too_many_goaways_or_settings_close_the_connection),
        TEST(headers_beyond_the_limit_are_refused_and_far_beyond_it_end_the_connection),
        TEST(the_operator_sets_a_limit_by_its_name),
        TEST(a_limit_that_is_none_is_refused),
        TEST(an_address_leaves_half_of_the_calls_to_others),
        TEST(too_many_refused_requests_close_the_connection),
        TEST(too_many_calls_beyond_the_limit_close_the_connection),
        TEST(a_connection_with_few_calls_of_its_address_is_crowded_out_and_stays),
        TEST(streams_that_stay_take_no_place_of_calls),
        TEST(silent_connections_are_closed_for_a_new_one),
        TEST(the_greediest_address_leaves_places_to_others),
        TEST(calls_that_cost_much_hold_up_no_other_address),
        TEST(without_descriptors_it_refuses_and_serves_again_when_some_are_free),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
