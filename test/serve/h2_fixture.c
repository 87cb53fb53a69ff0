#include "serve/h2_fixture.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_LIMITS = 64 };

static void on_begin(void *context, struct call *call)
{
    struct fixture *fixture = context;
    fixture->live++;
    if (!text_equal(call->path, "/test/Unread"))
        call_read(call);
}

static void on_message(void *context, struct call *call, struct bytes message)
{
    (void)context;
    bool is_left = text_equal(call->path, "/test/Left");
    bool is_first = text_equal(call->path, "/test/First");
    bool stays = is_left || is_first || text_equal(call->path, "/test/Stay");
    if (stays && !call_exclude_from_limit(call)) {
        call_finish(call, STATUS_RESOURCE_EXHAUSTED, NULL);
        return;
    }
    bool is_slow = text_equal(call->path, "/test/Slow");
    if (is_slow)
        usleep(2000);
    if (is_first || text_equal(call->path, "/test/Talk"))
        call_send(call, message);
    else if (is_left || is_slow || text_equal(call->path, "/test/Echo")) {
        call_send(call, message);
        call_finish(call, STATUS_OK, NULL);
    } else if (text_equal(call->path, "/test/Many")) {
        call->context = (char *)call->context + message.length;
        call_read(call);
    }
}

/* All at once, so that nothing leaves in between. */
static void refuse_all(struct fixture *fixture)
{
    char why[1100 + 1] = "";
    memset(why, 'x', sizeof(why) - 1);
    while (fixture->waiting_count > 0)
        call_finish(fixture->waiting[--fixture->waiting_count], STATUS_INVALID_ARGUMENT, why);
}

static void on_half_closed(void *context, struct call *call)
{
    struct fixture *fixture = context;
    if (text_equal(call->path, "/test/Talk")) {
        call_finish(call, STATUS_OK, NULL);
        return;
    }
    if (text_equal(call->path, "/test/Refused")) {
        fixture->waiting[fixture->waiting_count++] = call;
        if (fixture->waiting_count == REFUSED_TOGETHER)
            refuse_all(fixture);
        return;
    }
    _cleanup_(memory_free) char *sum = text_format("%zu bytes", (size_t)call->context);
    call_finish(call, STATUS_OK, sum);
}

static void on_writable(void *context, struct call *call)
{
    (void)context;
    if (text_equal(call->path, "/test/Talk"))
        call_read(call);
}

static void on_ended(void *context, struct call *call, enum status status)
{
    (void)call;
    struct fixture *fixture = context;
    fixture->ended_as[status]++;
    fixture->live--;
}

static void on_refused(void *context, const char *path, enum status status)
{
    (void)path;
    ((struct fixture *)context)->ended_as[status]++;
}

static int64_t on_turn(void *context, int64_t now_ms)
{
    (void)context;
    (void)now_ms;
    return CLOCK_NEVER;
}

static void on_drain(void *context)
{
    (void)context;
}

static void on_retire(void *context, struct call *call)
{
    (void)context;
    if (text_equal(call->path, "/test/Hold"))
        call_finish(call, STATUS_OK, NULL);
}

static void start(struct fixture *fixture, const struct server_options *more)
{
    struct error error = {0};
    struct server_options options = *more;
    options.listen = "127.0.0.1:0";
    options.max_message_bytes = MESSAGE_LIMIT;
    options.ping_interval_ms = 30000;
    *fixture = (struct fixture){.service = {.context = fixture,
                                            .begin = on_begin,
                                            .message = on_message,
                                            .half_closed = on_half_closed,
                                            .writable = on_writable,
                                            .ended = on_ended,
                                            .refused = on_refused,
                                            .turn = on_turn,
                                            .drain = on_drain,
                                            .retire = on_retire}};
    assert_true(
        server_start(&transport_nghttp2, &options, &fixture->service, &fixture->server, &error));
}

int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    start(fixture, &(struct server_options){0});
    *state = fixture;
    return 0;
}

void restart(struct fixture *fixture, const struct server_options *options)
{
    server_free(fixture->server);
    start(fixture, options);
}

int tear_down(void **state)
{
    struct fixture *fixture = *state;
    server_free(fixture->server);
    assert_int_equal(fixture->live, 0);
    free(fixture);
    return 0;
}

uint64_t hits(const struct fixture *fixture, const char *name)
{
    struct limit_hits limits[MAX_LIMITS];
    size_t count = server_limit_hits(fixture->server, limits, ARRAY_LENGTH(limits));
    for (size_t i = 0; i < count; i++)
        if (text_equal(limits[i].name, name))
            return limits[i].hits;
    fail_msg("there is no limit %s", name);
    return 0;
}

char *talk(const struct fixture *fixture, const void *bytes, size_t length)
{
    struct text received = {0};
    char buffer[4096];
    ssize_t got;
    int fd = h2_connect(fixture->server->port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 10},
               sizeof(struct timeval));
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
    while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        text_add_bytes(&received, buffer, (size_t)got);
    assert_int_equal(got, 0);
    close(fd);
    return text_take(&received);
}

void assert_answered(struct h2_client *client, const char *const *headers, const char *http,
                     const char *grpc)
{
    struct h2_stream stream = {.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    h2_client_open(client, &stream, "/test/Echo", headers);
    h2_client_finish(client, &stream);
    assert_string_equal(stream.http_status, http);
    assert_string_equal(stream.grpc_status, grpc);
}

/* What open_calls() waits for. */
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

void open_calls(const struct fixture *fixture, struct h2_client *client, struct h2_stream *streams,
                size_t count, const char *path, size_t refused)
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
