/*
 * What the child process of an isolated scaler says, up to its end: it has read a broker's bytes, and may say
 * anything. Behind an `f` the bytes are frames; else they are messages, each behind a byte with its length,
 * which are put into frames.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/dialogue.h"
#include "require.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBES = 3, MEASUREMENTS_MOST = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ended(struct probe *probe, const struct reading *reading, const struct error *error)
{
    bool *over = probe->owner;
    require(!*over);
    *over = true;
    require((reading == NULL) != (error == NULL));
    if (error != NULL)
        require_error(false, error);
}

static bool measure(int socket)
{
    static const struct option_values none;
    _cleanup_(error_done) struct error told = {0};
    _cleanup_(error_done) struct error error = {0};
    struct probe probes[PROBES];
    struct probe *pointers[PROBES];
    bool over[PROBES] = {0};
    for (size_t i = 0; i < PROBES; i++) {
        pointers[i] = &probes[i];
        probes[i] =
            (struct probe){.values = &none, .waker = {.id = i}, .owner = &over[i], .end = ended};
    }
    bool good = dialogue_measure(socket, pointers, PROBES, clock_now_ms() + 1000, &told, &error);
    require_error(good, &error);
    require_error(!error_is_set(&told), &told);
    for (size_t i = 0; i < PROBES; i++) {
        require_error(!error_is_set(&probes[i].arm_error), &probes[i].arm_error);
        require(probe_wants_arm(&probes[i]) || !error_is_set(&probes[i].arm_error));
        error_done(&probes[i].arm_error);
    }
    return good && !error_is_set(&told);
}

static void talk(int socket)
{
    static const struct scaler scaler = {.name = "fuzzed"};
    static const struct option_values none;
    _cleanup_(error_done) struct error told = {0};
    _cleanup_(error_done) struct error error = {0};
    bool good = dialogue_connect(socket, &scaler, &none, clock_now_ms() + 1000, &told, &error);
    require_error(good, &error);
    require_error(!error_is_set(&told), &told);
    for (int i = 0; i < MEASUREMENTS_MOST && good; i++)
        good = measure(socket);
}

static void frame(struct text *frames, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t length = data[at++];
        if (length > size - at)
            length = (uint32_t)(size - at);
        text_add_bytes(frames, &length, sizeof(length));
        text_add_bytes(frames, data + at, length);
        at += length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(text_done) struct text frames = {0};
    int ends[2];
    if (size == 0)
        return 0;
    if (data[0] == 'f')
        text_add_bytes(&frames, data + 1, size - 1);
    else
        frame(&frames, data + 1, size - 1);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    ssize_t sent = send(ends[1], frames.bytes, frames.length, MSG_NOSIGNAL);
    require(sent == (ssize_t)frames.length);
    shutdown(ends[1], SHUT_WR);
    talk(ends[0]);
    close(ends[0]);
    close(ends[1]);
    return 0;
}
