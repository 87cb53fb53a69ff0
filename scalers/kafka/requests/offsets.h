/*
 * The first and last offsets of partitions, requested from the brokers that lead them.
 *
 * Each broker has one call at a time, on a thread of its own: a broker that hangs delays only the
 * partitions that it leads. There are 32 threads, so that 32 brokers that hang delay the others. A
 * call is for 1,000 partitions at most (workaround 9 of client.h). Requests of any owner that come
 * while a call runs share the next one.
 *
 * Threads: the functions are for the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_OFFSETS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_OFFSETS_H

#include "kafka/client/client.h"

/* A partition whose offset is requested. The struct is the caller's. */
struct kafka_offset_request {
    const char *topic;
    int32_t partition;
    int32_t leader;
    bool is_earliest;
    int64_t deadline_ms;
    void *owner;   /* one that requests a partition again does so after the answer */
    void *context; /* comes back with the answer */
};

/* The answer for partitions of one leader and one owner: their offsets, or the error of all. */
struct kafka_offset_answer {
    const rd_kafka_topic_partition_list_t *list; /* `opaque` is the context */
    bool is_earliest;
    rd_kafka_resp_err_t error;
    void *owner;
};

struct kafka_offsets;

struct kafka_offsets *kafka_offsets_new(struct kafka_client *client);

/* Waits for the threads, which end at the deadlines, and frees everything. */
void kafka_offsets_free(struct kafka_offsets *offsets);

/* kafka_offsets_add() collects requests, and kafka_offsets_send() sends them. */
void kafka_offsets_add(struct kafka_offsets *offsets, const struct kafka_offset_request *request);
void kafka_offsets_send(struct kafka_offsets *offsets);

/* The answers to the owner's requests are dropped from now on. */
void kafka_offsets_cancel(struct kafka_offsets *offsets, const void *owner);

/* Why none of the requests for this leader was sent: there was no thread, so that the leader is not
 * to blame. NULL: one was sent. */
const char *kafka_offsets_reason_unsent(const struct kafka_offsets *offsets, int32_t leader);

/* Takes the next answer, which is valid until the next call. False: there is none. */
bool kafka_offsets_receive(struct kafka_offsets *offsets, struct kafka_offset_answer *ret_answer,
                           int64_t now_ms);

#endif
