#include "rabbitmq/declarer.h"

#include "base/clock.h"
#include "rabbitmq/quarantine.h"

#include <string.h>
#include <utlist.h>

enum {
    STALL_MS = 250, /* a channel that answers nothing for so long hangs */
    STALL_WINDOW =
        4, /* of a new channel while others hang: the fewer are behind the next that hangs */
    DOUBT_MS = 200, /* an answer of 0 that took longer is asked for again */
    GUESS_MS = 240, /* the broker gives the leader of a quorum queue 250 to report its length */
    SEND_MS = 5,    /* how soon sending is tried again where the broker reads nothing */
    MIN_WINDOW = 1,
};

static const struct group {
    size_t first; /* of its slots */
    size_t count;
    size_t share; /* the part of the broker's channels that it may use at most, as a divisor */
    size_t window;
} groups[RABBITMQ_GROUPS] = {
    [RABBITMQ_SHARED] = {0, RABBITMQ_SHARED_CHANNELS, 2, RABBITMQ_MAX_WINDOW},
    [RABBITMQ_QUARANTINED] = {RABBITMQ_SHARED_CHANNELS, RABBITMQ_QUARANTINE_CHANNELS, 4, 1},
    [RABBITMQ_ISOLATED] = {RABBITMQ_SHARED_CHANNELS + RABBITMQ_QUARANTINE_CHANNELS,
                           RABBITMQ_ISOLATED_CHANNELS, 4, 1},
};

void rabbitmq_declarer_init(struct rabbitmq_declarer *declarer,
                            struct rabbitmq_amqp_connection *connection)
{
    *declarer = (struct rabbitmq_declarer){.connection = connection};
    rabbitmq_channels_init(&declarer->channels, connection);
}

void rabbitmq_declarer_done(struct rabbitmq_declarer *declarer)
{
    rabbitmq_requests_clear(&declarer->requests);
    rabbitmq_quarantine_free(&declarer->quarantine);
    rabbitmq_channels_done(&declarer->channels);
}

void rabbitmq_declarer_add(struct rabbitmq_declarer *declarer, struct task *task)
{
    const struct rabbitmq_query *query = task->query;
    struct rabbitmq_requests *requests = &declarer->requests;
    struct rabbitmq_request *request = rabbitmq_requests_add(requests, task, query->queue_name);
    enum rabbitmq_group group = RABBITMQ_SHARED;
    if (task->isolate)
        group = RABBITMQ_ISOLATED;
    else if (rabbitmq_quarantine_has(declarer->quarantine, query->queue_name))
        group = RABBITMQ_QUARANTINED;
    rabbitmq_requests_wait(requests, request, group);
}

void rabbitmq_declarer_cancel(struct rabbitmq_declarer *declarer, struct task *task)
{
    rabbitmq_requests_remove(&declarer->requests, task->data);
    task_return(task, true);
}

void rabbitmq_declarer_abandon(struct rabbitmq_declarer *declarer)
{
    rabbitmq_requests_clear(&declarer->requests);
}

/* ---- sending ---- */

static size_t slots_of(const struct rabbitmq_declarer *declarer, const struct group *group)
{
    size_t allowed = (size_t)declarer->connection->max_channels / group->share;
    size_t count = group->count < allowed ? group->count : allowed;
    return count > 0 ? count : 1;
}

/* The channel of a slot, which gets one where it has none; NULL where the broker allows no more. */
static struct rabbitmq_channel *channel_of(struct rabbitmq_declarer *declarer, size_t slot,
                                           const struct group *group)
{
    struct rabbitmq_channel *channel = declarer->slots[slot];
    if (channel != NULL)
        return channel;
    channel = declarer->slots[slot] = rabbitmq_channels_take(&declarer->channels);
    if (channel == NULL)
        return NULL;
    channel->window = channel->max_window = group->window;
    if (declarer->stalled != NULL && channel->window > STALL_WINDOW)
        channel->window = STALL_WINDOW;
    return channel;
}

static bool send_next(struct rabbitmq_declarer *declarer, enum rabbitmq_group group,
                      struct rabbitmq_channel *channel, struct error *error)
{
    struct rabbitmq_request *request = rabbitmq_requests_next(&declarer->requests, group);
    if (!request->was_sent && clock_now_ms() > request->taken_ms)
        task_started(request->task);
    request->was_sent = true;
    return rabbitmq_channels_declare(&declarer->channels, channel, request->id, request->queue,
                                     error);
}

/*
 * Fills the channels of a group, and opens as many as it needs. Requests are sent along with the opening where
 * they may be behind others; on a channel for one at a time they wait for it, so that a round trip is known
 * when they are sent.
 */
static bool send_group(struct rabbitmq_declarer *declarer, enum rabbitmq_group number,
                       struct error *error)
{
    const struct group *group = &groups[number];
    const size_t *waiting = &declarer->requests.waiting_count[number];
    size_t expected = 0; /* what channels that are just opening will take */
    for (size_t i = 0; i < slots_of(declarer, group) && *waiting > expected; i++) {
        if (!rabbitmq_amqp_connection_can_send(declarer->connection))
            return true;
        struct rabbitmq_channel *channel = channel_of(declarer, group->first + i, group);
        if (channel == NULL)
            return true;
        if (channel->state == RABBITMQ_CLOSED &&
            !rabbitmq_channels_open(&declarer->channels, channel, error))
            return false;
        if (channel->state == RABBITMQ_OPENING && group->window == 1) {
            expected++;
            continue;
        }
        while (channel->count < channel->window && *waiting > 0 &&
               rabbitmq_amqp_connection_can_send(declarer->connection))
            if (!send_next(declarer, number, channel, error))
                return false;
    }
    return true;
}

static bool some_wait(const struct rabbitmq_declarer *declarer)
{
    for (int group = 0; group < RABBITMQ_GROUPS; group++)
        if (declarer->requests.waiting_count[group] > 0)
            return true;
    return false;
}

/* Requests wait for a channel, and none is there or will be. */
static bool is_out_of_channels(const struct rabbitmq_declarer *declarer, enum rabbitmq_group group)
{
    return declarer->requests.waiting_count[group] > 0 && declarer->stalled == NULL &&
           declarer->slots[groups[group].first] == NULL && declarer->channels.spare == NULL &&
           declarer->channels.used == declarer->connection->max_channels;
}

bool rabbitmq_declarer_send(struct rabbitmq_declarer *declarer, struct error *error)
{
    bool sent = true;
    if (!some_wait(declarer))
        return true;
    rabbitmq_amqp_connection_cork(declarer->connection);
    for (int group = 0; sent && group < RABBITMQ_GROUPS; group++)
        sent = send_group(declarer, (enum rabbitmq_group)group, error);
    rabbitmq_amqp_connection_flush(declarer->connection);
    for (int group = 0; sent && group < RABBITMQ_GROUPS; group++)
        if (is_out_of_channels(declarer, (enum rabbitmq_group)group))
            return error_unavailable(
                error,
                "RabbitMQ at %s: queues gave no answer in time until no channels "
                "were left; reconnecting",
                declarer->connection->address);
    return sent;
}

/* ---- receiving ---- */

static struct rabbitmq_request *find_sent(const struct rabbitmq_declarer *declarer,
                                          const struct rabbitmq_channel *channel, size_t index)
{
    uint64_t id = rabbitmq_channel_sent(channel, index);
    return rabbitmq_requests_find(&declarer->requests, id);
}

/* What was sent behind a missing or hanging queue is sent again, before all else. */
static void send_again(struct rabbitmq_declarer *declarer, const struct rabbitmq_channel *channel,
                       size_t from)
{
    for (size_t i = channel->count; i > from; i--) {
        struct rabbitmq_request *request = find_sent(declarer, channel, i - 1);
        if (request != NULL && !request->waits)
            rabbitmq_requests_wait_first(&declarer->requests, request, request->group);
    }
}

/* Where the channel has its slot; NULL: nowhere. */
static struct rabbitmq_channel **slot_of(struct rabbitmq_declarer *declarer,
                                         const struct rabbitmq_channel *channel)
{
    for (size_t i = 0; i < RABBITMQ_SLOTS; i++)
        if (declarer->slots[i] == channel)
            return &declarer->slots[i];
    return NULL;
}

/* A stalled channel that owes nothing any more can be used again. */
static void restore(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel)
{
    if (channel->count > 0 || slot_of(declarer, channel) != NULL)
        return;
    DL_DELETE(declarer->stalled, channel);
    rabbitmq_channels_give_back(&declarer->channels, channel);
}

/*
 * Where the leader of a quorum queue does not report its counts in time, the broker answers 0 and 0. Any
 * other answer may come late, too, so it is asked for once more, alone, and only then the round trip is
 * subtracted: it may have been learnt while the broker was slow. (A leader that is gone is 0 and 0 at once,
 * and cannot be told from an empty queue.)
 */
static bool is_guess(const struct rabbitmq_request *request, const amqp_queue_declare_ok_t *ok,
                     const struct rabbitmq_answered *answered)
{
    if (ok->message_count != 0 || ok->consumer_count != 0)
        return false;
    return request->is_doubted ? answered->waited_ms - answered->round_trip_ms >= GUESS_MS
                               : answered->waited_ms >= DOUBT_MS;
}

static void take_guess(struct rabbitmq_declarer *declarer, struct rabbitmq_request *request)
{
    rabbitmq_quarantine_add(&declarer->quarantine, request->queue);
    if (!request->is_doubted) {
        request->is_doubted = true;
        rabbitmq_requests_wait(&declarer->requests, request,
                               request->group == RABBITMQ_SHARED ? RABBITMQ_QUARANTINED
                                                                 : request->group);
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
    if (took_ms < STALL_MS)
        rabbitmq_quarantine_remove(&declarer->quarantine, request->queue);
    task_answer(rabbitmq_requests_remove(&declarer->requests, request), &reading);
}

static bool handle_declared(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                            const amqp_queue_declare_ok_t *ok, struct error *error)
{
    if (channel->count == 0)
        return error_unavailable(error, "RabbitMQ at %s: unexpected reply: an answer to no request",
                                 declarer->connection->address);
    struct rabbitmq_answered answered = rabbitmq_channels_answered(&declarer->channels, channel);
    struct rabbitmq_request *request = rabbitmq_requests_find(&declarer->requests, answered.id);
    if (channel->window < channel->max_window)
        channel->window++;
    restore(declarer, channel);
    if (request == NULL) /* it has ended */
        return true;
    if (ok->queue.len != strlen(request->queue) ||
        memcmp(ok->queue.bytes, request->queue, ok->queue.len) != 0)
        return error_unavailable(error,
                                 "RabbitMQ at %s: unexpected reply: for another queue than '%s'",
                                 declarer->connection->address, request->queue);
    if (is_guess(request, ok, &answered))
        take_guess(declarer, request);
    else
        take_counts(declarer, request, ok, answered.waited_ms - answered.round_trip_ms);
    return true;
}

/* The channel was closed because of its first request: the queue is missing, exclusive, down. */
static void handle_refused(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                           const amqp_channel_close_t *close)
{
    if (channel->state == RABBITMQ_CLOSING || channel->count == 0)
        return;
    struct rabbitmq_request *request = find_sent(declarer, channel, 0);
    if (request != NULL) {
        const char *queue = request->queue;
        rabbitmq_quarantine_add(&declarer->quarantine, queue);
        task_failf(rabbitmq_requests_remove(&declarer->requests, request), "queue '%s': %.*s",
                   queue, (int)close->reply_text.len, (const char *)close->reply_text.bytes);
    }
    if (slot_of(declarer, channel) != NULL) /* those behind a stalled one were sent again */
        send_again(declarer, channel, 1);
    channel->count = 0;
    channel->window = channel->window > 4 ? channel->window / 4 : MIN_WINDOW;
    restore(declarer, channel);
}

static bool handle_frame(struct rabbitmq_declarer *declarer, const amqp_frame_t *frame,
                         struct error *error)
{
    struct rabbitmq_channels *channels = &declarer->channels;
    struct rabbitmq_channel *channel = rabbitmq_channels_find(channels, frame->channel);
    if (frame->frame_type != AMQP_FRAME_METHOD || channel == NULL)
        return true;
    void *fields = frame->payload.method.decoded;
    switch (frame->payload.method.id) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
        rabbitmq_channels_opened(channels, channel);
        return true;
    case AMQP_QUEUE_DECLARE_OK_METHOD:
        return channel->state == RABBITMQ_CLOSING ||
               handle_declared(declarer, channel, fields, error);
    case AMQP_CHANNEL_CLOSE_METHOD:
        if (!rabbitmq_channels_closed(channels, channel, error))
            return false;
        handle_refused(declarer, channel, fields);
        return true;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        rabbitmq_channels_close_confirmed(channels, channel);
        return true;
    default:
        return true;
    }
}

bool rabbitmq_declarer_receive(struct rabbitmq_declarer *declarer, struct error *error)
{
    struct rabbitmq_amqp_connection *connection = declarer->connection;
    for (;;) {
        amqp_frame_t frame;
        enum rabbitmq_received received =
            rabbitmq_amqp_connection_receive(connection, &frame, error);
        if (received != RABBITMQ_FRAME)
            return received == RABBITMQ_NOTHING;
        declarer->pinged_ms = 0;
        bool usable = handle_frame(declarer, &frame, error);
        amqp_maybe_release_buffers_on_channel(connection->state, frame.channel);
        if (!usable)
            return false;
    }
}

/* ---- time ---- */

/* What a check of the time finds out. */
struct check {
    int64_t now_ms;
    int64_t next_ms;
    bool silent; /* something is late, and nothing at all has come since it was sent */
};

static void check_again(struct check *check, int64_t at_ms)
{
    if (at_ms < check->next_ms)
        check->next_ms = at_ms;
}

static int64_t stall_ms(const struct rabbitmq_declarer *declarer,
                        const struct rabbitmq_channel *channel, int64_t timeout_ms)
{
    int64_t stall_ms = timeout_ms / 4 < STALL_MS ? timeout_ms / 4 : STALL_MS;
    int64_t round_trip_ms = declarer->channels.round_trip_ms;
    if (channel->state == RABBITMQ_OPENING)
        return timeout_ms / 2;
    return channel->behind || round_trip_ms == INT64_MAX ? stall_ms : stall_ms + round_trip_ms;
}

/* The channel has left its slot or the list: what it owes will never be taken for anything. */
static bool abandon(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                    struct error *error)
{
    struct rabbitmq_channel **slot = slot_of(declarer, channel);
    if (slot != NULL) {
        *slot = NULL;
        send_again(declarer, channel, 1);
    } else
        DL_DELETE(declarer->stalled, channel);
    return rabbitmq_channels_abandon(&declarer->channels, channel, error);
}

static bool time_out(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                     struct rabbitmq_request *request, const struct check *check,
                     struct error *error)
{
    int64_t timeout_ms = request->task->timeout_ms;
    if (declarer->pinged_ms != 0 && check->now_ms - declarer->pinged_ms >= timeout_ms / 4)
        return error_unavailable(error, "RabbitMQ at %s: no answer to anything within %lld ms",
                                 declarer->connection->address, (long long)timeout_ms);
    task_time_out(rabbitmq_requests_remove(&declarer->requests, request));
    return abandon(declarer, channel, error);
}

/* What is behind the first request goes elsewhere; its slot gets another channel. */
static void stall(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                  struct rabbitmq_request *request)
{
    rabbitmq_quarantine_add(&declarer->quarantine, request->queue);
    send_again(declarer, channel, 1);
    *slot_of(declarer, channel) = NULL;
    DL_APPEND(declarer->stalled, channel);
}

static bool check_channel(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                          bool may_stall, struct check *check, struct error *error)
{
    if (channel->count == 0)
        return true;
    struct rabbitmq_request *request = find_sent(declarer, channel, 0);
    int64_t timeout_ms = request == NULL ? STALL_MS : request->task->timeout_ms;
    int64_t deadline_ms = channel->since_ms + timeout_ms;
    int64_t stalls_ms = channel->since_ms + stall_ms(declarer, channel, timeout_ms);
    if (check->now_ms >= deadline_ms) {
        check_again(check, check->now_ms);
        return request == NULL ? abandon(declarer, channel, error)
                               : time_out(declarer, channel, request, check, error);
    }
    check_again(check, deadline_ms);
    if (request == NULL)
        return true;

    bool silent = declarer->connection->received_ms <= channel->since_ms;
    if (check->now_ms < stalls_ms)
        check_again(check, stalls_ms);
    else if (silent)
        check->silent = true;
    else if (may_stall && channel->state == RABBITMQ_OPEN) {
        stall(declarer, channel, request);
        check_again(check, check->now_ms);
    }
    return true;
}

static bool check_channels(struct rabbitmq_declarer *declarer, struct check *check,
                           struct error *error)
{
    struct rabbitmq_channel *channel;
    struct rabbitmq_channel *next;
    DL_FOREACH_SAFE(declarer->stalled, channel, next)
    {
        if (!check_channel(declarer, channel, false, check, error))
            return false;
    }
    for (size_t i = 0; i < RABBITMQ_SLOTS; i++) {
        bool may_stall = i < groups[RABBITMQ_ISOLATED].first;
        channel = declarer->slots[i];
        if (channel != NULL && !check_channel(declarer, channel, may_stall, check, error))
            return false;
    }
    return true;
}

bool rabbitmq_declarer_check_time(struct rabbitmq_declarer *declarer, int64_t *ret_next_ms,
                                  struct error *error)
{
    struct check check = {.now_ms = clock_now_ms(), .next_ms = CLOCK_NEVER};
    if (!check_channels(declarer, &check, error))
        return false;
    if (check.silent && declarer->pinged_ms == 0) {
        bool owed;
        if (!rabbitmq_channels_ping(&declarer->channels, &owed, error))
            return false;
        declarer->pinged_ms = owed ? check.now_ms : 0;
    }
    if (some_wait(declarer) && !rabbitmq_amqp_connection_can_send(declarer->connection))
        check_again(&check, check.now_ms + SEND_MS);
    *ret_next_ms = check.next_ms;
    return true;
}
