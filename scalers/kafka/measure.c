#include "measure.h"

#include "arm.h"
#include "base/clock.h"
#include "batch.h"
#include "groups.h"
#include "lag.h"
#include "metadata.h"
#include "offsets.h"
#include "stall.h"

/*
 * A group whose commits have not come for so long may never send them on this handle: the library,
 * told not to time out, goes on waiting for the coordinator that it knows, or for some broker to come
 * or go before it looks for another. A new handle finds the new coordinator at once.
 */
enum { HOPELESS_MS = 6000 };

enum { RENEW_MS = 2000 };

/* How long to wait between two looks at what the library complains of. */
enum { LISTEN_MS = 100 };

/* What is known of one partition, for one ask. */
enum outcome { PENDING, COUNTED, FAILED };

static enum outcome fail(const struct ask *ask, const struct reader *reader, int32_t partition,
                         const char *what, const struct offset *offset)
{
    bool silent = offset->error == RD_KAFKA_RESP_ERR__TIMED_OUT;
    probe_failf(ask->probe, "%s of Kafka topic %s partition %d for group %s: %s", what,
                reader->key.topic->name, partition, reader->key.group->name,
                silent ? "its leader does not answer" : rd_kafka_err2str(offset->error));
    return FAILED;
}

/* The last offset may be older than the commit; a commit beyond it means something only if it is not. */
static bool must_ask_again(const struct group *group, const struct offset *commit,
                           const struct offset *latest)
{
    return commit->value > latest->value && latest->asked < group->answered;
}

/* Of all partitions of an ask. */
struct count {
    double lag;
    double persistent_lag; /* of it, where it is excluded */
    double partitions;
    double partitions_with_lag;
};

static void add_lag(const struct kafka_query *query, struct reader *reader, int32_t i,
                    struct count *count)
{
    const struct partition *partition = &reader->key.topic->partitions[i];
    int64_t committed = reader->commits[i].value;
    double lag = lag_of(query, committed, partition->latest.value, partition->earliest.value);
    bool persistent = query->exclude_persistent_lag &&
                      !lag_is_invalid(committed, partition->latest.value) &&
                      stall_look(reader->stall, i, committed, partition->latest.value,
                                 clock_now_ms()) >= query->persistent_lag_ms;
    count->lag += lag;
    count->persistent_lag += persistent ? lag : 0;
    count->partitions++;
    count->partitions_with_lag += lag > 0 && !persistent;
}

static enum outcome count_partition(struct batch *batch, const struct ask *ask,
                                    struct reader *reader, int32_t i, struct count *count)
{
    const struct kafka_query *query = ask->probe->query;
    struct topic *topic = reader->key.topic;
    const struct offset *commit = &reader->commits[i];
    const struct offset *latest = &topic->partitions[i].latest;
    const struct offset *earliest = &topic->partitions[i].earliest;

    if (commit->state == OFFSET_FAILED)
        return fail(ask, reader, i, "the commit", commit);
    if (latest->state == OFFSET_FAILED)
        return fail(ask, reader, i, "the last offset", latest);
    if (commit->state != OFFSET_KNOWN || latest->state != OFFSET_KNOWN)
        return PENDING;
    if (must_ask_again(ask->group, commit, latest)) {
        offsets_ask_latest(batch->offsets, topic, i);
        return PENDING;
    }
    if (lag_needs_earliest(query, commit->value, latest->value)) {
        if (earliest->state == OFFSET_FAILED)
            return fail(ask, reader, i, "the first offset", earliest);
        if (earliest->state == OFFSET_UNKNOWN)
            offsets_ask_earliest(batch->offsets, topic, i);
        if (earliest->state != OFFSET_KNOWN)
            return PENDING;
    }
    add_lag(query, reader, i, count);
    return COUNTED;
}

static enum outcome count_reader(struct batch *batch, const struct ask *ask, struct reader *reader,
                                 struct count *count)
{
    enum outcome all = COUNTED;
    /* All partitions, also after a pending one, so that what they need is asked for at once. */
    for (int32_t i = 0; i < reader->key.topic->count; i++) {
        if (!lag_counts(ask->probe->query, i))
            continue;
        enum outcome outcome = count_partition(batch, ask, reader, i, count);
        if (outcome == FAILED)
            return FAILED;
        if (outcome == PENDING)
            all = PENDING;
    }
    return all;
}

void ask_try(struct batch *batch, struct ask *ask)
{
    struct count count = {0};
    bool pending = false;
    if (ask->probe->ended || ask->group->answered == 0)
        return;
    for (size_t i = 0; i < ask->count; i++) {
        enum outcome outcome = count_reader(batch, ask, ask->readers[i], &count);
        if (outcome == FAILED)
            return;
        pending = pending || outcome == PENDING;
    }
    if (pending)
        return;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = count.lag - count.persistent_lag;
    reading.waiting_for_activation = count.lag;
    reading.partitions = count.partitions;
    reading.partitions_with_lag = count.partitions_with_lag;
    if (probe_wants_arm(ask->probe))
        arm_ask(batch, ask);
    probe_answer(ask->probe, &reading);
}

static bool all_ended(const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->asks[i].probe->ended)
            return false;
    return true;
}

static void try_all(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->asks[i].probe->ended)
            ask_try(batch, &batch->asks[i]);
}

static void hear_answers(struct batch *batch, int wait_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(batch->client->answers, wait_ms);
    for (; event != NULL; event = rd_kafka_queue_poll(batch->client->answers, 0))
        groups_hear(batch, event);
}

/* Till all is known, or the deadline. */
static bool hear_all(struct batch *batch, struct error *error)
{
    while (!all_ended(batch)) {
        int left_ms = clock_left_ms(batch->deadline_ms, LISTEN_MS);
        if (left_ms == 0)
            break;
        hear_answers(batch, left_ms);
        if (!groups_take_told(batch, error))
            return false;
        if (offsets_hear(batch->offsets))
            try_all(batch);
        offsets_send(batch->offsets);
        client_listen(batch->client);
    }
    return true;
}

/*
 * It is brokers that do not answer, not single topics or groups: asking for each of their probes apart
 * would help none of them, and keep them apart for longer than the broker is away. So they fail.
 */
static void ask_give_up(const struct ask *ask)
{
    if (ask->group->answered == 0)
        probe_failf(ask->probe, "the commits of Kafka group %s: its coordinator does not answer",
                    ask->group->name);
    for (size_t i = 0; i < ask->count; i++) {
        const struct topic *topic = ask->readers[i]->key.topic;
        for (int32_t j = 0; !ask->probe->ended && j < topic->count; j++)
            if (topic->partitions[j].latest.state == OFFSET_ASKED ||
                topic->partitions[j].earliest.state == OFFSET_ASKED)
                probe_failf(
                    ask->probe,
                    "Kafka broker %d, which leads partition %d of topic %s, does not answer",
                    topic_leader(topic->known, j), j, topic->name);
    }
}

static void give_up(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->asks[i].probe->ended)
            ask_give_up(&batch->asks[i]);
}

/* Not over and over while a cluster is at odds with itself. */
static bool may_renew(const struct kafka_client *client)
{
    return client->calls == NULL && clock_now_ms() - client->renewed_ms >= RENEW_MS;
}

static bool check_client(struct kafka_client *client, int64_t deadline_ms, struct error *error)
{
    int64_t oldest_ms = groups_oldest_ms(client);
    if (oldest_ms >= HOPELESS_MS)
        return error_unavailable(error, "a Kafka group's coordinator has not answered for %d s",
                                 (int)(oldest_ms / 1000));
    return !(client->is_crowded || client->is_misled) || !may_renew(client) ||
           client_renew(client, deadline_ms, error);
}

static bool measure(struct batch *batch, struct error *error)
{
    batch_use_topics(batch);
    if (!topics_refresh(batch->client, batch->deadline_ms, error))
        return false;
    batch_open(batch);
    hear_answers(batch, 0);
    groups_ask(batch);
    offsets_send(batch->offsets);
    if (!hear_all(batch, error))
        return false;
    give_up(batch);
    return true;
}

bool kafka_measure(void *client, struct probe *const *probes, size_t count, int64_t deadline_ms,
                   struct error *error)
{
    /* The last tenth is for ending what waits, and for the threads that wait for a broker. */
    int reserve_ms = clock_left_ms(deadline_ms, INT32_MAX) / 10;
    struct batch batch;
    batch_init(&batch, client, probes, count, deadline_ms - reserve_ms);
    bool usable = measure(&batch, error);
    batch_done(&batch);
    return usable && check_client(client, deadline_ms, error);
}
