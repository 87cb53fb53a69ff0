#include "web/http.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void write_greeting(void *context, const struct web_request *request,
                           struct web_answer *answer)
{
    const char *name = web_parameter(request, "name");
    text_addf(&answer->body, "%s %s", (const char *)context, name == NULL ? "nobody" : name);
}

static void write_segments(void *context, const struct web_request *request,
                           struct web_answer *answer)
{
    (void)context;
    answer->type = "application/json";
    for (size_t i = 0; i < request->below_count; i++)
        text_addf(&answer->body, "<%s>", request->below[i]);
}

static void write_much(void *context, const struct web_request *request, struct web_answer *answer)
{
    (void)context;
    (void)request;
    for (int i = 0; i < 100000; i++)
        text_add(&answer->body, "0123456789");
}

static void *open_nothing(void *context)
{
    return context;
}

static void close_nothing(void *context, void *reader)
{
    (void)context;
    (void)reader;
}

static int64_t tick_rarely(void *context)
{
    (void)context;
    return 1000;
}

static bool write_nothing(void *context, void *reader, struct text *piece)
{
    (void)context;
    (void)reader;
    (void)piece;
    return false;
}

static const struct stream_hooks silent_stream = {
    .opened = open_nothing, .closed = close_nothing, .tick = tick_rarely, .write = write_nothing};

static const struct web_page pages[] = {
    {"/stream", .stream = &silent_stream},
    {"/greeting", write_greeting, (char[]){"hello"}},
    {"/things/", write_segments, NULL},
    {"/much", write_much, NULL},
    {0},
};

static int setup(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    signal(SIGPIPE, SIG_IGN);
    return web_start("127.0.0.1:0", pages, (struct web **)state, &error) ? 0 : -1;
}

static int teardown(void **state)
{
    web_stop(*state);
    return 0;
}

static int connect_to(const struct web *web)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)web_port(web)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* All that is answered until the connection ends. */
static void finish(int fd, struct text *answer)
{
    char buffer[65536];
    ssize_t length;
    while ((length = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        text_add_bytes(answer, buffer, (size_t)length);
    close(fd);
}

static char *fetch(const struct web *web, const char *request)
{
    struct text answer = {0};
    int fd = connect_to(web);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    finish(fd, &answer);
    return text_take(&answer);
}

static void assert_answer(void **state, const char *request, const char *begin, const char *end)
{
    _cleanup_(memory_free) char *answer = fetch(*state, request);
    if (!text_starts_with(answer, begin) || !text_ends_with(answer, end))
        fail_msg("the answer to %s is:\n%s", request, answer);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: here\r\n\r\n"

static void a_page_is_written_by_its_function(void **state)
{
    assert_answer(state, GET("/greeting"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
    assert_answer(state, GET("/greeting?name=J%C3%BCrgen%20K"), "HTTP/1.1 200 ",
                  "\r\n\r\nhello J\xc3\xbcrgen K");
}

static void the_segments_below_a_page_are_decoded(void **state)
{
    assert_answer(state, GET("/things/shop/a%2Fb"), "HTTP/1.1 200 ", "\r\n\r\n<shop><a/b>");
    assert_answer(state, GET("/things/"), "HTTP/1.1 200 ", "\r\n\r\n");
    assert_answer(state, GET("/things//"), "HTTP/1.1 404 ", "\n");
    assert_answer(state, GET("/things/1/2/3/4/5"), "HTTP/1.1 404 ", "\n");
}

static void unknown_paths_are_not_found(void **state)
{
    assert_answer(state, GET("/"), "HTTP/1.1 404 ", "page not found\n");
    assert_answer(state, GET("/greeting/more"), "HTTP/1.1 404 ", "page not found\n");
}

static void a_head_has_the_length_and_no_body(void **state)
{
    _cleanup_(memory_free) char *answer =
        fetch(*state, "HEAD /greeting HTTP/1.1\r\nHost: here\r\n\r\n");
    assert_non_null(strstr(answer, "Content-Length: 12\r\n"));
    assert_true(text_ends_with(answer, "\r\n\r\n"));
}

static void a_head_of_a_stream_is_answered_and_opens_none(void **state)
{
    _cleanup_(memory_free) char *answer =
        fetch(*state, "HEAD /stream HTTP/1.1\r\nHost: here\r\n\r\n");
    assert_true(text_starts_with(answer, "HTTP/1.1 200 "));
    assert_non_null(strstr(answer, "Content-Type: text/event-stream"));
    assert_true(text_ends_with(answer, "\r\n\r\n"));
}

static void nothing_can_be_changed(void **state)
{
    assert_answer(state, "DELETE /greeting HTTP/1.1\r\nHost: here\r\n\r\n", "HTTP/1.1 405 ",
                  "method not allowed: only GET and HEAD\n");
    assert_answer(state, "POST /greeting HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n12345",
                  "HTTP/1.1 413 ", "");
}

static void bytes_that_are_not_http_end_the_connection(void **state)
{
    _cleanup_(memory_free) char *answer = fetch(*state, "\x16\x03\x01 what?\r\n\r\n");
    assert_true(answer[0] == '\0' || text_starts_with(answer, "HTTP/1.1 400 "));
    assert_answer(state, GET("/greeting"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
}

static void endless_headers_are_refused(void **state)
{
    _cleanup_(text_done) struct text request = {0};
    text_add(&request, "GET /greeting HTTP/1.1\r\nHost: here\r\n");
    for (int i = 0; i < 1000; i++)
        text_addf(&request, "X-Header-%d: something that nobody reads\r\n", i);
    text_add(&request, "\r\n");

    struct text answer = {0};
    int fd = connect_to(*state);
    send(fd, request.bytes, request.length, MSG_NOSIGNAL);
    finish(fd, &answer);
    assert_true(answer.length == 0 || !text_starts_with(answer.bytes, "HTTP/1.1 200 "));
    text_done(&answer);
}

static void a_large_page_arrives_whole(void **state)
{
    _cleanup_(memory_free) char *answer = fetch(*state, GET("/much"));
    assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), 1000000);
}

/* Many more than there are places for: the oldest give way, long before their time is over. */
static void silent_clients_do_not_block_others(void **state)
{
    int clients[300];
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        clients[i] = connect_to(*state);
    int64_t began_ms = clock_now_ms();
    assert_answer(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    assert_true(clock_now_ms() - began_ms < 4500);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        close(clients[i]);
}

static void clients_that_do_not_read_do_not_block_others(void **state)
{
    int clients[100];
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++) {
        clients[i] = connect_to(*state);
        assert_true(send(clients[i], GET("/much"), strlen(GET("/much")), MSG_NOSIGNAL) > 0);
    }
    int64_t began_ms = clock_now_ms();
    assert_answer(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    assert_true(clock_now_ms() - began_ms < 4500);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        close(clients[i]);
}

/* A reader's connection stays open for days: what it sends must not be kept. */
static void what_a_reader_of_a_stream_sends_stays_in_the_kernel(void **state)
{
    enum { PIECE = 1 << 20, MUCH = 128 << 20 };
    static const char piece[PIECE];
    const struct timeval wait = {2, 0};
    char status[12];
    size_t sent = 0;
    int fd = connect_to(*state);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)), 0);
    assert_true(send(fd, GET("/stream"), strlen(GET("/stream")), MSG_NOSIGNAL) > 0);
    assert_int_equal(recv(fd, status, sizeof(status), MSG_WAITALL), sizeof(status));
    assert_memory_equal(status, "HTTP/1.1 200", sizeof(status));
    for (ssize_t taken; sent < MUCH && (taken = send(fd, piece, PIECE, MSG_NOSIGNAL)) > 0;)
        sent += (size_t)taken;
    assert_true(sent < MUCH);
    assert_answer(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    close(fd);
}

static void it_stops_with_clients_connected(void **state)
{
    struct web *web = *state;
    int silent = connect_to(web);
    int late = connect_to(web);
    assert_true(send(late, GET("/much"), strlen(GET("/much")), MSG_NOSIGNAL) > 0);
    assert_answer(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    web_stop(web);
    *state = NULL;
    close(silent);
    close(late);
}

static void a_taken_port_is_an_error(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *listen = text_format("127.0.0.1:%d", web_port(*state));
    struct web *second = NULL;
    assert_false(web_start(listen, pages, &second, &error));
    assert_non_null(strstr(error_text(&error), "Address already in use"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_written_by_its_function),
        TEST(the_segments_below_a_page_are_decoded),
        TEST(unknown_paths_are_not_found),
        TEST(a_head_has_the_length_and_no_body),
        TEST(a_head_of_a_stream_is_answered_and_opens_none),
        TEST(nothing_can_be_changed),
        TEST(bytes_that_are_not_http_end_the_connection),
        TEST(endless_headers_are_refused),
        TEST(a_large_page_arrives_whole),
        TEST(silent_clients_do_not_block_others),
        TEST(clients_that_do_not_read_do_not_block_others),
        TEST(what_a_reader_of_a_stream_sends_stays_in_the_kernel),
        TEST(it_stops_with_clients_connected),
        TEST(a_taken_port_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
