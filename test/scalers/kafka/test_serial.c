/* Which request is under way, and which groups are remembered. Their answers are errors of the
 * library, which come without a broker. */
#include "kafka/requests/serial.h"

#include "base/clock.h"
#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

enum { REQUESTS = 3, MAX_WAITING = 16, SEVERAL_MS = 60 * 1000, HANGS_MS = 2000 };

struct request {
    struct kafka_serial_request base; /* first */
    int sent;                         /* so often */
    bool hangs;
};

/* Of each answer. */
static rd_kafka_resp_err_t answer_error;

struct serial {
    struct kafka_client client;
    struct kafka_serial *serial;
    struct request requests[REQUESTS];
};

/* For no group at all, which the library refuses. */
static double send_refused(struct kafka_serial_request *base, rd_kafka_t *rk,
                           rd_kafka_queue_t *answers)
{
    struct request *request = (struct request *)base;
    request->sent++;
    if (!request->hangs)
        rd_kafka_DescribeConsumerGroups(rk, NULL, 0, NULL, answers);
    return 0;
}

static rd_kafka_resp_err_t error_of(rd_kafka_event_t *answer)
{
    (void)answer;
    return answer_error;
}

static int set_up(void **state)
{
    static const char *const groups[REQUESTS] = {"workers", "others", "more"};
    struct serial *fixture = memory_new(sizeof(*fixture));
    fixture->client.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fixture->client.settings = rd_kafka_conf_new();
    fixture->client.memory.mappable_bytes = INFINITY;
    kafka_handles_open(&fixture->client.handles, &fixture->client.memory, fixture->client.event_fd);
    fixture->serial = kafka_serial_new(&fixture->client, error_of, "set less");
    for (size_t i = 0; i < REQUESTS; i++) {
        fixture->requests[i].base.send = send_refused;
        fixture->requests[i].base.group = groups[i];
    }
    answer_error = RD_KAFKA_RESP_ERR_NO_ERROR;
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

/* The answer to this request; NULL: to one that was cancelled. */
static void receive(struct serial *fixture, const struct request *expected, int64_t now_ms)
{
    rd_kafka_event_t *event = NULL;
    struct kafka_serial_request *answered = NULL;
    for (int i = 0; event == NULL && i < SEVERAL_MS; i++) {
        usleep(1000);
        event = kafka_serial_receive(fixture->serial, &answered, now_ms);
    }
    assert_non_null(event);
    assert_ptr_equal(answered, expected); /* whose first member it is */
    rd_kafka_event_destroy(event);
}

static void answer(struct serial *fixture, struct request *request, rd_kafka_resp_err_t error,
                   int64_t now_ms)
{
    answer_error = error;
    kafka_serial_add(fixture->serial, &request->base);
    kafka_serial_maintain(fixture->serial, now_ms);
    receive(fixture, request, now_ms);
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
        for (int other = i; other < REQUESTS; other++)
            assert_int_equal(
                kafka_serial_is_waiting(fixture->serial, &fixture->requests[other].base),
                other > i);
        receive(fixture, &fixture->requests[i], now_ms);
    }
    /* The handle ends with the last one. */
    assert_non_null(fixture->client.handles.in_use);
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_null(fixture->client.handles.in_use);
}

/* Nor is one made that the process would not survive. */
static void requests_wait_while_there_is_no_memory_for_the_handle(void **state)
{
    struct serial *fixture = *state;
    const int64_t now_ms = clock_now_ms();
    fixture->client.memory.mappable_bytes = 0;
    kafka_client_note_brokers(&fixture->client, 25);
    kafka_serial_add(fixture->serial, &fixture->requests[0].base);
    assert_false(error_is_set(kafka_serial_failure(fixture->serial)));
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_sent(fixture, 0, 0, 0);
    assert_null(fixture->client.handles.in_use);
    assert_true(kafka_serial_is_waiting(fixture->serial, &fixture->requests[0].base));
    assert_string_equal(error_text(kafka_serial_failure(fixture->serial)),
                        "no memory for a further connection to each Kafka broker (there are 25): "
                        "a connection of the connections file has memory for more");
    fixture->client.memory.mappable_bytes = INFINITY;
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_sent(fixture, 1, 0, 0);
    assert_false(error_is_set(kafka_serial_failure(fixture->serial)));
    receive(fixture, &fixture->requests[0], now_ms);
}

/* The library makes none, whose reason stays until the next attempt. */
static void the_handle_is_not_tried_again_soon(void **state)
{
    enum { RETRY_MS = 500 };
    struct serial *fixture = *state;
    const int64_t now_ms = clock_now_ms();
    char reason[256];
    rd_kafka_conf_t *good = fixture->client.settings;
    fixture->client.settings = rd_kafka_conf_new();
    rd_kafka_conf_set(fixture->client.settings, "security.protocol", "ssl", reason, sizeof(reason));
    rd_kafka_conf_set(fixture->client.settings, "ssl.ca.location", "/missing", reason,
                      sizeof(reason));
    add_all(fixture);
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_true(error_is_set(kafka_serial_failure(fixture->serial)));
    rd_kafka_conf_destroy(fixture->client.settings);
    fixture->client.settings = good;
    kafka_serial_maintain(fixture->serial, now_ms + RETRY_MS - 1);
    assert_sent(fixture, 0, 0, 0);
    assert_non_null(strstr(error_text(kafka_serial_failure(fixture->serial)), "ssl.ca.location"));
    kafka_serial_maintain(fixture->serial, now_ms + RETRY_MS);
    assert_sent(fixture, 1, 0, 0);
    assert_false(error_is_set(kafka_serial_failure(fixture->serial)));
    receive(fixture, &fixture->requests[0], now_ms);
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
    receive(fixture, &fixture->requests[1], now_ms);
    kafka_serial_maintain(fixture->serial, now_ms + HANGS_MS);
    receive(fixture, &fixture->requests[2], now_ms);
    kafka_serial_maintain(fixture->serial, now_ms + HANGS_MS);
    assert_sent(fixture, 2, 1, 1);
}

/* Its answer is not taken for that of the next one, and is noted. */
static void an_answer_to_a_request_that_was_cancelled_is_nobodys(void **state)
{
    struct serial *fixture = *state;
    const int64_t now_ms = clock_now_ms();
    answer_error = RD_KAFKA_RESP_ERR__BAD_MSG;
    add_all(fixture);
    kafka_serial_cancel(fixture->serial, &fixture->requests[1].base);
    kafka_serial_maintain(fixture->serial, now_ms);
    kafka_serial_cancel(fixture->serial, &fixture->requests[0].base);
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_sent(fixture, 1, 0, 0);
    assert_null(kafka_serial_reason_suspended(fixture->serial, "workers", now_ms));
    receive(fixture, NULL, now_ms);
    assert_non_null(kafka_serial_reason_suspended(fixture->serial, "workers", now_ms));
    assert_false(kafka_serial_remembers(fixture->serial, "others")); /* it was not even sent */
    kafka_serial_maintain(fixture->serial, now_ms);
    assert_sent(fixture, 1, 0, 1);
    receive(fixture, &fixture->requests[2], now_ms);
}

/* Its next one does not close the connection of others, however long this one takes. */
static void a_group_whose_request_was_sent_comes_again(void **state)
{
    struct serial *fixture = *state;
    const int64_t now_ms = clock_now_ms();
    fixture->requests[0].hangs = true;
    add_all(fixture);
    assert_false(kafka_serial_remembers(fixture->serial, "workers"));
    kafka_serial_maintain(fixture->serial, now_ms);
    kafka_serial_cancel(fixture->serial, &fixture->requests[0].base);
    assert_int_equal(kafka_serial_next_ms(fixture->serial), now_ms + HANGS_MS);
    kafka_serial_maintain(fixture->serial, now_ms + HANGS_MS);
    assert_sent(fixture, 1, 1, 0);
    assert_true(kafka_serial_remembers(fixture->serial, "workers"));
    assert_null(kafka_serial_reason_suspended(fixture->serial, "workers", now_ms));
    fixture->requests[0].hangs = false;
    for (size_t i = 1; i < REQUESTS; i++) {
        receive(fixture, &fixture->requests[i], now_ms);
        kafka_serial_maintain(fixture->serial, now_ms);
    }
    answer(fixture, &fixture->requests[0], RD_KAFKA_RESP_ERR_NO_ERROR, now_ms);
    assert_false(kafka_serial_remembers(fixture->serial, "workers"));
}

/* ---- which requests ---- */

static double count_sent(struct kafka_serial_request *base, rd_kafka_t *rk,
                         rd_kafka_queue_t *answers)
{
    (void)rk;
    (void)answers;
    ((struct request *)base)->sent++;
    return 0;
}

/* That are sent elsewhere. The caller frees them. */
static struct request *elsewhere_new(const struct serial *fixture, size_t count)
{
    struct request *requests = memory_array(count, sizeof(*requests));
    for (size_t i = 0; i < count; i++) {
        requests[i].base.send = count_sent;
        kafka_serial_note_sent(fixture->serial, &requests[i].base);
    }
    return requests;
}

static enum kafka_serial_outcome retry(struct serial *fixture, struct request *request)
{
    return kafka_serial_retry(fixture->serial, &request->base, NULL, NULL);
}

/* Of the rest, each round finds another one: the first that fails, although many wait. */
static void few_requests_come_each_time_a_connection_closes(void **state)
{
    enum { ALL = 40 };
    struct serial *fixture = *state;
    _cleanup_(memory_free) struct request *requests = elsewhere_new(fixture, ALL);
    for (int round = 1; round <= 2; round++)
        for (size_t i = round == 1 ? 0 : MAX_WAITING; i < ALL; i++) {
            bool is_here = i < MAX_WAITING || (round == 2 && i == MAX_WAITING);
            assert_int_equal(retry(fixture, &requests[i]),
                             is_here ? KAFKA_SERIAL_MOVED : KAFKA_SERIAL_SENT_AGAIN);
            assert_int_equal(requests[i].base.is_here, is_here);
            assert_int_equal(requests[i].sent, is_here ? round - 1 : round);
        }
    for (size_t i = 0; i <= MAX_WAITING; i++)
        kafka_serial_cancel(fixture->serial, &requests[i].base);
}

static void a_request_that_always_meets_others_fails(void **state)
{
    enum { TRIES = 5, ALL = MAX_WAITING + 2 * TRIES };
    struct serial *fixture = *state;
    _cleanup_(memory_free) struct request *requests = elsewhere_new(fixture, ALL);
    size_t first = 0;
    for (int round = 1; round <= TRIES; round++) {
        size_t here = first;
        for (size_t i = first; i < ALL; i++) {
            enum kafka_serial_outcome outcome = retry(fixture, &requests[i]);
            here += outcome == KAFKA_SERIAL_MOVED;
            assert_int_equal(outcome == KAFKA_SERIAL_FAILED,
                             !requests[i].base.is_here && round == TRIES);
        }
        first = here;
    }
    assert_int_equal(first, MAX_WAITING + TRIES - 1);
    for (size_t i = 0; i < first; i++)
        kafka_serial_cancel(fixture->serial, &requests[i].base);
}

/* Whose reply it is: the group's own, or that of others at its broker. */
static void a_reply_that_is_too_long_has_its_reason(void **state)
{
    struct serial *fixture = *state;
    const char *own = "they are longer than 4 MiB, or malformed: set less";
    answer(fixture, &fixture->requests[0], RD_KAFKA_RESP_ERR__BAD_MSG, 1);
    assert_string_equal(kafka_serial_reason_unreadable(fixture->serial, "workers"), own);
    assert_string_equal(kafka_serial_reason_suspended(fixture->serial, "workers", 1), own);
    assert_string_equal(kafka_serial_reason_unreadable(fixture->serial, "others"),
                        "those of too many groups of its coordinator are longer than 4 MiB, or "
                        "malformed; retrying");
}

static void a_group_is_suspended_for_minutes_and_remembered_for_more(void **state)
{
    enum { NOTED_MS = 1000, SUSPENDED_MS = 5 * 60 * 1000 };
    const rd_kafka_resp_err_t too_long = RD_KAFKA_RESP_ERR__BAD_MSG;
    struct serial *fixture = *state;
    struct kafka_serial *serial = fixture->serial;
    struct request *request = &fixture->requests[0];
    answer(fixture, request, RD_KAFKA_RESP_ERR_NO_ERROR, NOTED_MS);
    assert_false(kafka_serial_remembers(serial, "workers"));
    answer(fixture, request, too_long, 1);
    answer(fixture, request, too_long, NOTED_MS);
    assert_non_null(kafka_serial_reason_suspended(serial, "workers", NOTED_MS + SUSPENDED_MS - 1));
    assert_null(kafka_serial_reason_suspended(serial, "workers", NOTED_MS + SUSPENDED_MS));
    assert_null(kafka_serial_reason_suspended(serial, "others", NOTED_MS));
    kafka_serial_maintain(serial, NOTED_MS + KAFKA_FORGET_MS - 1);
    assert_true(kafka_serial_remembers(serial, "workers"));
    assert_false(kafka_serial_remembers(serial, "others"));
    kafka_serial_maintain(serial, NOTED_MS + KAFKA_FORGET_MS);
    assert_false(kafka_serial_remembers(serial, "workers"));
    answer(fixture, request, too_long, NOTED_MS); /* freed with it */
}

/* An error has no commits, and no members. */
static void an_error_says_nothing_of_the_length_of_a_reply(void **state)
{
    static const rd_kafka_resp_err_t errors[] = {
        RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED};
    struct serial *fixture = *state;
    struct request *request = &fixture->requests[0];
    answer(fixture, request, RD_KAFKA_RESP_ERR__BAD_MSG, 1);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        answer(fixture, request, errors[i], 2);
        assert_non_null(kafka_serial_reason_suspended(fixture->serial, "workers", 2));
    }
    answer(fixture, request, RD_KAFKA_RESP_ERR_NO_ERROR, 2);
    assert_false(kafka_serial_remembers(fixture->serial, "workers"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_request_is_under_way_at_a_time),
        TEST(requests_wait_while_there_is_no_memory_for_the_handle),
        TEST(the_handle_is_not_tried_again_soon),
        TEST(a_request_that_hangs_gives_way_to_the_others),
        TEST(an_answer_to_a_request_that_was_cancelled_is_nobodys),
        TEST(a_group_whose_request_was_sent_comes_again),
        TEST(few_requests_come_each_time_a_connection_closes),
        TEST(a_request_that_always_meets_others_fails),
        TEST(a_reply_that_is_too_long_has_its_reason),
        TEST(a_group_is_suspended_for_minutes_and_remembered_for_more),
        TEST(an_error_says_nothing_of_the_length_of_a_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
