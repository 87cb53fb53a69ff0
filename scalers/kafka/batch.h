/*
 * One measurement: its probes, sorted by what they share.
 *
 *     ask ----> readers ---> group     one request for a group's commits on all its topics
 *     (probe)          `---> topic     one answer of the offsets of a partition for all its groups
 *
 * Threads: the poller's; offsets.c has threads of its own, and they touch nothing of this.
 * Owner: kafka_measure(), from its beginning to its end.
 */
#ifndef BACKLOG_KAFKA_BATCH_H
#define BACKLOG_KAFKA_BATCH_H

#include "client.h"
#include "measure/scaler.h"
#include "selection.h"

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
    bool has_commit;
    struct stall *stall; /* where an ask excludes persistent lag */
    struct reader *next; /* of the group */
    UT_hash_handle hh;
};

struct group {
    const char *name;
    struct reader *readers;
    struct ask *asks;
    bool wants_all; /* an ask is for all topics that the group has committed */
    rd_kafka_event_t
        *told;         /* they are, and some of them are still to be asked for their partitions */
    unsigned answered; /* batch.step when the commits came */
    UT_hash_handle hh;
};

struct ask {
    struct probe *probe;
    struct selection selection;
    struct group *group; /* NULL: ended before there was one */
    struct reader **readers;
    size_t count;
    size_t capacity;
    struct ask *next; /* of the group */
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
    bool has_told; /* a group's `told` waits */
};

void batch_init(struct batch *batch, struct kafka_client *client, struct probe *const *probes,
                size_t count, int64_t deadline_ms);

/* Waits for the threads of the offsets. */
void batch_done(struct batch *batch);

/* Names the topics to the client, so that topics_refresh() asks for them. */
void batch_use_topics(struct batch *batch);

/* Finds who reads what, by what is known of the topics; fails the probes whose topics cannot be read. */
void batch_open(struct batch *batch);

/* The group is found to have committed this topic, which is known well enough. */
struct reader *batch_add_reader(struct batch *batch, struct group *group, const char *topic);

/* All readers of the group are known now: those are the ask's that have a commit. */
void ask_open_committed(struct batch *batch, struct ask *ask);

/* Ends the ask's probe if enough is known by now; asks for offsets that turn out to be needed. */
void ask_try(struct batch *batch, struct ask *ask);

#endif
