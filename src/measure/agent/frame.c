#include "measure/agent/frame.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* On a busy machine a thread may run only after its deadline. Then data that is there is still read
 * or sent, but for at most this time: a peer may send without end, or byte by byte. */
enum { MAX_LATE_MS = 1000 };

static bool is_in_time(int64_t deadline_ms, struct error *error)
{
    return deadline_ms == CLOCK_NEVER || clock_now_ms() < deadline_ms + MAX_LATE_MS ||
           error_unavailable(error, "no answer in time");
}

static bool wait_for(int socket, short events, int64_t deadline_ms, struct error *error)
{
    struct pollfd poll_socket = {.fd = socket, .events = events};
    for (;;) {
        int left = deadline_ms == CLOCK_NEVER ? -1 : clock_left_ms(deadline_ms, INT32_MAX);
        int ready = poll(&poll_socket, 1, left);
        if (ready > 0)
            return true;
        if (ready == 0)
            return error_unavailable(error, "no answer in time");
        if (errno != EINTR)
            return error_unavailable(error, "%s", strerror(errno));
    }
}

static bool write_all(int socket, const char *bytes, size_t length, int64_t deadline_ms,
                      struct error *error)
{
    while (length > 0) {
        if (!is_in_time(deadline_ms, error))
            return false;
        ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN) {
            if (!wait_for(socket, POLLOUT, deadline_ms, error))
                return false;
        } else if (errno != EINTR)
            return error_unavailable(error, "%s", strerror(errno));
    }
    return true;
}

static bool read_all(int socket, uint8_t *bytes, size_t length, int64_t deadline_ms,
                     struct error *error)
{
    while (length > 0) {
        if (!is_in_time(deadline_ms, error))
            return false;
        ssize_t got = recv(socket, bytes, length, MSG_DONTWAIT);
        if (got > 0) {
            bytes += got;
            length -= (size_t)got;
        } else if (got == 0)
            return error_unavailable(error, "the other end is gone");
        else if (errno == EAGAIN) {
            if (!wait_for(socket, POLLIN, deadline_ms, error))
                return false;
        } else if (errno != EINTR)
            return error_unavailable(error, "%s", strerror(errno));
    }
    return true;
}

bool frame_add(struct text *frames, const ProtobufCMessage *message, struct error *error)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > FRAME_MAX_BYTES)
        return error_unavailable(error, "a frame of %zu bytes is too large", size);

    uint32_t length = (uint32_t)size;
    _cleanup_(memory_free) uint8_t *frame = memory_new(length);
    protobuf_c_message_pack(message, frame);
    text_add_bytes(frames, &length, sizeof(length));
    text_add_bytes(frames, frame, length);
    return true;
}

bool frame_write(int socket, const ProtobufCMessage *message, int64_t deadline_ms,
                 struct error *error)
{
    _cleanup_(text_done) struct text frame = {0};
    return frame_add(&frame, message, error) &&
           write_all(socket, frame.bytes, frame.length, deadline_ms, error);
}

bool frame_read(int socket, const ProtobufCMessageDescriptor *type, uint32_t largest,
                int64_t deadline_ms, ProtobufCMessage **ret_message, struct error *error)
{
    uint32_t length;
    if (!read_all(socket, (uint8_t *)&length, sizeof(length), deadline_ms, error))
        return false;
    if (length > largest)
        return error_unavailable(error, "a frame of %u bytes is too large", length);

    _cleanup_(memory_free) uint8_t *frame = memory_new(length);
    if (!read_all(socket, frame, length, deadline_ms, error))
        return false;
    *ret_message = protobuf_c_message_unpack(type, NULL, length, frame);
    return *ret_message != NULL || error_unavailable(error, "a frame cannot be decoded");
}
