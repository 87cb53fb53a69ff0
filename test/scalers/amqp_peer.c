#include "scalers/amqp_peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <poll.h>
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
    FRAME_BYTES = 4096,
    ANSWER_BYTES = 512,
    CHANNELS = 256,
    MAX_WAIT_MS = 10000,
    METHOD_FRAME = 1,
    FRAME_END = 0xCE,

    /* Class and method. */
    CONNECTION_START = 10 << 16 | 10,
    CONNECTION_START_OK = 10 << 16 | 11,
    CONNECTION_TUNE = 10 << 16 | 30,
    CONNECTION_OPEN = 10 << 16 | 40,
    CONNECTION_OPEN_OK = 10 << 16 | 41,
    CHANNEL_OPEN = 20 << 16 | 10,
    CHANNEL_OPEN_OK = 20 << 16 | 11,
    CHANNEL_CLOSE = 20 << 16 | 40,
    CHANNEL_CLOSE_OK = 20 << 16 | 41,
    QUEUE_DECLARE = 50 << 16 | 10,
    QUEUE_DECLARE_OK = 50 << 16 | 11,
    DECLARE_NAME = 6, /* where a declare's queue is, behind its length */
    NOT_FOUND = 404,
};

struct answer {
    int64_t due_ms;
    size_t size;
    unsigned char frame[ANSWER_BYTES];
};

struct call {
    struct amqp_peer *peer;
    int socket;
    size_t openings;
    size_t declares;
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

static bool receive(int socket, void *bytes, size_t size)
{
    return recv(socket, bytes, size, MSG_WAITALL) == (ssize_t)size;
}

/* Sent when the broker is no longer busy, and has passed the link. */
static void queue_method(struct call *call, uint16_t channel, uint32_t method, const void *fields,
                         size_t size)
{
    call->answers = memory_grow(call->answers, &call->answers_capacity, call->answers_count + 1,
                                sizeof(*call->answers));
    struct answer *answer = &call->answers[call->answers_count++];
    int64_t now_ms = clock_now_ms();
    int64_t busy_ms = call->busy_until_ms > now_ms ? call->busy_until_ms : now_ms;
    if (call->channel_until_ms[channel] > busy_ms)
        busy_ms = call->channel_until_ms[channel];
    bool is_never = busy_ms == CLOCK_NEVER;
    answer->due_ms = is_never ? CLOCK_NEVER : busy_ms + call->peer->script->link_ms;
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
static void be_busy(struct call *call, const int delays_ms[AMQP_DELAYS], size_t delay)
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
    pthread_mutex_lock(&peer->lock);
    struct amqp_queue *queue = peer->queues;
    while (queue < peer->queues + peer->queues_count && !text_equal(queue->name, name))
        queue++;
    assert_true(queue < peer->queues + AMQP_QUEUES);
    if (queue == peer->queues + peer->queues_count) {
        snprintf(queue->name, sizeof(queue->name), "%s", name);
        peer->queues_count++;
    }
    queue->declares++;
    pthread_mutex_unlock(&peer->lock);
}

static void close_channel(struct call *call, uint16_t channel, const char *name)
{
    unsigned char fields[ANSWER_BYTES / 2] = {NOT_FOUND >> 8, NOT_FOUND & 0xFF};
    int length =
        snprintf((char *)fields + 3, sizeof(fields) - 8, "NOT_FOUND - no queue '%s'", name);
    fields[2] = (unsigned char)length;
    call->is_closing[channel] = true;
    queue_method(call, channel, CHANNEL_CLOSE, fields, 3 + (size_t)length + 4);
}

/* The name, the messages and no consumers. */
static void answer_declare(struct call *call, uint16_t channel, const unsigned char *declare)
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
    if (text_starts_with(name, "missing"))
        close_channel(call, channel, name);
    else
        queue_method(call, channel, QUEUE_DECLARE_OK, fields, named + 8);
}

static void answer_opening(struct call *call, uint16_t channel)
{
    pthread_mutex_lock(&call->peer->lock);
    call->peer->openings++;
    pthread_mutex_unlock(&call->peer->lock);
    be_busy(call, call->peer->script->openings_ms, call->openings++);
    call->channel_until_ms[channel] = 0;
    queue_method(call, channel, CHANNEL_OPEN_OK, "\0\0\0", 4);
}

static void answer(struct call *call, uint16_t channel, const unsigned char *body)
{
    int channels = call->peer->script->channel_max;
    unsigned char tuned[] = {0, (unsigned char)(channels == 0 ? 100 : channels), 0, 2, 0, 0, 0,
                             0}; /* channels, frames, heartbeat */
    uint32_t method = number(body);
    assert_true(channel < CHANNELS);
    if (method == QUEUE_DECLARE)
        count_declare(call->peer, body);
    if (call->is_closing[channel] && method != CHANNEL_CLOSE_OK)
        return;
    switch (method) {
    case CONNECTION_START_OK:
        queue_method(call, 0, CONNECTION_TUNE, tuned, sizeof(tuned));
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

/* Sends what is due, and returns how long to wait for the next. */
static int send_answers(struct call *call)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    size_t kept = 0;
    for (size_t i = 0; i < call->answers_count; i++) {
        struct answer *answer = &call->answers[i];
        if (answer->due_ms <= now_ms) {
            (void)!send(call->socket, answer->frame, answer->size, MSG_NOSIGNAL);
            continue;
        }
        if (answer->due_ms < next_ms)
            next_ms = answer->due_ms;
        call->answers[kept++] = *answer;
    }
    call->answers_count = kept;
    return clock_left_ms(next_ms, MAX_WAIT_MS);
}

static bool read_frame(struct call *call)
{
    unsigned char head[HEAD_BYTES];
    unsigned char body[FRAME_BYTES] = {0};
    if (!receive(call->socket, head, sizeof(head)))
        return false;
    uint32_t size = number(head + 3) + 1; /* and its end */
    if (size > sizeof(body) || !receive(call->socket, body, size))
        return false;
    if (head[0] == METHOD_FRAME && !call->is_frozen)
        answer(call, (uint16_t)(head[1] << 8 | head[2]), body);
    return true;
}

static void serve(struct call *call)
{
    /* Version 0-9, no properties, a mechanism, a language. */
    static const char start[] = "\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05"
                                "en_US";
    char greeting[8];
    if (!receive(call->socket, greeting, sizeof(greeting)))
        return;
    queue_method(call, 0, CONNECTION_START, start, sizeof(start) - 1);
    for (;;) {
        int wait_ms = send_answers(call);
        struct pollfd descriptor = {.fd = call->socket, .events = POLLIN};
        if (poll(&descriptor, 1, wait_ms) > 0 && !read_frame(call))
            return;
    }
}

static void *peer_thread(void *argument)
{
    struct amqp_peer *peer = argument;
    struct call *call = memory_new(sizeof(*call));
    call->peer = peer;
    call->socket = accept(peer->listener, NULL, NULL);
    if (call->socket >= 0) {
        serve(call);
        close(call->socket);
    }
    free(call->answers);
    free(call);
    return NULL;
}

void amqp_peer_start(struct amqp_peer *peer, const struct amqp_script *script)
{
    *peer = (struct amqp_peer){.script = script, .lock = PTHREAD_MUTEX_INITIALIZER};
    int port = 0;
    peer->listener = listener_open(1, &port);
    snprintf(peer->host, sizeof(peer->host), "amqp://guest:guest@127.0.0.1:%d/", port);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_thread, peer), 0);
}

void amqp_peer_stop(struct amqp_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}

size_t amqp_peer_declares(struct amqp_peer *peer, const char *queue)
{
    size_t declares = 0;
    pthread_mutex_lock(&peer->lock);
    for (size_t i = 0; i < peer->queues_count; i++)
        if (text_equal(peer->queues[i].name, queue))
            declares = peer->queues[i].declares;
    pthread_mutex_unlock(&peer->lock);
    return declares;
}

size_t amqp_peer_openings(struct amqp_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t openings = peer->openings;
    pthread_mutex_unlock(&peer->lock);
    return openings;
}
