#include "web/web.h"

#include "base/clock.h"
#include "base/memory.h"
#include "web/http/page.h"
#include "web/http/web_instance.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void write_greeting(void *context, const struct page_request *request,
                           struct page_response *response)
{
    const char *name = page_request_parameter(request, "name");
    text_addf(&response->body, "%s %s", (const char *)context, name == NULL ? "nobody" : name);
}

static void write_segments(void *context, const struct page_request *request,
                           struct page_response *response)
{
    (void)context;
    response->type = page_response_type_json;
    for (size_t i = 0; i < request->below_count; i++)
        text_addf(&response->body, "<%s>", request->below[i]);
}

static void write_much(void *context, const struct page_request *request,
                       struct page_response *response)
{
    (void)context;
    (void)request;
    for (int i = 0; i < 1000; i++)
        text_addf(&response->body, "%01000d", i);
}

/* Of so many MiB. Two of 5 of one address are all that this one may have unread. */
static void write_mebibytes(void *context, const struct page_request *request,
                            struct page_response *response)
{
    (void)request;
    size_t count = (size_t)*(const int *)context << 20;
    _cleanup_(memory_free) char *bytes = memory_new(count);
    memset(bytes, 'x', count);
    text_add_bytes(&response->body, bytes, count);
}

static sem_t is_writing, may_go_on;

/* More than libevent writes at once. */
enum { LATE_BYTES = 256 << 10 };

static void write_late(void *context, const struct page_request *request,
                       struct page_response *response)
{
    (void)request;
    sem_post(&is_writing);
    sem_wait(&may_go_on);
    if (context != NULL)
        text_addf(&response->body, "%0*d", *(const int *)context, 0);
}

static atomic_int written;

static void write_written(void *context, const struct page_request *request,
                          struct page_response *response)
{
    (void)request;
    (void)response;
    (*(atomic_int *)context)++;
}

static atomic_int silent_readers;

static void *open_silent(void *context)
{
    silent_readers++;
    return context;
}

static void close_silent(void *context, void *reader)
{
    (void)context;
    (void)reader;
    silent_readers--;
}

static int64_t update_rarely(void *context)
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

static void forget_nothing(void *context)
{
    (void)context;
}

static const struct web_stream_hooks silent_stream = {.opened = open_silent,
                                                      .closed = close_silent,
                                                      .update = update_rarely,
                                                      .write = write_nothing,
                                                      .forget = forget_nothing};

/* Each reader is sent how many updates there were, where that is new to it. */
struct counting {
    int64_t wait_ms;
    int64_t write_us; /* of a core, that this takes */
    atomic_int readers;
    atomic_int updates;
    atomic_int forgotten; /* how often */
};

static int64_t cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static void *open_count(void *context)
{
    struct counting *counting = context;
    counting->readers++;
    return memory_new(sizeof(int));
}

static void close_count(void *context, void *reader)
{
    struct counting *counting = context;
    counting->readers--;
    free(reader);
}

static int64_t count_update(void *context)
{
    struct counting *counting = context;
    counting->updates++;
    return counting->wait_ms;
}

static bool write_count(void *context, void *reader, struct text *piece)
{
    const struct counting *counting = context;
    int *seen = reader;
    for (int64_t until_us = cpu_us() + counting->write_us; cpu_us() < until_us;)
        continue;
    if (*seen != counting->updates)
        text_addf(piece, "<%d>", (int)counting->updates);
    *seen = counting->updates;
    return false;
}

static void count_forgotten(void *context)
{
    struct counting *counting = context;
    counting->forgotten++;
}

static const struct web_stream_hooks counting_stream = {.opened = open_count,
                                                        .closed = close_count,
                                                        .update = count_update,
                                                        .write = write_count,
                                                        .forget = count_forgotten};

static struct counting slow_source = {.wait_ms = 3600000};
static struct counting fast_source = {.wait_ms = 10};
static struct counting costly_source = {.wait_ms = 10, .write_us = 10000};

static const struct web_page pages[] = {
    {"/stream", .stream = &silent_stream},
    {"/slow", .context = &slow_source, .stream = &counting_stream},
    {"/fast", .context = &fast_source, .stream = &counting_stream},
    {"/costly", .context = &costly_source, .stream = &counting_stream},
    {"/written", write_written, &written},
    {"/greeting", write_greeting, (char[]){"hello"}},
    {"/things/", write_segments, NULL},
    {"/things/after", write_greeting, (char[]){"never"}},
    {"/much", write_much, NULL},
    {"/busy", write_late, NULL},
    {"/late", write_late, (int[]){LATE_BYTES}},
    {"/mebibytes", write_mebibytes, (int[]){5}},
    {"/huge", write_mebibytes, (int[]){20}},
    {0},
};

static const char *const names[] = {"backlog.keda.svc", "*.example", "Backlog.Example.COM"};

static const struct web_settings settings = {
    .listen = "127.0.0.1:0", .pages = pages, .hosts = {names, ARRAY_LENGTH(names)}};

static int setup(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    signal(SIGPIPE, SIG_IGN);
    slow_source.updates = fast_source.updates = costly_source.updates = 0;
    slow_source.forgotten = fast_source.forgotten = costly_source.forgotten = 0;
    return web_start(&settings, (struct web **)state, &error) ? 0 : -1;
}

/* What connections have: one that a test waits for, and one that it does not. */
enum { SHORT_MS = 500, LONG_MS = 60000 };

static int set_up_with(void **state, int64_t connection_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct web_settings other = settings;
    signal(SIGPIPE, SIG_IGN);
    other.connection_ms = connection_ms;
    return web_start(&other, (struct web **)state, &error) ? 0 : -1;
}

static int set_up_short(void **state)
{
    return set_up_with(state, SHORT_MS);
}

static int set_up_long(void **state)
{
    return set_up_with(state, LONG_MS);
}

static int teardown(void **state)
{
    web_stop(*state);
    return 0;
}

/* `own` is the last byte of the address in 127.0.0.0/8 to come from. */
static int connect_from(const struct web *web, uint32_t own)
{
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + own)};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)web_port(web)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int connect_to(const struct web *web)
{
    return connect_from(web, 1);
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The response, until the connection ends. */
static void finish(int fd, struct text *response)
{
    char buffer[65536];
    ssize_t length;
    while ((length = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        text_add_bytes(response, buffer, (size_t)length);
    close(fd);
}

static char *fetch(const struct web *web, const char *request)
{
    struct text response = {0};
    int fd = connect_to(web);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    finish(fd, &response);
    return text_take(&response);
}

static void assert_response(void **state, const char *request, const char *begin, const char *end)
{
    _cleanup_(memory_free) char *response = fetch(*state, request);
    if (!text_starts_with(response, begin) || !text_ends_with(response, end))
        fail_msg("the response to %s is:\n%s", request, response);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void a_page_is_written_by_its_function(void **state)
{
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
    assert_response(state, GET("/greeting?name=J%C3%BCrgen%20K"), "HTTP/1.1 200 ",
                    "\r\n\r\nhello J\xc3\xbcrgen K");
}

static void a_parameter_may_be_empty_or_lack_a_value(void **state)
{
    static const char *const queries[] = {"a=1&&name=K", "&name=K", "name=K&", "a&name=K&&b"};
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        _cleanup_(memory_free) char *request =
            text_format("GET /greeting?%s HTTP/1.1\r\nHost: localhost\r\n\r\n", queries[i]);
        assert_response(state, request, "HTTP/1.1 200 ", "\r\n\r\nhello K");
    }
    assert_response(state, GET("/greeting?&&"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
}

static void the_segments_below_a_page_are_decoded(void **state)
{
    assert_response(state, GET("/things/shop/a%2Fb"), "HTTP/1.1 200 ", "\r\n\r\n<shop><a/b>");
    assert_response(state, GET("/things/"), "HTTP/1.1 200 ", "\r\n\r\n");
    assert_response(state, GET("/things//"), "HTTP/1.1 404 ", "\n");
    assert_response(state, GET("/things/1/2/3/4/5"), "HTTP/1.1 404 ", "\n");
}

static void a_zero_byte_ends_no_name(void **state)
{
    assert_response(state, GET("/things/shop%00x"), "HTTP/1.1 400 ",
                    "invalid path or query string\n");
    assert_response(state, GET("/greeting?name=K%00x"), "HTTP/1.1 400 ", "\n");
    assert_response(state, GET("/things/shop%2500x"), "HTTP/1.1 200 ", "\r\n\r\n<shop%00x>");
}

static void the_first_row_that_fits_is_the_page(void **state)
{
    assert_response(state, GET("/things/after"), "HTTP/1.1 200 ", "\r\n\r\n<after>");
}

static void unknown_paths_are_not_found(void **state)
{
    assert_response(state, GET("/"), "HTTP/1.1 404 ", "page not found\n");
    assert_response(state, GET("/greeting/more"), "HTTP/1.1 404 ", "page not found\n");
}

static void a_head_has_the_length_and_no_body(void **state)
{
    _cleanup_(memory_free) char *response =
        fetch(*state, "HEAD /greeting HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_non_null(strstr(response, "Content-Length: 12\r\n"));
    assert_true(text_ends_with(response, "\r\n\r\n"));
}

static void a_head_of_a_stream_is_answered_and_opens_none(void **state)
{
    _cleanup_(memory_free) char *response =
        fetch(*state, "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(text_starts_with(response, "HTTP/1.1 200 "));
    assert_non_null(strstr(response, "Content-Type: text/event-stream"));
    assert_null(strstr(response, "Content-Length")); /* a GET has none (RFC 9110, 8.6) */
    assert_true(text_ends_with(response, "\r\n\r\n"));
}

/* Of pages and of refusals: all pods of a Service respond to one reader. */
static void each_response_says_of_which_process_it_is(void **state)
{
    static const char *const requests[] = {GET("/greeting"), GET("/nowhere"),
                                           "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                           "DELETE /greeting HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    char instance[WEB_INSTANCE_BYTES];
    _cleanup_(memory_free) char *header =
        text_format("\r\nBacklog-Instance: %s\r\n", web_instance(instance));
    assert_int_equal(strspn(instance, "0123456789abcdef"), WEB_INSTANCE_BYTES - 1);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        _cleanup_(memory_free) char *response = fetch(*state, requests[i]);
        assert_non_null(strstr(response, header));
    }
}

static void nothing_can_be_changed(void **state)
{
    assert_response(state, "DELETE /greeting HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 ",
                    "method not allowed: only GET and HEAD\n");
    assert_response(state,
                    "POST /greeting HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12345",
                    "HTTP/1.1 413 ", "");
}

static void every_method_is_refused_as_the_others_are(void **state)
{
    static const char *const lines[] = {"DELETE /greeting", "PUT /greeting", "OPTIONS /greeting",
                                        "OPTIONS *",        "TRACE /",       "PATCH /greeting",
                                        "CONNECT host:80"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        _cleanup_(memory_free) char *request =
            text_format("%s HTTP/1.1\r\nHost: localhost\r\n\r\n", lines[i]);
        _cleanup_(memory_free) char *response = fetch(*state, request);
        if (!text_starts_with(response, "HTTP/1.1 405 ") ||
            strstr(response, "\r\nAllow: GET, HEAD\r\n") == NULL ||
            strstr(response, "\r\nX-Content-Type-Options: nosniff\r\n") == NULL ||
            !text_ends_with(response, "method not allowed: only GET and HEAD\n"))
            fail_msg("the response to %s is:\n%s", lines[i], response);
    }
}

static void bytes_that_are_not_http_end_the_connection(void **state)
{
    _cleanup_(memory_free) char *response = fetch(*state, "\x16\x03\x01 what?\r\n\r\n");
    assert_true(response[0] == '\0' || text_starts_with(response, "HTTP/1.1 400 "));
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "\r\n\r\nhello nobody");
}

static void endless_headers_are_refused(void **state)
{
    _cleanup_(text_done) struct text request = {0};
    text_add(&request, "GET /greeting HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 1000; i++)
        text_addf(&request, "X-Header-%d: something that nobody reads\r\n", i);
    text_add(&request, "\r\n");

    struct text response = {0};
    int fd = connect_to(*state);
    send(fd, request.bytes, request.length, MSG_NOSIGNAL);
    finish(fd, &response);
    assert_true(response.length == 0 || !text_starts_with(response.bytes, "HTTP/1.1 200 "));
    text_done(&response);
}

static void a_large_page_arrives_whole(void **state)
{
    _cleanup_(memory_free) char *response = fetch(*state, GET("/much"));
    assert_int_equal(strlen(strstr(response, "\r\n\r\n") + 4), 1000000);
}

/* Another client is answered while so many are there that send this, or nothing (NULL): sooner than
 * connections have to leave. */
static void assert_block_nobody(void **state, size_t count, const char *request)
{
    enum { MAX_CLIENTS = 300, SOON_MS = LONG_MS * 3 / 4 };
    int clients[MAX_CLIENTS];
    for (size_t i = 0; i < count; i++) {
        clients[i] = connect_to(*state);
        if (request != NULL)
            send_text(clients[i], request);
    }
    int64_t began_ms = clock_now_ms();
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    assert_true(clock_now_ms() - began_ms < SOON_MS);
    for (size_t i = 0; i < count; i++)
        close(clients[i]);
}

/* Many more than there are places for: the oldest give way, long before their time is over. */
static void silent_clients_do_not_block_others(void **state)
{
    assert_block_nobody(state, 300, NULL);
}

/* All places are taken, and nobody needs one. */
static void a_connection_is_closed_only_for_another(void **state)
{
    enum { PLACES = 64 };
    const struct timeval moment = {0, 300000};
    int clients[PLACES];
    char byte = 0;
    for (size_t i = 0; i < PLACES; i++)
        clients[i] = connect_to(*state);
    setsockopt(clients[0], SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof(moment));
    assert_int_equal(recv(clients[0], &byte, 1, 0), -1);
    int another = connect_to(*state);
    assert_int_equal(recv(clients[0], &byte, 1, 0), 0);
    setsockopt(clients[1], SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof(moment));
    assert_int_equal(recv(clients[1], &byte, 1, 0), -1);
    close(another);
    for (size_t i = 0; i < PLACES; i++)
        close(clients[i]);
}

/* As many as wait are let in per turn: with one, the server would wait a millisecond for each of
 * them. */
static void silent_clients_are_let_in_many_at_a_time(void **state)
{
    enum { MANY = 1000, SPARE = 200 };
    static int clients[MANY];
    struct rlimit files;
    struct rusage before;
    struct rusage after;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < MANY + SPARE ? files.rlim_max : MANY + SPARE;
    setrlimit(RLIMIT_NOFILE, &files);
    size_t count = files.rlim_cur - SPARE;
    sem_init(&is_writing, 0, 0);
    sem_init(&may_go_on, 0, 0);
    int busy = connect_to(*state);
    send_text(busy, GET("/busy"));
    sem_wait(&is_writing);
    for (size_t i = 0; i < count; i++)
        clients[i] = connect_to(*state);
    getrusage(RUSAGE_SELF, &before);
    sem_post(&may_go_on);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    getrusage(RUSAGE_SELF, &after);
    assert_true((size_t)(after.ru_nvcsw - before.ru_nvcsw) < count / 2);
    close(busy);
    for (size_t i = 0; i < count; i++)
        close(clients[i]);
}

/* Its headers come in two reads, and its time is over between them. */
static void no_page_is_written_for_a_connection_that_was_closed(void **state)
{
    enum { PADDING = 6000, TIME_US = (SHORT_MS + 200) * 1000 };
    sem_init(&is_writing, 0, 0);
    sem_init(&may_go_on, 0, 0);
    written = 0;
    int closed = connect_to(*state);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody"); /* it was let in */
    int busy = connect_to(*state);
    send_text(busy, GET("/busy"));
    sem_wait(&is_writing);
    _cleanup_(memory_free) char *request = text_format(
        "GET /written HTTP/1.1\r\nHost: localhost\r\nX-Padding: %0*d\r\n\r\n", PADDING, 0);
    send_text(closed, request);
    usleep(TIME_US);
    sem_post(&may_go_on);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    assert_int_equal(written, 0);
    close(busy);
    close(closed);
}

/* And none is before. */
static void a_connection_that_sends_nothing_is_closed_after_its_time(void **state)
{
    char byte;
    const int64_t began_ms = clock_now_ms();
    int silent = connect_to(*state);
    assert_int_equal(recv(silent, &byte, 1, 0), 0);
    assert_true(clock_now_ms() - began_ms >= SHORT_MS - 10);
    close(silent);
}

/* Neither the one whose page is written late, though it is large, nor the one behind it. */
static void clients_are_answered_after_pages_that_take_longer_than_their_time(void **state)
{
    enum { TIME_US = (SHORT_MS + 200) * 1000 };
    _cleanup_(text_done) struct text own = {0};
    _cleanup_(text_done) struct text behind = {0};
    sem_init(&is_writing, 0, 0);
    sem_init(&may_go_on, 0, 0);
    int waiting = connect_to(*state);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody"); /* it was let in */
    int late = connect_to(*state);
    send_text(late, GET("/late"));
    sem_wait(&is_writing);
    send_text(waiting, GET("/greeting"));
    usleep(TIME_US);
    sem_post(&may_go_on);
    finish(late, &own);
    assert_true(own.length > LATE_BYTES);
    finish(waiting, &behind);
    assert_true(behind.length > 0 && text_ends_with(behind.bytes, "hello nobody"));
}

/* Though it needs longer than its time for the whole. */
static void a_client_has_its_time_for_each_part_of_a_response(void **state)
{
    enum {
        PART_BYTES = 1 << 20,
        PAUSE_US = SHORT_MS * 1000 / 2,
        HUGE_BYTES = 20 << 20,
        LONG_TIME_MS = 5 * SHORT_MS
    };
    static char part[PART_BYTES];
    const int small = 64 << 10;
    size_t taken = 0;
    int fd = connect_to(*state);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    int64_t began_ms = clock_now_ms();
    send_text(fd, GET("/huge"));
    for (ssize_t length; (length = recv(fd, part, PART_BYTES, MSG_WAITALL)) > 0;) {
        taken += (size_t)length;
        usleep(PAUSE_US);
    }
    assert_true(taken > HUGE_BYTES);
    assert_true(clock_now_ms() - began_ms > LONG_TIME_MS);
    close(fd);
}

/* Then its address may have another large response. */
static void a_client_that_takes_next_to_nothing_is_closed(void **state)
{
    enum {
        PART_BYTES = 1000,
        PAUSE_US = SHORT_MS * 1000 / 10,
        MAX_PARTS = 400,
        PARTS_PER_LOOK = 10
    };
    char part[PART_BYTES];
    const int small = 4 << 10;
    bool is_closed = false;
    int fd = connect_to(*state);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    send_text(fd, GET("/huge"));
    for (int i = 1; !is_closed && i <= MAX_PARTS; i++) {
        assert_true(recv(fd, part, PART_BYTES, 0) > 0);
        usleep(PAUSE_US);
        if (i % PARTS_PER_LOOK != 0)
            continue;
        _cleanup_(memory_free) char *response = fetch(*state, GET("/mebibytes"));
        is_closed = text_starts_with(response, "HTTP/1.1 200 ");
    }
    assert_true(is_closed);
    close(fd);
}

static void a_refusal_in_text_replaces_what_a_page_has_written(void **state)
{
    (void)state;
    struct page_response response = {.code = 200, .type = page_response_type_json};
    text_add(&response.body, "[1, 2");
    page_response_refuse(&response, 503, "try again");
    assert_int_equal(response.code, 503);
    assert_string_equal(response.type, "text/plain; charset=utf-8");
    assert_string_equal(response.body.bytes, "try again\n");
    text_done(&response.body);
}

/* The address that has the most loses the oldest: a probe that was there before has its time. */
static bool is_answered_with(int fd, const char *begin)
{
    char buffer[64] = "";
    ssize_t length = recv(fd, buffer, sizeof(buffer) - 1, 0);
    return length > 0 && text_starts_with(buffer, begin);
}

/* Answers that are not read take memory: 16 MiB in all, and an address leaves as much as it has. */
static void responses_that_are_not_read_are_bounded(void **state)
{
    static const struct {
        uint32_t own;
        const char *begin;
    } rows[] = {{1, "HTTP/1.1 200 "},
                {2, "HTTP/1.1 200 "},
                {1, "HTTP/1.1 503 "},
                {3, "HTTP/1.1 200 "},
                {4, "HTTP/1.1 503 "}};
    int clients[ARRAY_LENGTH(rows)];
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        clients[i] = connect_from(*state, rows[i].own);
        send_text(clients[i], GET("/mebibytes"));
        if (!is_answered_with(clients[i], rows[i].begin))
            fail_msg("client %zu", i);
    }
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    /* Without a body there is nothing to read. */
    assert_response(state, "HEAD /mebibytes HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 ",
                    "\r\n\r\n");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        close(clients[i]);
    _cleanup_(memory_free) char *response = NULL; /* and what is over is free again */
    do {
        memory_free(&response);
        response = fetch(*state, GET("/mebibytes"));
    } while (text_starts_with(response, "HTTP/1.1 503 "));
    assert_int_equal(strlen(strstr(response, "\r\n\r\n") + 4), 5 << 20);
}

/* As the metrics of 100,000 triggers. */
static void a_response_above_the_bound_is_sent_where_it_is_alone(void **state)
{
    bool is_sent = false;
    int unread = -1;
    while (!is_sent) { /* once the server has seen the end of those of before */
        close(unread);
        unread = connect_from(*state, 1);
        send_text(unread, GET("/huge"));
        is_sent = is_answered_with(unread, "HTTP/1.1 200 ");
    }
    assert_response(state, GET("/huge"), "HTTP/1.1 503 ", "not read yet: try again later\n");
    close(unread);
}

static void a_flood_from_one_address_closes_no_connection_of_another(void **state)
{
    int clients[300];
    struct text response = {0};
    int probe = connect_from(*state, 2);
    send_text(probe, "GET /greeting HTTP/1.1\r\n");
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        clients[i] = connect_to(*state);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody"); /* all were let in */
    send_text(probe, "Host: localhost\r\n\r\n");
    finish(probe, &response);
    assert_true(response.length > 0 && text_ends_with(response.bytes, "hello nobody"));
    text_done(&response);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        close(clients[i]);
}

/* ---- readers of a stream ---- */

static int open_reader(const struct web *web, uint32_t own, const char *expected)
{
    char status[13] = "";
    int fd = connect_from(web, own);
    send_text(fd, GET("/stream"));
    assert_int_equal(recv(fd, status, sizeof(status) - 1, MSG_WAITALL), sizeof(status) - 1);
    assert_string_equal(status, expected);
    return fd;
}

/* Whether it was closed: what is sent to a reader is read before. */
static bool is_at_end(int fd, bool is_to_wait)
{
    char buffer[4096];
    ssize_t length;
    while ((length = recv(fd, buffer, sizeof(buffer), is_to_wait ? 0 : MSG_DONTWAIT)) > 0)
        ;
    return length == 0;
}

static void readers_of_one_address_leave_places_to_others(void **state)
{
    int readers[WEB_STREAM_MAX_READERS];
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++)
        readers[i] = open_reader(*state, 1, "HTTP/1.1 200");
    assert_response(state, GET("/stream"), "HTTP/1.1 503 ",
                    "too many readers of this page are connected: try again later\n");
    int others[] = {open_reader(*state, 2, "HTTP/1.1 200"), open_reader(*state, 2, "HTTP/1.1 200")};
    close(open_reader(*state, 1, "HTTP/1.1 503"));
    assert_true(is_at_end(readers[0], true));
    assert_true(is_at_end(readers[1], true));
    for (size_t i = 2; i < ARRAY_LENGTH(readers); i++)
        assert_false(is_at_end(readers[i], false));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_false(is_at_end(others[i], false));
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++)
        close(readers[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        close(others[i]);
}

/* What it sent is not read, and it is sent nothing: no event would report the end of its socket. */
static void a_reader_that_sent_too_much_leaves_its_place_too(void **state)
{
    static const char much[1 << 20];
    int readers[WEB_STREAM_MAX_READERS];
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++)
        readers[i] = open_reader(*state, 1, "HTTP/1.1 200");
    assert_true(send(readers[0], much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL) > 64 << 10);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody"); /* it was read */
    int other = open_reader(*state, 2, "HTTP/1.1 200");
    assert_int_equal(silent_readers, WEB_STREAM_MAX_READERS);
    close(other);
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++)
        close(readers[i]);
}

static int follow(const struct web *web, const char *request)
{
    const struct timeval patience = {5, 0};
    int fd = connect_to(web);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    send_text(fd, request);
    return fd;
}

static void wait_for(int fd, const char *expected)
{
    _cleanup_(text_done) struct text seen = {0};
    char buffer[4096];
    while (seen.length == 0 || strstr(seen.bytes, expected) == NULL) {
        ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
        if (length <= 0)
            fail_msg("no %s in time after:\n%s", expected, seen.length == 0 ? "" : seen.bytes);
        text_add_bytes(&seen, buffer, (size_t)length);
    }
}

/* The next update is in an hour. */
static void a_further_reader_is_sent_at_once_what_is_there(void **state)
{
    int first = follow(*state, GET("/slow"));
    wait_for(first, "<1>");
    int second = follow(*state, GET("/slow"));
    wait_for(second, "<1>");
    close(first);
    close(second);
}

static void wait_until_is(atomic_int *number, int expected)
{
    enum { PATIENCE_MS = 10000, MOMENT_US = 1000 };
    const int64_t until_ms = clock_now_ms() + PATIENCE_MS;
    while (*number != expected) {
        assert_true(clock_now_ms() < until_ms);
        usleep(MOMENT_US);
    }
}

/* Each is the only one, and its next update is in an hour. */
static void readers_that_come_and_leave_in_turn_have_no_updates_of_their_own(void **state)
{
    for (int i = 0; i < 10; i++) {
        int reader = follow(*state, GET("/slow"));
        wait_for(reader, "<1>");
        close(reader);
        wait_until_is(&slow_source.readers, 0);
    }
    assert_int_equal(slow_source.updates, 1);
    assert_int_equal(slow_source.forgotten, 0);
}

static void a_source_forgets_when_its_next_update_would_be_due(void **state)
{
    for (int i = 1; i <= 3; i++) {
        int updates = fast_source.updates;
        int reader = follow(*state, GET("/fast"));
        wait_for(reader, "<");
        close(reader);
        wait_until_is(&fast_source.forgotten, i);
        assert_true(fast_source.updates > updates);
    }
}

static void a_stream_keeps_its_own_time(void **state)
{
    int fast = follow(*state, GET("/fast"));
    wait_for(fast, "<1>");
    int slow = follow(*state, GET("/slow"));
    wait_for(slow, "<1>");
    wait_for(fast, "<20>");
    close(fast);
    close(slow);
}

/* The next update is in an hour. TCP does not tell a reader that its server is gone. */
static void a_reader_of_a_stream_without_news_is_told_that_it_goes_on(void **state)
{
    const struct timeval patience = {WEB_STREAM_MAX_SILENCE_MS / 1000, 0};
    int reader = follow(*state, GET("/slow"));
    wait_for(reader, "<");
    int updates = slow_source.updates;
    assert_int_equal(setsockopt(reader, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    wait_for(reader, "event: alive\ndata: {}\n\n");
    assert_int_equal(slow_source.updates, updates);
    close(reader);
}

/* nginx keeps back what it is sent otherwise. */
static void proxies_pass_a_stream_on_at_once(void **state)
{
    int reader = follow(*state, GET("/slow"));
    wait_for(reader, "X-Accel-Buffering: no\r\n");
    close(reader);
}

/* What an update and its pieces took is at most a twentieth of a core. */
static void a_stream_that_takes_long_to_write_updates_less_often(void **state)
{
    enum { SECOND_US = 1000000, MAX_UPDATES = 6 };
    int reader = follow(*state, GET("/costly"));
    wait_for(reader, "<1>");
    usleep(SECOND_US);
    assert_true(costly_source.updates <= MAX_UPDATES);
    close(reader);
}

/* ---- sessions ---- */

static const char token[] = "0123456789abcdef-token";

/* `path` is mkstemp()'s template, and where the file with the token is. */
static void start_with_login(char *path, struct web_login **ret_login, struct web **ret_web)
{
    _cleanup_(error_done) struct error error = {0};
    int fd = mkstemp(path);
    assert_int_equal(write(fd, token, strlen(token)), strlen(token));
    close(fd);
    assert_true(web_login_new(path, ret_login, &error));
    const struct web_settings closed = {
        .listen = "127.0.0.1:0", .pages = pages, .login = *ret_login};
    assert_true(web_start(&closed, ret_web, &error));
}

static void a_stream_ends_with_its_session(void **state)
{
    enum { SESSION_S = 12 * 3600, LEFT_S = 2, PATIENCE_MS = 10000 };
    (void)state;
    char path[] = "/tmp/backlog-token-XXXXXX";
    struct web_login *login = NULL;
    struct web *web = NULL;
    start_with_login(path, &login, &web);
    int64_t now_s = (int64_t)clock_unix_s(clock_now_ms());
    _cleanup_(memory_free) char *cookie =
        web_login_cookie(login, token, false, now_s - SESSION_S + LEFT_S);
    cookie[strcspn(cookie, ";")] = '\0';
    _cleanup_(memory_free) char *request =
        text_format("GET /fast HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n", cookie);
    int session = follow(web, request);
    int bearer = follow(web, "GET /fast HTTP/1.1\r\nHost: localhost\r\n"
                             "Authorization: Bearer 0123456789abcdef-token\r\n\r\n");
    wait_for(session, "<1>");
    wait_for(bearer, "<");
    const int64_t until_ms = clock_now_ms() + PATIENCE_MS;
    char buffer[4096];
    ssize_t length;
    while ((length = recv(session, buffer, sizeof(buffer), 0)) > 0)
        assert_true(clock_now_ms() < until_ms);
    assert_int_equal(length, 0);
    assert_true((int64_t)clock_unix_s(clock_now_ms()) >= now_s + LEFT_S);
    wait_for(bearer, "<");
    assert_false(is_at_end(bearer, false));
    close(session);
    close(bearer);
    web_stop(web);
    web_login_free(login);
    unlink(path);
}

/* ---- hosts ---- */

static void assert_host(void **state, const char *host, const char *status)
{
    _cleanup_(memory_free) char *request =
        text_format("GET /greeting HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    _cleanup_(memory_free) char *begin = text_format("HTTP/1.1 %s ", status);
    assert_response(state, request, begin, "");
}

/* However little that is. */
static void a_reader_is_stuck_only_where_it_takes_nothing(void **state)
{
    enum { BEGAN_MS = 1000, TIMEOUT_MS = WEB_STREAM_TIMEOUT_MS };
    struct web_stream_progress progress = {.left_bytes = 100, .taken_at_ms = BEGAN_MS};
    int64_t now_ms = BEGAN_MS;
    (void)state;
    for (size_t left = 99; left > 0; left--) {
        now_ms += TIMEOUT_MS;
        assert_false(web_stream_is_stuck(&progress, left + 1, now_ms));
        now_ms++;
        assert_false(web_stream_is_stuck(&progress, left, now_ms));
    }
    assert_false(web_stream_is_stuck(&progress, 1, now_ms + TIMEOUT_MS));
    assert_true(web_stream_is_stuck(&progress, 1, now_ms + TIMEOUT_MS + 1));
}

static void names_that_others_may_have_are_refused(void **state)
{
    static const char *const permitted[] = {
        "localhost",          "LOCALHOST:9091", "localhost.:80", "127.0.0.1:9091",
        "10.1.2.3",           "[::1]:9091",     "[fd00::1]",     "backlog.keda.svc:9091",
        "Backlog.Keda.SVC.",  "a.example",      "127.0.0.1:",    "backlog.keda.svc.:9091",
        "backlog.example.com"};
    static const char *const refused[] = {"evil.test",
                                          "evil.test:9091",
                                          "localhost.evil.test",
                                          "127.0.0.1.evil.test",
                                          "10.1.2.3.4",
                                          "[evil.test]",
                                          "[::1",
                                          "2130706433",
                                          "xbacklog.keda.svc",
                                          "backlog.keda.svc.evil.test",
                                          "example",
                                          "evil.test:x"};
    for (size_t i = 0; i < ARRAY_LENGTH(permitted); i++)
        assert_host(state, permitted[i], "200");
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
        assert_host(state, refused[i], "403");
    assert_response(state, "GET /greeting HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n",
                    "HTTP/1.1 403 ", "");
    assert_response(state, "GET http://evil.test/greeting HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    "HTTP/1.1 403 ", "");
    assert_response(state, "GET /stream HTTP/1.1\r\nHost: evil.test\r\n\r\n", "HTTP/1.1 403 ", "");
    assert_response(state, "GET /greeting HTTP/1.0\r\n\r\n", "HTTP/1.0 200 ", "hello nobody");
}

/* As browsers say where a request is from, and what for. */
static void pages_of_other_sites_request_nothing(void **state)
{
    static const struct {
        const char *site, *destination, *begin;
    } rows[] = {
        {"cross-site", "empty", "HTTP/1.1 403 "},  {"cross-site", "image", "HTTP/1.1 403 "},
        {"cross-site", "iframe", "HTTP/1.1 403 "}, {"cross-site", "document", "HTTP/1.1 200 "},
        {"same-origin", "empty", "HTTP/1.1 200 "}, {"same-site", "empty", "HTTP/1.1 403 "},
        {"same-site", "iframe", "HTTP/1.1 403 "},  {"same-site", "document", "HTTP/1.1 200 "},
        {"none", "document", "HTTP/1.1 200 "},
    };
    static const char *const paths[] = {"/greeting", "/stream"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (size_t path = 0; path < ARRAY_LENGTH(paths); path++) {
            _cleanup_(memory_free) char *request =
                text_format("GET %s HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: %s\r\n"
                            "Sec-Fetch-Dest: %s\r\n\r\n",
                            paths[path], rows[i].site, rows[i].destination);
            int fd = connect_to(*state);
            send_text(fd, request);
            if (!is_answered_with(fd, rows[i].begin))
                fail_msg("not %s: %s", rows[i].begin, request);
            close(fd);
        }
    assert_response(
        state, "GET /greeting HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        "HTTP/1.1 403 ", "requests of pages of other sites are not permitted\n");
    assert_response(state,
                    "POST /logout HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-site\r\n"
                    "Sec-Fetch-Dest: document\r\nContent-Length: 0\r\n\r\n",
                    "HTTP/1.1 403 ", "requests of pages of other sites are not permitted\n");
}

static void clients_that_do_not_read_do_not_block_others(void **state)
{
    assert_block_nobody(state, 100, GET("/much"));
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
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    close(fd);
}

static void it_stops_with_clients_connected(void **state)
{
    struct web *web = *state;
    int silent = connect_to(web);
    int late = connect_to(web);
    assert_true(send(late, GET("/much"), strlen(GET("/much")), MSG_NOSIGNAL) > 0);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
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
    const struct web_settings same = {.listen = listen, .pages = pages};
    assert_false(web_start(&same, &second, &error));
    assert_non_null(strstr(error_text(&error), "Address already in use"));
}

static void a_port_without_descriptors_is_refused(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct web *web = NULL;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(STDERR_FILENO);
    close(next);
    const struct rlimit one_more = {(rlim_t)next + 1, before.rlim_max}; /* which is the port's */
    setrlimit(RLIMIT_NOFILE, &one_more);
    assert_false(web_start(&settings, &web, &error));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_non_null(strstr(error_text(&error), "no file descriptor is left"));
    int same = dup(STDERR_FILENO);
    close(same);
    assert_int_equal(same, next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_written_by_its_function),
        TEST(a_parameter_may_be_empty_or_lack_a_value),
        TEST(the_segments_below_a_page_are_decoded),
        TEST(a_zero_byte_ends_no_name),
        TEST(the_first_row_that_fits_is_the_page),
        TEST(unknown_paths_are_not_found),
        TEST(a_head_has_the_length_and_no_body),
        TEST(a_head_of_a_stream_is_answered_and_opens_none),
        TEST(each_response_says_of_which_process_it_is),
        TEST(nothing_can_be_changed),
        TEST(every_method_is_refused_as_the_others_are),
        TEST(bytes_that_are_not_http_end_the_connection),
        TEST(endless_headers_are_refused),
        TEST(a_large_page_arrives_whole),
        cmocka_unit_test_setup_teardown(silent_clients_do_not_block_others, set_up_long, teardown),
        TEST(a_connection_is_closed_only_for_another),
        TEST(silent_clients_are_let_in_many_at_a_time),
        cmocka_unit_test_setup_teardown(no_page_is_written_for_a_connection_that_was_closed,
                                        set_up_short, teardown),
        cmocka_unit_test_setup_teardown(a_connection_that_sends_nothing_is_closed_after_its_time,
                                        set_up_short, teardown),
        cmocka_unit_test_setup_teardown(
            clients_are_answered_after_pages_that_take_longer_than_their_time, set_up_short,
            teardown),
        cmocka_unit_test_setup_teardown(a_client_has_its_time_for_each_part_of_a_response,
                                        set_up_short, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_takes_next_to_nothing_is_closed, set_up_short,
                                        teardown),
        cmocka_unit_test(a_refusal_in_text_replaces_what_a_page_has_written),
        TEST(responses_that_are_not_read_are_bounded),
        TEST(a_response_above_the_bound_is_sent_where_it_is_alone),
        TEST(a_flood_from_one_address_closes_no_connection_of_another),
        TEST(readers_of_one_address_leave_places_to_others),
        TEST(a_reader_that_sent_too_much_leaves_its_place_too),
        TEST(a_further_reader_is_sent_at_once_what_is_there),
        TEST(readers_that_come_and_leave_in_turn_have_no_updates_of_their_own),
        TEST(a_source_forgets_when_its_next_update_would_be_due),
        TEST(a_stream_keeps_its_own_time),
        TEST(a_reader_of_a_stream_without_news_is_told_that_it_goes_on),
        TEST(proxies_pass_a_stream_on_at_once),
        TEST(a_stream_that_takes_long_to_write_updates_less_often),
        cmocka_unit_test(a_stream_ends_with_its_session),
        cmocka_unit_test(a_reader_is_stuck_only_where_it_takes_nothing),
        TEST(names_that_others_may_have_are_refused),
        TEST(pages_of_other_sites_request_nothing),
        cmocka_unit_test_setup_teardown(clients_that_do_not_read_do_not_block_others, set_up_long,
                                        teardown),
        TEST(what_a_reader_of_a_stream_sends_stays_in_the_kernel),
        TEST(it_stops_with_clients_connected),
        TEST(a_taken_port_is_an_error),
        cmocka_unit_test(a_port_without_descriptors_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
