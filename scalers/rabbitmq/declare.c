/*
 * One batch: every queue is declared passively, pipelined on a few channels ("lanes"), and each
 * answer is matched by its channel, its order there and its name.
 *
 * Two things could make queues disturb each other. A missing queue closes its channel, and what was
 * sent behind it is lost: it is asked again. A hanging queue holds its channel up: what was sent
 * behind it is asked again on another one. Either is remembered as a suspect, and from then on asked
 * alone on its lane, until it answers.
 */
#include "rabbitmq/amqp.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/suspects.h"

#include <stdlib.h>
#include <string.h>

enum {
    STALL_MS = 250, /* a lane that answers nothing for so long hangs */
    TICK_MS = 25,   /* how often that is looked at */
    GUESS_MS = 240, /* the broker gives the leader of a quorum queue 250 to tell */
};

/* A queue to ask for. It waits in one line, and may be in flight on several lanes. */
struct request {
    struct probe *probe;
    const char *queue;
    struct request *next; /* in its line */
    bool in_line;
    bool guessed; /* the answer, once */
};

struct line {
    struct request *first;
    struct request *last;
    size_t count;
};

struct batch {
    struct rabbitmq_amqp *client;
    struct line shared;
    struct line lone;
    size_t left; /* probes not ended */
    int64_t now_ms;
    int64_t ticked_ms;
    int64_t stall_ms;
};

static void line_up(struct line *line, struct request *request)
{
    if (request->in_line || request->probe->ended)
        return;
    request->in_line = true;
    request->next = NULL;
    if (line->first == NULL)
        line->first = request;
    else
        line->last->next = request;
    line->last = request;
    line->count++;
}

static struct request *line_take(struct line *line)
{
    struct request *request = line->first;
    line->first = request->next;
    line->count--;
    request->in_line = false;
    return request;
}

static bool is_lone(const struct rabbitmq_amqp *client, const struct lane *lane)
{
    return lane >= client->lanes + SHARED_LANES;
}

static struct request *lane_take(struct lane *lane)
{
    struct request *request = lane->sent[lane->first];
    lane->first = (lane->first + 1) % WINDOW_MOST;
    lane->count--;
    return request;
}

static bool send_method(struct rabbitmq_amqp *client, amqp_channel_t channel,
                        amqp_method_number_t method, void *fields, struct error *error)
{
    int status = amqp_send_method(client->state, channel, method, fields);
    return status == AMQP_STATUS_OK || rabbitmq_amqp_broke(client, status, error);
}

/* A lane without a channel gets the next number; where none is left it stays closed. */
static bool open_lane(struct rabbitmq_amqp *client, struct lane *lane, struct error *error)
{
    if (lane->channel == 0) {
        if (client->channels_used == client->channels_most)
            return true;
        lane->channel = (amqp_channel_t)++client->channels_used;
        lane->window = is_lone(client, lane) ? 1 : WINDOW_MOST;
    }
    lane->state = LANE_OPENING;
    lane->since_ms = clock_now_ms();
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};
    return send_method(client, lane->channel, AMQP_CHANNEL_OPEN_METHOD, &open, error);
}

static bool ask(struct batch *batch, struct lane *lane, struct request *request,
                struct error *error)
{
    if (request->probe->ended) /* by a late answer, while it waited to be asked again */
        return true;
    if (lane->count == 0) {
        lane->since_ms = batch->now_ms;
        lane->behind = false;
    }
    lane->sent[(lane->first + lane->count++) % WINDOW_MOST] = request;
    amqp_queue_declare_t declare = {.queue = amqp_cstring_bytes(request->queue),
                                    .passive = true,
                                    .arguments = amqp_empty_table};
    return send_method(batch->client, lane->channel, AMQP_QUEUE_DECLARE_METHOD, &declare, error);
}

/* Fills the open lanes, and opens as many as the rest of the line needs. */
static bool send_line(struct batch *batch, struct line *line, struct lane *lanes, size_t count,
                      struct error *error)
{
    size_t expected = 0; /* what lanes that are just opening will take */
    for (size_t i = 0; i < count && line->count > expected; i++) {
        struct lane *lane = &lanes[i];
        if (!rabbitmq_amqp_can_send(batch->client))
            return true;
        if (lane->state == LANE_CLOSED && !open_lane(batch->client, lane, error))
            return false;
        if (lane->state == LANE_OPENING)
            expected += lane->window;
        while (lane->state == LANE_OPEN && lane->count < lane->window && line->count > 0 &&
               rabbitmq_amqp_can_send(batch->client))
            if (!ask(batch, lane, line_take(line), error))
                return false;
    }
    return true;
}

static bool send_more(struct batch *batch, struct error *error)
{
    struct lane *lanes = batch->client->lanes;
    return send_line(batch, &batch->shared, lanes, SHARED_LANES, error) &&
           send_line(batch, &batch->lone, lanes + SHARED_LANES, LONE_LANES, error);
}

/* What was sent behind a missing or hanging queue is asked again. */
static void ask_again(struct batch *batch, const struct lane *lane, size_t from)
{
    for (size_t i = from; i < lane->count; i++)
        line_up(&batch->shared, lane->sent[(lane->first + i) % WINDOW_MOST]);
}

static void took_round_trip(const struct batch *batch, const struct lane *lane)
{
    int64_t waited_ms = batch->now_ms - lane->since_ms;
    if (waited_ms < batch->client->round_trip_ms)
        batch->client->round_trip_ms = waited_ms;
}

static void opened(const struct batch *batch, struct lane *lane)
{
    took_round_trip(batch, lane);
    lane->state = LANE_OPEN;
}

/*
 * Where the leader of a quorum queue does not tell its counts in time, the broker answers 0 and 0. Any
 * other answer may come late, too, so it is asked for once more, and only then the round trip is taken
 * off: it may have been learnt while the broker was slow. (A leader that is gone is 0 and 0 at once, and
 * cannot be told from an empty queue.)
 */
static bool is_guess(const struct batch *batch, const struct lane *lane,
                     const struct request *request, const amqp_queue_declare_ok_t *ok)
{
    int64_t waited_ms = batch->now_ms - lane->since_ms;
    if (request->guessed && !lane->behind)
        waited_ms -= batch->client->round_trip_ms;
    return ok->message_count == 0 && ok->consumer_count == 0 && waited_ms >= GUESS_MS;
}

static void take_guess(struct batch *batch, struct request *request)
{
    suspects_add(&batch->client->suspects, request->queue);
    if (!request->guessed)
        line_up(&batch->lone, request);
    else {
        batch->left--;
        probe_failf(
            request->probe,
            "queue '%s': the broker took 250 ms to answer 0, as it does where the leader of "
            "a quorum queue is too busy to tell",
            request->queue);
    }
    request->guessed = true;
}

static bool declared(struct batch *batch, struct lane *lane, const amqp_queue_declare_ok_t *ok,
                     struct error *error)
{
    if (lane->count == 0)
        return error_unavailable(error, "RabbitMQ at %s answered what was not asked",
                                 batch->client->address);
    struct request *request = lane_take(lane);
    if (ok->queue.len != strlen(request->queue) ||
        memcmp(ok->queue.bytes, request->queue, ok->queue.len) != 0)
        return error_unavailable(error, "RabbitMQ at %s answered for another queue than '%s'",
                                 batch->client->address, request->queue);

    if (!lane->behind)
        took_round_trip(batch, lane);
    bool guess = is_guess(batch, lane, request, ok);
    lane->since_ms = batch->now_ms;
    lane->behind = true;
    if (lane->window < WINDOW_MOST && !is_lone(batch->client, lane))
        lane->window++;
    if (lane->state == LANE_STALLED && lane->count == 0)
        lane->state = LANE_OPEN;
    if (request->probe->ended)
        return true;
    if (guess) {
        take_guess(batch, request);
        return true;
    }

    struct reading reading = READING_UNKNOWN;
    reading.waiting = ok->message_count;
    reading.consumers = ok->consumer_count;
    suspects_drop(&batch->client->suspects, request->queue);
    batch->left--;
    probe_answer(request->probe, &reading);
    return true;
}

/* The channel was closed because of its first question: the queue is missing, exclusive, down. */
static bool refused(struct batch *batch, struct lane *lane, const amqp_channel_close_t *close)
{
    lane->state = LANE_CLOSED;
    if (lane->count == 0)
        return true;

    struct request *request = lane_take(lane);
    suspects_add(&batch->client->suspects, request->queue);
    if (!request->probe->ended) {
        batch->left--;
        probe_failf(request->probe, "queue '%s': %.*s", request->queue, (int)close->reply_text.len,
                    (const char *)close->reply_text.bytes);
    }
    ask_again(batch, lane, 0);
    lane->count = 0;
    lane->window = lane->window > 4 ? lane->window / 4 : 1;
    return true;
}

static bool connection_closed(struct rabbitmq_amqp *client, const amqp_connection_close_t *close,
                              struct error *error)
{
    amqp_connection_close_ok_t ok = {0};
    amqp_send_method(client->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    client->open = false;
    return error_unavailable(error, "RabbitMQ at %s closed the connection: %.*s", client->address,
                             (int)close->reply_text.len, (const char *)close->reply_text.bytes);
}

static struct lane *find_lane(struct rabbitmq_amqp *client, amqp_channel_t channel)
{
    for (size_t i = 0; i < LANES; i++)
        if (client->lanes[i].channel == channel)
            return &client->lanes[i];
    return NULL;
}

static bool handle(struct batch *batch, const amqp_frame_t *frame, struct error *error)
{
    if (frame->frame_type != AMQP_FRAME_METHOD)
        return true;
    struct rabbitmq_amqp *client = batch->client;
    amqp_method_number_t method = frame->payload.method.id;
    void *fields = frame->payload.method.decoded;
    if (method == AMQP_CONNECTION_CLOSE_METHOD)
        return connection_closed(client, fields, error);

    amqp_channel_close_ok_t ok = {0};
    if (method == AMQP_CHANNEL_CLOSE_METHOD &&
        !send_method(client, frame->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, error))
        return false;

    struct lane *lane = frame->channel == 0 ? NULL : find_lane(client, frame->channel);
    if (lane == NULL) /* a late answer on a channel that was given up */
        return true;
    if (method == AMQP_CHANNEL_CLOSE_METHOD)
        return refused(batch, lane, fields);
    if (method == AMQP_QUEUE_DECLARE_OK_METHOD)
        return declared(batch, lane, fields, error);
    if (method == AMQP_CHANNEL_OPEN_OK_METHOD)
        opened(batch, lane);
    return true;
}

static void look_for_stalls(struct batch *batch)
{
    if (batch->now_ms - batch->ticked_ms < TICK_MS)
        return;
    batch->ticked_ms = batch->now_ms;
    for (size_t i = 0; i < SHARED_LANES; i++) {
        struct lane *lane = &batch->client->lanes[i];
        if (lane->state != LANE_OPEN || lane->count == 0 ||
            batch->now_ms - lane->since_ms < batch->stall_ms)
            continue;
        lane->state = LANE_STALLED;
        suspects_add(&batch->client->suspects, lane->sent[lane->first]->queue);
        ask_again(batch, lane, 1);
    }
}

/* Handles all that has come, or waits for it. */
static bool receive(struct batch *batch, int64_t deadline_ms, struct error *error)
{
    amqp_connection_state_t state = batch->client->state;
    bool waited = false;
    while (batch->left > 0) {
        int wait_ms = waited ? 0 : clock_left_ms(deadline_ms, TICK_MS);
        struct timeval time = {.tv_usec = wait_ms * 1000L};
        amqp_frame_t frame;
        int status = amqp_simple_wait_frame_noblock(state, &frame, &time);
        waited = true;
        batch->now_ms = clock_now_ms();
        if (status == AMQP_STATUS_TIMEOUT)
            break;
        if (status != AMQP_STATUS_OK)
            return rabbitmq_amqp_broke(batch->client, status, error);
        if (!handle(batch, &frame, error))
            return false;
        amqp_maybe_release_buffers_on_channel(state, frame.channel);
    }
    return true;
}

/* Gives up the channels that owe an answer. Returns false where too few numbers are left. */
static bool leave(struct rabbitmq_amqp *client, struct error *error)
{
    bool owing = false;
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &client->lanes[i];
        if (lane->count == 0)
            continue;
        owing = true;
        amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS,
                                      .reply_text = amqp_cstring_bytes("no answer in time")};
        if (rabbitmq_amqp_can_send(client) &&
            !send_method(client, lane->channel, AMQP_CHANNEL_CLOSE_METHOD, &close, error))
            return false;
        *lane = (struct lane){0};
    }
    if (owing && client->channels_used + LANES > client->channels_most)
        return error_unavailable(error,
                                 "queues of RabbitMQ at %s gave no answer in time, until the "
                                 "connection had no channels left: connecting again",
                                 client->address);
    return true;
}

static bool run(struct batch *batch, int64_t deadline_ms, struct error *error)
{
    while (batch->left > 0 && batch->now_ms < deadline_ms) {
        if (!send_more(batch, error) || !receive(batch, deadline_ms, error))
            return false;
        look_for_stalls(batch);
    }
    return true;
}

bool rabbitmq_amqp_measure(struct rabbitmq_amqp *client, struct probe *const *probes, size_t count,
                           int64_t deadline_ms, struct error *error)
{
    _cleanup_(memory_free) struct request *requests = memory_array(count, sizeof(*requests));
    struct batch batch = {.client = client, .left = count, .now_ms = clock_now_ms()};
    int64_t quarter_ms = (deadline_ms - batch.now_ms) / 4;
    batch.stall_ms = quarter_ms < STALL_MS ? quarter_ms : STALL_MS;
    for (size_t i = 0; i < count; i++) {
        const struct rabbitmq_query *query = probes[i]->query;
        requests[i] = (struct request){.probe = probes[i], .queue = query->queue_name};
        bool suspect = suspects_have(client->suspects, query->queue_name);
        line_up(suspect ? &batch.lone : &batch.shared, &requests[i]);
    }
    return run(&batch, deadline_ms, error) && leave(client, error);
}
