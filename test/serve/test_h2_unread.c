/* Clients of the nghttp2 transport that do not take their answers, or send a part of a message:
 * what they hold, and what is left to others. */
#include "base/memory.h"
#include "serve/h2_fixture.h"

#include <signal.h>
#include <string.h>

/* Whose answers' messages cannot leave. */
static void init_without_window(struct h2_client *client, const struct fixture *fixture)
{
    const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    h2_client_init(client, fixture->server->port);
    nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, &none, 1);
}

static void restart_with_20_calls(struct fixture *fixture, size_t max_streams)
{
    const char *const limits[] = {"calls=20"};
    restart(fixture, &(struct server_options){.max_streams = max_streams,
                                              .limits = limits,
                                              .limit_count = ARRAY_LENGTH(limits)});
}

/* All that it has sent is handled; a status alone needs no window. */
static void assert_reached(struct h2_client *client)
{
    struct h2_stream behind = {.body = (const uint8_t *)""};
    h2_client_open(client, &behind, "/test/Many", NULL);
    h2_client_finish(client, &behind);
    assert_string_equal(behind.grpc_status, "0");
}

/* There are places for both kinds. */
static void a_stream_that_is_over_takes_a_place_until_its_client_has_taken_the_answer(void **state)
{
    enum { CALLS = 20, OF_A_CLIENT = CALLS / 2, KINDS = 2, OVER = 6 };
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream streams[OVER];
    struct h2_stream calls[CALLS];
    struct h2_stream next[2];
    restart_with_20_calls(fixture, OVER / KINDS);
    init_without_window(&client, fixture);
    open_calls(fixture, &client, streams, OVER, "/test/Left", 0);
    assert_reached(&client);
    for (size_t i = 0; i < ARRAY_LENGTH(next); i++) {
        next[i] = (struct h2_stream){.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
        h2_client_open(&client, &next[i], "/test/Left", NULL);
        h2_client_flush(&client);
        nghttp2_submit_window_update(client.session, NGHTTP2_FLAG_NONE, next[i].id, 5);
        h2_client_finish(&client, &next[i]);
        assert_string_equal(next[i].grpc_status, i == 0 ? "8" : "0");
        nghttp2_submit_window_update(client.session, NGHTTP2_FLAG_NONE, streams[0].id, 5);
        assert_reached(&client);
    }
    open_calls(fixture, &client, calls, CALLS, "/test/Unread", CALLS - OF_A_CLIENT);
    h2_client_done(&client);
}

/* They would take memory until all places of streams are taken. */
static void an_address_has_as_many_streams_that_are_over_as_calls(void **state)
{
    enum { OF_AN_ADDRESS = 10 };
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_client other;
    struct h2_stream streams[OF_AN_ADDRESS];
    struct h2_stream next = {.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    restart_with_20_calls(fixture, 50);
    init_without_window(&client, fixture);
    open_calls(fixture, &client, streams, OF_AN_ADDRESS, "/test/Left", 0);
    assert_reached(&client);
    h2_client_open(&client, &next, "/test/Left", NULL);
    h2_client_finish(&client, &next);
    assert_string_equal(next.grpc_status, "8");

    h2_client_init_elsewhere(&other, fixture->server->port);
    next = (struct h2_stream){.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    h2_client_open(&other, &next, "/test/Left", NULL);
    h2_client_finish(&other, &next);
    assert_string_equal(next.grpc_status, "0");
    h2_client_done(&other);
    h2_client_done(&client);
}

/* Their deadlines pass while their messages are unsent. */
static void streams_that_are_over_and_not_read_take_no_place_of_calls(void **state)
{
    enum { CALLS = 20, STREAMS = 25, TOGETHER = 5 };
    static const char *const soon[] = {"grpc-timeout", "500m", NULL};
    struct fixture *fixture = *state;
    struct h2_client greedy;
    struct h2_client client;
    struct h2_stream streams[STREAMS];
    struct h2_stream last = {.body = (const uint8_t *)"", .stays_open = true};
    restart_with_20_calls(fixture, 50);
    init_without_window(&greedy, fixture);
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i] = (struct h2_stream){.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
        h2_client_open(&greedy, &streams[i], "/test/First", soon);
        if (i % TOGETHER == TOGETHER - 1)
            assert_reached(&greedy);
    }
    h2_client_open(&greedy, &last, "/test/Unread", soon);
    h2_client_finish(&greedy, &last);
    assert_string_equal(last.grpc_status, "4");
    for (size_t i = 0; i < STREAMS; i++)
        assert_false(streams[i].is_closed);

    h2_client_init_elsewhere(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    h2_client_done(&client);
    h2_client_done(&greedy);
}

static bool is_begun(const void *stream)
{
    return ((const struct h2_stream *)stream)->http_status[0] != '\0';
}

/* The first calls one by one: a message that waits for its turn counts beside its answer, so that
 * of calls that come together it is not always the first ones that have room. */
static void answers_that_are_not_read_count_as_held_and_leave_half_to_others(void **state)
{
    enum { BYTES = 1000, CALLS = 30, HALF = 5 };
    static const uint8_t message[5 + BYTES] = {0, 0, 0, BYTES >> 8, BYTES & 255};
    struct fixture *fixture = *state;
    struct h2_client greedy;
    struct h2_client client;
    struct h2_stream streams[CALLS];
    struct h2_stream other = {.body = message, .body_length = sizeof(message)};
    const char *const limits[] = {"held-bytes=11000"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    init_without_window(&greedy, fixture);
    for (size_t i = 0; i < CALLS; i++) {
        streams[i] = (struct h2_stream){.body = message, .body_length = sizeof(message)};
        h2_client_open(&greedy, &streams[i], "/test/Echo", NULL);
        if (i < HALF)
            assert_true(h2_client_run(&greedy, is_begun, &streams[i]));
    }
    for (size_t i = HALF; i < CALLS; i++) {
        h2_client_finish(&greedy, &streams[i]);
        assert_string_equal(streams[i].grpc_status, "8");
    }
    assert_int_equal(hits(fixture, "held-bytes"), CALLS - HALF);

    h2_client_init_elsewhere(&client, fixture->server->port);
    h2_client_open(&client, &other, "/test/Echo", NULL);
    h2_client_finish(&client, &other);
    assert_string_equal(other.grpc_status, "0");
    h2_client_done(&client);
    for (size_t i = 0; i < HALF; i++) /* what is read is free again */
        nghttp2_submit_window_update(greedy.session, NGHTTP2_FLAG_NONE, streams[i].id, 2 * BYTES);
    for (size_t i = 0; i < HALF; i++) {
        h2_client_finish(&greedy, &streams[i]);
        assert_string_equal(streams[i].grpc_status, "0");
    }
    h2_client_done(&greedy);
}

/* Of such there may be as many as calls and streams. */
static void small_answers_that_are_not_read_do_not_count_as_held(void **state)
{
    enum { BYTES = 200, CALLS = 30, HALF = 50 };
    static const uint8_t message[5 + BYTES] = {0, 0, 0, 0, BYTES};
    struct fixture *fixture = *state;
    struct h2_client greedy;
    struct h2_client client;
    struct h2_stream streams[CALLS];
    struct h2_stream in_pieces = {
        .body = message, .body_length = sizeof(message), .max_frame_bytes = HALF};
    const char *const limits[] = {"held-bytes=4096"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    init_without_window(&greedy, fixture);
    for (size_t i = 0; i < CALLS; i++) {
        streams[i] = (struct h2_stream){.body = message, .body_length = sizeof(message)};
        h2_client_open(&greedy, &streams[i], "/test/Echo", NULL);
        assert_true(h2_client_run(&greedy, is_begun, &streams[i]));
    }

    h2_client_init_elsewhere(&client, fixture->server->port);
    h2_client_open(&client, &in_pieces, "/test/Echo", NULL);
    h2_client_finish(&client, &in_pieces);
    assert_string_equal(in_pieces.grpc_status, "0");
    assert_int_equal(hits(fixture, "held-bytes"), 0);
    h2_client_done(&client);
    h2_client_done(&greedy);
}

/* Of those that end at once; what is read is free again. */
static void status_texts_that_are_not_read_count_as_held_and_leave_half_to_others(void **state)
{
    enum { HALF = 5 };
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream streams[REFUSED_TOGETHER];
    const char *const limits[] = {"held-bytes=11000"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init(&client, fixture->server->port);
    for (int round = 1; round <= 2; round++) {
        int with_text = 0;
        for (size_t i = 0; i < REFUSED_TOGETHER; i++) {
            streams[i] = (struct h2_stream){.body = (const uint8_t *)""};
            h2_client_open(&client, &streams[i], "/test/Refused", NULL);
        }
        for (size_t i = 0; i < REFUSED_TOGETHER; i++) {
            h2_client_finish(&client, &streams[i]);
            assert_string_equal(streams[i].grpc_status, "3");
            with_text += streams[i].grpc_message[0] != '\0';
        }
        assert_int_equal(with_text, HALF);
        assert_int_equal(hits(fixture, "held-bytes"), round * (REFUSED_TOGETHER - HALF));
    }
    h2_client_done(&client);
}

static void an_answer_that_is_not_taken_in_time_counts_as_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream = {.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    const char *const limits[] = {"call-ms=100"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    init_without_window(&client, fixture);
    h2_client_open(&client, &stream, "/test/Echo", NULL);
    h2_client_finish(&client, &stream);
    assert_int_equal(stream.code, NGHTTP2_CANCEL);
    assert_int_equal(fixture->ended_as[STATUS_OK], 0);
    assert_int_equal(fixture->ended_as[STATUS_CANCELLED], 1);
    h2_client_done(&client);
}

/* They are handled for a second, and a client has a tenth of that for its part. */
static void a_message_that_waits_for_its_turn_is_not_late(void **state)
{
    enum { CALLS = 500 };
    struct fixture *fixture = *state;
    struct h2_client client;
    static struct h2_stream streams[CALLS];
    const char *const limits[] = {"call-ms=100"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    for (size_t i = 0; i < CALLS; i++) {
        streams[i] = (struct h2_stream){.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
        h2_client_open(&client, &streams[i], "/test/Slow", NULL);
    }
    for (size_t i = 0; i < CALLS; i++) {
        h2_client_finish(&client, &streams[i]);
        assert_string_equal(streams[i].grpc_status, "0");
    }
    assert_int_equal(hits(fixture, "call-ms"), 0);
    h2_client_done(&client);
}

/* All that is to be sent of them, but of those that were closed before. */
struct sending {
    const struct h2_stream *streams;
    size_t count;
};

static bool are_sent(const void *what)
{
    const struct sending *sending = what;
    for (size_t i = 0; i < sending->count; i++)
        if (sending->streams[i].body_length > 0 && !sending->streams[i].is_closed)
            return false;
    return true;
}

/* The first pieces of messages, which are not whole. Returns how many of them were refused. */
static size_t begin_messages(struct h2_client *client, struct h2_stream *streams, size_t count,
                             const uint8_t *piece, size_t length)
{
    size_t refused = 0;
    for (size_t i = 0; i < count; i++) {
        streams[i] = (struct h2_stream){.body = piece, .body_length = length, .stays_open = true};
        h2_client_open(client, &streams[i], "/test/Echo", NULL);
    }
    assert_true(h2_client_run(client, are_sent, &(struct sending){streams, count}));
    assert_answered(client, NULL, "200", "0"); /* behind all of them */
    for (size_t i = 0; i < count; i++) {
        refused += streams[i].is_closed;
        if (streams[i].is_closed)
            assert_string_equal(streams[i].grpc_status, "8");
    }
    return refused;
}

/* A piece that is read in two goes has space for twice as much. */
static void first_pieces_of_messages_count_as_held_and_leave_half_to_others(void **state)
{
    enum { PIECE = 10000, PIECES = 40, HALF = 10 };
    static const uint8_t piece[PIECE] = {0, 0, 0, 60000 >> 8, 60000 & 255};
    static const uint8_t whole[1005] = {0, 0, 0, 1000 >> 8, 1000 & 255};
    struct fixture *fixture = *state;
    struct h2_client greedy;
    struct h2_client client;
    struct h2_stream streams[PIECES];
    const char *const limits[] = {"held-bytes=200000"};
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init_elsewhere(&greedy, fixture->server->port);
    size_t refused = begin_messages(&greedy, streams, PIECES, piece, PIECE);
    assert_in_range(refused, PIECES - HALF, PIECES - HALF / 2);
    assert_int_equal(hits(fixture, "held-bytes"), refused);

    struct h2_stream in_pieces = {
        .body = whole, .body_length = sizeof(whole), .max_frame_bytes = 100};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &in_pieces, "/test/Echo", NULL);
    h2_client_finish(&client, &in_pieces);
    assert_string_equal(in_pieces.grpc_status, "0");
    h2_client_done(&client);
    h2_client_done(&greedy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_that_is_over_takes_a_place_until_its_client_has_taken_the_answer),
        TEST(an_address_has_as_many_streams_that_are_over_as_calls),
        TEST(streams_that_are_over_and_not_read_take_no_place_of_calls),
        TEST(answers_that_are_not_read_count_as_held_and_leave_half_to_others),
        TEST(small_answers_that_are_not_read_do_not_count_as_held),
        TEST(status_texts_that_are_not_read_count_as_held_and_leave_half_to_others),
        TEST(an_answer_that_is_not_taken_in_time_counts_as_cancelled),
        TEST(a_message_that_waits_for_its_turn_is_not_late),
        TEST(first_pieces_of_messages_count_as_held_and_leave_half_to_others),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
