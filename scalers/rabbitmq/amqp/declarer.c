#include "rabbitmq/amqp/declarer.h"

#include "base/clock.h"
#include "rabbitmq/amqp/quarantine.h"

#include <string.h>

enum {
    /* The broker gives the leader of a quorum queue 250 to report its length. Less, as a round trip
     * may have been learnt while the broker was slow. */
    GUESS_MS = 200,
    MIN_PIPELINE = 1,
    MAX_READS = 64, /* per turn, of 16 KiB at most: no flood keeps the thread from its deadlines */
};

void rabbitmq_declarer_init(struct rabbitmq_declarer *declarer,
                            struct rabbitmq_amqp_connection *connection)
{
    *declarer = (struct rabbitmq_declarer){.connection = connection};
    rabbitmq_channels_init(&declarer->slots.channels, connection);
}

void rabbitmq_declarer_done(struct rabbitmq_declarer *declarer)
{
    rabbitmq_requests_clear(&declarer->requests);
    rabbitmq_quarantine_free(&declarer->quarantine);
    rabbitmq_channels_done(&declarer->slots.channels);
}

void rabbitmq_declarer_add(struct rabbitmq_declarer *declarer, struct task *task)
{
    const struct rabbitmq_query *query = task->query;
    struct rabbitmq_requests *requests = &declarer->requests;
    struct rabbitmq_request *request = rabbitmq_requests_add(requests, task, query->queue_name);
    enum rabbitmq_group group = RABBITMQ_GROUP_SHARED;
    if (task->isolate)
        group = RABBITMQ_GROUP_ISOLATED;
    else if (rabbitmq_quarantine_has(declarer->quarantine, query->queue_name))
        group = RABBITMQ_GROUP_QUARANTINED;
    rabbitmq_requests_wait(requests, request, group);
}

void rabbitmq_declarer_abandon(struct rabbitmq_declarer *declarer)
{
    rabbitmq_requests_clear(&declarer->requests);
}

/* ---- sending ---- */

static bool send_next(struct rabbitmq_declarer *declarer, enum rabbitmq_group group,
                      struct rabbitmq_channel *channel, struct error *error)
{
    struct rabbitmq_request *request = rabbitmq_requests_next(&declarer->requests, group);
    if (!request->was_sent && clock_now_ms() > request->taken_ms)
        task_started(request->task);
    request->was_sent = true;
    return rabbitmq_channels_declare(&declarer->slots.channels, channel, request->id,
                                     request->queue, error);
}

/*
 * Fills the channels of a group, and opens as many as it needs. Requests are sent along with the
 * opening where they may be behind others; on a channel for one at a time they wait for it, so that
 * a round trip is known when they are sent. The opening's deadline is theirs (deadlines.c).
 */
static bool send_group(struct rabbitmq_declarer *declarer, enum rabbitmq_group group,
                       struct error *error)
{
    struct rabbitmq_slots *slots = &declarer->slots;
    const size_t *waiting = &declarer->requests.waiting_count[group];
    size_t expected = 0; /* what channels that are just opening will take */
    for (size_t i = 0; i < rabbitmq_slots_count(slots, group) && *waiting > expected; i++) {
        if (!rabbitmq_amqp_connection_can_send(declarer->connection))
            return true;
        struct rabbitmq_channel *channel = rabbitmq_slots_channel(slots, group, i);
        if (channel == NULL)
            continue; /* the broker allows no more for now; another slot may have one */
        if (channel->state == RABBITMQ_CHANNEL_CLOSED &&
            !rabbitmq_channels_open(&slots->channels, channel, error))
            return false;
        if (channel->state == RABBITMQ_CHANNEL_OPENING && rabbitmq_slots_are_single(group)) {
            expected++;
            continue;
        }
        while (channel->count < channel->pipeline && *waiting > 0 &&
               rabbitmq_amqp_connection_can_send(declarer->connection))
            if (!send_next(declarer, group, channel, error))
                return false;
    }
    return true;
}

bool rabbitmq_declarer_has_waiting(const struct rabbitmq_declarer *declarer)
{
    for (int group = 0; group < RABBITMQ_GROUPS; group++)
        if (declarer->requests.waiting_count[group] > 0)
            return true;
    return false;
}

bool rabbitmq_declarer_send(struct rabbitmq_declarer *declarer, struct error *error)
{
    bool sent = true;
    if (!rabbitmq_declarer_has_waiting(declarer))
        return true;
    for (int group = 0; sent && group < RABBITMQ_GROUPS; group++)
        sent = send_group(declarer, (enum rabbitmq_group)group, error);
    if (sent && rabbitmq_declarer_has_waiting(declarer) &&
        rabbitmq_slots_are_exhausted(&declarer->slots))
        return error_unavailable(error,
                                 "RabbitMQ at %s: queues timed out until no channels were left; "
                                 "reconnecting",
                                 declarer->connection->address);
    return sent;
}

/* ---- receiving ---- */

struct rabbitmq_request *rabbitmq_declarer_find_sent(const struct rabbitmq_declarer *declarer,
                                                     const struct rabbitmq_channel *channel,
                                                     size_t index)
{
    uint64_t id = rabbitmq_channel_sent(channel, index);
    return rabbitmq_requests_find(&declarer->requests, id);
}

void rabbitmq_declarer_send_behind_again(struct rabbitmq_declarer *declarer,
                                         const struct rabbitmq_channel *channel)
{
    if (!rabbitmq_slots_has(&declarer->slots, channel))
        return;
    for (size_t i = channel->count; i > 1; i--) {
        struct rabbitmq_request *request = rabbitmq_declarer_find_sent(declarer, channel, i - 1);
        if (request != NULL && !request->waits)
            rabbitmq_requests_wait_first(&declarer->requests, request, request->group);
    }
}

/*
 * Where the leader of a quorum queue does not report its counts in time, the broker answers 0 and
 * 0, for as long as that lasts. Any other queue may be late, too, as on a busy machine, so it is
 * declared once more, alone. (A leader that is gone is 0 and 0 at once: zero_settles_ms.)
 *
 * At first only the kernel's round trip is subtracted, that which channels have learnt once it is
 * alone: they may have learnt it while the broker was slow.
 */
static bool is_guess(const struct rabbitmq_declarer *declarer,
                     const struct rabbitmq_request *request, const amqp_queue_declare_ok_t *ok,
                     const struct rabbitmq_answered *answered)
{
    if (ok->message_count != 0 || ok->consumer_count != 0 || answered->waited_ms < GUESS_MS)
        return false;
    int64_t round_trip_ms = request->group == RABBITMQ_GROUP_SHARED
                                ? rabbitmq_amqp_connection_round_trip_ms(declarer->connection)
                                : answered->round_trip_ms;
    return answered->waited_ms - round_trip_ms >= GUESS_MS;
}

static void take_guess(struct rabbitmq_declarer *declarer, struct rabbitmq_request *request)
{
    rabbitmq_quarantine_add(&declarer->quarantine, request->queue);
    if (request->group == RABBITMQ_GROUP_SHARED) {
        rabbitmq_requests_wait(&declarer->requests, request, RABBITMQ_GROUP_QUARANTINED);
        return;
    }
    struct task *task = rabbitmq_requests_remove(&declarer->requests, request);
    task_failf(task,
               "queue '%s': the broker took 250 ms to answer 0, as it does where the leader of "
               "a quorum queue is too busy to report its length",
               ((const struct rabbitmq_query *)task->query)->queue_name);
}

static void take_counts(struct rabbitmq_declarer *declarer, struct rabbitmq_request *request,
                        const amqp_queue_declare_ok_t *ok, int64_t took_ms)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = ok->message_count;
    reading.consumers = ok->consumer_count;
    if (took_ms < RABBITMQ_STALL_MS)
        rabbitmq_quarantine_remove(&declarer->quarantine, request->queue);
    task_answer(rabbitmq_requests_remove(&declarer->requests, request), &reading);
}

static bool handle_declared(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                            const amqp_queue_declare_ok_t *ok, struct error *error)
{
    if (channel->count == 0)
        return error_unavailable(error, "RabbitMQ at %s: unexpected reply: an answer to no request",
                                 declarer->connection->address);
    struct rabbitmq_answered answered =
        rabbitmq_channels_answered(&declarer->slots.channels, channel);
    struct rabbitmq_request *request = rabbitmq_requests_find(&declarer->requests, answered.id);
    if (channel->pipeline < channel->max_pipeline)
        channel->pipeline++;
    rabbitmq_slots_restore(&declarer->slots, channel);
    if (request == NULL) /* it has ended */
        return true;
    if (ok->queue.len != strlen(request->queue) ||
        memcmp(ok->queue.bytes, request->queue, ok->queue.len) != 0)
        return error_unavailable(error,
                                 "RabbitMQ at %s: unexpected reply: for another queue than '%s'",
                                 declarer->connection->address, request->queue);
    if (is_guess(declarer, request, ok, &answered))
        take_guess(declarer, request);
    else
        take_counts(declarer, request, ok, answered.waited_ms - answered.round_trip_ms);
    return true;
}

/* The channel was closed because of its first request: the queue is missing, exclusive, down. */
static void handle_refused(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                           const amqp_channel_close_t *close)
{
    enum { ACCESS_REFUSED = 403 };
    const char *remedy = close->reply_code != ACCESS_REFUSED
                             ? ""
                             : ": grant the user the right configure to the queue: RabbitMQ 4.2.6 "
                               "and 4.3.0 want it for a passive declare, 4.3.1 any right";
    if (channel->state == RABBITMQ_CHANNEL_CLOSING || channel->count == 0)
        return;
    struct rabbitmq_request *request = rabbitmq_declarer_find_sent(declarer, channel, 0);
    if (request != NULL) {
        const char *queue = request->queue;
        rabbitmq_quarantine_add(&declarer->quarantine, queue);
        task_failf(rabbitmq_requests_remove(&declarer->requests, request), "queue '%s': %.*s%s",
                   queue, (int)close->reply_text.len, (const char *)close->reply_text.bytes,
                   remedy);
    }
    rabbitmq_declarer_send_behind_again(declarer, channel);
    channel->count = 0;
    channel->pipeline = channel->pipeline > 4 ? channel->pipeline / 4 : MIN_PIPELINE;
    rabbitmq_slots_restore(&declarer->slots, channel);
}

/* A frame of a channel that is not in use loses the connection: librabbitmq keeps a pool for each
 * channel that the broker names. */
static bool handle_frame(struct rabbitmq_declarer *declarer, const amqp_frame_t *frame,
                         struct error *error)
{
    struct rabbitmq_channels *channels = &declarer->slots.channels;
    struct rabbitmq_channel *channel = rabbitmq_channels_find(channels, frame->channel);
    void *fields = frame->payload.method.decoded;
    if (channel == NULL || channel->state == RABBITMQ_CHANNEL_CLOSED)
        return rabbitmq_amqp_connection_fail_unexpected(declarer->connection, error);
    switch (frame->payload.method.id) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
        return rabbitmq_channels_opened(channels, channel) ||
               rabbitmq_amqp_connection_fail_unexpected(declarer->connection, error);
    case AMQP_QUEUE_DECLARE_OK_METHOD:
        return channel->state == RABBITMQ_CHANNEL_CLOSING ||
               handle_declared(declarer, channel, fields, error);
    case AMQP_CHANNEL_CLOSE_METHOD:
        if (!rabbitmq_channels_closed(channels, channel, error))
            return false;
        handle_refused(declarer, channel, fields);
        return true;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        return rabbitmq_channels_close_confirmed(channels, channel) ||
               rabbitmq_amqp_connection_fail_unexpected(declarer->connection, error);
    default:
        return rabbitmq_amqp_connection_fail_unexpected(declarer->connection, error);
    }
}

/* Returns false where the connection is lost. */
static bool handle_frames(struct rabbitmq_declarer *declarer, struct error *error)
{
    struct rabbitmq_amqp_connection *connection = declarer->connection;
    for (;;) {
        amqp_frame_t frame;
        enum rabbitmq_received received =
            rabbitmq_amqp_connection_receive(connection, &frame, error);
        if (received != RABBITMQ_RECEIVED_FRAME)
            return received == RABBITMQ_RECEIVED_NOTHING;
        declarer->pinged_ms = 0;
        bool usable = handle_frame(declarer, &frame, error);
        amqp_maybe_release_buffers_on_channel(connection->state, frame.channel);
        if (!usable)
            return false;
    }
}

/* All that is there: after a pause of this process, answers are in the socket whose deadlines have
 * passed. */
bool rabbitmq_declarer_receive(struct rabbitmq_declarer *declarer, struct error *error)
{
    struct rabbitmq_amqp_connection *connection = declarer->connection;
    for (int reads = 0; reads < MAX_READS; reads++) {
        if (!rabbitmq_amqp_connection_read(connection, error))
            return false;
        if (connection->input_length == 0)
            return true;
        if (!handle_frames(declarer, error))
            return false;
    }
    return true;
}
