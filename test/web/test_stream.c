/* Streams of the HTTP port: what readers are sent, and when; which of them leave. */
#include "web/port.h"

#include "base/clock.h"
#include "base/memory.h"

#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

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

static void *open_count(void *context, bool has_session)
{
    struct counting *counting = context;
    (void)has_session;
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

/* The update of a busy server, after a first one that is over at once: while it waits, nothing is
 * sent. */
struct blocking {
    atomic_int updates;
    atomic_bool is_over;
};

static int64_t block_update(void *context)
{
    enum { REST_MS = 4000, MAX_MS = 20000, MOMENT_US = 1000 };
    struct blocking *blocking = context;
    int64_t until_ms = clock_now_ms() + MAX_MS;
    if (blocking->updates++ > 0)
        while (!blocking->is_over && clock_now_ms() < until_ms)
            usleep(MOMENT_US);
    return REST_MS;
}

static void *open_blocked(void *context, bool has_session)
{
    (void)context;
    (void)has_session;
    return memory_new(sizeof(bool));
}

static void close_blocked(void *context, void *reader)
{
    (void)context;
    free(reader);
}

/* Greets a reader; the updates have no news. */
static bool write_blocked(void *context, void *reader, struct text *piece)
{
    bool *is_greeted = reader;
    (void)context;
    if (!*is_greeted)
        text_add(piece, "<hello>");
    *is_greeted = true;
    return false;
}

static void forget_blocked(void *context)
{
    (void)context;
}

static const struct web_stream_hooks blocking_stream = {.opened = open_blocked,
                                                        .closed = close_blocked,
                                                        .update = block_update,
                                                        .write = write_blocked,
                                                        .forget = forget_blocked};

static const struct web_stream_hooks counting_stream = {.opened = open_count,
                                                        .closed = close_count,
                                                        .update = count_update,
                                                        .write = write_count,
                                                        .forget = count_forgotten};

static struct counting slow_source = {.wait_ms = 3600000};
static struct counting fast_source = {.wait_ms = 10};
static struct counting costly_source = {.wait_ms = 10, .write_us = 10000};
static struct blocking busy_source;

static const struct web_page pages[] = {
    {"/stream", .stream = &silent_stream},
    {"/slow", .context = &slow_source, .stream = &counting_stream},
    {"/fast", .context = &fast_source, .stream = &counting_stream},
    {"/busy", .context = &busy_source, .stream = &blocking_stream},
    {"/costly", .context = &costly_source, .stream = &counting_stream},
    {"/greeting", write_greeting, (char[]){"hello"}},
    {0},
};

static int setup(void **state)
{
    slow_source.updates = fast_source.updates = costly_source.updates = 0;
    slow_source.forgotten = fast_source.forgotten = costly_source.forgotten = 0;
    busy_source.updates = 0;
    busy_source.is_over = false;
    return set_up_port(state, pages, 0);
}

/* ---- places ---- */

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
    send_text(fd, GET("/stream"));
    assert_int_equal(recv(fd, status, sizeof(status), MSG_WAITALL), sizeof(status));
    assert_memory_equal(status, "HTTP/1.1 200", sizeof(status));
    for (ssize_t taken; sent < MUCH && (taken = send(fd, piece, PIECE, MSG_NOSIGNAL)) > 0;)
        sent += (size_t)taken;
    assert_true(sent < MUCH);
    assert_response(state, GET("/greeting"), "HTTP/1.1 200 ", "hello nobody");
    close(fd);
}

/* ---- updates ---- */

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

/* The next update is in an hour. TCP does not report a server that is gone. */
static void a_reader_of_a_stream_without_news_is_sent_alive(void **state)
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

/* Each reader that comes is sent what is there, which is not to put off what the first one is sent:
 * the next update is in an hour. */
static void readers_that_come_keep_no_sign_of_life_from_others(void **state)
{
    const struct timeval second = {1, 0};
    char buffer[4096];
    int reader = follow(*state, GET("/slow"));
    wait_for(reader, "<1>");
    const int64_t until_ms = clock_now_ms() + WEB_STREAM_MAX_SILENCE_MS;
    assert_int_equal(setsockopt(reader, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)), 0);
    while (recv(reader, buffer, sizeof(buffer), 0) < 0) {
        assert_true(clock_now_ms() < until_ms);
        int other = follow(*state, GET("/slow"));
        wait_for(other, "<1>");
        close(other);
    }
    assert_int_equal(slow_source.updates, 1);
    close(reader);
}

/* Its first update is over, the next one begins after 4 s, when no `alive` would be due. */
static void a_reader_is_sent_alive_before_an_update_that_takes_long(void **state)
{
    const struct timeval patience = {WEB_STREAM_MAX_SILENCE_MS / 1000, 0};
    int reader = follow(*state, GET("/busy"));
    wait_for(reader, "<hello>");
    assert_int_equal(setsockopt(reader, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    wait_for(reader, "event: alive\ndata: {}\n\n");
    wait_until_is(&busy_source.updates, 2);
    assert_false(busy_source.is_over);
    busy_source.is_over = true;
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

static bool is_stuck(struct web_stream_progress *progress, size_t left_bytes, int64_t now_ms)
{
    web_stream_note_progress(progress, left_bytes, now_ms);
    return web_stream_is_stuck(progress, now_ms);
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
        assert_false(is_stuck(&progress, left + 1, now_ms));
        now_ms++;
        assert_false(is_stuck(&progress, left, now_ms));
    }
    assert_false(is_stuck(&progress, 1, now_ms + TIMEOUT_MS));
    assert_true(is_stuck(&progress, 1, now_ms + TIMEOUT_MS + 1));
    assert_false(is_stuck(&progress, 0, now_ms + TIMEOUT_MS + 1));
    assert_false(is_stuck(&progress, 0, now_ms + INT64_C(3) * TIMEOUT_MS));
    assert_false(is_stuck(&progress, 1, now_ms + INT64_C(4) * TIMEOUT_MS));
    assert_true(is_stuck(&progress, 1, now_ms + INT64_C(4) * TIMEOUT_MS + 1));
}

/* The kernel of this client drops each segment, as if its network failed: it acknowledges nothing,
 * and closes nothing. */
static void lose_network(int fd)
{
    struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog program = {ARRAY_LENGTH(drop_all), drop_all};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

/* It is sent only `alive`, which our kernel takes; the other reader is sent the same. */
static void a_reader_that_has_lost_its_network_is_closed(void **state)
{
    enum { PATIENCE_MS = WEB_STREAM_TIMEOUT_MS + WEB_STREAM_MAX_SILENCE_MS, MOMENT_US = 100000 };
    int gone = follow(*state, GET("/slow"));
    int other = follow(*state, GET("/slow"));
    wait_for(gone, "<1>");
    wait_for(other, "<1>");
    lose_network(gone);
    const int64_t gone_ms = clock_now_ms();
    while (slow_source.readers == 2) {
        assert_true(clock_now_ms() < gone_ms + PATIENCE_MS);
        usleep(MOMENT_US);
    }
    assert_true(clock_now_ms() >= gone_ms + WEB_STREAM_TIMEOUT_MS);
    assert_int_equal(slow_source.readers, 1);
    assert_false(is_at_end(other, false));
    close(gone);
    close(other);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(readers_of_one_address_leave_places_to_others),
        TEST(a_reader_that_sent_too_much_leaves_its_place_too),
        TEST(what_a_reader_of_a_stream_sends_stays_in_the_kernel),
        TEST(a_further_reader_is_sent_at_once_what_is_there),
        TEST(readers_that_come_and_leave_in_turn_have_no_updates_of_their_own),
        TEST(a_source_forgets_when_its_next_update_would_be_due),
        TEST(a_stream_keeps_its_own_time),
        TEST(a_reader_of_a_stream_without_news_is_sent_alive),
        TEST(readers_that_come_keep_no_sign_of_life_from_others),
        TEST(a_reader_is_sent_alive_before_an_update_that_takes_long),
        TEST(proxies_pass_a_stream_on_at_once),
        TEST(a_stream_that_takes_long_to_write_updates_less_often),
        cmocka_unit_test(a_reader_is_stuck_only_where_it_takes_nothing),
        TEST(a_reader_that_has_lost_its_network_is_closed),
        cmocka_unit_test(a_stream_ends_with_its_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
