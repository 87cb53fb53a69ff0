/*
 * A batch: tasks that are measured together, sorted by what they share.
 *
 *     batch_task ----> group_topics ---> group   one request for a group's commits on all topics
 *                                `-----> topic   one answer of a partition's offsets for all groups
 *
 * A task leaves its batch when it ends (task_end.h), and the batch ends with its last one. Answers
 * that come after that are dropped.
 *
 * batch.c makes the structs, and writes their fields but for those that name another file.
 *
 * Threads: the measuring thread. Owner: the loop of measure.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_BATCH_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_BATCH_H

#include "kafka/selection.h"
#include "kafka/session.h"
#include "measure/task.h"

enum kafka_offset_state {
    KAFKA_OFFSET_UNKNOWN,
    KAFKA_OFFSET_REQUESTED,
    KAFKA_OFFSET_KNOWN,
    KAFKA_OFFSET_FAILED,
};

/* Written by progress.c and partitions.c. */
struct kafka_known_offset {
    enum kafka_offset_state state;
    int64_t value;             /* of a commit, -1: there is none */
    rd_kafka_resp_err_t error; /* where it failed */
    unsigned requested_step;   /* the batch's step when it was requested; of a commit, 0 */
    int32_t leader;            /* the broker it was requested from; not of a commit */
    bool has_old_leader;       /* that leader was known from before the batch: it may have moved */
};

/* Of a partition. */
struct kafka_ends {
    struct kafka_known_offset latest;
    struct kafka_known_offset earliest;
};

struct kafka_batch_topic {
    struct kafka_batch *batch;
    char *name;
    struct kafka_topic *known;     /* topics.c's, held until the batch is freed; NULL: the library
                                      refuses the name, or it lacks room */
    bool lacks_room;               /* see kafka_topics_has_room() */
    struct kafka_ends *partitions; /* one per partition; NULL: no group is on it yet */
    int32_t count;
    UT_hash_handle hh;

    /* partitions.c: */
    unsigned counted_step; /* that of the last kafka_partitions_count() that counted it */
};

/* A consumer group on one topic. */
struct kafka_group_topic {
    struct {
        struct kafka_batch_group *group;
        struct kafka_batch_topic *topic;
    } key;
    struct kafka_known_offset *commits; /* one per partition */
    struct kafka_group_topic *next;     /* of the group */
    UT_hash_handle hh;

    /* progress.c: */
    bool is_named; /* by what the group has committed, or by an error in place of that */
};

/* Where the commits of a group are. */
enum kafka_group_stage {
    KAFKA_GROUP_GATHERING, /* its tasks are found; nothing is requested yet */
    KAFKA_GROUP_REQUESTED,
    KAFKA_GROUP_AWAITS_METADATA, /* the commits have come; the metadata of topics that only they
                                    name is under way */
    KAFKA_GROUP_ANSWERED,        /* the commits have come, and all of their topics are known */
};

struct kafka_batch_group {
    struct kafka_commits_request request; /* first */
    struct kafka_batch *batch;
    char *name;
    struct kafka_group_topic *topics;
    size_t open; /* of its tasks */
    struct kafka_share share;
    UT_hash_handle hh;

    /* progress.c: */
    enum kafka_group_stage stage;
    struct kafka_batch_task *tasks;
    bool wants_all; /* a task is for all topics that the group has committed */
    bool wants_members;
    unsigned answered_step; /* the batch's step when the commits came */
    /* While KAFKA_GROUP_AWAITS_METADATA: the commits, copied, as the event that they came with must
     * not outlive the handle; NULL otherwise. And what they wait for. */
    rd_kafka_topic_partition_list_t *commits;
    struct kafka_metadata_need need;
};

/*
 * What a task waits for, which follows from these:
 *
 *     metadata of its topics         batch->is_sent is false: it has no group yet
 *     commits                        group->stage is KAFKA_GROUP_REQUESTED
 *     metadata of the topics that    KAFKA_GROUP_AWAITS_METADATA
 *     the commits name
 *     offsets, then members          KAFKA_GROUP_ANSWERED
 *     nothing: it has ended          task is NULL
 */
struct kafka_batch_task {
    struct task *task; /* NULL: it has ended */
    struct kafka_batch *batch;
    struct kafka_selection selection;
    struct kafka_batch_group *group; /* NULL: not known yet */

    /* progress.c: */
    struct kafka_batch_task *next; /* of the group's tasks */

    /* partitions.c: */
    struct kafka_group_topic **topics;
    size_t count;
    size_t capacity;
    size_t partition_count; /* of all topics that were checked */
};

/* Whether the task has not ended yet. */
static inline bool kafka_batch_task_is_open(const struct kafka_batch_task *batch_task)
{
    return batch_task->task != NULL;
}

struct kafka_batch {
    struct kafka_session *session;
    bool isolate;
    int64_t began_ms;
    int64_t deadline_ms;             /* of the task with the most time */
    int64_t next_deadline_ms;        /* no open task's deadline is earlier; progress.c raises it */
    struct kafka_metadata_need need; /* with it all topics are known */
    struct kafka_batch_task *tasks;
    size_t count;
    size_t open;
    struct kafka_batch_topic *topics;
    struct kafka_batch_group *groups;
    struct kafka_group_topic *group_topics;
    unsigned step; /* see kafka_batch_next_step() */

    /* progress.c: */
    bool is_sent; /* the topics are known, and the requests under way */

    /* measure.c: */
    struct kafka_batch *prev, *next;
};

/* Makes a batch of these tasks (utlist). Their topics are named to metadata.c, so that one request
 * answers for all of them. */
struct kafka_batch *kafka_batch_new(struct kafka_session *session, struct task *tasks, size_t count,
                                    bool isolate, int64_t now_ms);

/* Frees a batch; its open tasks are the feed's again. Answers to what is still requested for it are
 * dropped. */
void kafka_batch_free(struct kafka_batch *batch);

/* The batch's topic, or group, of this name; it is made where there is none. */
struct kafka_batch_topic *kafka_batch_topic_for(struct kafka_batch *batch, const char *name);
struct kafka_batch_group *kafka_batch_group_for(struct kafka_batch *batch, const char *name);

/* The group on this topic; it is made where there is none. The metadata of the topic is known. The
 * partitions that the topic has at the first call are those of the batch to its end. */
struct kafka_group_topic *kafka_batch_group_topic_for(struct kafka_batch_group *group,
                                                      struct kafka_batch_topic *topic);

/* Adds what is to be known before the batch goes on with the topic. */
void kafka_batch_need_topic(const struct kafka_batch_topic *topic, int64_t now_ms,
                            struct kafka_metadata_need *need);

/* Puts a task into its group. */
void kafka_batch_set_group(struct kafka_batch_task *batch_task, struct kafka_batch_group *group);

/* Takes an open task out of its batch, and of its group. With its last one the group's request is
 * cancelled, and its space released. */
struct task *kafka_batch_take_task(struct kafka_batch_task *batch_task);

/* The next step, which orders what is requested and what comes: each offset that is requested has
 * one, and each group's commits when they come; so has each count of partitions.h, to know what it
 * has counted. The first is 1. */
unsigned kafka_batch_next_step(struct kafka_batch *batch);

/* The group on the topic of this name. NULL: the group is not on it. */
struct kafka_group_topic *kafka_batch_find_group_topic(const struct kafka_batch_group *group,
                                                       const char *name);

/* Goes on to the next of the topic's partitions that the task counts; the first comes after -1.
 * False: there are no more. */
bool kafka_batch_next_of_topic(const struct kafka_batch_task *batch_task,
                               const struct kafka_group_topic *group_topic, int32_t *partition);

/* A partition that a task counts. */
struct kafka_place {
    const struct kafka_group_topic *group_topic;
    const struct kafka_batch_topic *topic; /* that of `group_topic` */
    int32_t partition;
    size_t index; /* the topic's, among those of the task */
};

#define KAFKA_PLACE_FIRST ((struct kafka_place){.partition = -1})

/* The same of all of its topics. */
bool kafka_batch_next_partition(const struct kafka_batch_task *batch_task, struct kafka_place *at);

/* The history of the group's commits on the topic; it is made where there is none. It is valid
 * until the next call that may forget it. */
struct kafka_persistence *kafka_batch_persistence_for(const struct kafka_group_topic *group_topic,
                                                      int64_t now_ms);

#endif
