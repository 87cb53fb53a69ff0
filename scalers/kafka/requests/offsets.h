/*
 * The first and last offsets of partitions, requested from the brokers that lead them.
 *
 * Each broker has its own calls, on a thread, one at a time, so that one that hangs delays only
 * what it leads, unless 32 hang, which is how many threads there are. A call has a limit
 * (workaround 9 of client.h). What comes while it runs, of any owner, shares the next one.
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
    void *owner;   /* who requests it: each partition once */
    void *context; /* given back with the answer */
};

/* The answer for some partitions of one leader and one owner: their offsets, or the error of all of
 * them. */
struct kafka_offset_answer {
    const rd_kafka_topic_partition_list_t *list; /* `opaque` is the context */
    bool is_earliest;
    rd_kafka_resp_err_t error;
    void *owner;
};

struct kafka_offsets;

struct kafka_offsets *kafka_offsets_new(struct kafka_client *client);

/* Frees all of it, after waiting for the threads, which end at the deadlines. */
void kafka_offsets_free(struct kafka_offsets *offsets);

/* Collects a request; kafka_offsets_send() sends what was collected. */
void kafka_offsets_add(struct kafka_offsets *offsets, const struct kafka_offset_request *request);
void kafka_offsets_send(struct kafka_offsets *offsets);

/* Has the answers to the owner's requests dropped. */
void kafka_offsets_cancel(struct kafka_offsets *offsets, const void *owner);

/* Why nothing of what is still requested from this leader was sent: there was no thread for it, so
 * that the leader may be well. NULL: something was. */
const char *kafka_offsets_reason_unsent(const struct kafka_offsets *offsets, int32_t leader);

/* Takes the next answer, which is valid until the next call. False: there is none. */
bool kafka_offsets_receive(struct kafka_offsets *offsets, struct kafka_offset_answer *ret_answer,
                           int64_t now_ms);

#endif
