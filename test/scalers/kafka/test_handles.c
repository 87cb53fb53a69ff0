/* Handles of no cluster: they are made and destroyed like any other. */
#include "kafka/client/handles.h"

#include "base/clock.h"
#include "base/memory.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

enum { WITHIN_MS = 15000, STUCK_MS = 10 * 1000 };

struct fixture {
    int event_fd;
    struct kafka_memory memory;
    struct kafka_handles handles;
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    fixture->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    kafka_handles_open(&fixture->handles, &fixture->memory, fixture->event_fd);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    assert_true(kafka_handles_close(&fixture->handles));
    close(fixture->event_fd);
    free(fixture);
    return 0;
}

static rd_kafka_t *handle_of(struct fixture *fixture, bool is_fetcher, double bytes)
{
    _cleanup_(error_done) struct error error = {0};
    rd_kafka_t *rk =
        kafka_handles_new_handle(&fixture->handles, rd_kafka_conf_new(), is_fetcher, bytes, &error);
    assert_non_null(rk);
    return rk;
}

static rd_kafka_t *handle_new(struct fixture *fixture, double bytes)
{
    return handle_of(fixture, false, bytes);
}

static void end(struct fixture *fixture, rd_kafka_t *rk)
{
    kafka_handles_end(&fixture->handles, rk, NULL, clock_now_ms());
}

static bool is_readable(const struct fixture *fixture, int within_ms)
{
    struct pollfd descriptor = {.fd = fixture->event_fd, .events = POLLIN};
    return poll(&descriptor, 1, within_ms) == 1;
}

/* One handle makes the descriptor readable. */
static void wait_until_destroyed(struct fixture *fixture)
{
    eventfd_t events;
    assert_true(is_readable(fixture, WITHIN_MS));
    eventfd_read(fixture->event_fd, &events);
    kafka_handles_poll(&fixture->handles);
}

/* Those that are being destroyed, however long. */
static size_t being_destroyed(const struct fixture *fixture)
{
    return kafka_handles_stuck(&fixture->handles, CLOCK_NEVER);
}

static void a_handle_that_is_held_ends_with_its_last_holder(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_handles *handles = &fixture->handles;
    rd_kafka_t *rk = handle_new(fixture, 0);
    kafka_handles_hold(handles, rk);
    kafka_handles_hold(handles, rk);
    assert_true(kafka_handles_is_held(handles, rk));
    end(fixture, rk);
    assert_true(kafka_handles_are_ending(handles));
    assert_int_equal(being_destroyed(fixture), 0);
    kafka_handles_release(handles, rk);
    assert_int_equal(being_destroyed(fixture), 0);
    kafka_handles_release(handles, rk);
    assert_int_equal(being_destroyed(fixture), 1);
    wait_until_destroyed(fixture);
    assert_false(kafka_handles_are_ending(handles));
}

static void a_handle_that_was_released_stays_until_it_is_ended(void **state)
{
    struct fixture *fixture = *state;
    rd_kafka_t *rk = handle_new(fixture, 0);
    kafka_handles_hold(&fixture->handles, rk);
    kafka_handles_release(&fixture->handles, rk);
    assert_false(kafka_handles_is_held(&fixture->handles, rk));
    assert_false(kafka_handles_are_ending(&fixture->handles));
    end(fixture, rk);
    wait_until_destroyed(fixture);
    assert_false(kafka_handles_are_ending(&fixture->handles));
}

/* Its memory is in use until then. */
static void a_handle_counts_until_it_is_destroyed(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_memory *memory = &fixture->memory;
    rd_kafka_t *first = handle_new(fixture, 5);
    rd_kafka_t *second = handle_new(fixture, 7);
    rd_kafka_t *fetcher = handle_of(fixture, true, 3);
    kafka_handles_add_bytes(&fixture->handles, fetcher, 1);
    assert_true(memory->bytes[KAFKA_ACCOUNT_HANDLES] == 12 &&
                memory->bytes[KAFKA_ACCOUNT_FETCHERS] == 4);
    end(fixture, fetcher);
    assert_true(memory->bytes[KAFKA_ACCOUNT_HANDLES] == 12 &&
                memory->bytes[KAFKA_ACCOUNT_FETCHERS] == 4);
    wait_until_destroyed(fixture);
    assert_true(memory->bytes[KAFKA_ACCOUNT_HANDLES] == 12 &&
                memory->bytes[KAFKA_ACCOUNT_FETCHERS] == 0);
    end(fixture, first);
    assert_true(memory->bytes[KAFKA_ACCOUNT_HANDLES] == 12);
    wait_until_destroyed(fixture);
    assert_true(memory->bytes[KAFKA_ACCOUNT_HANDLES] == 7);
    end(fixture, second);
    wait_until_destroyed(fixture);
    assert_true(memory->bytes[KAFKA_ACCOUNT_HANDLES] == 0);
}

static void a_handle_that_is_not_destroyed_in_time_is_stuck(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_handles *handles = &fixture->handles;
    const int64_t now_ms = clock_now_ms();
    kafka_handles_end(handles, handle_new(fixture, 0), NULL, now_ms);
    assert_int_equal(kafka_handles_stuck(handles, now_ms + STUCK_MS - 1), 0);
    assert_int_equal(kafka_handles_stuck(handles, now_ms + STUCK_MS), 1);
    wait_until_destroyed(fixture);
    assert_int_equal(kafka_handles_stuck(handles, now_ms + STUCK_MS), 0);
}

/* The library checks them together. */
static void settings_that_exclude_each_other_are_a_mistake(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    char reason[256] = "";
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    rd_kafka_conf_set(settings, "fetch.max.bytes", "1", reason, sizeof(reason));
    assert_string_equal(reason, "");
    assert_null(kafka_handles_new_handle(&fixture->handles, settings, false, 5, &error));
    assert_int_equal(error.code, ERROR_INVALID);
    assert_non_null(strstr(error_text(&error), "fetch.max.bytes"));
    assert_null(fixture->handles.in_use);
    assert_true(fixture->memory.bytes[KAFKA_ACCOUNT_HANDLES] == 0);
}

/* For no group at all, which the library refuses. */
static void answer(rd_kafka_t *rk, rd_kafka_queue_t *queue)
{
    rd_kafka_DescribeConsumerGroups(rk, NULL, 0, NULL, queue);
}

static void what_comes_on_a_queue_makes_the_descriptor_readable(void **state)
{
    struct fixture *fixture = *state;
    rd_kafka_t *rk = handle_new(fixture, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    kafka_handles_signal(queue, fixture->event_fd);
    assert_false(is_readable(fixture, 0));
    answer(rk, queue);
    assert_true(is_readable(fixture, WITHIN_MS));
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WITHIN_MS);
    assert_non_null(event);
    rd_kafka_event_destroy(event);
    kafka_handles_end(&fixture->handles, rk, queue, clock_now_ms());
    wait_until_destroyed(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_handle_that_is_held_ends_with_its_last_holder),
        TEST(a_handle_that_was_released_stays_until_it_is_ended),
        TEST(a_handle_counts_until_it_is_destroyed),
        TEST(a_handle_that_is_not_destroyed_in_time_is_stuck),
        TEST(settings_that_exclude_each_other_are_a_mistake),
        TEST(what_comes_on_a_queue_makes_the_descriptor_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
