#include "measure/agent/frame.h"

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

static int ends[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void send_ids(void)
{
    _cleanup_(error_done) struct error error = {0};
    uint64_t ids[] = {1, 2, 3};
    Agent__ToAgent message = AGENT__TO_AGENT__INIT;
    message.unsubscribed = ids;
    message.n_unsubscribed = ARRAY_LENGTH(ids);
    assert_true(frame_write(ends[1], &message.base, CLOCK_NEVER, &error));
}

/* How many ids were received. */
static size_t receive(uint32_t largest, int64_t deadline_ms, struct error *error)
{
    ProtobufCMessage *raw = NULL;
    if (!frame_read(ends[0], &agent__to_agent__descriptor, largest, deadline_ms, &raw, error))
        return 0;
    size_t count = ((Agent__ToAgent *)raw)->n_unsubscribed;
    protobuf_c_message_free_unpacked(raw, NULL);
    return count;
}

static void a_written_frame_is_read(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    send_ids();
    send_ids();
    assert_int_equal(receive(FRAME_MAX_BYTES, CLOCK_NEVER, &error), 3);
    assert_int_equal(receive(FRAME_MAX_BYTES, clock_now_ms() + 1000, &error), 3);
}

static void a_silent_end_is_waited_for_until_the_deadline(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    int64_t deadline_ms = clock_now_ms() + 50;
    assert_int_equal(receive(FRAME_MAX_BYTES, deadline_ms, &error), 0);
    assert_string_equal(error_text(&error), "no answer in time");
    assert_true(clock_now_ms() >= deadline_ms);
}

static void pass(int number)
{
    (void)number;
}

static void a_signal_does_not_end_the_wait(void **state)
{
    (void)state;
    enum { EVERY_US = 10000 };
    _cleanup_(error_done) struct error error = {0};
    const struct itimerval often = {{.tv_usec = EVERY_US}, {.tv_usec = EVERY_US}};
    struct sigaction former;
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = pass}, &former);
    setitimer(ITIMER_REAL, &often, NULL);
    assert_int_equal(receive(FRAME_MAX_BYTES, clock_now_ms() + 50, &error), 0);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    sigaction(SIGALRM, &former, NULL);
    assert_string_equal(error_text(&error), "no answer in time");
}

static void a_late_reader_reads_what_is_there(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    send_ids();
    assert_int_equal(receive(FRAME_MAX_BYTES, clock_now_ms() - 50, &error), 3);
}

/* A frame of which a byte comes now and then, until nobody listens any more. */
static void *send_slowly(void *argument)
{
    (void)argument;
    enum { PAUSE_US = 5000 };
    const uint32_t length = 1 << 20;
    for (size_t i = 0;; i++) {
        const uint8_t byte = i < sizeof(length) ? ((const uint8_t *)&length)[i] : 0;
        if (send(ends[1], &byte, 1, MSG_NOSIGNAL) != 1)
            return NULL;
        usleep(PAUSE_US);
    }
}

static void a_frame_that_arrives_bit_by_bit_times_out(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    pthread_t speaker;
    assert_int_equal(pthread_create(&speaker, NULL, send_slowly, NULL), 0);
    assert_int_equal(receive(FRAME_MAX_BYTES, clock_now_ms() + 50, &error), 0);
    assert_string_equal(error_text(&error), "no answer in time");
    shutdown(ends[0], SHUT_RDWR);
    pthread_join(speaker, NULL);
}

static void the_reader_limits_the_size_of_a_frame(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    send_ids();
    assert_int_equal(receive(4, CLOCK_NEVER, &error), 0);
    assert_string_equal(error_text(&error), "a frame of 5 bytes is too large");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_written_frame_is_read),
        TEST(a_silent_end_is_waited_for_until_the_deadline),
        TEST(a_signal_does_not_end_the_wait),
        TEST(a_late_reader_reads_what_is_there),
        TEST(a_frame_that_arrives_bit_by_bit_times_out),
        TEST(the_reader_limits_the_size_of_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
