#include "scalers/kafka/mock.h"
#include "scalers/ended.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/session.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* The cluster's thread answers a command, then empties its pipe: it notices a command that comes in
 * between only within a second (rd_kafka_mock_cluster_io_poll() of librdkafka 2.0.2). */
static void wait_for_pipe(void)
{
    enum { SOON_US = 3000 };
    usleep(SOON_US);
}

void kafka_mock_create_topic(struct kafka_mock *fixture, const char *name, int partitions,
                             int replicas)
{
    rd_kafka_mock_topic_create(fixture->cluster, name, partitions, replicas);
    wait_for_pipe();
}

void kafka_mock_set_leader(struct kafka_mock *fixture, const char *topic, int32_t partition,
                           int32_t broker)
{
    rd_kafka_mock_partition_set_leader(fixture->cluster, topic, partition, broker);
    wait_for_pipe();
}

void kafka_mock_set_coordinator(struct kafka_mock *fixture, const char *group, int32_t broker)
{
    rd_kafka_mock_coordinator_set(fixture->cluster, "group", group, broker);
    wait_for_pipe();
}

void kafka_mock_set_rtt(struct kafka_mock *fixture, int32_t broker, int rtt_ms)
{
    rd_kafka_mock_broker_set_rtt(fixture->cluster, broker, rtt_ms);
    wait_for_pipe();
}

void kafka_mock_hang(struct kafka_mock *fixture, int32_t broker, bool does)
{
    kafka_mock_set_rtt(fixture, broker, does ? KAFKA_MOCK_HANG_MS : 0);
}

int kafka_mock_set_up(void **state)
{
    char reason[256];
    struct kafka_mock *fixture = memory_new(sizeof(*fixture));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "client.id", "test", reason, sizeof(reason));
    fixture->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert_non_null(fixture->rk);
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->rk, KAFKA_MOCK_BROKERS);
    fixture->feed = test_feed_new(&scaler_kafka);
    *state = fixture;
    return 0;
}

int kafka_mock_tear_down(void **state)
{
    struct kafka_mock *fixture = *state;
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_set_rtt(fixture, broker, 0);
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

static rd_kafka_t *producer_new(const struct kafka_mock *fixture)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(fixture->cluster),
                      reason, sizeof(reason));
    rd_kafka_conf_set(conf, "linger.ms", "0", reason, sizeof(reason));
    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
}

static void producer_end(rd_kafka_t *producer)
{
    assert_int_equal(rd_kafka_flush(producer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(producer);
}

void kafka_mock_produce(struct kafka_mock *fixture, const char *topic, int count)
{
    char work[] = "work";
    rd_kafka_t *producer = producer_new(fixture);
    for (int i = 0; i < count; i++)
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_VALUE(work, sizeof(work)), RD_KAFKA_V_END);
    producer_end(producer);
}

void kafka_mock_produce_large(struct kafka_mock *fixture, const char *topic, int32_t first,
                              int32_t count, size_t size)
{
    _cleanup_(memory_free) char *work = memory_new(size);
    rd_kafka_t *producer = producer_new(fixture);
    for (int32_t i = first; i < first + count; i++)
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(i),
                          RD_KAFKA_V_VALUE(work, size), RD_KAFKA_V_END);
    producer_end(producer);
}

void kafka_mock_add_topic(struct kafka_mock *fixture, const char *name, int32_t leader)
{
    kafka_mock_create_topic(fixture, name, 1, 1);
    kafka_mock_set_leader(fixture, name, 0, leader);
    kafka_mock_produce(fixture, name, KAFKA_MOCK_MESSAGES);
}

const void *kafka_mock_query(struct kafka_mock *fixture, const char *group, const char *topic,
                             int32_t coordinator)
{
    return kafka_mock_query_of(fixture, group, topic, "", coordinator);
}

static const void *add_trigger(struct kafka_mock *fixture, const struct option_entry *entries,
                               size_t count, const char *group, int32_t coordinator)
{
    kafka_mock_set_coordinator(fixture, group, coordinator);
    struct trigger *trigger = &fixture->triggers[fixture->count++];
    *trigger = trigger_parse(&scaler_kafka, entries, count);
    assert_true(trigger->good);
    return trigger->options.query;
}

const void *kafka_mock_query_of(struct kafka_mock *fixture, const char *group, const char *topic,
                                const char *partitions, int32_t coordinator)
{
    const struct option_entry entries[] = {
        {"bootstrapServers", rd_kafka_mock_cluster_bootstraps(fixture->cluster)},
        {"consumerGroup", group},
        {"topic", topic},
        {"partitionLimitation", partitions},
        {"offsetResetPolicy", "earliest"},
    };
    return add_trigger(fixture, entries, ARRAY_LENGTH(entries), group, coordinator);
}

const void *kafka_mock_query_of_group(struct kafka_mock *fixture, const char *group,
                                      int32_t coordinator)
{
    const struct option_entry entries[] = {
        {"bootstrapServers", rd_kafka_mock_cluster_bootstraps(fixture->cluster)},
        {"consumerGroup", group},
        {"scaleToZeroOnInvalidOffset", "true"},
    };
    return add_trigger(fixture, entries, ARRAY_LENGTH(entries), group, coordinator);
}

void kafka_mock_connect(struct kafka_mock *fixture)
{
    struct error error = {0};
    bool connected = scaler_kafka.connect(fixture->triggers[0].options.connection,
                                          clock_now_ms() + 10000, &fixture->client, &error);
    if (!connected)
        fail_msg("%s", error_text(&error));
    struct kafka_session *session = fixture->client; /* the mock cluster lists no groups */
    kafka_group_types_suspend(session->group_types, clock_now_ms());
}

void kafka_mock_add(struct kafka_mock *fixture, const void *query)
{
    test_feed_add(fixture->feed, query, (struct notifier){0});
}

bool kafka_mock_measure(struct kafka_mock *fixture)
{
    _cleanup_(error_done) struct error error = {0};
    bool usable = test_feed_run(fixture->feed, fixture->client, KAFKA_MOCK_WITHIN_MS, &error);
    if (!usable)
        print_message("%s\n", error_text(&error));
    return usable;
}

void kafka_mock_run_again(struct kafka_mock *fixture)
{
    test_feed_again(fixture->feed);
    assert_true(kafka_mock_measure(fixture));
}

void kafka_mock_assert_answered(struct kafka_mock *fixture, size_t index)
{
    assert_waiting(fixture->feed, index, KAFKA_MOCK_MESSAGES);
}

void kafka_mock_assert_failed(struct kafka_mock *fixture, size_t index, const char *words)
{
    assert_ended_with(fixture->feed, index, TASK_FAILED, words);
}

void kafka_mock_commit(struct kafka_mock *fixture, const char *group, const char *topic,
                       int64_t offset)
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

void kafka_mock_make_stale(struct kafka_mock *fixture, size_t count)
{
    enum { OFFSET_FETCH = 9, MAX = 8 };
    rd_kafka_resp_err_t errors[MAX];
    assert_true(count <= MAX);
    for (size_t i = 0; i < count; i++)
        errors[i] = RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    rd_kafka_mock_push_request_errors_array(fixture->cluster, OFFSET_FETCH, count, errors);
}

void kafka_mock_receive_metadata(struct kafka_metadata *metadata, const struct kafka_client *client,
                                 const struct kafka_metadata_need *need)
{
    _cleanup_(error_done) struct error error = {0};
    for (int64_t deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS;
         !kafka_metadata_has(metadata, need);) {
        struct pollfd event = {.fd = client->event_fd, .events = POLLIN};
        assert_true(clock_now_ms() < deadline_ms);
        poll(&event, 1, 100);
        kafka_metadata_receive(metadata, clock_now_ms(), &error);
    }
}

void kafka_mock_allow_threads(bool does)
{
    static size_t usual_bytes;
    pthread_attr_t attributes;
    pthread_getattr_default_np(&attributes);
    if (usual_bytes == 0)
        pthread_attr_getstacksize(&attributes, &usual_bytes);
    pthread_attr_setstacksize(&attributes, does ? usual_bytes : SIZE_MAX / 4 + 1);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

double kafka_mock_taken(const struct kafka_client *client)
{
    struct kafka_memory memory = client->memory;
    memory.mappable_bytes = 0;
    return -kafka_memory_free_bytes(&memory);
}
