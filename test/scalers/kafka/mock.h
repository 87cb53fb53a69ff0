/*
 * What tests of measuring Kafka share: librdkafka's mock cluster, queries on it, and a feed.
 *
 * Threads: the test's.
 */
#ifndef BACKLOG_TEST_SCALERS_KAFKA_MOCK_H
#define BACKLOG_TEST_SCALERS_KAFKA_MOCK_H

#include "kafka/requests/metadata.h"
#include "measure/scaler.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const struct scaler scaler_kafka;

enum {
    KAFKA_MOCK_BROKERS = 3,
    KAFKA_MOCK_MESSAGES = 4,
    KAFKA_MOCK_HANG_MS = 20000, /* longer than any test */
    KAFKA_MOCK_TIMEOUT_MS = 600,
    KAFKA_MOCK_WITHIN_MS = 15000,
};

struct kafka_mock {
    rd_kafka_t *rk; /* has the mock cluster, and produces */
    rd_kafka_mock_cluster_t *cluster;
    void *client;
    struct trigger triggers[16];
    size_t count;
    struct test_feed *feed;
};

/* For cmocka; the state is the struct. */
int kafka_mock_set_up(void **state);
int kafka_mock_tear_down(void **state);
/* Commands to the cluster. */
void kafka_mock_create_topic(struct kafka_mock *fixture, const char *name, int partitions,
                             int replicas);
void kafka_mock_set_leader(struct kafka_mock *fixture, const char *topic, int32_t partition,
                           int32_t broker);
void kafka_mock_set_coordinator(struct kafka_mock *fixture, const char *group, int32_t broker);
void kafka_mock_set_rtt(struct kafka_mock *fixture, int32_t broker, int rtt_ms);
/* From now on each answer of the broker takes longer than a test; or, where it does not hang, no
 * time. */
void kafka_mock_hang(struct kafka_mock *fixture, int32_t broker, bool does);
void kafka_mock_produce(struct kafka_mock *fixture, const char *topic, int count);
/* One message of this size to each of the topic's partitions from `first` on. */
void kafka_mock_produce_large(struct kafka_mock *fixture, const char *topic, int32_t first,
                              int32_t count, size_t size);
/* One partition with messages, led by this broker. */
void kafka_mock_add_topic(struct kafka_mock *fixture, const char *name, int32_t leader);
/* A query of this group, which is coordinated by this broker. */
const void *kafka_mock_query(struct kafka_mock *fixture, const char *group, const char *topic,
                             int32_t coordinator);
/* The same of these partitions alone, as partitionLimitation has them; "": of all. */
const void *kafka_mock_query_of(struct kafka_mock *fixture, const char *group, const char *topic,
                                const char *partitions, int32_t coordinator);
/* Of the topics that the group has committed; none is 0 messages. */
const void *kafka_mock_query_of_group(struct kafka_mock *fixture, const char *group,
                                      int32_t coordinator);
void kafka_mock_connect(struct kafka_mock *fixture);
void kafka_mock_add(struct kafka_mock *fixture, const void *query);
bool kafka_mock_measure(struct kafka_mock *fixture);
void kafka_mock_run_again(struct kafka_mock *fixture);
void kafka_mock_assert_answered(struct kafka_mock *fixture, size_t index);
void kafka_mock_assert_failed(struct kafka_mock *fixture, size_t index, const char *words);

/* As a consumer of the group does it, of partition 0. */
void kafka_mock_commit(struct kafka_mock *fixture, const char *group, const char *topic,
                       int64_t offset);
/* So many brokers in a row say that they are not the coordinator of the next groups' commits. */
void kafka_mock_make_stale(struct kafka_mock *fixture, size_t count);
/* Until all that is needed is known. */
void kafka_mock_receive_metadata(struct kafka_metadata *metadata, const struct kafka_client *client,
                                 const struct kafka_metadata_need *need);
/* Or no thread can be started from now on: none has the memory for such a stack. */
void kafka_mock_allow_threads(bool does);

/* What the client's memory is short of `mappable_bytes` (kafka_memory_free_bytes()). */
double kafka_mock_taken(const struct kafka_client *client);

#endif
