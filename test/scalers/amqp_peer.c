#include "scalers/amqp_peer.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum {
    HEAD_BYTES = 7, /* of a frame: its type, channel and size */
    FRAME_BYTES = 4096,
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
    QUEUE_DECLARE = 50 << 16 | 10,
    QUEUE_DECLARE_OK = 50 << 16 | 11,
    DECLARE_NAME = 6, /* where a question's queue is, behind its length */
};

struct call {
    int socket;
    const struct amqp_delays *delays;
    size_t openings;
    size_t declares;
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

static bool send_method(const struct call *call, uint16_t channel, uint32_t method,
                        const void *fields, size_t size)
{
    unsigned char frame[FRAME_BYTES] = {METHOD_FRAME};
    uint16_t number_of_channel = htons(channel);
    uint32_t payload = htonl((uint32_t)(sizeof(method) + size));
    uint32_t number_of_method = htonl(method);
    memcpy(frame + 1, &number_of_channel, sizeof(number_of_channel));
    memcpy(frame + 3, &payload, sizeof(payload));
    memcpy(frame + HEAD_BYTES, &number_of_method, sizeof(number_of_method));
    memcpy(frame + HEAD_BYTES + sizeof(method), fields, size);
    frame[HEAD_BYTES + sizeof(method) + size] = FRAME_END;
    size_t whole = HEAD_BYTES + sizeof(method) + size + 1;
    return send(call->socket, frame, whole, MSG_NOSIGNAL) == (ssize_t)whole;
}

/* Waits as long as the script has for the answer of this number: not at all beyond its end. */
static void delay(const int delays_ms[AMQP_DELAYS], size_t number)
{
    if (number < AMQP_DELAYS)
        usleep((useconds_t)delays_ms[number] * 1000);
}

/* The name, and no messages and no consumers. */
static bool answer_declare(struct call *call, uint16_t channel, const unsigned char *question)
{
    unsigned char fields[1 + UINT8_MAX + 8] = {0};
    size_t named = 1 + (size_t)question[DECLARE_NAME];
    memcpy(fields, question + DECLARE_NAME, named);
    delay(call->delays->declares_ms, call->declares++);
    return send_method(call, channel, QUEUE_DECLARE_OK, fields, named + 8);
}

static bool answer(struct call *call, uint16_t channel, const unsigned char *question)
{
    static const unsigned char tuned[] = {0, 100, 0, 2,
                                          0, 0,   0, 0}; /* channels, frames, heartbeat */
    switch (number(question)) {
    case CONNECTION_START_OK:
        return send_method(call, 0, CONNECTION_TUNE, tuned, sizeof(tuned));
    case CONNECTION_OPEN:
        return send_method(call, 0, CONNECTION_OPEN_OK, "", 1);
    case CHANNEL_OPEN:
        delay(call->delays->openings_ms, call->openings++);
        return send_method(call, channel, CHANNEL_OPEN_OK, "\0\0\0", 4);
    case QUEUE_DECLARE:
        return answer_declare(call, channel, question);
    default:
        return true;
    }
}

static void serve(struct call *call)
{
    /* Version 0-9, no properties, a mechanism, a language. */
    static const char start[] = "\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05"
                                "en_US";
    char greeting[8];
    if (!receive(call->socket, greeting, sizeof(greeting)) ||
        !send_method(call, 0, CONNECTION_START, start, sizeof(start) - 1))
        return;
    unsigned char head[HEAD_BYTES];
    unsigned char body[FRAME_BYTES] = {0};
    while (receive(call->socket, head, sizeof(head))) {
        uint32_t size = number(head + 3) + 1; /* and its end */
        if (size > sizeof(body) || !receive(call->socket, body, size))
            return;
        if (head[0] == METHOD_FRAME && !answer(call, (uint16_t)(head[1] << 8 | head[2]), body))
            return;
    }
}

static void *run(void *argument)
{
    const struct amqp_peer *peer = argument;
    struct call call = {.socket = accept(peer->listener, NULL, NULL), .delays = peer->delays};
    if (call.socket < 0)
        return NULL;
    serve(&call);
    close(call.socket);
    return NULL;
}

void amqp_peer_start(struct amqp_peer *peer, const struct amqp_delays *delays)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    *peer = (struct amqp_peer){.delays = delays};
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer->listener, 1), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(peer->host, sizeof(peer->host), "amqp://guest:guest@127.0.0.1:%d/",
             ntohs(address.sin_port));
    assert_int_equal(pthread_create(&peer->thread, NULL, run, peer), 0);
}

void amqp_peer_stop(struct amqp_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}
