/* Bytes of a connection over AMQP, whose time stands still (support/fast_time.h). */
#include "base/clock.h"
#include "base/text.h"
#include "rabbitmq/amqp/connection.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { HEARTBEAT_MS = 1000 };

static const char heartbeat[] = {AMQP_FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, (char)AMQP_FRAME_END};

struct link {
    struct rabbitmq_amqp_connection connection;
    int broker; /* the other end */
    struct error error;
};

static void start_link(struct link *link)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    *link = (struct link){.connection = {.state = amqp_new_connection(),
                                         .socket.fd = ends[0],
                                         .heartbeat_ms = HEARTBEAT_MS,
                                         .bytes_ms = clock_now_ms(),
                                         .sent_ms = clock_now_ms()},
                          .broker = ends[1]};
}

static void stop_link(struct link *link)
{
    rabbitmq_amqp_connection_close(&link->connection);
    close(link->broker);
    error_done(&link->error);
}

/* Returns when it is to be called again. */
static int64_t flush(struct link *link)
{
    int64_t next_ms = 0;
    if (!rabbitmq_amqp_connection_flush(&link->connection, &next_ms, &link->error))
        fail_msg("%s", error_text(&link->error));
    return next_ms;
}

/* What the broker has received, and nothing else. */
static void assert_sent(const struct link *link, const char *bytes, size_t length)
{
    char sent[32];
    ssize_t got = recv(link->broker, sent, sizeof(sent), 0);
    assert_int_equal(got, length);
    assert_memory_equal(sent, bytes, length);
}

static void the_next_heartbeat_is_known_where_something_was_unsent(void **state)
{
    (void)state;
    struct link link;
    start_link(&link);
    text_add(&link.connection.output, "unsent");
    assert_int_equal(flush(&link), clock_now_ms() + HEARTBEAT_MS / 2);
    assert_int_equal(link.connection.output.length, 0);
    assert_sent(&link, "unsent", strlen("unsent"));
    stop_link(&link);
}

static void a_heartbeat_is_sent_after_half_of_its_interval(void **state)
{
    (void)state;
    struct link link;
    start_link(&link);
    link.connection.sent_ms = clock_now_ms() - 200;
    assert_int_equal(flush(&link), clock_now_ms() + HEARTBEAT_MS / 2 - 200);
    assert_int_equal(recv(link.broker, (char[1]){0}, 1, 0), -1);
    link.connection.sent_ms = clock_now_ms() - HEARTBEAT_MS / 2;
    assert_int_equal(flush(&link), clock_now_ms() + HEARTBEAT_MS / 2);
    assert_sent(&link, heartbeat, sizeof(heartbeat));
    stop_link(&link);
}

static void a_broker_without_heartbeats_is_sent_none(void **state)
{
    (void)state;
    struct link link;
    start_link(&link);
    link.connection.heartbeat_ms = 0;
    link.connection.sent_ms = clock_now_ms() - HEARTBEAT_MS;
    assert_int_equal(flush(&link), CLOCK_NEVER);
    assert_int_equal(recv(link.broker, (char[1]){0}, 1, 0), -1);
    stop_link(&link);
}

static void receive(struct link *link, const char *bytes, size_t length)
{
    assert_int_equal(send(link->broker, bytes, length, 0), length);
    assert_true(rabbitmq_amqp_connection_read(&link->connection, &link->error));
    assert_int_equal(link->connection.input_length, length);
}

/* As the last one of the login: librabbitmq takes no heartbeat before a method. */
static void receive_method(struct link *link)
{
    static const char tune[] = "\1\0\0\0\0\0\x0C\0\x0A\0\x1E\0\x64\0\2\0\0\0\x3C\xCE";
    amqp_frame_t frame;
    receive(link, tune, sizeof(tune) - 1);
    assert_int_equal(rabbitmq_amqp_connection_decode(&link->connection, &frame, &link->error),
                     RABBITMQ_RECEIVED_FRAME);
}

static enum rabbitmq_received receive_heartbeats(struct link *link, size_t count)
{
    amqp_frame_t frame;
    struct text heartbeats = {0};
    for (size_t i = 0; i < count; i++)
        text_add_bytes(&heartbeats, heartbeat, sizeof(heartbeat));
    receive(link, heartbeats.bytes, heartbeats.length);
    text_done(&heartbeats);
    return rabbitmq_amqp_connection_receive(&link->connection, &frame, &link->error);
}

static void heartbeats_are_no_frames_until_there_are_too_many(void **state)
{
    (void)state;
    enum { MAX_PER_SECOND = 100 };
    struct link link;
    start_link(&link);
    receive_method(&link);
    assert_int_equal(receive_heartbeats(&link, MAX_PER_SECOND), RABBITMQ_RECEIVED_NOTHING);
    assert_int_equal(receive_heartbeats(&link, 1), RABBITMQ_RECEIVED_LOST);
    assert_non_null(strstr(error_text(&link.error), "unexpected frame"));
    stop_link(&link);
}

/* As on a link with a delay. */
static void output_that_the_kernel_takes_in_parts_arrives_whole(void **state)
{
    (void)state;
    enum { BYTES = 1 << 20, PERIOD = 251 }; /* no power of two, as the parts may be */
    struct link link;
    size_t received = 0;
    size_t flushes = 0;
    start_link(&link);
    for (size_t i = 0; i < BYTES; i++)
        text_add_bytes(&link.connection.output, &(char){(char)(i % PERIOD)}, 1);
    for (; received < BYTES; flushes++) {
        unsigned char part[4096];
        ssize_t got;
        flush(&link);
        while ((got = recv(link.broker, part, sizeof(part), 0)) > 0)
            for (ssize_t i = 0; i < got; i++)
                assert_int_equal(part[i], received++ % PERIOD);
        assert_true(flushes < BYTES);
    }
    assert_true(flushes > 1);
    assert_int_equal(rabbitmq_amqp_connection_events(&link.connection), POLLIN);
    stop_link(&link);
}

static void start_tls(struct link *link)
{
    struct rabbitmq_socket *socket = &link->connection.socket;
    socket->context = tls_context_new(&(struct tls_options){.unsafe = true}, &link->error);
    assert_non_null(socket->context);
    socket->tls = tls_socket_new(socket->context, "127.0.0.1", socket->fd);
    assert_int_equal(tls_socket_handshake(socket->tls), TLS_WAITING);
}

/* Else poll() returns at once for as long as tasks wait. */
static void a_broker_that_hangs_up_loses_the_connection(void **state)
{
    (void)state;
    for (int has_tls = 0; has_tls <= 1; has_tls++) {
        struct link link;
        start_link(&link);
        if (has_tls == 1)
            start_tls(&link);
        assert_true(rabbitmq_amqp_connection_read(&link.connection, &link.error));
        shutdown(link.broker, SHUT_WR);
        assert_false(rabbitmq_amqp_connection_read(&link.connection, &link.error));
        assert_non_null(strstr(error_text(&link.error), "closed the connection"));
        stop_link(&link);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_heartbeat_is_known_where_something_was_unsent),
        cmocka_unit_test(a_heartbeat_is_sent_after_half_of_its_interval),
        cmocka_unit_test(a_broker_without_heartbeats_is_sent_none),
        cmocka_unit_test(heartbeats_are_no_frames_until_there_are_too_many),
        cmocka_unit_test(output_that_the_kernel_takes_in_parts_arrives_whole),
        cmocka_unit_test(a_broker_that_hangs_up_loses_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
