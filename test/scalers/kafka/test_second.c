/* When the second handle is made, renewed and ended, and what becomes of its calls. There is no
 * broker: a call is refused by the library, or hangs. */
#include "kafka/requests/second.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

enum {
    WITHIN_MS = 15000,
    STALE_MS = 500,
    RENEW_MS = 2000,
    IDLE_MS = 60 * 1000,
    MAX_MOVED = 16,
};

struct second {
    struct kafka_client client;
    struct kafka_serial *serial;
    struct kafka_second *second;
    rd_kafka_topic_partition_list_t *refused; /* the library takes no list without partitions */
};

static int set_up(void **state)
{
    struct second *fixture = memory_new(sizeof(*fixture));
    struct kafka_client *client = &fixture->client;
    client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->settings = rd_kafka_conf_new();
    client->memory.mappable_bytes = INFINITY;
    kafka_handles_open(&client->handles, &client->memory, client->event_fd);
    fixture->serial = kafka_serial_new(client, rd_kafka_event_error, "commit less");
    fixture->second = kafka_second_new(client, fixture->serial);
    fixture->refused = rd_kafka_topic_partition_list_new(0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct second *fixture = *state;
    kafka_second_free(fixture->second);
    kafka_serial_free(fixture->serial);
    rd_kafka_topic_partition_list_destroy(fixture->refused);
    assert_true(kafka_client_close(&fixture->client));
    free(fixture);
    return 0;
}

static void send_hanging(const struct second *fixture, struct kafka_commits_request *request,
                         int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    assert_true(kafka_second_send(fixture->second, request, NULL, now_ms, &error));
}

static void send_refused(const struct second *fixture, struct kafka_commits_request *request,
                         int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    assert_true(kafka_second_send(fixture->second, request, fixture->refused, now_ms, &error));
}

/* The call whose answer comes next. */
static struct kafka_commits_call *receive(const struct second *fixture)
{
    struct kafka_commits_call *call = NULL;
    rd_kafka_event_t *event = NULL;
    for (int i = 0; event == NULL && i < WITHIN_MS; i++) {
        usleep(1000);
        event = kafka_second_receive(fixture->second, &call);
    }
    assert_non_null(event);
    rd_kafka_event_destroy(event);
    return call;
}

static void the_handle_is_there_from_the_first_call_until_it_is_idle(void **state)
{
    struct second *fixture = *state;
    const struct kafka_handles *handles = &fixture->client.handles;
    struct kafka_commits_request request = {.group = "workers"};
    const int64_t now_ms = clock_now_ms();
    kafka_second_maintain(fixture->second, now_ms);
    assert_null(handles->in_use);
    send_refused(fixture, &request, now_ms);
    assert_non_null(handles->in_use);
    kafka_second_end(fixture->second, receive(fixture));
    kafka_second_maintain(fixture->second, now_ms + IDLE_MS - 1);
    assert_non_null(handles->in_use);
    kafka_second_maintain(fixture->second, now_ms + IDLE_MS);
    assert_null(handles->in_use);
}

static void a_handle_that_somebody_waits_for_is_not_idle(void **state)
{
    struct second *fixture = *state;
    struct kafka_commits_request request = {.group = "workers"};
    const int64_t now_ms = clock_now_ms();
    send_hanging(fixture, &request, now_ms);
    kafka_second_maintain(fixture->second, now_ms + KAFKA_MAX_CALL_MS);
    assert_non_null(fixture->client.handles.in_use);
    assert_null(fixture->client.handles.endings);
}

/* One that nobody waits for any more makes place for the next one by another handle. */
static void a_group_has_one_call_on_a_handle(void **state)
{
    struct second *fixture = *state;
    struct kafka_second *second = fixture->second;
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_commits_request others = {.group = "others"};
    const int64_t now_ms = clock_now_ms();
    const int64_t later_ms = now_ms + RENEW_MS;
    send_hanging(fixture, &request, now_ms);
    assert_false(kafka_second_is_free(second, "workers", later_ms));
    assert_true(kafka_second_is_free(second, "others", now_ms));
    assert_int_equal(kafka_second_next_ms(second, now_ms), CLOCK_NEVER);
    kafka_second_cancel(second, &others); /* which is not here */
    kafka_second_cancel(second, &request);
    assert_false(kafka_second_is_free(second, "workers", later_ms - 1));
    assert_int_equal(kafka_second_next_ms(second, now_ms), later_ms);
    assert_true(kafka_second_is_free(second, "workers", later_ms));
    assert_null(fixture->client.handles.endings);
    send_hanging(fixture, &request, later_ms);
    assert_non_null(fixture->client.handles.endings);
    assert_false(kafka_second_is_free(second, "workers", later_ms + RENEW_MS));
}

/* With more of them the process could lack memory for the next handle. */
static void a_handle_with_too_many_abandoned_partitions_takes_no_request(void **state)
{
    enum { WHOLE = KAFKA_COMMITS_MAX_ABANDONED + KAFKA_MEMORY_REQUEST };
    struct second *fixture = *state;
    struct kafka_second *second = fixture->second;
    const struct kafka_memory *memory = &fixture->client.memory;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_commits_request others = {.group = "others"};
    const int64_t now_ms = clock_now_ms();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    for (int32_t i = 0; i < KAFKA_COMMITS_MAX_ABANDONED; i++)
        rd_kafka_topic_partition_list_add(list, "jobs", i);
    assert_true(kafka_second_send(second, &request, list, now_ms, &error));
    rd_kafka_topic_partition_list_destroy(list);
    assert_true(kafka_second_is_free(second, "others", now_ms));
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_ABANDONED], 0, 0);
    kafka_second_cancel(second, &request);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_ABANDONED], WHOLE * KAFKA_MEMORY_PER_ABANDONED,
                       0);
    assert_false(kafka_second_is_free(second, "others", now_ms + RENEW_MS - 1));
    assert_true(kafka_second_is_free(second, "others", now_ms + RENEW_MS));
    /* They are the former handle's until it is gone. */
    const double handles_bytes = memory->bytes[KAFKA_ACCOUNT_HANDLES];
    send_hanging(fixture, &others, now_ms + RENEW_MS);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_ABANDONED], 0, 0);
    assert_float_equal(memory->bytes[KAFKA_ACCOUNT_HANDLES],
                       2 * handles_bytes + WHOLE * KAFKA_MEMORY_PER_ABANDONED, 0);
}

static void few_requests_of_other_handles_have_room(void **state)
{
    struct second *fixture = *state;
    struct kafka_commits_request requests[MAX_MOVED];
    char names[MAX_MOVED][16];
    const int64_t now_ms = clock_now_ms();
    for (int i = 0; i < MAX_MOVED; i++) {
        assert_true(kafka_second_has_room(fixture->second));
        snprintf(names[i], sizeof(names[i]), "g%d", i);
        requests[i] = (struct kafka_commits_request){.group = names[i]};
        send_hanging(fixture, &requests[i], now_ms);
    }
    assert_false(kafka_second_has_room(fixture->second));
    kafka_second_cancel(fixture->second, &requests[0]);
    assert_true(kafka_second_has_room(fixture->second));
}

/* The library would abort the process. */
static void a_request_fails_where_there_is_no_memory_for_the_handle(void **state)
{
    struct second *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request request = {.group = "workers"};
    const int64_t now_ms = clock_now_ms();
    fixture->client.memory.mappable_bytes = 0;
    kafka_client_note_brokers(&fixture->client, 25);
    assert_false(kafka_second_send(fixture->second, &request, NULL, now_ms, &error));
    assert_string_equal(error_text(&error),
                        "no memory for a further connection to each Kafka broker (there are 25): "
                        "a connection of the connections file has memory for more");
    assert_null(fixture->client.handles.in_use);
    assert_true(kafka_second_is_free(fixture->second, "workers", now_ms));
    fixture->client.memory.mappable_bytes = INFINITY;
    send_hanging(fixture, &request, now_ms);
}

/* The former handle is of no use to the group, whose call hangs there. */
static void a_handle_that_leaves_no_memory_for_the_next_one_ends(void **state)
{
    struct second *fixture = *state;
    struct kafka_second *second = fixture->second;
    struct kafka_handles *handles = &fixture->client.handles;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_commits_request others = {.group = "others"};
    const int64_t now_ms = clock_now_ms();
    const int64_t later_ms = now_ms + RENEW_MS;
    const struct kafka_memory *memory = &fixture->client.memory;
    /* With what the copies of the two calls take. */
    fixture->client.memory.mappable_bytes = kafka_memory_of_handle(memory) +
                                            kafka_memory_kept(memory) +
                                            2 * KAFKA_MEMORY_REQUEST * KAFKA_MEMORY_PER_ABANDONED;
    send_hanging(fixture, &request, now_ms);
    send_hanging(fixture, &others, now_ms);
    kafka_second_cancel(second, &request);
    assert_false(kafka_second_send(second, &request, NULL, later_ms, &error));
    assert_non_null(handles->in_use); /* the other group waits */
    kafka_second_cancel(second, &others);
    error_done(&error);
    assert_false(kafka_second_send(second, &request, NULL, later_ms, &error));
    assert_null(handles->in_use);
    for (int i = 0; kafka_handles_are_ending(handles) && i < WITHIN_MS; i++) {
        usleep(1000);
        kafka_handles_poll(handles);
    }
    send_hanging(fixture, &request, later_ms);
}

/* Its threads may be the ones that the next one lacked. */
static void the_next_handle_is_tried_at_once_when_the_former_one_has_ended(void **state)
{
    struct second *fixture = *state;
    struct kafka_client *client = &fixture->client;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request request = {.group = "workers"};
    const int64_t now_ms = clock_now_ms();
    const int64_t later_ms = now_ms + RENEW_MS;
    char reason[256];
    send_hanging(fixture, &request, now_ms);
    kafka_second_cancel(fixture->second, &request);
    rd_kafka_conf_t *good = client->settings;
    client->settings = rd_kafka_conf_new();
    rd_kafka_conf_set(client->settings, "security.protocol", "ssl", reason, sizeof(reason));
    rd_kafka_conf_set(client->settings, "ssl.ca.location", "/missing", reason, sizeof(reason));
    assert_false(kafka_second_send(fixture->second, &request, NULL, later_ms, &error));
    assert_null(client->handles.in_use);
    error_done(&error);
    assert_int_equal(kafka_client_side_retry_ms(client, later_ms), CLOCK_NEVER);
    /* There is none to end now. */
    assert_false(kafka_second_send(fixture->second, &request, NULL, later_ms, &error));
    assert_int_not_equal(kafka_client_side_retry_ms(client, later_ms), CLOCK_NEVER);
    rd_kafka_conf_destroy(client->settings);
    client->settings = good;
}

static void a_call_that_met_a_former_coordinator_is_sent_once_more(void **state)
{
    struct second *fixture = *state;
    struct kafka_second *second = fixture->second;
    struct kafka_commits_request request = {.group = "workers"};
    const int64_t now_ms = clock_now_ms();
    const int64_t later_ms = now_ms + STALE_MS;
    send_refused(fixture, &request, now_ms);
    assert_true(kafka_second_misdirected(second, receive(fixture)));
    assert_int_equal(kafka_second_next_ms(second, now_ms), later_ms);
    kafka_second_maintain(second, later_ms - 1);
    assert_null(fixture->client.handles.endings);
    kafka_second_maintain(second, later_ms); /* with another handle */
    assert_non_null(fixture->client.handles.endings);
    struct kafka_commits_call *call = receive(fixture);
    assert_ptr_equal(call->request, &request);
    assert_false(kafka_second_misdirected(second, call));
    kafka_second_end(second, call);
    assert_true(kafka_second_is_free(second, "workers", later_ms));
}

/* It takes a former coordinator of one group for the present one, and knows those of others. */
static void a_stale_handle_serves_other_groups_where_there_is_no_memory_for_the_next(void **state)
{
    struct second *fixture = *state;
    struct kafka_second *second = fixture->second;
    const struct kafka_handles *handles = &fixture->client.handles;
    struct kafka_commits_request request = {.group = "workers"};
    struct kafka_commits_request others = {.group = "others"};
    struct kafka_commits_request more = {.group = "more"};
    const int64_t now_ms = clock_now_ms();
    send_refused(fixture, &request, now_ms);
    assert_true(kafka_second_misdirected(second, receive(fixture)));
    fixture->client.memory.mappable_bytes = 0;
    send_hanging(fixture, &others, now_ms + STALE_MS);
    assert_null(handles->endings);
    fixture->client.memory.mappable_bytes = INFINITY;
    send_hanging(fixture, &more, now_ms + STALE_MS);
    assert_non_null(handles->endings);
}

static void a_call_that_nobody_waits_for_is_not_sent_again(void **state)
{
    struct second *fixture = *state;
    struct kafka_commits_request request = {.group = "workers"};
    send_refused(fixture, &request, clock_now_ms());
    kafka_second_cancel(fixture->second, &request);
    struct kafka_commits_call *call = receive(fixture);
    assert_false(kafka_second_misdirected(fixture->second, call));
    assert_int_equal(kafka_second_retry(fixture->second, call), KAFKA_SERIAL_FAILED);
    kafka_second_end(fixture->second, call);
}

/* The first one, which may be the reason. */
static void a_call_whose_reply_cannot_be_read_goes_on_with_the_serial_handle(void **state)
{
    struct second *fixture = *state;
    struct kafka_commits_request request = {.group = "workers"};
    const int64_t now_ms = clock_now_ms();
    send_refused(fixture, &request, now_ms);
    struct kafka_commits_call *call = receive(fixture);
    assert_int_equal(kafka_second_retry(fixture->second, call), KAFKA_SERIAL_MOVED);
    assert_int_equal(call->place, KAFKA_CALL_SERIAL);
    assert_ptr_equal(kafka_serial_first(fixture->serial), &call->serial);
    assert_true(kafka_second_is_free(fixture->second, "workers", now_ms));
    kafka_serial_cancel(fixture->serial, &call->serial); /* it is the test's now */
    kafka_commits_call_free(call);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_handle_is_there_from_the_first_call_until_it_is_idle),
        TEST(a_handle_that_somebody_waits_for_is_not_idle),
        TEST(a_group_has_one_call_on_a_handle),
        TEST(a_handle_with_too_many_abandoned_partitions_takes_no_request),
        TEST(few_requests_of_other_handles_have_room),
        TEST(a_request_fails_where_there_is_no_memory_for_the_handle),
        TEST(a_handle_that_leaves_no_memory_for_the_next_one_ends),
        TEST(the_next_handle_is_tried_at_once_when_the_former_one_has_ended),
        TEST(a_call_that_met_a_former_coordinator_is_sent_once_more),
        TEST(a_stale_handle_serves_other_groups_where_there_is_no_memory_for_the_next),
        TEST(a_call_that_nobody_waits_for_is_not_sent_again),
        TEST(a_call_whose_reply_cannot_be_read_goes_on_with_the_serial_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
