/*
 * What a Redis server answers, from the greeting to the news of changes. The first byte says to which
 * scaler; the rest is what is answered after each write, with bytes of 255 between, and over all
 * connections: the client's, the one that it makes anew, the one that listens.
 */
#include "redis/client.h"
#include "require.h"
#include "source.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024, SEPARATOR = 0xff };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct scaler scaler_redis;
extern const struct scaler scaler_redis_streams;

#define SERVER                                                                                     \
    {"address", "redis:6379"}, {"username", "u"}, {"password", "p"}, {"databaseIndex", "1"}

static const struct source lists = {
    &scaler_redis, {{SERVER, {"listName", "jobs"}}, {SERVER, {"listName", "set"}}}};
static const struct source streams = {
    &scaler_redis_streams,
    {{SERVER, {"stream", "all"}},
     {SERVER, {"stream", "jobs"}, {"consumerGroup", "workers"}},
     {SERVER, {"stream", "jobs"}, {"consumerGroup", "workers"}, {"lagCount", "5"}},
     {SERVER, {"stream", "jobs"}, {"consumerGroup", "others"}, {"lagCount", "5"}}},
};

static const uint8_t *next;
static const uint8_t *end;
static int peers[DESCRIPTORS]; /* the server's end, by the client's; 0: none */
static int newest;

/* The linker puts these before hiredis's own (--wrap): no host is looked up, and no write waits for a thread. */
redisContext *__wrap_redisConnectNonBlock(const char *host, int port);
int __wrap_redisBufferWrite(redisContext *context, int *done);
int __real_redisBufferWrite(redisContext *context, int *done);

redisContext *__wrap_redisConnectNonBlock(const char *host, int port)
{
    int ends[2];
    (void)host;
    (void)port;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    require(ends[0] < DESCRIPTORS);
    if (peers[ends[0]] != 0)
        close(peers[ends[0]]);
    peers[ends[0]] = newest = ends[1];
    redisContext *context = redisConnectFd(ends[0]);
    context->flags &= ~REDIS_BLOCK;
    return context;
}

/* What comes next, and after the last of it the end of the connection: nobody waits for a deadline. */
static void answer(int peer)
{
    while (next < end && *next == SEPARATOR)
        next++;
    if (next == end) {
        shutdown(peer, SHUT_WR);
        return;
    }
    const uint8_t *separator = memchr(next, SEPARATOR, (size_t)(end - next));
    const uint8_t *stop = separator == NULL ? end : separator;
    ssize_t sent = send(peer, next, (size_t)(stop - next), MSG_NOSIGNAL);
    (void)sent; /* the client may have hung up */
    next = stop;
}

static void tell(void)
{
    answer(newest);
}

int __wrap_redisBufferWrite(redisContext *context, int *done)
{
    char asked[4096];
    int result = __real_redisBufferWrite(context, done);
    while (recv(peers[context->fd], asked, sizeof(asked), 0) > 0)
        ;
    answer(peers[context->fd]);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    next = data + 1;
    end = data + size;
    source_measure(data[0] == 's' ? &streams : &lists, tell);
    for (int i = 0; i < DESCRIPTORS; i++) {
        if (peers[i] != 0)
            close(peers[i]);
        peers[i] = 0;
    }
    return 0;
}
