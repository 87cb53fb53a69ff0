/*
 * One measurement: its probes, sorted by what they share.
 *
 *     ask ----> reader ----> group     one request for a group's commits on all its topics
 *     (probe)          `---> topic     one answer of the offsets of a partition for all its groups
 *
 * Threads: the poller's; offsets.c has threads of its own, and they touch nothing of this.
 * Owner: kafka_measure(), from its beginning to its end.
 */
#ifndef BACKLOG_KAFKA_BATCH_H
#define BACKLOG_KAFKA_BATCH_H

#include "client.h"
#include "measure/scaler.h"

enum offset_state { OFFSET_UNKNOWN, OFFSET_ASKED, OFFSET_KNOWN, OFFSET_FAILED };

struct offset {
    enum offset_state state;
    int64_t value;             /* -1 of a commit: there is none */
    rd_kafka_resp_err_t error; /* where it failed */
    unsigned asked;            /* batch.step when it was asked */
};

struct partition {
    struct offset latest;
    struct offset earliest;
};

struct topic {
    const char *name;
    struct known_topic *known;
    struct partition *partitions;
    int32_t count;
    UT_hash_handle hh;
};

/* A consumer group on one topic. */
struct reader {
    struct {
        struct group *group;
        struct topic *topic;
    } key;
    struct offset *commits; /* one a partition */
    struct ask *asks;
    struct reader *next; /* of the group */
    UT_hash_handle hh;
};

struct group {
    const char *name;
    struct reader *readers;
    unsigned answered; /* batch.step when the commits came */
    UT_hash_handle hh;
};

struct ask {
    struct probe *probe;
    struct reader *reader; /* NULL: ended before there was one */
    struct ask *next;      /* of the reader */
};

struct batch {
    struct kafka_client *client;
    int64_t deadline_ms;
    unsigned step; /* orders what was asked and what came */
    struct ask *asks;
    size_t count;
    struct topic *topics;
    struct group *groups;
    struct reader *readers;
    struct offsets *offsets;
};

void batch_init(struct batch *batch, struct kafka_client *client, struct probe *const *probes,
                size_t count, int64_t deadline_ms);

/* Waits for the threads of the offsets. */
void batch_done(struct batch *batch);

/* Names the topics to the client, so that topics_refresh() asks for them. */
void batch_use_topics(struct batch *batch);

/* Finds who reads what, by what is known of the topics; fails the probes whose topic cannot be read. */
void batch_open(struct batch *batch);

/* Ends the ask's probe if enough is known by now; asks for offsets that turn out to be needed. */
void ask_try(struct batch *batch, struct ask *ask);

#endif
