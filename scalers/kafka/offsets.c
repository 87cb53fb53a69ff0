#include "offsets.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "metadata.h"

#include <pthread.h>

enum {
    CALL_PARTITIONS = 1000, /* librdkafka 2.0 takes no more */
    MOST_THREADS = 32,
    MARGIN_MS = 30, /* before the deadline, for the answers on their way to their probes */
};

/* One call: partitions of one leader, all the first or all the last offsets. */
struct job {
    struct lane *lane;
    rd_kafka_topic_partition_list_t *list; /* an element's opaque is its struct topic */
    bool earliest;
    rd_kafka_resp_err_t error;
    struct job *next;
};

/* The work for one broker. */
struct lane {
    struct offsets *offsets;
    int32_t leader;
    struct job *filling[2]; /* latest, earliest: not full yet; the poller's */
    struct job *waiting;    /* under the lock */
    bool running;           /* under the lock */
    UT_hash_handle hh;
};

struct offsets {
    struct batch *batch;
    rd_kafka_t *rk;
    rd_kafka_queue_t *answers;
    int64_t deadline_ms;
    struct lane *lanes;

    pthread_mutex_t lock;
    pthread_cond_t ended; /* a thread did */
    struct job *done;     /* under the lock */
    int running;          /* under the lock */
};

struct offsets *offsets_new(struct batch *batch)
{
    struct offsets *offsets = memory_new(sizeof(*offsets));
    offsets->batch = batch;
    offsets->rk = batch->client->rk;
    offsets->answers = batch->client->answers;
    offsets->deadline_ms = batch->deadline_ms - MARGIN_MS;
    pthread_mutex_init(&offsets->lock, NULL);
    pthread_cond_init(&offsets->ended, NULL);
    return offsets;
}

static void job_free(struct job *job)
{
    if (job != NULL)
        rd_kafka_topic_partition_list_destroy(job->list);
    free(job);
}

static void jobs_free(struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;
        job_free(job);
        job = next;
    }
}

void offsets_free(struct offsets *offsets)
{
    pthread_mutex_lock(&offsets->lock);
    while (offsets->running > 0)
        pthread_cond_wait(&offsets->ended, &offsets->lock);
    pthread_mutex_unlock(&offsets->lock);

    struct lane *lane;
    struct lane *next;
    HASH_ITER(hh, offsets->lanes, lane, next)
    {
        HASH_DEL(offsets->lanes, lane);
        jobs_free(lane->waiting);
        job_free(lane->filling[false]);
        job_free(lane->filling[true]);
        free(lane);
    }
    jobs_free(offsets->done);
    pthread_cond_destroy(&offsets->ended);
    pthread_mutex_destroy(&offsets->lock);
    free(offsets);
}

#if RD_KAFKA_VERSION >= 0x020300ff

/* The answer is in the order of the question; what is out of place stays without an offset. */
static void take_answer(rd_kafka_topic_partition_list_t *list, const rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(
        rd_kafka_event_ListOffsets_result((rd_kafka_event_t *)event), &count);
    for (size_t i = 0; i < count && i < (size_t)list->cnt; i++) {
        const rd_kafka_topic_partition_t *told =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (told->partition != list->elems[i].partition ||
            !text_equal(told->topic, list->elems[i].topic))
            continue;
        list->elems[i].offset = told->offset;
        list->elems[i].err = told->err;
    }
}

/* Tells the error of each partition. */
static rd_kafka_resp_err_t list_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                        int left_ms)
{
    char reason[128];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_AdminOptions_set_request_timeout(options, left_ms, reason, sizeof(reason));
    rd_kafka_ListOffsets(rk, list, options, queue);
    rd_kafka_AdminOptions_destroy(options);

    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, left_ms);
    rd_kafka_resp_err_t error =
        event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        take_answer(list, event);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return error;
}

#else

/* One partition's error is that of all, and job_split() finds out which. */
static rd_kafka_resp_err_t list_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                        int left_ms)
{
    return rd_kafka_offsets_for_times(rk, list, left_ms);
}

#endif

/* On a lane's thread, without the lock. */
static void job_do(struct offsets *offsets, struct job *job)
{
    int left_ms = clock_left_ms(offsets->deadline_ms, INT32_MAX);
    job->error =
        left_ms == 0 ? RD_KAFKA_RESP_ERR__TIMED_OUT : list_offsets(offsets->rk, job->list, left_ms);
}

static void *lane_run(void *argument)
{
    struct lane *lane = argument;
    struct offsets *offsets = lane->offsets;
    pthread_mutex_lock(&offsets->lock);
    while (lane->waiting != NULL) {
        struct job *job = lane->waiting;
        lane->waiting = job->next;
        pthread_mutex_unlock(&offsets->lock);
        job_do(offsets, job);
        pthread_mutex_lock(&offsets->lock);
        job->next = offsets->done;
        offsets->done = job;
        rd_kafka_queue_yield(offsets->answers);
    }
    lane->running = false;
    offsets->running--;
    pthread_cond_signal(&offsets->ended);
    pthread_mutex_unlock(&offsets->lock);
    return NULL;
}

/* Under the lock. Without memory for a thread the jobs stay, and their probes are overdue. */
static void lane_start(struct offsets *offsets, struct lane *lane)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, lane_run, lane) == 0) {
        lane->running = true;
        offsets->running++;
    }
    pthread_attr_destroy(&attributes);
}

static struct lane *lane_of(struct offsets *offsets, int32_t leader)
{
    struct lane *lane;
    HASH_FIND(hh, offsets->lanes, &leader, sizeof(leader), lane);
    if (lane != NULL)
        return lane;
    lane = memory_new(sizeof(*lane));
    lane->offsets = offsets;
    lane->leader = leader;
    HASH_ADD(hh, offsets->lanes, leader, sizeof(lane->leader), lane);
    return lane;
}

/* What was collected waits for the lane's thread. */
static void lane_flush(struct lane *lane, bool earliest)
{
    struct job *job = TAKE(lane->filling[earliest]);
    if (job == NULL)
        return;
    pthread_mutex_lock(&lane->offsets->lock);
    job->next = lane->waiting;
    lane->waiting = job;
    pthread_mutex_unlock(&lane->offsets->lock);
}

static void lane_add(struct lane *lane, bool earliest, struct topic *topic, int32_t partition)
{
    struct job *job = lane->filling[earliest];
    if (job == NULL) {
        job = memory_new(sizeof(*job));
        job->lane = lane;
        job->list = rd_kafka_topic_partition_list_new(0);
        job->earliest = earliest;
        lane->filling[earliest] = job;
    }
    rd_kafka_topic_partition_t *added =
        rd_kafka_topic_partition_list_add(job->list, topic->name, partition);
    added->offset = earliest ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
    added->opaque = topic;
    if (job->list->cnt == CALL_PARTITIONS)
        lane_flush(lane, earliest);
}

static struct offset *offset_of(struct topic *topic, int32_t partition, bool earliest)
{
    struct partition *of = &topic->partitions[partition];
    return earliest ? &of->earliest : &of->latest;
}

static void ask_offset(struct offsets *offsets, struct topic *topic, int32_t partition,
                       bool earliest)
{
    struct offset *offset = offset_of(topic, partition, earliest);
    *offset = (struct offset){.state = OFFSET_ASKED, .asked = ++offsets->batch->step};
    int32_t leader = topic_leader(topic->known, partition);
    if (leader >= 0) {
        lane_add(lane_of(offsets, leader), earliest, topic, partition);
        return;
    }
    offset->state = OFFSET_FAILED;
    offset->error = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    topic_doubt(topic->known);
}

void offsets_ask_latest(struct offsets *offsets, struct topic *topic, int32_t partition)
{
    ask_offset(offsets, topic, partition, false);
}

void offsets_ask_earliest(struct offsets *offsets, struct topic *topic, int32_t partition)
{
    ask_offset(offsets, topic, partition, true);
}

void offsets_send(struct offsets *offsets)
{
    for (struct lane *lane = offsets->lanes; lane != NULL; lane = lane->hh.next) {
        lane_flush(lane, false);
        lane_flush(lane, true);
        pthread_mutex_lock(&offsets->lock);
        if (lane->waiting != NULL && !lane->running && offsets->running < MOST_THREADS)
            lane_start(offsets, lane);
        pthread_mutex_unlock(&offsets->lock);
    }
}

/* One partition's error is the whole call's: ask again in halves till it stands alone. */
static void job_split(struct job *job)
{
    const rd_kafka_topic_partition_list_t *list = job->list;
    lane_flush(job->lane, job->earliest);
    for (int half = 0; half < 2; half++) {
        int first = half == 0 ? 0 : list->cnt / 2;
        int end = half == 0 ? list->cnt / 2 : list->cnt;
        for (int i = first; i < end; i++)
            lane_add(job->lane, job->earliest, list->elems[i].opaque, list->elems[i].partition);
        lane_flush(job->lane, job->earliest);
    }
}

/* A negative code is the library's: the broker did not answer, so halves would not fare better. */
static bool is_of_a_partition(const struct job *job)
{
    return job->error > RD_KAFKA_RESP_ERR_NO_ERROR && job->list->cnt > 1;
}

static void job_take(struct job *job)
{
    for (int i = 0; i < job->list->cnt; i++) {
        const rd_kafka_topic_partition_t *told = &job->list->elems[i];
        struct topic *topic = told->opaque;
        struct offset *offset = offset_of(topic, told->partition, job->earliest);
        rd_kafka_resp_err_t error = job->error != RD_KAFKA_RESP_ERR_NO_ERROR ? job->error
                                    : told->offset < 0 && told->err == RD_KAFKA_RESP_ERR_NO_ERROR
                                        ? RD_KAFKA_RESP_ERR__BAD_MSG
                                        : told->err;
        offset->state = error == RD_KAFKA_RESP_ERR_NO_ERROR ? OFFSET_KNOWN : OFFSET_FAILED;
        offset->value = told->offset;
        offset->error = error;
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            topic_doubt(topic->known);
    }
}

bool offsets_hear(struct offsets *offsets)
{
    pthread_mutex_lock(&offsets->lock);
    struct job *job = TAKE(offsets->done);
    pthread_mutex_unlock(&offsets->lock);
    bool heard = job != NULL;
    while (job != NULL) {
        struct job *next = job->next;
        if (is_of_a_partition(job))
            job_split(job);
        else
            job_take(job);
        job_free(job);
        job = next;
    }
    return heard;
}
