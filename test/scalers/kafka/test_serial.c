/* Which request is under way, and which groups are remembered. Their answers are errors of the
 * library, which come without a broker. */
#include "kafka/requests/serial.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

enum { REQUESTS = 3, SEVERAL_MS = 60 * 1000, HANGS_MS = 2000 };

struct request {
    struct kafka_serial_request base; /* first */
    int sent;                         /* so often */
    bool hangs;
};

struct serial {
    struct kafka_client client;
    struct kafka_serial *serial;
    struct request requests[REQUESTS];
};

/* For no group at all, which the library refuses. */
static void send_refused(const struct kafka_serial_request *base, rd_kafka_t *rk,
                         rd_kafka_queue_t *answers)
{
    struct request *request = (struct request *)base;
    request->sent++;
    if (!request->hangs)
        rd_kafka_DescribeConsumerGroups(rk, NULL, 0, NULL, answers);
}

static int set_up(void **state)
{
    struct serial *fixture = memory_new(sizeof(*fixture));
    fixture->client.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fixture->client.settings = rd_kafka_conf_new();
    kafka_handles_open(&fixture->client.handles, fixture->client.event_fd);
    fixture->serial = kafka_serial_new(&fixture->client);
    for (size_t i = 0; i < REQUESTS; i++)
        fixture->requests[i].base.send = send_refused;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct serial *fixture = *state;
    kafka_serial_free(fixture->serial);
    assert_true(kafka_client_close(&fixture->client));
    free(fixture);
    return 0;
}

static void add_all(struct serial *fixture)
{
    for (size_t i = 0; i < REQUESTS; i++)
        kafka_serial_add(fixture->serial, &fixture->requests[i].base);
}

static void assert_sent(const struct serial *fixture, int first, int second, int third)
{
    assert_int_equal(fixture->requests[0].sent, first);
    assert_int_equal(fixture->requests[1].sent, second);
    assert_int_equal(fixture->requests[2].sent, third);
}

static void receive(struct serial *fixture)
{
    rd_kafka_event_t *event = NULL;
    for (int i = 0; event == NULL && i < SEVERAL_MS; i++) {
        usleep(1000);
        event = kafka_serial_receive(fixture->serial);
    }
    assert_non_null(event);
    rd_kafka_event_destroy(event);
}

static void one_request_is_under_way_at_a_time(void **state)
{
    struct serial *fixture = *state;
    const int64_t now_ms = clock_now_ms();
    add_all(fixture);
    assert_sent(fixture, 0, 0, 0);
    for (int i = 0; i < REQUESTS; i++) {
        kafka_serial_maintain(fixture->serial, now_ms);
        kafka_serial_maintain(fixture->serial, now_ms);
        assert_sent(fixture, 1, i >= 1, i >= 2);
        receive(fixture);
    }
    assert_null(kafka_serial_receive(fixture->serial));
    /* The handle ends with the last one. */
    assert_non_null(fixture->client.handles.in_use);
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_null(fixture->client.handles.in_use);
}

static void a_request_that_hangs_gives_way_to_the_others(void **state)
{
    struct serial *fixture = *state;
    const int64_t now_ms = clock_now_ms();
    fixture->requests[0].hangs = true;
    add_all(fixture);
    assert_int_equal(kafka_serial_next_ms(fixture->serial), CLOCK_NEVER);
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_int_equal(kafka_serial_next_ms(fixture->serial), now_ms + HANGS_MS);
    kafka_serial_maintain(fixture->serial, now_ms + HANGS_MS - 1);
    assert_sent(fixture, 1, 0, 0);
    kafka_serial_maintain(fixture->serial, now_ms + HANGS_MS);
    assert_sent(fixture, 1, 1, 0);
    assert_non_null(fixture->client.handles.endings); /* the former handle */
    receive(fixture);
    kafka_serial_maintain(fixture->serial, now_ms + HANGS_MS);
    receive(fixture);
    kafka_serial_maintain(fixture->serial, now_ms + HANGS_MS);
    assert_sent(fixture, 2, 1, 1);
}

/* Its answer is not taken for that of the next one. */
static void an_answer_to_a_request_that_was_cancelled_does_not_come(void **state)
{
    struct serial *fixture = *state;
    const int64_t now_ms = clock_now_ms();
    fixture->requests[2].hangs = true;
    add_all(fixture);
    kafka_serial_cancel(fixture->serial, &fixture->requests[1].base, now_ms);
    kafka_serial_maintain(fixture->serial, now_ms);
    kafka_serial_cancel(fixture->serial, &fixture->requests[0].base, now_ms);
    assert_int_equal(kafka_serial_next_ms(fixture->serial), CLOCK_NEVER);
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_sent(fixture, 1, 0, 1);
    usleep(100 * 1000);
    assert_null(kafka_serial_receive(fixture->serial));
}

static void few_requests_wait(void **state)
{
    enum { MAX_WAITING = 16 };
    struct serial *fixture = *state;
    struct kafka_serial_request requests[MAX_WAITING];
    for (size_t i = 0; i < MAX_WAITING; i++) {
        assert_true(kafka_serial_has_room(fixture->serial));
        kafka_serial_add(fixture->serial, &requests[i]);
    }
    assert_false(kafka_serial_has_room(fixture->serial));
    for (size_t i = 0; i < MAX_WAITING; i++)
        kafka_serial_cancel(fixture->serial, &requests[i], 1);
    assert_true(kafka_serial_has_room(fixture->serial));
}

static void a_group_is_suspended_for_minutes_and_remembered_for_more(void **state)
{
    enum { NOTED_MS = 1000, SUSPENDED_MS = 5 * 60 * 1000 };
    const rd_kafka_resp_err_t too_long = RD_KAFKA_RESP_ERR__BAD_MSG;
    struct serial *fixture = *state;
    struct kafka_serial *serial = fixture->serial;
    assert_false(kafka_serial_has(serial, "workers"));
    kafka_serial_note(serial, "workers", RD_KAFKA_RESP_ERR_NO_ERROR, NOTED_MS);
    assert_false(kafka_serial_has(serial, "workers"));
    kafka_serial_note(serial, "workers", too_long, 1);
    kafka_serial_note(serial, "workers", too_long, NOTED_MS);
    assert_true(kafka_serial_is_suspended(serial, "workers", NOTED_MS + SUSPENDED_MS - 1));
    assert_false(kafka_serial_is_suspended(serial, "workers", NOTED_MS + SUSPENDED_MS));
    assert_false(kafka_serial_is_suspended(serial, "others", NOTED_MS));
    kafka_serial_maintain(serial, NOTED_MS + KAFKA_FORGET_MS - 1);
    assert_true(kafka_serial_has(serial, "workers"));
    assert_false(kafka_serial_has(serial, "others"));
    /* What is no reply says nothing of its length. */
    kafka_serial_note(serial, "workers", RD_KAFKA_RESP_ERR__TRANSPORT, NOTED_MS);
    assert_true(kafka_serial_has(serial, "workers"));
    kafka_serial_maintain(serial, NOTED_MS + KAFKA_FORGET_MS);
    assert_false(kafka_serial_has(serial, "workers"));
    kafka_serial_note(serial, "workers", too_long, NOTED_MS);
    kafka_serial_note(serial, "workers", RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, NOTED_MS);
    assert_false(kafka_serial_has(serial, "workers"));
    kafka_serial_note(serial, "workers", too_long, NOTED_MS); /* freed with it */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_request_is_under_way_at_a_time),
        TEST(a_request_that_hangs_gives_way_to_the_others),
        TEST(an_answer_to_a_request_that_was_cancelled_does_not_come),
        TEST(few_requests_wait),
        TEST(a_group_is_suspended_for_minutes_and_remembered_for_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
