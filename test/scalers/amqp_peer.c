#include "scalers/amqp_peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum {
    HEAD_BYTES = 7, /* of a frame: its type, channel and size */
    INPUT_BYTES = 64 * 1024,
    ANSWER_BYTES = 512,
    CHANNELS = 256,
    GREETING_BYTES = 8,
    METHOD_FRAME = 1,
    FRAME_END = 0xCE,

    /* Class and method. */
    CONNECTION_START = 10 << 16 | 10,
    CONNECTION_START_OK = 10 << 16 | 11,
    CONNECTION_TUNE = 10 << 16 | 30,
    CONNECTION_TUNE_OK = 10 << 16 | 31,
    CONNECTION_OPEN = 10 << 16 | 40,
    CONNECTION_OPEN_OK = 10 << 16 | 41,
    CHANNEL_OPEN = 20 << 16 | 10,
    CHANNEL_OPEN_OK = 20 << 16 | 11,
    CHANNEL_CLOSE = 20 << 16 | 40,
    CHANNEL_CLOSE_OK = 20 << 16 | 41,
    QUEUE_DECLARE = 50 << 16 | 10,
    QUEUE_DECLARE_OK = 50 << 16 | 11,
    DECLARE_NAME = 6, /* where a declare's queue is, behind its length */
    ACCESS_REFUSED = 403,
    NOT_FOUND = 404,
};

struct answer {
    int64_t due_ms;
    size_t size;
    size_t sent;
    unsigned char frame[ANSWER_BYTES];
};

struct amqp_call {
    struct amqp_peer *peer;
    int socket; /* -1: not accepted yet, or closed */
    bool is_greeted;
    unsigned char input[INPUT_BYTES]; /* not handled yet */
    size_t input_length;
    size_t openings;
    size_t declares;
    size_t sent_on_channels;
    int64_t link_until_ms;              /* nothing overtakes what is on its way */
    int64_t busy_until_ms;              /* with everything */
    int64_t channel_until_ms[CHANNELS]; /* with one channel */
    bool is_closing[CHANNELS];          /* by us: all but the confirmation is ignored */
    bool is_frozen;
    struct answer *answers; /* not sent yet */
    size_t answers_count;
    size_t answers_capacity;
};

static uint32_t number(const unsigned char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return ntohl(value);
}

/* When what the broker sends then has arrived. */
static int64_t pass_link(struct amqp_call *call, uint16_t channel, int64_t sent_ms)
{
    const struct amqp_script *script = call->peer->script;
    int64_t arrived_ms = sent_ms + script->link_ms;
    size_t number = channel == 0 ? AMQP_DELAYS : call->sent_on_channels++;
    if (number < AMQP_DELAYS && script->links_ms[number] > 0)
        call->link_until_ms = arrived_ms + script->links_ms[number];
    return arrived_ms > call->link_until_ms ? arrived_ms : call->link_until_ms;
}

/* Sent when the broker is no longer busy, and has passed the link. */
static void queue_method(struct amqp_call *call, uint16_t channel, uint32_t method,
                         const void *fields, size_t size)
{
    call->answers = memory_grow(call->answers, &call->answers_capacity, call->answers_count + 1,
                                sizeof(*call->answers));
    struct answer *answer = &call->answers[call->answers_count++];
    answer->sent = 0;
    int64_t now_ms = clock_now_ms();
    int64_t busy_ms = call->busy_until_ms > now_ms ? call->busy_until_ms : now_ms;
    if (call->channel_until_ms[channel] > busy_ms)
        busy_ms = call->channel_until_ms[channel];
    bool is_never = busy_ms == CLOCK_NEVER;
    answer->due_ms = is_never ? CLOCK_NEVER : pass_link(call, channel, busy_ms);
    answer->size = HEAD_BYTES + sizeof(method) + size + 1;
    assert_true(answer->size <= ANSWER_BYTES);

    unsigned char *frame = answer->frame;
    uint16_t number_of_channel = htons(channel);
    uint32_t payload = htonl((uint32_t)(sizeof(method) + size));
    uint32_t number_of_method = htonl(method);
    frame[0] = METHOD_FRAME;
    memcpy(frame + 1, &number_of_channel, sizeof(number_of_channel));
    memcpy(frame + 3, &payload, sizeof(payload));
    memcpy(frame + HEAD_BYTES, &number_of_method, sizeof(number_of_method));
    memcpy(frame + HEAD_BYTES + sizeof(method), fields, size);
    frame[answer->size - 1] = FRAME_END;
}

/* Busy as long as the script has for the answer of this number: not at all beyond its end. */
static void be_busy(struct amqp_call *call, const int delays_ms[AMQP_DELAYS], size_t delay)
{
    int64_t now_ms = clock_now_ms();
    if (call->busy_until_ms < now_ms)
        call->busy_until_ms = now_ms;
    if (delay < AMQP_DELAYS)
        call->busy_until_ms += delays_ms[delay];
}

static char *name_of(const unsigned char *declare)
{
    return text_copy_bytes((const char *)declare + DECLARE_NAME + 1, declare[DECLARE_NAME]);
}

static void count_declare(struct amqp_peer *peer, const unsigned char *declare)
{
    _cleanup_(memory_free) char *name = name_of(declare);
    struct amqp_queue *queue = peer->queues;
    while (queue < peer->queues + peer->queues_count && !text_equal(queue->name, name))
        queue++;
    assert_true(queue < peer->queues + AMQP_QUEUES);
    if (queue == peer->queues + peer->queues_count) {
        snprintf(queue->name, sizeof(queue->name), "%s", name);
        peer->queues_count++;
    }
    queue->declares++;
}

static void close_channel(struct amqp_call *call, uint16_t channel, const char *name)
{
    bool is_missing = text_starts_with(name, "missing");
    int code = is_missing ? NOT_FOUND : ACCESS_REFUSED;
    unsigned char fields[ANSWER_BYTES / 2] = {(unsigned char)(code >> 8), code & 0xFF};
    int length = snprintf((char *)fields + 3, sizeof(fields) - 8,
                          is_missing ? "NOT_FOUND - no queue '%s'"
                                     : "ACCESS_REFUSED - access to queue '%s' refused",
                          name);
    fields[2] = (unsigned char)length;
    call->is_closing[channel] = true;
    queue_method(call, channel, CHANNEL_CLOSE, fields, 3 + (size_t)length + 4);
}

/* The name, the messages and no consumers. */
static void answer_declare(struct amqp_call *call, uint16_t channel, const unsigned char *declare)
{
    const struct amqp_script *script = call->peer->script;
    unsigned char fields[1 + UINT8_MAX + 8] = {0};
    size_t named = 1 + (size_t)declare[DECLARE_NAME];
    memcpy(fields, declare + DECLARE_NAME, named);
    _cleanup_(memory_free) char *name = name_of(declare);
    uint32_t messages = htonl((uint32_t)strtoul(name + strcspn(name, "0123456789"), NULL, 10));
    memcpy(fields + named, &messages, sizeof(messages));
    be_busy(call, script->declares_ms, call->declares++);
    if (script->freeze_after > 0 && call->declares >= (size_t)script->freeze_after)
        call->is_frozen = true;
    if (text_starts_with(name, "hanging"))
        call->channel_until_ms[channel] =
            script->hanging_ms > 0 ? clock_now_ms() + script->hanging_ms : CLOCK_NEVER;
    if (text_starts_with(name, "missing") || text_starts_with(name, "forbidden"))
        close_channel(call, channel, name);
    else
        queue_method(call, script->answers_on > 0 ? script->answers_on : channel, QUEUE_DECLARE_OK,
                     fields, named + 8);
}

static void answer_opening(struct amqp_call *call, uint16_t channel)
{
    call->peer->openings++;
    be_busy(call, call->peer->script->openings_ms, call->openings++);
    call->channel_until_ms[channel] = 0;
    if (call->openings != call->peer->script->lost_opening)
        queue_method(call, channel, CHANNEL_OPEN_OK, "\0\0\0", 4);
}

static void answer(struct amqp_call *call, uint16_t channel, const unsigned char *body)
{
    const struct amqp_script *script = call->peer->script;
    int channels = script->channel_max == 0 ? 100 : script->channel_max;
    const unsigned char limits[] = {0, (unsigned char)channels, 0, 2, 0, 0, 0, 0};
    const unsigned char none[sizeof(limits)] = {0};
    const unsigned char *tuned =
        script->has_no_limits ? none : limits; /* channels, frames, heartbeat */
    uint32_t method = number(body);
    assert_true(channel < CHANNELS);
    if (method == QUEUE_DECLARE)
        count_declare(call->peer, body);
    if (call->is_closing[channel] && method != CHANNEL_CLOSE_OK)
        return;
    switch (method) {
    case CONNECTION_START_OK:
        queue_method(call, 0, CONNECTION_TUNE, tuned, sizeof(limits));
        break;
    case CONNECTION_TUNE_OK:
        call->peer->channel_max = (uint16_t)(number(body + sizeof(method)) >> 16);
        break;
    case CONNECTION_OPEN:
        queue_method(call, 0, CONNECTION_OPEN_OK, "", 1);
        break;
    case CHANNEL_OPEN:
        answer_opening(call, channel);
        break;
    case CHANNEL_CLOSE:
        queue_method(call, channel, CHANNEL_CLOSE_OK, "", 0);
        break;
    case CHANNEL_CLOSE_OK:
        call->is_closing[channel] = false;
        break;
    case QUEUE_DECLARE:
        answer_declare(call, channel, body);
        break;
    default:
        break;
    }
}

/* False: nobody reads it. */
static bool send_answer(const struct amqp_call *call, struct answer *answer)
{
    ssize_t sent = send(call->socket, answer->frame + answer->sent, answer->size - answer->sent,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    answer->sent += sent > 0 ? (size_t)sent : 0;
    return answer->sent == answer->size;
}

/* Sends what is due, and returns when the next is. */
static int64_t send_answers(struct amqp_call *call)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    bool is_read = true;
    size_t kept = 0;
    for (size_t i = 0; i < call->answers_count; i++) {
        struct answer *answer = &call->answers[i];
        bool is_due = answer->due_ms <= now_ms;
        is_read = is_read && (!is_due || send_answer(call, answer));
        if (is_due && is_read)
            continue;
        if (!is_due)
            next_ms = clock_earlier(next_ms, answer->due_ms);
        call->answers[kept++] = *answer;
    }
    call->answers_count = kept;
    return next_ms;
}

/* What begins with these bytes; 0: not all of it is there yet. */
static size_t take_frame(struct amqp_call *call, const unsigned char *bytes, size_t length)
{
    if (!call->is_greeted) {
        /* Version 0-9, no properties, a mechanism, a language. */
        static const char start[] = "\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05"
                                    "en_US";
        call->is_greeted = length >= GREETING_BYTES;
        if (call->is_greeted)
            queue_method(call, 0, CONNECTION_START, start, sizeof(start) - 1);
        return call->is_greeted ? GREETING_BYTES : 0;
    }
    size_t size = length < HEAD_BYTES ? SIZE_MAX : HEAD_BYTES + (size_t)number(bytes + 3) + 1;
    if (length < size)
        return 0;
    if (bytes[0] == METHOD_FRAME && !call->is_frozen)
        answer(call, (uint16_t)(bytes[1] << 8 | bytes[2]), bytes + HEAD_BYTES);
    return size;
}

static void take_frames(struct amqp_call *call)
{
    size_t taken = 0;
    size_t size;
    while ((size = take_frame(call, call->input + taken, call->input_length - taken)) > 0)
        taken += size;
    call->input_length -= taken;
    memmove(call->input, call->input + taken, call->input_length);
}

static void hang_up(struct amqp_call *call)
{
    close(call->socket);
    call->socket = -1;
}

/* All that is there. */
static void receive(struct amqp_call *call)
{
    ssize_t got = 1;
    while (got > 0) {
        assert_true(call->input_length < INPUT_BYTES);
        got = recv(call->socket, call->input + call->input_length, INPUT_BYTES - call->input_length,
                   MSG_DONTWAIT);
        call->input_length += got > 0 ? (size_t)got : 0;
        take_frames(call);
    }
    if (got == 0)
        hang_up(call);
}

static int64_t work(void *context)
{
    const struct amqp_peer *peer = context;
    struct amqp_call *call = peer->call;
    if (call->socket < 0 && !call->is_greeted)
        call->socket = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
    if (call->socket >= 0)
        receive(call);
    if (call->socket < 0)
        return CLOCK_NEVER;
    int64_t next_ms = send_answers(call);
    return socket_is_settled(call->socket) ? next_ms : clock_now_ms();
}

void amqp_peer_start(struct amqp_peer *peer, const struct amqp_script *script)
{
    *peer = (struct amqp_peer){.script = script,
                               .time = {.work = work, .context = peer},
                               .call = memory_new(sizeof(*peer->call))};
    int port = 0;
    peer->call->peer = peer;
    peer->call->socket = -1;
    peer->listener = listener_open(1, &port);
    fcntl(peer->listener, F_SETFL, O_NONBLOCK);
    snprintf(peer->host, sizeof(peer->host), "amqp://guest:guest@127.0.0.1:%d/", port);
    fast_time_add(&peer->time);
}

void amqp_peer_stop(struct amqp_peer *peer)
{
    fast_time_remove(&peer->time);
    if (peer->call->socket >= 0)
        hang_up(peer->call);
    close(peer->listener);
    free(peer->call->answers);
    free(peer->call);
}

size_t amqp_peer_declares(const struct amqp_peer *peer, const char *queue)
{
    for (size_t i = 0; i < peer->queues_count; i++)
        if (text_equal(peer->queues[i].name, queue))
            return peer->queues[i].declares;
    return 0;
}
