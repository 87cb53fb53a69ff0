/* The connections of the HTTP port: how many there are, and for how long. */
#include "web/port.h"

#include "base/clock.h"
#include "base/memory.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

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

static const struct web_page pages[] = {
    {"/written", write_written, &written},      {"/greeting", write_greeting, (char[]){"hello"}},
    {"/much", write_mebibytes, (int[]){1}},     {"/busy", write_late, NULL},
    {"/late", write_late, (int[]){LATE_BYTES}}, {"/mebibytes", write_mebibytes, (int[]){5}},
    {"/huge", write_mebibytes, (int[]){20}},    {0},
};

static int setup(void **state)
{
    return set_up_port(state, pages, 0);
}

/* What connections have: one that a test waits for, and one that it does not. */
enum { SHORT_MS = 500, LONG_MS = 60000 };

static int set_up_short(void **state)
{
    return set_up_port(state, pages, SHORT_MS);
}

static int set_up_long(void **state)
{
    return set_up_port(state, pages, LONG_MS);
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

static void clients_that_do_not_read_do_not_block_others(void **state)
{
    assert_block_nobody(state, 100, GET("/much"));
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

/* As the metrics of 100,000 triggers. One address that does not read them leaves half of the bound
 * to the others, and such a response to one of them. */
static void a_response_above_the_bound_is_sent_to_two_addresses(void **state)
{
    static const struct {
        uint32_t own;
        const char *get, *begin;
    } rows[] = {{1, GET("/huge"), "HTTP/1.1 503 "},
                {2, GET("/mebibytes"), "HTTP/1.1 200 "},
                {3, GET("/huge"), "HTTP/1.1 503 "},
                {2, GET("/mebibytes"), "HTTP/1.1 503 "},
                {3, GET("/much"), "HTTP/1.1 200 "}};
    int clients[ARRAY_LENGTH(rows)];
    int unread = -1;
    for (bool is_sent = false; !is_sent;) { /* once the server has seen the end of those before */
        close(unread);
        unread = connect_from(*state, 1);
        send_text(unread, GET("/huge"));
        is_sent = is_answered_with(unread, "HTTP/1.1 200 ");
    }
    _cleanup_(text_done) struct text response = {0};
    int reader = connect_from(*state, 2);
    send_text(reader, GET("/huge"));
    finish(reader, &response);
    assert_true(text_starts_with(response.bytes, "HTTP/1.1 200 "));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        clients[i] = connect_from(*state, rows[i].own);
        send_text(clients[i], rows[i].get);
        if (!is_answered_with(clients[i], rows[i].begin))
            fail_msg("client %zu", i);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        close(clients[i]);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SHORT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_short, teardown)
#define LONG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_long, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LONG_TEST(silent_clients_do_not_block_others),
        LONG_TEST(clients_that_do_not_read_do_not_block_others),
        TEST(a_connection_is_closed_only_for_another),
        TEST(silent_clients_are_let_in_many_at_a_time),
        SHORT_TEST(no_page_is_written_for_a_connection_that_was_closed),
        SHORT_TEST(a_connection_that_sends_nothing_is_closed_after_its_time),
        SHORT_TEST(clients_are_answered_after_pages_that_take_longer_than_their_time),
        SHORT_TEST(a_client_has_its_time_for_each_part_of_a_response),
        SHORT_TEST(a_client_that_takes_next_to_nothing_is_closed),
        TEST(responses_that_are_not_read_are_bounded),
        TEST(a_response_above_the_bound_is_sent_to_two_addresses),
        TEST(a_flood_from_one_address_closes_no_connection_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
