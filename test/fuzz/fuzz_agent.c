/*
 * What the agent process of a scaler sends, up to its end: it has read a broker's bytes, and may
 * send anything. Behind an `f` the bytes are frames; else they are messages, each behind a byte
 * with its length, which are put into frames. Their first 8 bytes are an id that it notifies, too.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "feed.h"
#include "measure/agent/agent_client_internal.h"
#include "require.h"
#include "time.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUERIES = 3, MAX_RUNS = 4, CONNECT_MS = 1000, RUN_MS = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool measure(void *client, struct feed *feed, struct error *error)
{
    return agent_client_measure(client, feed, error);
}

static void run_agent(int socket, int notifications)
{
    static const struct option no_options[1];
    static const struct scaler scaler = {
        .name = "fuzzed", .options = no_options, .subscribes = true};
    static char names[QUERIES][2] = {"a", "b", "c"};
    const struct option_values values[QUERIES] = {
        {.identity = names[0]}, {.identity = names[1]}, {.identity = names[2]}};
    const struct fuzz_query queries[QUERIES] = {
        {.values = &values[0]}, {.values = &values[1]}, {.values = &values[2]}};
    _cleanup_(error_done) struct error error = {0};
    struct agent_client *client = agent_client_new(&scaler, socket, notifications);
    bool good = agent_client_connect(client, &values[0], clock_now_ms() + CONNECT_MS, &error);
    require_error(good, &error);
    struct fuzz_feed *feed = fuzz_feed_new(&scaler, queries, QUERIES);
    for (int i = 0; i < MAX_RUNS && good; i++)
        good = fuzz_feed_run(feed, measure, client, RUN_MS);
    agent_client_close(client);
    fuzz_feed_free(feed);
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
    int pipes[2];
    if (size == 0)
        return 0;
    if (data[0] == 'f')
        text_add_bytes(&frames, data + 1, size - 1);
    else
        frame(&frames, data + 1, size - 1);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    require(pipe2(pipes, O_NONBLOCK | O_CLOEXEC) == 0);
    require(send(ends[1], frames.bytes, frames.length, MSG_NOSIGNAL) == (ssize_t)frames.length);
    require(size <= sizeof(uint64_t) || write(pipes[1], data + 1, sizeof(uint64_t)) > 0);
    shutdown(ends[1], SHUT_WR);
    fuzz_time_begin(NULL);
    run_agent(ends[0], pipes[0]);
    close(ends[1]);
    close(pipes[1]);
    return 0;
}
