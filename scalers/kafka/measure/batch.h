/*
 * A batch: tasks that are measured together, so that they share requests.
 *
 *     batch_task           a task
 *         |
 *         | topics         one for each topic that the task counts
 *         v
 *     group_topic          a consumer group on a topic, with its commits
 *         |
 *         |`---> topic     with its latest and earliest offsets, requested once for all groups
 *         v
 *       group              its commits are requested once for all its topics and tasks
 *
 * A task leaves its batch when it ends (task_end.h). The batch is freed after its last task, and
 * later answers to its requests are dropped.
 *
 * batch.c makes the structs and writes their fields, but not those below a comment with the name of
 * another file.
 *
 * Threads: the measuring thread. Owner: the loop of measure.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_BATCH_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_BATCH_H

#include "kafka/selection.h"
#include "kafka/session.h"
#include "measure/task.h"

#include <stddef.h>

enum kafka_offset_state {
    KAFKA_OFFSET_UNKNOWN,
    KAFKA_OFFSET_REQUESTED,
    KAFKA_OFFSET_KNOWN,
    KAFKA_OFFSET_FAILED,
};

/* A commit, or the latest or earliest offset of a partition. progress.c and partitions.c write it.
 */
struct kafka_known_offset {
    enum kafka_offset_state state;
    int64_t value;             /* of a commit, -1: there is none */
    rd_kafka_resp_err_t error; /* of the last request, if that failed */
    unsigned requested_step;   /* the batch's step when it was requested; always 0 for a commit */
    unsigned again_step;       /* the step when it was requested again, as a commit is beyond it:
                                  others count its value until the answer; 0: none is awaited */
    int32_t leader;            /* the broker that it was last requested from; unused for a commit */
    bool has_old_leader;       /* the leader was known before the batch: it may have moved */
};

/* Both ends of a partition. */
struct kafka_ends {
    struct kafka_known_offset latest;
    struct kafka_known_offset earliest;
};

struct kafka_batch_topic {
    struct kafka_batch *batch;
    char *name;
    struct kafka_topic *known;     /* its metadata, held until the batch is freed; NULL: the library
                                      refuses the name, or there is no room */
    bool lacks_room;               /* see kafka_handle_topics_has_room() */
    struct kafka_ends *partitions; /* `count` of them; NULL: no group is on the topic yet */
    int32_t count;
    UT_hash_handle hh;

    /* partitions.c: */
    unsigned counted_step; /* the step of the last kafka_partitions_count() that counted it */
};

/* A consumer group on one topic. */
struct kafka_group_topic {
    struct {
        struct kafka_batch_group *group;
        struct kafka_batch_topic *topic;
    } key;
    struct kafka_known_offset *commits; /* one per partition */
    struct kafka_group_topic *next;     /* the group's next topic */
    UT_hash_handle hh;

    /* progress.c: */
    bool is_named; /* the answer with the commits has one of this topic, or an error */
};

/* How far the commits of a group are. progress.h shows what leads from one stage to the next. */
enum kafka_group_stage {
    KAFKA_GROUP_NEW,             /* nothing is requested yet */
    KAFKA_GROUP_REQUESTED,       /* the commits are requested */
    KAFKA_GROUP_AWAITS_METADATA, /* the commits are here; they name topics whose metadata is not */
    KAFKA_GROUP_ANSWERED,        /* the commits, and the metadata of their topics, are here */
};

struct kafka_batch_group {
    struct kafka_commits_request request;
    struct kafka_batch *batch;
    char *name;
    struct kafka_group_topic *topics;
    size_t open;              /* how many of its tasks have not ended */
    struct kafka_share share; /* its space */
    UT_hash_handle hh;

    /* progress.c: */
    enum kafka_group_stage stage;
    struct kafka_batch_task *tasks;
    bool wants_all; /* a task without `topic` counts all topics that the group has committed */
    bool wants_members;
    bool has_members;       /* they are requested; released when the last task ends */
    unsigned answered_step; /* the batch's step when the commits came */
    /* In KAFKA_GROUP_AWAITS_METADATA: a copy of the commits, as their event must not outlive its
     * handle (in other stages NULL), and the metadata that they need. */
    rd_kafka_topic_partition_list_t *commits;
    struct kafka_metadata_need need;
};
_Static_assert(offsetof(struct kafka_batch_group, request) == 0, "kafka_batch_group_of() casts");

/* The group of a request for commits. */
static inline struct kafka_batch_group *kafka_batch_group_of(struct kafka_commits_request *request)
{
    return (struct kafka_batch_group *)request;
}

/*
 * A task in a batch. What it waits for is not a field of its own:
 *
 *     metadata of its topics                 `group` is NULL
 *     commits                                KAFKA_GROUP_REQUESTED
 *     metadata of topics in the commits      KAFKA_GROUP_AWAITS_METADATA, and it has no `topic`
 *     offsets, then members                  kafka_batch_task_has_commits()
 *     nothing, as it has ended               `task` is NULL
 */
struct kafka_batch_task {
    struct task *task; /* NULL: it has ended */
    struct kafka_batch *batch;
    struct kafka_selection selection;
    struct kafka_batch_group *group; /* NULL: the metadata of the batch's topics is not here yet */

    /* progress.c: */
    struct kafka_batch_task *next; /* the group's next task */

    /* partitions.c: */
    struct kafka_group_topic **topics; /* those that it counts */
    size_t topics_bytes; /* counted for them, since it began if its pattern was known: batch.c */
    size_t count;
    size_t capacity;
    size_t partition_count; /* of these topics */
};

/* Whether the task has not ended yet. */
static inline bool kafka_batch_task_is_open(const struct kafka_batch_task *batch_task)
{
    return batch_task->task != NULL;
}

/* Whether the group's commits have come, and all topics of the task are known. A task with `topic`
 * does not wait for other topics that the commits name. */
static inline bool kafka_batch_task_has_commits(const struct kafka_batch_task *batch_task)
{
    const struct kafka_batch_group *group = batch_task->group;
    return group != NULL && (group->stage == KAFKA_GROUP_ANSWERED ||
                             (group->stage == KAFKA_GROUP_AWAITS_METADATA &&
                              batch_task->selection.kind != KAFKA_SELECTION_OF_GROUP));
}

struct kafka_batch {
    struct kafka_session *session;
    bool isolate;
    int64_t began_ms;
    int64_t deadline_ms;      /* the latest deadline of its tasks */
    int64_t next_deadline_ms; /* no open task has an earlier deadline; progress.c raises it */
    struct kafka_metadata_need need; /* the metadata of the topics that its tasks name */
    struct kafka_batch_task *tasks;
    size_t count;
    size_t open;
    struct kafka_batch_topic *topics;
    struct kafka_batch_group *groups;
    struct kafka_group_topic *group_topics;
    double bytes;  /* what it takes */
    unsigned step; /* see kafka_batch_next_step() */

    /* progress.c: */
    bool is_sent; /* the metadata is here, and the tasks are in their groups */

    /* measure.c: */
    struct kafka_batch *prev, *next;
};

/* Makes a batch of these tasks (utlist), and collects in `need` the metadata that they lack. */
struct kafka_batch *kafka_batch_new(struct kafka_session *session, struct task *tasks, size_t count,
                                    bool isolate, int64_t now_ms);

/* The batch takes so many bytes more, in memory.h, until it is freed. */
void kafka_batch_count_bytes(struct kafka_batch *batch, size_t bytes);

/* Frees a batch. Its open tasks are the feed's again, and its requests are cancelled. */
void kafka_batch_free(struct kafka_batch *batch);

/* Finds or makes the batch's topic, or group, of this name. */
struct kafka_batch_topic *kafka_batch_topic_for(struct kafka_batch *batch, const char *name);
struct kafka_batch_group *kafka_batch_group_for(struct kafka_batch *batch, const char *name);

/* Finds or makes the group's struct of this topic, whose metadata must be known. The batch goes on
 * with the partitions that the topic has at the first call. */
struct kafka_group_topic *kafka_batch_group_topic_for(struct kafka_batch_group *group,
                                                      struct kafka_batch_topic *topic);

/* Adds to the need the metadata that the batch waits for before it uses the topic. */
void kafka_batch_need_topic(const struct kafka_batch_topic *topic, int64_t now_ms,
                            struct kafka_metadata_need *need);

/* Puts a task into its group. */
void kafka_batch_set_group(struct kafka_batch_task *batch_task, struct kafka_batch_group *group);

/* Takes an open task out of its batch and its group. When a group has no open task left, its
 * request is cancelled and its space released. */
struct task *kafka_batch_take_task(struct kafka_batch_task *batch_task);

/* The next step of the batch: a clock of its events. A request for an offset takes a step, and
 * commits that come take one. If the latest offset was requested in step 3, and the commits came in
 * step 5, a commit may be beyond it (count.h). A kafka_partitions_count() takes a step to know
 * which topics it has counted. The first step is 1. */
unsigned kafka_batch_next_step(struct kafka_batch *batch);

/* Finds the group's struct of the topic of this name. NULL: the group is not on that topic. */
struct kafka_group_topic *kafka_batch_find_group_topic(struct kafka_batch_group *group,
                                                       const char *name);

/* Goes on to the next partition of the topic that the task counts; it begins with -1. False: there
 * is none. */
bool kafka_batch_next_of_topic(const struct kafka_batch_task *batch_task,
                               const struct kafka_group_topic *group_topic, int32_t *partition);

/* A partition that a task counts. */
struct kafka_place {
    const struct kafka_group_topic *group_topic;
    const struct kafka_batch_topic *topic; /* that of `group_topic` */
    int32_t partition;
    size_t index; /* of `group_topic` in the task's `topics` */
};

#define KAFKA_PLACE_FIRST ((struct kafka_place){.partition = -1})

/* Goes on to the next partition that the task counts, on any of its topics. */
bool kafka_batch_next_partition(const struct kafka_batch_task *batch_task, struct kafka_place *at);

/* Finds or makes the history of the group's commits on the topic (kafka_persistence_for()). NULL:
 * there is no memory for it. */
struct kafka_persistence *kafka_batch_persistence_for(const struct kafka_group_topic *group_topic,
                                                      int64_t now_ms);

#endif
