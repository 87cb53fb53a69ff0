/* Measuring against librdkafka's mock cluster: brokers that hang, and what they must not delay. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/requests/metadata.h"
#include "kafka/selection.h"
#include "measure/scaler.h"
#include "scalers/trigger.h"
#include "support/feed.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_kafka;

enum {
    BROKERS = 3,
    MESSAGES = 4,
    HANG_MS = 20000, /* longer than any test */
    TIMEOUT_MS = 600,
    WITHIN_MS = 15000,
};

struct fixture {
    rd_kafka_t *rk; /* has the mock cluster, and produces */
    rd_kafka_mock_cluster_t *cluster;
    void *client;
    struct trigger triggers[4];
    size_t count;
    struct test_feed *feed;
};

static int set_up(void **state)
{
    char reason[256];
    struct fixture *fixture = memory_new(sizeof(*fixture));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "client.id", "test", reason, sizeof(reason));
    fixture->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert_non_null(fixture->rk);
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->rk, BROKERS);
    fixture->feed = test_feed_new(&scaler_kafka);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (int32_t broker = 1; broker <= BROKERS; broker++)
        rd_kafka_mock_broker_set_rtt(fixture->cluster, broker, 0);
    if (fixture->client != NULL)
        scaler_kafka.disconnect(fixture->client);
    test_feed_free(fixture->feed);
    for (size_t i = 0; i < fixture->count; i++)
        trigger_done(&fixture->triggers[i]);
    rd_kafka_mock_cluster_destroy(fixture->cluster);
    rd_kafka_destroy(fixture->rk);
    free(fixture);
    return 0;
}

static void produce(struct fixture *fixture, const char *topic, int count)
{
    char reason[256];
    char work[] = "work";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(fixture->cluster),
                      reason, sizeof(reason));
    rd_kafka_conf_set(conf, "linger.ms", "0", reason, sizeof(reason));
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    for (int i = 0; i < count; i++)
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_VALUE(work, sizeof(work)), RD_KAFKA_V_END);
    assert_int_equal(rd_kafka_flush(producer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(producer);
}

/* One partition with messages, led by this broker. */
static void make_topic(struct fixture *fixture, const char *name, int32_t leader)
{
    rd_kafka_mock_topic_create(fixture->cluster, name, 1, 1);
    rd_kafka_mock_partition_set_leader(fixture->cluster, name, 0, leader);
    produce(fixture, name, MESSAGES);
}

/* A query of this group, which is coordinated by this broker. */
static const void *make_query(struct fixture *fixture, const char *group, const char *topic,
                              int32_t coordinator)
{
    const struct option_entry entries[] = {
        {"bootstrapServers", rd_kafka_mock_cluster_bootstraps(fixture->cluster)},
        {"consumerGroup", group},
        {"topic", topic},
        {"offsetResetPolicy", "earliest"},
    };
    rd_kafka_mock_coordinator_set(fixture->cluster, "group", group, coordinator);
    struct trigger *trigger = &fixture->triggers[fixture->count++];
    *trigger = trigger_parse(&scaler_kafka, entries, ARRAY_LENGTH(entries));
    assert_true(trigger->good);
    return trigger->options.query;
}

static void connect_client(struct fixture *fixture)
{
    struct error error = {0};
    bool connected = scaler_kafka.connect(fixture->triggers[0].options.connection,
                                          clock_now_ms() + 10000, &fixture->client, &error);
    if (!connected)
        fail_msg("%s", error_text(&error));
}

static void add(struct fixture *fixture, const void *query)
{
    test_feed_add(fixture->feed, query, (struct notifier){0});
}

static bool measure_all(struct fixture *fixture)
{
    _cleanup_(error_done) struct error error = {0};
    bool usable = test_feed_run(fixture->feed, fixture->client, WITHIN_MS, &error);
    if (!usable)
        print_message("%s\n", error_text(&error));
    return usable;
}

static void run_again(struct fixture *fixture)
{
    test_feed_again(fixture->feed);
    assert_true(measure_all(fixture));
}

static void assert_answered(struct fixture *fixture, size_t index)
{
    const struct test_task *task = test_feed_task(fixture->feed, index);
    assert_true(task->ended);
    if (task->outcome != TASK_ANSWERED)
        fail_msg("task %zu: %s", index, error_text(&task->error));
    assert_float_equal(task->reading.waiting, MESSAGES, 0);
}

static void assert_timed_out(struct fixture *fixture, size_t index, const char *words)
{
    const struct test_task *task = test_feed_task(fixture->feed, index);
    assert_true(task->ended);
    if (task->outcome != TASK_TIMED_OUT)
        fail_msg("task %zu ended by %d: %s", index, task->outcome, error_text(&task->error));
    if (strstr(error_text(&task->error), words) == NULL)
        fail_msg("task %zu: %s", index, error_text(&task->error));
}

static void assert_failed(struct fixture *fixture, size_t index, const char *words)
{
    const struct test_task *task = test_feed_task(fixture->feed, index);
    assert_true(task->ended);
    assert_int_equal(task->outcome, TASK_FAILED);
    if (strstr(error_text(&task->error), words) == NULL)
        fail_msg("task %zu: %s", index, error_text(&task->error));
}

static void hang(struct fixture *fixture, int32_t broker, bool does)
{
    rd_kafka_mock_broker_set_rtt(fixture->cluster, broker, does ? HANG_MS : 0);
}

static void the_lag_is_measured(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    assert_answered(fixture, 0);
}

static void a_coordinator_that_hangs_delays_no_other_group(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "silent", "jobs", 3));
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    assert_answered(fixture, 0);
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
    run_again(fixture);
    assert_timed_out(fixture, 0,
                     "Kafka group silent: its coordinator did not answer within 600 ms");
    assert_answered(fixture, 1);
    assert_int_equal(test_feed_task(fixture->feed, 1)->order, 1);
}

static void a_leader_that_hangs_delays_no_other_topic(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    make_topic(fixture, "lost", 3);
    add(fixture, make_query(fixture, "workers", "lost", 2));
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    assert_answered(fixture, 0);
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
    run_again(fixture);
    assert_timed_out(fixture, 0, "Kafka broker 3, which leads partition 0 of topic lost");
    assert_answered(fixture, 1);
}

/* Without a time-out of its own, the library goes on waiting for the old coordinator. */
static void a_group_whose_coordinator_moved_is_answered_on_another_handle(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "moved", "jobs", 3));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    hang(fixture, 3, true);
    rd_kafka_mock_coordinator_set(fixture->cluster, "group", "moved", 2);
    int64_t began_ms = clock_now_ms();
    test_feed_set_timeout(fixture->feed, 5000);
    run_again(fixture);
    assert_answered(fixture, 0);
    assert_true(clock_now_ms() - began_ms >= 1000); /* the main handle had its chance */
    /* From now on at once. */
    began_ms = clock_now_ms();
    run_again(fixture);
    assert_answered(fixture, 0);
    assert_true(clock_now_ms() - began_ms < 1000);
}

/* So many brokers in a row say that they are not the coordinator of the next groups' commits. */
static void make_stale(struct fixture *fixture, size_t count)
{
    enum { OFFSET_FETCH = 9, MAX = 8 };
    rd_kafka_resp_err_t errors[MAX];
    assert_true(count <= MAX);
    for (size_t i = 0; i < count; i++)
        errors[i] = RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    rd_kafka_mock_push_request_errors_array(fixture->cluster, OFFSET_FETCH, count, errors);
}

/* By the main handle and the second one, for the one that takes its place; then by the second one
 * at once. */
static void a_group_whose_coordinator_is_elsewhere_is_sent_again_in_its_time(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "moved", "jobs", 3));
    connect_client(fixture);
    for (size_t stale = 2; stale > 0; stale--) {
        make_stale(fixture, stale);
        run_again(fixture);
        assert_answered(fixture, 0);
    }
}

static void a_group_that_no_broker_coordinates_fails(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "moved", "jobs", 3));
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    connect_client(fixture);
    for (int i = 0; i < 2; i++) { /* by the same handles, too */
        test_feed_task(fixture->feed, 1)->task.isolate = i == 1;
        make_stale(fixture, 6);
        run_again(fixture);
        for (size_t task = 0; task < 2; task++)
            assert_failed(fixture, task, "oordinator");
    }
    test_feed_again(fixture->feed);
    rd_kafka_mock_clear_request_errors(fixture->cluster, 9);
    assert_true(measure_all(fixture));
    assert_answered(fixture, 0);
    assert_answered(fixture, 1);
}

static void a_group_that_timed_out_is_right_once_it_has_a_coordinator(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "silent", "jobs", 3));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        run_again(fixture);
        assert_timed_out(fixture, 0, "Kafka group silent");
    }
    rd_kafka_mock_coordinator_set(fixture->cluster, "group", "silent", 2);
    test_feed_set_timeout(fixture->feed, 5000);
    run_again(fixture);
    assert_answered(fixture, 0);
}

static void an_isolated_task_is_answered_like_any_other(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    connect_client(fixture);
    test_feed_task(fixture->feed, 0)->task.isolate = true;
    assert_true(measure_all(fixture));
    assert_answered(fixture, 0);
    test_feed_task(fixture->feed, 0)->task.isolate = false;
    run_again(fixture);
    assert_answered(fixture, 0);
}

/* A place is all that the others need: what hangs never has all places. */
static void new_tasks_are_taken_while_a_group_hangs(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "silent", "jobs", 3));
    const void *workers = make_query(fixture, "workers", "jobs", 2);
    for (int i = 0; i < 3; i++)
        add(fixture, workers);
    connect_client(fixture);
    assert_true(measure_all(fixture));
    hang(fixture, 3, true);
    feed_set_max_tasks(test_feed_task(fixture->feed, 0)->task.feed, 2, 2);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
    run_again(fixture);
    assert_timed_out(fixture, 0, "Kafka group silent");
    assert_int_equal(test_feed_task(fixture->feed, 0)->order, 4);
    for (size_t i = 1; i < 4; i++)
        assert_answered(fixture, i);
}

static void a_group_has_one_call_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    const int rtt_ms = 300;
    make_topic(fixture, "jobs", 1);
    make_topic(fixture, "more", 1);
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    add(fixture, make_query(fixture, "quick", "jobs", 1));
    add(fixture, make_query(fixture, "workers", "more", 2));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 2, rtt_ms);
    test_feed_set_timeout(fixture->feed, 5000);
    /* The third comes when the second ends, while the first one's call is under way: it waits its
     * turn. */
    feed_set_max_tasks(test_feed_task(fixture->feed, 0)->task.feed, 2, 2);
    int64_t began_ms = clock_now_ms();
    run_again(fixture);
    for (size_t i = 0; i < 3; i++)
        assert_answered(fixture, i);
    assert_int_equal(test_feed_task(fixture->feed, 1)->order, 1);
    assert_true(clock_now_ms() - began_ms >= 2 * (int64_t)rtt_ms);
    /* Only what waited begins again: its reading is of then. */
    assert_int_equal(test_feed_task(fixture->feed, 0)->started, 0);
    assert_int_equal(test_feed_task(fixture->feed, 2)->started, 1);
}

static void a_cancelled_task_comes_again_isolated(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "silent", "jobs", 3));
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
    test_feed_again(fixture->feed);
    test_feed_cancel(fixture->feed, 0);
    assert_true(measure_all(fixture));
    const struct test_task *task = test_feed_task(fixture->feed, 0);
    assert_int_equal(task->returned, 1);
    assert_true(task->task.isolate);
    assert_timed_out(fixture, 0, "Kafka group silent");
    assert_answered(fixture, 1);
}

/* Its call for offsets goes on when its batch is gone. */
static void a_task_that_is_cancelled_leaves_its_offsets(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "slow", 3);
    add(fixture, make_query(fixture, "workers", "slow", 2));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 3, TIMEOUT_MS / 2);
    test_feed_again(fixture->feed);
    test_feed_cancel(fixture->feed, 0);
    assert_true(measure_all(fixture));
    assert_int_equal(test_feed_task(fixture->feed, 0)->returned, 1);
    assert_answered(fixture, 0);
}

static void a_late_answer_is_nobodys(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "slow", "jobs", 3));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 3, TIMEOUT_MS * 3 / 2);
    test_feed_set_timeout(fixture->feed, TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        run_again(fixture);
        assert_timed_out(fixture, 0, "Kafka group slow");
    }
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 3, 0);
    test_feed_set_timeout(fixture->feed, 5000);
    run_again(fixture);
    assert_answered(fixture, 0);
}

static void on_notification(void *context, uint64_t id)
{
    uint64_t *notified = context;
    *notified = id;
}

static void a_message_notifies_while_a_group_hangs(void **state)
{
    struct fixture *fixture = *state;
    uint64_t notified = 0;
    make_topic(fixture, "jobs", 1);
    const void *query = make_query(fixture, "workers", "jobs", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    connect_client(fixture);
    assert_true(measure_all(fixture));
    assert_answered(fixture, 0);
    assert_true(test_feed_task(fixture->feed, 0)->subscribed);
    assert_int_equal(notified, 0);

    const void *silent = make_query(fixture, "silent", "jobs", 3);
    hang(fixture, 3, true);
    produce(fixture, "jobs", 1);
    for (size_t task = 1; task == 1 || (task < 10 && notified == 0); task++) { /* a busy machine */
        add(fixture, silent);
        test_feed_set_timeout(fixture->feed, 2000);
        assert_true(measure_all(fixture));
        assert_timed_out(fixture, task, "Kafka group silent");
    }
    assert_int_equal(notified, 7);
}

static void an_ended_subscription_does_not_notify(void **state)
{
    struct fixture *fixture = *state;
    uint64_t notified = 0;
    make_topic(fixture, "jobs", 1);
    const void *query = make_query(fixture, "workers", "jobs", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    connect_client(fixture);
    assert_true(measure_all(fixture));
    add(fixture, query);
    test_feed_unsubscribe(fixture->feed, 7);
    assert_true(measure_all(fixture));
    produce(fixture, "jobs", 1);
    test_feed_stay(fixture->feed, 1500);
    assert_true(measure_all(fixture));
    assert_int_equal(notified, 0);
}

static void a_cluster_that_is_gone_is_lost(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "workers", "jobs", 2));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    for (int32_t broker = 1; broker <= BROKERS; broker++)
        rd_kafka_mock_broker_set_down(fixture->cluster, broker);
    bool is_usable = true;
    for (int64_t deadline_ms = clock_now_ms() + WITHIN_MS;
         is_usable && clock_now_ms() < deadline_ms;) {
        test_feed_again(fixture->feed);
        is_usable = measure_all(fixture);
    }
    assert_false(is_usable);
    for (int32_t broker = 1; broker <= BROKERS; broker++)
        rd_kafka_mock_broker_set_up(fixture->cluster, broker);
}

/* ---- patterns ---- */

static void assert_partitions(struct fixture *fixture, size_t index, double count)
{
    assert_answered(fixture, index);
    assert_float_equal(test_feed_task(fixture->feed, index)->reading.partitions, count, 0);
}

/* It came after the request for all topics was sent, so that it needs the next one: for all, too.
 */
static void a_pattern_that_comes_during_a_listing_gets_one_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_client client = {0};
    _cleanup_(error_done) struct error error = {0};
    make_topic(fixture, "alpha-1", 1);
    make_topic(fixture, "beta-1", 1);
    make_query(fixture, "workers", "^alpha-", 2);
    if (!kafka_client_open(&client, fixture->triggers[0].options.connection,
                           clock_now_ms() + WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
    struct kafka_metadata *metadata = kafka_metadata_new(&client);
    const struct kafka_pattern *alpha = kafka_metadata_pattern(metadata, "^alpha-");
    uint64_t first = kafka_metadata_need_pattern(metadata, alpha);
    kafka_metadata_request(metadata, first);
    assert_false(kafka_metadata_is_quiet(metadata)); /* it is running until it is received */
    assert_int_equal(kafka_metadata_need_pattern(metadata, alpha), first);
    const struct kafka_pattern *beta = kafka_metadata_pattern(metadata, "^beta-");
    uint64_t second = kafka_metadata_need_pattern(metadata, beta);
    assert_true(second > first);
    kafka_metadata_request(metadata, second);
    for (int64_t deadline_ms = clock_now_ms() + WITHIN_MS; !kafka_metadata_has(metadata, second);) {
        struct pollfd event = {.fd = client.event_fd, .events = POLLIN};
        assert_true(clock_now_ms() < deadline_ms);
        poll(&event, 1, 100);
        kafka_metadata_receive(metadata, &error);
    }
    assert_int_equal(alpha->count, 1);
    assert_int_equal(beta->count, 1);
    kafka_metadata_free(metadata);
    kafka_client_close(&client);
}

/* As after a reconnect: the isolated batch begins while the request of the other one is under way.
 */
static void an_isolated_pattern_is_answered_beside_another(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "alpha-1", 1);
    make_topic(fixture, "beta-1", 1);
    add(fixture, make_query(fixture, "workers", "^alpha-", 2));
    add(fixture, make_query(fixture, "others", "^beta-", 2));
    connect_client(fixture);
    test_feed_task(fixture->feed, 1)->task.isolate = true;
    assert_true(measure_all(fixture));
    assert_partitions(fixture, 0, 1);
    assert_partitions(fixture, 1, 1);
}

/* ---- replies that are too long ---- */

enum { ANNOUNCED = 99000000, WHAT_SOCKETS_HOLD = 32 << 20 };

/* A broker whose first reply is as long as librdkafka reads by default. */
struct talker {
    int listener;
    size_t max_taken; /* by one connection */
};

static void talk(struct talker *talker, int connection)
{
    static const char zeros[1 << 16];
    char request[1024];
    size_t taken = 0;
    uint32_t length = htonl(ANNOUNCED);
    if (recv(connection, request, sizeof(request), 0) > 0 &&
        send(connection, &length, sizeof(length), MSG_NOSIGNAL) == sizeof(length))
        while (taken < ANNOUNCED) {
            ssize_t sent = send(connection, zeros, sizeof(zeros), MSG_NOSIGNAL);
            if (sent <= 0)
                break;
            taken += (size_t)sent;
        }
    talker->max_taken = taken > talker->max_taken ? taken : talker->max_taken;
    close(connection);
}

static void *run_talker(void *opaque)
{
    struct talker *talker = opaque;
    for (int connection; (connection = accept(talker->listener, NULL, NULL)) >= 0;)
        talk(talker, connection);
    return NULL;
}

static void a_reply_that_is_too_long_is_not_read(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    int port;
    struct talker talker = {.listener = listener_open(16, &port)};
    _cleanup_(memory_free) char *brokers = text_format("127.0.0.1:%d", port);
    const struct option_entry entries[] = {
        {"bootstrapServers", brokers}, {"consumerGroup", "workers"}, {"topic", "jobs"}};
    struct trigger trigger = trigger_parse(&scaler_kafka, entries, ARRAY_LENGTH(entries));
    void *client = NULL;
    pthread_t thread;
    pthread_create(&thread, NULL, run_talker, &talker);
    assert_false(
        scaler_kafka.connect(trigger.options.connection, clock_now_ms() + 2000, &client, &error));
    shutdown(talker.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(talker.listener);
    trigger_done(&trigger);
    if (strstr(error_text(&error), "Invalid response size 99000000") == NULL)
        fail_msg("%s", error_text(&error));
    assert_in_range(talker.max_taken, 1, WHAT_SOCKETS_HOLD);
}

/* Each takes memory, whatever a broker says of how many there are. */
static void topics_of_too_many_partitions_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const int half = KAFKA_SELECTION_MAX_PARTITIONS / 2;
    rd_kafka_mock_topic_create(fixture->cluster, "large", half + 1, 1);
    rd_kafka_mock_topic_create(fixture->cluster, "larger", half + 1, 1);
    make_topic(fixture, "jobs", 1);
    add(fixture, make_query(fixture, "workers", "^large", 2));
    add(fixture, make_query(fixture, "others", "jobs", 1));
    connect_client(fixture);
    assert_true(measure_all(fixture));
    assert_failed(fixture, 0, "the Kafka topics have more than 25000 partitions");
    assert_answered(fixture, 1);
}

/* ---- what is not counted ---- */

/* As a consumer of the group does it, of partition 0. */
static void commit(struct fixture *fixture, const char *group, const char *topic, int64_t offset)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(fixture->cluster),
                      reason, sizeof(reason));
    rd_kafka_conf_set(conf, "group.id", group, reason, sizeof(reason));
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, topic, 0)->offset = offset;
    assert_int_equal(rd_kafka_commit(consumer, offsets, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_destroy(consumer);
}

static void assert_lag(struct fixture *fixture, double waiting, double for_activation,
                       double partitions)
{
    const struct test_task *task = test_feed_task(fixture->feed, 0);
    if (task->outcome != TASK_ANSWERED)
        fail_msg("%s", error_text(&task->error));
    assert_float_equal(task->reading.waiting, waiting, 0);
    assert_float_equal(task->reading.waiting_for_activation, for_activation, 0);
    assert_float_equal(task->reading.partitions_with_lag, partitions, 0);
}

/* A partition whose commit has not moved for persistentLagTime keeps the workload active, and adds
 * nothing. */
static void lag_is_persistent_from_persistent_lag_time_on(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture, "jobs", 1);
    const struct kafka_query *query = make_query(fixture, "workers", "jobs", 2);
    struct kafka_query excluding = *query;
    excluding.exclude_persistent_lag = true;
    excluding.persistent_lag_ms = HANG_MS;
    add(fixture, &excluding);
    commit(fixture, "workers", "jobs", 1);
    connect_client(fixture);
    assert_true(measure_all(fixture));
    assert_lag(fixture, MESSAGES - 1, MESSAGES - 1, 1);
    excluding.persistent_lag_ms = 1;
    usleep(2000);
    run_again(fixture);
    assert_lag(fixture, 0, MESSAGES - 1, 0);
    commit(fixture, "workers", "jobs", 2);
    run_again(fixture);
    assert_lag(fixture, MESSAGES - 2, MESSAGES - 2, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_lag_is_measured),
        TEST(a_coordinator_that_hangs_delays_no_other_group),
        TEST(a_leader_that_hangs_delays_no_other_topic),
        TEST(a_group_whose_coordinator_moved_is_answered_on_another_handle),
        TEST(a_group_whose_coordinator_is_elsewhere_is_sent_again_in_its_time),
        TEST(a_group_that_no_broker_coordinates_fails),
        TEST(a_group_that_timed_out_is_right_once_it_has_a_coordinator),
        TEST(an_isolated_task_is_answered_like_any_other),
        TEST(new_tasks_are_taken_while_a_group_hangs),
        TEST(a_group_has_one_call_at_a_time),
        TEST(a_cancelled_task_comes_again_isolated),
        TEST(a_task_that_is_cancelled_leaves_its_offsets),
        TEST(a_late_answer_is_nobodys),
        TEST(a_message_notifies_while_a_group_hangs),
        TEST(an_ended_subscription_does_not_notify),
        TEST(a_cluster_that_is_gone_is_lost),
        TEST(a_pattern_that_comes_during_a_listing_gets_one_of_its_own),
        TEST(an_isolated_pattern_is_answered_beside_another),
        cmocka_unit_test(a_reply_that_is_too_long_is_not_read),
        TEST(topics_of_too_many_partitions_are_refused),
        TEST(lag_is_persistent_from_persistent_lag_time_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
