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

/* Calls that do not end, and how many of them are expected to be refused. */
struct opening {
    const struct fixture *fixture;
    const struct h2_stream *streams;
    size_t count;
    size_t live; /* before */
    size_t refused;
};

static bool is_as_expected(const void *what)
{
    const struct opening *opening = what;
    size_t refused = 0;
    for (size_t i = 0; i < opening->count; i++)
        refused += opening->streams[i].is_closed;
    return refused == opening->refused &&
           opening->fixture->live == opening->live + opening->count - refused;
}

static void open_calls(const struct fixture *fixture, struct h2_client *client,
                       struct h2_stream *streams, size_t count, const char *path, size_t refused)
{
    const struct opening opening = {fixture, streams, count, fixture->live, refused};
    for (size_t i = 0; i < count; i++) {
        streams[i] = (struct h2_stream){
            .body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5, .stays_open = true};
        h2_client_open(client, &streams[i], path, NULL);
    }
    assert_true(h2_client_run(client, is_as_expected, &opening));
    for (size_t i = 0; i < count; i++)
        if (streams[i].is_closed)
            assert_int_equal(streams[i].code, NGHTTP2_REFUSED_STREAM);
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

/* Whose answers' messages cannot leave. */
static void init_without_window(struct h2_client *client, const struct fixture *fixture)
{
    const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    h2_client_init(client, fixture->server->port);
    nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, &none, 1);
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
    const char *const limits[] = {"calls=20"};
    restart(fixture, &(struct server_options){.max_streams = OVER / KINDS,
                                              .limits = limits,
                                              .limit_count = ARRAY_LENGTH(limits)});
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
    const char *const limits[] = {"calls=20"};
    restart(fixture, &(struct server_options){
                         .max_streams = 50, .limits = limits, .limit_count = ARRAY_LENGTH(limits)});
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
    const char *const limits[] = {"calls=20"};
    restart(fixture, &(struct server_options){
                         .max_streams = 50, .limits = limits, .limit_count = ARRAY_LENGTH(limits)});
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
        TEST(a_stream_that_is_over_takes_a_place_until_its_client_has_taken_the_answer),
        TEST(an_address_has_as_many_streams_that_are_over_as_calls),
        TEST(streams_that_are_over_and_not_read_take_no_place_of_calls),
        TEST(answers_that_are_not_read_count_as_held_and_leave_half_to_others),
        TEST(small_answers_that_are_not_read_do_not_count_as_held),
        TEST(status_texts_that_are_not_read_count_as_held_and_leave_half_to_others),
        TEST(an_answer_that_is_not_taken_in_time_counts_as_cancelled),
        TEST(a_message_that_waits_for_its_turn_is_not_late),
        TEST(first_pieces_of_messages_count_as_held_and_leave_half_to_others),
        TEST(silent_connections_are_closed_for_a_new_one),
        TEST(the_greediest_address_leaves_places_to_others),
        TEST(calls_that_cost_much_hold_up_no_other_address),
        TEST(without_descriptors_it_refuses_and_serves_again_when_some_are_free),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
