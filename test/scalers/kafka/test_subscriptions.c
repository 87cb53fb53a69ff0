/* Subscriptions to the end of partitions, against librdkafka's mock cluster. */
#include "kafka/requests/subscriptions.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/memory.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static uint64_t lost; /* the sum of their ids */

static void on_notification(void *context, uint64_t id)
{
    uint64_t *notified = context;
    *notified = id;
}

static void on_loss(void *context, uint64_t id)
{
    (void)context;
    lost += id;
}

static void receive_until(struct kafka_subscriptions *subscriptions, const uint64_t *notified,
                          int64_t now_ms)
{
    for (int i = 0; *notified == 0 && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        kafka_subscriptions_receive(subscriptions, now_ms);
    }
}

static struct kafka_session *connect_with_jobs(struct kafka_mock *fixture)
{
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    return fixture->client;
}

static void a_message_notifies_while_a_group_hangs(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *query = kafka_mock_query(fixture, "workers", "jobs", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    assert_true(test_feed_task(fixture->feed, 0)->subscribed);
    assert_int_equal(notified, 0);

    const void *silent = kafka_mock_query(fixture, "silent", "jobs", 3);
    kafka_mock_hang(fixture, 3, true);
    kafka_mock_produce(fixture, "jobs", 1);
    for (size_t task = 1; task == 1 || (task < 10 && notified == 0); task++) { /* a busy machine */
        kafka_mock_add(fixture, silent);
        test_feed_set_timeout(fixture->feed, 2000);
        assert_true(kafka_mock_measure(fixture));
        assert_ended_with(fixture->feed, task, TASK_TIMED_OUT, "Kafka group silent");
    }
    assert_int_equal(notified, 7);
}

/* Which topics it will commit is not known: it is polled. */
static void a_group_without_commits_is_not_subscribed_to(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *query = kafka_mock_query_of_group(fixture, "workers", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    const struct test_task *task = test_feed_task(fixture->feed, 0);
    assert_true(task->ended && task->outcome == TASK_ANSWERED && task->reading.waiting == 0);
    assert_false(task->subscribed);
    assert_string_equal(error_text(&task->subscribe_error),
                        "Kafka group workers has committed no offsets: nothing to subscribe to");
}

/* Each refusal notifies, and the measurement that follows would subscribe again at once. */
static void a_topic_that_we_may_not_read_is_tried_again_after_50_seconds(void **state)
{
    enum { FETCH = 1, AGAIN_MS = 50 * 1000 };
    struct kafka_mock *fixture = *state;
    static uint64_t notified;
    notified = 0;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "mails", 2);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_subscriptions *subscriptions =
        ((struct kafka_session *)fixture->client)->subscriptions;
    const struct notifier notifier = {.notify = on_notification, .context = &notified, .id = 7};
    const struct kafka_position jobs = {"jobs", 0, 0}; /* at the end that comes before an error */
    const struct kafka_position mails = {"mails", 0, KAFKA_MOCK_MESSAGES};
    const int64_t denied_ms = clock_now_ms();
    rd_kafka_mock_push_request_errors(fixture->cluster, FETCH, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_true(kafka_subscriptions_add(subscriptions, &notifier, &jobs, 1, denied_ms, &error));
    receive_until(subscriptions, &notified, denied_ms);
    assert_int_equal(notified, 7);

    for (int64_t after_ms = 0; after_ms < AGAIN_MS; after_ms += AGAIN_MS - 1) {
        assert_false(kafka_subscriptions_add(subscriptions, &notifier, &jobs, 1,
                                             denied_ms + after_ms, &error));
        assert_int_equal(error.code, ERROR_DENIED);
        assert_string_equal(error_text(&error), "subscribing needs READ of Kafka topic jobs");
        error_done(&error);
        assert_true(kafka_subscriptions_is_empty(subscriptions));
    }
    const struct notifier other = {.notify = on_notification, .context = &notified, .id = 8};
    assert_true(kafka_subscriptions_add(subscriptions, &other, &mails, 1, denied_ms, &error));
    kafka_subscriptions_remove(subscriptions, other.id);
    assert_true(
        kafka_subscriptions_add(subscriptions, &notifier, &jobs, 1, denied_ms + AGAIN_MS, &error));
    notified = 0;
    receive_until(subscriptions, &notified, denied_ms + AGAIN_MS);
    assert_int_equal(notified, 7);
}

/* Its reading was older: a message of before the other one's is news to it. */
static void a_subscription_from_an_earlier_end_is_notified(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t early = 0;
    uint64_t late = 0;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_session *session = connect_with_jobs(fixture);
    const struct kafka_position end = {"jobs", 0, KAFKA_MOCK_MESSAGES};
    const struct kafka_position before = {"jobs", 0, KAFKA_MOCK_MESSAGES - 1};
    assert_true(kafka_subscriptions_add(session->subscriptions,
                                        &(struct notifier){on_notification, &late, 7}, &end, 1,
                                        clock_now_ms(), &error));
    assert_true(kafka_subscriptions_add(session->subscriptions,
                                        &(struct notifier){on_notification, &early, 8}, &before, 1,
                                        clock_now_ms(), &error));
    receive_until(session->subscriptions, &early, clock_now_ms());
    assert_int_equal(early, 8);
}

static void count_notification(void *context, uint64_t id)
{
    uint64_t *count = context;
    (void)id;
    ++*count;
}

static void a_partition_that_is_named_twice_notifies_once(void **state)
{
    struct kafka_mock *fixture = *state;
    /* Nothing takes a loss here: the end of the session notifies, when this function is over. */
    static uint64_t notified;
    notified = 0;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_subscriptions *subscriptions = connect_with_jobs(fixture)->subscriptions;
    const struct kafka_position twice[] = {{"jobs", 0, KAFKA_MOCK_MESSAGES},
                                           {"jobs", 0, KAFKA_MOCK_MESSAGES}};
    assert_true(kafka_subscriptions_add(subscriptions,
                                        &(struct notifier){count_notification, &notified, 7}, twice,
                                        ARRAY_LENGTH(twice), clock_now_ms(), &error));
    kafka_mock_produce(fixture, "jobs", 1);
    receive_until(subscriptions, &notified, clock_now_ms());
    assert_int_equal(notified, 1);
    assert_true(kafka_subscriptions_is_empty(subscriptions));
}

/* The partition is read from an earlier offset for the second one; the library refuses, and nobody
 * reads it any more. */
static void a_subscription_whose_partition_is_not_read_any_more_is_lost(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t early = 0;
    uint64_t late = 0;
    uint64_t other = 0;
    lost = 0;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "mails", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_subscriptions *subscriptions = session->subscriptions;
    const struct kafka_position end[] = {{"jobs", 0, KAFKA_MOCK_MESSAGES},
                                         {"mails", 0, KAFKA_MOCK_MESSAGES}};
    const struct kafka_position refused[] = {{"mails", 0, KAFKA_MOCK_MESSAGES}, {"jobs", 0, -5}};
    assert_true(kafka_subscriptions_add(subscriptions,
                                        &(struct notifier){on_notification, &late, 7, on_loss}, end,
                                        2, clock_now_ms(), &error));
    assert_true(kafka_subscriptions_add(subscriptions,
                                        &(struct notifier){on_notification, &other, 9, on_loss},
                                        &end[1], 1, clock_now_ms(), &error));
    assert_false(kafka_subscriptions_add(subscriptions,
                                         &(struct notifier){on_notification, &early, 8, on_loss},
                                         refused, 2, clock_now_ms(), &error));
    assert_non_null(strstr(error_text(&error), "cannot subscribe to Kafka topic jobs"));
    assert_int_equal(lost, 7);
    assert_int_equal(late + early + other, 0);
    /* It is read again for whoever comes next. */
    assert_true(kafka_subscriptions_add(subscriptions,
                                        &(struct notifier){on_notification, &late, 7, on_loss}, end,
                                        1, clock_now_ms(), &error));
    kafka_mock_produce(fixture, "jobs", 1);
    receive_until(subscriptions, &late, clock_now_ms());
    assert_int_equal(late, 7);
    assert_int_equal(other, 0);
    /* So is one whose handle ends. */
    kafka_subscriptions_drop(subscriptions, clock_now_ms());
    assert_int_equal(lost, 7 + 9);
    assert_int_equal(other, 0);
}

/* Not even those that there is a place for: to stop reading them takes long. */
static void of_too_many_partitions_none_is_read(void **state)
{
    enum { TOO_MANY = 5001 };
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    _cleanup_(error_done) struct error error = {0};
    static struct kafka_position positions[TOO_MANY];
    for (int32_t i = 0; i < TOO_MANY; i++)
        positions[i] = (struct kafka_position){"jobs", i, 0};
    struct kafka_subscriptions *subscriptions = connect_with_jobs(fixture)->subscriptions;
    assert_false(kafka_subscriptions_add(subscriptions,
                                         &(struct notifier){on_notification, &notified, 7},
                                         positions, TOO_MANY, clock_now_ms(), &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_string_equal(error_text(&error), "at most 5000 Kafka partitions are subscribed to");
    assert_true(kafka_subscriptions_is_empty(subscriptions));
    assert_int_equal(kafka_subscriptions_descriptor(subscriptions), -1);
}

/* Subscribes to the first partitions of the topic. */
static bool subscribe(struct kafka_session *session, uint64_t id, const char *topic, size_t count,
                      struct error *error)
{
    static uint64_t notified;
    const struct notifier notifier = {on_notification, &notified, id, on_loss};
    _cleanup_(memory_free) struct kafka_position *positions =
        memory_array(count, sizeof(*positions));
    for (size_t i = 0; i < count; i++)
        positions[i] = (struct kafka_position){topic, (int32_t)i, KAFKA_MOCK_MESSAGES};
    return kafka_subscriptions_add(session->subscriptions, &notifier, positions, count,
                                   clock_now_ms(), error);
}

static void assert_no_memory(struct kafka_session *session, const char *topic, size_t count)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *words =
        text_format("no memory to subscribe to Kafka topic %s: ", topic);
    assert_false(subscribe(session, 9, topic, count, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_non_null(strstr(error_text(&error), words));
}

/* From now on there is memory for as much, and for a little more at most. */
static void leave_memory_for(struct kafka_client *client, double bytes)
{
    enum { STEP = 100 };
    client->memory.mappable_bytes = kafka_mock_taken(client);
    while (!kafka_memory_has_for_fetchers(&client->memory, bytes))
        client->memory.mappable_bytes += STEP;
}

static void wait_until_gone(struct kafka_handles *handles)
{
    for (int i = 0; handles->endings != NULL && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        kafka_handles_poll(handles);
    }
    assert_null(handles->endings);
}

/* As they do beside topics that are small. */
static void subscriptions_leave_memory_for_measurements(void **state)
{
    struct kafka_mock *fixture = *state;
    static const struct {
        double mappable_mib;
        size_t brokers;
        size_t places;
    } rows[] = {
        {90, 25, 2750}, {25, 3, 1750}, {22, 25, 250}, {7, 130, 0}, /* as they leave of 28 MiB */
        {-1, 3, 0},
    };
    _cleanup_(error_done) struct error error = {0};
    struct kafka_session *session = connect_with_jobs(fixture);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        session->client.memory.mappable_bytes = rows[i].mappable_mib * (1 << 20);
        session->client.memory.brokers = session->client.memory.first_brokers = rows[i].brokers;
        assert_no_memory(session, "jobs", rows[i].places + 1);
        assert_null(session->client.handles.endings);
        assert_float_equal(session->client.memory.bytes[KAFKA_ACCOUNT_FETCHERS], 0, 0);
        if (rows[i].places > 0)
            assert_true(subscribe(session, 7, "jobs", rows[i].places, &error));
        kafka_subscriptions_drop(session->subscriptions, clock_now_ms());
        wait_until_gone(&session->client.handles);
    }
}

/* Connects, and measures the topics, so that the numbers of their partitions are known. */
static struct kafka_session *measure_topics(struct kafka_mock *fixture, const char *topics)
{
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", topics, 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    assert_true(session->client.memory.partitions > 0);
    return session;
}

/* The library keeps all partitions of a topic in each handle that has the topic. */
static void a_handle_has_memory_for_all_partitions_of_its_topics(void **state)
{
    enum { LARGE = 1000, OF_ONE_HANDLE = 250, HANDLES = 4 };
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_create_topic(fixture, "large", LARGE, 1);
    kafka_mock_add_topic(fixture, "jobs", 1);
    struct kafka_session *session = measure_topics(fixture, "large,jobs");
    struct kafka_client *client = &session->client;
    const double others_bytes = client->memory.bytes[KAFKA_ACCOUNT_FETCHERS];
    const size_t places = (size_t)HANDLES * OF_ONE_HANDLE;
    /* What 28 MiB leave beside the main handle has room for four. */
    client->memory.mappable_bytes = others_bytes + (25 << 20);
    assert_no_memory(session, "large", places + 1);
    assert_float_equal(client->memory.bytes[KAFKA_ACCOUNT_FETCHERS], others_bytes, 0);
    assert_true(subscribe(session, 7, "large", places - 1, &error));
    const double bytes = client->memory.bytes[KAFKA_ACCOUNT_FETCHERS];
    assert_float_equal(bytes - others_bytes,
                       HANDLES * (kafka_memory_of_handle(&client->memory) + (1 << 20) +
                                  (LARGE + KAFKA_MEMORY_TOPIC) * KAFKA_MEMORY_PER_PARTITION),
                       0);
    /* A further partition of a topic that the handle has takes no more, and another topic does. */
    leave_memory_for(client, KAFKA_MEMORY_PER_PARTITION);
    assert_no_memory(session, "jobs", 1);
    const struct notifier other = {.notify = on_notification, .id = 8, .lose = on_loss};
    const struct kafka_position further = {"large", (int32_t)places - 1, 0};
    assert_true(kafka_subscriptions_add(session->subscriptions, &other, &further, 1, clock_now_ms(),
                                        &error));
    assert_float_equal(client->memory.bytes[KAFKA_ACCOUNT_FETCHERS], bytes, 0);
}

/* Many groups may be idle on a large topic. */
static void subscriptions_to_the_same_partitions_take_memory_each(void **state)
{
    enum { PARTITIONS = 200, EACH = PARTITIONS * 32, HALF = EACH / 2, FIT = 3 };
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_create_topic(fixture, "jobs", PARTITIONS, 1);
    struct kafka_session *session = measure_topics(fixture, "jobs");
    struct kafka_client *client = &session->client;
    const double without = kafka_mock_taken(client);
    assert_true(subscribe(session, 1, "jobs", PARTITIONS, &error));
    const double fetchers = client->memory.bytes[KAFKA_ACCOUNT_FETCHERS];
    assert_true(kafka_mock_taken(client) - without - fetchers >= EACH);
    leave_memory_for(client, FIT * EACH + HALF);
    for (int i = 0; i < FIT; i++)
        assert_true(subscribe(session, 2 + (uint64_t)i, "jobs", PARTITIONS, &error));
    assert_no_memory(session, "jobs", PARTITIONS);
    assert_float_equal(client->memory.bytes[KAFKA_ACCOUNT_FETCHERS], fetchers, 0);
    for (int i = 0; i < 2; i++) /* in place of the former one */
        assert_true(subscribe(session, 2, "jobs", PARTITIONS, &error));
    for (uint64_t id = 1; id <= 1 + FIT; id++)
        kafka_subscriptions_remove(session->subscriptions, id);
    assert_float_equal(kafka_mock_taken(client), without + fetchers, 0);
}

/* Topics have the memory that former subscriptions left: a further handle would end the process. */
static void subscriptions_leave_the_memory_of_topics_that_came_later(void **state)
{
    enum { OF_ONE_HANDLE = 250 };
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_create_topic(fixture, "jobs", OF_ONE_HANDLE + 1, 1);
    struct kafka_session *session = measure_topics(fixture, "jobs");
    session->client.memory.mappable_bytes = 25 << 20;
    assert_true(subscribe(session, 7, "jobs", OF_ONE_HANDLE, &error));
    session->client.memory.partitions = 8000;
    assert_no_memory(session, "jobs", OF_ONE_HANDLE + 1);
}

/* One of its topics is read all the time, so it would have memory for the others for ever. */
static void a_handle_with_large_topics_that_it_does_not_read_ends(void **state)
{
    enum { MUCH = 501 };
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    lost = 0;
    kafka_mock_create_topic(fixture, "large", MUCH, 1);
    kafka_mock_add_topic(fixture, "jobs", 1);
    struct kafka_session *session = measure_topics(fixture, "large,jobs");
    const struct kafka_handles *handles = &session->client.handles;
    const size_t ended = kafka_handles_stuck(handles, CLOCK_NEVER); /* all there are */
    const int64_t now_ms = clock_now_ms();
    assert_true(subscribe(session, 7, "jobs", 1, &error));
    assert_true(subscribe(session, 8, "large", 1, &error));
    kafka_subscriptions_remove(session->subscriptions, 8);
    kafka_subscriptions_forget_old(session->subscriptions, now_ms);
    kafka_subscriptions_forget_old(session->subscriptions, now_ms + KAFKA_FORGET_MS - 1);
    assert_int_equal(kafka_handles_stuck(handles, CLOCK_NEVER), ended);
    assert_int_equal(lost, 0);
    kafka_subscriptions_forget_old(session->subscriptions, now_ms + KAFKA_FORGET_MS);
    assert_int_equal(kafka_handles_stuck(handles, CLOCK_NEVER), ended + 1);
    assert_int_equal(lost, 7);
    assert_true(kafka_subscriptions_is_empty(session->subscriptions));
}

/* Or a burst takes all memory of the process, while the loop measures or stops reading: what is not
 * taken is limited for each handle, and a broker's next answer. Nothing is lost with that. */
static void messages_that_nobody_takes_are_not_read_on(void **state)
{
    enum { BURSTS = 6, OF_BURST = 10, SIZE = 100000, PARTITIONS = BURSTS * OF_BURST };
    enum { READ_US = 600000 }; /* more than a request for messages takes */
    struct kafka_mock *fixture = *state;
    static uint64_t notified;
    notified = 0;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_create_topic(fixture, "jobs", PARTITIONS, 1);
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_mock_set_leader(fixture, "jobs", i, 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_subscriptions *subscriptions =
        ((struct kafka_session *)fixture->client)->subscriptions;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        const struct notifier notifier = {
            .notify = count_notification, .context = &notified, .id = (uint64_t)i + 1};
        const struct kafka_position position = {"jobs", i, 0};
        assert_true(kafka_subscriptions_add(subscriptions, &notifier, &position, 1, clock_now_ms(),
                                            &error));
    }
    for (int32_t burst = 0; burst < BURSTS; burst++) {
        kafka_mock_produce_large(fixture, "jobs", burst * OF_BURST, OF_BURST, SIZE);
        usleep(READ_US);
    }
    kafka_subscriptions_receive(subscriptions, clock_now_ms());
    assert_in_range(notified, 1, PARTITIONS / 2 + OF_BURST);
    for (int i = 0; notified < PARTITIONS && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        kafka_subscriptions_receive(subscriptions, clock_now_ms());
    }
    assert_int_equal(notified, PARTITIONS);
}

/* A message ends what is read, and the next measurement reads again: that is not idle. */
static void a_handle_that_reads_nothing_any_more_ends(void **state)
{
    enum { OF_ONE_HANDLE = 250 };
    struct kafka_mock *fixture = *state;
    static uint64_t notified;
    notified = 0;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_create_topic(fixture, "jobs", OF_ONE_HANDLE + 1, 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    const struct kafka_session *session = fixture->client;
    const struct kafka_handles *handles = &session->client.handles;
    struct kafka_subscriptions *subscriptions = session->subscriptions;
    const struct notifier first = {.notify = on_notification, .context = &notified, .id = 7};
    const struct notifier other = {.notify = on_notification, .context = &notified, .id = 8};
    struct kafka_position positions[OF_ONE_HANDLE + 1];
    for (int32_t i = 0; i <= OF_ONE_HANDLE; i++)
        positions[i] = (struct kafka_position){"jobs", i, 0};
    int64_t now_ms = clock_now_ms();
    assert_true(kafka_subscriptions_add(subscriptions, &first, &positions[1], OF_ONE_HANDLE, now_ms,
                                        &error));
    for (int i = 0; i < 3; i++) {
        assert_true(kafka_subscriptions_add(subscriptions, &other, positions, 1, now_ms, &error));
        now_ms += KAFKA_FORGET_MS;
        kafka_subscriptions_forget_old(subscriptions, now_ms);
        kafka_subscriptions_remove(subscriptions, other.id);
        kafka_subscriptions_forget_old(subscriptions, now_ms);
    }
    now_ms += KAFKA_FORGET_MS;
    kafka_subscriptions_forget_old(subscriptions, now_ms - 1);
    assert_null(handles->endings);
    kafka_subscriptions_forget_old(subscriptions, now_ms);
    assert_int_equal(kafka_handles_stuck(handles, CLOCK_NEVER), 1); /* all there are */
    /* Another one reads what comes next. */
    assert_true(kafka_subscriptions_add(subscriptions, &other, positions, 1, now_ms, &error));
    kafka_mock_produce(fixture, "jobs", 1);
    receive_until(subscriptions, &notified, clock_now_ms());
    assert_int_equal(notified, other.id);
    /* So does the first one. */
    kafka_subscriptions_remove(subscriptions, first.id);
    for (int i = 0; i < 2; i++, now_ms += KAFKA_FORGET_MS)
        kafka_subscriptions_forget_old(subscriptions, now_ms);
    assert_int_equal(kafka_handles_stuck(handles, CLOCK_NEVER), 3);
}

static void a_subscription_that_is_made_again_replaces_the_former_one(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_subscriptions *subscriptions = connect_with_jobs(fixture)->subscriptions;
    const struct notifier notifier = {.notify = on_notification, .context = &notified, .id = 7};
    const struct kafka_position end = {"jobs", 0, KAFKA_MOCK_MESSAGES};
    for (int i = 0; i < 2; i++)
        assert_true(
            kafka_subscriptions_add(subscriptions, &notifier, &end, 1, clock_now_ms(), &error));
    kafka_subscriptions_remove(subscriptions, notifier.id);
    assert_true(kafka_subscriptions_is_empty(subscriptions));
}

static void an_ended_subscription_does_not_notify(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *query = kafka_mock_query(fixture, "workers", "jobs", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_add(fixture, query);
    test_feed_unsubscribe(fixture->feed, 7);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_produce(fixture, "jobs", 1);
    test_feed_stay(fixture->feed, 1500);
    assert_true(kafka_mock_measure(fixture));
    assert_int_equal(notified, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_message_notifies_while_a_group_hangs),
        TEST(a_group_without_commits_is_not_subscribed_to),
        TEST(a_topic_that_we_may_not_read_is_tried_again_after_50_seconds),
        TEST(a_subscription_from_an_earlier_end_is_notified),
        TEST(a_partition_that_is_named_twice_notifies_once),
        TEST(a_subscription_whose_partition_is_not_read_any_more_is_lost),
        TEST(of_too_many_partitions_none_is_read),
        TEST(subscriptions_leave_memory_for_measurements),
        TEST(a_handle_has_memory_for_all_partitions_of_its_topics),
        TEST(subscriptions_to_the_same_partitions_take_memory_each),
        TEST(subscriptions_leave_the_memory_of_topics_that_came_later),
        TEST(a_handle_with_large_topics_that_it_does_not_read_ends),
        TEST(messages_that_nobody_takes_are_not_read_on),
        TEST(a_handle_that_reads_nothing_any_more_ends),
        TEST(a_subscription_that_is_made_again_replaces_the_former_one),
        TEST(an_ended_subscription_does_not_notify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
