#include "kafka/client/background.h"

#include "base/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

enum { CALLS = 8 };

struct test_call {
    struct kafka_background_call base;
    int gate; /* an eventfd that it waits for; -1: none */
    int result;
};

static void run_test_call(struct kafka_background_call *base)
{
    struct test_call *call = (struct test_call *)base;
    eventfd_t opened;
    if (call->gate >= 0)
        eventfd_read(call->gate, &opened);
    call->result = 1;
}

static bool is_readable(int descriptor, int wait_ms)
{
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    return poll(&poller, 1, wait_ms) == 1;
}

static void a_call_that_has_ended_is_announced(void **state)
{
    (void)state;
    struct test_call calls[CALLS] = {0};
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct kafka_background *background = kafka_background_new(event_fd);
    assert_null(kafka_background_next(background));
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (struct test_call){.base = {.run = run_test_call}, .gate = -1};
        assert_true(kafka_background_start(background, &calls[i].base));
    }
    for (int count = 0; count < CALLS;) {
        eventfd_t events;
        assert_true(is_readable(event_fd, 10000));
        eventfd_read(event_fd, &events);
        for (struct kafka_background_call *call; (call = kafka_background_next(background)) != NULL;
             count++)
            assert_int_equal(((struct test_call *)call)->result, 1);
    }
    kafka_background_free(background);
    close(event_fd);
}

static void a_call_that_hangs_delays_no_other(void **state)
{
    (void)state;
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct test_call hanging = {.base = {.run = run_test_call}, .gate = eventfd(0, EFD_CLOEXEC)};
    struct test_call quick = {.base = {.run = run_test_call}, .gate = -1};
    struct kafka_background *background = kafka_background_new(event_fd);
    assert_true(kafka_background_start(background, &hanging.base));
    assert_true(kafka_background_start(background, &quick.base));
    assert_true(is_readable(event_fd, 10000));
    assert_ptr_equal(kafka_background_next(background), &quick.base);
    assert_false(kafka_background_wait(background, clock_now_ms() + 10));
    eventfd_write(hanging.gate, 1);
    assert_true(kafka_background_wait(background, clock_now_ms() + 10000));
    assert_ptr_equal(kafka_background_next(background), &hanging.base);
    kafka_background_free(background);
    close(hanging.gate);
    close(event_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_has_ended_is_announced),
        cmocka_unit_test(a_call_that_hangs_delays_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
